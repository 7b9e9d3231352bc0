"""Which commit runs, and on which branch; an image is told both by its environment. As a program: prints them."""

import os
import re
import subprocess
import zlib
from functools import cache
from pathlib import Path

from . import PREFIX

# What CI names the branch of a pull request, and of a push.
CI_BRANCH = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")


@cache
def commit() -> str:
    """The commit of the working directory's repository, with `-dirty` where any file differs from it or is new.

    `uncommitted` before the first commit, `unknown` where there is no git repository.
    """
    if told := os.environ.get(PREFIX + "COMMIT"):
        return told
    try:
        status = _git("status", "--porcelain=v2", "--branch", "--untracked-files=normal")
    except FileNotFoundError:
        return "unknown"
    if status.returncode != 0:
        return "unknown"
    lines = status.stdout.splitlines()
    head = next(line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid "))
    if head == "(initial)":
        return "uncommitted"
    changes = [line for line in lines if not line.startswith("#")]
    if changes and all(line.startswith("1 .M ") for line in changes):
        # A notebook with output is listed too, though what a commit would have of it is the same.
        return head + ("-dirty" if _git("diff", "--quiet").returncode else "")
    return head + ("-dirty" if changes else "")


@cache
def branch() -> str:
    """The branch as a name for folders, databases and containers: lower-case letters, digits and `-`.

    A branch whose name is more than that gets a checksum of it behind. Where none is checked out it is the one that CI
    names, or `no-branch`.
    """
    if told := os.environ.get(PREFIX + "BRANCH"):
        return told
    try:
        name = _git("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    except FileNotFoundError:
        name = ""
    name = name or next(filter(None, map(os.environ.get, CI_BRANCH)), "")
    if not name:
        return "no-branch"
    plain = re.sub("[^a-z0-9]+", "-", name.lower())[:30].strip("-")
    return plain if plain == name else f"{plain}-{zlib.crc32(name.encode()):08x}".strip("-")


def template() -> str:
    """The version of copier-ml that this project was last updated to; empty where nothing tells."""
    if told := os.environ.get(PREFIX + "TEMPLATE"):
        return told
    try:
        answers = Path(".copier-answers.yml").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search("^_commit: *['\"]?([^'\"\n]+)", answers, re.MULTILINE)
    return found[1] if found else ""


def short(commit: str) -> str:
    """A commit as a person reads it: its first 11 digits, and `-dirty` where it was."""
    digits, dash, dirty = commit.partition("-")
    return digits[:11] + dash + dirty


def distance(commit: str) -> str:
    """Where a commit stands, as in `HEAD`, `HEAD + changes`, `3 commits behind HEAD`, `1 commit ahead of HEAD`."""
    digits, _, dirty = commit.partition("-")
    if digits in ("uncommitted", "unknown"):
        return "no commit"
    try:
        counts = _git("rev-list", "--left-right", "--count", f"{digits}...HEAD")
    except FileNotFoundError:
        return "no git here"
    if counts.returncode != 0:
        return "not in this repository"
    ahead, behind = map(int, counts.stdout.split())
    parts = [_commits(ahead) + " ahead of HEAD"] * bool(ahead) + [_commits(behind) + " behind HEAD"] * bool(behind)
    return (" and ".join(parts) or "HEAD") + (" + changes" if dirty else "")


def _commits(count: int) -> str:
    return f"{count} commit" + "s" * (count != 1)


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True)


if __name__ == "__main__":
    print(commit(), branch())

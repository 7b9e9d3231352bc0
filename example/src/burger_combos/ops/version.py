"""Which commit runs, and on which branch; an image is told both by its environment. As a program: prints them."""

import os
import re
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

from . import PREFIX
from .problems import Problem, told_in_one_line

# What CI names the branch of a pull request, and of a push.
CI_BRANCH = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")

ROOT = "../.."  # of a workspace, from the folder of a project

# By these a git hook tells its children of its own repository, which may be another one.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


@cache
def commit() -> str:
    """The commit of the working directory's repository, with `-dirty` where any file differs from it or is new.

    In a workspace that is any file of this project, of the packages that it uses, or of what is everybody's there.

    `uncommitted` before the first commit, `unknown` where there is no git repository.

    Raises:
        Problem: there is one, and git refuses to look at it.
    """
    if told := os.environ.get(PREFIX + "COMMIT"):
        return told
    try:
        status = _git("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", *_made_of())
    except FileNotFoundError:
        return "unknown"
    if not _in_repository(status):
        return "unknown"
    lines = status.stdout.splitlines()
    head = next(line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid "))
    if head == "(initial)":
        return "uncommitted"
    changes = [line for line in lines if not line.startswith("#")]
    if changes and all(line.startswith("1 .M ") for line in changes):
        # A notebook with output is listed too, though what a commit would have of it is the same.
        return head + ("-dirty" if _git("diff", "--quiet", "--", *_made_of()).returncode else "")
    return head + ("-dirty" if changes else "")


@cache
def branch() -> str:
    """The branch as a name for folders, databases and containers: lower-case letters, digits and `-`.

    A branch whose name is more than that gets a checksum of it behind. Where none is checked out it is the one that CI
    names, or `no-branch`.

    Raises:
        Problem: there is a repository, and git refuses to look at it.
    """
    if told := os.environ.get(PREFIX + "BRANCH"):
        return told
    try:
        head = _git("symbolic-ref", "--quiet", "--short", "HEAD")
        name = head.stdout.strip() if _in_repository(head) else ""
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
    return _answer("_commit")


def folder_in_workspace() -> str:
    """The folder of the workspace that this project is in, as models/churn; empty where it is in none."""
    return _answer("folder")


def short(commit: str) -> str:
    """A commit as a person reads it: its first 11 digits, and `-dirty` where it was."""
    digits, dash, dirty = commit.partition("-")
    return digits[:11] + dash + dirty


def distance(commit: str) -> str:
    """Where a commit stands, as in `HEAD`, `HEAD + changes`, `3 commits behind HEAD`, `1 commit ahead of HEAD`.

    In a workspace commits count that touch this project.
    """
    digits, _, dirty = commit.partition("-")
    if digits in ("uncommitted", "unknown"):
        return "no commit"
    try:
        counts = _git("rev-list", "--left-right", "--count", f"{digits}...HEAD", "--", *_made_of())
    except FileNotFoundError:
        return "no git here"
    if counts.returncode != 0:
        return "not in this repository"
    ahead, behind = map(int, counts.stdout.split())
    parts = [_commits(ahead) + " ahead of HEAD"] * bool(ahead) + [_commits(behind) + " behind HEAD"] * bool(behind)
    return (" and ".join(parts) or "HEAD") + (" + changes" if dirty else "")


def subject(commit: str) -> str:
    """The first line of a commit's message; empty where git does not have it here."""
    digits = commit.partition("-")[0]
    if not re.fullmatch("[0-9a-f]{40}", digits):
        return ""
    try:
        told = _git("log", "-1", "--format=%s", digits, "--")
    except FileNotFoundError:
        return ""
    return "" if told.returncode else told.stdout.strip()


def _commits(count: int) -> str:
    return f"{count} commit" + "s" * (count != 1)


@cache
def _made_of() -> list[str]:
    """What of the repository makes this project, as git names it: all of it, without a word, or a part of a workspace.

    Raises:
        Problem: the workspace's root does not tell.
    """
    if not folder_in_workspace():
        return []
    command = [sys.executable, f"{ROOT}/develop/workspace.py", "paths", folder_in_workspace()]
    told = subprocess.run(command, capture_output=True, encoding="utf-8")
    if told.returncode:
        why = (told.stderr.strip().splitlines() or ["no answer"])[-1]
        raise Problem(f"{ROOT}/develop/workspace.py does not tell what {folder_in_workspace()} is made of: {why}")
    return told.stdout.splitlines()


def _answer(question: str) -> str:
    """What the project was answered, or is told by Copier; empty where nothing tells."""
    try:
        answers = Path(".copier-answers.yml").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(f"^{question}: *['\"]?([^'\"\\s][^'\"\n]*)", answers, re.MULTILINE)
    return found[1] if found else ""


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What git says, in English, of the repository that the working directory is in."""
    env = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK} | {"LC_ALL": "C"}
    return subprocess.run(
        ["git", *arguments], capture_output=True, env=env, encoding="utf-8", errors="backslashreplace"
    )


def _in_repository(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether the working directory is in a repository, by what git answered.

    Raises:
        Problem: there is one, and git refuses to look at it.
    """
    if done.returncode != 128:
        return True
    if "not a git repository (or any" in done.stderr:
        return False
    said = [line.strip() for line in done.stderr.splitlines()]
    why = next((line.removeprefix("fatal: ") for line in said if line.startswith("fatal: ")), "no answer")
    advice = next(
        (line for line in said if line.startswith("git config ")), f"{PREFIX}COMMIT= names the commit instead"
    )
    raise Problem(f"git: {why}: {advice}")


if __name__ == "__main__":
    with told_in_one_line():
        print(commit(), branch())

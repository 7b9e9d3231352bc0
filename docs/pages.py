"""The pages of the website: those that docs/README.md lists, and those that other answers add to a project."""

import os
import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import copier
import rig

CONTENTS = "docs/README.md"
# Whose names on the website are not those of the files, or of the folder that has a README.md.
NAMES = {
    "README.md": "index.md",
    CONTENTS: "contents.md",
    "bench/RESULTS.md": "how-fast.md",
    "example/README.md": "manual/a-project.md",
    "example/docs/README.md": "manual/index.md",
    "example/production/README.md": "production/docker.md",
}
ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<page>[^)#\s]+\.md)\)", re.MULTILINE)


@dataclass(frozen=True)
class Answered:
    """A page of the manual that a project has by other answers than the default ones."""

    part: str  # of the contents
    title: str
    about: str
    page: str  # in the project
    name: str  # on the website
    answers: dict[str, str]


def answered() -> list[Answered]:
    """Those of answered.toml."""
    listed = tomllib.loads(Path(__file__).with_name("answered.toml").read_text(encoding="utf-8"))
    return [Answered(**each) for each in listed["pages"]]


def pages() -> dict[str, str]:
    """The Markdown files of this repository that are pages, each with its name on the website.

    Raises:
        SystemExit: a page stands twice in the contents, or is none of them, or has the name of another one.
    """
    listed = [resolved(CONTENTS, found["page"]) for found in ENTRY.finditer(markdown(CONTENTS))]
    if twice := {page for page in listed if listed.count(page) > 1}:
        sys.exit(f"docs: {CONTENTS} lists {', '.join(sorted(twice))} twice")
    there = [f"docs/{path.name}" for path in (rig.ROOT / "docs").glob("*.md")]
    there += [path.relative_to(rig.ROOT).as_posix() for path in (rig.ROOT / "example").glob("[!.]*/*.md")]
    if missing := sorted({*there} - {CONTENTS, *listed}):
        sys.exit(f"docs: {CONTENTS} does not list {', '.join(missing)}")
    names = {page: NAMES.get(page) or _name(PurePosixPath(page)) for page in ("README.md", CONTENTS, *listed)}
    taken = [*names.values(), *(each.name for each in answered())]
    if same := sorted({page for page, name in names.items() if taken.count(name) > 1}):
        sys.exit(f"docs: {', '.join(same)} would have the website's name of another page: NAMES in docs/pages.py")
    return names


def _name(page: PurePosixPath) -> str:
    """The manual's pages are below manual/, all others at the top."""
    name = page.parent.name if page.name == "README.md" else page.stem
    return f"{'manual/' if page.parts[0] == 'example' else ''}{name.lower()}.md"


def markdown(page: str) -> str:
    """The text of a page of the repository.

    Raises:
        SystemExit: there is no such file.
    """
    path = rig.ROOT / page
    if not path.is_file():
        sys.exit(f"docs: {CONTENTS} lists {page}, which is not there")
    return path.read_text(encoding="utf-8")


def resolved(page: str, link: str) -> str:
    """The path in the repository to which a page's relative link leads."""
    return os.path.normpath(PurePosixPath(page).parent / link)


def generated() -> dict[str, str]:
    """The texts of the pages that other answers give, by their names on the website, each with its title."""
    texts: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="docs") as folder:
        template = Path(folder, "template")
        # Of these alone, Copier is soon done.
        for part in ("hooks", "template/docs", "template/production", "workspace/docs"):
            shutil.copytree(rig.ROOT / part, template / part)
        shutil.copy(rig.ROOT / "copier.yml", template)
        projects: list[dict[str, str]] = []  # by their answers
        for each in answered():
            if new := each.answers not in projects:
                projects.append(each.answers)
            project = Path(folder, f"project-{projects.index(each.answers)}")
            if new:
                copier.run_copy(str(template), project, data=each.answers, defaults=True, quiet=True)
            text = (project / each.page).read_text(encoding="utf-8")
            texts[each.name] = re.sub(r"(?m)\A((?:<!--.*-->\n)?)# Production$", rf"\1# {each.title}", text)
    return texts

"""The documents of this repository, and what runs each of their commands."""

import re

from rig import ROOT

# Whose commands tests/installed/test_readme.py types, in this order, each page from its first to its last.
PLAYED = (
    "README.md",
    "docs/existing-repository.md",
    "docs/install.md",
    "docs/at-a-glance.md",
    "example/docs/updates.md",
    "docs/workspaces.md",
)
FIVE = ("tests/deployed/test_deploy.py", '("deploy", "status", "logs", "results", "rollback")')
# What else runs a command: a file, and what stands there.
ELSEWHERE = {
    "make deploy": FIVE,
    "make rollback": FIVE,
    "make backfill FROM=… TO=…": ("tests/deployed/test_month.py", '.make("backfill", '),
    "make explore": ("tests/installed/test_notebooks.py", '["make", "explore"]'),
    "make check": (".ci/run", "make check"),
    "make quick": ("Makefile", "alone quick updated"),
    "make test": (".ci/run", "engine.py make test"),
    "python3 tests/containers/engine.py make test": (".ci/run", "python3 tests/containers/engine.py make test"),
    "bash .ci/run": (".github/workflows/test.yml", "bash .ci/run"),
    "make answer target=kubernetes": (
        "tests/updated/test_merging.py",
        '"kubernetes": "production/kubernetes/base/pipeline.yaml"',
    ),
    "make answer serving=http": ("tests/updated/test_working.py", '(RELEASES[-1], {"serving": "http", '),
    "make engines": (".ci/run", "engine.py make engines"),
    "python3 tests/containers/engine.py make engines": (".ci/run", "python3 tests/containers/engine.py make engines"),
    "make": ("tests/rendered/test_documents.py", '"  make quick " in sh("make"'),
    "make docs": (".github/workflows/docs.yml", "make docs"),
    "make example": (".pre-commit-config.yaml", "docs/example.py"),
    "make pictures": ("tests/installed/test_pictures.py", "pictures.main()"),
}


def documents() -> list[str]:
    """The pages of this repository; the manual's, in example/, are those of a project."""
    return ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def commands(text: str) -> list[str]:
    """The commands of a page, in order, without what is said of them."""
    return [re.split(r"   +", line)[0] for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE)]


def unrun(page: str, text: str) -> list[str]:
    """The commands of a page which no test runs; code that is fenced is none that a test finds."""
    fenced = re.findall(r"^ *```.*$", text, re.MULTILINE)
    return fenced + [
        command
        for command in commands(text)
        if not _elsewhere(command) and (page not in PLAYED or command in ELSEWHERE)
    ]


def _elsewhere(command: str) -> bool:
    file, piece = ELSEWHERE.get(command, ("", ""))
    return bool(file) and piece in (ROOT / file).read_text(encoding="utf-8")

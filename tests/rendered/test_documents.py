"""Each command of the documents is run by a test, and each question is told of."""

import re

import pytest
import yaml
from documents import ELSEWHERE, PLAYED, commands, documents, unrun
from rig import ROOT, sh


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", documents())
def test_each_command_is_run_by_a_test(page: str) -> None:
    assert unrun(page, text(page)) == []


def test_a_command_that_no_test_runs_is_found() -> None:
    new = "# New\n\n    make check\n    make coffee     hot\n\n```sh\nmake tea\n```\n"
    assert unrun("docs/new.md", new) == ["```sh", "```", "make coffee"]
    assert unrun("README.md", "    make coffee\n") == []  # which is typed


def test_nothing_is_said_of_a_command_that_no_page_has() -> None:
    found = {command for page in {*documents(), *PLAYED} for command in commands(text(page))}
    assert ELSEWHERE.keys() - found == set()


def test_make_lists_the_verbs() -> None:
    assert "  make quick " in sh("make", cwd=ROOT).stdout


def test_the_page_of_the_questions_has_each_answer() -> None:
    rows = {row[0]: row[1] for row in re.findall(r"^\| (`\w+`) \| (.*?) \|", text("docs/questions.md"), re.MULTILINE)}
    asked = {
        f"`{name}`": question
        for name, question in yaml.safe_load(text("copier.yml")).items()
        if not name.startswith("_")
    }
    assert rows.keys() == asked.keys()
    for name, question in asked.items():
        if "choices" in question:
            assert re.findall(r"`([^`]+)`", rows[name]) == list(question["choices"].values()), name

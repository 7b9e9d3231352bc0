"""Reviewers are shown what each answer changes, and each answer changes something."""

import differences
import pytest
from answers import QUESTIONS


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    """The listings that are committed, which one test compares with what is generated."""
    return {path.name: path.read_text(encoding="utf-8") for path in differences.LISTINGS.iterdir()}


def test_what_each_answer_changes_is_listed(listed: dict[str, str]) -> None:
    """Where it is not, `make example` lists it."""
    found = differences.listings()
    assert listed.keys() == found.keys()
    assert [name for name, text in found.items() if listed[name] != text] == []


def test_each_answer_changes_files_and_no_two_change_the_same(listed: dict[str, str]) -> None:
    changes = {name: text.partition("\n\n")[2] for name, text in listed.items()}
    assert [name for name, change in changes.items() if not change] == []
    assert len(set(changes.values())) == len(changes)


def test_every_choice_of_every_question_is_listed_or_a_default(listed: dict[str, str]) -> None:
    names = {name.removesuffix(".diff") for name in listed}
    for question, asked in QUESTIONS.items():
        answers = {f"{question}={value}" for value in asked.get("choices", {}).values()} or {question}
        assert len(answers - names) == ("choices" in asked), question

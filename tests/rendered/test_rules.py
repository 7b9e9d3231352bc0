"""The template's own rules: kept, and each seen to be broken."""

import shutil
from pathlib import Path

import pytest
import rules
from rig import ROOT, VERSION, sh
from snippets import paths_missing


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {VERSION}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_page_for_changes_names_what_is_there() -> None:
    listed = sh("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")
    assert paths_missing((ROOT / "AGENTS.md").read_text(encoding="utf-8"), listed) == []


def test_the_template_keeps_its_own_rules() -> None:
    assert list(rules.complaints()) == []


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("a.py.jinja", "{% if package %}x = 1{% endif %}\n", "control flow of Jinja"),
        ("aux.txt", "x\n", "not a legal name on Windows"),
        ('{{ "a" }}', "x\n", "not a legal name on Windows"),
        ("empty.md", "\n", "an empty file"),
        ("crlf.md", "a\r\n", "lines end in LF"),
        ("plain.md.jinja", "a\n", "nothing is filled in"),
        (
            "src/{{ package }}/ops/a.py",
            "x = 1  # customer\n",
            "a.py:1: 'customer' is a word of an example",
        ),
        ("develop/a.sh", "#!/bin/sh\necho orders\n", "a.sh:2: 'orders' is a word of an example"),
        (
            "{% if target == 'x' %}production{% endif %}/a.py",
            'NAME = "Hit rate"\n',
            "'Hit rate' is a word of an example",
        ),
        ("Makefile.jinja", "{{ package }}: # recommends\n", "'recommend' is a word of an example"),
        ("docs/data.md", "Your customers.\n", "data.md:1: 'customer' is a word of an example"),
        ("production/README.md.jinja", "{{ package }}, by customer\n", "'customer' is a word of an example"),
        ("src/{{ package }}/ops/{% if a %}b{% endif %}.py", "# the items\n", "'items' is a word of an example"),
    ],
)
def test_a_broken_rule_is_found(file: str, content: str, complaint: str, tmp_path: Path) -> None:
    broken = tmp_path / "template" / file
    broken.parent.mkdir(parents=True)
    broken.write_text(content, newline="")
    (tmp_path / "copier.yml").write_text("package: {type: str}\n")
    found = list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml"))
    assert any(complaint in line for line in found), found


def test_words_of_an_example_stand_in_its_files_and_in_other_meanings(tmp_path: Path) -> None:
    fine = {
        "src/{{ package }}/ops/a.py": 'for name, order in found.items(): each["items"] = order("ORDER BY")\n',
        "{% if example == 'recommend' %}src{% endif %}/{{ package }}/orders.py": "# recommended items of a customer\n",
        "{% if example == 'recommend' %}production{% endif %}/a.sh": "echo orders\n",
        "README.md": "What a customer ordered.\n",
    }
    for name, content in fine.items():
        (tmp_path / "template" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "template" / name).write_text(content)
    (tmp_path / "copier.yml").write_text("package: {type: str}\n")
    assert list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml")) == []


def test_a_changelog_that_an_update_could_not_show_is_found(tmp_path: Path) -> None:
    (tmp_path / "template").mkdir()
    (tmp_path / "copier.yml").write_text("{}\n")
    (tmp_path / "CHANGELOG.md").write_text("## 1.0.0\n- `{{ package }}` is filled in.\n")
    found = list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml"))
    assert found == ["CHANGELOG.md: what is Jinja to hooks/news.jinja, which reads it"]


def test_a_question_that_nothing_uses_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "template", tmp_path / "template")
    (tmp_path / "copier.yml").write_text("useless: {type: str}\n")
    assert list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml")) == [
        "copier.yml: the answer to useless is used nowhere"
    ]

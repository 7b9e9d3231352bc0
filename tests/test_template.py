"""The template as text: its rules, its questions, and what each answer writes."""

import compileall
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_ansible_filters import AnsibleCoreFiltersExtension
from rig import ROOT, VERSION, Project, sh

sys.path.insert(0, str(ROOT / "hooks"))
import rules


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tags by which one compose file overrides another, as `!reset []`."""


ComposeLoader.add_multi_constructor("!", lambda loader, _, node: loader.construct_sequence(node))
QUESTIONS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
INSTALLED = """
import importlib.metadata, re
for each in importlib.metadata.distributions():
    print(re.sub("[-_.]+", "_", each.metadata["Name"].lower()))
    for file in each.files or []:
        if file.suffix in (".py", ".so") and re.fullmatch(r"[A-Za-z]\\w*(\\.py)?", file.parts[0]):
            print(file.parts[0].removesuffix(".py").lower())
"""
NAMES = Environment(
    loader=FileSystemLoader(ROOT), undefined=StrictUndefined, extensions=[AnsibleCoreFiltersExtension]
).get_template("hooks/package.jinja")


def suggest(name: str) -> str:
    return str(NAMES.module.suggest(name))  # type: ignore[attr-defined]


def problem(name: str) -> str:
    return str(NAMES.module.problem(name)).strip()  # type: ignore[attr-defined]


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {VERSION}\n" in (ROOT / "CHANGELOG.md").read_text()


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
    ],
)
def test_a_broken_rule_is_found(file: str, content: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "template").mkdir()
    (tmp_path / "template" / file).write_text(content, newline="")
    (tmp_path / "copier.yml").write_text("package: {type: str}\n")
    found = list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml"))
    assert any(complaint in line for line in found), found


def test_a_question_that_nothing_uses_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "template", tmp_path / "template")
    (tmp_path / "copier.yml").write_text("useless: {type: str}\n")
    assert list(rules.complaints(tmp_path / "template", tmp_path / "copier.yml")) == [
        "copier.yml: the answer to useless is used nowhere"
    ]


def test_copying_needs_no_trust() -> None:
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & QUESTIONS.keys()
    assert QUESTIONS["_envops"] == {"undefined": "jinja2.StrictUndefined"}


def test_names_of_the_standard_library_are_known() -> None:
    for name in sys.stdlib_module_names:
        if name.isidentifier() and name.islower() and not name.startswith("_"):
            assert problem(name), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Burger", "lower-case"),
        ("burger-combos", "lower-case"),
        ("7up", "lower-case"),
        ("", "lower-case"),
        ("class", "keyword of Python"),
        ("json", "standard library"),
        ("polars", "the project itself uses"),
        ("a" * 51, "At most 50"),
    ],
)
def test_a_package_that_cannot_be_is_refused(name: str, message: str) -> None:
    assert message in problem(name)


def test_a_package_cannot_take_the_name_of_anything_installed(project: Project) -> None:
    installed = set(project.python(INSTALLED).stdout.split()) - {project.package}
    assert {"polars", "pydantic_core", "yaml", "scipy_stubs"} <= installed
    assert [name for name in sorted(installed) if not problem(name)] == []


@given(st.text(max_size=80))
def test_whatever_the_project_is_called_a_package_is_suggested(name: str) -> None:
    assert problem(suggest(name)) == ""


def test_a_suggestion_reads_well() -> None:
    assert suggest("Burger Combos") == "burger_combos"
    assert suggest("Übergröße's Küche") == "uebergroesses_kueche"
    assert suggest("E-mail") == "e_mail"
    assert suggest("Test") == "ml_test"
    assert suggest("汉堡") == "ml_project"


def test_a_wrong_answer_is_refused_with_a_message(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keyword of Python"):
        copier.run_copy(str(template), tmp_path / "p", data={"package": "class"}, defaults=True, quiet=True)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("reviewers", ["ada", "@ada, @bob", "@", "@ada  @bob", "* @ada"])
def test_reviewers_are_such_as_can_be_asked(reviewers: str, template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with a blank between"):
        copier.run_copy(str(template), tmp_path / "p", data={"reviewers": reviewers}, defaults=True, quiet=True)


def test_the_message_afterwards_says_the_next_command(template: Path, tmp_path: Path) -> None:
    done = sh(sys.executable, "-m", "copier", "copy", "--defaults", str(template), str(tmp_path / "p"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "make develop" in done.stderr


def rendered(project: Project) -> dict[str, bytes]:
    return {
        path.relative_to(project.folder).as_posix(): path.read_bytes()
        for path in project.folder.rglob("*")
        if path.is_file()
    }


ODD = {
    "project_name": """The "Größte" Küche's \\ combos {{ 1 }} #1 & 汉堡 🍔""",
    "description": """It's "good" \\ {{ nothing }} {% for %} for Ünal's customers.""",
    "author": """Jörg "Joe" O'Neill \\ Söhne""",
    "reviewers": "@jörg @shop/ml-team ada@example.org",
}


@pytest.mark.parametrize("licence", QUESTIONS["licence"]["choices"].values())
@pytest.mark.parametrize("database", QUESTIONS["database"]["choices"].values())
@pytest.mark.parametrize("ci", QUESTIONS["ci"]["choices"].values())
@pytest.mark.parametrize("odd", [False, True])
def test_every_answer_renders_clean(
    licence: str, database: str, ci: str, odd: bool, generate: Callable[..., Project], tmp_path: Path
) -> None:
    project = generate(tmp_path / "p", licence=licence, database=database, ci=ci, **(ODD if odd else {}))
    files = rendered(project)
    assert ("LICENSE" in files) == (licence != "Proprietary")
    assert any(name.startswith(".github/") for name in files) == (ci == "github")
    assert any(name.startswith(".gitlab") for name in files) == (ci == "gitlab")
    assert ("CODEOWNERS" in files) == (odd and ci != "none")
    chosen = {"develop/compose.yaml", "develop/seed.sql", "production/compose.yaml"} & files.keys()
    assert len(chosen) == (3 if database == "postgresql" else 0)
    for name, content in files.items():
        text = content.decode()
        if not odd and not name.endswith(".j2"):
            assert not re.search(r"(?<!\$)\{\{ ", text), name  # GitHub's have a $, Docker's own formats no blank
            assert "{%" not in text, name
        assert "\n\n\n\n" not in text, name
        assert text.endswith("\n") and not text.endswith("\n\n"), name
        if name.endswith(".toml"):
            tomllib.loads(text)
        if name.endswith((".yml", ".yaml")):
            yaml.load(text, ComposeLoader)
        if name.endswith(".json"):
            json.loads(text)
    assert compileall.compile_dir(project.folder, quiet=2)
    metadata = tomllib.loads(files["pyproject.toml"].decode())["project"]
    if odd:
        assert metadata["description"] == ODD["description"]
        assert metadata["authors"] == [{"name": ODD["author"]}]
        assert ODD["project_name"] in files["README.md"].decode()
    for check in (["format", "--check"], ["check"]):
        done = sh(ROOT / ".venv/bin/ruff", *check, "--no-cache", cwd=project.folder)
        assert done.returncode == 0, done.stdout
    for script in project.folder.rglob("*.sh"):
        subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.parametrize("database", QUESTIONS["database"]["choices"].values())
def test_every_stage_has_the_same_settings(database: str, generate: Callable[..., Project], tmp_path: Path) -> None:
    project = generate(tmp_path / "p", database=database)

    def keys(stage: str) -> str:
        settings = tomllib.loads((project.folder / stage / "settings.toml").read_text())
        return json.dumps({section: sorted(values) for section, values in settings.items()})

    assert keys("explore") == keys("develop") == keys("production")


line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80).filter(str.strip)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=line, sentence=line, author=line)
def test_any_words_give_valid_metadata(
    name: str, sentence: str, author: str, generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("words") / "p"
    project = generate(folder, project_name=name, description=sentence, author=author)
    metadata = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == sentence
    assert metadata["authors"] == [{"name": author}]
    assert metadata["name"] == project.package.replace("_", "-")
    for file in folder.rglob("*.py"):
        compile(file.read_text(encoding="utf-8"), file, "exec")

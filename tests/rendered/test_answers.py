"""Any answers together, as they are written: valid, tidy, and of nothing that was not chosen."""

import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import combinations, product
from pathlib import Path

import pytest
import rig
from answers import (
    ALL,
    ELSEWHERE,
    PAIRWISE,
    QUESTIONS,
    RUN,
    RUNNING,
    VALUES,
    Answers,
    asked,
    called,
    filled,
)
from rig import Project
from snippets import paths_missing
from tidy import filled_in, lint, read

Rendered = dict[str, str]
Write = Callable[[Answers], tuple[Project, Rendered]]


# Words of an answer that no file may have where another was given; scripts and ops/ serve them all.
OF_ANSWER = {
    ("example", "recommend"): [r"[Rr]ecommendation(?!s\": )", r"\borders\b", "hit[ _]rate", "top_k", r"\bcustomers?\b"],
    ("example", "classify"): ["[Cc]hurn", r"\bcustomers?\b", r"\borders\b", "[Cc]alibration"],
    ("example", "forecast"): ["[Ff]orecast", r"\b[Ss]tores\b", "(?i)wape", "[Ss]easonal"],
    ("example", "images"): ["TORCH", r"pytorch-(?:cpu|cuda)", "image_labels", "safetensors"],
    ("database", "postgresql"): [r"seed\.sql", r"compose\.yaml", "app@database"],
    ("database", "dynamodb"): [r"dynamodb[:./_]", r"sqlite:///var/.*results\.db"],
    ("database", "sqlite"): [r"sqlite:///var/.*results\.db"],
    ("target", "docker"): [r"ssh\.sh", "Docker host", "DEPLOY_HOST"],
    ("target", "kubernetes"): ["kubectl", "CronJob", "kustomiz"],
    ("target", "metaflow-argo"): ["[Mm]etaflow", "METAFLOW", "[Aa]rgo"],
    ("target", "metaflow-aws"): ["[Mm]etaflow", "METAFLOW", "AWS Batch", "Step Functions", "step-functions"],
    ("target", "kubeflow"): ["[Kk]ubeflow", r"\bkfp\b"],
    ("ci", "github"): ["GitHub", r"\.github", "actions/", "dependabot", "CODEOWNERS"],
    ("ci", "gitlab"): ["GitLab", r"\.gitlab", "renovate", "CODEOWNERS"],
    ("notebooks", "marimo"): ["marimo"],
    ("notebooks", "jupyter"): ["[Jj]upyter-?[Ll]ab", "ipykernel", "nbclient", r"first_look\.ipynb", "ms-toolsai"],
    ("serving", "http"): [r"\[serving\]", "uvicorn", "fastapi", r"serving\.md", "make serve"],
    ("tracking", "mlflow"): ["[Mm][Ll][Ff]low", "champion"],
    ("features", "feast"): ["[Ff]east", "feature_store"],
    ("license", "MIT"): [r"\bMIT\b"],
    ("license", "Apache-2.0"): ["Apache"],
    ("license", "Proprietary"): ["Proprietary", "Private"],
}
SHARED = re.compile(r"\.sh$|/ops/|^\.devcontainer/entrypoint|^\.copier-answers|^docs/own-model\.md$")


@pytest.fixture(scope="session")
def write(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Generate a project of these answers, once; return it with its files' texts by their names."""
    made: dict[str, tuple[Project, Rendered]] = {}

    def get(answers: Answers) -> tuple[Project, Rendered]:
        name = json.dumps(answers, sort_keys=True)
        if name not in made:
            project = rig.generate(plain, tmp_path_factory.mktemp("answers") / "p", **answers)
            files = [path for path in project.folder.rglob("*") if path.is_file()]
            texts = {path.relative_to(project.folder).as_posix(): path.read_bytes().decode() for path in files}
            made[name] = project, texts
        return made[name]

    return get


def of_what_was_not_chosen(given: Answers, files: Rendered) -> list[str]:
    """The words that only another answer's files should have, and where they stand."""
    chosen = {word for (question, value), words in OF_ANSWER.items() if given[question] == value for word in words}
    return [f"{name}: {word}" for name, text in files.items() for word in sorted(words_of_answers(name, text) - chosen)]


@cache
def words_of_answers(name: str, text: str) -> set[str]:
    """The words of any answer that a file has."""
    where = name if SHARED.search(name) else f"{name}\n{text}"
    return {word for words in OF_ANSWER.values() for word in words if re.search(word, where)}


def pairs(names: list[str], rows: list[Answers]) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    """Any two answers that stand in one of these rows; targets that run the same without an engine count as one."""
    found = set()
    for row in rows:
        full = filled(row) | {"words": "odd" if "project_name" in row else "plain"}
        found |= {((a, full[a]), (b, full[b])) for a, b in combinations(names, 2)}
    return found


@pytest.mark.parametrize(
    ("rows", "names", "targets"), [(RUN, RUNNING, ELSEWHERE), (PAIRWISE, list(VALUES), {})], ids=["run", "written"]
)
def test_any_two_answers_are_tested_together(rows: list[Answers], names: list[str], targets: dict[str, str]) -> None:
    given = [row | {"target": targets.get(filled(row)["target"], filled(row)["target"])} for row in rows]
    tested = pairs(names, given)
    for a, b in combinations(names, 2):
        wanted = {((a, x), (b, y)) for x, y in product(VALUES[a], VALUES[b]) if asked({a: x, b: y})}
        wanted = {pair for pair in wanted if not {("target", each) for each in targets} & {*pair}}
        assert wanted <= tested


@pytest.mark.parametrize("answers", ALL, ids=called)
def test_what_is_written_is_valid_tidy_and_of_what_was_chosen(answers: Answers, write: Write) -> None:
    project, files = write(answers)
    assert of_what_was_not_chosen(filled(answers), files) == []
    for name, text in files.items():
        assert "project_name" in answers or name.endswith(".j2") or filled_in(text), name
        read(name, text)
    page = files["AGENTS.md"].partition("\n## ")[2]  # after the project's own words
    assert paths_missing(page, files.keys() | {"uv.lock", "var/develop"}) == []
    verbs = re.findall(r"^([a-z]+):.*## ", files["Makefile"], re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)", page)) <= set(verbs)
    lint(project.folder, files)
    for path in project.folder.rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or any(path.iterdir()), f"{path}: empty"
    metadata = tomllib.loads(files["pyproject.toml"])["project"]
    given = filled(answers)
    assert metadata["description"] == given["description"]
    assert metadata["authors"] == [{"name": given["author"]}]
    assert given["project_name"] in files["README.md"]
    assert files[f"src/{project.package}/ops/project.txt"] == f"{given['project_name']}\n"
    assert ("LICENSE" in files) == (given["license"] != "Proprietary")
    assert ("CODEOWNERS" in files) == bool(given["reviewers"])
    assert (
        ("explore/first_look.ipynb" in files) == (given["notebooks"] == "jupyter") != ("explore/first_look.py" in files)
    )
    assert any("colab" in text for text in files.values()) == bool(given["repository"])


@pytest.mark.parametrize("database", QUESTIONS["database"]["choices"].values())
def test_every_stage_has_the_same_settings(database: str, write: Write) -> None:
    _, files = write({"database": database})

    def keys(stage: str, name: str) -> dict[str, list[str]]:
        settings = tomllib.loads(files[f"{stage}/{name}.toml"])
        return {section: sorted(values) for section, values in settings.items()}

    for name in ("settings", "platform"):
        assert keys("explore", name) == keys("develop", name) == keys("production", name)
    both = {name: keys("develop", name).keys() for name in ("settings", "platform")}
    assert both["platform"] == {"database", "runs", "schedule", "alert", "deploy", "monitoring", "resources"}
    assert not both["platform"] & both["settings"]

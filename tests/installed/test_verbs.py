"""A generated project as its user meets it: set up, checked, run and looked at through its verbs."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pexpect
from rig import GIT_IDENTITY, Project, environment, path_without, sh

# What the help of a verb begins with: one more verb.
WORDS = {"add", "answer", "ask", "build", "change", "check", "format", "install", "list", "merge", "open", "put", "run"}
WORDS |= {"mend", "remove", "set", "show", "take", "try"}


def test_setup_makes_environment_repository_hooks_and_first_commit(project: Project) -> None:
    assert (project.folder / "uv.lock").exists()
    assert (project.folder / ".git/hooks/pre-commit").exists()
    assert project.git("log", "--format=%s") == "Begin from copier-ml"
    assert project.git("status", "--porcelain") == ""


def test_setup_again_changes_nothing(project: Project) -> None:
    head, lock = project.git("rev-parse", "HEAD"), (project.folder / "uv.lock").read_bytes()
    said = project.make("setup")
    assert "git has commits already" in said
    assert "the pre-commit hook" in said
    assert (project.git("rev-parse", "HEAD"), (project.folder / "uv.lock").read_bytes()) == (head, lock)


def test_an_untouched_project_passes_its_own_check(project: Project) -> None:
    assert "passed" in project.make("check")
    assert project.git("status", "--porcelain") == ""


def test_make_alone_lists_every_verb(project: Project) -> None:
    listed = project.make()
    for verb in (
        "setup",
        "explore",
        "develop",
        "inside",
        "test",
        "check",
        "format",
        "add",
        "remove",
        "image",
        "scan",
        "deploy",
        "rollback",
        "status",
        "logs",
        "results",
        "sweep",
        "trace",
        "upgrade",
        "update",
    ):
        assert f"make {verb} " in listed
    told = re.findall(r"^  make \S+ +(\w+)\b", listed, re.MULTILINE)
    assert len(told) == len(listed.splitlines())
    assert set(told) <= WORDS, set(told) - WORDS


def test_a_script_shows_orders_and_recommendations_and_writes_nothing(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    shop = generate(tmp_path / "shop", notebooks="none")
    shown = shop.make("explore")
    assert "What sells:" in shown
    assert "customer is missing" in shown
    assert "would like" in shown
    assert shop.git("status", "--porcelain") == ""
    assert shop.written("explore") == ([], [])


def test_develop_then_status_logs_and_results(shop: Project) -> None:
    head = shop.git("rev-parse", "HEAD")
    shown = shop.make("develop")
    assert "300 rows of recommendations" in shown or "301 rows of recommendations" in shown
    assert head in shown
    rows, runs = shop.written()
    assert {row["git_commit"] for row in rows} == {head} == {run["git_commit"] for run in runs}

    for stage in ("explore", "production"):
        header, first, *_ = shop.make("status", f"STAGE={stage}").splitlines()
        assert header.split() == [stage]
        assert first.split() == ["commit", "none", "yet"]
    status = shop.make("status", "STAGE=develop")
    assert "production" not in status
    assert f"{head[:11]} (HEAD)" in status
    assert "ok" in status
    logs = shop.make("logs").splitlines()
    assert f"commit={head}" in logs[0]
    assert any("publish" in line for line in logs)
    assert rows[0]["item_1"] in shop.make("results", "KEY=" + rows[0]["customer"])
    assert """no row with a"b `c` in develop""" in shop.run("make", "results", 'KEY=a"b `c`').stderr
    assert "CUSTOMER= is nothing that results knows; KEY= " in shop.run("make", "results", "CUSTOMER=C0000003").stderr
    report = next(Path(shop.env["BURGER_COMBOS_RUNS__FOLDER"]).glob("*/report.html")).read_text()
    assert head[:11] in report
    assert not re.search(r"(src|href|url|import)[^ ]{1,3}https?:", report)


def test_looking_never_imports_what_the_model_needs(shop: Project) -> None:
    watched = """
import runpy, sys
try:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
finally:
    print("MODULES", *sys.modules)
"""

    def modules(verb: str, *options: str) -> set[str]:
        done = shop.run(
            shop.folder / ".venv/bin/python", "-c", watched, shop.command, verb, "--stage", "develop", *options
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.partition("MODULES")[2].split())

    models = {"numpy", "scipy", "pandera"}
    assert models <= modules("run")
    for verb in ("status", "logs", "results"):
        assert not models & modules(verb), verb


def test_looking_before_the_first_run_says_so(shop: Project) -> None:
    assert shop.make("status").count("none yet") == 3
    for command in ("logs", "results"):
        done = shop.call(command)
        assert done.returncode == 1
        assert "yet in develop" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not Path(shop.env["BURGER_COMBOS_DATABASE__URL"].removeprefix("sqlite:///")).exists()


def test_what_the_command_line_does_not_know_is_one_clear_line(shop: Project) -> None:
    for arguments, message in (
        (("status", "--stage", "prod"), "stage 'prod' is none of explore, develop, production; production is meant?"),
        (("results", "--row", "3"), "No such option: --row"),
        (("results", "--rows", "0"), """'--rows': 1 or more is expected, not "0"\n"""),
        (("results", "--rows", "x"), """'--rows': a whole number is expected, not "x"\n"""),
        (("run", "--date", "2026-13-01"), "'2026-13-01'"),
        (("step", "load"), "'--run-id'"),
        (("runn",), "'runn'"),
    ):
        done = shop.call(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"error: .*\n", done.stderr)
        assert message in done.stderr
    for options, code in (((), 2), (("--help",), 0)):
        done = shop.call(*options)
        assert (done.returncode, done.stderr) == (code, "")
        assert "results" in done.stdout


def test_results_are_json_and_nothing_else_where_that_is_asked_for(shop: Project) -> None:
    shop.make("develop")
    patched = shop.python("""
from burger_combos.ops import records
from burger_combos.ops.settings import Stage, StageSettings, load
settings = load(StageSettings, Stage.develop)
record = records.last(settings)
record.numbers |= {"undefined": float("nan"), "endless": float("-inf")}
records.save(record, settings)
""")
    assert patched.returncode == 0, patched.stderr

    def no_number(name: str) -> None:
        raise AssertionError(f"JSON has no {name}")

    told = json.loads(shop.make("results", "JSON=1", "ROWS=12"), parse_constant=no_number)
    rows, (run,) = shop.written()
    numbers = json.loads(run["record"])["numbers"]
    assert numbers["rows_published"] == len(rows) == told["tables"]["recommendations"]["total"]
    assert (told["stage"], told["date"], told["run"]) == ("develop", str(date.today()), run["run_id"])
    assert told["commit"] == shop.git("rev-parse", "HEAD")
    assert Path(told["report"]).exists()
    assert told["numbers"] == numbers | {"undefined": None, "endless": None}
    assert told["metrics"] == json.loads(run["record"])["metrics"]
    (shown,) = told["tables"].values()
    assert shown["key"] == ["customer"]
    assert shown["rows"] == [{key: row[key] for key in shown["rows"][0]} for row in rows[:12]]
    assert list(shown["rows"][0]) == ["customer", *(f"item_{place}" for place in range(1, 6))]
    wrong = shop.run("make", "results", "JSON=1", "KEY=nobody")
    assert (wrong.returncode, wrong.stdout) == (2, "")


# A pipeline of two tables, none of which has anything to do with the default project's.
OTHER = """
from datetime import date
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import execute
from burger_combos.ops.published import Table, publish
from burger_combos.ops.settings import Stage, load

def forecast(run, settings):
    day = run.record.date
    forecasts = pl.DataFrame({
        "store": ["S01", "S01", "S02"] * 4, "product": ["Classic & fries", "P2", "it's"] * 4,
        "week": sorted(range(1, 5)) * 3, "sold": [0.123456789, 0.25, None] * 4,
    })
    publish(run, settings, {"forecasts": forecasts, "models": pl.DataFrame({"id": [17, 4], "error": [1.0, 1234.56]})})

pipeline.TABLES = (Table("forecasts", key=("store", "product", "week")), Table("models", key=("id",)))
execute.STEPS = (forecast,)
execute.NAMES = ["forecast"]
settings = load(pipeline.Settings, Stage.develop)
execute.run_all(settings, date(2026, 1, 1), "first")
execute.run_all(settings, date(2026, 1, 2), "second")
"""


def test_results_of_any_tables_are_asked_for_by_key_date_and_name(shop: Project, tmp_path: Path) -> None:
    ran = shop.python(OTHER)
    assert ran.returncode == 0, ran.stderr

    def told(*options: str) -> list[str]:
        return [line.rstrip() for line in shop.make("results", *options).partition("\n\npublished ")[0].splitlines()]

    assert told("ROWS=2") == [
        "store  product          week  sold",
        "S01    Classic & fries  1     0.123",
        "S01    Classic & fries  2     0.123",
        "",
        "12 rows of forecasts for 2026-01-02, 2 shown",
        "",
        "id  error",
        "4   1,235",
        "17  1",
        "",
        "2 rows of models for 2026-01-02",
    ]
    one = told("KEY=store=S01 product='Classic & fries' week=3", "DATE=2026-01-01")
    assert one[1:] == ["S01    Classic & fries  3     0.123", "", "1 of 12 rows of forecasts for 2026-01-01"]
    assert "run      first" in shop.make("results", "RUN=first", "TABLE=models")
    assert told('KEY=product="it\'s"')[-1] == "4 of 12 rows of forecasts for 2026-01-02"
    assert told("KEY=17")[1] == "17  1"
    found = json.loads(shop.make("results", "KEY=id=4", "JSON=1"))
    assert found["tables"] == {"models": {"key": ["id"], "total": 2, "rows": [{"id": 4, "error": 1234.56}]}}
    exact = json.loads(shop.make("results", "TABLE=forecasts", "JSON=1"))["tables"]["forecasts"]["rows"]
    assert {row["sold"] for row in exact} == {0.123456789, 0.25, None}
    assert shop.status("STAGE=develop")["develop"]["published"].startswith(
        "12 rows of forecasts, 2 rows of models for 2026-01-02, just now by second of "
    )
    for options, message in {
        ("KEY=week=x",): "KEY: week=x: column week holds whole numbers",
        ("KEY=wek=1",): "no column 'wek'; week is meant?",
        ("TABLE=forecast",): "no table 'forecast'; forecasts is meant?",
        ("KEY=store=S01", "TABLE=models"): "no column 'store'; there are id, error",
        ("DATE=2025-01-01",): "no row in develop for 2025-01-01",
        ("DATE=yesterday",): "'yesterday' does not match the format",
    }.items():
        done = shop.run("make", "results", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


def test_looking_needs_nothing_of_the_pipeline(shop: Project, tmp_path: Path) -> None:
    assert shop.call("run").returncode == 0
    shutil.copytree(shop.folder / "src", tmp_path / "src")
    (tmp_path / "src" / shop.package / "pipeline.py").write_text('raise SystemExit("imported")\n')
    broken = replace(shop, env=shop.env | {"PYTHONPATH": str(tmp_path / "src")})
    for command in ("results", "status"):
        done = broken.call(command)
        assert done.returncode == 0, done.stderr
        assert "rows of recommendations for" in done.stdout
    assert "imported" in broken.call("run").stderr


def test_who_reads_only_the_beginning_is_told_no_error(shop: Project) -> None:
    shop.make("develop")
    verbs = ("results", "results JSON=1", "status", "status STAGE=develop", "logs", "develop")
    for verb in verbs:
        done = shop.run("bash", "-c", f"make {verb} | true; exit ${{PIPESTATUS[0]}}")
        assert done.returncode == 0, verb
        assert not re.search("error|Error|Broken", done.stderr), verb
    assert len(shop.written()[1]) == 2
    done = shop.run("bash", "-c", "make results | head -n 1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "customer", "")


def test_the_command_is_a_module_too_and_a_shell_completes_it(project: Project) -> None:
    for module in ("burger_combos", "burger_combos.ops.cli"):
        shown = project.run(".venv/bin/python", "-m", module, "status", "--help")
        assert shown.returncode == 0, shown.stderr
        assert "--deployed" in shown.stdout
    for typed, offered in (
        (["re"], {"results"}),
        (["results", "--ro"], {"--rows"}),
        (["results", "--stage", "pro"], {"production"}),
    ):
        words = " ".join(["burger-combos", *typed])
        asked = {"_BURGER_COMBOS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(typed))}
        done = sh(project.command, cwd=project.folder, env=environment() | asked)
        assert set(done.stdout.split()) == offered, done.stderr


def test_clean_says_what_it_removes_and_asks(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    assert "no var/develop/main: nothing to remove" in mine.run("make", "clean").stderr
    mine.with_env(ORDERS__SAMPLE__CUSTOMERS="30", GATE__UNJUDGED="pass").make("develop")
    made = mine.folder / "var/develop/main"
    question = "remove var/develop/main, with the reports and rows of its runs (1)?"
    done = mine.run("make", "clean")
    assert done.returncode == 2
    assert f"develop: {question} Nothing was removed; YES=1 says that you mean it\n" in done.stderr
    for answer, stays in (("", True), ("n", True), ("y", False)):
        person = pexpect.spawn("make", ["clean"], cwd=mine.folder, env=environment(), encoding="utf-8", timeout=60)
        person.expect_exact(f"{question} [y/N] ")
        assert made.exists()
        person.sendline(answer)
        person.expect(pexpect.EOF)
        assert ("nothing was removed" in person.before) == stays == made.exists()
    mine.with_env(ORDERS__SAMPLE__CUSTOMERS="30", GATE__UNJUDGED="pass").make("develop")
    mine.make("clean", "YES=1")
    assert not made.exists()


def test_a_changed_file_shows_as_dirty_everywhere(
    generate: Callable[..., Project], project: Project, tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    head = mine.git("rev-parse", "HEAD")
    orders = mine.folder / "src" / mine.package / "orders.py"
    orders.write_text(orders.read_text() + "\n")
    mine.make("develop")
    rows, runs = mine.written()
    assert {row["git_commit"] for row in rows} == {run["git_commit"] for run in runs} == {f"{head}-dirty"}
    assert f"{head[:11]}-dirty (HEAD + changes)" in mine.make("status", "STAGE=develop")
    assert f"{head[:11]}-dirty" in next((mine.folder / "var/develop/main/runs").glob("*/report.html")).read_text()


def test_the_hooks_stop_a_bad_commit(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    (mine.folder / "src" / mine.package / "bad.py").write_text(
        '"""Bad."""\n\n\ndef bad() -> int:\n    """Bad."""\n    x = 1\n    return "a"\n'
    )
    mine.git("add", "-A")
    done = mine.run("git", "commit", "-m", "bad")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "F841" in said
    assert re.search(r"types\.+Failed", said)
    assert mine.git("log", "--format=%s") == "Begin from copier-ml"


UNTYPED = '''"""What stands on a library without types."""

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression


class Likely(BaseEstimator):
    """A user's own estimator."""

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The likelier class of each row."""
        return LogisticRegression().fit(rows, rows[:, 0]).predict(rows)


@delayed
def twice(number: int) -> int:
    """Twice the number."""
    return 2 * number
'''


def test_a_library_of_ones_own_is_one_verb_also_where_there_is_no_uv(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    first = tomllib.loads((mine.folder / "pyproject.toml").read_text())
    env = environment()
    env["PATH"] = path_without("uv")

    def make(*arguments: str) -> tuple[int, str]:
        done = sh("make", *arguments, cwd=mine.folder, env=env)
        return done.returncode, done.stdout + done.stderr

    code, said = make("add", "PACKAGE=scikit-learn joblib")
    assert code == 0, said
    assert "uv: not installed here" in said
    assert (mine.folder / ".venv-uv/bin/uv").exists()
    assert mine.git("status", "--porcelain").split() == ["M", "pyproject.toml", "M", "uv.lock"]
    project = tomllib.loads((mine.folder / "pyproject.toml").read_text())
    assert {"scikit-learn", "joblib"} <= {re.split("[>=]", each)[0] for each in project["project"]["dependencies"]}
    assert "scikit-learn" not in str(project["dependency-groups"])  # which are the template's
    locked = tomllib.loads((mine.folder / "uv.lock").read_text())
    uploads = [wheel["upload-time"] for each in locked["package"] for wheel in each.get("wheels", [])]
    assert max(uploads) < project["tool"]["uv"]["exclude-newer"]

    module = mine.folder / "src" / mine.package / "likely.py"
    module.write_text(UNTYPED)
    code, said = make("check")
    assert code == 0, said
    module.write_text(UNTYPED.replace("from joblib", "from jobbib"))
    code, said = make("check")
    assert code != 0
    assert 'Cannot find implementation or library stub for module named "jobbib"  [import-not-found]' in said
    module.unlink()

    code, said = make("add", "PACKAGE=hypothesis", "GROUP=test")
    assert code == 0, said
    assert mine.run(".venv/bin/python", "-c", "import hypothesis, mypy").returncode == 0
    code, said = make("remove", "PACKAGE=hypothesis")
    assert code != 0
    assert "GROUP=" in said
    assert make("remove", "PACKAGE=hypothesis", "GROUP=test")[0] == 0
    assert make("remove", "PACKAGE=scikit-learn joblib")[0] == 0
    assert mine.run(".venv/bin/python", "-c", "import sklearn").returncode != 0
    assert tomllib.loads((mine.folder / "pyproject.toml").read_text()) == first
    assert mine.git("diff", "--stat", "uv.lock") == ""
    before = mine.git("diff")
    for arguments, message in (
        (("add",), "add: which library? make add PACKAGE=scikit-learn"),
        (("add", "PACKAGE=no-such-library-of-ours"), "no-such-library-of-ours was not found"),
    ):
        code, said = make(*arguments)
        assert code != 0
        assert message in said
    assert mine.git("diff") == before


def test_each_verb_installs_what_it_needs_and_removes_nothing(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    programs = mine.folder / ".venv/bin"

    def installed() -> set[str]:
        return {name for name in ("pytest", "marimo", "mypy", "pre-commit", "ruff") if (programs / name).exists()}

    def sets_up(verb: str) -> bool:
        done = mine.run("make", verb)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "setup:" not in done.stdout  # which somebody reads, or a program
        return "setup:" in done.stderr

    assert sets_up("develop")
    assert [verb for verb in ("status", "logs", "results") if sets_up(verb)] == []
    assert installed() == set()
    assert " passed" in mine.make("test")
    assert installed() == {"pytest"}
    mine.make("explore", "CHECK=1")
    assert installed() == {"pytest", "marimo"}

    (mine.folder / "bad.py").write_text('"""Bad."""\n\nimport os\n')
    mine.git("add", "--all")
    refused = mine.run("git", "commit", "--message", "Bad")
    assert refused.returncode != 0
    assert "setup: the group dev of uv.lock into .venv" in refused.stderr
    assert re.search(r"lint\.+Failed", refused.stdout + refused.stderr)
    everything = {"pytest", "marimo", "mypy", "pre-commit", "ruff"}
    assert installed() == everything
    assert mine.run("rm", "bad.py").returncode == 0

    lock = (mine.folder / "uv.lock").read_bytes()
    for changed in ("pyproject.toml", "uv.lock"):  # both are newer than the environment
        (mine.folder / changed).touch()
        assert sets_up("develop")
        assert installed() == everything
    assert not sets_up("develop")
    assert "check: hooks passed, tests passed" in mine.make("check")
    assert (mine.folder / "uv.lock").read_bytes() == lock


def test_each_step_that_is_skipped_says_why(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    image = re.search("FROM python:([0-9.]+)", (mine.folder / "Dockerfile").read_text())
    nobody = {key: value for key, value in environment().items() if key not in GIT_IDENTITY}
    done = sh("make", "develop", cwd=mine.folder, env=nobody)
    assert (
        "no first commit: git does not know you. Tell it, and make setup again:\n    git config --global user"
        in done.stderr
    )
    assert "commit   uncommitted" in done.stdout
    assert (
        "develop: no container engine answers (docker info says why): in the locked environment of .venv" in done.stderr
    )
    here = mine.run(".venv/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    assert image
    assert (f"Python {here} here, {image[1]} in the image" in done.stderr) == (here != image[1])
    hook = mine.folder / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert "git has a pre-commit hook already: left as it is" in mine.make("setup")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"

    outer = tmp_path / "outer"
    outer.mkdir()
    sh("git", "init", "-q", cwd=outer)
    inner = generate(outer / "inner")
    assert "part of the repository in" in inner.make("setup")
    assert not (inner.folder / ".git").exists()


def test_a_new_project_has_the_versions_of_the_release(project: Project) -> None:
    day = tomllib.loads((project.folder / "pyproject.toml").read_text())["tool"]["uv"]["exclude-newer"]
    lock = (project.folder / "uv.lock").read_text()
    uploads = re.findall(r'upload-time = "([^"]+)"', lock)
    assert len(uploads) > 100
    assert max(uploads) < day


def test_upgrade_moves_the_day_on(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    settings = mine.folder / "pyproject.toml"
    settings.write_text(re.sub(r'(exclude-newer = ")[^T]+', r"\g<1>2026-11-20", settings.read_text()))
    mine.make("setup")
    assert 'exclude-newer = "2026-11-20' in (mine.folder / "uv.lock").read_text()
    mine.make("upgrade")
    assert f'exclude-newer = "{datetime.now(UTC):%Y-%m-%d}' in (mine.folder / "uv.lock").read_text()


def test_a_moved_project_is_set_up_anew(generate: Callable[..., Project], tmp_path: Path) -> None:
    generate(tmp_path / "mine").make("setup")
    (tmp_path / "mine").rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved", "burger_combos")
    assert "rows of recommendations for" in moved.make("develop")
    assert "mine" not in (moved.folder / ".venv/bin/burger-combos").read_text()


def test_where_head_stands_from_the_last_run(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("develop")
    mine.git("commit", "--allow-empty", "--no-verify", "-m", "next")
    assert "(1 commit behind HEAD)" in mine.make("status")
    mine.make("develop")
    mine.git("config", "status.showUntrackedFiles", "no")
    mine.git("reset", "-q", "--hard", "HEAD~1")
    assert "(1 commit ahead of HEAD)" in mine.make("status")
    (mine.folder / "new.py").write_text("")
    assert "-dirty" in mine.make("develop")

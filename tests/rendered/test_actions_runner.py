"""What runs workflows here, held against what GitHub documents of itself."""

import json
import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from actions.expressions import ExpressionError, Open, Scope, Variables, condition, evaluate
from actions.files import WorkflowFile
from actions.runner import Environment, Event, Results, Workflow, WorkflowError
from actions.stand_ins import Call, Failed, cache, upload_artifact
from rig import commit, environment, sh

PUSH = Event("push")
REQUEST = Event("pull_request", branch="topic", commit="topic")

SCOPE = Scope(
    {
        "github": {"ref": "refs/heads/main", "event": {"pull_request": None}, "list": [1, "two", None]},
        "vars": Open(TARGET="Production"),
        "env": Variables(Path="x"),
        "matrix": {"python": 3.1, "os": "linux"},
    },
    {},
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 == 1.0", True),
        ("-1.5e1 < 0x10", True),
        ("'it''s'", "it's"),
        ("null == 0", True),
        ("'' == 0", True),
        ("'12' == 12", True),
        ("'x' == 0", False),
        ("'x' != 0", True),
        ("true == 'true'", False),  # both become numbers
        ("'ABC' == 'abc'", True),
        ("'b' > 'A'", True),
        ("NaN == NaN", False),
        ("github.list == github.list", True),
        ("github.list < github.list", False),
        ("1 < 2 == true", True),
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("!true == false", True),
        ("!(1 == 2)", True),
        ("'' || 'or'", "or"),
        ("'a' && 'b'", "b"),
        ("0 && 'b'", 0),
        ("1 >= 1 && 1 <= 1", True),
        ("github.ref", "refs/heads/main"),
        ("GitHub['REF']", "refs/heads/main"),
        ("github.list[1]", "two"),
        ("github.list[9]", None),
        ("github.event.pull_request.head.sha", None),
        ("vars.target", "Production"),
        ("vars.none.deeper", None),
        ("env.Path", "x"),
        ("env.PATH", None),
        ("contains('Hello', 'ELL')", True),
        ("contains(github.list, 'TWO')", True),
        ("contains(fromJSON('[\"a\", 1]'), 2)", False),
        ("startsWith(github.ref, 'REFS/')", True),
        ("endsWith(github.ref, 'main')", True),
        ("format('{0}-{1}-{{0}}', 'a', matrix.python)", "a-3.1-{0}"),
        ("join(github.list, ' ')", "1 two "),
        ("join(github.list)", "1,two,"),
        ('fromJSON(\'{"a": {"b": 2}}\').a.b', 2),
        ("fromJSON(toJSON(matrix)).os", "linux"),
        ("toJSON(fromJSON('[1]'))", "[\n  1\n]"),
    ],
)
def test_value(source: str, value: object) -> None:
    assert evaluate(f"${{{{ {source} }}}}", SCOPE) == value
    assert type(evaluate(f"${{{{{source}}}}}", SCOPE)) in (type(value), float)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "ends too early"),
        ("1 ==", "ends too early"),
        ("1 2", "`2` is not expected"),
        ("(1", "`)` is missing"),
        ("a b", "`b` is not expected"),
        ("'open", "without its end"),
        ("1 & 2", "cannot read `& 2`"),
        ("1x", "cannot read `1x`"),
        ("github.", "ends too early"),
        ("github.*", "cannot read `*`"),
        ("github.1", "`.1` is not expected"),
        ("join(1,)", "`)` is not expected"),
        ("secrets.TOKEN", "not known here: secrets"),
        ("true || needs.x", "not known here: needs"),
        ("success()", "not known here: success"),
        ("false && nothing()", "not known here: nothing"),
        ("github.reff", "no reff among: ref, event, list"),
        ("github.ref.name", "has no properties"),
        ("fromJSON('{\"a\": 1}').b", "no b among: a"),
        ("fromJSON('{')", "Expecting"),
        ("format('{1}', 'a')", "format has nothing for `{1}`"),
        ("format('{', 'a')", "format has nothing for `{`"),
        ("contains('a')", "argument"),
    ],
)
def test_not_a_value(source: str, said: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(f"${{{{ {source} }}}}", SCOPE)
    assert said in str(error.value)


def test_texts() -> None:
    assert evaluate("a ${{ 1 }}${{ 'b}}' }} ${{ null }}${{ 1.50 }} ${{ true }}", SCOPE) == "a 1b}} 1.5 true"
    assert evaluate("${{ matrix }} ${{ github.list }}", SCOPE) == "Object Array"
    assert evaluate({"a": ["${{ 1 == 1 }}", 2, None]}, SCOPE) == {"a": [True, 2, None]}
    assert math.isnan(evaluate("${{ NaN }}", SCOPE))
    with pytest.raises(ExpressionError, match="without its end"):
        evaluate("a ${{ 1", SCOPE)


def test_condition() -> None:
    def holds(source: Any, success: bool = True) -> bool:
        status = {"success": lambda: success, "failure": lambda: not success, "always": lambda: True}
        return condition(source, replace(SCOPE, functions=status))

    assert holds(None)
    assert not holds(None, False)
    assert holds("github.ref == 'refs/heads/main'")
    assert not holds("github.ref == 'refs/heads/main'", False)
    assert holds("${{ always() && github.ref }}", False)
    assert holds("failure() || false", False)
    assert not holds("failure()")
    assert not holds(False)
    assert not holds("'always()' && true", False)
    with pytest.raises(ExpressionError, match="always true"):
        holds("${{ github.ref }} == 'x'")
    with pytest.raises(ExpressionError, match="secrets"):
        holds("secrets.TOKEN != ''", False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose branch `topic` is behind `main` by one commit and before it by another."""
    folder = tmp_path_factory.mktemp("repository")
    git = ["git", "-C", str(folder)]
    (folder / "file").write_text("file\n")
    commit(folder, "first")
    sh(*git, "branch", "-m", "main", cwd=folder)
    sh(*git, "checkout", "-qb", "topic", cwd=folder)
    (folder / "topic").write_text("topic\n")
    commit(folder, "second")
    sh(*git, "checkout", "-q", "main", cwd=folder)
    (folder / "main").write_text("main\n")
    commit(folder, "third")
    return folder


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Workflow]:
    """Write and read a workflow; its parts are given as YAML."""

    def make(jobs: str, on: str = "[push, pull_request]", more: str = "") -> Workflow:
        file = tmp_path / "check.yml"
        file.write_text(f"on: {on}\n{more}\njobs:\n" + jobs)
        return Workflow.read(file)

    return make


@pytest.fixture
def run(read: Callable[..., Workflow], repository: Path) -> Callable[..., Results]:
    """Run a workflow of these jobs."""

    def start(
        jobs: str, event: Event = PUSH, on: str = "[push, pull_request]", more: str = "", **given: Any
    ) -> Results:
        return read(jobs, on, more).run(repository, event, env=environment() | {"GITHUB_OUTER": "1"}, **given)

    return start


@pytest.fixture
def steps(run: Callable[..., Results]) -> Callable[..., Results]:
    """Run a workflow of one job of these steps; `above` is what else the job has."""

    def start(written: str, above: str = "", **given: Any) -> Results:
        indented = "".join(f"      {line}\n" for line in written.strip("\n").splitlines())
        return run(f"  it:\n    runs-on: ubuntu-latest\n{above}    steps:\n{indented}", **given)

    return start


def test_steps(steps: Callable[..., Results]) -> None:
    done = steps("""
- run: echo one; echo two >&2
- name: Fails
  id: bad
  run: |
    false
    echo not reached
- run: echo skipped
- if: failure()
  name: After ${{ steps.bad.outcome }}
  run: echo "${{ job.status }} $CI $GITHUB_ACTIONS $RUNNER_OS [${GITHUB_OUTER-}]"
""")
    job = done["it"]
    assert [step.outcome for step in job.steps] == ["success", "failure", "skipped", "success"]
    assert job.step("After failure").output == "failure true true Linux []\n"
    assert (job.result, job.failed, done.results) == ("failure", "Fails", {"it": "failure"})
    assert job.output.startswith("one\ntwo\nProcess completed with exit code 1.\n")
    assert str(done).splitlines()[:4] == [
        "it: failure",
        "  success  Run echo one; echo two >&2",
        "  failure  Fails",
        "    | Process completed with exit code 1.",
    ]


def test_shells_and_folders(steps: Callable[..., Results]) -> None:
    done = steps(
        """
- uses: actions/checkout@v5
- run: false | true; echo $0; pwd; mkdir -p a/b
- run: pwd
  working-directory: a
- name: pipe
  shell: bash
  run: false | true
  continue-on-error: true
- run: echo never
  working-directory: none
""",
        more="defaults: {run: {working-directory: .}}",
    )
    job = done["it"]
    assert [step.outcome for step in job.steps] == ["success", "success", "success", "failure", "failure"]
    assert job.step("pipe").conclusion == "success"
    script, folder = job.steps[1].output.splitlines()
    assert script.endswith(".sh") and folder.endswith("/work/shop/shop")
    assert job.steps[2].output == f"{folder}/a\n"
    assert job.steps[4].output == f"No such file or directory: {folder}/none\n"


def test_files_that_steps_write(steps: Callable[..., Results]) -> None:
    done = steps("""
- id: a
  run: |
    mkdir "$RUNNER_TEMP/bin"
    printf '#!/bin/sh\\necho found\\n' > "$RUNNER_TEMP/bin/tool"; chmod +x "$RUNNER_TEMP/bin/tool"
    echo "$RUNNER_TEMP/bin" >> "$GITHUB_PATH"
    echo "one=a=b" >> "$GITHUB_OUTPUT"
    printf 'two<<EOF\\nx\\n\\ny=1\\nEOF\\n' >> "$GITHUB_OUTPUT"
    echo "MINE=kept" >> "$GITHUB_ENV"
    echo "GITHUB_SHA=never" >> "$GITHUB_ENV"
    echo "# A" >> "$GITHUB_STEP_SUMMARY"
- run: tool; echo "$MINE $GITHUB_SHA ${{ env.MINE }}"; echo B >> "$GITHUB_STEP_SUMMARY"
- run: echo "$MINE ${{ env.MINE }}"
  env: {MINE: step}
- run: echo '${{ toJSON(steps.a.outputs.two) }} ${{ steps.a.outputs.one }}'
- run: echo nonsense >> "$GITHUB_ENV"
""")
    job = done["it"]
    assert job.summary == "# A\nB\n"
    found = job.steps[1].output.split()
    assert (found[0], found[1], found[3], len(found[2])) == ("found", "kept", "kept", 40)
    assert job.steps[2].output == "step step\n"
    assert job.steps[3].output == '"x\\n\\ny=1" a=b\n'
    assert (job.failed, job.steps[4].output) == (job.steps[4].name, "Invalid format 'nonsense'\n")
    assert "delimiter not found" in steps("- run: echo 'a<<END' >> $GITHUB_OUTPUT")["it"].output


def test_environments(steps: Callable[..., Results]) -> None:
    done = steps(
        """
- run: echo "$A $B $C $D"
  env: {C: "${{ env.B }}", D: "${{ secrets.S }}"}
- if: env.C == 'step'
  env: {C: step}
  run: echo reached
""",
        above="    env: {B: job, C: 1.5}\n",
        more="env: {A: '${{ vars.V }}', B: on}",
        secrets={"S": "hidden"},
        variables={"V": "open"},
    )
    assert done["it"].output == "open job job hidden\nreached\n"


def test_background_and_timeout(steps: Callable[..., Results], tmp_path: Path) -> None:
    began = time.monotonic()
    done = steps(f"""
- run: (sleep 1.5; touch {tmp_path}/outlived) &
- run: sleep 60
  timeout-minutes: 0.01
""")
    assert time.monotonic() - began < 20
    assert "Ended after 0.6 seconds." in str(done)
    time.sleep(1.5)
    assert not (tmp_path / "outlived").exists()


def test_outputs_across_jobs(run: Callable[..., Results]) -> None:
    done = run("""
  last:
    needs: [first, not]
    if: "!cancelled()"
    runs-on: x
    steps: [{run: "echo ${{ needs.first.outputs.image }} ${{ needs.not.result }}[${{ needs.not.outputs.a }}]"}]
  first:
    runs-on: x
    outputs: {image: "shop:${{ steps.it.outputs.tag }}", none: "${{ steps.off.outputs.tag }}"}
    steps:
      - {id: it, run: echo tag=1 >> $GITHUB_OUTPUT}
      - {id: off, if: false, run: "true"}
  not:
    if: github.event_name == 'schedule'
    runs-on: x
    outputs: {a: b}
    steps: [{run: exit 1}]
""")
    assert [*done] == ["first", "not", "last"]
    assert done["first"].outputs == {"image": "shop:1", "none": ""}
    assert done["last"].output == "shop:1 skipped[]\n"


def test_a_job_that_is_taken_for_passed_is_not_run(run: Callable[..., Results]) -> None:
    done = run(
        """
  bad: {runs-on: x, outputs: {a: b}, steps: [{run: exit 1}]}
  after: {runs-on: x, needs: bad, steps: [{run: "echo ${{ needs.bad.result }}[${{ needs.bad.outputs.a }}]"}]}
""",
        passed=["bad"],
    )
    assert [*done] == ["after"]
    assert done["after"].output == "success[]\n"


def test_needs(run: Callable[..., Results]) -> None:
    def job(name: str, needs: str, more: str = "", steps: str = "[{run: 'true'}]") -> str:
        return f"  {name}: {{runs-on: x, needs: {needs}, steps: {steps}, {more}}}\n"

    done = run(
        job("bad", "[]", steps="[{run: 'false'}]")
        + job("after", "bad")
        + job("further", "after")
        + job("always", "after", "if: always()")
        + job("then", "always")
        + job("failure", "[always]", "if: failure()")
        + job("result", "bad", "if: \"!cancelled() && needs.bad.result == 'failure'\"")
        + job("good", "[]")
        + job("no-failure", "good", "if: failure()")
    )
    assert done.results == {
        "bad": "failure",
        "after": "skipped",
        "further": "skipped",
        "always": "success",
        "then": "skipped",  # for `bad` is before it too
        "failure": "success",
        "result": "success",
        "good": "success",
        "no-failure": "skipped",
    }


def test_matrix(run: Callable[..., Results]) -> None:
    done = run("""
  it:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [a, b]
        python: ["3.11", 3.12]
        exclude: [{os: b, python: "3.11"}]
        include: [{os: a, more: x}, {os: c}, {every: 1}]
    outputs: {last: "${{ steps.it.outputs.os }}"}
    steps: [{id: it, run: "echo '${{ matrix.os }} ${{ matrix.python }} ${{ matrix.more }}' | tee out
                            && test '${{ matrix.os }}' != b && echo os=${{ matrix.os }} >> $GITHUB_OUTPUT"}]
  after:
    needs: it
    if: always()
    runs-on: x
    strategy: {matrix: "${{ fromJSON('{\\"n\\": [1]}') }}"}
    steps: [{run: "echo ${{ needs.it.result }} ${{ needs.it.outputs.last }} ${{ matrix.n }}"}]
""")
    assert done.results == {
        "it (a, 3.11, x, 1)": "success",
        "it (a, 3.12, x, 1)": "success",
        "it (b, 3.12, 1)": "failure",
        "it (c)": "success",
        "after (1)": "success",
    }
    assert done["it (a, 3.12, x, 1)"].output == "a 3.12 x\n"
    assert done["it (c)"].output == "c  \n"
    assert done["after (1)"].output == "failure c 1\n"


def test_checkout(steps: Callable[..., Results], repository: Path) -> None:
    look = "git symbolic-ref -q --short HEAD || echo detached; git rev-list --count HEAD; ls; git rev-parse HEAD"

    def seen(event: Event, inputs: str = "{}") -> list[str]:
        job = steps(f"- {{uses: actions/checkout@v5, with: {inputs}}}\n- run: {look}", event=event)["it"]
        assert job.result == "success", str(job)
        return job.steps[1].output.split()

    def at(name: str) -> str:
        return sh("git", "rev-parse", name, cwd=repository).stdout.strip()

    assert seen(PUSH) == ["main", "1", "file", "main", at("main")]
    assert seen(replace(PUSH, commit="main~1")) == ["main", "1", "file", at("main~1")]
    assert seen(replace(PUSH, commit="main~1"), "{fetch-depth: 0}") == ["main", "1", "file", at("main~1")]
    assert seen(replace(PUSH, branch="topic", commit="topic")) == ["topic", "1", "file", "topic", at("topic")]
    assert seen(REQUEST)[:-1] == ["detached", "1", "file", "main", "topic"]
    assert seen(REQUEST, "{fetch-depth: 0}")[:2] == ["detached", "4"]
    assert seen(REQUEST, "{ref: '${{ github.event.pull_request.head.sha }}'}")[0::4] == ["detached", at("topic")]
    assert seen(PUSH, "{ref: topic, persist-credentials: false}")[:2] == ["topic", "1"]
    assert seen(PUSH, "{ref: first}") == ["detached", "1", "file", at("first")]
    assert "'none' could not be found" in steps("- {uses: actions/checkout@v5, with: {ref: none}}")["it"].output
    with pytest.raises(WorkflowError, match="actions/checkout: inputs not known here: lfs"):
        steps("- {uses: actions/checkout@v5, with: {lfs: true}}")
    assert sh("git", "status", "--short", cwd=repository).stdout == ""
    assert "refs/pull" not in sh("git", "for-each-ref", cwd=repository).stdout


def test_jobs_share_no_files(run: Callable[..., Results]) -> None:
    done = run("""
  one:
    runs-on: x
    steps: [{uses: actions/checkout@v5}, {run: touch left $RUNNER_TEMP/left}]
  two:
    needs: one
    runs-on: x
    steps: [{run: "ls -A . $RUNNER_TEMP"}]
""")
    assert "left" not in done["two"].output
    assert "file" not in done["two"].output


def test_two_runs_in_one_place(steps: Callable[..., Results], tmp_path: Path) -> None:
    seen = [steps("- run: pwd; ls -A; touch left", place=tmp_path)["it"].output for _ in range(2)]
    assert seen == [f"{tmp_path}/work/shop/shop\n"] * 2


def test_github_context(steps: Callable[..., Results], repository: Path) -> None:
    show = """
- run: |
    echo $GITHUB_EVENT_NAME $GITHUB_REF $GITHUB_REF_NAME [$GITHUB_HEAD_REF] $GITHUB_REPOSITORY $GITHUB_ACTOR
    echo ${{ github.sha == env.GITHUB_SHA }} [${{ github.event.pull_request.head.sha }}] ${{ github.event.action }}
    echo ${{ github.event.repository.default_branch }} [${{ secrets.S }}] [${{ vars.V }}] ${{ github.event.before }}
    test ${{ github.sha }} = $GITHUB_SHA && test -d "$GITHUB_WORKSPACE" && grep -q default_branch "$GITHUB_EVENT_PATH"
"""
    given: dict[str, Any] = {"secrets": {"S": "secret"}, "variables": {"V": "open"}}
    push = steps(show, event=PUSH, **given)["it"]
    before = sh("git", "rev-parse", "main~1", cwd=repository).stdout.strip()
    assert push.output.splitlines() == [
        "push refs/heads/main main [] ada/shop ada",
        "false []",
        f"main [secret] [open] {before}",
    ]
    assert steps(show, event=replace(PUSH, before=before[:7]), **given)["it"].output.endswith(f" {before[:7]}\n")
    root = sh("git", "rev-parse", "main~1", cwd=repository).stdout.strip()
    assert steps(show, event=replace(PUSH, commit=root), **given)["it"].output.endswith(f" {'0' * 40}\n")
    head = sh("git", "rev-parse", "topic", cwd=repository).stdout.strip()
    request = steps(show, event=replace(REQUEST, from_fork=True), **given)["it"]
    assert request.result == "success"
    assert request.output.splitlines() == [
        "pull_request refs/pull/7/merge 7/merge [topic] ada/shop ada",
        f"false [{head}] opened",
        "main [] []",
    ]
    full_name = "- run: echo ${{ github.event.pull_request.head.repo.full_name == github.repository }}"
    assert steps(full_name, event=REQUEST)["it"].output == "true\n"
    assert steps(full_name, event=replace(REQUEST, from_fork=True))["it"].output == "false\n"


def test_inputs(steps: Callable[..., Results]) -> None:
    on = """
  workflow_dispatch:
    inputs:
      stage: {type: choice, options: [test, live], required: true}
      dry: {type: boolean, default: true}
      note:
"""
    show = (
        "- run: echo ${{ inputs.stage }} ${{ inputs.dry == true }} ${{ github.event.inputs.dry }} [${{ inputs.note }}]"
    )
    hand = Event("workflow_dispatch")
    assert steps(show, on=on, event=hand, inputs={"stage": "live"})["it"].output == "live true true []\n"
    given = {"stage": "test", "dry": "false", "note": "x"}
    assert steps(show, on=on, event=hand, inputs=given)["it"].output == "test false false [x]\n"
    for wrong in ({}, {"stage": "none"}, {"stage": "test", "dry": "maybe"}, {"stage": "test", "other": "x"}):
        with pytest.raises(WorkflowError, match="input"):
            steps(show, on=on, event=hand, inputs=wrong)


@pytest.mark.parametrize(
    ("on", "event", "starts"),
    [
        ("push", PUSH, True),
        ("push", REQUEST, False),
        ("[push, pull_request]", REQUEST, True),
        ("{push: {branches: [main]}}", PUSH, True),
        ("{push: {branches: main}}", replace(PUSH, branch="topic"), False),
        ("{push: {branches: ['release/*']}}", replace(PUSH, branch="release/1"), True),
        ("{push: {branches: ['release/*']}}", replace(PUSH, branch="release/1/x"), False),
        ("{push: {branches: ['**', '!release/**']}}", replace(PUSH, branch="release/1/x"), False),
        ("{push: {branches-ignore: [main]}}", PUSH, False),
        ("{pull_request: {branches: [main]}}", REQUEST, True),
        ("{pull_request: {branches: [topic]}}", REQUEST, False),
        ("pull_request", replace(REQUEST, action="closed"), False),
        ("{pull_request: {types: [closed]}}", replace(REQUEST, action="closed"), True),
        ("{pull_request: }", REQUEST, True),
        ("{schedule: [{cron: '0 4 * * *'}], workflow_dispatch: }", Event("schedule"), True),
        ("{schedule: [{cron: '0 4 * * *'}], workflow_dispatch: }", Event("workflow_dispatch"), True),
        ("{schedule: [{cron: '0 4 * * *'}], workflow_dispatch: }", PUSH, False),
    ],
)
def test_events(read: Callable[..., Workflow], on: str, event: Event, starts: bool) -> None:
    assert read("  it: {runs-on: x, steps: []}\n", on).starts_on(event) == starts


def test_called_workflow(run: Callable[..., Results], tmp_path: Path) -> None:
    (tmp_path / "called.yml").write_text("""
on:
  push:
  workflow_call:
    inputs: {stage: {type: string, required: true}, dry: {type: boolean}}
    outputs: {image: {value: "${{ jobs.one.outputs.image }}"}}
concurrency: {group: "${{ github.event_name }}", queue: max}
jobs:
  one:
    runs-on: x
    outputs: {image: "${{ steps.it.outputs.image }}"}
    steps: [{id: it, run: "echo image=$GITHUB_EVENT_NAME-${{ inputs.stage }}-${{ inputs.dry }} >> $GITHUB_OUTPUT"}]
  two:
    needs: one
    runs-on: x
    steps: [{run: "echo [${{ secrets.S }}] ${{ secrets.GITHUB_TOKEN == github.token }}"}]
""")
    call = "uses: ./.github/workflows/called.yml"
    jobs = f"""
  out: {{{call}, with: {{stage: live, dry: true}}}}
  in: {{{call}, needs: out, with: {{stage: "${{{{ needs.out.outputs.image }}}}"}}, secrets: inherit}}
  off: {{{call}, if: false, with: {{stage: x}}}}
  end: {{needs: off, if: always(), runs-on: x, steps: [{{run: "echo '${{{{ toJSON(needs.off) }}}}'"}}]}}
"""
    done = run(jobs, secrets={"S": "hidden"})
    assert [*done] == ["out / one", "out / two", "in / one", "in / two", "off", "end"]
    assert {*done.results.values()} == {"success", "skipped"}, str(done)
    assert done["out / one"].outputs == {"image": "push-live-true"}
    assert done["out / two"].output == "[] true\n"
    assert done["in / one"].outputs == {"image": "push-push-live-true-false"}
    assert (done["in / two"].name, done["in / two"].output) == ("in / two", "[hidden] true\n")
    assert json.loads(done["end"].output) == {"result": "skipped", "outputs": {"image": ""}}
    with pytest.raises(WorkflowError, match="job it: the input stage cannot be ''"):
        run(f"  it: {{{call}}}")
    with pytest.raises(WorkflowError, match=r"check.yml: check.yml cannot be called"):
        run("  it: {uses: ./.github/workflows/check.yml}")


def test_workflow_called_for_each_combination_of_a_matrix(run: Callable[..., Results], tmp_path: Path) -> None:
    """Of an environment's secrets it gets, unless it inherits all, no more than the names that it is passed."""
    (tmp_path / "called.yml").write_text("""
on: {workflow_call: {inputs: {name: {type: string}}, outputs: {last: {value: "${{ jobs.one.outputs.name }}"}}}}
jobs:
  one:
    runs-on: x
    environment: ${{ inputs.name }}-live
    outputs: {name: "${{ inputs.name }}"}
    steps: [{run: "echo ${{ inputs.name }} [${{ secrets.KEY }}] [${{ secrets.OWN }}] && test ${{ inputs.name }} != b"}]
""")
    call = "uses: ./.github/workflows/called.yml, with: {name: '${{ matrix.name }}'}"
    matrix = (
        """strategy: {matrix: "${{ fromJSON('{\\"include\\": [{\\"name\\": \\"a\\"}, {\\"name\\": \\"b\\"}]}') }}"}"""
    )
    jobs = f"""
  all: {{{matrix}, {call}, secrets: inherit}}
  one: {{{matrix}, {call}, secrets: {{KEY: "${{{{ secrets.KEY }}}}"}}}}
  none: {{{matrix}, {call}}}
  end: {{needs: all, if: always(), runs-on: x, steps: [{{run: "echo ${{{{ needs.all.outputs.last }}}}"}}]}}
"""
    live = {f"{name}-live": Environment({}, {"KEY": f"key {name}", "OWN": f"own {name}"}) for name in "ab"}
    done = run(jobs, secrets={"KEY": "mine"}, environments=live)
    assert [done[f"{job} (a) / one"].output for job in ("all", "one", "none")] == [
        "a [key a] [own a]\n",
        "a [key a] []\n",
        "a [] []\n",
    ]
    assert done.results["all (b) / one"] == "failure"
    assert done["all (b) / one"].output.startswith("b [key b] [own b]\n")
    assert done["end"].output == "b\n"


def test_environment(run: Callable[..., Results]) -> None:
    def job(more: str) -> str:
        show = "echo ${{ vars.HOST }} ${{ vars.ALL }} [${{ secrets.KEY }}] ${{ env.HOST }}"
        return f"{{runs-on: x, env: {{HOST: '${{{{ vars.HOST }}}}'}}, steps: [{{run: '{show}'}}], {more}}}"

    other = """environment: {name: "${{ format('{0}', 'other') }}", url: 'https://${{ env.HOST }}'}"""
    jobs = f"  none: {job('')}\n  live: {job('environment: live')}\n  other: {job(other)}\n"
    environments = {"live": Environment({"HOST": "b"}, {"KEY": "key"})}
    done = run(jobs, variables={"HOST": "a", "ALL": "all"}, environments=environments)
    assert [job.output for job in done.values()] == ["a all [] a\n", "b all [key] b\n", "a all [] a\n"]


def test_push(steps: Callable[..., Results], repository: Path, tmp_path: Path) -> None:
    done = steps(
        """
- uses: actions/checkout@v5
- run: git switch -qc new && echo new > new && git add --all && git commit -qm New && git push -q origin new
""",
        place=tmp_path,
    )
    assert done["it"].result == "success", str(done)
    assert sh("git", "log", "--format=%s", "new", cwd=tmp_path / "origin.git").stdout.split()[:2] == ["New", "third"]
    assert sh("git", "branch", "--list", "new", cwd=repository).stdout == ""


def test_nothing_runs_on_other_events(run: Callable[..., Results]) -> None:
    done = run("  it: {runs-on: x, steps: [{run: exit 1}]}", on="pull_request")
    assert done == {}
    assert str(done) == "no job ran"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on: push\njobs: {}\nnam: x", "not known here: nam"),
        ("jobs: {}", "missing: on"),
        ("on: [push, merge_group]\njobs: {}", "events not known here: merge_group"),
        ("on: {push: {paths: [a]}}\njobs: {}", "on push: not known here: paths"),
        ("on: push\non: push\njobs: {}", "a key comes twice"),
        ("on: push\njobs: {a: {runs-on: x}}", "job a: missing: steps"),
        ("on: push\njobs: {a: {runs-on: x, steps: [], container: y}}", "job a: not known here: container"),
        ("on: push\njobs: {a: {runs-on: x, steps: [], services: {}}}", "job a: not known here: services"),
        ("on: push\njobs: {a: {runs-on: x, steps: [], needs: b}}", "needs that cannot be met: a"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: y, with: {}}]}}", "job a: step 1: not known here: with"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{uses: y@1, run: z}]}}", "step 1: not known here: run"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{uses: y}]}}", "no version: y"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{name: y}]}}", "missing: run"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: y, shell: sh}]}}", "only bash is known here, not sh"),
        ("on: push\ndefaults: {run: {shell: pwsh}}\njobs: {}", "only bash"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: y, id: b}, {run: z, id: b}]}}", "two steps with one id"),
        ("on: push\nenv: none\njobs: {}", "not a mapping: none"),
        ("on: push\njobs: {a: {uses: ./.github/workflows/b.yml, env: {}}}", "job a: not known here: env"),
        ("on: push\njobs: {a: {uses: o/r/.github/workflows/b.yml@v1}}", "job a: only a workflow of the same repo"),
    ],
)
def test_unknown_in_a_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "check.yml").write_text(text)
    with pytest.raises(WorkflowError, match=f"^check.yml: .*{said}"):
        Workflow.read(tmp_path / "check.yml")


def test_yaml_is_as_github_reads_it(read: Callable[..., WorkflowFile]) -> None:
    tree = read("  it: {runs-on: x, steps: [], env: {A: yes, B: 1, C: 1.10, D: true, E: ~, F: 2026-01-01}}\n").tree
    assert tree["jobs"]["it"]["env"] == {"A": "yes", "B": 1, "C": 1.1, "D": True, "E": None, "F": "2026-01-01"}
    assert "on" in tree
    assert True in yaml.safe_load("on: push")


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ("{a: {runs-on: x, steps: [{uses: some/action@v1}]}}", "check.yml: no stand-in for some/action"),
        ("{a: {runs-on: x, if: env.A, steps: []}}", "job a: `env.A`: not known here: env"),
        ("{a: {runs-on: x, if: secrets.A, steps: []}}", "job a: .* not known here: secrets"),
        ("{a: {runs-on: x, if: github.job == 'a', steps: []}}", "no job among"),
        ("{a: {runs-on: x, steps: [{if: secrets.A, run: y}]}}", "job a: step 1: .* not known here: secrets"),
        ("{a: {runs-on: x, steps: [{run: '${{ success() }}'}]}}", "not known here: success"),
        ("{a: {runs-on: x, steps: [{run: '${{ steps.b.outputs.c }}'}]}}", "no b among: nothing"),
        ("{a: {runs-on: x, steps: [{id: b, run: ':'}, {run: '${{ steps.b.outputs.c }}'}]}}", "no c among: nothing"),
        ("{a: {runs-on: x, steps: [{run: '${{ github.event.release }}'}]}}", "no release among"),
        ("{a: {runs-on: x, steps: [{run: '${{ matrix.a }}'}]}}", "no a among: nothing"),
        ("{a: {runs-on: '${{ x }}', steps: []}}", "not known here: x"),
        ("{a: {runs-on: x, outputs: {o: '${{ secrets.S }}'}, steps: []}}", "the output o has a secret in it"),
        ("{a: {runs-on: x, strategy: {matrix: {n: 1}}, steps: []}}", "no list of values in the matrix: n"),
        ("{a: {runs-on: x, strategy: {matrix: {include: []}}, steps: []}}", "a matrix without a combination"),
        (
            "{a: {runs-on: x, steps: []}, b: {runs-on: x, steps: [{run: '${{ needs.a.result }}'}]}}",
            "no a among: nothing",
        ),
    ],
)
def test_unknown_in_a_run(run: Callable[..., Results], jobs: str, said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        run(f"  {jobs}", secrets={"S": "hidden"})


def test_stand_ins(steps: Callable[..., Results]) -> None:
    told: list[str] = []

    def setup(call: Call) -> dict[str, str]:
        assert call.expect("version", "cache") == {"version": "1.2", "cache": ""}
        with Path(call.env["GITHUB_ENV"]).open("a") as file:
            file.write("FROM_ACTION=yes\n")
        return {"path": f"{call.folder.name}/{call.inputs['version']}"}

    def after(call: Call) -> Generator[dict[str, str], bool, None]:
        good = yield {}
        told.append(f"{call.inputs['n']} {good}")

    def refuses(call: Call) -> None:
        raise Failed("no entry")

    uses = {"a/setup": setup, "a/after": after, "a/login": refuses}
    done = steps(
        """
- {uses: a/setup@v1, id: it, with: {version: "1.${{ format('{0}', 2) }}"}}
- {uses: a/after@v1, with: {n: 1}}
- {uses: a/after@v1, with: {n: 2}}
- run: echo $FROM_ACTION ${{ steps.it.outputs.path }}
- uses: a/login@v1
""",
        uses=uses,
    )
    assert told == ["2 False", "1 False"]
    job = done["it"]
    assert job.steps[3].output == "yes shop/1.2\n"
    assert (job.failed, job.step("Run a/login@v1").output) == ("Run a/login@v1", "no entry\n")
    assert [step.name for step in job.steps][-2:] == ["Post a/after", "Post a/after"]


def test_cache(steps: Callable[..., Results], tmp_path: Path) -> None:
    def started(key: str, then: str = "true") -> str:
        done = steps(
            f"""
- uses: actions/checkout@v5
- uses: actions/cache@v4
  id: cache
  with:
    path: |
      .venv
      ${{{{ runner.temp }}}}/more
    key: v-${{{{ hashFiles('file', '**/none') }}}}-{key}
    restore-keys: |
      none
      v-
- run: |
    echo "[${{{{ steps.cache.outputs.cache-hit }}}}] $(cat .venv/a "$RUNNER_TEMP/more" 2>&1 | tr '\\n' ' ')"
    mkdir -p .venv; echo {key} > .venv/a; echo more > "$RUNNER_TEMP/more"; ln -sf a .venv/link
- run: {then}
""",
            uses={"actions/cache": cache(tmp_path / "cache")},
        )
        return done["it"].steps[2].output.strip()

    assert "No such file" in started("1", "false")  # which saves nothing
    assert started("1").startswith("[] cat: ")
    assert started("2") == "[false] 1 more"
    assert started("3") == "[false] 2 more"
    assert started("1") == "[true] 1 more"
    assert len([*(tmp_path / "cache").iterdir()]) == 3
    uses = {"actions/cache/restore": cache(tmp_path / "cache", saves=False)}
    done = steps("- {uses: actions/cache/restore@v4, with: {path: .venv, key: other}}\n- run: mkdir .venv", uses=uses)
    assert done["it"].result == "success"
    assert len([*(tmp_path / "cache").iterdir()]) == 3


def test_artifacts(steps: Callable[..., Results], tmp_path: Path) -> None:
    def kept(path: str, more: str = "", then: str = "") -> set[str]:
        store = tmp_path / str(time.time_ns())
        done = steps(
            "- run: mkdir -p out/deep .hidden; touch out/a.txt out/deep/b.txt out/.c .hidden/d e.txt\n"
            f"- {{uses: actions/upload-artifact@v4, with: {{name: it, path: '{path}', {more}}}}}\n{then}",
            uses={"actions/upload-artifact": upload_artifact(store)},
        )
        assert done["it"].result == ("failure" if then or "error" in more else "success"), str(done)
        return {str(file.relative_to(store / "it")) for file in store.rglob("*") if file.is_file()}

    assert kept("out") == {"a.txt", "deep/b.txt"}
    assert kept("out/", "include-hidden-files: true") == {"a.txt", "deep/b.txt", ".c"}
    assert kept("out/**/*.txt") == {"a.txt", "deep/b.txt"}
    assert kept("e.txt") == {"e.txt"}
    assert kept("e.txt\n\n          out/deep") == {"e.txt", "out/deep/b.txt"}
    assert kept(".hidden") == set()
    assert kept("none", "if-no-files-found: error") == set()
    assert kept("out", then="- {uses: actions/upload-artifact@v4, with: {name: it, path: out}}") != set()

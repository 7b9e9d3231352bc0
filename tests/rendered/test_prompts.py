"""How the template asks: a person at a terminal, each key and each answer, and answers given on the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import copier
import forked
import pytest
import yaml
from answers import DEFAULTS, QUESTIONS, SETTINGS, defaults
from names import NAMES
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rig import Project, environment
from terminal import COLUMNS, DOWN, ENTER, ERASE, INTERRUPT, Terminal

CHOICES = {name: details["choices"] for name, details in QUESTIONS.items() if "choices" in details}
ANSWERS = ".copier-answers.yml"
QUICKLY = ["*", f"!{ANSWERS}"]  # nothing but the answers is written
NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"]
NUMBERS += ["Thirteen", "Fourteen", "Fifteen"]

TYPED = {
    "project_name": "Die größte Küche",
    "package": "shop",
    "description": "It's good.",
    "author": "Jörg O'Neill",
    "reviewers": "@ada @shop/ml ada@example.org",
    "repository": "https://github.com/shop/burger-combos",
}
WRONG = {
    "project_name": [" ", "x" * 81],
    "package": ["", "Burger", "class", "json", "polars", "x" * 51],
    "description": [" "],
    "author": [""],
    "reviewers": ["ada", "@ada, @bob", "@", "@ada  @bob", "* @ada"],
    "repository": [
        "shop",
        "http://github.com/shop/combos",
        "https://github.com/shop",
        "https://github.com/shop/combos.git",
    ],
}
REFUSED = "Validation error for question 'package': Try ml_class: class is a keyword of Python."


def asked(name: str) -> str:
    return f"🎤 {QUESTIONS[name]['help']}"


def answers(folder: Path) -> dict[str, str]:
    written: dict[str, str] = yaml.safe_load((folder / ANSWERS).read_text(encoding="utf-8"))
    return {name: answer for name, answer in written.items() if not name.startswith("_")}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def needed(
    ci: str = "github", notebooks: str = "marimo", target: str = "docker", example: str = "recommend"
) -> list[str]:
    """The questions that are asked of somebody who answers so."""
    of_root = {"example", "project_name", "ci"} | ({"reviewers"} if ci != "none" else set())
    if example == "workspace":
        return [name for name in QUESTIONS if name in of_root]
    needless = {
        "reviewers": ci == "none",
        "repository": notebooks != "jupyter",
        "serving": target not in ("docker", "kubernetes"),
        "folder": True,  # of a workspace, see test_workspace_files.py
    }
    return [name for name in QUESTIONS if not needless.get(name)]


def converse(
    template: Path, folder: Path, keys: dict[str, str], exclude: Sequence[str] = (), **chosen: str
) -> dict[str, str]:
    """The answers that are written after these keys, by which those are chosen, and Enter at each question."""
    pressed = "".join(keys.get(name, "") + ENTER for name in needed(**chosen))
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        keyboard.send_text(pressed + INTERRUPT)  # at one question too many, which would wait for ever
        try:
            copier.run_copy(str(template), folder, exclude=exclude, quiet=True)
        except KeyboardInterrupt as error:
            pytest.fail(f"more is asked than was answered: {error}")
    return answers(folder)


def test_a_person_answers_at_a_terminal(template: Path, tmp_path: Path) -> None:
    terminal = Terminal("copy", str(template), str(tmp_path / "p"))
    examples = list(CHOICES["example"])
    terminal.press("", asked("example"), "(Use arrow keys)", f"» {examples[0]}", *examples[1:])
    assert terminal.shown[0].startswith(f"{NUMBERS[len(needed())]} questions.")

    terminal.press(ENTER, asked("project_name"), "Burger Combos")
    terminal.press(f"{ERASE}Spice Route", asked("project_name"), "Spice Route")
    terminal.press(ENTER, asked("package"), "spice_route")
    terminal.press(f"{ERASE}class", asked("package"), "class")
    terminal.press(ENTER, REFUSED)
    assert terminal.has(asked("package"), "class")
    terminal.press(f"{ERASE}spices", asked("package"), "spices")
    terminal.press(ENTER, asked("description"), DEFAULTS["description"])
    terminal.press(ENTER, asked("author"), "The Spice Route team")

    licenses, targets, databases, providers = (list(CHOICES[name]) for name in ("license", "target", "database", "ci"))
    terminal.press(ENTER, asked("license"), "(Use arrow keys)", f"» {licenses[0]}", *licenses[1:])
    terminal.press(ENTER, asked("target"), "(Use arrow keys)", f"» {targets[0]}", *targets[1:])
    terminal.press(ENTER, asked("database"), "(Use arrow keys)", f"» {databases[0]}", *databases[1:])
    terminal.press(DOWN, databases[0], f"» {databases[1]}")
    servers = list(CHOICES["serving"])
    terminal.press(ENTER, asked("serving"), "(Use arrow keys)", f"» {servers[0]}", *servers[1:])
    features = list(CHOICES["features"])
    terminal.press(ENTER, asked("features"), "(Use arrow keys)", f"» {features[0]}", *features[1:])
    terminal.press(ENTER, asked("ci"), "(Use arrow keys)", f"» {providers[0]}", *providers[1:])
    terminal.press(DOWN, providers[0], f"» {providers[1]}", providers[2])
    terminal.press(DOWN, *providers[:2], f"» {providers[2]}")
    editors = list(CHOICES["notebooks"])
    terminal.press(ENTER, asked("notebooks"), "(Use arrow keys)", f"» {editors[0]}", *editors[1:])
    trackers = list(CHOICES["tracking"])
    terminal.press(ENTER, asked("tracking"), "(Use arrow keys)", f"» {trackers[0]}", *trackers[1:])
    order = [line for line in terminal.shown if line.startswith("🎤")]
    assert order == [asked(name) for name in needed(ci="none")]

    assert terminal.end(ENTER) == 0
    assert f"Spice Route is ready in {tmp_path / 'p'}" in "".join(terminal.display)
    assert any(line.startswith("make develop ") for line in terminal.shown)
    assert answers(tmp_path / "p") == {
        "example": "recommend",
        "project_name": "Spice Route",
        "package": "spices",
        "description": DEFAULTS["description"],
        "author": "The Spice Route team",
        "license": "Proprietary",
        "target": "docker",
        "database": "postgresql",
        "serving": "none",
        "features": "none",
        "ci": "none",
        "notebooks": "marimo",
        "tracking": "none",
    }


def test_whoever_thinks_better_of_it_leaves_nothing_behind(plain: Path, tmp_path: Path) -> None:
    terminal = Terminal("copy", str(plain), str(tmp_path / "p"))
    terminal.press("", asked("example"), "(Use arrow keys)")
    terminal.press(ENTER, asked("project_name"), "Burger Combos")
    terminal.press(ENTER, asked("package"), "burger_combos")
    assert terminal.end(INTERRUPT) == 1
    assert terminal.shown[-3:] == [asked("package"), "burger_combos", "Execution stopped by user"]
    assert not (tmp_path / "p").exists()


def test_enter_at_every_question_takes_the_defaults(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    assert list(converse(template, tmp_path / "asked", {})) == sorted(needed())
    assert files(tmp_path / "asked") == files(generate(tmp_path / "default").folder)


@pytest.mark.parametrize(
    ("example", "package", "promise"),
    [
        ("recommend", "burger_combos", "today's recommendations"),
        ("classify", "customer_churn", "today's probabilities"),
        ("forecast", "demand_forecast", "the forecasts of the next 14 days"),
        ("images", "digit_reader", "today's labels"),
        ("blank", "my_model", "today's rows"),
    ],
)
def test_what_is_suggested_and_promised_fits_the_example(
    example: str, package: str, promise: str, plain: Path, tmp_path: Path
) -> None:
    data = f"--data=example={example}"
    done = forked.copier("copy", "--defaults", data, str(plain), str(tmp_path / "p"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"    make develop     from here to {promise}\n    make             all the verbs\n" in done.stderr
    assert ("docs/own-model.md shows where" in done.stderr) == (example == "blank")
    suggested = defaults(example) | {"package": package}
    assert answers(tmp_path / "p") == {name: suggested[name] for name in sorted(needed())}


@pytest.mark.parametrize("steps", range(1, max(map(len, CHOICES.values()))))
def test_each_choice_is_reached_with_the_arrow_keys(steps: int, plain: Path, tmp_path: Path) -> None:
    chosen = {name: list(choices.values())[steps % len(choices)] for name, choices in CHOICES.items()}
    asking = {name: chosen[name] for name in ("ci", "example", "notebooks", "target")}
    written = converse(plain, tmp_path / "p", dict.fromkeys(CHOICES, DOWN * steps), QUICKLY, **asking)
    assert sorted(written) == sorted(needed(**asking))
    assert written == written | {name: answer for name, answer in chosen.items() if name in written}


def test_a_wrong_answer_is_corrected_where_it_was_typed(plain: Path, tmp_path: Path) -> None:
    typed_in = [name for name in needed(notebooks="jupyter") if name not in CHOICES]
    assert WRONG.keys() == {name for name in typed_in if "validator" in QUESTIONS[name]}
    typed = {name: [*wrong, TYPED[name]] for name, wrong in WRONG.items()}
    keys = {name: ENTER.join(ERASE + text for text in texts) for name, texts in typed.items()}
    written = converse(plain, tmp_path / "p", keys | {"notebooks": DOWN}, QUICKLY, notebooks="jupyter")
    assert written == written | TYPED


def test_each_question_is_answered_on_the_command_line(plain: Path, tmp_path: Path) -> None:
    given = TYPED | {name: list(choices.values())[1] for name, choices in CHOICES.items()}
    data = [f"--data={name}={answer}" for name, answer in given.items()]
    done = forked.copier("copy", "--defaults", *data, str(plain), str(tmp_path / "p"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "make develop " in done.stderr
    assert answers(tmp_path / "p") == given
    assert given.keys() == QUESTIONS.keys() - {"folder"}


def test_the_last_line_says_what_is_wrong_on_the_command_line(plain: Path, tmp_path: Path) -> None:
    data = "--data=package=class"
    done = forked.copier("copy", "--defaults", data, str(plain), str(tmp_path / "p"), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ValueError: {REFUSED}"
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("project_name", "", "A project needs a name."),
        ("project_name", "x" * 81, "At most 80 characters"),
        ("project_name", "a\tb", "without control characters"),
        ("package", "Burger", "lower-case"),
        ("description", "a\nb", "without control characters"),
        ("author", "a\u2028b", "without control characters"),
        ("example", "x", "'x' is not in"),
        ("license", "GPL", "'GPL' is not in"),
        ("reviewers", "ada", "with a blank between"),
        ("repository", "shop", "As https://github.com/shop/combos"),
    ],
)
def test_a_wrong_answer_is_refused_in_one_line(
    name: str, answer: str, reason: str, plain: Path, tmp_path: Path
) -> None:
    data = {name: answer} | ({"notebooks": "jupyter"} if name == "repository" else {})
    with pytest.raises(ValueError, match=f"^.*'{name}': .*{reason}.*$") as refused:
        copier.run_copy(str(plain), tmp_path / "p", data=data, defaults=True, quiet=True)
    assert not (tmp_path / "p").exists()
    message = str(refused.value)
    assert message.isprintable()
    assert (
        len(message) <= COLUMNS or name == "example"
    )  # a terminal shows no more of it, and asks for that one by arrows


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("licens", "no question licens; there are example, folder, project_name, "),
        ("licence", "no question licence: license is meant"),
    ],
)
def test_an_answer_to_no_question_is_refused(name: str, reason: str, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"There is {reason}"):
        copier.run_copy(str(plain), tmp_path / "p", data={name: "MIT"}, defaults=True, quiet=True)
    assert not (tmp_path / "p").exists()


def test_the_questions_that_there_are_are_known() -> None:
    assert list(NAMES.module.questions) == list(QUESTIONS)  # type: ignore[attr-defined]


def test_the_author_is_who_copier_knows_or_the_projects_team(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_text("defaults: {user_name: Zoë}\n")
    known = environment() | {"COPIER_SETTINGS_PATH": str(tmp_path / "settings.yml")}
    for env, author in ((known, "Zoë"), (environment(), "The Spice Route team")):
        data = ["--data", "project_name=Spice Route", "--overwrite", "--defaults", "--quiet"]
        done = forked.copier("copy", *data, str(plain), str(tmp_path / author), cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        assert answers(tmp_path / author)["author"] == author


@pytest.mark.parametrize("module", ["spice_route.py", "spice_route/menu.py"])
def test_a_package_does_not_hide_a_module_that_is_there(module: str, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "ours" / module).parent.mkdir(parents=True)
    (tmp_path / "ours" / module).write_text("")
    named = {"example": "recommend", "project_name": "Spice Route"}
    with pytest.raises(ValueError, match="Try ml_spice_route: src/spice_route would hide the spice_route that is here"):
        copier.run_copy(str(plain), tmp_path / "ours", data=named | {"package": "spice_route"}, quiet=True)
    done = forked.copier(
        "copy", "--defaults", "--data=project_name=Spice Route", str(plain), ".", cwd=tmp_path / "ours"
    )
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path / "ours")["package"] == "ml_spice_route"
    assert "Spice Route is ready here\n\n    make develop " in done.stderr


def test_few_questions_are_asked() -> None:
    assert len(needed()) == 14
    assert len(QUESTIONS) == 16
    assert all("?" in details["help"] for details in QUESTIONS.values())


def test_the_introduction_and_each_question_fit_in_their_lines() -> None:
    introduction = [line for line in SETTINGS["_message_before_copy"].splitlines() if not line.startswith("{%")]
    choices = [f" » {label}" for labels in CHOICES.values() for label in labels]
    shown = [*introduction, *(f"   {details['help']}" for details in QUESTIONS.values()), *choices]
    assert [line for line in shown if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", CHOICES)
def test_the_choices_of_a_question_stand_in_columns(name: str) -> None:
    assert len({label.index("– ") for label in CHOICES[name]}) == 1


@pytest.mark.parametrize("target", [target for target in CHOICES["target"].values() if "docker" not in target])
def test_a_service_is_there_only_where_it_can_be_deployed(target: str, plain: Path, tmp_path: Path) -> None:
    given = {"target": target, "serving": "http"}
    if target == "kubernetes":
        copier.run_copy(str(plain), tmp_path / "p", data=given, defaults=True, exclude=QUICKLY, quiet=True)
        assert answers(tmp_path / "p")["serving"] == "http"
        return
    with pytest.raises(ValueError, match="A service is deployed to a Docker host or to Kubernetes only"):
        copier.run_copy(str(plain), tmp_path / "p", data=given, defaults=True, exclude=QUICKLY, quiet=True)

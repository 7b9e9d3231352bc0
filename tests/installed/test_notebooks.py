"""The first look: run without a browser, opened in a real one, kept up with src/, converted, and run as in Colab."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path
from threading import Timer

import pytest
from answers import REPOSITORY
from page import PATIENCE, Page, browser
from rig import Project, change, environment, sh

FILES = {"marimo": "explore/first_look.py", "jupyter": "explore/first_look.ipynb", "none": "explore/first_look.py"}
# What only a result says, and no cell's code.
SHOWN = ("orders from sample", "customer is missing", "C0000003")


@pytest.fixture(scope="module")
def of_kind(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """A project with that kind of notebook, set up once; tests leave its files as they are."""

    @cache
    def made(kind: str) -> Project:
        project = generate(tmp_path_factory.mktemp(kind) / "burger", notebooks=kind)
        project.make("setup")
        return project

    return made


@pytest.fixture(params=["marimo", "jupyter"])
def mine(request: pytest.FixtureRequest, of_kind: Callable[[str], Project]) -> Project:
    """A project with each kind of notebook."""
    return of_kind(request.param)


def kind(project: Project) -> str:
    return "jupyter" if (project.folder / FILES["jupyter"]).exists() else "marimo"


def address(process: "subprocess.Popen[str]") -> str:
    """That of the page, which is printed as soon as there is one, and after no log of the server's."""
    impatience = Timer(PATIENCE, os.killpg, (process.pid, signal.SIGTERM))
    impatience.start()
    said = ""
    try:
        assert process.stdout
        for line in process.stdout:
            said += line
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\S*token=[\w-]\S*", line):
                assert not re.search(r"^\[[IW] ", said, re.MULTILINE), said
                return found[0]
    finally:
        impatience.cancel()
    pytest.fail(said)


@contextmanager
def opened(project: Project) -> Iterator[Page]:
    """The page that `make explore` opens, in a browser of the test's own."""
    env = environment() | project.env | {"BROWSER": "true", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        ["make", "explore"],
        cwd=project.folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        with browser() as page:
            page.open(address(process))
            yield page
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        after, _ = process.communicate(timeout=60)
    assert not re.search(r"^\[[IW] ", after, re.MULTILINE), after  # the address stays the last line


def run_all(project: Project, page: Page) -> str:
    """What the page says once all cells have run, which marimo's do by themselves."""
    if kind(project) == "jupyter":
        page.wait_for("| Idle")  # a kernel that is there, before which nothing can be run
        page.click('[data-command="notebook:restart-run-all"]')
        page.click(".jp-Dialog .jp-mod-accept")
    return page.wait_for(*SHOWN)


def test_it_runs_without_a_browser_and_writes_nothing(mine: Project) -> None:
    assert f"{FILES[kind(mine)]} runs to its end" in mine.make("explore", "CHECK=1")
    assert mine.git("status", "--porcelain", "--ignored", "explore").replace("!! explore/__pycache__/", "") == ""
    assert mine.written("explore") == ([], [])


def test_what_is_wrong_is_one_line(mine: Project) -> None:
    done = mine.with_env(ORDERS__SOURCE="none.csv").run("make", "explore", "CHECK=1")
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("make: ")] == [
        "error: none.csv: no such file"
    ]


def test_a_cell_that_fails_says_where(mine: Project) -> None:
    file = mine.folder / FILES[kind(mine)]
    text = file.read_text()
    try:
        change(file, {"few = history[:5]": "few = history[:5] / nothing"})
        done = mine.run("make", "explore", "CHECK=1")
    finally:
        file.write_text(text)
    assert done.returncode != 0
    assert "few = history[:5] / nothing" in done.stderr
    assert "name 'nothing' is not defined" in done.stderr
    assert "runs to its end" not in done.stdout


def in_the_dark(project: Project, folder: Path) -> Project:
    """The same for a person who has chosen the notebook's dark theme."""
    marimo, lab = folder / "marimo/marimo.toml", folder / "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    for file, setting in {marimo: '[display]\ntheme = "dark"\n', lab: '{"theme": "JupyterLab Dark"}\n'}.items():
        file.parent.mkdir(parents=True)
        file.write_text(setting)
    chosen = {"XDG_CONFIG_HOME": str(folder), "JUPYTERLAB_SETTINGS_DIR": str(folder)}
    return replace(project, env=project.env | chosen)


# Of each plot: its title, how light its words are, and how light the page is behind them, from 0 to 1.
LIGHT = """(() => {
    const find = root => [
        ...root.querySelectorAll("svg.plot"),
        ...[...root.querySelectorAll("*")].flatMap(each => each.shadowRoot ? find(each.shadowRoot) : []),
    ]
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
    const pixel = color => {
        canvas.clearRect(0, 0, 1, 1)
        canvas.fillStyle = color
        canvas.fillRect(0, 0, 1, 1)
        return canvas.getImageData(0, 0, 1, 1).data
    }
    const behind = element => {
        for (; element; element = element.parentNode ?? element.host) {
            if (!(element instanceof Element)) continue
            const found = getComputedStyle(element).backgroundColor
            if (pixel(found)[3] > 0) return found
        }
        return "white"
    }
    const light = color => (pixel(color)[0] + pixel(color)[1] + pixel(color)[2]) / 765
    return JSON.stringify(find(document).map(plot => [
        plot.querySelector("title").textContent,
        light(getComputedStyle(plot.querySelector(".axis text")).fill),
        light(behind(plot)),
    ]))
})()"""


@pytest.mark.browser
def test_the_page_shows_tables_plots_and_what_the_model_would_recommend(mine: Project, tmp_path: Path) -> None:
    file = mine.folder / FILES[kind(mine)]
    before = file.read_text()
    with opened(in_the_dark(mine, tmp_path)) as page:
        run_all(mine, page)
        text = page.wait_for("Orders a day", "What sells")
        plots = json.loads(page.call("Runtime.evaluate", expression=LIGHT)["result"]["value"])
        assert [title for title, _, _ in plots] == ["Orders a day", "What sells"]
        assert all(words > 0.7 and page_is < 0.3 for _, words, page_is in plots), plots
        if folder := os.environ.get("PICTURES"):
            Path(folder, f"{kind(mine)}.png").write_bytes(page.picture())
        if kind(mine) == "jupyter":
            page.click('[data-command="docmanager:save"]')
            end = time.monotonic() + PATIENCE
            while '"output_type"' not in file.read_text() or mine.git("status", "--porcelain"):
                assert time.monotonic() < end, "no output in the file that is saved, or git takes it for a change"
                time.sleep(0.2)
    after = mine.git("status", "--porcelain"), mine.git("diff")
    file.write_text(before)
    assert "Traceback" not in text
    assert after == ("", "")


# As an editor runs a notebook and saves it: with what is shown, counted, and told of kernel, editor and widgets.
SAVED = """
import nbformat
from nbclient import NotebookClient

file = "explore/first_look.ipynb"
notebook = nbformat.read(file, as_version=4)
NotebookClient(notebook, resources={"metadata": {"path": "explore"}}).execute()
notebook.metadata["kernelspec"] = {"display_name": ".venv (3.13.1)", "language": "python", "name": "python3"}
notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
nbformat.write(notebook, file)
"""
# What none of this is, of a commit.
RUN = ["output_type", "kernelspec", "widget", "pygments_lexer", '"version"', '"execution_count": 1']


def test_a_notebook_that_was_run_is_committed_as_it_was_written(of_kind: Callable[[str], Project]) -> None:
    jupyter = of_kind("jupyter")
    name = FILES["jupyter"]
    file, head = jupyter.folder / name, jupyter.git("rev-parse", "HEAD")
    before = file.read_text()
    try:
        done = jupyter.python(SAVED)
        assert done.returncode == 0, done.stderr
        assert [word for word in RUN if word not in file.read_text()] == []
        assert jupyter.git("diff") == ""
        shown = jupyter.run(".venv/bin/python", "-m", f"{jupyter.package}.ops.version").stdout
        assert shown == f"{head} main\n"  # and not -dirty
        change(file, {'"history = ': '"seen = history = '})
        ours = [line for line in jupyter.git("diff").splitlines() if re.match(r"[+-] ", line)]
        assert len(ours) == 2 and '+    "seen = history = ' in ours[1]
        jupyter.git("add", "--all")
        committed = jupyter.run("git", "commit", "--message", "See")
        assert committed.returncode == 0, committed.stdout + committed.stderr
        stored = jupyter.git("show", f"HEAD:{name}")
        assert [word for word in RUN if word in stored] == []
        assert "output_type" in file.read_text()
        assert jupyter.git("status", "--porcelain") == ""
        # Nor does it stay unseen where somebody without the filter has committed it.
        jupyter.git("-c", "filter.nbstripout.clean=cat", "add", "--renormalize", name)
        assert "output_type" in jupyter.git("show", f":{name}")
        checked = jupyter.run("sh", "develop/format.sh", "output", name)
        assert checked.returncode == 1
        assert checked.stdout.startswith(f"{name}\n")
    finally:
        jupyter.git("reset", "--quiet", "--hard", head)
        file.write_text(before)
        jupyter.git("update-index", name)


GREET = """

def greet(customer: str) -> str:
    \"\"\"A customer as one writes to them.\"\"\"
    return f"{word} {{customer}}"
"""
GREETED = """from {package} import model


def test_a_customer_is_greeted() -> None:
    assert model.greet("Ada") == "Hello Ada"
"""


@contextmanager
def greeting(project: Project) -> Iterator[Callable[[], None]]:
    """A notebook that greets by a function of src/, and what changes that, with its test; then all is as it was."""
    file, module = project.folder / FILES[kind(project)], project.folder / "src" / project.package / "model.py"
    test = project.folder / "tests/test_greet.py"
    texts = {path: path.read_text() for path in (file, module)}

    def moved() -> None:
        module.write_text(texts[module] + GREET.format(word="Hello"))
        test.write_text(GREETED.format(package=project.package))

    try:
        module.write_text(texts[module] + GREET.format(word="Dear"))
        greeted = "[model.greet(name) for name in customers[: len(best)]],"
        file.write_text(texts[file].replace("customers[: len(best)],", greeted))
        yield moved
    finally:
        for path, text in texts.items():
            path.write_text(text)
        test.unlink(missing_ok=True)


@pytest.mark.browser
def test_what_changes_in_src_is_taken_by_the_open_page(of_kind: Callable[[str], Project]) -> None:
    marimo = of_kind("marimo")
    with greeting(marimo) as moved, opened(marimo) as page:
        page.wait_for("Dear C0000003")
        moved()
        page.wait_for("Hello C0000003")
        assert " passed" in marimo.make("test")


# A kernel runs all cells, and the last one again once somebody has changed src/.
KERNEL = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read("explore/first_look.ipynb", as_version=4)
client = NotebookClient(notebook, resources={"metadata": {"path": "explore"}})
with client.setup_kernel():
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)
    print(notebook.cells[-1].outputs[0].data["text/plain"], "\\n", flush=True)
    sys.stdin.readline()
    client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    print(notebook.cells[-1].outputs[0].data["text/plain"])
"""


def test_what_changes_in_src_is_taken_by_the_running_kernel(of_kind: Callable[[str], Project]) -> None:
    jupyter = of_kind("jupyter")
    with greeting(jupyter) as moved:
        process = subprocess.Popen(
            [".venv/bin/python", "-c", KERNEL],
            cwd=jupyter.folder,
            env=environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin and process.stdout
        before = ""
        while line := process.stdout.readline().strip():
            before += line
        moved()
        after, _ = process.communicate("\n", timeout=300)
        assert " passed" in jupyter.make("test")
    assert "Dear C0000003" in before
    assert "Hello C0000003" in after
    assert process.returncode == 0


# From which kind to which; an update writes nothing of explore/ but its settings.
MOVES = [(old, new) for old in FILES for new in FILES if old != new]
# What shows a result in one kind only, and what somebody puts in its place.
SHOWN_BY = {
    "marimo": [("import marimo as mo", "import math"), ("mo.md(", "print("), ("mo.Html(", "print(")],
    "jupyter": [("from IPython.display import HTML, Markdown", "HTML = Markdown = print")],
    "none": [],
}


@pytest.mark.parametrize(("old", "new"), MOVES, ids=str)
def test_where_an_update_left_another_kind_it_says_which_command_converts(
    old: str, new: str, of_kind: Callable[[str], Project], generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine, theirs = of_kind(new), generate(tmp_path / "p", notebooks=old)
    new_file, old_file = mine.folder / FILES[new], mine.folder / FILES[old]
    kept = new_file.read_bytes()
    try:
        new_file.unlink()
        old_file.write_bytes((theirs.folder / FILES[old]).read_bytes())
        done = mine.run("make", "explore", "CHECK=1")
        said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
        assert done.returncode != 0 and len(said) == 1, done.stderr
        converted = mine.run("sh", "-c", said[0].rpartition(": ")[2])
        assert converted.returncode == 0, converted.stdout + converted.stderr
        new_file.write_text(reduce(lambda text, shown: text.replace(*shown), SHOWN_BY[old], new_file.read_text()))
        assert "runs to its end" in mine.make("explore", "CHECK=1") or new == "none"
    finally:
        old_file.unlink(missing_ok=True)
        new_file.write_bytes(kept)


def test_where_there_is_none_that_is_said(mine: Project) -> None:
    file = mine.folder / FILES[kind(mine)]
    kept = file.rename(file.with_suffix(".kept"))
    try:
        done = mine.run("make", "explore")
    finally:
        kept.rename(file)
    assert done.returncode != 0
    assert done.stderr.startswith(f"explore: no {FILES[kind(mine)]} here\n")


# All cells of a notebook run in this environment, as in Colab; prints what they show, and how one of them fails.
COLAB = """
import sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], as_version=4)
if len(sys.argv) > 2:
    notebook.cells.insert(0, nbformat.v4.new_code_cell(sys.argv[2]))
try:
    NotebookClient(notebook, resources={"metadata": {"path": "."}}).execute()
except CellExecutionError:
    print("FAILED")
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue"))
"""
WHICH = "\nfrom {package}.ops.version import commit\n\nprint('commit', commit())\n"


class Colab:
    """A machine with a clean Python, IPython, pip and git, on which a repository is known by its public address."""

    def __init__(self, folder: Path, public: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        rewritten = {"GIT_CONFIG_KEY_0": f"url.file://{public}.insteadOf", "GIT_CONFIG_VALUE_0": REPOSITORY}
        clean = {name: value for name, value in environment().items() if not name.startswith("PYTHON")}
        clean["PATH"] = f"{folder}/venv/bin:/usr/local/bin:/usr/bin:/bin"
        self.env = clean | {"GIT_CONFIG_COUNT": "1", "HOME": str(self.home), "COLAB_RELEASE_TAG": "1"} | rewritten
        self.env |= {"UV_CACHE_DIR": sh("uv", "cache", "dir", cwd=folder).stdout.strip()}
        assert sh(sys.executable, "-m", "venv", "venv", cwd=folder).returncode == 0
        python = str(folder / "venv/bin/python")
        done = sh("uv", "pip", "install", "--quiet", "--python", python, "ipykernel", "nbclient", cwd=folder)
        assert done.returncode == 0, done.stderr

    def run(self, notebook: Path, *first: str) -> str:
        """What the notebook shows; it is all that was brought here."""
        done = sh("venv/bin/python", "-c", COLAB, str(notebook), *first, cwd=self.folder, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_in_colab_it_installs_the_exact_commit(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "public", notebooks="jupyter", repository=REPOSITORY)
    mine.make("setup")
    first = mine.git("rev-parse", "HEAD")
    notebook = json.loads((mine.folder / FILES["jupyter"]).read_text())
    badge = f"colab.research.google.com/github/shop/burger-combos/blob/main/{FILES['jupyter']})"
    assert badge in notebook["cells"][0]["source"][1]
    assert badge in (mine.folder / "README.md").read_text()
    notebook["cells"][-1]["source"].append(WHICH.format(package=mine.package))
    opened_there = tmp_path / "opened.ipynb"
    opened_there.write_text(json.dumps(notebook))
    machine = Colab(tmp_path, mine.folder)

    shown = machine.run(opened_there)
    assert "FAILED" not in shown, shown
    assert f"{REPOSITORY} {first}" in shown
    assert f"commit {first}\n" in shown
    versions = sh("venv/bin/python", "-m", "pip", "freeze", cwd=tmp_path).stdout
    assert re.search(r"^polars==", versions, re.MULTILINE)
    locked = re.search('name = "polars"\nversion = "([^"]+)"', (mine.folder / "uv.lock").read_text())
    assert locked and f"polars=={locked[1]}\n" in versions
    assert "mypy==" not in versions

    mine.git("commit", "--allow-empty", "--no-verify", "--message", "Another")
    opened_there.write_text(json.dumps(notebook).replace('\\"main\\"', f'\\"{first}\\"'))
    again = machine.run(
        opened_there, "import sys, types; sys.modules['numpy'] = types.SimpleNamespace(__version__='1')"
    )
    assert "error: numpy is in use in another version" in again


def test_in_colab_a_wrong_address_is_one_line(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "public", notebooks="jupyter", repository=REPOSITORY)
    shown = Colab(tmp_path, tmp_path / "nowhere").run(mine.folder / FILES["jupyter"])
    told = f"error: {REPOSITORY} at main: is it public? fatal: "
    assert len([line for line in shown.splitlines() if line.startswith(told)]) == 1
    assert "FAILED" in shown

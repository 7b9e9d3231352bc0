"""The report of a run: what it tells, that it is one file, and how it looks on a phone, on a desk and on paper."""

import html
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import rig
from browser import Browser
from rig import Project

TURNED_OUT, INPUT = "As it turned out: hit rate", "Input: orders, rows of each day"
NAME = "Zoë's <Café> & Co"
# In a frame as wide as a screen: its width, the page's, and the smallest letters in a plot.
FRAME = """<title>not drawn</title><iframe width="{width}" height="800" style="border: 0" srcdoc="{page}"></iframe>"""
MEASURE = """<script>addEventListener("load", () => {
const heights = [...document.querySelectorAll("svg.plot text")].map(text => text.getBoundingClientRect().height)
const page = document.documentElement
parent.document.title = JSON.stringify([page.clientWidth, page.scrollWidth, Math.min(...heights.filter(each => each))])
})</script>"""


@pytest.fixture(scope="module")
def week(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has been through the gates, and run for each of some days."""
    made = generate(tmp_path_factory.mktemp("report") / "burger", project_name=NAME, package="burger_combos")
    made.make("setup")
    for call in (["gates", "--stage=develop"], *(["run", f"--date={date.today() - timedelta(n)}"] for n in (2, 1, 0))):
        done = made.call(*call)
        assert done.returncode == 0, done.stderr
    return made


def numbers_of(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record as people read their names, with each metric's baselines."""
    numbers = {name.replace("_", " "): value for name, value in record["numbers"].items()}
    for name, metric in record["metrics"].items():
        numbers |= {f"{name.replace('_', ' ')}, {baseline}": value for baseline, value in metric["baselines"].items()}
    return numbers


def page(project: Project) -> str:
    """The newest report."""
    return max(project.folder.glob("var/develop/*/runs/*/report.html")).read_text(encoding="utf-8")


def test_it_tells_what_is_known_of_the_run(week: Project) -> None:
    told = html.unescape(page(week))
    assert f"<h1>{NAME}</h1>" in told and f"<title>{NAME} · " in told
    record = json.loads(week.written()[1][-1]["record"])
    numbers = record["numbers"]
    titles = re.findall("<h2>(.*)</h2>", told)
    assert titles == [
        "Gates",
        "Quality, day by day",
        TURNED_OUT,
        *record["charts"],
        INPUT,
        "Rows set aside, and why",
        "Time, by step",
        "Scale: seconds",
        "Scale: MB",
        "Scale: hit rate",
        "Numbers",
        "Where it comes from",
    ]
    assert f"{numbers['hit_rate']:.3g}" in told
    best = record["metrics"]["hit_rate"]["baselines"]["own frequency"]
    assert f"{numbers['hit_rate'] / best:.2f} × baseline own frequency" in told
    for words in (record["git_commit"][:11], record["run_id"], record["template"], *record["facts"]["rejected"]):
        assert words in told
    for gate in record["facts"]["gates"]:
        assert f"✓ {gate['gate']}" in told
        assert gate["finding"] in told
    days = [f"{date.today() - timedelta(n):%d %b}" for n in (2, 1, 0)]
    assert all(f">{day}</text>" in told for day in days)
    assert sum(record["charts"]["Customers, by the score of the first"].values()) == numbers["customers"]


def test_the_terminal_shows_the_same_numbers(week: Project) -> None:
    told = html.unescape(page(week))
    shown = week.make("results", "STAGE=develop")
    tiles = re.findall("<div><span>(.*)</span><strong>(.*)</strong><span>(.*)</span></div>", told)
    assert [name for name, _, _ in tiles] == [
        "hit rate",
        "mrr",
        "coverage",
        "published",
        "set aside",
        "hit rate as it turned out",
        "took",
    ]
    for tile in tiles:
        assert re.search(r" +".join(map(re.escape, tile)), shown), tile
    assert re.search(f"each day +[▁-█]{{3}} +{date.today() - timedelta(2)} to {date.today()}", shown)


def test_what_was_refused_says_so_and_a_first_run_has_no_history(shop: Project) -> None:
    strict = shop.with_env(GATE__MIN_LIFT="9")
    assert strict.call("run").returncode == 3
    (file,) = Path(strict.env["BURGER_COMBOS_RUNS__FOLDER"]).glob("*/report.html")
    told = html.unescape(file.read_text(encoding="utf-8"))
    assert '<p class="refused badge">refused</p>' in told
    assert "✗ better than a baseline" in told
    assert re.search(r"develop, for [^<]* · hit rate 0\.\d+, baseline own frequency 0\.\d+</p>", told)
    assert "day by day" not in told
    assert "Scale" not in told


def test_it_is_one_file_that_asks_for_nothing(week: Project) -> None:
    told = page(week)
    assert not re.search(r"""<script|<link|@import|url\(|\bsrc=|href=["'](?!#)""", told)
    assert len(told) < 400_000


def test_the_steps_of_an_axis_are_even(week: Project) -> None:
    axes = re.findall(r'<g class="axis y.*?</g></g>', page(week))
    assert len(axes) == 7
    for axis in axes:
        places = [float(place) for place in re.findall(r'<text x="-5" y="([\d.]+)"', axis)]
        steps = [low - high for low, high in pairwise(places)]
        assert 2 <= len(steps) <= 5
        assert steps == pytest.approx([steps[0]] * len(steps))


def test_each_plot_has_its_title_and_each_value_is_told_on_hover(week: Project) -> None:
    record = json.loads(week.written()[1][-1]["record"])
    told = page(week)
    assert "Pygal" not in re.sub("<!--.*?-->|<svg[^>]*>", "", told)
    plots = dict(re.findall(r"<svg[^>]*>.*?<title>(.*?)</title>(.*?)</svg>", told, re.DOTALL))
    drawn = {title for title, chart in record["charts"].items() if len(chart) > 15}
    assert set(map(html.unescape, plots)) == drawn | {
        "Quality, day by day",
        TURNED_OUT,
        INPUT,
        "Scale: seconds",
        "Scale: MB",
        "Scale: hit rate",
    }
    for title, shapes in plots.items():
        points = re.findall(r'<g class="(?:bar|dots)"><title>(.*?)</title><(?:rect|circle)', shapes)
        assert len(points) == len(re.findall(r'class="(?:rect|dot) reactive', shapes)), title
        if title in record["charts"]:
            assert points == [f"{label}: {value:,}" for label, value in record["charts"][title].items()]
    last = f"model, {date.today():%d %b}: {record['numbers']['hit_rate']:.3f}"
    assert last in re.findall("<title>(.*?)</title>", plots["Quality, day by day"])


def test_what_stands_in_one_column_or_on_one_axis_has_as_many_decimals(week: Project) -> None:
    told = page(week)
    for axis in re.findall(r'<g class="axis [xy].*?</g></g>', told):
        labels = re.findall(r"<text[^>]*>([\d.,]+)</text>", axis)
        assert len({len(label.partition(".")[2]) for label in labels}) <= 1, labels
    record = json.loads(week.written()[1][-1]["record"])
    shown = dict(re.findall(r'<tr><td>(.*?)</td><td class="number">(.*?)</td>', told))
    assert shown == {
        name: f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for name, value in numbers_of(record).items()
    }
    done = week.python("""
import json
import numpy as np
from burger_combos.ops.plots import number, numbers
columns = [
    [0.53, 0.344, 0.2], [12.25, 0.5, 3], [1999, 10083], [2.0, 5.0], [float("nan"), 0.25], [0.0012, 0.05],
    [12345.6, 0.5], [np.float32(0.5), np.int64(3)], [],
]
print(json.dumps([*map(numbers, columns), [*map(number, (0.53, 1.0, 0.0123, 1234.5, 12.0))]]))
""")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["0.530", "0.344", "0.200"],
        ["12.2", "0.5", "3"],
        ["1,999", "10,083"],
        ["2", "5"],
        ["nan", "0.250"],
        ["0.0012", "0.0500"],
        ["12,346", "0"],
        ["0.500", "3"],
        [],
        ["0.530", "1", "0.0123", "1,234", "12"],
    ]


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_screen_and_can_be_read(week: Project, width: int, tmp_path: Path) -> None:
    framed = tmp_path / "framed.html"
    framed.write_text(FRAME.format(width=width, page=html.escape(page(week) + MEASURE)), encoding="utf-8")
    drawn = browser().run(framed, tmp_path, "--dump-dom")
    found = re.search(r"<title>\[(\d+),(\d+),([\d.]+)\]</title>", drawn)
    assert found, drawn[:200]
    assert int(found[1]) == width
    assert int(found[2]) <= width
    assert float(found[3]) >= 9  # pixels


def test_it_can_be_printed(week: Project, tmp_path: Path) -> None:
    report, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    report.write_text(page(week), encoding="utf-8")
    browser().run(report, tmp_path, f"--print-to-pdf={pdf}")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert 1 <= pages <= 4


MEASURED = """
import json
from datetime import date
from pathlib import Path
from burger_combos.ops import chart_data, plots, report
from burger_combos.ops.metrics import headline
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run

def problem(draw, *values, **axes):
    try:
        draw("A", *values, **axes)
    except Problem as problem:
        return str(problem)

run = Run(Path({folder!r}), Record("r", "develop", date(2026, 1, 1)))
run.measure("average_precision", 0.31, better="higher", baselines={{"prior": 0.1, "logistic regression": 0.25}})
run.measure("average_precision_train", 0.95, better="higher")
run.measure("wape", 0.222, better="lower", baselines={{"seasonal naive": 0.29, "mean": 0.4}})
run.measure("r2", -0.1, better="higher", baselines={{"mean": -0.2}})
old = Record("r", "develop", date(2026, 1, 1), numbers={{"hit_rate": 0.3, "hit_rate_popularity": 0.2, "coverage": 0.5}})
days = ["Mon", "Tue", "Wed", "Thu"]
run.lines("Sales", days, {{"actual": [1.5, None, 2.5, None], "forecast": [None, float("nan"), 2.0, 3.0]}})
curves = {{"model": [(0.1, 0.2), (0.5, 0.4)], "all": [(3, 1), (1, 1), (2, 1)]}}
run.points("Calibration", curves, x="<forecast>", y="seen")
run.bars("Few", {{"a": 1, "b": 2.5}})
run.matrix("Confusion", {{"<a>": {{"<a>": 3, "b": 1}}, "b": {{"<a>": 0, "b": 1200}}}})
run.lines("Nothing", days, {{"actual": [None] * 4}})
run.save()
many = {{f"series {{n}}": [n, n + 1] for n in range(8)}}
print(json.dumps({{
    "tiles": report.tiles(run.record, ""),
    "wape first": list(report.tiles(run.record, "wape")),
    "old": report.tiles(old, "hit_rate"),
    "headlines": [headline(run.record), headline(run.record, "wape"), headline(run.record, "none"), headline(old)],
    "numbers": run.record.numbers,
    "listed": list(report._numbers(run.record)),
    "kept": Record.from_json(Path({folder!r}, "run.json").read_text()) == run.record,
    "drawn": {{title: report._chart(title, chart) for title, chart in run.record.charts.items() if title != "Few"}},
    "empty": [title for title, chart in run.record.charts.items() if chart_data.is_empty(chart)],
    "eight": plots.lines(many, ["a", "b"], "Eight"),
    "problems": [
        problem(run.lines, days, {{"actual": [1, 2]}}),
        problem(run.lines, days, {{"actual": [1, 2, 3, "4"]}}),
        problem(run.points, {{"model": [(1, float("inf"))]}}, x="x", y="y"),
        problem(run.points, {{"model": [(1, 2, 3)]}}, x="x", y="y"),
        problem(run.points, {{"model": [(n, n) for n in range(1001)]}}, x="x", y="y"),
        problem(run.bars, {{"a": None}}),
        problem(run.matrix, {{"a": {{"a": 1}}, "b": {{"c": 1}}}}),
        problem(run.matrix, {{"a": {{n: n for n in range(31)}}}}),
    ],
}}))
"""


@pytest.fixture(scope="module")
def measured(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the report makes of metrics and charts of each kind."""
    done = project.python(MEASURED.format(folder=str(tmp_path_factory.mktemp("measured"))))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_metric_stands_beside_its_own_baselines_only(measured: dict[str, Any]) -> None:
    assert measured["tiles"] == {
        "average precision": ["0.310", "1.24 × baseline logistic regression"],
        "average precision train": ["0.950", ""],
        "wape": ["0.222", "0.77 × baseline seasonal naive, less is better"],
        "r2": ["-0.100", "baseline mean -0.200"],
        "took": ["0.0 s", "0 steps"],
    }
    assert measured["wape first"][:2] == ["wape", "average precision"]
    assert measured["old"] == {"hit rate": ["0.300", ""], "took": ["0.0 s", "0 steps"]}
    first, second, none, old = measured["headlines"]
    assert first == "average precision 0.310, baseline logistic regression 0.250"
    assert second == "wape 0.222, baseline seasonal naive 0.290"
    assert (none, old) == ("", "")
    assert list(measured["numbers"]) == ["average_precision", "average_precision_train", "wape", "r2"]
    assert measured["listed"][:3] == [
        "average precision",
        "average precision, prior",
        "average precision, logistic regression",
    ]
    assert measured["kept"]


def test_each_kind_of_chart_is_drawn(measured: dict[str, Any]) -> None:
    sales, calibration = measured["drawn"]["Sales"], measured["drawn"]["Calibration"]
    told = re.findall('<g class="dots"><title>(.*?)</title>', sales)
    assert told == ["actual, Mon: 1.50", "actual, Wed: 2.50", "forecast, Wed: 2.00", "forecast, Thu: 3.00"]
    assert re.findall(r"</span> (.*?)</span>", sales) == ["actual", "forecast"]
    assert "&lt;forecast&gt;" in calibration and "<forecast>" not in calibration
    assert ">seen</text>" in calibration
    told = re.findall('<g class="dots"><title>(.*?)</title>', calibration)
    assert told[:2] == ["model: 0.100, 0.200", "model: 0.500, 0.400"] and len(told) == 5
    series = calibration.split('class="series serie-')
    assert [each.count('class="line reactive') for each in series[1:3]] == [1, 0]  # what goes back is no line
    confusion = measured["drawn"]["Confusion"]
    assert re.findall(r"<t[dh][^>]*>([^<]+)</t[dh]>", confusion) == [
        *("&lt;a&gt;", "b"),
        *("&lt;a&gt;", "3", "1"),
        *("b", "0", "1,200"),
    ]
    assert re.findall(r" (\d+)%, transparent\)(; font-weight: bold)?", confusion) == [
        ("60", "; font-weight: bold"),
        ("20", ""),
        ("0", ""),
        ("80", "; font-weight: bold"),
    ]
    assert measured["empty"] == ["Nothing"]
    assert len(re.findall(r"</span> series \d</span>", measured["eight"])) == 8


def test_a_chart_that_cannot_be_drawn_is_refused_when_it_is_made(measured: dict[str, Any]) -> None:
    assert measured["problems"] == [
        "chart 'A': series 'actual' has 2 values for 4 labels",
        "chart 'A': actual: '4' is not a finite number",
        "chart 'A': model: inf is not a finite number",
        "chart 'A': series 'model': a point is two numbers, (x, y)",
        "chart 'A': series 'model' has 1,001 values, and 1,000 can be shown: show fewer, or means",
        "chart 'A': a: None is not a finite number",
        "chart 'A': row 'b' has other columns than the first row",
        "chart 'A': the matrix has 1 rows of 31, and 30 of each can be shown: show the most frequent, and the others "
        "together",
    ]


def browser() -> Browser:
    """The browser of this machine."""
    try:
        return Browser.found()
    except SystemExit:
        rig.missing("CHROMIUM", "no chromium here to draw pages")


def test_a_number_that_is_not_finite_is_shown_as_it_is(week: Project, tmp_path: Path) -> None:
    """As a project notes it that names a number of its own as the metric, without a direction."""
    mine = week.with_env(
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER=str(tmp_path / "runs"), DEPLOY__METRIC="odds"
    )
    file = week.folder / "src" / week.package / "pipeline.py"
    text = file.read_text(encoding="utf-8")
    first = '    hit_rate = run.metric("hit_rate")'
    assert first in text
    for day, number in ((1, "0.25"), (0, "float('nan')")):
        file.write_text(text.replace(first, f'    run.record.numbers["odds"] = {number}\n{first}'), encoding="utf-8")
        done = mine.call("run", f"--date={date.today() - timedelta(day)}")
        assert done.returncode == 0, done.stderr
    file.write_text(text, encoding="utf-8")
    shown = mine.make("results")
    assert re.search("odds +nan", shown)
    assert re.search("each day +█▁", shown)
    assert "Quality, day by day" in max(tmp_path.glob("runs/*/report.html")).read_text(encoding="utf-8")

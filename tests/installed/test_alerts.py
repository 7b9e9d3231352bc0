"""Who is told what: the shape of a message for each service, and runs that are missing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from listener import Listener, listening
from rig import Project

# What services take, and what is logged where they do not.
TELLS = """
import json
from datetime import date
from {package}.ops import alerts
from {package}.ops.runs import Record
from {package}.ops.settings import Alert, AlertFormat, Stage

record = Record("R1", Stage.production, date(2026, 1, 31), status="failed", git_commit="c" * 40)
problem = "a_b*c: <1 & 2> " + "é" * 5000
for path, kind in json.loads({places!r}):
    alert = Alert(webhook="{url}" + path, format=kind)
    alerts.failed(alert, "production", "the gate 'x' refuses", record)
    alerts.failed(alert, "production", problem)
    alerts.noticed(alert, "develop", "half of the rows on 2026-01-31: make results shows them", record)
hosts = json.loads({hosts!r})
print(json.dumps([alerts.format_of(Alert(webhook=host)) for host in hosts]))
"""
SERVICES = {"/webhook": "auto", "/slack": "slack", "/workflow": "teams", "/connector": "teams"}
REFUSING = {"/gone": "slack", "/throttled": "teams", "/moved": "json", "/slack": "json"}
HOSTS = {
    "https://hooks.slack.com/services/T0/B0/x": "slack",
    "https://contoso.webhook.office.com/webhookb2/x/IncomingWebhook/y": "teams",
    "https://prod-12.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=y": "teams",
    "https://0a1b.4a.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/x": "teams",
    "https://chat.example.org/hooks/hooks.slack.com": "json",
    "https://nothooks.slack.com.example.org/": "json",
    "no address": "json",
    "http://[": "json",
    "": "json",
}

# Pure functions: which moments are missing, and when to look for them.
MISSING = """
import json
from datetime import UTC, date, datetime, timedelta
from {package}.ops.cron import Cron, looks
from {package}.ops.active_version import Deployment
from {package}.ops.runs import Record
from {package}.ops.settings import Schedule, Stage, StageSettings
from {package}.ops.missing_runs import missing

def at(text):
    return datetime.fromisoformat("2026-03-" + text).replace(tzinfo=UTC)

def run(day, began, status="ok", kind="daily"):
    return Record("x", Stage.production, date(2026, 3, day), started_at=at(began), status=status, kind=kind)

def without(line, now, *runs, zone="UTC", since="01T12:00", ends=240):
    cron = Cron(StageSettings(stage=Stage.production, schedule=Schedule(cron=line, timezone=zone)))
    made = [Deployment("Ada", "deploy", at=at(since).isoformat(), schedule=cron.name)]
    found = missing(runs, made, cron, at(now), timedelta(hours=1), timedelta(minutes=ends))
    return [f"{{each.due:%dT%H:%M}}" + "!" * bool(each.run) + "+" * each.goes_on for each in found]

daily, twice = "0 5 * * *", "0 6,18 * * *"
done = [run(day, f"{{day:02}}T05:01") for day in range(2, 5)]
print(json.dumps([
    without(daily, "05T05:59", *done),
    without(daily, "05T06:00", *done),
    without(daily, "05T06:00", *done, run(5, "05T04:59")),
    without(daily, "05T06:00", *done, run(5, "05T05:00", "failed")),
    without(daily, "05T06:00", *done, run(4, "05T05:00")),
    without(daily, "05T06:00", *done, run(5, "05T05:01", "running")),
    without(daily, "05T09:05", *done, run(5, "05T05:01", "running")),
    without(daily, "05T09:05", *done, run(5, "05T05:01", "stopped")),
    without(daily, "05T09:05", *done, run(5, "05T05:01", "stopped"), run(5, "05T07:00", "running")),
    without(daily, "05T06:00", run(2, "02T05:01"), run(4, "04T05:01"), run(5, "05T05:01")),
    without(daily, "05T06:00", run(2, "02T05:01"), run(3, "04T10:00"), run(4, "04T05:01"), run(5, "05T05:01")),
    without(daily, "05T06:00", *done, run(5, "05T05:01", kind="backfill")),
    without(daily, "05T09:05", *done, run(5, "05T05:01", "running", kind="backfill")),
    without(daily, "05T09:05", *done, run(5, "05T05:01", "failed", kind="late data")),
    without(daily, "05T06:00", since="04T12:00"),
    without(daily, "05T06:00", since="05T05:30"),
    len(without(daily, "25T06:00")),
    without(twice, "02T20:00", run(2, "02T06:00"), since="02T00:00"),
    without(twice, "02T20:00", since="02T00:00"),
    without(twice, "02T20:00", run(2, "02T18:00"), since="02T00:00"),
    without("", "05T06:00"),
    without("30 2 * * *", "29T02:30", run(28, "28T01:31"), zone="Europe/Berlin", since="28T00:00"),
]))

across = ["30 23 * * *", "30 23 * * 1", "0 23 31 12 *"]
for line in (daily, twice, *across, "*/10 * * * *", "5,50 0-23/3 * * 1-5", "0 5 1 * MON"):
    for late, deadline in ((60, 240), (0.5, 1), (45, 30), (3000, 4000)):
        cron = Cron(StageSettings(stage=Stage.production, schedule=Schedule(cron=line)))
        schedule = Schedule(cron=line, late_minutes=late, deadline_minutes=deadline)
        look = Cron(StageSettings(stage=Stage.production, schedule=Schedule(cron=looks(schedule))))
        moment = at("01T00:00")
        for _ in range(300):
            moment = cron.after(moment)
            first = look.after(moment + timedelta(minutes=late, seconds=-1))
            assert first - moment <= timedelta(minutes=late + 1), (line, late, looks(schedule), moment)
            ended = look.after(moment + timedelta(minutes=deadline))
            assert ended - moment <= timedelta(minutes=max(late, deadline) + 66), (line, deadline, looks(schedule))
assert looks(Schedule(cron="")) == ""
print(looks(Schedule(cron=daily)), looks(Schedule(cron="30 23 * * 1")), sep="\\n")
"""
ARE_MISSING: list[Any] = [
    [],
    ["05T05:00"],
    ["05T05:00"],  # by hand, before the moment
    [],  # which the run itself has told
    ["05T05:00"],  # of another day
    [],
    ["05T05:00!"],  # killed
    ["05T05:00!"],
    [],  # begun again
    ["03T05:00"],
    [],  # by hand, later
    [],  # the day has its rows
    ["05T05:00"],
    ["05T05:00"],
    ["05T05:00"],
    [],
    7,
    ["02T18:00"],
    ["02T06:00", "02T18:00+"],
    [],  # the day has its rows
    [],
    ["29T03:00"],  # as there is no 02:30
]

# A deployment of some days ago, and its runs: good ones for these days.
DEPLOYED = """
from datetime import UTC, datetime, timedelta
from {package}.ops import active_version, records
from {package}.ops.runs import Record
from {package}.ops.settings import Stage, StageSettings, load
from {package}.ops.store import Store
from pathlib import Path

settings = load(StageSettings, Stage.production)
with Store(settings.database.url, create=True) as store:
    store.prepare()
file, made = Path("var/production/deployments.jsonl"), active_version.history(Stage.production)[-1].at
file.write_text(file.read_text().replace(made, (datetime.now(UTC) - timedelta(days=5)).isoformat()))
for days, status in {runs}:
    began = datetime.fromisoformat("{due}") - timedelta(days=days) + timedelta(minutes=1)
    record = Record(f"R{{days}}", Stage.production, began.date(), started_at=began, status=status)
    records.save(record, settings)
"""


# A scheduler that is begun again after each run that did not begin.
TRIED = """
from datetime import datetime
from {package}.ops import missing_runs
from {package}.ops.settings import Stage, StageSettings, load

due = datetime.fromisoformat("{due}")
for name in ("R1", "R2"):
    problem = f"the run for {{due.date()}} did not begin: {{name}}"
    missing_runs.tell_once(load(StageSettings, Stage.production), due, problem)
"""


KEPT = """
from datetime import UTC, datetime
from {package}.ops import records
from {package}.ops.runs import Record
from {package}.ops.settings import Stage, StageSettings, load

settings, today = load(StageSettings, Stage.develop), datetime.now(UTC)
before = records.missing_told(settings)
records.note_missing(settings, [("2020-01-01T05:00:00+00:00", "no run")])
records.note_missing(settings, [("2999-01-01T05:00:00+00:00", "no run")])
records.save(Record("R1", Stage.develop, today.date(), started_at=today), settings)
print([before, [list(each) for each in records.missing_told(settings)], len(records.since(settings, today.date()))])
"""


@pytest.fixture
def told() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def shown(path: str, message: dict[str, Any]) -> str:
    """What a person reads."""
    if path in ("/workflow", "/connector"):
        ((inline,),) = [block["inlines"] for block in message["attachments"][0]["content"]["body"]]
        return str(inline["text"])
    text = str(message["text"])
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if path == "/slack" else text


def tells(place: Project, told: Listener, places: dict[str, str]) -> tuple[list[str], str]:
    script = TELLS.format(
        package=place.package, url=told.url, places=json.dumps([*places.items()]), hosts=json.dumps([*HOSTS])
    )
    done = place.python(script)
    assert done.returncode == 0, done.stderr
    *log, formats = done.stdout.splitlines()
    return json.loads(formats), "\n".join(log) + done.stderr


def test_each_service_is_sent_what_it_takes(place: Project, told: Listener) -> None:
    formats, log = tells(place, told, SERVICES)
    assert dict(zip(HOSTS, formats, strict=True)) == HOSTS
    assert "lost=" not in log
    assert log.count("sent_to=alert.webhook") == len(SERVICES) * 3 == len(told.received)
    run = "run R1 for 2026-01-31, commit ccccccccccc,"
    for path in SERVICES:
        first, second, third = (shown(of, message) for of, message in told.received if of == path)
        more = "make logs STAGE=production RUN=R1 tells more"
        assert first == f"burger-combos production: {run} the gate 'x' refuses; {more}"
        assert second.startswith("burger-combos production: a_b*c: <1 & 2> é")
        assert second.endswith("é; make logs STAGE=production RUN=scheduler tells more")
        assert (len(second) > 5000) == (path == "/webhook")
        assert third == f"burger-combos develop: {run} half of the rows on 2026-01-31: make results shows them"
    plain = [message for path, message in told.received if path == "/webhook"]
    facts = {"project": "burger-combos", "stage": "production", "problem": "the gate 'x' refuses", "status": "failed"}
    assert plain[0] == facts | {"run_id": "R1", "date": "2026-01-31", "commit": "c" * 40, "text": plain[0]["text"]}
    assert plain[2]["finding"] == "half of the rows on 2026-01-31: make results shows them"


def test_what_a_service_does_not_take_is_logged_as_lost_without_its_address(place: Project, told: Listener) -> None:
    _, log = tells(place, told, REFUSING)
    assert "sent_to" not in log
    assert told.url not in log
    for status in ("status 410", "status 200, though Teams itself says 429", "status 301", "status 400"):
        assert log.count(f"alert.webhook refuses it: {status}") == 3, log
    assert len(told.received) == 12  # nobody was asked for /elsewhere
    assert not told.asked.is_set()


def test_what_is_missing_and_when_to_look(place: Project) -> None:
    done = place.python(MISSING.format(package=place.package))
    assert done.returncode == 0, done.stderr
    found, *lines = done.stdout.splitlines()
    assert json.loads(found) == ARE_MISSING
    assert lines == ["0 6,10 * * *", "30 0,4 * * *"]


def test_a_missing_run_is_told_once(place: Project, told: Listener) -> None:
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    mine = place.with_env(ALERT__WEBHOOK=f"{told.url}/webhook", SCHEDULE__CRON=f"{due:%M %H} * * *")

    def look() -> list[str]:
        before = len(told.texts())
        done = mine.call("watch")
        assert done.returncode == 0, done.stderr
        return told.texts()[before:]

    def have(*runs: tuple[int, str]) -> None:
        done = mine.python(DEPLOYED.format(package=mine.package, due=due.isoformat(), runs=[*runs]))
        assert done.returncode == 0, done.stderr

    assert look() == []  # nothing is deployed
    assert mine.call("promote", "--by", "Ada").returncode == 0
    assert look() == []  # nothing was due since
    have((4, "ok"), (3, "ok"), (2, "failed"))
    day = due.date()
    listed = f"{day - timedelta(days=1)}, {day}"
    (text,) = look()
    assert text == (
        f"burger-combos production: no run for {listed}: make run DATE={day - timedelta(days=1)} "
        f"(due at {due:%Y-%m-%d %H:%M} UTC; make logs STAGE=production RUN=scheduler says why)"
    )
    assert look() == []
    have((0, "running"))  # which was killed: its deadline is over
    mine = mine.with_env(SCHEDULE__DEADLINE_MINUTES="30")
    assert look() == []  # the same fault
    done = mine.python(TRIED.format(package=mine.package, due=due.isoformat()))
    assert done.returncode == 0, done.stderr
    (text,) = [text for text in told.texts() if "did not begin" in text]
    assert f" the run for {day} did not begin: R1; make logs STAGE=production RUN=scheduler tells more" in text
    elsewhere = mine.with_env(DATABASE__URL="postgresql://app@127.0.0.1:9/app").call("watch")
    assert elsewhere.returncode == 1
    assert "nobody knows whether a run is missing: postgresql://app@127.0.0.1:9/app" in told.texts()[-1]


def test_a_message_that_is_lost_is_sent_at_the_next_look(place: Project, told: Listener) -> None:
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    mine = place.with_env(SCHEDULE__CRON=f"{due:%M %H} * * *", SCHEDULE__DEADLINE_MINUTES="30")
    assert mine.call("promote", "--by", "Ada").returncode == 0
    done = mine.python(DEPLOYED.format(package=mine.package, due=due.isoformat(), runs=[(1, "ok"), (0, "stopped")]))
    assert done.returncode == 0, done.stderr
    lost = mine.with_env(ALERT__WEBHOOK=f"{told.url}/gone").call("watch")
    assert (lost.returncode, "status 410" in lost.stderr + lost.stdout) == (0, True)
    assert mine.with_env(ALERT__WEBHOOK=f"{told.url}/webhook").call("watch").returncode == 0
    (text,) = told.texts()
    assert f"run R0 for {due.date()} began at " in text
    assert text.endswith(" and did not end in 30 minutes: make logs STAGE=production RUN=R0")


def test_the_webhook_can_be_tried(place: Project, told: Listener) -> None:
    def tried(path: str) -> str:
        url = f"{told.url}{path}" if path else ""
        done = place.with_env(ALERT__WEBHOOK=url, ALERT__FORMAT="slack").call("watch", "--test")
        assert (done.returncode == 0) == (path == "/slack")
        return done.stderr.splitlines()[-1] if done.returncode else ""

    assert tried("/slack") == ""
    assert "this is a test" in told.received[0][1]["text"]
    assert "alert.webhook did not take a message as slack" in tried("/workflow")
    assert "alert.webhook is empty" in tried("")
    wrong = place.with_env(ALERT__FORMAT="discord").call("watch", "--test")
    assert "'auto', 'json', 'slack' or 'teams' is expected, not \"discord\"" in wrong.stderr


def test_what_was_told_is_kept_for_thirty_days_in_either_database(stored: Project) -> None:
    done = stored.python(KEPT.format(package=stored.package))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[None, [['2999-01-01T05:00:00+00:00', 'no run']], 1]"

"""Tell somebody, by HTTP, how a run ended, what it noticed, or that it is missing."""

import json
import re
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import structlog

from .runs import Record
from .settings import Alert, AlertFormat
from .version import short

LONGEST = 4000  # characters of a chat's message; Slack and Teams refuse one that is much longer
SERVICES = {
    AlertFormat.slack: ("hooks.slack.com", "hooks.slack-gov.com"),
    AlertFormat.teams: ("webhook.office.com", "outlook.office.com", "logic.azure.com", "api.powerplatform.com"),
}
log = structlog.get_logger()

Body = dict[str, Any]


def failed(alert: Alert, stage: str, problem: str, record: Record | None = None) -> bool:
    """POST to the webhook what went wrong; whether it took that."""
    return _tell(alert, stage, "problem", problem, record)


def noticed(alert: Alert, stage: str, finding: str, record: Record | None = None) -> None:
    """POST to the webhook what somebody should know of, although the run itself is fine.

    Args:
        alert: where to.
        stage: of which stage.
        finding: one sentence: what, for which day, and what to do.
        record: the run that noticed it.
    """
    _tell(alert, stage, "finding", finding, record)


def tried(alert: Alert, stage: str) -> bool:
    """POST to the webhook that this is a test; whether it took that."""
    return _tell(
        alert, stage, "finding", "this is a test of the webhook, as make logs and make run would stand here", None
    )


def succeeded(alert: Alert, record: Record) -> None:
    """POST to the heartbeat that a run ended well."""
    _post("heartbeat", alert.heartbeat.get_secret_value(), {"run_id": record.run_id, "date": str(record.date)})


def format_of(alert: Alert) -> AlertFormat:
    """What the webhook takes, as the setting says or else its address."""
    if alert.format is not AlertFormat.auto:
        return alert.format
    try:
        host = urlsplit(alert.webhook.get_secret_value()).hostname or ""
    except ValueError:  # which is told when it is to be reached
        return AlertFormat.json
    for service, hosts in SERVICES.items():
        if any(host == each or host.endswith(f".{each}") for each in hosts):
            return service
    return AlertFormat.json


def _tell(alert: Alert, stage: str, kind: str, what: str, record: Record | None) -> bool:
    """POST to the webhook one sentence, in the shape that it takes; whether it did."""
    project = __name__.partition(".")[0].replace("_", "-")
    facts: Body = {"project": project, "stage": stage, kind: what}
    if record:
        facts |= {
            "status": record.status,
            "run_id": record.run_id,
            "date": str(record.date),
            "commit": record.git_commit,
        }
    of = f" run {record.run_id} for {record.date}, commit {short(record.git_commit)}," if record else ""
    text = " ".join(f"{project} {stage}:{of} {what}{_what_to_do(stage, what, record)}".split())
    url, service = alert.webhook.get_secret_value(), format_of(alert)
    return _post("webhook", url, BODIES[service](text, facts), service)


def _what_to_do(stage: str, what: str, record: Record | None) -> str:
    """The command that tells more, unless the sentence names one."""
    if re.search(r"\bmake [a-z]", what):
        return ""
    of = f"STAGE={stage} " * (stage != "develop")
    return f"; make logs {of}RUN={record.run_id if record else 'scheduler'} tells more"


def _as_json(text: str, facts: Body) -> Body:
    return {"text": text} | facts


def _for_slack(text: str, facts: Body) -> Body:
    """Only what an incoming webhook takes; & < > are its own markup, and begin a link or a mention there."""
    text = _cut(text)
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, written)
    return {"text": text}


def _for_teams(text: str, facts: Body) -> Body:
    """An Adaptive Card, as the Workflows app posts it; a TextRun shows _ and * as they are, a TextBlock does not."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _cut(text)}]}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _cut(text: str) -> str:
    """The text, without its middle where it is too long: what to do stands at its end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 210]} … {text[-200:]}"


BODIES: dict[AlertFormat, Callable[[str, Body], Body]] = {
    AlertFormat.json: _as_json,
    AlertFormat.slack: _for_slack,
    AlertFormat.teams: _for_teams,
}


class _NoRedirect(HTTPRedirectHandler):
    """What is redirected would arrive as a GET without its body, and seem to be told."""

    def redirect_request(self, *_: Any) -> None:
        """Let the status be an error."""


def _post(name: str, url: str, message: Body, service: AlertFormat = AlertFormat.json) -> bool:
    """An address that does not take it is no reason to fail: it is logged, without the address."""
    if not url:
        return False
    body = json.dumps(message, ensure_ascii=False).encode()
    try:
        request = Request(url, body, {"Content-Type": "application/json; charset=utf-8"})
        with build_opener(_NoRedirect).open(request, timeout=10) as answer:
            lost = _refused(answer.read(LONGEST).decode(errors="replace")) if service is AlertFormat.teams else ""
            status = answer.status
    except (OSError, ValueError, HTTPException) as error:  # HTTPError is one, with the status as its code
        status = getattr(error, "code", None)
        why = f"status {status}" if status else type(getattr(error, "reason", error)).__name__
        log.warning("alert", lost=f"alert.{name} {'refuses it' if status else 'cannot be reached'}: {why}")
        return False
    if lost:
        log.warning("alert", lost=f"alert.{name} refuses it: status {status}, {lost}")
        return False
    log.info("alert", sent_to=f"alert.{name}")
    return True


def _refused(answer: str) -> str:
    """What is wrong, of an answer of Teams whose status is good: a connector says 1 where it has posted the message."""
    if not re.search("error|failed", answer, re.IGNORECASE):
        return ""
    inner = re.search(r"HTTP error (\d{3})", answer)
    return f"though Teams itself says {inner[1]}" if inner else "though the answer tells of an error"

"""Tell somebody, by HTTP, how a run ended."""

import json
from urllib.error import URLError
from urllib.request import Request, urlopen

import structlog

from .runs import Record
from .settings import Alert
from .version import short

log = structlog.get_logger()


def failed(alert: Alert, stage: str, problem: str, record: Record | None = None) -> None:
    """POST to the webhook what went wrong."""
    _tell(alert, stage, "problem", problem, record)


def noticed(alert: Alert, stage: str, finding: str, record: Record | None = None) -> None:
    """POST to the webhook what somebody should know of, although the run itself is fine.

    Args:
        alert: where to.
        stage: of which stage.
        finding: one sentence: what, for which day, and what to do.
        record: the run that noticed it.
    """
    _tell(alert, stage, "finding", finding, record)


def succeeded(alert: Alert, record: Record) -> None:
    """POST to the heartbeat that a run ended well."""
    _post("heartbeat", alert.heartbeat.get_secret_value(), {"run_id": record.run_id, "date": str(record.date)})


def _tell(alert: Alert, stage: str, kind: str, what: str, record: Record | None) -> None:
    """POST to the webhook, as JSON whose `text` most chat programs show as it is."""
    project = __name__.partition(".")[0].replace("_", "-")
    facts: dict[str, str] = {"project": project, "stage": stage, kind: what}
    if record:
        facts |= {
            "status": record.status,
            "run_id": record.run_id,
            "date": str(record.date),
            "commit": record.git_commit,
        }
    of = f" run {record.run_id} for {record.date}, commit {short(record.git_commit)}," if record else ""
    _post("webhook", alert.webhook.get_secret_value(), {"text": f"{project} {stage}:{of} {what}"} | facts)


def _post(name: str, url: str, message: dict[str, str]) -> None:
    """An address that does not answer is no reason to fail: it is logged, without the address."""
    if not url:
        return
    body = json.dumps(message, ensure_ascii=False).encode()
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=10):
            log.info("alert", sent_to=f"alert.{name}")
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "code", None) or type(getattr(error, "reason", error)).__name__
        log.warning("alert", lost=f"alert.{name} cannot be reached: {reason}")

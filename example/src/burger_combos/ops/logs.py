"""Logs: readable lines on the terminal, JSON lines in the run's folder."""

import logging
import sys
from pathlib import Path

import structlog

from .terminal import shows_colors

FILE_ONLY = "file-only"  # the logger for what the terminal is told otherwise

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def start(file: Path | None = None) -> None:
    """Send all logs, the libraries' too, to standard error and, where one is given, to a file, which is added to."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.addFilter(lambda record: record.name != FILE_ONLY)
    terminal.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[_for_people, renderer(colors=shows_colors(sys.stderr))],
        )
    )
    handlers: list[logging.Handler] = [terminal]
    if file:
        lines = logging.FileHandler(file, encoding="utf-8")
        lines.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=_SHARED,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
            )
        )
        handlers.append(lines)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # which tells of every look at the clock
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    """How people read a log. Tracebacks are plain: the values of variables may be secrets."""
    return structlog.dev.ConsoleRenderer(
        pad_event_to=10,
        pad_level=False,
        sort_keys=False,
        colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _for_people(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The time of day is enough on a terminal, and the run's id stands in the first line."""
    for key in ("_record", "_from_structlog", "run_id"):
        event.pop(key, None)
    event["timestamp"] = event["timestamp"][11:19]
    return event

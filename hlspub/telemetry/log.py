"""Logs: events with fields, one line each, on stderr.

Rule: every line of this process, hlspub's own and its libraries', goes through the same processors: a level, an ISO
timestamp in UTC, then `redact` (P8), then one renderer. On a terminal that is structlog's console; elsewhere JSON.
Under journald the timestamp is left out and the line starts with its priority as sd-daemon(3) has it (`<6>`), which
journald takes off again, so that `journalctl -p warning` works. Tracebacks never show local variables: those hold
secrets.

Events are named `area.verb_past` (`root.published`), the unit stands in the field's name (`size_bytes`, `took_s`), a
CID is never cut. A library's message stands under `event` as it wrote it, its logger's name under `logger`.
"""

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from hlspub.telemetry.redact import clean, clean_item

Format = Literal["auto", "console", "json"]
LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# What libraries say below this is not for operators: a line a request, a line a connection; and uvicorn warns of every
# stranger that does not speak HTTP. At the level "debug" they may say it.
_CHATTY: Final[Mapping[str, int]] = {
    "asyncio": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn": logging.ERROR,
    "uvicorn.access": logging.ERROR,
    "uvicorn.error": logging.ERROR,
    "watchdog": logging.WARNING,
}
_PRIORITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# structlog's own keys, which later processors need as they are.
_INTERNAL: Final = frozenset(("_record", "_from_structlog", "exc_info", "stack_info"))


def configure(
    format: Format = "auto",  # noqa: A002 -- the command's option has this name
    level: str = "info",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Set up structlog and the standard library's logging for this process; call again to change the level.

    `stream` defaults to stderr, `environ` ($NO_COLOR, $JOURNAL_STREAM) to the process's own.
    """
    out: TextIO = sys.stderr if stream is None else stream
    env = os.environ if environ is None else environ
    threshold = LEVELS[level]
    terminal = out.isatty()
    console = format == "console" or (format == "auto" and terminal)
    journal = not console and is_journal(out, env)

    shared = _shared(timestamp=not journal)
    renderers = _console(colors=terminal and not env.get("NO_COLOR")) if console else _json(priority=journal)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(out, threshold, shared, renderers)


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is journald's: $JOURNAL_STREAM is its device and inode, see systemd.exec(5)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    if not (device and inode):
        return False
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream in memory has no descriptor
        return False
    return (str(stat.st_dev), str(stat.st_ino)) == (device, inode)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: clean every value of the event, in plain types."""
    return {key: value if key in _INTERNAL else clean_item(key, value) for key, value in event.items()}


def _shared(*, timestamp: bool) -> list[Processor]:
    stamp: list[Processor] = [structlog.processors.TimeStamper(fmt="iso", utc=True)] if timestamp else []
    return [structlog.processors.add_log_level, *stamp, structlog.processors.StackInfoRenderer(), redact]


def _console(*, colors: bool) -> list[Processor]:
    # The plain formatter: rich's, where it is installed, would show local variables.
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [structlog.processors.format_exc_info, _redact_exception, renderer]


def _json(*, priority: bool) -> list[Processor]:
    rendered: list[Processor] = [structlog.processors.format_exc_info, _redact_exception, _in_order]
    return [*rendered, _Journal() if priority else structlog.processors.JSONRenderer(ensure_ascii=False)]


def _redact_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = clean(event["exception"])
    return event


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Time, level and event first: what a person reads a line by."""
    first: dict[str, Any] = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


class _Journal:
    """JSON behind the priority prefix of sd-daemon(3)."""

    def __init__(self) -> None:
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = _PRIORITY.get(str(event.get("level")), _PRIORITY["info"])
        return f"<{priority}>{self._render(logger, method, event)!s}"


def _add_logger_name(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    event["logger"] = event["_record"].name
    return dict(event)


def _route_standard_logging(
    stream: TextIO, threshold: int, shared: list[Processor], renderers: list[Processor]
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name, quiet in _CHATTY.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.INFO if threshold <= logging.DEBUG else max(threshold, quiet))

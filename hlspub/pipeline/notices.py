"""What the watcher and the journal say aloud, as log lines and metrics."""

from dataclasses import fields

import structlog

from hlspub.journal.writer import JournalBlocked, JournalEvent
from hlspub.telemetry.metrics import Metrics
from hlspub.watch.ports import (
    FellBackToPoll,
    Notice,
    Notify,
    ObserverRestarted,
    Overflowed,
    PathSkipped,
    RootMissing,
    ScanFinished,
)

log = structlog.get_logger()


def notices(stream: str, metrics: Metrics) -> Notify:
    """A listener for the watcher of `stream`."""

    def notice(what: Notice) -> None:
        said = {field.name: getattr(what, field.name) for field in fields(what)}
        if isinstance(what, ScanFinished):
            metrics.watch_rescanned()
            log.debug(what.event, stream=stream, **said)
            return
        if isinstance(what, Overflowed):
            metrics.watch_overflowed()
        elif isinstance(what, ObserverRestarted):
            metrics.watch_restarted()
        loud = isinstance(what, Overflowed | ObserverRestarted | RootMissing | FellBackToPoll | PathSkipped)
        (log.warning if loud else log.info)(what.event, stream=stream, **said)

    return notice


def journal_said(event: JournalEvent) -> None:
    """What the journal tells: the disk refuses it, or takes it again."""
    if isinstance(event, JournalBlocked):
        log.error("journal.blocked", reason=event.error, hint=event.hint)
    else:
        log.info("journal.resumed", tries=event.tries)

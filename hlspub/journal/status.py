"""What `hlspub status --json` says, as far as the journal knows it.

The caller adds what only a running daemon or the configuration knows: `entry_url`, a target's state beyond its backlog, the
streams that wait for their first session. Times are Unix seconds; a CID is text.
"""

from typing import Any

from hlspub.journal.deliveries import DeliveryReads
from hlspub.journal.forgetting import ForgettingReads
from hlspub.journal.learned import LearnedReads
from hlspub.journal.streams import StreamReads
from hlspub.journal.telling import HookBacklog, SavedName, TellingReads
from hlspub.journal.values import Backlog, SavedRoot, SavedStream

WAITING = "waiting"  # no session yet
NEEDS_ACTION = "needs_action"  # a target refused something for good
_SESSIONS = 20  # the newest that are shown


class StatusReads(DeliveryReads, StreamReads, LearnedReads, ForgettingReads, TellingReads):
    """The query; `JournalReader` has it."""

    def status(self, now: float) -> dict[str, Any]:
        """The streams, targets, names and hooks as one picture.

        A stream's `root`, `entry`, `seq`, `final` and `published_at` are those of its newest announced root, which may be of
        an earlier session than `session`; `pending` counts the CARs of `session` that some target has not confirmed.
        """
        self._db.execute("BEGIN")
        try:
            streams = [self._stream(stream) for stream in self.streams()]
            targets = [_target(name, self.backlog(name), now) for name in self.targets()]
            names = [_name(name) for name in self.named()]
            hooks = [_hook(hook, now) for hook in self.hooks()]
        finally:
            self._db.execute("ROLLBACK")
        return {"streams": streams, "targets": targets, "names": names, "hooks": hooks}

    def _stream(self, stream: SavedStream) -> dict[str, Any]:
        sessions = self.sessions(stream.name, _SESSIONS)
        newest = sessions[0] if sessions else None
        shown = next(self.announced(stream.name), None)
        waiting = self.unconfirmed(newest.id) if newest else {}
        return {
            "name": stream.name,
            "directory": stream.directory,
            "session": newest.label if newest else None,
            "state": newest.state.value if newest else WAITING,
            **_root(shown),
            "seq": shown.seq if shown else None,
            "published_at": shown.announced_at if shown else None,
            "segments": newest.segments if newest else 0,
            "pending": len(set[str]().union(*waiting.values())),
            "sessions": [
                {
                    "id": session.label,
                    "started": session.started_at,
                    "ended": session.ended_at,
                    "reason": session.reason,
                    **_root(self.last_announced(session.id)),
                }
                for session in sessions
            ],
        }


def _root(root: SavedRoot | None) -> dict[str, Any]:
    return {
        "root": str(root.root) if root else None,
        "entry": root.entry if root else None,
        "final": root.final if root else False,
    }


def _target(name: str, backlog: Backlog, now: float) -> dict[str, Any]:
    state = NEEDS_ACTION if backlog.parked else "degraded" if backlog.failing else "ok"
    return {
        "name": name,
        "state": state,
        "backlog_cars": backlog.cars,
        "backlog_bytes": backlog.bytes,
        "oldest_pending_seconds": _seconds(now, backlog.oldest_at),
        "error": backlog.last_error,
        "next_try_in_seconds": None if backlog.next_try_at is None else max(0.0, backlog.next_try_at - now),
    }


def _name(name: SavedName) -> dict[str, Any]:
    return {
        "name": name.label,
        "id": name.name,
        "stream": name.stream,
        "root": str(name.root),
        "sequence": name.sequence,
        "routers": [
            {
                "name": service,
                "state": "ok" if sequence == name.sequence else "pending",
                "sequence": sequence,
                "sent_at": at,
                "error": None,
                "next_try_in_seconds": None,
            }
            for service, (sequence, at) in name.sent.items()
        ],
    }


def no_hook_backlog(name: str) -> dict[str, Any]:
    """What is said of a hook that was told of no stream yet."""
    return _hook(HookBacklog(name, None, 0, None), 0.0)


def _hook(hook: HookBacklog, now: float) -> dict[str, Any]:
    return {
        "name": hook.name,
        "state": "pending" if hook.pending else "ok",
        "pending": hook.pending,
        "oldest_pending_seconds": _seconds(now, hook.oldest_at),
        "told_at": hook.told_at,
        "error": None,
        "next_try_in_seconds": None,
    }


def _seconds(now: float, since: float | None) -> float | None:
    return None if since is None else max(0.0, now - since)

"""What is told to the outside: names, and where their records were sent; hooks, and how far they were told.

Rule: a name's sequence only grows; a record that would take it back is refused. It is written before the record is served or
sent, so no sequence is ever given to two records.

A hook's queue is the announced roots themselves: of each stream it has one number, the seq up to which it was told. So what
waits for a hook takes no room, however long that is away, and a root that nobody keeps any more waits for nobody.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hlspub import records
from hlspub.ipld.cid import Cid
from hlspub.journal.refused import RecordRefused
from hlspub.model import Publication

_MOVED = """
INSERT INTO name (name, label, stream, sequence, root, signed, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET label = excluded.label, stream = excluded.stream, sequence = excluded.sequence,
    root = excluded.root, signed = excluded.signed, made_at = excluded.made_at
WHERE excluded.sequence > name.sequence
"""
_SENT = """
INSERT INTO name_sent (name, service, sequence, sent_at)
SELECT name, ?2, ?3, ?4 FROM name WHERE name = ?1
ON CONFLICT DO UPDATE SET sequence = excluded.sequence, sent_at = excluded.sent_at
"""

_JOINED = """
INSERT INTO hook (name, stream_id, seq) SELECT ?, stream_id, last_seq FROM stream WHERE name = ?
ON CONFLICT DO UPDATE SET seq = seq
"""
_LEFT = "DELETE FROM hook WHERE name = ? AND stream_id = (SELECT stream_id FROM stream WHERE name = ?)"
_TOLD = """
UPDATE hook SET seq = max(seq, :seq), told_at = coalesce(:at, told_at)
WHERE name = :hook AND stream_id = (SELECT stream_id FROM stream WHERE name = :stream)
"""
_NEXT = """
SELECT stream.name, session.label, root.seq, root.root, entry, final, announced_at, latency_s, root.seq - hook.seq - 1
FROM hook JOIN stream USING (stream_id) JOIN root ON root.stream_id = hook.stream_id
    AND root.seq = (SELECT min(seq) FROM root AS later WHERE later.stream_id = hook.stream_id AND later.seq > hook.seq)
    JOIN session USING (session_id)
WHERE hook.name = ? AND stream.last_seq > hook.seq
ORDER BY announced_at
"""
_HOOKS = """
SELECT name, max(told_at),
       sum((SELECT count(*) FROM root WHERE root.stream_id = hook.stream_id AND root.seq > hook.seq)),
       min((SELECT min(announced_at) FROM root WHERE root.stream_id = hook.stream_id AND root.seq > hook.seq))
FROM hook GROUP BY name ORDER BY name
"""


def _move(db: sqlite3.Connection, record: records.NameMoved) -> None:
    row = (record.name, record.label, record.stream, record.sequence, record.root.raw, record.signed, record.at)
    if db.execute(_MOVED, row).rowcount != 1:
        raise RecordRefused(f"the sequence of a name never goes back: {record}")


def _send(db: sqlite3.Connection, record: records.NameSent) -> None:
    if db.execute(_SENT, (record.name, record.service, record.sequence, record.at)).rowcount != 1:
        raise RecordRefused(f"it names what the journal does not hold: {record}")


def _join(db: sqlite3.Connection, record: records.HookJoined) -> None:
    if db.execute(_JOINED, (record.hook, record.stream)).rowcount != 1:
        raise RecordRefused(f"it names what the journal does not hold: {record}")


def _leave(db: sqlite3.Connection, record: records.HookLeft) -> None:
    db.execute(_LEFT, (record.hook, record.stream))


def _tell(db: sqlite3.Connection, record: records.HookTold) -> None:
    row = {"hook": record.hook, "stream": record.stream, "seq": record.seq, "at": record.at}
    if db.execute(_TOLD, row).rowcount != 1:
        raise RecordRefused(f"it names what the journal does not hold: {record}")


WRITES: Mapping[type, Callable[[sqlite3.Connection, Any], None]] = MappingProxyType(
    {
        records.NameMoved: _move,
        records.NameSent: _send,
        records.HookJoined: _join,
        records.HookLeft: _leave,
        records.HookTold: _tell,
    }
)


@dataclass(frozen=True, slots=True)
class SavedName:
    """A name's newest record. `sent`: which sequence each service was sent last, and when."""

    name: str
    label: str
    stream: str
    sequence: int
    root: Cid
    signed: bytes
    made_at: float
    sent: Mapping[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Untold:
    """The next publication of a stream that a hook is to be told of; `passed` ones before it are not kept any more."""

    publication: Publication
    passed: int


@dataclass(frozen=True, slots=True)
class HookBacklog:
    """What waits for a hook, over all streams, and when it took something last."""

    name: str
    told_at: float | None
    pending: int
    oldest_at: float | None


class TellingReads:
    """The queries; `JournalReader` has them."""

    _db: sqlite3.Connection

    def named(self) -> list[SavedName]:
        """Every name that ever led somewhere, by label."""
        sent: dict[str, dict[str, tuple[int, float]]] = {}
        for name, service, sequence, at in self._db.execute("SELECT name, service, sequence, sent_at FROM name_sent"):
            sent.setdefault(name, {})[service] = (sequence, at)
        rows = self._db.execute(
            "SELECT name, label, stream, sequence, root, signed, made_at FROM name ORDER BY label, name"
        )
        return [
            SavedName(name, label, stream, sequence, Cid(root), signed, made_at, sent.get(name, {}))
            for name, label, stream, sequence, root, signed, made_at in rows
        ]

    def untold(self, hook: str) -> list[Untold]:
        """For each stream, the next publication that the hook is to be told of; the one that waits longest first."""
        return [
            Untold(Publication(stream, session, seq, Cid(root), entry, bool(final), at, latency_s), passed)
            for stream, session, seq, root, entry, final, at, latency_s, passed in self._db.execute(_NEXT, (hook,))
        ]

    def hooks(self) -> list[HookBacklog]:
        """Every hook that is told of something, by name."""
        return [HookBacklog(*row) for row in self._db.execute(_HOOKS)]

    def hook_streams(self) -> list[tuple[str, str]]:
        """Which hook is told of which stream."""
        sql = "SELECT hook.name, stream.name FROM hook JOIN stream USING (stream_id) ORDER BY 1, 2"
        return self._db.execute(sql).fetchall()

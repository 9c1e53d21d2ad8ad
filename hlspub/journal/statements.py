"""Which statements make a record durable: one entry of `WRITES` a record type.

Rule: a record that finds what it names is written; one that does not is a bug of its writer and raises, it never changes
nothing in silence. Records that can be decided twice across a crash (an announcement, a binding, an end, a receipt) may be
written twice: the first stands.

Parameters are the record's fields by name; a CID is bound as its bytes.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from hlspub import records
from hlspub.ipld.cid import Cid
from hlspub.journal import forgetting, joining, telling
from hlspub.journal.refused import RecordRefused
from hlspub.model import Car, FileIdentity, FileKind

Write = Callable[[sqlite3.Connection, Any], None]


def write(db: sqlite3.Connection, record: records.Record) -> None:
    """Write one record within the caller's transaction.

    Raises:
        RecordRefused: it names what is not there, or contradicts what is.
        sqlite3.Error: SQLite refused; a constraint that does not hold is a bug too.
    """
    try:
        statement = WRITES[type(record)]
    except KeyError:
        raise RecordRefused(f"the journal knows no record of the type {type(record).__name__}") from None
    statement(db, record)


def _parameters(record: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        values[field.name] = value.raw if isinstance(value, Cid) else value
    return values


def _one(sql: str) -> Write:
    """A statement that changes exactly one row."""

    def run(db: sqlite3.Connection, record: records.Record) -> None:
        _change_one(db, sql, _parameters(record), record)

    return run


def _change_one(db: sqlite3.Connection, sql: str, values: Mapping[str, Any], record: records.Record) -> None:
    if db.execute(sql, values).rowcount != 1:
        raise RecordRefused(f"it names what the journal does not hold: {record}")


_FILE = """
INSERT INTO file (session_id, path, version, kind, car_id, size, tsize,
                  device, inode, source_size, mtime_ns, ctime_ns, taken_at)
VALUES (:session, :path, :version, :kind, :car_id, :size, :tsize,
        :device, :inode, :source_size, :mtime_ns, :ctime_ns, :at)
"""
_CARRIED = """
INSERT INTO file (session_id, path, version, kind, car_id, size, tsize,
                  device, inode, source_size, mtime_ns, ctime_ns, taken_at)
SELECT :session, :path, :version, kind, car_id, size, tsize, device, inode, source_size, mtime_ns, ctime_ns, taken_at
FROM file
WHERE session_id = :from_session AND path = coalesce(nullif(:from_path, ''), :path) AND version = :from_version
"""
_SEEN = """
UPDATE file SET device = :device, inode = :inode, source_size = :source_size, mtime_ns = :mtime_ns, ctime_ns = :ctime_ns
WHERE session_id = :session AND path = :path AND version = :version
"""
_TAKEN_IN = """
UPDATE session SET last_taken_at = max(coalesce(last_taken_at, :at), :at) WHERE session_id = :session
"""
_COUNTED = """
UPDATE session SET segments = segments + 1 WHERE session_id = :session AND EXISTS (
    SELECT 1 FROM file WHERE session_id = :session AND path = :path AND version = :version AND kind = 'media'
) AND NOT EXISTS (
    SELECT 1 FROM file WHERE session_id = :session AND path = :path AND version <> :version
)
"""
_ROOT = """
INSERT INTO root (session_id, number, stream_id, root, tsize, entry, final, car_id, made_at)
SELECT :session, :number, stream_id, :root, :tsize, :entry, :final, :car_id, :at
FROM session WHERE session_id = :session
"""


def _identity(identity: FileIdentity) -> dict[str, int]:
    return {
        "device": identity.device,
        "inode": identity.inode,
        "source_size": identity.size,
        "mtime_ns": identity.mtime_ns,
        "ctime_ns": identity.ctime_ns,
    }


def _end_session(db: sqlite3.Connection, record: records.SessionEnded) -> None:
    """The archive playlists are written: what they were made from goes."""
    values = _parameters(record)
    sql = "UPDATE session SET state = 'ended', ended_at = coalesce(ended_at, :at) WHERE session_id = :session"
    _change_one(db, sql, values, record)
    for table in ("learned_segment", "learned_range"):
        db.execute(f"DELETE FROM {table} WHERE session_id = :session", values)  # noqa: S608 -- of two names


def _take_file(db: sqlite3.Connection, record: records.FileTaken) -> None:
    packed = record.packed
    if packed.cid != packed.car.root:
        raise RecordRefused(f"a file CAR's root is its file's CID: {record}")
    car_id = _car(db, packed.car)
    values = _identity(record.identity) | {
        "session": record.session,
        "path": record.path,
        "version": record.version,
        "kind": record.kind,
        "car_id": car_id,
        "size": packed.size_bytes,
        "tsize": packed.tsize,
        "at": record.at,
    }
    db.execute(_FILE, values)
    _change_one(db, _TAKEN_IN, values, record)
    if record.kind is FileKind.MEDIA:
        db.execute(_COUNTED, values)
    _queue(db, car_id, packed.car.size_bytes, record.targets, record.at, urgent=record.urgent)


def _carry_file(db: sqlite3.Connection, record: records.FileCarried) -> None:
    values = _parameters(record)
    _change_one(db, _CARRIED, values, record)
    db.execute(_COUNTED, values)


def _see_file(db: sqlite3.Connection, record: records.FileSeen) -> None:
    _change_one(db, _SEEN, _parameters(record) | _identity(record.identity), record)


def _pass_files(db: sqlite3.Connection, record: records.FilesPassed) -> None:
    rows = [(record.session, path) for path in record.paths]
    db.executemany("DELETE FROM interval WHERE session_id = ? AND path = ? AND to_version IS NOT NULL", rows)
    db.executemany("UPDATE file SET passed = 1 WHERE session_id = ? AND path = ?", rows)


def _make_root(db: sqlite3.Connection, record: records.RootMade) -> None:
    car_id = None if record.car is None else _car(db, record.car)
    values = _parameters(record) | {"car_id": car_id}
    _change_one(db, _ROOT, values, record)
    db.executemany(
        "INSERT INTO root_playlist (session_id, number, path, version) VALUES (?, ?, ?, ?)",
        [(record.session, record.number, path, version) for path, version in record.playlists],
    )
    if record.car is not None and car_id is not None:
        _queue(db, car_id, record.car.size_bytes, record.targets, record.at, urgent=True)


def _bind_root(db: sqlite3.Connection, record: records.RootBound) -> None:
    if _was_forgotten(db, record):
        return
    _know_target(db, record.target)
    sql = """
    INSERT INTO root_bound (session_id, number, target_id, bound_at)
    SELECT :session, :number, target_id, :at FROM target WHERE name = :target
    ON CONFLICT DO UPDATE SET bound_at = bound_at
    """
    _change_one(db, sql, _parameters(record), record)


def _was_forgotten(db: sqlite3.Connection, record: records.RootBound) -> bool:
    """Whether the root was there: a target that takes long may bind it when nobody keeps it any more."""
    sql = "SELECT max(number), max(number = ?) FROM root WHERE session_id = ?"
    newest, is_there = db.execute(sql, (record.number, record.session)).fetchone()
    return newest is not None and record.number < newest and not is_there


def _announce_root(db: sqlite3.Connection, record: records.RootAnnounced) -> None:
    values = _parameters(record)
    sql = """
    UPDATE root SET seq = :seq, announced_at = coalesce(announced_at, :at), latency_s = coalesce(latency_s, :latency_s)
    WHERE session_id = :session AND number = :number AND coalesce(seq, :seq) = :seq
    """
    _change_one(db, sql, values, record)
    sql = """
    UPDATE stream SET last_seq = max(last_seq, :seq)
    WHERE stream_id = (SELECT stream_id FROM session WHERE session_id = :session)
    """
    _change_one(db, sql, values, record)


def _find_car(db: sqlite3.Connection, record: records.CarFound) -> None:
    car_id, size = _car(db, record.car), record.car.size_bytes
    _queue(db, car_id, size, record.confirmed, record.at, urgent=False, confirmed_at=record.at)
    _queue(db, car_id, size, record.targets, record.at, urgent=False)


def _car(db: sqlite3.Connection, car: Car) -> int:
    """The row of a CAR: the one that its key has already, else a new one with its blocks."""
    found = db.execute("SELECT car_id, root, size FROM car WHERE key = ?", (car.key,)).fetchone()
    if found is not None:
        car_id, root, size = found
        if (root, size) != (car.root.raw, car.size_bytes):
            raise RecordRefused(f"two CARs of different content have the key {car.key}")
        if car.sha256 is not None:
            db.execute("UPDATE car SET sha256 = ? WHERE car_id = ?", (car.sha256, car_id))
        return car_id
    row = (car.key, car.kind, car.root.raw, car.size_bytes, car.sha256)
    sql = "INSERT INTO car (key, kind, root, size, sha256) VALUES (?, ?, ?, ?, ?) RETURNING car_id"
    car_id = db.execute(sql, row).fetchone()[0]
    db.executemany(  # a CAR may hold equal blocks twice; the first one serves
        "INSERT INTO block (digest, car_id, offset, length) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(block.cid.digest, car_id, block.offset, block.length) for block in car.blocks],
    )
    return car_id


def _queue(
    db: sqlite3.Connection,
    car_id: int,
    size: int,
    targets: tuple[str, ...],
    at: float,
    *,
    urgent: bool,
    confirmed_at: float | None = None,
) -> None:
    """Queue one shard with this CAR at each target. A CAR that was sent before is sent again: putting is idempotent."""
    for target in targets:
        _know_target(db, target)
        shard = db.execute(
            "INSERT INTO shard (target_id, urgent, size, queued_at, confirmed_at) "
            "SELECT target_id, ?, ?, ?, ? FROM target WHERE name = ?",
            (urgent, size, at, confirmed_at, target),
        ).lastrowid
        db.execute("INSERT INTO shard_car (shard_id, car_id) VALUES (?, ?)", (shard, car_id))


def _know_target(db: sqlite3.Connection, name: str) -> None:
    db.execute("INSERT INTO target (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))


WRITES: Mapping[type, Write] = MappingProxyType(
    {
        records.StreamDeclared: _one("""
            INSERT INTO stream (name, directory, declared_at) VALUES (:stream, :directory, :at)
            ON CONFLICT (name) DO UPDATE SET directory = excluded.directory
        """),
        records.SessionStarted: _one("""
            INSERT INTO session (session_id, stream_id, label, settings, started_at)
            SELECT :session, stream_id, :label, :settings, :at FROM stream WHERE name = :stream
        """),
        records.SessionEnding: _one("""
            UPDATE session SET state = iif(state = 'running', 'ending', state),
                reason = coalesce(reason, :reason), ending_at = coalesce(ending_at, :at)
            WHERE session_id = :session
        """),
        records.SessionEnded: _end_session,
        records.FileTaken: _take_file,
        records.FileCarried: _carry_file,
        records.FileSeen: _see_file,
        records.FilesPassed: _pass_files,
        records.PlaylistTaken: _one("""
            INSERT INTO playlist (session_id, path, version, multivariant, media_sequence, last_sequence,
                target_duration_s, endlist)
            VALUES (:session, :path, :version, :multivariant, :media_sequence, :last_sequence,
                :target_duration_s, :endlist)
        """),
        records.ReferenceOpened: _one("""
            INSERT INTO interval (session_id, playlist, path, from_version, bound, kind, sequence)
            SELECT :session, :playlist, :path, :from_version, :bound, :kind, :sequence
            FROM playlist WHERE session_id = :session AND path = :playlist AND version = :from_version
        """),
        records.ReferenceBound: _one("""
            UPDATE interval SET bound = :bound
            WHERE session_id = :session AND playlist = :playlist AND path = :path AND from_version = :from_version
                AND bound IS NULL
        """),
        records.ReferenceClosed: _one("""
            UPDATE interval SET to_version = :to_version
            WHERE session_id = :session AND playlist = :playlist AND path = :path AND from_version = :from_version
                AND to_version IS NULL
        """),
        records.SegmentLearned: _one("""
            INSERT INTO learned_segment (session_id, playlist, sequence, text, keys, map, map_keys, number, target_s, at_head)
            VALUES (:session, :playlist, :sequence, :text, :keys, :map, :map_keys, :number, :target_s, :at_head)
        """),
        records.RangeLearned: _one("""
            INSERT INTO learned_range (session_id, playlist, line, sequence, floats)
            VALUES (:session, :playlist, :line, :sequence, :floats)
            ON CONFLICT DO UPDATE SET sequence = excluded.sequence, floats = excluded.floats
        """),
        records.RootMade: _make_root,
        records.RootBound: _bind_root,
        records.RootAnnounced: _announce_root,
        records.CarFound: _find_car,
        records.ShardConfirmed: _one("""
            UPDATE shard SET confirmed_at = coalesce(confirmed_at, :at), note = coalesce(note, nullif(:note, '')),
                next_try_at = NULL, error = NULL
            WHERE shard_id = :shard
        """),
        records.ShardDelayed: _one("""
            UPDATE shard SET attempts = :attempts,
                next_try_at = iif(confirmed_at IS NULL, :next_try_at, NULL),
                error = iif(confirmed_at IS NULL, :error, NULL)
            WHERE shard_id = :shard
        """),
        **forgetting.WRITES,
        **joining.WRITES,
        **telling.WRITES,
    }
)

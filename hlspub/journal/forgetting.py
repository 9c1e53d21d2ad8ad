"""Forgetting: how rows leave the journal, and what has to be known before they may.

Rule: whoever forgets names rows that were needless when it looked. What came since is looked at here, within the
transaction, where nothing else can write: a row that is needed by now stays, in silence, and is looked at again next time.
So nothing that waits for a target goes, nor a CAR that a file version or a root refers to.

Freed pages are used again by the rows that come; the database's file keeps the size that it had at most, which a stream's
next hours would need anyway. (Giving them back takes a database that was made for it, and moves pages at every commit.)
"""

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hlspub import records
from hlspub.ipld.cid import Cid
from hlspub.journal.values import CarUse, RootFacts
from hlspub.model import CarKind

_WAITED_FOR = """
    EXISTS (SELECT 1 FROM shard_car JOIN shard USING (shard_id) WHERE shard_car.car_id = {car} AND confirmed_at IS NULL)
"""
_NEEDLESS_FILE = """
SELECT 1 FROM file WHERE session_id = ?1 AND path = ?2 AND version = ?3 AND NOT {waited_for}
    AND NOT EXISTS (SELECT 1 FROM interval WHERE session_id = ?1 AND path = ?2 AND bound = ?3)
    AND NOT EXISTS (SELECT 1 FROM root_playlist WHERE session_id = ?1 AND path = ?2 AND version = ?3)
""".format(waited_for=_WAITED_FOR.format(car="file.car_id"))  # noqa: S608 -- of constants
_NEEDLESS_CAR = """
SELECT car_id FROM car WHERE key = ? AND NOT {waited_for}
    AND NOT EXISTS (SELECT 1 FROM file WHERE file.car_id = car.car_id)
    AND NOT EXISTS (SELECT 1 FROM root WHERE root.car_id = car.car_id)
""".format(waited_for=_WAITED_FOR.format(car="car.car_id"))  # noqa: S608 -- of constants
_SHARDS = """
DELETE FROM shard WHERE shard_id = ? AND NOT EXISTS (SELECT 1 FROM shard_car WHERE shard_car.shard_id = shard.shard_id)
"""
_SOME = "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE session_id = ? LIMIT ?)"
_INTERVALS = _SOME.format(table="interval", key="session_id, playlist, path, from_version")
_PLAYLISTS = _SOME.format(table="playlist", key="session_id, path, version")


def _listings(db: sqlite3.Connection, record: records.ListingsForgotten) -> None:
    left = record.limit - db.execute(_INTERVALS, (record.session, record.limit)).rowcount
    db.execute(_PLAYLISTS, (record.session, left))


def _pictures(db: sqlite3.Connection, record: records.PicturesForgotten) -> None:
    db.executemany("DELETE FROM root_playlist WHERE session_id = ? AND number = ?", record.roots)


def _files(db: sqlite3.Connection, record: records.FilesForgotten) -> None:
    for file in record.files:
        if db.execute(_NEEDLESS_FILE, file).fetchone() is not None:
            for table in ("playlist", "file"):
                sql = f"DELETE FROM {table} WHERE session_id = ? AND path = ? AND version = ?"  # noqa: S608 -- of two names
                db.execute(sql, file)


def _roots(db: sqlite3.Connection, record: records.RootsForgotten) -> None:
    db.executemany("DELETE FROM root WHERE session_id = ? AND number = ?", record.roots)


def _cars(db: sqlite3.Connection, record: records.CarsForgotten) -> None:
    for key in record.keys:
        found = db.execute(_NEEDLESS_CAR, (key,)).fetchone()
        if found is None:
            continue
        shards = db.execute("DELETE FROM shard_car WHERE car_id = ? RETURNING shard_id", found).fetchall()
        db.executemany(_SHARDS, shards)
        db.execute("DELETE FROM car WHERE car_id = ?", found)
        db.execute("INSERT INTO gone (key) VALUES (?) ON CONFLICT DO NOTHING", (key,))


def _removed(db: sqlite3.Connection, record: records.CarsRemoved) -> None:
    db.executemany("DELETE FROM gone WHERE key = ?", [(key,) for key in record.keys])


WRITES: Mapping[type, Callable[[sqlite3.Connection, Any], None]] = MappingProxyType(
    {
        records.ListingsForgotten: _listings,
        records.PicturesForgotten: _pictures,
        records.FilesForgotten: _files,
        records.RootsForgotten: _roots,
        records.CarsForgotten: _cars,
        records.CarsRemoved: _removed,
    }
)


_ROOTS = """
SELECT session_id, number, root, final, seq, announced_at,
       EXISTS (SELECT 1 FROM root_playlist AS made WHERE made.session_id = root.session_id AND made.number = root.number)
FROM root WHERE stream_id = (SELECT stream_id FROM stream WHERE name = ?) ORDER BY session_id, number
"""
_TEXTS = """
SELECT path, version FROM file WHERE session_id = ? AND kind = 'playlist' AND NOT EXISTS (
    SELECT 1 FROM interval WHERE interval.session_id = file.session_id AND interval.path = file.path AND bound = version
) ORDER BY path, version
"""
_HAS_LISTINGS = """
SELECT EXISTS (SELECT 1 FROM playlist WHERE session_id = ?1) OR EXISTS (SELECT 1 FROM interval WHERE session_id = ?1)
"""
_WITH_BLOCK = "SELECT car_id, kind FROM block JOIN car USING (car_id) WHERE digest = ?"
_CARS = """
SELECT car_id, key, size, {waited_for} FROM car WHERE car_id > ? AND car_id <= ? ORDER BY car_id LIMIT ?
""".format(waited_for=_WAITED_FOR.format(car="car.car_id"))
_FILES_OF = "SELECT session_id, path, version FROM file WHERE car_id = ?"
_ROOTS_OF = "SELECT session_id, number FROM root WHERE car_id = ?"


class ForgettingReads:
    """What keeping is decided by; `JournalReader` has it."""

    _db: sqlite3.Connection

    def root_facts(self, stream: str) -> list[RootFacts]:
        """Every root of a stream that the journal has, announced or not, oldest first."""
        rows = self._db.execute(_ROOTS, (stream,))
        return [RootFacts(s, n, Cid(root), bool(final), seq, at, bool(p)) for s, n, root, final, seq, at, p in rows]

    def picture(self, session: int, number: int) -> dict[str, int]:
        """The playlist versions that a root was made of, by path."""
        sql = "SELECT path, version FROM root_playlist WHERE session_id = ? AND number = ?"
        return dict(self._db.execute(sql, (session, number)))

    def texts(self, session: int) -> list[tuple[str, int]]:
        """A session's playlist versions, by path, oldest first; without those that a multivariant playlist means."""
        return self._db.execute(_TEXTS, (session,)).fetchall()

    def has_listings(self, session: int) -> bool:
        """Whether the journal still knows what a session's playlists listed."""
        return bool(self._db.execute(_HAS_LISTINGS, (session,)).fetchone()[0])

    def newest_car(self) -> int:
        """The number of the CAR that was written down last; 0 before the first."""
        return self._db.execute("SELECT coalesce(max(car_id), 0) FROM car").fetchone()[0]

    def cars_with(self, digest: bytes) -> list[tuple[int, CarKind]]:
        """The CARs that hold a block, by number, and what they are."""
        return [(number, CarKind(kind)) for number, kind in self._db.execute(_WITH_BLOCK, (digest,))]

    def uses(self, after: int, upto: int, limit: int) -> list[CarUse]:
        """The next CARs by number, and who refers to each."""
        return [
            CarUse(
                number,
                key,
                size,
                bool(pending),
                tuple(self._db.execute(_FILES_OF, (number,))),
                tuple(self._db.execute(_ROOTS_OF, (number,))),
            )
            for number, key, size, pending in self._db.execute(_CARS, (after, upto, limit))
        ]

    def has_car(self, key: str) -> bool:
        """Whether the journal knows a CAR of this key."""
        return self._db.execute("SELECT 1 FROM car WHERE key = ?", (key,)).fetchone() is not None

    def gone(self, limit: int) -> list[str]:
        """CARs that were forgotten and whose files may still be there."""
        return [key for (key,) in self._db.execute("SELECT key FROM gone LIMIT ?", (limit,))]

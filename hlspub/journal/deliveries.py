"""What the journal knows of CARs on their way: the queue of each target, its backlog, and where blocks lie.

Rule: nothing here costs more than the backlog is long; what is confirmed is never looked at.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby

from hlspub.ipld.cid import Cid
from hlspub.journal.values import Backlog, BlockSpot, PendingShard, QueuedCar
from hlspub.model import CarKind

_KEYS_AT_ONCE = 500  # of a query's parameters

_PENDING = """
WITH due AS (
    SELECT shard.shard_id, urgent, attempts, error, queued_at
    FROM shard JOIN target USING (target_id)
    WHERE name = :target AND confirmed_at IS NULL AND {which}
    ORDER BY urgent DESC, shard.shard_id LIMIT :limit
)
SELECT shard_id, attempts, error, queued_at, key, kind, root, car.size, sha256,
       EXISTS (SELECT 1 FROM file WHERE file.car_id = car.car_id AND file.kind = 'playlist')
FROM due JOIN shard_car USING (shard_id) JOIN car USING (car_id)
ORDER BY urgent DESC, shard_id, car_id
"""
_DUE = _PENDING.format(which="(attempts = 0 OR next_try_at <= :now)")
_PARKED = _PENDING.format(which="attempts > 0 AND next_try_at IS NULL")
_FAILED = _PENDING.format(which="attempts > 0")

_BACKLOG = """
SELECT coalesce(sum(size), 0), min(queued_at), coalesce(sum(attempts > 0), 0),
       coalesce(sum(attempts > 0 AND next_try_at IS NULL), 0)
FROM shard JOIN target USING (target_id) WHERE name = ? AND confirmed_at IS NULL
"""
_CARS = """
SELECT count(*) FROM shard JOIN target USING (target_id) JOIN shard_car USING (shard_id)
WHERE name = ? AND confirmed_at IS NULL
"""
_NEXT_TRY = """
SELECT min(next_try_at) FROM shard JOIN target USING (target_id)
WHERE name = ? AND confirmed_at IS NULL AND attempts > 0
"""
_WORST = """
SELECT error FROM shard JOIN target USING (target_id)
WHERE name = ? AND confirmed_at IS NULL AND attempts > 0 ORDER BY next_try_at LIMIT 1
"""
_UNCONFIRMED = """
SELECT DISTINCT name, key
FROM shard JOIN target USING (target_id) JOIN shard_car USING (shard_id) JOIN car USING (car_id)
WHERE confirmed_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM shard_car AS same JOIN shard AS told USING (shard_id)
    WHERE same.car_id = car.car_id AND told.target_id = shard.target_id AND told.confirmed_at IS NOT NULL
) AND (
    EXISTS (SELECT 1 FROM file WHERE file.car_id = car.car_id AND session_id = :session)
    OR EXISTS (SELECT 1 FROM root WHERE root.car_id = car.car_id AND session_id = :session)
)
"""
_DELIVERED = """
SELECT key FROM car WHERE key IN ({keys}) AND NOT EXISTS (
    SELECT 1 FROM shard_car JOIN shard USING (shard_id) WHERE shard_car.car_id = car.car_id AND confirmed_at IS NULL
)
"""
_NEWEST = "SELECT coalesce(max(shard_id), 0) FROM shard"
_OLDEST = """
SELECT shard_id FROM shard JOIN target USING (target_id)
WHERE name = ? AND confirmed_at IS NULL AND urgent = ? ORDER BY shard_id LIMIT 1
"""
_UNSENT = """
SELECT DISTINCT key, kind, root, size, sha256 FROM car
WHERE (
    car_id IN (SELECT car_id FROM file WHERE session_id = :session)
    OR car_id IN (SELECT car_id FROM root WHERE session_id = :session)
) AND NOT EXISTS (
    SELECT 1 FROM shard_car JOIN shard USING (shard_id) JOIN target USING (target_id)
    WHERE shard_car.car_id = car.car_id AND name = :target
) ORDER BY car_id
"""
_SPOTS = """
SELECT key, offset, length FROM block JOIN car USING (car_id) WHERE digest = ?
"""

_PLACES = """
SELECT digest, offset, length FROM block JOIN car USING (car_id) WHERE key = ? ORDER BY offset
"""

_ShardRow = tuple[int, int, str | None, float, str, str, bytes, int, bytes | None, int]


class DeliveryReads:
    """The queries; `JournalReader` has them."""

    _db: sqlite3.Connection

    def targets(self) -> list[str]:
        """Every target that was ever sent something, by name."""
        return [name for (name,) in self._db.execute("SELECT name FROM target ORDER BY name")]

    def pending_shards(self, target: str, now: float, limit: int) -> list[PendingShard]:
        """The first `limit` shards that `target` is due to be sent: urgent ones and node CARs, then media; oldest first.

        Shards that are on their way are among them: their sender knows.
        """
        return list(_shards(self._db.execute(_DUE, {"target": target, "now": now, "limit": limit})))

    def parked_shards(self, target: str, limit: int) -> list[PendingShard]:
        """Shards that failed so that a person has to act first; `ShardDelayed` with a time makes them due again."""
        return list(_shards(self._db.execute(_PARKED, {"target": target, "limit": limit})))

    def failed_shards(self, target: str, limit: int) -> list[PendingShard]:
        """Shards that were tried and are not confirmed, whether they wait for a time or for a person."""
        return list(_shards(self._db.execute(_FAILED, {"target": target, "limit": limit})))

    def next_try_at(self, target: str) -> float | None:
        """When the first of the shards that failed is due again; it may be past. None: no failed shard waits for a time."""
        return self._db.execute(_NEXT_TRY, (target,)).fetchone()[0]

    def newest_shard(self) -> int:
        """The shard that was queued last, at whichever target; 0 before the first."""
        return self._db.execute(_NEWEST).fetchone()[0]

    def oldest_shard(self, target: str) -> int | None:
        """The first shard that `target` has not confirmed, due or not."""
        found = [self._db.execute(_OLDEST, (target, urgent)).fetchone() for urgent in (1, 0)]
        return min((row[0] for row in found if row is not None), default=None)

    def unsent(self, session: int, target: str) -> list[QueuedCar]:
        """CARs of the session (files and roots) that were never queued at `target`: it was added since."""
        rows = self._db.execute(_UNSENT, {"session": session, "target": target})
        return [QueuedCar(key, CarKind(kind), Cid(root), size, sha256) for key, kind, root, size, sha256 in rows]

    def backlog(self, target: str) -> Backlog:
        """What `target` has not confirmed."""
        size, oldest_at, failing, parked = self._db.execute(_BACKLOG, (target,)).fetchone()
        worst = self._db.execute(_WORST, (target,)).fetchone() if failing else None
        return Backlog(
            cars=self._db.execute(_CARS, (target,)).fetchone()[0],
            bytes=size,
            oldest_at=oldest_at,
            failing=failing,
            parked=parked,
            last_error=worst[0] if worst else None,
            next_try_at=self.next_try_at(target) if failing else None,
        )

    def unconfirmed(self, session: int) -> dict[str, set[str]]:
        """By target, the keys of this session's CARs (files and roots) that it has not confirmed."""
        waiting: dict[str, set[str]] = {}
        for target, key in self._db.execute(_UNCONFIRMED, {"session": session}):
            waiting.setdefault(target, set()).add(key)
        return waiting

    def delivered(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` whose every shard is confirmed: no target waits for them. Unknown keys are not among them."""
        found: set[str] = set()
        wanted = list(keys)
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            some = wanted[start : start + _KEYS_AT_ONCE]
            sql = _DELIVERED.format(keys=",".join("?" * len(some)))
            found.update(key for (key,) in self._db.execute(sql, some))
        return found

    def places(self, key: str) -> list[tuple[bytes, int, int]]:
        """The blocks of a CAR: digest, offset and length; of equal ones the first."""
        return self._db.execute(_PLACES, (key,)).fetchall()

    def find_block(self, cid: Cid) -> list[BlockSpot]:
        """Every place where the block with this digest lies, under whichever version and codec of its CID."""
        return [BlockSpot(key, offset, length) for key, offset, length in self._db.execute(_SPOTS, (cid.digest,))]


def _shards(rows: Iterable[_ShardRow]) -> Iterator[PendingShard]:
    for (shard, attempts, error, queued_at), cars in groupby(rows, key=lambda row: row[:4]):
        sent = tuple(
            QueuedCar(key, CarKind(kind), Cid(root), size, sha256, bool(fleeting))
            for *_, key, kind, root, size, sha256, fleeting in cars
        )
        yield PendingShard(shard, attempts, sent, error, queued_at)

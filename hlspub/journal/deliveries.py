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
    SELECT shard.shard_id, urgent, attempts, error
    FROM shard JOIN target USING (target_id)
    WHERE name = :target AND confirmed_at IS NULL AND {which}
    ORDER BY urgent DESC, shard.shard_id LIMIT :limit
)
SELECT shard_id, attempts, error, key, kind, root, car.size, sha256
FROM due JOIN shard_car USING (shard_id) JOIN car USING (car_id)
ORDER BY urgent DESC, shard_id, car_id
"""
_DUE = _PENDING.format(which="(attempts = 0 OR next_try_at <= :now)")
_PARKED = _PENDING.format(which="attempts > 0 AND next_try_at IS NULL")

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
_SPOTS = """
SELECT key, offset, length FROM block JOIN car USING (car_id) WHERE digest = ?
"""

_ShardRow = tuple[int, int, str | None, str, str, bytes, int, bytes | None]


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

    def next_try_at(self, target: str) -> float | None:
        """When the first of the shards that failed is due again; it may be past. None: no failed shard waits for a time."""
        return self._db.execute(_NEXT_TRY, (target,)).fetchone()[0]

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

    def find_block(self, cid: Cid) -> list[BlockSpot]:
        """Every place where the block with this digest lies, under whichever version and codec of its CID."""
        return [BlockSpot(key, offset, length) for key, offset, length in self._db.execute(_SPOTS, (cid.digest,))]


def _shards(rows: Iterable[_ShardRow]) -> Iterator[PendingShard]:
    for (shard, attempts, error), cars in groupby(rows, key=lambda row: row[:3]):
        sent = tuple(
            QueuedCar(key, CarKind(kind), Cid(root), size, sha256) for *_, key, kind, root, size, sha256 in cars
        )
        yield PendingShard(shard, attempts, sent, error)

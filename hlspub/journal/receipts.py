"""What targets said when they confirmed shards, and the roots that these shards hold.

Rule: nothing here costs more than its answer is long, but `session_of`, which looks from the newest root backwards.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from hlspub.ipld.cid import Cid

_KEYS_AT_ONCE = 500  # of a query's parameters

_SESSION_OF = "SELECT session_id, final FROM root WHERE root = ? ORDER BY session_id DESC, number DESC LIMIT 1"
_IS_FINAL = "SELECT 1 FROM root WHERE seq IS NOT NULL AND final AND root = ? LIMIT 1"
_OF_SESSION = """
WITH ours AS (
    SELECT car_id FROM file WHERE session_id = :session
    UNION SELECT car_id FROM root WHERE session_id = :session AND car_id IS NOT NULL
)
SELECT key, note FROM ours JOIN car USING (car_id) JOIN shard_car USING (car_id) JOIN shard USING (shard_id)
JOIN target USING (target_id) WHERE name = :target AND confirmed_at IS NOT NULL AND note IS NOT NULL
ORDER BY shard_id
"""
_OF_CARS = """
SELECT key, note FROM car JOIN shard_car USING (car_id) JOIN shard USING (shard_id) JOIN target USING (target_id)
WHERE key IN ({keys}) AND name = ? AND confirmed_at IS NOT NULL AND note IS NOT NULL AND (
    EXISTS (SELECT 1 FROM file WHERE file.car_id = car.car_id AND session_id = ?)
    OR EXISTS (SELECT 1 FROM root WHERE root.car_id = car.car_id AND session_id = ?)
) ORDER BY shard_id
"""
_OF_CAR = """
SELECT note FROM car JOIN shard_car USING (car_id) JOIN shard USING (shard_id) JOIN target USING (target_id)
WHERE key = ? AND name = ? AND confirmed_at IS NOT NULL AND note IS NOT NULL ORDER BY shard_id LIMIT 1
"""


class ReceiptReads:
    """The queries; `JournalReader` has them."""

    _db: sqlite3.Connection

    def session_of(self, root: Cid) -> tuple[int, bool] | None:
        """The newest session that made this root, and whether it ended with it."""
        row = self._db.execute(_SESSION_OF, (root.raw,)).fetchone()
        return None if row is None else (row[0], bool(row[1]))

    def is_final(self, root: Cid) -> bool:
        """Whether a session ended with this root, and that was announced."""
        return self._db.execute(_IS_FINAL, (root.raw,)).fetchone() is not None

    def receipts(self, target: str, session: int, cars: Sequence[str] | None = None) -> list[tuple[str, str]]:
        """(CAR's key, what `target` said of its shard) for the session's CARs (files and roots), or those of `cars` alone."""
        if cars is None:
            return list(self._db.execute(_OF_SESSION, {"session": session, "target": target}))
        return list(self._some(target, session, cars))

    def receipt(self, target: str, car: str) -> str | None:
        """What `target` said of the shard that holds this CAR; None when it has confirmed none."""
        row = self._db.execute(_OF_CAR, (car, target)).fetchone()
        return None if row is None else row[0]

    def _some(self, target: str, session: int, cars: Sequence[str]) -> Iterator[tuple[str, str]]:
        for start in range(0, len(cars), _KEYS_AT_ONCE):
            some = cars[start : start + _KEYS_AT_ONCE]
            sql = _OF_CARS.format(keys=",".join("?" * len(some)))
            yield from self._db.execute(sql, (*some, target, session, session))

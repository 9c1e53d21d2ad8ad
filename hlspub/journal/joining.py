"""Joining: how several waiting shards of a target become one.

Rule: the oldest keeps its number, so who waits for everything up to some shard waits for their CARs too; and it keeps the
time since when it waits. Only what nobody has tried to send is joined.
"""

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hlspub import records
from hlspub.journal.refused import RecordRefused

_FRESH = """
SELECT count(DISTINCT shard_id), count(DISTINCT target_id) FROM shard
WHERE shard_id IN ({shards}) AND confirmed_at IS NULL AND attempts = 0
"""
_MOVE = "UPDATE OR IGNORE shard_car SET shard_id = ? WHERE shard_id = ?"
_DROP = "DELETE FROM shard WHERE shard_id = ?"
_SIZE = """
UPDATE shard SET urgent = max(urgent, ?1), size = (
    SELECT sum(size) FROM (SELECT car.size FROM shard_car JOIN car USING (car_id) WHERE shard_car.shard_id = ?2)
) WHERE shard_id = ?2
"""


def _join(db: sqlite3.Connection, record: records.ShardsJoined) -> None:
    shards = (record.shard, *record.others)
    marks = ",".join("?" * len(shards))
    found = db.execute(_FRESH.format(shards=marks), shards).fetchone()
    if found != (len(set(shards)), 1) or record.shard != min(shards):
        raise RecordRefused(f"only shards of one target that nobody tried are joined, into the oldest: {record}")
    urgent = db.execute(f"SELECT max(urgent) FROM shard WHERE shard_id IN ({marks})", shards).fetchone()[0]  # noqa: S608
    db.executemany(_MOVE, [(record.shard, other) for other in record.others])
    db.executemany(_DROP, [(other,) for other in record.others])
    db.execute(_SIZE, (urgent, record.shard))


WRITES: Mapping[type, Callable[[sqlite3.Connection, Any], None]] = MappingProxyType({records.ShardsJoined: _join})

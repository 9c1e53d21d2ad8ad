"""Claims: what keeps a CAR in the spool until the journal does.

Theory. A CAR's name is its content, so the same CAR may be put while an older shard of it is on its way. Between "it stands
in the spool" and the journal's row that queues it anew, the courier that confirms the older shard finds nobody who waits and
would take the name away; the new shard would find no file.

Rule: whoever puts a CAR claims its key before looking whether it is there, and disclaims it when the row is committed, or is
not to come. A name is taken away only under the lock that claims need, when nobody claims it and the journal, asked again
under that lock, says that nobody waits for it. So every CAR of a shard that is queued stands in the spool, until the shard
is confirmed.
"""

from collections import Counter
from collections.abc import Callable
from threading import Lock


class Claims:
    """The claims on one store's keys. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keys: Counter[str] = Counter()

    def claim(self, key: str) -> None:
        """From now on `key` stays, once it is there."""
        with self._lock:
            self._keys[key] += 1

    def disclaim(self, key: str) -> None:
        """One claim less; a key that nobody claims is a success."""
        with self._lock:
            self._keys[key] -= 1
            if self._keys[key] <= 0:
                del self._keys[key]

    def unless_claimed(self, key: str, act: Callable[[], bool]) -> bool:
        """Do `act` with all claims shut out, unless `key` is claimed; returns what it did, false when it was not asked."""
        with self._lock:
            return key not in self._keys and act()

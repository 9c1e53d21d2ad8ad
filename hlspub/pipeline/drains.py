"""Drains: waiting for all that was handed over so far.

Rule: what comes meanwhile is not waited for. A stream that is written to is never without more: with playlists that change many
times a second some version always waits, and an end that waited for a moment without any might never come.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hlspub.pipeline.wake import Broadcast


@dataclass(slots=True, eq=False)
class Drains:
    """Who waits, and for how many versions of which path each."""

    _waiters: list[Counter[str]] = field(default_factory=list[Counter[str]])
    _counted: Broadcast = field(default_factory=Broadcast)

    async def wait(self, paths: Iterable[str]) -> None:
        """Wait until as many versions of each path are done with as `paths` names it."""
        left = Counter(paths)
        self._waiters.append(left)
        try:
            while left:
                await self._counted.wait()
        finally:
            self._waiters = [one for one in self._waiters if one is not left]

    def count(self, path: str) -> None:
        """One version of the path is done with: taken, refused or gone. A newer one may stand for those before it."""
        for left in self._waiters:
            if left[path] > 1:
                left[path] -= 1
            else:
                del left[path]
        self._counted.tell()

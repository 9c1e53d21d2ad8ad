"""Marks: which CARs the kept roots need, in memory that does not follow the stream (P6).

Theory: roots of one stream share nearly all that they are made of, so a walk passes over what it has seen. Directory nodes
are remembered, since a root adds a few of them. Files are as many as the stream has; only the last ones are remembered, and
a file that was marked long ago is asked for again when another root has it in a node that is new.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from hlspub.ipld.cid import Cid

RECENT = 4000  # files
_PAGE = 256  # CARs whose marks are the bits of one number


@dataclass(slots=True, eq=False)
class Marks:
    """The CARs that were marked, by number, and the blocks that were looked at on the way. `recent`: files to remember."""

    recent: int = RECENT
    _pages: defaultdict[int, int] = field(default_factory=lambda: defaultdict[int, int](int))
    _nodes: set[Cid] = field(default_factory=set[Cid])
    _files: set[Cid] = field(default_factory=set[Cid])

    def __contains__(self, car: int) -> bool:
        return bool(self._pages.get(car // _PAGE, 0) >> car % _PAGE & 1)

    def mark(self, car: int) -> None:
        """A kept root needs this CAR."""
        self._pages[car // _PAGE] |= 1 << car % _PAGE

    def seen(self, cid: Cid) -> bool:
        """Whether the block was looked at, as far as that is remembered."""
        return cid in self._nodes or cid in self._files

    def see(self, cid: Cid, *, file: bool) -> None:
        """The block was looked at; it is the root of a file, or a directory node."""
        if file and len(self._files) >= self.recent:
            self._files.clear()
        (self._files if file else self._nodes).add(cid)

"""How many bytes a store may hold.

Rule: media keeps to the limit; what is made of it (playlists, directory nodes) may use an eighth more, so that at the limit
roots go on to be made of what was taken, and say where something is missing. Room is reserved before a CAR finds its place
and given back when it leaves.
"""

from threading import Lock

from hlspub.errors import StorageError

EXTRA = 8  # one part in so many


class Quota:
    """`limit` in bytes, None for none; it may be changed at any time. Any thread may use it."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.used = 0
        self._lock = Lock()

    def check(self, size: int, *, extra: bool = False) -> None:
        """Look whether `size` more bytes have room; nothing is reserved.

        Raises:
            StorageError: they have not.
        """
        if self.limit is None or self.used + size <= self.limit + (self.limit // EXTRA if extra else 0):
            return
        raise StorageError(
            f"the spool holds {self.used} of the {self.limit} bytes that spool_size allows",
            hint="It empties as targets confirm: `hlspub status` shows which one does not. Or raise [limits] spool_size.",
        )

    def reserve(self, size: int, *, extra: bool = False) -> None:
        """Take room for `size` bytes.

        Raises:
            StorageError: there is none.
        """
        with self._lock:
            self.check(size, extra=extra)
            self.used += size

    def give_back(self, size: int) -> None:
        """`size` bytes left."""
        with self._lock:
            self.used = max(0, self.used - size)

"""The embedded target: this machine's own store of CARs.

It adopts the spool's file by a hard link, so that media bytes are written once and counted once; the spool's name goes away
when every target has confirmed. Nothing is bound here: what is kept is decided by the kept roots, and the gateway serves
any root whose blocks are here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio.to_thread

from hlspub.errors import StorageError, TargetError
from hlspub.ipld.cid import Cid
from hlspub.targets.base import Capabilities, CarFile

_FULL_RETRY_S = 5.0  # a full disk is looked at again this often


class Store(Protocol):
    """A directory of whole CARs (`spool.store.CarStore`)."""

    def has(self, key: str) -> bool:
        """Whether the CAR is here, whole."""
        ...

    def remove(self, key: str) -> None:
        """Take the CAR away; one that is not here is a success."""
        ...


@dataclass(slots=True)
class LocalTarget:
    """`adopt(key)` links the spool's CAR into `store` and syncs the folder; it raises StorageError. `get` finds a block."""

    name: str
    store: Store
    adopt: Callable[[str], None]
    get: Callable[[Cid], Awaitable[bytes | None]]
    concurrency: int = 1
    kind: str = "local"

    @property
    def capabilities(self) -> Capabilities:
        """Links cost next to nothing; the folders' syncs that follow them can overlap."""
        return Capabilities(concurrency=self.concurrency, reads=True)

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Adopt the spool's files."""

        def link() -> None:
            for car in cars:
                self.adopt(car.key)

        try:
            await anyio.to_thread.run_sync(link)
        except StorageError as why:
            raise TargetError(f"{self.name}: {why}", retry_s=_FULL_RETRY_S, hint=why.hint) from why
        return "linked"

    async def has(self, car: CarFile) -> bool:
        """Whether the file is there."""
        return await anyio.to_thread.run_sync(self.store.has, car.key)

    async def read(self, cid: Cid) -> bytes | None:
        """The block, from whichever store of this machine has it."""
        return await self.get(cid)

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """Nothing to do: see the module's text."""

    async def forget(self, root: Cid) -> None:
        """Nothing to do: see the module's text."""

    async def check(self) -> str:
        """The store needs no reaching."""
        return "this machine"

    async def aclose(self) -> None:
        """Nothing is open."""

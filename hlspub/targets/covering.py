"""What a root brought, for targets that pin: files whose own pins are needless now, and blocks that had none."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager

from hlspub.errors import BlockError, TargetError
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.difference import added
from hlspub.ipld.walk import stream_async
from hlspub.targets.http import RETRY_S

Get = Callable[[Cid], Awaitable[bytes | None]]
"""A block, None where there is none."""


async def covered_files(root: Cid, before: Cid | None, get: Get, target: str) -> AsyncGenerator[Cid]:
    """The files under `root` that `before` did not have at their place; all of them when None.

    Raises:
        TargetError: a directory node is not to be had, or is broken; and what `get` raises.
    """
    with _told(target):
        async with aclosing(stream_async(added(root, before), _having(get, target))) as steps:
            async for one in steps:
                if not isinstance(one, Block):
                    yield one.cid


async def loose_blocks(
    root: Cid, before: Cid | None, get: Get, is_pinned: Callable[[Cid], Awaitable[bool]], target: str
) -> AsyncGenerator[Block]:
    """What `root` brought that no other pin holds: directory nodes, and files that have none of their own (playlists).

    Raises:
        TargetError: a block is not to be had, or is broken; and what `get` and `is_pinned` raise.
    """
    have = _having(get, target)
    with _told(target):
        async with aclosing(stream_async(added(root, before), have)) as steps:
            async for one in steps:
                if isinstance(one, Block):
                    yield one
                elif not await is_pinned(one.cid):
                    async with aclosing(stream_async(walk_dag(one.cid), have)) as blocks:
                        async for block in blocks:
                            yield block


def _having(get: Get, target: str) -> Callable[[Cid], Awaitable[bytes]]:
    async def have(cid: Cid) -> bytes:
        data = await get(cid)
        if data is None:
            raise TargetError(f"{target}: there is no block {cid}", retry_s=RETRY_S, hint="It is sent again.")
        return data

    return have


@contextmanager
def _told(target: str) -> Generator[None]:
    try:
        yield
    except BlockError as why:
        raise TargetError(f"{target}: {why}", retry_s=None, hint="Run `hlspub verify` on the root.") from why

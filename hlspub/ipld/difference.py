"""What one tree has that another has not: the files that a newer root brought.

Rule: as in `walk`. Both trees are walked together from their tops, and what has the same CID on both sides is passed over, so
the cost follows the difference and not the trees (P6). A file that only moved, between directories or into another shard
because its directory grew, may be named although the older tree has it; one that is new is always named.
"""

from hlspub.ipld import node
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.node import Kind, Node
from hlspub.ipld.walk import Stream, Walk, fetch

_NOTHING = Node(Kind.DIRECTORY, 0, memoryview(b""), (), (), 0)


def added(new: Cid, old: Cid | None) -> Stream[Block | Link]:
    """All that a root brought: the directory nodes under `new` that `old` did not have at their place, and the links to files.

    Raises:
        BlockError: a block is not what its CID's codec says.
    """
    if new == old:
        return
    block = yield from fetch(new)
    yield Block(new, block)
    todo = [(node.read(new, block), _NOTHING if old is None else (yield from _read(old)))]
    while todo:
        here, before = todo.pop()
        known = {link.cid for link in before.links}
        named = {link.name: link.cid for link in before.links}
        for link in here.links:
            if link.cid in known:
                continue
            if _is_leaf(link.cid):
                yield link
                continue
            block = yield from fetch(link.cid)
            below = node.read(link.cid, block)
            if below.kind is not Kind.DIRECTORY:
                yield link
                continue
            yield Block(link.cid, block)
            counterpart = named.get(link.name)
            # A shard that is new took its entries from the node above it, or from a directory that had no shards.
            beside = before if counterpart is None or _is_leaf(counterpart) else (yield from _read(counterpart))
            todo.append((below, beside if beside.kind is Kind.DIRECTORY else before))


def _is_leaf(cid: Cid) -> bool:
    """Whether it is a file of one raw block, which need not be read to know what it is."""
    return cid.codec is Codec.RAW


def _read(cid: Cid) -> Walk[Node]:
    return node.read(cid, (yield from fetch(cid)))

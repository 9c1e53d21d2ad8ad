"""Whole DAGs, block by block, in the order of a trustless gateway and of an export: DFS, parents first, each block once.

Rule: as in `walk`: a `Cid` that is yielded is a block that is needed, a `Block` is output. Blocks that lie in their own
CID are walked through and never put out.

Source: specs.ipfs.tech/http-gateways/trustless-gateway, "dag-scope", "entity-bytes", "CAR determinism".
"""

from collections.abc import Generator, Sequence
from enum import StrEnum
from typing import TypeAlias, TypeVar

from hlspub.ipld import dagcbor, dagpb, node
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.node import Kind
from hlspub.ipld.walk import Resolution, Stream, fetch, read_file, resolve

T = TypeVar("T")
Recorded: TypeAlias = Generator[Cid | Block, bytes, T]


class Scope(StrEnum):
    """How far a DAG is followed."""

    BLOCK = "block"  # its root
    ENTITY = "entity"  # a file with all its parts; a directory with its shards, without its entries; else the root
    ALL = "all"


def links(cid: Cid, block: bytes) -> tuple[Cid, ...]:
    """What a block links to, in its order; of dag-json and others without a reader here, nothing.

    Raises:
        BlockError: the block is not what its CID's codec says.
    """
    match cid.codec:
        case Codec.DAG_PB:
            return tuple(link.cid for link in dagpb.decode(block).links)
        case Codec.DAG_CBOR:
            return dagcbor.links(block)
        case _:
            return ()


def walk_dag(root: Cid, scope: Scope = Scope.ALL, sent: set[Cid] | None = None) -> Stream[Block]:
    """The blocks under a root. `sent` are blocks that were put out before; it grows by those put out here.

    Raises:
        BlockError: a block is not what its CID's codec says.
    """
    sent = set() if sent is None else sent
    seen: set[Cid] = set()
    todo = [root]
    while todo:
        cid = todo.pop()
        if cid in seen:
            continue
        seen.add(cid)
        block = yield from fetch(cid)
        yield from _put_out(cid, block, sent)
        match scope:
            case Scope.BLOCK:
                return
            case Scope.ENTITY:
                todo.extend(reversed(_same_entity(cid, block)))
            case Scope.ALL:
                todo.extend(reversed(links(cid, block)))


def select(
    root: Cid, path: Sequence[str], scope: Scope = Scope.ALL, entity_bytes: tuple[int, int | None] | None = None
) -> Recorded[Resolution]:
    """What a CAR request asks for: the blocks from the root to where the path leads, then those in scope there.

    `entity_bytes` is the range of a file as the request has it: first and last byte, both inclusive, negative from the
    end, the last None for "*"; it stands for the scope ENTITY and means nothing to what is no file. The answer is the
    resolution; when its `remaining` is not empty, the blocks put out show that there is no such path.

    Raises:
        BlockError: a block is not what its CID's codec says, or a file contradicts itself.
    """
    sent: set[Cid] = set()
    found = yield from _record(resolve(root, path), sent)
    if found.remaining:
        return found
    if entity_bytes is None:
        yield from walk_dag(found.cid, scope, sent)
    elif found.kind is Kind.FILE:
        yield from _record(read_file(found.cid, *_absolute(entity_bytes, found.size)), sent)
    else:
        yield from walk_dag(found.cid, Scope.ENTITY, sent)
    return found


def _record(walk: Generator[Cid | object, bytes, T], sent: set[Cid]) -> Recorded[T]:
    """Put out the blocks that a walk asks for instead of its own output."""
    try:
        step = next(walk)
        while True:
            if isinstance(step, Cid):
                block = yield step
                yield from _put_out(step, block, sent)
                step = walk.send(block)
            else:
                step = next(walk)
    except StopIteration as done:
        return done.value


def _put_out(cid: Cid, block: bytes, sent: set[Cid]) -> Generator[Block, bytes, None]:
    if cid.inline is None and cid not in sent:
        sent.add(cid)
        yield Block(cid, block)


def _same_entity(cid: Cid, block: bytes) -> tuple[Cid, ...]:
    here = node.read(cid, block)
    if here.kind is Kind.FILE:
        return tuple(link.cid for link in here.links)
    width = node.prefix_width(here.bits)
    return tuple(link.cid for link in here.links if here.bits and len(link.name) == width)


def _absolute(asked: tuple[int, int | None], size: int) -> tuple[int, int]:
    first, last = asked
    start = max(first + size, 0) if first < 0 else first
    if last is None:
        return start, size
    return start, (last + size if last < 0 else last) + 1

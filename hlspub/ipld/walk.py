"""Walks through a DAG, without fetching a block.

Rule: a walk is a generator. It yields the `Cid` of a block it needs and is sent the bytes; everything else it yields is
output, and its answer is what it returns. So the same walk runs over a CAR, a store, a gateway or a bucket, in a thread
or on a loop: `run` and `stream` drive it by a plain function, `run_async` and `stream_async` by a coroutine. Bytes are
believed to be those of their CID: over a source that may lie, that function checks them (`block.matches`).

Hostile DAGs: no walk goes deeper than `MAX_DEPTH`, part sizes are held to what parents announced, parts of no bytes are
never followed, an entry of a shard has to hash to the slot it stands in, a child shard has to hold something. So time
and memory are bound by the bytes that were asked for and the blocks that really are there.

`dag` walks whole DAGs, `check` judges them.
Source: specs.ipfs.tech/unixfs; h11 for the form.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from hlspub.errors import BlockError
from hlspub.ipld import dagcbor, node
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.node import Kind, Node

T = TypeVar("T")
S = TypeVar("S")  # what a walk is sent: bytes; by a check also None
Walk: TypeAlias = Generator[Cid, bytes, T]  # needs blocks, returns an answer
Stream: TypeAlias = Generator[Cid | T, bytes, None]  # needs blocks, yields output
Get: TypeAlias = Callable[[Cid], bytes]

MAX_DEPTH = 64  # levels of a file's tree; a balanced one of 1024 links reaches 2^63 bytes in five
MAX_PATHS = 10_000_000  # entries of a tree that is listed whole
_HINT = "The tool that made this DAG is at fault, or someone means harm."


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a path leads.

    Attributes:
        cid: the terminus, or the last node reached when `remaining` is not empty.
        kind: what that is.
        size: as `Node.size`.
        block: its bytes.
        roots: the root and each CID that the path led through.
        trail: every block touched on the way, shards and terminus included, in order.
        remaining: the segments that lead nowhere; empty when the path exists.
    """

    cid: Cid
    kind: Kind
    size: int
    block: bytes
    roots: tuple[Cid, ...]
    trail: tuple[Cid, ...]
    remaining: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, symlink or directory somewhere in a tree; `path` is relative to its root."""

    path: str
    cid: Cid
    kind: Kind


def fetch(cid: Cid) -> Walk[bytes]:
    """One block; one that lies in its own CID is not asked for."""
    inline = cid.inline
    return (yield cid) if inline is None else inline


def resolve(root: Cid, segments: Sequence[str]) -> Walk[Resolution]:
    """Follow a path through directories, flat and sharded, and through the maps and lists of dag-cbor.

    Raises:
        BlockError: a block on the way is not what it should be.
    """
    cid, roots, trail = root, [root], [root]
    block = yield from fetch(cid)
    here = node.read(cid, block)
    done = 0
    while done < len(segments):
        taken, found = 1, None
        if here.kind is Kind.DIRECTORY:
            link = yield from _find(here, segments[done], trail)
            found = None if link is None else link.cid
        elif cid.codec is Codec.DAG_CBOR:
            found, taken = dagcbor.follow(block, segments[done:])
        if found is None:
            break
        cid = found
        roots.append(cid)
        trail.append(cid)
        block = yield from fetch(cid)
        here = node.read(cid, block)
        done += taken
    return Resolution(cid, here.kind, here.size, block, tuple(roots), tuple(trail), tuple(segments[done:]))


def list_directory(cid: Cid) -> Walk[tuple[Link, ...]]:
    """Every entry of a directory, over all its shards, sorted by the UTF-8 bytes of the names.

    Raises:
        BlockError: `cid` is no directory, or a broken one.
    """
    shard = node.read(cid, (yield from fetch(cid)))
    if shard.kind is not Kind.DIRECTORY:
        raise BlockError(f"not a directory ({shard.kind}): {cid}")
    if not (bits := shard.bits):
        return _sorted(shard.links)
    width, entries = node.prefix_width(bits), list[Link]()
    todo = [(cid, 0, 0)]  # a shard, how many levels lie above it, the bits of the hash that lead to it
    while todo:
        cid, level, path = todo.pop()
        if level:
            shard = yield from _child_shard(cid, bits, level)
        for link in shard.links:
            below, name = path << bits | int(link.name[:width], 16), link.name[width:]
            if not name:
                todo.append((link.cid, level + 1, below))
            elif node.hash_prefix(name, bits * (level + 1)) == below:
                entries.append(Link(name, link.cid, link.tsize))
            else:
                raise BlockError(f"a HAMT entry in a slot that is not its own: {name[:100]!r}", hint=_HINT)
    return _sorted(entries)


def file_size(cid: Cid) -> Walk[int]:
    """The length of a file in bytes.

    Raises:
        BlockError: `cid` is no file.
    """
    return _as_file(cid, node.read(cid, (yield from fetch(cid))), None).size


def read_file(cid: Cid, start: int = 0, end: int | None = None) -> Stream[memoryview]:
    """The bytes of a file from `start` to before `end` (None: its end), in order, as views of the blocks they lie in.

    Only blocks that hold a byte of that range, and the nodes above them, are asked for: in DFS pre-order, so what was
    asked for is also what a gateway's `entity-bytes` answer consists of. A range beyond the end is cut. A symlink reads
    as its target.

    Raises:
        BlockError: `cid` is no file, or sizes contradict one another.
    """
    todo: list[tuple[Cid, int, int | None, int]] = [(cid, 0, None, 0)]  # cid, where it starts, announced size, depth
    while todo:
        cid, at, announced, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise BlockError(f"a file of more than {MAX_DEPTH} levels", hint=_HINT)
        part = _as_file(cid, node.read(cid, (yield from fetch(cid))), announced)
        stop = part.size + at if end is None else end
        own = part.content[max(start - at, 0) : max(stop - at, 0)]
        if own:
            yield own
        at += len(part.content)
        below: list[tuple[Cid, int, int | None, int]] = []
        for link, size in zip(part.links, part.parts, strict=True):
            if max(at, start) < min(at + size, stop):
                below.append((link.cid, at, size, depth + 1))
            at += size
        todo.extend(reversed(below))


def walk_tree(root: Cid, max_paths: int = MAX_PATHS) -> Stream[Entry]:
    """Every file, symlink and directory below a directory, parents first, each directory by name.

    Raises:
        BlockError: a broken directory, or more than `max_paths` paths.
    """
    todo = [("", root)]
    count = 0
    while todo:
        prefix, cid = todo.pop()
        below: list[tuple[str, Cid]] = []
        for link in (yield from list_directory(cid)):
            count += 1
            if count > max_paths or prefix.count("/") > MAX_DEPTH:
                raise BlockError(f"a tree of more than {max_paths} paths or {MAX_DEPTH} levels", hint=_HINT)
            kind = yield from _kind_of(link.cid)
            yield Entry(prefix + link.name, link.cid, kind)
            if kind is Kind.DIRECTORY:
                below.append((f"{prefix}{link.name}/", link.cid))
        todo.extend(reversed(below))


def run(walk: Generator[Cid, S, T], get: Callable[[Cid], S]) -> T:
    """Drive a walk to its answer."""
    try:
        cid = next(walk)
        while True:
            cid = walk.send(get(cid))
    except StopIteration as done:
        return done.value


def stream(walk: Stream[T], get: Get) -> Iterator[T]:
    """Drive a walk and hand on its output."""
    step = next(walk, None)
    while step is not None:
        if isinstance(step, Cid):
            step = _step(walk, get(step))
        else:
            yield step
            step = next(walk, None)


async def run_async(walk: Generator[Cid, S, T], get: Callable[[Cid], Awaitable[S]]) -> T:
    """`run` over a coroutine."""
    try:
        cid = next(walk)
        while True:
            cid = walk.send(await get(cid))
    except StopIteration as done:
        return done.value


async def stream_async(walk: Stream[T], get: Callable[[Cid], Awaitable[bytes]]) -> AsyncGenerator[T]:
    """`stream` over a coroutine."""
    step = next(walk, None)
    while step is not None:
        if isinstance(step, Cid):
            step = _step(walk, await get(step))
        else:
            yield step
            step = next(walk, None)


def _step(walk: Stream[T], data: bytes) -> Cid | T | None:
    try:
        return walk.send(data)
    except StopIteration:
        return None


def _as_file(cid: Cid, part: Node, announced: int | None) -> Node:
    is_file = part.kind is Kind.FILE or (part.kind is Kind.SYMLINK and announced is None)
    if not is_file:
        raise BlockError(f"not a file ({part.kind}): {cid}")
    if announced not in (None, part.size):
        raise BlockError(f"a part of a file has {part.size} bytes where its parent says {announced}: {cid}", hint=_HINT)
    return part


def _kind_of(cid: Cid) -> Walk[Kind]:
    """What a CID stands for; a raw leaf, which may be large, is not asked for."""
    return Kind.FILE if cid.codec is Codec.RAW else node.read(cid, (yield from fetch(cid))).kind


def _find(directory: Node, name: str, trail: list[Cid]) -> Walk[Link | None]:
    """The link of an entry; the shards below `directory` that were asked for are added to `trail`."""
    level, bits = 0, directory.bits
    while bits:
        level += 1
        prefix = node.prefix_of(node.hash_prefix(name, bits * level) & ((1 << bits) - 1), bits)
        link = next((link for link in directory.links if link.name.startswith(prefix)), None)
        if link is None or link.name != prefix:
            return link if link and link.name == prefix + name else None
        trail.append(link.cid)
        directory = yield from _child_shard(link.cid, bits, level)
    return next((link for link in directory.links if link.name == name), None)


def _child_shard(cid: Cid, bits: int, level: int) -> Walk[Node]:
    shard = node.read(cid, (yield from fetch(cid)))
    if shard.bits != bits or not shard.links or bits * level >= node.HASH_BITS:
        raise BlockError(f"not a shard of the HAMT it hangs in: {cid}", hint=_HINT)
    return shard


def _sorted(links: Sequence[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: link.name.encode()))

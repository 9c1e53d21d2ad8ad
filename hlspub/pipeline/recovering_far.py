"""What a bucket still knows of the streams of a machine that is gone: enough to go on with them on a new one.

Order: the streams are taken over first, so that the old machine, should it live, publishes nothing that is not seen here. Then
the publications are read. Of each session that may go on, the newest root's directories and playlists are brought here, as CARs
in the spool. Its media stay where they are: what a file's CAR is, to the byte, follows from the file's own nodes; and where the
bucket keeps its blocks is entered in this data directory's index too, which thereby claims them (`targets.s3.sweep`). What this
machine's own store lacks it is sent later, as any target that was added.

Done twice it comes to the same. obstore must be there: `building_s3.need_extra` is asked before.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.from_thread
import anyio.to_thread

from hlspub.config.model import Config
from hlspub.engine.settings import TreeSettings
from hlspub.errors import BlockError, DataError, InputError, TargetError, one_error
from hlspub.ipld import block_index, car, node
from hlspub.ipld.block import Block, BlockAt, matches
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.node import Kind
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.walk import list_directory, read_file, run_async, stream_async
from hlspub.model import Car, CarKind
from hlspub.pipeline.once import Progress
from hlspub.pipeline.recovering_plan import Past, is_playlist, pasts
from hlspub.pipeline.recovering_tree import Far
from hlspub.spool.publications import FILE_NAME, PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from hlspub.spool.writer import writer_of
from hlspub.targets.s3.blocks import read_block
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Head
from hlspub.targets.s3.heads import Heads
from hlspub.targets.s3.index_log import IndexLog
from hlspub.targets.s3.lookup import Lookup
from hlspub.targets.s3.memory import MemoryPages
from hlspub.targets.s3.reader import BucketReader

AT_ONCE = 16
_ENTRIES = 50_000  # of the index, in one object

Tell = Callable[[Progress], None]


@dataclass(slots=True, eq=False)
class _Reading:
    """The bucket, read; `nodes` are all blocks of dag-pb that came by."""

    bucket: Bucket
    lookup: Lookup
    nodes: dict[Cid, bytes] = field(default_factory=dict[Cid, bytes])
    limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))

    async def find(self, cid: Cid) -> bytes | None:
        """A block; None when it is not there, or damaged."""
        data = cid.inline or self.nodes.get(cid)
        if data is None:
            async with self.limit:
                data = await read_block(self.bucket, self.lookup, cid)
            if data is None or not matches(cid, data):
                return None
            if cid.codec is Codec.DAG_PB:
                self.nodes[cid] = data
        return data

    async def have(self, cid: Cid) -> bytes:
        """A block.

        Raises:
            BlockError: it is not there.
        """
        data = await self.find(cid)
        if data is None:
            raise BlockError(f"the bucket lacks the block {cid}", hint="An earlier root is taken.")
        return data


async def look_far(bucket: Bucket, place: str, config: Config, tell: Tell) -> Far:
    """Take over the configured streams that the bucket has, and bring here what their journal is rebuilt from.

    `place` is the target's name. The caller holds the data directory's lock, and there is no journal in it.

    Raises:
        InputError: the bucket has none of these streams.
        TargetError: the bucket.
        PermissionRefused, StorageError: the disk.
    """
    try:
        return await _look_far(bucket, place, config, tell)
    except DataError as why:
        raise TargetError(f"{bucket.name}: {why}", retry_s=None, hint=why.hint) from why


async def _look_far(bucket: Bucket, place: str, config: Config, tell: Tell) -> Far:
    writer = await anyio.to_thread.run_sync(writer_of, config.data_dir)
    there = await BucketReader(bucket).streams()
    ours = [name for name in there if name.partition("/")[0] in config.stream]
    lines: list[PublishedLine] = []
    for name in ours:
        head = await Heads(bucket, writer).take_over(name)
        lines += await _publications(BucketReader(bucket), name, head.seq) if head else ()
    if not lines:
        raise InputError(
            f"{place} has none of the configured streams",
            hint=f"It has: {', '.join(sorted(there)) or 'none at all'}.",
        )
    reading = _Reading(bucket, Lookup(bucket, MemoryPages()))
    spool = CarStore(config.data_dir / "spool")
    await anyio.to_thread.run_sync(spool.prepare)
    far = Far(place, {}, partial(_from_thread, reading))
    index = IndexLog(bucket, writer)
    for past in pasts(lines):
        if past.newest or not past.final:
            cars, entries = await _session(past, reading, spool, tell)
            far.cars.update(cars)
            for start in range(0, len(entries), _ENTRIES):
                await index.add(entries[start : start + _ENTRIES])
    await anyio.to_thread.run_sync(PublicationLog(config.data_dir / FILE_NAME).complete, lines)
    return far


def _from_thread(reading: _Reading, cid: Cid) -> bytes | None:
    return anyio.from_thread.run(reading.find, cid)


async def _publications(reader: BucketReader, stream: str, newest: int) -> list[PublishedLine]:
    """All of a stream, oldest first: up to its head, and one that was logged when its head had not moved yet."""
    found: dict[int, Head] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def get(seq: int) -> None:
        async with limit:
            one = await reader.publication(stream, seq)
        if one is not None:
            found[seq] = one

    with one_error():
        async with anyio.create_task_group() as tasks:
            for seq in range(1, newest + 2):
                tasks.start_soon(get, seq)
    return [_line(found[seq]) for seq in sorted(found)]


def _line(head: Head) -> PublishedLine:
    return PublishedLine(
        head.stream, head.session, head.seq, head.root, head.entry, head.final, head.settings, head.published_at
    )


async def _session(past: Past, reading: _Reading, spool: CarStore, tell: Tell) -> tuple[dict[Cid, Car], list[bytes]]:
    """Bring the newest whole root of a session here; the CARs of its media, and their places in the bucket."""
    profile = PROFILES[TreeSettings.from_json(past.settings).profile]
    for line in reversed(past.lines):
        try:
            nodes, files = await _tree(line.root, reading)
            texts = [await _text(cid, reading) for path, cid, _ in files if is_playlist(path)]
        except BlockError:
            continue
        data, places = car.node_car(line.root, nodes)
        kept = Car(str(car.car_cid(data)), CarKind.NODES, line.root, len(data), places)
        await anyio.to_thread.run_sync(spool.put_car, data, kept)
        for text in texts:
            await anyio.to_thread.run_sync(spool.put_data, text, profile)
        return await _media([one for one in files if not is_playlist(one[0])], reading, tell)
    return {}, []


async def _tree(root: Cid, reading: _Reading) -> tuple[list[Block], list[tuple[str, Cid, int]]]:
    """The directory nodes of a tree, the root's last, and its files: path, CID, cumulative size."""
    nodes: dict[Cid, Block] = {}
    files: list[tuple[str, Cid, int]] = []

    async def get(cid: Cid) -> bytes:
        data = await reading.have(cid)
        nodes[cid] = Block(cid, data)
        return data

    todo = [("", root)]
    while todo:
        prefix, folder = todo.pop()
        links = await run_async(list_directory(folder), get)
        kinds = await _kinds(links, reading)
        for link in links:
            if kinds[link.cid] is Kind.DIRECTORY:
                todo.append((f"{prefix}{link.name}/", link.cid))
            else:
                files.append((prefix + link.name, link.cid, link.tsize))
    return [nodes[cid] for cid in reversed(nodes)], files


async def _kinds(links: Iterable[Link], reading: _Reading) -> dict[Cid, Kind]:
    kinds = {link.cid: Kind.FILE for link in links}

    async def look(cid: Cid) -> None:
        data = await reading.find(cid)  # a file's root that is gone is told of later, as the file's
        kinds[cid] = Kind.FILE if data is None else node.read(cid, data).kind

    with one_error():
        async with anyio.create_task_group() as tasks:
            for cid in kinds:
                if cid.codec is not Codec.RAW:
                    tasks.start_soon(look, cid)
    return kinds


async def _text(cid: Cid, reading: _Reading) -> bytes:
    return b"".join([bytes(part) async for part in stream_async(read_file(cid), reading.have)])


async def _media(
    files: Sequence[tuple[str, Cid, int]], reading: _Reading, tell: Tell
) -> tuple[dict[Cid, Car], list[bytes]]:
    cars, entries = dict[Cid, Car](), list[bytes]()
    total = sum(tsize for _, _, tsize in files)
    done = 0
    for count, (_, cid, tsize) in enumerate(files):
        tell(Progress(count, len(files), done, total, "looking"))
        done += tsize
        if cid in cars or cid.inline is not None:
            continue
        try:
            made = await _file_car(cid, tsize, reading)
            entries += [await _entry(at.cid, reading) for at in made.blocks]
        except BlockError:
            continue  # it is told of as a file that is missing
        cars[cid] = made
    return cars, entries


async def _file_car(root: Cid, tsize: int, reading: _Reading) -> Car:
    """The CAR that intake made of a file, without the bytes of its raw leaves: children before parents, equal ones again."""
    at = len(car.header([root]))
    places: list[BlockAt] = []
    todo: list[tuple[Cid, int | None, bool]] = [(root, tsize if root.codec is Codec.RAW else None, False)]
    while todo:
        cid, size, is_open = todo.pop()
        if size is None:
            data = await reading.have(cid)
            read = node.read(cid, data)
            if read.links and not is_open:
                todo.append((cid, None, True))
                sizes = zip(read.links, read.parts, strict=True)
                below = [(link.cid, part if link.cid.codec is Codec.RAW else None, False) for link, part in sizes]
                todo += reversed(below)
                continue
            size = len(data)
        at += len(car.section_head(cid, size))
        places.append(BlockAt(cid, at, size))
        at += size
    return Car(str(root), CarKind.FILE, root, at, tuple(places))


async def _entry(cid: Cid, reading: _Reading) -> bytes:
    spot = await reading.lookup.find(cid)
    if spot is None:
        raise BlockError(f"the bucket lacks the block {cid}")
    return block_index.entry(cid, spot)

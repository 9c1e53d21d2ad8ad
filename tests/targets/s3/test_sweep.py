"""A sweep removes what nothing needs, and nothing that a writer counts on, whenever the two meet."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

import anyio
import anyio.to_thread
import pytest

from hlspub.errors import TargetError
from hlspub.ipld import block_index
from hlspub.ipld.block import matches
from hlspub.ipld.car import car_cid, node_car
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.ipld.tree import Tree
from hlspub.model import Car, CarKind, Packed, Publication
from hlspub.spool.store import CarStore
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.documents import Removal
from hlspub.targets.s3.removal import STALE_S, GcBusy, Removals
from hlspub.targets.s3.sweep import Claims, Sweep, Swept
from hlspub.targets.s3.target import S3Target
from tests.support.buckets import Server
from tests.targets.s3.makers import bucket, car, target

pytestmark = [pytest.mark.anyio, pytest.mark.s3]
LATER_S = 1000.0
GRACE_S = 60.0
LONG = bytes(range(256)) * 10_000  # three leaves


def later() -> float:
    """A time at which everything is past the grace."""
    return time.time() + LATER_S


@dataclass
class Scene:
    """A writer with its bucket, spool and journal: the keys of the blocks that it counts on."""

    place: Bucket
    spool: CarStore
    writer: str = "w1"
    journal: set[bytes] = field(default_factory=set)
    here: S3Target = field(init=False)

    def __post_init__(self) -> None:
        self.here = target(self.place, self.spool, writer=self.writer)

    def take(self, data: bytes) -> Packed:
        packed = self.spool.put_data(data, UNIXFS_V1_2025)
        self.journal |= {block_index.key_of(at.cid) for at in packed.car.blocks}
        return packed

    async def put(self, data: bytes) -> Packed:
        packed = self.take(data)
        await self.here.put([car(packed)])
        return packed

    async def publish(self, files: dict[str, bytes], *, stream: str = "main", seq: int = 1) -> Cid:
        """Files and their root: sent, marked, and shown by the head."""
        tree = Tree(UNIXFS_V1_2025)
        for path, data in files.items():
            packed = await self.put(data)
            tree.put(path, packed.cid, packed.tsize)
        root = tree.root()
        data, places = node_car(root.cid, tree.unpublished())
        made = self.spool.put_car(data, Car(str(car_cid(data)), CarKind.NODES, root.cid, len(data), places))
        self.journal |= {block_index.key_of(at.cid) for at in places}
        await self.here.put([car(Packed(root.cid, 0, 0, made))])
        await self.here.bind(root.cid, supersedes=None)
        await self.show(root.cid, stream, seq)
        return root.cid

    async def show(self, root: Cid, stream: str, seq: int) -> None:
        told = Publication(stream, "s1", seq, root, "a.m3u8", final=False, published_at=time.time(), latency_s=0.0)
        await self.here.move_head(told, "{}")

    async def known(self, asked: Sequence[bytes]) -> set[bytes]:
        return self.journal & set(asked)

    async def sweep(
        self,
        *,
        dry_run: bool = False,
        retired: str = "",
        dropped: Sequence[Cid] = (),
        known: Callable[[Sequence[bytes]], Awaitable[set[bytes]]] | None = None,
        now: Callable[[], float] = later,
    ) -> Swept:
        claims = Claims(self.writer, frozenset({retired} - {""}), frozenset(dropped), 0.0, GRACE_S, known or self.known)
        return await Sweep(self.place, claims, now).run(dry_run=dry_run)

    async def has(self, packed: Packed) -> bool:
        """Whether a reader that has just come finds every block."""
        reader = target(self.place, self.spool, writer="reader")
        found = [(at.cid, await reader.read(at.cid)) for at in packed.car.blocks]
        return all(data is not None and matches(cid, data) for cid, data in found)


@pytest.fixture
def scene(seaweedfs: Server, spool: CarStore) -> Scene:
    return Scene(bucket(seaweedfs.endpoint), spool)


async def test_what_neither_a_root_nor_the_journal_needs_goes(scene: Scene) -> None:
    root = await scene.publish({"a.m3u8": b"#EXTM3U", "v/1.ts": LONG})
    needed = scene.take(LONG)
    known, left = await scene.put(b"known"), await scene.put(b"left")
    scene.journal = {block_index.key_of(at.cid) for at in known.car.blocks}
    told = await scene.sweep(dry_run=True)
    assert (told.cars, told.bytes, told.roots, told.held) == (1, left.car.size_bytes, 1, ())
    assert await scene.has(left), "a dry run changes nothing"
    assert await scene.sweep() == told
    assert not await scene.has(left)
    assert all([await scene.has(one) for one in (needed, known)])
    assert await scene.here.read(root) is not None
    assert (await scene.sweep()).cars == 0
    assert await scene.place.get(keys.REMOVING) is None


async def test_what_is_young_stays(scene: Scene) -> None:
    left = await scene.put(b"left")
    scene.journal.clear()
    assert (await scene.sweep(now=time.time)).cars == 0
    assert await scene.has(left)


async def test_an_index_that_was_swept_is_whole_for_its_writer_and_for_readers(scene: Scene) -> None:
    """Entries of the log and of merged segments go, the others are found; the writer goes on, and merges again."""
    old_reader = target(scene.place, scene.spool, writer="old reader")
    packed = [await scene.put(b"%d" % number) for number in range(70)]  # two merges and a tail
    assert await old_reader.has(car(packed[0]))
    scene.journal = {block_index.key_of(one.cid) for one in packed[::2]}
    assert (await scene.sweep()).cars == 35
    for number, one in enumerate(packed):
        assert await scene.has(one) == (number % 2 == 0)
        assert await old_reader.has(car(one)) == (number % 2 == 0)
    scene.journal.clear()
    assert (await scene.sweep()).cars == 35
    again = [await scene.put(b"%d" % number) for number in range(70)]
    assert all([await scene.has(one) for one in again])
    assert all([await old_reader.has(car(one)) for one in again])


async def test_what_was_removed_and_sent_again_in_another_car_is_found_by_an_old_reader(scene: Scene) -> None:
    first = await scene.put(LONG)
    old = target(scene.place, scene.spool, writer="old reader")
    assert await old.has(car(first))
    scene.journal.clear()
    assert (await scene.sweep()).cars == 1
    both = target(scene.place, scene.spool, writer="w1", shard_cars=2)
    await both.put([car(first), car(scene.take(b"another"))])
    for at in first.car.blocks:
        data = await old.read(at.cid)
        assert data is not None
        assert matches(at.cid, data)


async def test_a_root_that_is_kept_no_longer_loses_its_mark(scene: Scene) -> None:
    first = await scene.publish({"a.m3u8": b"#EXTM3U 1", "1.ts": b"one"}, seq=1)
    await scene.publish({"a.m3u8": b"#EXTM3U 2", "2.ts": b"two"}, seq=2)
    scene.journal.clear()
    assert (await scene.sweep(dry_run=True)).cars == 0
    told = await scene.sweep(dry_run=True, dropped=[first])
    assert told.cars == 3
    assert await scene.sweep(dropped=[first]) == told
    assert await scene.place.head(keys.root(first)) is None
    assert (await scene.sweep()).roots == 1


async def test_a_root_that_was_just_superseded_stays(scene: Scene) -> None:
    first = await scene.publish({"a.m3u8": b"#EXTM3U 1"}, seq=1)
    await scene.publish({"a.m3u8": b"#EXTM3U 2"}, seq=2)
    await scene.here.forget(first)
    scene.journal.clear()
    claims = Claims(scene.writer, recent_s=2 * LATER_S, grace_s=GRACE_S)
    assert (await Sweep(scene.place, claims, later).run(dry_run=True)).cars == 0
    assert (await scene.sweep(dry_run=True)).cars == 2


async def test_what_others_sent_stays_until_they_are_retired(scene: Scene) -> None:
    other = Scene(scene.place, scene.spool, "w2")
    root = await other.publish({"a.m3u8": b"#EXTM3U", "1.ts": b"one"}, stream="other")
    unshown = await other.put(b"not in a root yet")
    scene.journal.clear()
    held = await scene.sweep()
    assert (held.cars, held.held) == (0, (("w2", 1, unshown.car.size_bytes),))
    with pytest.raises(TargetError, match="moves the stream other"):
        await scene.sweep(retired="w2")
    await scene.show(root, "main", 1)
    await scene.place.delete([keys.head("other")])
    assert (await scene.sweep(retired="w2")).cars == 1
    assert not await scene.has(unshown)
    assert await scene.has(scene.take(b"one"))
    with pytest.raises(TargetError, match="was retired") as caught:
        await target(scene.place, scene.spool, writer="w2").put([car(unshown)])
    assert caught.value.retry_s is None


async def test_what_two_writers_sent_goes_when_both_have_swept(scene: Scene) -> None:
    other = Scene(scene.place, scene.spool, "w2")
    left = await scene.put(LONG)
    await other.put(LONG)
    scene.journal.clear()
    other.journal.clear()
    assert (await scene.sweep()).cars == 0
    assert await scene.has(left), "the other one may need it"
    assert (await other.sweep()).cars == 1
    assert not await scene.has(left)


async def test_a_kept_root_that_is_not_whole_stops_it(scene: Scene) -> None:
    root = await scene.publish({"a.m3u8": b"#EXTM3U", "1.ts": b"one"})
    spot = await scene.here.lookup.find(root)
    assert spot is not None
    left = await scene.put(b"left")
    scene.journal.clear()
    await scene.place.delete([keys.car(spot.car)])
    with pytest.raises(TargetError, match="not there, so nothing is removed"):
        await scene.sweep()
    assert await scene.has(left)


async def test_a_store_that_ignores_conditions_is_not_swept(rclone: Server, spool: CarStore) -> None:
    scene = Scene(bucket(rclone.endpoint), spool)
    await scene.put(b"left")
    with pytest.raises(TargetError, match="If-None-Match"):
        await scene.sweep()


async def test_one_gc_at_a_time_and_one_that_died_is_passed_over(scene: Scene) -> None:
    left = await scene.put(b"left")
    scene.journal.clear()
    spot = await scene.here.lookup.find(left.cid)
    assert spot is not None
    await Removals(scene.place, later).begin("another", frozenset({keys.car(spot.car)}))
    with pytest.raises(GcBusy):
        await scene.sweep()
    dead = Removal("another", later() - STALE_S - 1, frozenset({keys.car(spot.car)}))
    await scene.place.put(keys.REMOVING, dead.encode())
    assert (await scene.sweep()).cars == 1


# a writer and a sweep meet


async def test_a_car_that_is_claimed_before_the_second_look_stays(scene: Scene) -> None:
    """Another writer sends the same content when the sweep has named it, and before it looks again."""
    left = await scene.put(LONG)
    other, looks = Scene(scene.place, scene.spool, "w2"), 0

    async def known(_asked: Sequence[bytes]) -> set[bytes]:
        nonlocal looks
        looks += 1
        if looks == 1:
            await other.put(LONG)
        return set()

    assert (await scene.sweep(known=known)).cars == 0
    assert looks >= 1
    assert await scene.has(left)


async def test_a_car_that_is_claimed_behind_the_second_look_is_sent_again(scene: Scene) -> None:
    left = await scene.put(LONG)
    other, looks = Scene(scene.place, scene.spool, "w2"), 0
    sent = anyio.Event()

    async def send() -> None:
        await other.put(LONG)
        sent.set()

    async with anyio.create_task_group() as tasks:

        async def known(_asked: Sequence[bytes]) -> set[bytes]:
            nonlocal looks
            looks += 1
            if looks == 2:  # the indexes were looked at again: the CAR is doomed
                tasks.start_soon(send)
                entry = keys.log_entry("w2", 0)
                while await scene.place.head(entry) is None:  # noqa: ASYNC110 -- the store tells nobody
                    await anyio.sleep(0.01)
                assert not sent.is_set(), "who meets a CAR that is about to go waits"
            return set()

        assert (await scene.sweep(known=known)).cars == 1
    assert sent.is_set()
    assert await scene.has(left)


async def test_a_car_that_goes_before_it_is_claimed_is_sent_again(scene: Scene) -> None:
    """A whole sweep comes between the moment when a writer met the CAR and its entry in the index."""
    left = await scene.put(LONG)
    scene.journal.clear()
    met, over = Event(), Event()

    def writer() -> str:
        met.set()
        assert over.wait(60)
        return "w2"

    other = target(scene.place, scene.spool)
    other.writer = writer  # asked for when the CAR was met, to write into the index

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.put, [car(left)])
        await anyio.to_thread.run_sync(met.wait)
        try:
            assert (await scene.sweep()).cars == 1
        finally:
            over.set()
    assert await scene.has(left)


async def test_a_root_that_is_marked_while_it_sweeps_stays_whole(scene: Scene) -> None:
    other = Scene(scene.place, scene.spool, "w2")
    root = await other.publish({"a.m3u8": b"#EXTM3U", "1.ts": b"one"})
    await other.here.forget(root)
    await scene.place.delete([keys.head("main")])
    looks = 0

    async def known(_asked: Sequence[bytes]) -> set[bytes]:
        nonlocal looks
        looks += 1
        if looks == 1:
            await other.here.bind(root, supersedes=None)
        return set()

    assert (await scene.sweep(known=known, retired="w2")).cars == 0
    assert await scene.has(scene.take(b"one"))
    assert await scene.here.read(root) is not None


async def test_a_sweep_that_was_cut_off_leaves_all_that_is_needed(scene: Scene) -> None:
    class Cut(Exception):  # noqa: N818 -- not an error of the program
        pass

    root = await scene.publish({"a.m3u8": b"#EXTM3U", "1.ts": b"one"})
    await scene.put(b"left")
    needed = scene.take(b"one")
    scene.journal.clear()
    looks = 0

    async def known(_asked: Sequence[bytes]) -> set[bytes]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Cut
        return set()

    with pytest.raises(Cut):
        await scene.sweep(known=known)
    assert await scene.has(needed)
    assert await scene.here.read(root) is not None
    assert (await scene.sweep()).cars == 1


@pytest.mark.slow
async def test_writers_and_sweeps_at_random(seaweedfs: Server, spool: CarStore) -> None:
    """Three writers take the same few contents, forget them and take them again, while each sweeps."""
    place, chance = bucket(seaweedfs.endpoint), random.Random(7)
    writers = [Scene(place, spool, f"w{number}") for number in range(3)]
    contents = [b"%d" % number * 1000 for number in range(12)]
    over = time.monotonic() + 60.0
    went: list[int] = []

    async def write(scene: Scene) -> None:
        while time.monotonic() < over:
            await scene.put(chance.choice(contents))
            if chance.random() < 0.4:
                scene.journal.clear()

    async def sweep(scene: Scene) -> None:
        claims = Claims(scene.writer, recent_s=0.0, grace_s=8.0, known=scene.known)
        while time.monotonic() < over:
            try:
                went.append((await Sweep(place, claims, time.time).run(dry_run=False)).cars)
            except TargetError as why:
                assert why.retry_s is not None  # noqa: PT017 -- another one sweeps
            await anyio.sleep(chance.random())

    async with anyio.create_task_group() as tasks:
        for scene in writers:
            tasks.start_soon(write, scene)
            tasks.start_soon(sweep, scene)
    assert sum(went) > 0
    every = [spool.put_data(data, UNIXFS_V1_2025) for data in contents]
    for scene in writers:
        counted_on = [one for one in every if block_index.key_of(one.cid) in scene.journal]
        assert all([await scene.has(one) for one in counted_on])

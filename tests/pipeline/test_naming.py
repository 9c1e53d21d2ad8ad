import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.ipns.key import Key
from hlspub.ipns.name import Name
from hlspub.ipns.record import NS, Record, read, sign
from hlspub.journal.reader import JournalReader
from hlspub.pipeline.naming import NamePlan, Namer
from hlspub.pipeline.ports import Writer
from tests.pipeline.house import Site, site, until

pytestmark = pytest.mark.anyio
KEY = Key.from_seed(bytes(range(32)))


class MemoryRouter:
    """Keeps records as a router does; `failure`: what every put raises while it is set."""

    def __init__(self, name: str = "router") -> None:
        self.name = name
        self.puts: list[Record] = []
        self.at: list[float] = []
        self.record: bytes | None = None
        self.failure: TargetError | None = None
        self.tries = 0
        self.under_way = 0
        self.most = 0

    async def put(self, name: Name, signed: bytes) -> None:
        self.tries += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await anyio.sleep(0.01)
        self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        record = read(name, signed, now_ns=time.time_ns())
        if self.record is not None and self.record != signed and not record.is_newer_than(read(name, self.record)):
            raise TargetError("it has a newer one", retry_s=0.0)
        self.record = signed
        self.puts.append(record)
        self.at.append(time.monotonic())

    async def get(self, _name: Name) -> bytes | None:
        return self.record

    async def aclose(self) -> None:
        pass


@asynccontextmanager
async def naming(site: Site, *routers: MemoryRouter, **changed: Any) -> AsyncIterator[Namer]:
    told: dict[str, Any] = {"ttl_s": 60.0, "validity_s": 3600.0, "interval_s": 1.0, "refresh_s": 600.0}
    told |= {"targets": frozenset({"memory"})} | changed
    plan = NamePlan("show", "main", KEY, **told)
    house = site.house
    namer = Namer(plan, routers, house.reads, house.journal, house.clock, house.metrics)
    house.namers.append(namer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(namer.run)
        yield namer
        tasks.cancel_scope.cancel()
    house.namers.remove(namer)


async def put_segment(site: Site, count: int) -> None:
    await site.write_and_wait(f"s{count}.ts", bytes([count]) * 1880)
    listed = "".join(f"#EXTINF:2,\ns{number}.ts\n" for number in range(1, count + 1))
    site.write("index.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n{listed}".encode())
    await site.root(lambda tree: f"s{count}.ts" in tree)


def leads_to(namer: Namer) -> str | None:
    record = namer.record()
    return None if record is None else record.value


async def test_the_name_follows_the_roots_and_the_router_gets_the_newest(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running, naming(running, router) as namer:
        for count in range(1, 4):
            await put_segment(running, count)
        newest = running.published[0].root
        await until(lambda: leads_to(namer) == f"/ipfs/{newest}", "the name leads to the newest root")
        await until(lambda: router.puts and router.puts[-1].value == f"/ipfs/{newest}", "the router has it")
        sequences = [record.sequence for record in router.puts]
        assert sequences == sorted(set(sequences))
        assert router.most == 1
        assert all(later - earlier >= 0.9 for earlier, later in zip(router.at, router.at[1:], strict=False))
        assert router.puts[-1].ttl_ns == 60 * NS
        told = namer.status()
        assert (told["id"], told["root"]) == (str(KEY.name), str(newest))
        await until(lambda: namer.status()["routers"][0]["state"] == "ok", "that is written down")  # type: ignore[index]


async def test_it_waits_for_a_target_that_serves_its_readers(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, required=False, entry="index.m3u8") as running:
        running.memory.failure = TargetError("away", retry_s=0.0)
        async with naming(running, router) as namer:
            await put_segment(running, 1)
            await until(lambda: running.published, "a root is announced")
            await namer._move()
            assert leads_to(namer) is None
            running.memory.failure = None
            await until(
                lambda: leads_to(namer) == f"/ipfs/{running.published[0].root}", "it moves when the target has it"
            )
            assert running.published[0].root in running.memory.bound


async def test_a_sequence_never_goes_back_whatever_is_started_anew(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running:
        async with naming(running, router):
            await put_segment(running, 1)
            await until(lambda: router.puts, "it is sent")
        first = router.puts[-1]
        assert abs(first.sequence - time.time()) < 60  # so that a lost journal takes none back
        async with naming(running, router) as namer:  # as it was left: nothing to say
            await until(lambda: namer.held, "it remembers")
            assert namer.held is not None
            assert namer.held.record == first
            await put_segment(running, 2)
            await until(lambda: router.puts[-1] != first, "the next is sent")
        assert router.puts[-1].sequence == first.sequence + 1
        assert router.tries == 2


async def test_a_record_is_sent_again_when_nothing_changed_and_made_anew_when_half_is_over(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running:
        async with naming(running, router, refresh_s=0.1):
            await put_segment(running, 1)
            await until(lambda: len(router.puts) >= 3, "it is sent again")
        assert len({record.sequence for record in router.puts}) == 1
        before = router.puts[-1]
        async with naming(running, router, validity_s=100_000.0) as namer:
            await until(lambda: namer.held and namer.held.record.sequence > before.sequence, "a longer one is made")
            await until(lambda: router.puts[-1].expires_ns > before.expires_ns, "and sent")


async def test_a_router_that_fails_is_tried_again_and_holds_nobody_back(tmp_path: Path) -> None:
    bad, good = MemoryRouter("bad"), MemoryRouter("good")
    bad.failure = TargetError("no", retry_s=None)
    async with site(tmp_path, entry="index.m3u8") as running, naming(running, bad, good) as namer:
        await put_segment(running, 1)
        await until(lambda: good.puts, "the good one has it")
        await until(lambda: bad.tries >= 2, "the bad one is tried again")
        state = {str(one["name"]): one for one in namer.status()["routers"]}  # type: ignore[attr-defined]
        assert (state["bad"]["state"], state["bad"]["error"]) == ("degraded", "no")
        assert state["good"]["state"] == "ok"
        bad.failure = None
        await until(lambda: bad.puts, "it recovers")


async def test_a_newer_record_at_a_router_is_overtaken(tmp_path: Path) -> None:
    router = MemoryRouter()
    far = int(time.time()) + 1_000_000
    router.record = sign(Record("/ipfs/bafkqaaa", far, (far + 9) * NS, NS), KEY)
    async with site(tmp_path, entry="index.m3u8") as running, naming(running, router):
        await put_segment(running, 1)
        await until(lambda: router.puts, "ours is taken")
        assert router.puts[0].sequence == far + 1
        saved = (await running.house.reads.run(JournalReader.named))[0]
        assert saved.sequence == far + 1


async def test_the_last_word_of_a_stop_is_the_newest_root(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running, naming(running, router, interval_s=600.0) as namer:
        await put_segment(running, 1)
        await until(lambda: router.puts, "the first is sent")
        await put_segment(running, 2)
        newest = f"/ipfs/{running.published[0].root}"
        await until(lambda: leads_to(namer) == newest, "it has moved")
        assert router.puts[-1].value != newest
        await namer.drain()
        assert router.puts[-1].value == newest


@dataclass(eq=False)
class SlowJournal:
    """Commits at once and says so late, as under load."""

    journal: Writer
    commits: int = 0

    async def write(self, records: Sequence[Any]) -> None:
        with anyio.CancelScope(shield=True):
            await self.journal.write(records)
        self.commits += 1
        await anyio.sleep(0.2)

    def next_session(self) -> int:
        return self.journal.next_session()


async def test_the_last_word_meets_a_move_that_is_under_way(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running, naming(running, router) as namer:
        namer.journal = SlowJournal(namer.journal)
        await put_segment(running, 1)
        for _ in range(3):
            await namer.drain()
        assert [record.value for record in router.puts][-1:] == [f"/ipfs/{running.published[0].root}"]


async def test_a_move_cut_short_by_a_stop_may_have_come_to_pass(tmp_path: Path) -> None:
    router = MemoryRouter()
    async with site(tmp_path, entry="index.m3u8") as running:
        async with naming(running, router) as namer:
            slow = namer.journal = SlowJournal(namer.journal)
            await put_segment(running, 1)
            await until(lambda: slow.commits, "it is under way")
        await namer.drain()
        (saved,) = await running.house.reads.run(JournalReader.named)
        assert [record.sequence for record in router.puts][-1:] == [saved.sequence]

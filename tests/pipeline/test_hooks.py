import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from hlspub.config.load import parse
from hlspub.config.model import Config
from hlspub.errors import TargetError
from hlspub.hooking import build_hook
from hlspub.hooks.base import Hook
from hlspub.hooks.message import Message
from hlspub.ipld.cid import Cid, Codec
from hlspub.journal.journal import Journal
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.pipeline.hooks import Hooks, Teller
from hlspub.records import HookJoined, HookLeft, RootAnnounced, RootMade, RootsForgotten, SessionStarted, StreamDeclared
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.metrics import Metrics
from tests.hooks.receiver import SECRET_TEXT, Receiver, receiving
from tests.pipeline.house import site, until

pytestmark = pytest.mark.anyio


def quickly(_failures: int, asked_s: float) -> float:
    return max(asked_s, 0.05)


class MemoryHook:
    """Takes what `refuses` does not name; `failure` is what every other message fails with while it is set."""

    kind = "memory"

    def __init__(self, name: str = "ci") -> None:
        self.name = name
        self.taken, self.tries = list[tuple[str, int]](), list[tuple[str, int]]()
        self.failure: TargetError | None = None
        self.refuses: set[tuple[str, int]] = set()
        self.hangs = self.closed = self.recovers = False  # with `recovers` it fails once
        self.asked_at = list[float]()  # monotonic

    async def tell(self, message: Message) -> None:
        key = message.publication.stream, message.publication.seq
        self.tries.append(key)
        if self.hangs:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        self.asked_at.append(time.monotonic())
        if (failure := self.failure) is not None:
            self.failure = None if self.recovers else failure
            raise failure
        if key in self.refuses:
            raise TargetError("not that one", retry_s=0.0)
        self.taken.append(key)

    async def aclose(self) -> None:
        self.closed = True


class Desk:
    """A journal with publications, and the workers that tell of them."""

    def __init__(self, journal: Journal, reads: JournalReads) -> None:
        self.journal, self.reads = journal, reads
        self.metrics, self.clock = Metrics("test"), SystemClock()
        self.hooks = Hooks(reads, self.clock, self.metrics)
        self.sessions: dict[str, int] = {}
        self.seqs: dict[str, int] = {}

    async def publish(self, stream: str = "main", count: int = 1, *, at: float | None = None) -> None:
        for _ in range(count):
            if stream not in self.sessions:
                self.sessions[stream] = number = len(self.sessions) + 1
                await self.journal.write(
                    [
                        StreamDeclared(stream, "/srv", 1.0),
                        *(HookJoined(one.hook.name, stream) for one in self.hooks.tellers),
                        SessionStarted(number, stream, f"s-{number}", "{}", 1.0),
                    ]
                )
            session, seq = self.sessions[stream], self.seqs.get(stream, 0) + 1
            self.seqs[stream] = seq
            root = Cid.of_data(Codec.RAW, f"{stream} {seq}".encode())
            when = self.clock.now() if at is None else at
            await self.journal.write(
                [
                    RootMade(session, seq, root, 9, "a.m3u8", final=False, playlists=(), car=None, at=when, targets=()),
                    RootAnnounced(session, seq, seq, when, 0.1),
                ]
            )
            self.hooks.ring()

    def teller(
        self, hook: Hook, timeout_s: float = 10.0, give_up_s: float = 3600.0, last_word_s: float = 10.0
    ) -> Teller:
        places = self.reads, self.journal, self.clock, self.metrics
        return Teller(hook, timeout_s, give_up_s, *places, quickly, last_word_s)

    async def pending(self) -> dict[str, int]:
        return {one.name: one.pending for one in await self.reads.run(JournalReader.hooks)}

    def metric(self, name: str) -> float:
        lines = self.metrics.render().decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(name)))


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    journal = await Journal.open(tmp_path / "journal.sqlite")
    reads = JournalReads(tmp_path / "journal.sqlite")
    try:
        yield Desk(journal, reads)
    finally:
        reads.close()
        await journal.close()


@asynccontextmanager
async def running(desk: Desk, *tellers: Teller) -> AsyncIterator[None]:
    await desk.hooks.replace(tellers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.hooks.run)
        yield
        tasks.cancel_scope.cancel()


def main(*seqs: int) -> list[tuple[str, int]]:
    return [("main", seq) for seq in seqs]


async def test_each_publication_is_told_once_and_in_order(tmp_path: Path) -> None:
    hook = MemoryHook()
    async with desk(tmp_path) as at, running(at, at.teller(hook)):
        await at.publish(count=30)
        await until(lambda: len(hook.taken) >= 30, "all are told")
        assert hook.tries == hook.taken == main(*range(1, 31))
        assert await at.pending() == {"ci": 0}
        assert at.metric('hlspub_hook_tries_total{hook="ci",result="ok"}') == 30
        assert at.metric('hlspub_hook_last_told_timestamp_seconds{hook="ci"}') == pytest.approx(time.time(), abs=60)


async def test_one_that_fails_is_tried_again_and_the_next_waits_for_it(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.failure = TargetError("away", retry_s=0.0, hint="Look.")
    with capture_logs() as log:
        async with desk(tmp_path) as at, running(at, at.teller(hook)):
            await at.publish(count=3)
            await until(lambda: len(hook.tries) >= 3, "it is tried again")
            assert set(hook.tries) == {("main", 1)}
            told = at.hooks.tellers[0].status()
            assert (told["state"], told["error"]) == ("degraded", "away")
            hook.failure = None
            await until(lambda: hook.taken == main(1, 2, 3), "all are told")
            assert "state" not in at.hooks.tellers[0].status()
    said = [line["event"] for line in log if line["event"].startswith("hook.") and line["event"] != "hook.told"]
    assert said == ["hook.degraded", "hook.recovered"]


async def test_a_message_that_one_stream_cannot_get_rid_of_holds_no_other_back(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.refuses = {("bad", 1)}
    async with desk(tmp_path) as at, running(at, at.teller(hook)):
        await at.publish("bad", 2)
        await at.publish("good", 5)
        await until(lambda: ("good", 5) in hook.taken, "the other stream's are told")
        assert not any(stream == "bad" for stream, _ in hook.taken)
        hook.refuses = set()
        await until(lambda: ("bad", 2) in hook.taken, "then its own")
    assert [seq for stream, seq in hook.taken if stream == "bad"] == [1, 2]


async def test_one_that_is_too_old_is_left_out_after_a_try(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.refuses = {("main", 1)}
    with capture_logs() as log:
        async with desk(tmp_path) as at, running(at, at.teller(hook, give_up_s=60.0)):
            await at.publish(at=time.time() - 100)
            await at.publish()
            await until(lambda: hook.taken == main(2), "the next one is told")
            await until(lambda: "state" not in at.hooks.tellers[0].status(), "and it is well")
            assert at.metric('hlspub_hook_skipped_total{hook="ci"}') == 1
    (skipped,) = [line for line in log if line["event"] == "hook.skipped"]
    assert (skipped["count"], skipped["last_seq"]) == (1, 1)
    assert "not that one" in skipped["reason"]


async def test_an_old_one_is_tried_before_it_is_left_out(tmp_path: Path) -> None:
    hook = MemoryHook()
    async with desk(tmp_path) as at, running(at, at.teller(hook, give_up_s=60.0)):
        await at.publish(at=time.time() - 100)  # nobody ran for so long
        await until(lambda: hook.taken == main(1), "it is told")


async def test_roots_that_nobody_keeps_are_passed_over_aloud(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.failure = TargetError("away", retry_s=0.0)
    with capture_logs() as log:
        async with desk(tmp_path) as at, running(at, at.teller(hook)):
            await at.publish(count=5)
            await until(lambda: hook.tries, "it is tried")
            await at.journal.write([RootsForgotten(((1, 1), (1, 2), (1, 3)))])
            hook.failure = None
            await until(lambda: hook.taken == main(4, 5), "what is kept is told")
            assert at.metric('hlspub_hook_skipped_total{hook="ci"}') == 3
    (skipped,) = [line for line in log if line["event"] == "hook.skipped"]
    assert (skipped["stream"], skipped["count"], skipped["last_seq"]) == ("main", 3, 3)


async def test_whoever_hangs_is_left_in_time_and_tried_again(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.hangs = True
    async with desk(tmp_path) as at, running(at, at.teller(hook, timeout_s=0.1)):
        await at.publish()
        await until(lambda: len(hook.tries) >= 2, "it is tried again")
        assert "no end within 0.1 s" in str(at.hooks.tellers[0].status()["error"])
        hook.hangs = False
        await until(lambda: hook.taken == main(1), "it is told")


async def test_one_that_wants_no_more_is_asked_no_more_until_a_reload(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.failure = TargetError("gone", retry_s=None)
    with capture_logs() as log:
        async with desk(tmp_path) as at, running(at, at.teller(hook)):
            await at.publish(count=2)
            await until(lambda: at.hooks.tellers[0].gone, "it is gone")
            await at.hooks.drain()
            await at.publish()
            assert hook.tries == main(1)
            assert at.hooks.tellers[0].status()["state"] == "gone"
            hook.failure = None
            await at.hooks.replace([at.teller(hook)])
            await until(lambda: hook.taken == main(1, 2, 3), "what waited is told")
            assert hook.closed
    assert [line["event"] for line in log if line["log_level"] == "error"] == ["hook.gone"]


async def test_whoever_asks_for_rest_gets_it_for_every_stream(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.failure, hook.recovers = TargetError("slowly", retry_s=0.5), True
    async with desk(tmp_path) as at, running(at, at.teller(hook)):
        await at.publish("one")
        await until(lambda: hook.asked_at, "it is tried")
        await at.publish("other")
        await until(lambda: len(hook.taken) == 2, "both are told")
    assert hook.asked_at[1] - hook.asked_at[0] >= 0.5


async def test_the_last_word_tries_once_what_waits_and_returns(tmp_path: Path) -> None:
    hook, bad = MemoryHook(), MemoryHook("bad")
    bad.failure = TargetError("away", retry_s=3600.0)
    async with desk(tmp_path) as at, running(at, at.teller(hook), at.teller(bad)):
        await at.publish(count=3)
        await until(lambda: bad.tries and hook.taken == main(1, 2, 3), "one is told")
        bad.failure = None
        await at.hooks.drain()
        assert bad.taken == main(1, 2, 3)
        bad.failure = TargetError("away", retry_s=3600.0)
        await at.publish("other", 2)
        await at.hooks.drain()
        assert ("other", 2) not in bad.tries


async def test_a_hook_that_never_ends_delays_no_stop(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.hangs = True
    async with desk(tmp_path) as at, running(at, at.teller(hook, timeout_s=600.0, last_word_s=0.2)):
        await at.publish()
        await until(lambda: hook.tries, "it hangs")
        with anyio.fail_after(5):
            await at.hooks.drain()


async def test_a_dead_hook_costs_no_memory(tmp_path: Path) -> None:
    hook = MemoryHook()
    hook.failure = TargetError("away", retry_s=3600.0)
    async with desk(tmp_path) as at, running(at, at.teller(hook)):
        await at.publish(count=500)
        await until(lambda: hook.tries, "it is tried")
        teller = at.hooks.tellers[0]
        assert await at.pending() == {"ci": 500}
        assert len(teller._lines) == 1
        assert [one.publication.seq for one in await teller._untold()] == [1]


async def test_hooks_come_and_go(tmp_path: Path) -> None:
    first, second = MemoryHook("first"), MemoryHook("second")
    async with desk(tmp_path) as at, running(at, at.teller(first)):
        await at.publish(count=2)
        await until(lambda: first.taken == main(1, 2), "the first is told")
        await at.hooks.replace([at.teller(second)])
        await at.journal.write([HookLeft("first", "main"), HookJoined("second", "main")])
        await at.publish()
        await until(lambda: second.taken == main(3), "the second is told, from now on")
        assert first.taken == main(1, 2)


async def test_nothing_is_lost_whatever_happens_when(tmp_path: Path) -> None:
    """A hook that fails by chance, publications, and workers that are cut off: each (stream, seq) in order, none missing."""
    chance = random.Random(7)
    hook = MemoryHook()
    taken: list[tuple[str, int]] = []

    class Moody(MemoryHook):
        async def tell(self, message: Message) -> None:
            await anyio.sleep(chance.uniform(0, 0.003))
            if chance.random() < 0.3:
                raise TargetError("by chance", retry_s=0.0)
            taken.append((message.publication.stream, message.publication.seq))
            await anyio.sleep(chance.uniform(0, 0.003))  # it was taken, and may not be written down

    async with desk(tmp_path) as at:
        at.hooks.tellers = [at.teller(hook)]
        for _ in range(12):
            async with running(at, at.teller(Moody())):
                for _ in range(4):
                    await at.publish(chance.choice(["a", "b", "c"]))
                    await anyio.sleep(chance.uniform(0, 0.02))
        async with running(at, at.teller(Moody())):
            last = {(stream, seq) for stream, seq in at.seqs.items()}
            await until(lambda: last <= set(taken), "the newest are told")
    for stream, count in at.seqs.items():
        order = [seq for name, seq in taken if name == stream]
        firsts = list(dict.fromkeys(order))
        assert firsts == [*range(1, count + 1)]  # each at least once, first sightings in order
        assert all(later in (earlier, earlier + 1) for earlier, later in pairwise(order))


# a real receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def configured(tmp_path: Path, receiver: Receiver) -> Config:
    (tmp_path / "secret").write_text(SECRET_TEXT + "\n")
    (tmp_path / "secret").chmod(0o600)
    text = f'[hook.ci]\nkind = "webhook"\nurl = "{receiver.url}"\nsecret = {{ file = "secret" }}\ntimeout = "300ms"\n'
    return parse(f'data_dir = "data"\n{text}', tmp_path / "c.toml", {})


async def test_a_receiver_that_misbehaves_in_every_way_gets_each_publication(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.headers = {"Location": receiver.url + "-elsewhere"}
    receiver.moods = [500, "hang", 503, "reset", 302, 429, "drip", 400, 404, "reset", 502]
    config = configured(tmp_path, receiver)
    async with desk(tmp_path) as at:
        hook = build_hook(config, "ci", {}, at.clock)
        async with running(at, at.teller(hook, config.hook["ci"].timeout)):
            await at.publish(count=5)
            await until(lambda: receiver.seqs() == [1, 2, 3, 4, 5], "all are told, in order")
            await until_none_waits(at)
        await at.hooks.aclose()
    assert [one.wrong for one in receiver.got if one.wrong] == []
    assert len(receiver.got) == 16
    assert {one.path for one in receiver.got} == {"/a-path-that-is-a-secret"}
    assert {one.id for one in receiver.got} == {f"main/{seq}" for seq in range(1, 6)}


async def until_none_waits(at: Desk) -> None:
    with anyio.fail_after(20):
        while any((await at.pending()).values()):  # noqa: ASYNC110 -- the journal's own state
            await anyio.sleep(0.02)


async def test_a_stream_is_told_of_by_the_whole_pipeline(tmp_path: Path) -> None:
    hook = MemoryHook()
    async with site(tmp_path, entry="index.m3u8") as running_site:
        house = running_site.house
        teller = Teller(hook, 5.0, 60.0, house.reads, house.journal, house.clock, house.metrics)
        await house.hooks.replace([teller])
        await house.journal.write([HookJoined("ci", "main")])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.hooks.run)
            for count in range(1, 4):
                await running_site.write_and_wait(f"s{count}.ts", bytes([count]) * 1880)
                listed = "".join(f"#EXTINF:2,\ns{number}.ts\n" for number in range(1, count + 1))
                text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n{listed}"
                running_site.write("index.m3u8", text.encode())
                await running_site.root(_holds(f"s{count}.ts"))
            newest = running_site.published[0].seq
            await until(lambda: hook.taken[-1:] == [("main", newest)], "the newest is told")
            shown = (await house.view.status())["hooks"]
            assert shown[0]["name"] == "ci"  # type: ignore[index]
            tasks.cancel_scope.cancel()
        assert hook.taken == main(*range(1, newest + 1))


def _holds(path: str) -> Callable[[dict[str, bytes]], bool]:
    return lambda tree: path in tree

"""The rules of settling with the time in our hands: every case says what `stat` saw and when."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hlspub.model import FileIdentity, Settled, SettledBy
from hlspub.watch.settle import SLACK_S, Judge, Pace
from tests.watch.bench import Stream, names

LOCAL = Pace(2.0, 0.5, trust_times=True)
REMOTE = Pace(1.0, 0.5, trust_times=False)


def state(size: int, changed_at: float, *, inode: int = 1) -> FileIdentity:
    return FileIdentity(1, inode, size, int(changed_at * 1e9), int(changed_at * 1e9))


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def judge(stream: Stream) -> Judge:
    return Judge(stream, names(), LOCAL)


def found(judge: Judge, path: str, identity: FileIdentity, at: float) -> list[Settled]:
    """`at` serves as both clocks."""
    return judge.found([(path, identity)], now=at, mono=at)


def test_a_closed_file_is_finished_at_once_and_only_once(judge: Judge) -> None:
    first = judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10.1)
    assert first == Settled("seg0.ts", state(1, 10), SettledBy.CLOSED, 10.1)
    assert judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10.2) is None
    assert found(judge, "seg0.ts", state(1, 10), 100) == []
    assert judge.finished("seg0.ts", state(2, 11), SettledBy.CLOSED, 11.1) is not None


def test_what_nobody_wants_is_never_settled_and_leaves_nothing_behind(judge: Judge) -> None:
    assert judge.finished("ffmpeg.log", state(1, 10), SettledBy.CLOSED, 10) is None
    judge.expect("ffmpeg.log", 10)
    assert found(judge, "ffmpeg.log", state(1, 10), 100) == []
    assert judge.tracked() == []
    assert judge.next_due() is None


def test_a_listed_file_waits_until_it_is_quiet_and_says_when(judge: Judge, stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    assert found(judge, "seg0.ts", state(1, 10), 10.5) == []
    assert judge.next_due() == pytest.approx(12 + SLACK_S)
    assert judge.due(11.9) == []
    assert judge.due(12.1) == ["seg0.ts"]
    assert judge.due(12.1) == []
    assert [item.by for item in found(judge, "seg0.ts", state(1, 10), 12.1)] == [SettledBy.QUIET]


def test_a_change_puts_the_look_off_and_a_creation_does_not_bring_it_forward(judge: Judge, stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    found(judge, "seg0.ts", state(1, 10), 10)
    found(judge, "seg0.ts", state(2, 11), 11)
    assert judge.due(12.5) == []
    judge.expect("seg0.ts", 11)
    assert judge.due(12.5) == []
    assert judge.due(13.1) == ["seg0.ts"]


def test_an_old_file_that_was_linked_or_renamed_a_moment_ago_is_young(judge: Judge, stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    linked = FileIdentity(1, 1, 1, 10 * 10**9, 99 * 10**9)
    assert found(judge, "seg0.ts", linked, 100) == []
    assert found(judge, "seg0.ts", linked, 101) != []


def test_a_file_that_keeps_growing_is_never_finished(judge: Judge, stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    for tick in range(1000):
        at = 10 + tick * 1.9
        assert found(judge, "seg0.ts", state(tick, at), at) == []
    assert judge.tracked() == ["seg0.ts"]


def test_its_own_age_counts_only_where_times_can_be_trusted(stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    assert found(Judge(stream, names(), LOCAL), "seg0.ts", state(1, 10), 500) != []
    remote = Judge(stream, names(), REMOTE)
    assert found(remote, "seg0.ts", state(1, 10), 500) == []
    assert found(remote, "seg0.ts", state(1, 10), 500.9) == []
    assert found(remote, "seg0.ts", state(1, 10), 501) != []


def test_a_time_to_come_does_not_keep_a_file_waiting_for_ever(judge: Judge, stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    assert found(judge, "seg0.ts", state(1, 9999), 10) == []
    assert found(judge, "seg0.ts", state(1, 9999), 12) != []


def test_a_change_of_any_part_of_the_identity_starts_the_wait_again(stream: Stream) -> None:
    stream.listed_paths.add("seg0.ts")
    judge = Judge(stream, names(), REMOTE)
    for part in range(5):
        identity = FileIdentity(*(2 if part == index else 1 for index in range(5)))
        assert found(judge, "seg0.ts", identity, 10 + part * 0.9) == []


def test_an_unlisted_file_waits_for_a_later_one_of_its_rendition(judge: Judge) -> None:
    assert found(judge, "v0/seg7.ts", state(1, 10), 100) == []
    assert judge.next_due() is None
    assert found(judge, "v1/seg8.ts", state(1, 20), 100) == []
    assert found(judge, "v0/index.m3u8", state(1, 20), 100) != []
    assert judge.due(100) == []
    assert judge.finished("v0/seg8.ts", state(1, 20), SettledBy.CLOSED, 100) is not None
    assert judge.due(100) == ["v0/seg7.ts"]
    assert [item.path for item in found(judge, "v0/seg7.ts", state(1, 10), 100)] == ["v0/seg7.ts"]


def test_a_file_dated_in_the_future_vouches_for_nothing(judge: Judge) -> None:
    assert found(judge, "seg9.ts", state(1, 9999), 50) == []
    assert found(judge, "seg7.ts", state(1, 10), 100) == []
    assert judge.due(100) == ["seg9.ts"]


def test_files_found_together_vouch_for_one_another_in_any_order(judge: Judge) -> None:
    files = [(f"seg{number}.ts", state(1, number)) for number in (3, 1, 2)]
    assert [item.path for item in judge.found(files, now=100, mono=100)] == ["seg1.ts", "seg2.ts"]


def test_a_playlist_needs_no_voucher_and_less_quiet(judge: Judge) -> None:
    assert found(judge, "index.m3u8", state(1, 10), 10.4) == []
    assert found(judge, "index.m3u8", state(1, 10), 10.5) != []


def test_a_playlist_that_was_not_closed_is_watched_closely_for_a_minute(judge: Judge) -> None:
    assert judge.open_playlists(10) == []
    found(judge, "open.m3u8", state(1, 10), 11)
    judge.finished("closed.m3u8", state(1, 10), SettledBy.MOVED, 11)
    assert judge.open_playlists(70.9) == ["open.m3u8"]
    assert judge.open_playlists(71.1) == []
    found(judge, "open.m3u8", state(2, 80), 81)
    judge.finished("open.m3u8", state(3, 82), SettledBy.CLOSED, 82)
    assert judge.open_playlists(82) == []


def test_a_file_that_appeared_is_looked_at_unless_it_is_closed_before(judge: Judge) -> None:
    judge.expect("seg0.ts", 10)
    judge.expect("seg1.ts", 10)
    judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10.2)
    assert judge.due(10.5) == ["seg1.ts"]
    assert (
        found(judge, "seg1.ts", state(1, 10.4), 10.5) == []
    )  # the wait counts from what was seen, not from its creation
    assert judge.next_due() == pytest.approx(12.4 + SLACK_S)


def test_what_was_released_is_handed_over_again_as_it_was(judge: Judge, stream: Stream) -> None:
    first = judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10)
    assert judge.release(["seg0.ts"]) == ["seg0.ts"]
    assert found(judge, "seg0.ts", state(1, 10), 10.1) == [first]
    assert judge.release(["seg0.ts"]) == ["seg0.ts"]
    assert found(judge, "seg0.ts", state(2, 10.2), 10.3) == []  # other bytes: nobody called them finished
    stream.taken["seg1.ts"] = state(1, 1)
    assert judge.release(["seg1.ts", "seg2.ts"]) == ["seg2.ts"]


def test_what_is_known_is_forgotten_here(judge: Judge, stream: Stream) -> None:
    judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10)
    assert judge.tracked() == ["seg0.ts"]
    stream.taken["seg0.ts"] = state(1, 10)
    assert found(judge, "seg0.ts", state(1, 10), 100) == []
    assert judge.tracked() == []


def test_what_is_gone_is_forgotten_and_may_come_back(judge: Judge) -> None:
    assert judge.forget("seg0.ts") is False
    first = judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10)
    assert judge.forget("seg0.ts") is True
    assert judge.finished("seg0.ts", state(1, 10), SettledBy.CLOSED, 10) == first


def test_last_due_covers_the_young_and_not_those_without_a_voucher(judge: Judge, stream: Stream) -> None:
    assert judge.last_due() is None
    stream.listed_paths.add("young.ts")
    found(judge, "old.ts", state(1, 10), 100)
    found(judge, "young.ts", state(1, 99), 100)
    found(judge, "index.m3u8", state(1, 99.9), 100)
    assert judge.last_due() == pytest.approx(101 + SLACK_S)


class Settling(RuleBasedStateMachine):
    """A writer, a clock and a watcher that sees only some of what happens.

    A file is written by appending and then closed. Whatever the order: without an event only states that were left alone for
    the whole quiet time, and vouched for, are settled; each state is handed over once; and at the end, when all is still and
    listed, the last state of every file has been handed over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream()
        self.judge = Judge(self.stream, names(), LOCAL)
        self.at = 1000.0
        self.files: dict[str, FileIdentity] = {}
        self.settled: list[Settled] = []

    paths = st.sampled_from(["a1.ts", "a2.ts", "b1.ts", "index.m3u8"])

    @rule(path=paths)
    def write(self, path: str) -> None:
        self.files[path] = state(self.files[path].size + 1 if path in self.files else 1, self.at)

    @rule(path=paths)
    def close(self, path: str) -> None:
        if path in self.files:
            self._hand(self.judge.finished(path, self.files[path], SettledBy.CLOSED, self.at))

    @rule(path=paths)
    def appear(self, path: str) -> None:
        self.judge.expect(path, self.at)

    @rule(path=paths)
    def be_listed(self, path: str) -> None:
        self.stream.listed_paths.add(path)
        self._look(self.judge.release([path]))

    @rule(path=paths)
    def delete(self, path: str) -> None:
        self.files.pop(path, None)
        self.judge.forget(path)

    @rule()
    def take(self) -> None:
        for item in self.settled:
            self.stream.taken[item.path] = item.identity

    @rule(seconds=st.sampled_from([0.01, 0.4, 0.6, 1.0, 2.5]))
    def wait(self, seconds: float) -> None:
        self.at += seconds
        self._look(self.judge.due(self.at))

    @rule()
    def scan(self) -> None:
        self._look(list(self.files))

    @invariant()
    def memory_is_bounded_by_the_files(self) -> None:
        assert len(self.judge.tracked()) <= 4

    def teardown(self) -> None:
        self.stream.listed_paths |= set(self.files)
        for _ in range(2):
            self._look(list(self.files))
            self.at += 3
        last = {item.path: item.identity for item in self.settled}
        known = {path: self.stream.taken.get(path) for path in self.files}
        assert all(identity in {last.get(path), known[path]} for path, identity in self.files.items())

    def _look(self, paths: list[str]) -> None:
        there = [(path, self.files[path]) for path in paths if path in self.files]
        for path in set(paths) - set(self.files):
            self.judge.forget(path)
        for item in self.judge.found(there, now=self.at, mono=self.at):
            if item.by is SettledBy.QUIET:
                quiet_s = self.at - item.identity.mtime_ns / 1e9
                assert quiet_s >= (0.5 if item.path.endswith(".m3u8") else 2.0) - 1e-6
            self._hand(item)

    def _hand(self, item: Settled | None) -> None:
        if item is not None:
            self.settled.append(item)


TestSettling = Settling.TestCase
TestSettling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

"""SIGKILL, and then the next start: the same session goes on, nothing is lost, nothing is done twice without need."""

import random
import time
from collections.abc import Callable, Sequence
from itertools import groupby

import pytest

from tests.support.checker import Checker
from tests.support.daemon import Daemon, Event, until
from tests.support.judges import ended, root_of
from tests.support.site import Site, takes
from tests.support.transcoder import SMALL, Ffmpeg
from tests.support.writer import Running, Writer

Moment = Callable[[Daemon], object]


def event(name: str, count: int = 1) -> Moment:
    """The moment at which a life tells of something for the `count`-th time, or its session has ended without it."""
    return lambda life: until(lambda: len(life.of(name)) >= count or life.of("session.ended"), name)


MOMENTS: dict[str, Sequence[Moment]] = {
    "as its session begins": [event("session.started")] * 2,
    "while it takes its first files": [event("file.taken", 2)] * 3,
    "after some files": [event("file.taken", 10)] * 2,
    "as it announces a root": [event("root.published")] * 2,
    "after a second root": [event("root.published", 2)] * 2,
    "while it starts": [event("watch.started")] * 3,
    "as its session ends": [event("session.ending")],
    "after its session ended": [event("session.ended")],
}
STEPS, EVERY_S = 30, 0.2
PAIR = ("a", "b")
LAST_S = 60.0


def numbered(events: Sequence[Event]) -> list[tuple[int, str]]:
    """The publications in order; one that was announced again before the next is the same one."""
    return [key for key, _ in groupby((one["seq"], one["root"]) for one in events)]


def look_at_what_is_left(site: Site, last: Daemon, expected_root: str) -> None:
    """What must be the same as if nothing had happened; `last` runs and has announced the final root."""
    final = site.published()[-1]
    assert final["final"]
    assert final["root"] == expected_root
    assert len({one["session"] for daemon in site.daemons for one in daemon.of("root.published", "file.taken")}) == 1

    roots = numbered(site.published())
    assert [seq for seq, _ in roots] == [*range(1, len(roots) + 1)]
    assert numbered(site.announced()) == roots
    with Checker(last.ready(), site.hls) as checker:
        for told in {one["root"]: one for one in site.published()}.values():
            checker.check(told["root"], told["entry"])
        assert checker.report.misses == []

    assert {key: count for key, count in takes(site.daemons).items() if count > 1} == {}
    assert [trouble for life in site.daemons for trouble in life.troubles()] == []
    assert last.stop() == 0
    assert site.spooled() == []
    assert site.journal_faults() == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_daemon_that_is_killed_again_and_again(site: Site, moment: str) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR)
    with Running(writer, EVERY_S, STEPS, Writer.end) as running:
        for awaited in MOMENTS[moment]:
            if running.over:  # on a slow machine the stream may be
                break
            life = site.daemon()
            awaited(life)
            life.kill()
        last = site.daemon()
        running.join()
        if not any(one["final"] for one in site.published()):
            last.wait("root.published", LAST_S, final=True)
        last.ready()
    look_at_what_is_left(site, last, root_of(writer.files(endlist=True)))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_daemon_that_is_killed_at_any_moment(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    site.configure()
    writer = Writer(site.hls, PAIR)
    with Running(writer, EVERY_S, STEPS, Writer.end) as running:
        while not running.over:
            life = site.daemon()
            time.sleep(chance.uniform(0.5, 2.5))
            life.kill()
        last = site.daemon()
        if not any(one["final"] for one in site.published()):
            last.wait("root.published", LAST_S, final=True)
        last.ready()
    look_at_what_is_left(site, last, root_of(writer.files(endlist=True)))


def test_what_was_written_while_no_daemon_ran(site: Site) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(3)
    first = site.daemon()
    first.wait("root.published")
    first.kill()
    writer.step(20).end()
    last = site.daemon()
    last.wait("root.published", final=True)
    look_at_what_is_left(site, last, root_of(writer.files(endlist=True)))


def test_a_window_that_slides_while_the_daemon_is_killed(site: Site) -> None:
    site.configure(retention="window")
    writer = Writer(site.hls, PAIR, window=4, keep=12)
    with Running(writer, EVERY_S, 40, Writer.end) as running:
        for _ in range(3):
            life = site.daemon()
            life.wait("root.published", count=2)
            life.kill()
        last = site.daemon()
        running.join()
        last.wait("root.published", LAST_S, final=True)
    listed = {f"{name}/{writer.segment_name(number)}" for name in PAIR for number in range(36, 40)}
    files = {path: data for path, data in site.files().items() if path in listed or path.endswith(".m3u8")}
    look_at_what_is_left(site, last, root_of(files))


@pytest.mark.ffmpeg
def test_a_real_stream_goes_on_after_each_kill(site: Site) -> None:
    site.configure(publish_interval="1s", settle="2s")
    with Ffmpeg(site.hls, 120, SMALL[:2], speed=1.5) as ffmpeg:
        for _ in range(2):
            life = site.daemon()
            life.wait("root.published", count=2)
            life.kill()
        last = site.daemon()
        last.wait("root.published")
        ffmpeg.stop()
        last.wait("root.published", final=True)
    look_at_what_is_left(site, last, root_of(ended(site.files())))

"""A power cut at any instant: whatever was not synced is gone, and nothing that was reported is."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hlspub.journal.reader import JournalReader
from tests.powercut.disk import Disk, Forgetting, Torn
from tests.powercut.run import Copy, Cut, Recorded
from tests.powercut.tape import Call, is_whole, moments, recording
from tests.support.daemon import until
from tests.support.judges import root_of
from tests.support.site import Site
from tests.support.writer import Running, Writer

pytestmark = pytest.mark.strace

SEGMENTS = 14
EVERY_S = 0.12


def recorded(root: Path, *, killed: bool) -> Recorded:
    """A stream of two renditions to its end, in one life of the daemon, or in two of which the first was killed."""
    site = Site(root).configure()
    run = Recorded(site)
    try:
        with Running(Writer(site.hls, ("a", "b"), size=3000), EVERY_S, SEGMENTS, Writer.end):
            life = run.life()
            life.wait("root.published", count=2)
            if killed:
                life.kill()
                life = run.life()
        life.wait("session.ended")
        assert life.stop() == 0
        run.over()
    finally:
        site.close()
    assert [trouble for life in site.daemons for trouble in life.troubles()] == []
    return run


@pytest.fixture(scope="module")
def one_life(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recorded(tmp_path_factory.mktemp("one"), killed=False)


def test_nothing_that_was_reported_is_lost(one_life: Recorded, tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    cuts = 0
    for cut in one_life.cuts():
        assert cut.faults(Forgetting(), copy) == []
        cuts += 1
    taken = {event["path"] for event in cut.reported() if event["event"] == "file.taken"}
    assert len(taken) >= 2 * SEGMENTS
    assert cuts > 3 * SEGMENTS


def test_nor_where_chance_tears_what_was_not_synced(
    one_life: Recorded, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(request.config.getoption("randomly_seed", 0))
    copy = Copy(tmp_path)
    for cut in one_life.cuts():
        if chance.random() < 1 / 4:
            assert cut.faults(Torn(chance), copy) == []


UNSYNCED: dict[str, Callable[[Path], bool]] = {
    "CARs": lambda path: path.suffix == ".car",
    "the folders of CARs": lambda path: len(path.name) == 2,
    "the stores' folders": lambda path: path.name in ("spool", "local"),
    "the data directory": lambda path: path.name == "data",
    "the folder it lies in": lambda path: (path / "data").is_dir(),
    "the journal's log": lambda path: path.name.endswith("-wal"),
    "publications": lambda path: path.suffix == ".jsonl",
}


@pytest.mark.parametrize("what", UNSYNCED)
def test_each_sync_is_needed(one_life: Recorded, tmp_path: Path, what: str) -> None:
    """Without it something is lost, so the tests above would see it."""

    def counts(call: Call) -> bool:
        return call.path is None or not UNSYNCED[what](call.path)

    copy = Copy(tmp_path)
    after = "root.published" if what == "publications" else "file.taken"  # nothing can be missing before
    cuts = (cut for cut in one_life.cuts(counts) if any(event["event"] == after for event in cut.reported()))
    assert any(cut.faults(Forgetting(), copy) for cut in cuts)


def goes_on(cut: Cut, copy: Copy, hls: Path, root: Path) -> str:
    """The final root after a start on what the cut left, with the transcoder's directory as it is by now."""
    copy.become(cut.disk.after(Forgetting()))
    site = Site(root).configure(path=str(hls))
    if (copy.place / "data").is_dir():
        (copy.place / "data").rename(site.data)
    try:
        life = site.daemon()
        life.ready()
        until(lambda: is_over(site), "the session ends")
        assert life.stop() == 0
        assert life.troubles() == []
        assert site.journal_faults() == []
        return site.announced()[-1]["root"]
    finally:
        site.close()


def is_over(site: Site) -> bool:
    if not (site.data / "publications.jsonl").exists():
        return False
    with JournalReader(site.data / "journal.sqlite") as journal:
        return [session.state for session in journal.sessions("main")] == ["ended"]


def chosen(run: Recorded, count: int, chance: random.Random) -> Iterator[tuple[int, Cut]]:
    """`count` of a run's cuts."""
    numbers = set(chance.sample(range(sum(1 for _ in run.cuts())), count))
    yield from ((number, cut) for number, cut in enumerate(run.cuts()) if number in numbers)


@pytest.mark.parametrize("starts", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_the_next_start_comes_to_the_same_root(
    one_life: Recorded, tmp_path: Path, request: pytest.FixtureRequest, starts: int
) -> None:
    hls = one_life.site.hls
    expected = root_of(one_life.site.files())
    for number, cut in chosen(one_life, starts, random.Random(request.config.getoption("randomly_seed", 0))):
        (place := tmp_path / str(number)).mkdir()
        assert goes_on(cut, Copy(tmp_path / f"{number}.cut"), hls, place) == expected


@pytest.mark.slow
def test_a_power_cut_after_a_kill(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What the killed life left to the kernel and had not synced, the next life does not build on."""
    (tmp_path / "run").mkdir()
    run = recorded(tmp_path / "run", killed=True)
    chance = random.Random(request.config.getoption("randomly_seed", 0))
    lost, torn = Copy(tmp_path / "lost"), Copy(tmp_path / "torn")
    for cut in run.cuts():
        assert cut.faults(Forgetting(), lost) == []
        assert cut.faults(Torn(chance), torn) == []


def test_a_new_key_survives_a_power_cut(tmp_path: Path) -> None:
    site, tape = Site(tmp_path).configure(), tmp_path / "tape"
    command = [*recording(tape), sys.executable, "-m", "hlspub", "keys", "new", "live", "--config", str(site.config)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    until(lambda: is_whole(tape), "the tape is whole")
    disk = Disk(tmp_path)
    with tape.open(encoding="ascii") as lines:
        for moment in moments(lines):
            disk.play(moment)
    key = next((site.data / "keys").iterdir())
    assert disk.after(Forgetting())[str(key.relative_to(tmp_path))] == key.read_bytes()

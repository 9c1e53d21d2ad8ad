"""The journal is lost, damaged or old: `hlspub recover`, and then the next start goes on where the last root was."""

import json
import random
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hlspub.errors import ExitCode
from hlspub.spool.store import CarStore
from tests.support.checker import Checker
from tests.support.daemon import Daemon, Event, until
from tests.support.judges import ended, recording, root_of
from tests.support.site import Site
from tests.support.writer import Running, Writer

PAIR = ("a", "b")
LAST_S = 60.0


def lose(site: Site) -> None:
    for path in site.data.glob("journal.sqlite*"):
        path.unlink()


def recover(site: Site, *options: str, code: int = ExitCode.OK) -> dict[str, Any]:
    done = site.hlspub("recover", "--json", *options, timeout_s=LAST_S)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else {}


def refused(site: Site) -> str:
    """A start that is refused, and what it says."""
    life = site.daemon()
    assert life.exit_code() == ExitCode.CONFIG
    said = life.text()
    assert "`hlspub recover`" in said
    return said


def root(site: Site, files: Mapping[str, bytes]) -> Event:
    """Wait until the root of exactly these files is announced."""
    wanted = root_of(files)
    return until(lambda: next((one for one in site.published() if one["root"] == wanted), None), "a root of everything")


def look_at_what_is_left(site: Site, last: Daemon) -> None:
    """No number was used twice, nothing was taken back, everything announced plays."""
    lines = [(one["seq"], one["root"]) for one in site.announced()]
    assert [seq for seq, _ in lines] == [*range(1, len(lines) + 1)]
    assert {(one["seq"], one["root"]) for one in site.published()} <= set(lines)
    with Checker(last.ready(), site.hls) as checker:
        for told in {one["root"]: one for one in site.published()}.values():
            checker.check(told["root"], told["entry"])
        assert checker.report.misses == []
    assert [trouble for life in site.daemons for trouble in life.troubles() if trouble["event"] != "text"] == []
    assert last.stop() == 0
    assert site.spooled() == []
    assert site.journal_faults() == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_journal_that_is_lost_at_any_moment(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    site.configure()
    writer = Writer(site.hls, PAIR)
    with Running(writer, 0.2, 30, Writer.end) as running:
        while not running.over:
            life = site.daemon()
            time.sleep(chance.uniform(1.0, 3.0))
            life.kill()
            lose(site)
            if (site.data / "local").is_dir() and next(CarStore(site.data / "local").keys(), None):
                refused(site)
                assert recover(site)["incomplete"] == []
        last = site.daemon()
        if not any(one["final"] for one in site.published()):
            last.wait("root.published", LAST_S, final=True)
        last.ready()
    assert site.published()[-1]["root"] == root_of(writer.files(endlist=True))
    look_at_what_is_left(site, last)


def test_an_archive_whose_segments_are_gone_from_the_directory(site: Site) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR, window=4, keep=1)
    first = site.daemon()
    first.ready()
    for _ in range(8):
        writer.step()
        before = root(site, writer.files(endlist=False))
    first.kill()
    lose(site)
    answer = recover(site)
    assert (answer["streams"], answer["sessions"], answer["files"]) == (1, 1, 1 + 2 * (1 + 8))
    last = site.daemon()
    last.ready()
    assert site.published()[-1] == before, "nothing is announced again"
    assert last.of("tree.rebuilt") == []
    writer.step(2).end()
    final = last.wait("root.published", final=True)
    recordings = {f"{name}/index.m3u8": recording(writer) for name in PAIR}
    assert final["root"] == root_of(writer.files(endlist=True) | recordings)
    assert final["session"] == before["session"]
    look_at_what_is_left(site, last)


def test_a_session_that_has_ended_stays_ended(site: Site) -> None:
    """Its playlists were given an EXT-X-ENDLIST that the directory's files have not."""
    site.configure()
    writer = Writer(site.hls, PAIR).step(3)
    first = site.daemon()
    root(site, writer.files(endlist=False))
    first.send(signal.SIGUSR1)
    final = first.wait("root.published", final=True)
    first.wait("session.ended")
    first.stop()
    lose(site)
    recover(site)
    last = site.daemon()
    last.ready()
    last.wait("watch.scan_finished", count=4)
    assert site.published()[-1] == final
    (stream,) = json.loads(site.hlspub("status", "--json").stdout)["streams"]
    assert (stream["state"], stream["root"], stream["seq"], stream["final"]) == (
        "ended",
        final["root"],
        final["seq"],
        True,
    )
    writer.step()  # what comes now is the next session's
    assert last.wait("root.published")["session"] != final["session"]
    look_at_what_is_left(site, last)


def broken_car(site: Site, data: bytes) -> Path:
    """Turn a bit of the CAR that holds these bytes."""
    store = CarStore(site.data / "local")
    path = next(path for path in map(store.path, store.keys()) if data in path.read_bytes())
    kept = bytearray(path.read_bytes())
    kept[-1] ^= 1
    path.write_bytes(kept)
    return path


@pytest.mark.parametrize("there", [True, False], ids=["still on disk", "nowhere else"])
def test_a_damaged_car_is_set_aside(site: Site, there: bool) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(4)
    first = site.daemon()
    root(site, writer.files(endlist=False))
    first.kill()
    car = broken_car(site, writer.segment("a", 1))
    if not there:
        (site.hls / "a" / writer.segment_name(1)).unlink()
    lose(site)
    answer = recover(site)
    assert [one["car"] for one in answer["broken"]] == [str(car)]
    assert not car.exists()
    assert car.with_name(car.name + ".damaged").exists()
    assert len(answer["incomplete"]) == (not there)
    last = site.daemon()
    last.ready()
    writer.step().end()
    final = last.wait("root.published", LAST_S, final=True)
    with Checker(last.ready()) as checker:
        checker.check(final["root"], final["entry"])
        assert checker.report.misses == []
    if there:
        assert final["root"] == root_of(writer.files(endlist=True))
        look_at_what_is_left(site, last)
    else:
        assert [lost["path"] for lost in last.of("segment.lost")] == ["a/segment_00001.ts"]


def test_a_torn_line_and_a_damaged_journal(site: Site) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(4)
    first = site.daemon()
    before = root(site, writer.files(endlist=False))
    first.stop()  # so that no log beside the journal has the pages that are damaged here
    with (site.data / "publications.jsonl").open("ab") as file:
        file.write(b'{"stream": "main", "session": "2026')
    journal = site.data / "journal.sqlite"
    journal.write_bytes(b"\xff" * 4096 + journal.read_bytes()[4096:])
    assert "damaged" in refused(site)
    answer = recover(site)
    assert answer["torn_lines"] == [len(site_lines(site))]
    kept = Path(answer["kept_as"])
    assert kept.name.startswith("journal.sqlite.damaged-2")
    assert kept.read_bytes().startswith(b"\xff")
    last = site.daemon()
    last.ready()
    writer.end()
    final = last.wait("root.published", final=True)
    assert final["root"] == root_of(ended(writer.files(endlist=False)))
    assert final["seq"] > before["seq"]


def site_lines(site: Site) -> list[bytes]:
    return (site.data / "publications.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("blank", [False, True], ids=["from a backup", "empty"])
def test_a_journal_that_knows_less_than_was_published(site: Site, blank: bool) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(2)
    first = site.daemon()
    root(site, writer.files(endlist=False))
    first.stop()
    backup = site.root / "backup.sqlite"
    shutil.copy(site.data / "journal.sqlite", backup)
    second = site.daemon()
    for _ in range(2):
        before = root(site, writer.step().files(endlist=False))
    second.kill()
    lose(site)
    if blank:
        (site.data / "journal.sqlite").touch()
    else:
        shutil.copy(backup, site.data / "journal.sqlite")
    said = refused(site)
    assert ("there is no journal" if blank else f"number {before['seq']} was announced") in said
    recover(site)
    last = site.daemon()
    last.ready()
    root(site, writer.step().files(endlist=False))
    look_at_what_is_left(site, last)


def test_a_whole_journal_is_left_alone(site: Site) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(2)
    first = site.daemon()
    before = root(site, writer.files(endlist=False))
    first.stop()
    bytes_before = (site.data / "journal.sqlite").read_bytes()
    answer = recover(site)
    assert (answer["journal"], answer["streams"], answer["sessions"], answer["files"]) == ("whole", 1, 1, 7)
    assert (site.data / "journal.sqlite").read_bytes() == bytes_before
    answer = recover(site, "--force")
    assert (answer["journal"], answer["streams"], answer["sessions"], answer["files"]) == ("rebuilt", 1, 1, 7)
    assert Path(answer["kept_as"]).read_bytes() == bytes_before
    last = site.daemon()
    last.ready()
    assert site.published()[-1] == before
    look_at_what_is_left(site, last)


def test_a_recovery_that_is_cut_off_leaves_the_next_one_all(site: Site) -> None:
    site.configure()
    writer = Writer(site.hls, PAIR).step(2)
    first = site.daemon()
    root(site, writer.files(endlist=False))
    first.kill()
    lose(site)
    (site.data / "journal.sqlite-wal").write_bytes(b"of a journal that was moved aside")
    (site.data / "journal.sqlite.new").write_bytes(b"half of a new one")
    (site.data / "journal.sqlite.new-wal").write_bytes(b"and its log")
    refused(site)
    assert recover(site)["kept_as"] is None
    last = site.daemon()
    last.ready()
    root(site, writer.step().files(endlist=False))
    look_at_what_is_left(site, last)


def test_there_is_nothing_to_recover(site: Site) -> None:
    site.configure()
    assert "data" in site.hlspub("recover").stderr
    site.data.mkdir()
    done = site.hlspub("recover")
    assert done.returncode == ExitCode.NO_INPUT
    assert "there is no journal" in done.stderr

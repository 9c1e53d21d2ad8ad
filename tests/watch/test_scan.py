import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hlspub.watch.scan import BATCH, Batch, Depth, Scanner, State, is_decodable, look
from tests.watch.bench import names

NOW = 2e9  # long after any file here was written, so that nothing is hot


def scan(scanner: Scanner, root: Path, depth: Depth = Depth.WHOLE, *, start: str = "", now: float = NOW) -> Batch:
    """All batches of a scan as one."""
    total = Batch()
    for batch in scanner.scan(str(root), start, depth, now=now):
        total.found += batch.found
        total.vanished += batch.vanished
        total.skipped += batch.skipped
        total.files += batch.files
        total.directories += batch.directories
    return total


def paths(batch: Batch) -> list[str]:
    return sorted(path for path, _ in batch.found)


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(names())


def fill(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")


@contextmanager
def powerless() -> Iterator[None]:
    """Without root's power over permissions, if we have it."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that everybody can reach."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_everything_is_found_with_the_identity_that_stat_gives(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "index.m3u8", "a/seg0.ts", "a/b/seg1.ts", "ä ö/seg2.ts")
    batch = scan(scanner, tmp_path)
    assert paths(batch) == ["a/b/seg1.ts", "a/seg0.ts", "index.m3u8", "ä ö/seg2.ts"]
    assert (batch.files, batch.directories) == (4, 4)
    for path, identity in batch.found:
        status = (tmp_path / path).stat()
        assert (identity.inode, identity.size, identity.mtime_ns) == (status.st_ino, 1, status.st_mtime_ns)


@pytest.mark.parametrize("depth", [Depth.NAMES, Depth.STATS])
def test_only_what_is_new_or_changed_is_reported_by_a_regular_scan(
    scanner: Scanner, tmp_path: Path, depth: Depth
) -> None:
    fill(tmp_path, "seg0.ts", "seg1.ts", "index.m3u8")
    assert len(paths(scan(scanner, tmp_path, depth))) == 3
    assert paths(scan(scanner, tmp_path, depth)) == []
    fill(tmp_path, "seg2.ts")
    (tmp_path / "index.m3u8").write_bytes(b"longer")
    assert paths(scan(scanner, tmp_path, depth)) == ["index.m3u8", "seg2.ts"]
    assert len(paths(scan(scanner, tmp_path, Depth.WHOLE))) == 4


def test_a_scan_of_names_looks_at_what_changed_lately(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "seg0.ts")
    written_at = (tmp_path / "seg0.ts").stat().st_ctime
    scan(scanner, tmp_path, Depth.NAMES, now=written_at + 1)
    (tmp_path / "seg0.ts").write_bytes(b"longer")
    assert paths(scan(scanner, tmp_path, Depth.NAMES, now=written_at + 1000)) == ["seg0.ts"]
    (tmp_path / "seg0.ts").write_bytes(b"longer still")
    assert paths(scan(scanner, tmp_path, Depth.NAMES, now=written_at + 1000)) == []
    assert paths(scan(scanner, tmp_path, Depth.STATS, now=written_at + 1000)) == ["seg0.ts"]


def test_what_vanished_is_named_once(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "seg0.ts", "a/seg1.ts", "a/b/seg2.ts", "ab/seg3.ts")
    scan(scanner, tmp_path)
    (tmp_path / "seg0.ts").unlink()
    assert scan(scanner, tmp_path, Depth.NAMES).vanished == ["seg0.ts"]
    (tmp_path / "a").rename(tmp_path / ".gone")
    assert sorted(scan(scanner, tmp_path, Depth.NAMES).vanished) == ["a/b/seg2.ts", "a/seg1.ts"]
    assert scan(scanner, tmp_path).vanished == []
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert scan(scanner, tmp_path).vanished == ["ab/seg3.ts"]
    tmp_path.with_name("elsewhere").rename(tmp_path)


@pytest.mark.parametrize("depth", Depth)
def test_what_was_noted_between_two_scans_is_told_of_by_the_next(
    scanner: Scanner, tmp_path: Path, depth: Depth
) -> None:
    fill(tmp_path, "old.ts", "here.ts", "a/here.ts")
    scan(scanner, tmp_path)
    fill(tmp_path, "new.ts")
    for path in ("new.ts", "here.ts", "came_and_went.ts", "a/came_and_went.ts", "b/c/came_and_went.ts"):
        scanner.note(path)
        scanner.note(path)  # as for a playlist, at each of its versions
    batch = scan(scanner, tmp_path, depth)
    assert paths(batch).count("new.ts") == 1
    assert sorted(batch.vanished) == ["a/came_and_went.ts", "b/c/came_and_went.ts", "came_and_went.ts"]
    assert scan(scanner, tmp_path, depth).vanished == []


def test_a_path_is_one_string_for_everybody(scanner: Scanner, tmp_path: Path) -> None:
    """As many bytes a file as its path is long hang on it, for as long as the stream lasts (P6)."""
    fill(tmp_path, "scanned/seen first by a scan.ts", "noted/seen first by an event.ts")
    noted = "noted/seen first by an event.ts"
    scanner.note(noted)
    found = {path: path for path, _ in scan(scanner, tmp_path).found}
    (tmp_path / noted).unlink()
    (tmp_path / "scanned/seen first by a scan.ts").unlink()
    vanished = {path: path for path in scan(scanner, tmp_path).vanished}
    assert vanished[noted] is noted
    assert vanished["scanned/seen first by a scan.ts"] is found["scanned/seen first by a scan.ts"]


def test_a_file_in_place_of_a_directory_is_one_gone_and_one_found(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "seg0.ts/inner.ts")
    scan(scanner, tmp_path)
    (tmp_path / "seg0.ts" / "inner.ts").unlink()
    (tmp_path / "seg0.ts").rmdir()
    fill(tmp_path, "seg0.ts")
    batch = scan(scanner, tmp_path)
    assert (paths(batch), batch.vanished) == (["seg0.ts"], ["seg0.ts/inner.ts"])


def test_one_directory_can_be_scanned_alone(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "seg0.ts", "a/seg1.ts", "ab/seg2.ts", "a/b/seg3.ts")
    scan(scanner, tmp_path)
    (tmp_path / "a" / "seg1.ts").unlink()
    (tmp_path / "ab" / "seg2.ts").unlink()
    batch = scan(scanner, tmp_path, start="a")
    assert (paths(batch), batch.vanished, batch.directories) == (["a/b/seg3.ts"], ["a/seg1.ts"], 2)
    assert scan(scanner, tmp_path).vanished == ["ab/seg2.ts"]


def test_temporary_names_are_neither_taken_nor_entered(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "seg0.ts.tmp", ".hidden.ts", ".snapshot/seg1.ts", "next.tmp/seg2.ts", "seg3.ts")
    assert paths(scan(scanner, tmp_path)) == ["seg3.ts"]


def test_only_regular_files_and_links_to_them_count(scanner: Scanner, tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(root, "real/seg0.ts")
    fill(tmp_path, "outside.ts", "rootlike/seg.ts")
    os.mkfifo(root / "fifo.ts")
    links = {
        "inside.ts": "real/seg0.ts",
        "twice.ts": "inside.ts",
        "outside.ts": "../outside.ts",
        "loop.ts": "loop.ts",
        "dangling.ts": "nowhere.ts",
        "directory.ts": "real",
        "up": "..",
        "fifo-link.ts": "fifo.ts",
        "beside.ts": str(tmp_path / "rootlike" / "seg.ts"),
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    batch = scan(scanner, root)
    assert paths(batch) == ["inside.ts", "real/seg0.ts", "twice.ts"]
    assert len({identity for _, identity in batch.found}) == 1
    refused = {"outside.ts", "loop.ts", "directory.ts", "up", "fifo-link.ts", "beside.ts"}
    assert {notice.path for notice in batch.skipped} == refused
    looks = {
        seen.path: seen.state for seen in look(str(root), [*links, "real/seg0.ts", "fifo.ts", "up/outside.ts", "x/y"])
    }
    assert {path for path, state in looks.items() if state is State.LINK} == {"inside.ts", "twice.ts"}
    assert {path for path, state in looks.items() if state is State.FILE} == {"real/seg0.ts"}
    assert {path for path, state in looks.items() if state is State.GONE} == {"dangling.ts", "x/y"}
    assert scan(scanner, root).skipped == []  # said once


def test_a_link_is_looked_at_in_every_scan(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, "run1.ts", "run2.ts")
    (tmp_path / "now.ts").symlink_to("run1.ts")
    scan(scanner, tmp_path)
    (tmp_path / "now.ts").unlink()
    (tmp_path / "now.ts").symlink_to("run2.ts")
    assert paths(scan(scanner, tmp_path, Depth.NAMES)) == ["now.ts"]


def test_a_name_that_is_not_utf8_is_said_in_printable_form(scanner: Scanner, tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/seg\xff.ts", os.O_CREAT | os.O_WRONLY))
    (batch,) = scanner.scan(str(tmp_path), "", Depth.WHOLE, now=NOW)
    assert batch.found == []
    assert [(notice.path, notice.reason) for notice in batch.skipped] == [("seg\\udcff.ts", "the name is not UTF-8")]
    (again,) = scanner.scan(str(tmp_path), "", Depth.NAMES, now=NOW)
    assert again.skipped == []
    assert is_decodable("ä/\U0001f3a5.ts")


def test_what_was_put_right_and_goes_wrong_again_is_said_again(scanner: Scanner, tmp_path: Path) -> None:
    for target, said in (("..", 1), ("..", 0), (None, 0), ("..", 1)):
        (tmp_path / "link.ts").unlink(missing_ok=True)
        if target is not None:
            (tmp_path / "link.ts").symlink_to(target)
        assert len(scan(scanner, tmp_path).skipped) == said


def test_a_directory_that_may_not_be_read_is_said_and_its_files_stay(scanner: Scanner, open_path: Path) -> None:
    fill(open_path, "a/seg0.ts", "a/b/seg1.ts", "seg2.ts")
    scan(scanner, open_path)
    (open_path / "a").chmod(0)
    with powerless():
        batch = scan(scanner, open_path)
        again = scan(scanner, open_path)
    (open_path / "a").chmod(0o700)
    assert paths(batch) == ["seg2.ts"]
    assert batch.vanished == []
    said = [(notice.path, notice.reason) for notice in batch.skipped]
    assert said == [("a", "the directory cannot be read: Permission denied")]
    assert again.skipped == []
    assert scan(scanner, open_path).vanished == []


def test_a_file_that_may_not_be_looked_at_is_said_and_stays(scanner: Scanner, open_path: Path) -> None:
    fill(open_path, "a/seg0.ts")
    scan(scanner, open_path)
    (open_path / "a").chmod(0o444)  # its names can be read, its files not
    with powerless():
        batch = scan(scanner, open_path)
        assert [seen.state for seen in look(str(open_path), ["a/seg0.ts"])] == [State.REFUSED]
    (open_path / "a").chmod(0o700)
    assert batch.vanished == []
    said = [(notice.path, notice.reason) for notice in batch.skipped]
    assert said == [("a/seg0.ts", "the file cannot be looked at: Permission denied")]


def test_a_large_directory_comes_in_batches(scanner: Scanner, tmp_path: Path) -> None:
    fill(tmp_path, *(f"seg{number}.ts" for number in range(2 * BATCH + 10)))
    batches = list(scanner.scan(str(tmp_path), "", Depth.WHOLE, now=NOW))
    assert [len(batch.found) for batch in batches] == [BATCH - 1, BATCH, 11]

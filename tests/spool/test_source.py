"""The checks of P1, with a transcoder that acts while its file is being read."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hlspub.errors import DataError, FileChanged, FileGone
from hlspub.spool.source import read_settled, settled
from tests.disks import seen
from tests.support.powerless import powerless


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "seg.m4s"
    path.write_bytes(b"0123456789" * 100)
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    return path


def read(handle: int) -> bytes:
    return os.read(handle, 1 << 20)


def test_a_settled_file_is_read_as_it_is(file: Path) -> None:
    with settled(file, seen(file)) as handle:
        assert read(handle) == file.read_bytes()
    assert read_settled(file, seen(file), 1000) == file.read_bytes()


def test_a_link_to_a_file_is_that_file(file: Path) -> None:
    link = file.with_name("link.m4s")
    link.symlink_to(file)
    assert read_settled(link, seen(file), 1000) == file.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"x"),
        lambda path: path.write_bytes(path.read_bytes()),
        os.utime,
        lambda path: path.chmod(0o640),
        lambda path: path.with_name("new").replace(path) if path.with_name("new").write_bytes(b"n") else None,
    ],
    ids=["shorter", "the same bytes again", "touched", "another mode", "renamed over"],
)
def test_what_changed_before_has_to_settle_again(file: Path, change: Callable[[Path], object]) -> None:
    identity = seen(file)
    change(file)
    with pytest.raises(FileChanged, match=str(file)), settled(file, identity):
        pytest.fail("it was lent")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 10),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        os.utime,
        lambda path: path.chmod(0o640),
    ],
    ids=["truncated", "appended", "touched", "another mode"],
)
def test_what_changes_meanwhile_has_to_settle_again(file: Path, change: Callable[[Path], object]) -> None:
    with pytest.raises(FileChanged, match="while it was read"), settled(file, seen(file)):
        change(file)


def test_a_file_that_is_removed_while_it_is_read_is_taken(file: Path) -> None:
    whole = file.read_bytes()
    with settled(file, seen(file)) as handle:
        file.unlink()
        assert read(handle) == whole


def test_a_file_that_is_replaced_while_it_is_read_is_taken_as_it_was(file: Path) -> None:
    whole = file.read_bytes()
    with settled(file, seen(file)) as handle:
        newer = file.with_name("seg.m4s.tmp")
        newer.write_bytes(b"the next one of that name")
        newer.replace(file)
        assert read(handle) == whole


def test_a_file_that_is_changed_and_removed_while_it_is_read_is_not_taken(file: Path) -> None:
    def rewrite_and_remove() -> None:
        file.write_bytes(b"other bytes" * 91)
        file.unlink()

    with pytest.raises(FileChanged), settled(file, seen(file)):
        rewrite_and_remove()


def test_a_gone_file_is_gone(file: Path) -> None:
    identity = seen(file)
    file.unlink()
    with pytest.raises(FileGone, match=str(file)), settled(file, identity):
        pass
    with pytest.raises(FileGone), settled(file / "below", identity):
        pass


def test_what_is_no_file_is_named(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        things = {
            "a FIFO": tmp_path / "fifo",
            "a socket": tmp_path / "socket",
            "a directory": tmp_path,
            "a device": Path("/dev/null"),
        }
        for kind, path in things.items():
            with pytest.raises(DataError, match=f"{kind}, not a regular file"), settled(path, seen(file)):
                pass


def test_a_fifo_that_takes_the_files_place_does_not_block(file: Path, tmp_path: Path) -> None:
    """Between the first look and the opening anything may happen; opening must not wait for a writer."""
    os.mkfifo(tmp_path / "fifo")
    program = "import os, sys; from hlspub.spool import source; os.close(os.open(sys.argv[1], source._FLAGS))"
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "fifo")], cwd=Path(__file__).parents[2], timeout=20, check=True
    )


def test_links_in_circles(tmp_path: Path, file: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="circles"), settled(tmp_path / "a", seen(file)):
        pass


def test_a_playlist_may_be_as_long_as_the_limit(file: Path) -> None:
    assert len(read_settled(file, seen(file), 1000)) == 1000
    with pytest.raises(DataError, match="1000 bytes, more than the 999"):
        read_settled(file, seen(file), 999)


def test_the_directory_is_left_as_it_was(file: Path) -> None:
    """P7: no trace but the access time, which is the kernel's."""
    before = {path.name: (seen(path), path.stat().st_mode) for path in [file.parent, *file.parent.iterdir()]}
    read_settled(file, seen(file), 1000)
    assert {path.name: (seen(path), path.stat().st_mode) for path in [file.parent, *file.parent.iterdir()]} == before


_UNREADABLE = """
import sys
from pathlib import Path
from hlspub.errors import PermissionRefused
from hlspub.model import FileIdentity
from hlspub.spool.source import read_settled
try:
    read_settled(Path(sys.argv[1]), FileIdentity(1, 2, 3, 4, 5), 10)
except PermissionRefused as error:
    print(error, error.hint)
"""


def test_a_file_that_may_not_be_read_is_named(file: Path) -> None:
    file.chmod(0o200)
    answer = subprocess.run(
        [*powerless(), sys.executable, "-c", _UNREADABLE, str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(file) in answer.stdout
    assert "SupplementaryGroups" in answer.stdout

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hlspub.errors import AnotherInstance, ExitCode, InputError
from hlspub.journal.lock import FILE_NAME, InstanceLock

NOON = 1_795_521_600.0  # 2026-11-24T12:00:00Z
_HOLDER = """
import sys
from pathlib import Path
from hlspub.journal.lock import InstanceLock
with InstanceLock(Path(sys.argv[1]), 1795521600.0):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_one_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        with pytest.raises(AnotherInstance, match=f"pid {process.pid}, since 2026-11-24T12:00:00Z") as caught:
            InstanceLock(tmp_path, NOON)
        assert caught.value.exit_code == ExitCode.TEMPORARY
        assert str(tmp_path) in str(caught.value)
        assert "hlspub status" in caught.value.hint


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
        InstanceLock(tmp_path, NOON).release()


def test_two_in_one_process_are_two(tmp_path: Path) -> None:
    with InstanceLock(tmp_path, NOON), pytest.raises(AnotherInstance, match=f"pid {os.getpid()}"):
        InstanceLock(tmp_path, NOON)


def test_it_is_free_again_after_release(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path, NOON)
    lock.release()
    lock.release()
    with InstanceLock(tmp_path, NOON + 60):
        assert (tmp_path / FILE_NAME).read_text() == f"pid {os.getpid()}, since 2026-11-24T12:01:00Z\n"


def test_a_longer_line_of_an_earlier_holder_goes(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("pid 99999999999, since a long time ago, on another machine\n")
    with InstanceLock(tmp_path, NOON):
        assert (tmp_path / FILE_NAME).read_text() == f"pid {os.getpid()}, since 2026-11-24T12:00:00Z\n"


def test_there_must_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        InstanceLock(tmp_path / "nowhere", NOON)

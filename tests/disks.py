"""Disks for tests: the state of a file, and a file system that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hlspub.model import FileIdentity


def seen(path: Path) -> FileIdentity:
    """The state of a file, as the watcher sees it."""
    return FileIdentity.of(path.stat())


@contextmanager
def small_disk(place: Path, size: str = "2m") -> Iterator[Path]:
    """A file system of two megabytes, or of `size`, at `place`; skips the test where this user may not mount one."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this user may not mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)

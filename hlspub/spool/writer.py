"""The name of a data directory where several write to one place: random, made once, kept in the file `writer`.

A data directory that is copied keeps its name, so two daemons on two copies would both think that a stream is theirs; one that
is lost loses it, and its streams' heads with it, until a person removes them.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from hlspub.errors import StorageError
from hlspub.spool.disk import DISK, explained, make_folder, write_all

FILE_NAME = "writer"
_SIZE = 16  # bytes


def writer_of(data_dir: Path) -> str:
    """The data directory's name; made when it has none.

    Raises:
        PermissionRefused, StorageError: it can be neither read nor made.
    """
    path = data_dir / FILE_NAME
    with explained(f"naming {data_dir}"):
        make_folder(data_dir, mode=0o700)
        if not path.exists():
            _make(path)
        name = path.read_text("ascii", errors="replace").strip()
    if len(name) != 2 * _SIZE or not name.isalnum():
        raise StorageError(
            f"{path} does not hold a writer's name",
            hint="Remove it; heads that it moved in buckets have to be removed too.",
        )
    return name


def _make(path: Path) -> None:
    """Write it whole under another name, then link it: of two that do so at once the first one's stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=FILE_NAME)
    try:
        write_all(handle, secrets.token_hex(_SIZE).encode() + b"\n")
        DISK.sync_file(handle)
        with suppress(FileExistsError):
            os.link(name, path)
        DISK.sync_folder(path.parent)
    finally:
        os.close(handle)
        Path(name).unlink()

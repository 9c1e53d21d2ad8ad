"""A CAR of ours, read as a stranger's: what it holds, or why it is not what its name says.

Rule: the name of a CAR is its content. A file CAR is named by its root and holds every block that its blocks link to; a node
CAR is named by the digest of all its bytes. Every block is held to its CID. So a CAR that is answered for here is, to the
byte, one that intake or the publisher kept.
"""

import os
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from hlspub.errors import BlockError, CarError
from hlspub.ipld.block import BlockAt
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dag import links
from hlspub.model import Car, CarKind
from hlspub.spool.disk import explained

_HINT = "The disk may be failing, or someone changed the file."


def read_whole(path: Path, key: str) -> Car:
    """Read the CAR at `path` from end to end.

    Raises:
        CarError: it is damaged, or not the one that `key` names.
        PermissionRefused, StorageError: it cannot be read.
    """
    with explained(f"reading {path}"), path.open("rb") as file:
        try:
            return _read(file, key)
        except (CarError, BlockError) as why:
            raise CarError(f"{path}: {why}", hint=why.hint or _HINT) from why


def _read(file: BufferedReader, key: str) -> Car:
    reader = CarReader(file.read)
    if len(reader.roots) != 1:
        raise CarError(f"it names {len(reader.roots)} roots", hint=_HINT)
    root = reader.roots[0]
    kind = CarKind.FILE if str(root) == key else CarKind.NODES
    blocks: list[BlockAt] = []
    wanted = {root}
    for place, block in reader.placed():
        blocks.append(place)
        if kind is CarKind.FILE:
            wanted.update(links(block.cid, block.data))
    if kind is CarKind.FILE:
        missing = wanted.difference(place.cid for place in blocks)
        if missing:
            raise CarError(f"it lacks {len(missing)} blocks of its file", hint=_HINT)
    else:
        file.seek(0)
        named = Cid.of_digest(Codec.CAR, file_digest(file, "sha256").digest())
        if str(named) != key:
            raise CarError("its bytes are not those that its name is made of", hint=_HINT)
    return Car(key, kind, root, os.fstat(file.fileno()).st_size, tuple(blocks))

"""The judge of a campaign's roots: reads them out of the data directory, whether or not a daemon runs on it.

Rule: a root plays when every block under it is in a store, has the bytes of its CID, and every reference of every playlist in
it is in it. Bytes that were found right once are looked for again, not read again: a CAR is never changed in its place.
"""

import posixpath
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from hlspub.errors import InputError
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind
from hlspub.ipld.walk import read_file, stream, walk_tree
from hlspub.journal.reader import JournalReader
from hlspub.journal.values import BlockSpot
from hlspub.spool.store import CarStore
from tests.support.checker import references


class Lacking(AssertionError):  # noqa: N818 -- read as a sentence where it is raised
    """A block is in no store."""


@dataclass
class Walker:
    """Walks roots of the data directory `data`. One thread."""

    data: Path
    walked: int = 0
    _journal: JournalReader = field(init=False)
    _stores: tuple[CarStore, ...] = field(init=False)
    _sound: dict[Cid, bytes | None] = field(default_factory=dict)  # files; the text of playlists

    def __post_init__(self) -> None:
        self._journal = JournalReader(self.data / "journal.sqlite")
        self._stores = CarStore(self.data / "local"), CarStore(self.data / "spool")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def faults(self, root: Cid, entry: str) -> list[str]:
        """Everything for which this root does not play."""
        self.walked += 1
        try:
            tree = self._tree(root)
            texts = {path: self._check(path, cid) for path, cid in tree.items()}
        except Lacking as why:
            return [str(why)]
        found = [] if entry in tree else [f"there is no entry {entry}"]
        for path, text in texts.items():
            for reference in references(text.decode()) if text is not None else ():
                target = posixpath.normpath(
                    posixpath.join(posixpath.dirname(path), unquote(urlsplit(reference.uri).path))
                )
                if target not in tree:
                    found.append(f"{path} lists {target}, which is not there")
        return found

    def files(self, root: Cid) -> dict[str, bytes]:
        """Everything under a root, by path."""
        return {path: self._read(cid) for path, cid in self._tree(root).items()}

    def _tree(self, root: Cid) -> dict[str, Cid]:
        return {entry.path: entry.cid for entry in stream(walk_tree(root), self._block) if entry.kind is Kind.FILE}

    def _check(self, path: str, cid: Cid) -> bytes | None:
        """Whether the file is there, whole; the text of a playlist."""
        if cid in self._sound:
            if not any(store.has(spot.car_key) for spot in self._spots(cid) for store in self._stores):
                raise Lacking(f"the CAR with {path} ({cid}) is in no store")
            return self._sound[cid]
        data = self._read(cid)
        self._sound[cid] = data if path.endswith(".m3u8") else None
        return self._sound[cid]

    def _read(self, cid: Cid) -> bytes:
        return b"".join([bytes(part) for part in stream(read_file(cid), self._block)])

    def _spots(self, cid: Cid) -> list[BlockSpot]:
        return list(self._journal.find_block(cid))

    def _block(self, cid: Cid) -> bytes:
        for spot in self._journal.find_block(cid):
            for store in self._stores:
                with suppress(InputError):
                    data = store.read(spot.car_key, spot.offset, spot.length)
                    if Cid.of_data(cid.codec, data).digest != cid.digest:
                        raise Lacking(f"block {cid} has other bytes in {spot.car_key}")
                    return data
        raise Lacking(f"block {cid} is in no store")

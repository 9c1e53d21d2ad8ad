"""Records for tests: a stream called "main" and what happens to it, told shortly."""

from pathlib import Path

from hlspub.ipld.block import BlockAt
from hlspub.ipld.cid import Cid, Codec
from hlspub.model import Car, CarKind, FileIdentity, FileKind, Packed
from hlspub.records import (
    FileTaken,
    PlaylistTaken,
    Record,
    ReferenceOpened,
    RootAnnounced,
    RootMade,
    SessionStarted,
    StreamDeclared,
)

TARGETS = ("local", "kubo")


def cid(name: str) -> Cid:
    return Cid.of_data(Codec.RAW, name.encode())


def identity(size: int = 500, inode: int = 7) -> FileIdentity:
    return FileIdentity(2049, inode, size, 1_700_000_000_123_456_789, 1_700_000_000_223_456_789)


def file_car(name: str, size: int = 600) -> Car:
    """A file CAR of two blocks: a leaf, and a root behind it."""
    root = cid(name)
    return Car(str(root), CarKind.FILE, root, size, (BlockAt(cid(name + " leaf"), 99, 400), BlockAt(root, 536, 64)))


def node_car(name: str, size: int = 200) -> Car:
    root = cid(name)
    key = str(Cid.of_data(Codec.CAR, name.encode()))
    return Car(key, CarKind.NODES, root, size, (BlockAt(root, 95, 105),))


def packed(name: str, size: int = 500) -> Packed:
    car = file_car(name)
    return Packed(car.root, size, size + 64, car)


def started(session: int = 1, stream: str = "main", at: float = 100.0) -> list[Record]:
    return [
        StreamDeclared(stream, f"/srv/{stream}", at),
        SessionStarted(session, stream, f"20261124T100000Z-{session}", '{"profile":"unixfs-v1-2025"}', at),
    ]


def taken(  # noqa: PLR0917 -- told shortly
    path: str,
    version: int = 1,
    session: int = 1,
    content: str = "",
    at: float = 101.0,
    targets: tuple[str, ...] = TARGETS,
    *,
    kind: FileKind = FileKind.MEDIA,
    urgent: bool = False,
) -> FileTaken:
    name = content or f"{session}/{path}@{version}"
    return FileTaken(session, path, version, kind, packed(name), identity(), at, targets, urgent)


def playlist(path: str, version: int, *listed: str, session: int = 1, at: float = 102.0) -> list[Record]:
    """A media playlist whose listings begin at this version and mean version 1 of each path."""
    return [
        taken(path, version, session, at=at, kind=FileKind.PLAYLIST, urgent=True),
        PlaylistTaken(
            session,
            path,
            version,
            multivariant=False,
            media_sequence=0,
            last_sequence=len(listed),
            target_duration_s=2.0,
            endlist=False,
        ),
        *(ReferenceOpened(session, path, name, "segment", number, version, 1) for number, name in enumerate(listed)),
    ]


def root_made(
    number: int, *playlists: tuple[str, int], session: int = 1, final: bool = False, at: float = 110.0
) -> RootMade:
    name = f"root {session}/{number}"
    return RootMade(session, number, cid(name), 12_345, "master.m3u8", final, playlists, node_car(name), at, TARGETS)


def announced(number: int, seq: int, session: int = 1, at: float = 120.0) -> RootAnnounced:
    return RootAnnounced(session, number, seq, at, 1.5)


def damage(path: Path) -> None:
    """Overwrite every page behind the schema and the tables' first ones: it opens, and fails where rows are."""
    with path.open("r+b") as file:
        for page in range(50, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)

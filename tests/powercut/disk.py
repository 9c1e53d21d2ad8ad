"""A disk that forgets: what a power cut leaves of a folder, after what a tape says was done to it.

Theory. POSIX promises nothing about what was not synced: `fsync` of a file makes its bytes and its length durable, `fsync` of a
folder the names in it, and neither does the other's work. Everything since may be there, or not, or half: each write by itself,
each sector of it by itself, each name by itself. Two ways of forgetting are drawn from that: `Forgetting`, where all that was
not synced is lost, and `Torn`, where chance decides about each part. A disk that lies about what it has synced is not meant.

Rule: a sync counts from where it was over, and for what had been done by where it began. The model holds itself against the
real folder whenever the program is not running (`ends_life`), so a call that it takes wrongly cannot hide.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.powercut.tape import Call, Moment

SYNCS = ("fsync", "fdatasync")
SECTOR = 512  # bytes that a disk writes whole
_SHARED_MEMORY = "-shm"  # SQLite's index into its log, made anew by whoever opens the database first
_NOT_MODELLED = """
    creat truncate fallocate symlink symlinkat sync syncfs sync_file_range sendfile copy_file_range splice msync
"""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place; without bytes: the file's length becomes `offset`."""

    offset: int
    data: bytes | None


@dataclass(slots=True, eq=False)
class File:
    """A file, whatever its names: what programs see, what is durable, and the writes in between, in their order."""

    seen: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    since: list[Write] = field(default_factory=list[Write])
    written: int = 0  # writes ever
    synced: int = 0  # of them, the durable ones

    def write(self, write: Write) -> None:
        _apply(self.seen, write)
        self.since.append(write)
        self.written += 1

    def begin_sync(self) -> "tuple[int, bytes]":
        return self.written, bytes(self.seen)

    def end_sync(self, begun: "tuple[int, bytes]") -> None:
        count, data = begun
        if count > self.synced:
            del self.since[: count - self.synced]
            self.synced, self.durable = count, data


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its names as programs see them, the durable ones, and what each name has meant in between."""

    seen: "dict[str, Node]" = field(default_factory=dict)
    durable: "dict[str, Node]" = field(default_factory=dict)
    since: "list[tuple[str, Node | None]]" = field(default_factory=list)
    written: int = 0
    synced: int = 0

    def name(self, name: str, node: "Node | None") -> None:
        if node is None:
            del self.seen[name]
        else:
            self.seen[name] = node
        self.since.append((name, node))
        self.written += 1

    def begin_sync(self) -> "tuple[int, dict[str, Node]]":
        return self.written, dict(self.seen)

    def end_sync(self, begun: "tuple[int, dict[str, Node]]") -> None:
        count, names = begun
        if count > self.synced:
            del self.since[: count - self.synced]
            self.synced, self.durable = count, names


Node = File | Folder


class Loss(Protocol):
    """A way of forgetting."""

    def names(self, folder: Folder) -> dict[str, Node]: ...

    def data(self, file: File) -> bytes: ...


class Forgetting:
    """All that was not synced is lost."""

    def names(self, folder: Folder) -> dict[str, Node]:
        return folder.durable

    def data(self, file: File) -> bytes:
        return file.durable


class Torn:
    """Chance decides about each name, and about each sector of each write."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def names(self, folder: Folder) -> dict[str, Node]:
        names: dict[str, Node | None] = dict(folder.durable)
        for name in dict.fromkeys(name for name, _ in folder.since):
            meant = [folder.durable.get(name), *(node for one, node in folder.since if one == name)]
            names[name] = self.chance.choice(meant)
        return {name: node for name, node in names.items() if node is not None}

    def data(self, file: File) -> bytes:
        if not file.since:
            return file.durable
        data = bytearray(file.durable)
        for write in file.since:
            fate = self.chance.random()
            if fate < 1 / 3:
                _apply(data, write)
            elif fate < 2 / 3 and write.data is not None:
                for start in range(0, len(write.data), SECTOR):
                    if self.chance.random() < 1 / 2:
                        _apply(data, Write(write.offset + start, write.data[start : start + SECTOR]))
        return bytes(data)


@dataclass(slots=True, eq=False)
class _Handle:
    node: Node
    at: int = 0
    appends: bool = False


class Disk:
    """What is below the folder `top`, which stands, empty and durable, before the first call."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root = Folder()
        self.said = bytearray()  # what was written to stderr
        self._begun: set[Call] = set()
        self._handles: dict[int, _Handle] = {}
        self._syncs: dict[Call, tuple[Node, tuple[int, object]]] = {}

    def play(self, moment: Moment) -> None:
        """Follow the tape by one moment."""
        call = moment.call
        if not moment.is_end:
            self._begun.add(call)
            self._begin(call)
            return
        if call.returned is not None:
            self._begun.discard(call)
        if call in self._syncs:
            node, begun = self._syncs.pop(call)
            if call.returned == 0:
                node.end_sync(begun)  # type: ignore[arg-type]
        elif call.returned is not None and not call.failed:
            self._end(call)

    def is_sync(self, moment: Moment) -> bool:
        """Whether with this moment something becomes durable."""
        return moment.is_end and moment.call.returned == 0 and moment.call in self._syncs

    def ends_life(self, real: Path) -> None:
        """The program is no more; `real` is what it left. What a call did that was cut off by its death shows there only."""
        for call in self._begun:
            if call.name.startswith(("rename", "link", "mkdir")) and (real / self._below(call.paths[-1])).exists():
                self._end(call)
            if call.name.startswith("unlink") and not (real / self._below(call.paths[0])).exists():
                self._end(call)
        for path, file in list(self.differences(real)):
            assert self._begun, f"{path} is not as the calls made it"
            assert file is not None, f"{path} came or went by no call that is modelled"
            file.write(Write(0, None))
            file.write(Write(0, real.joinpath(path).read_bytes()))
        self._begun.clear()
        self._handles.clear()
        self._syncs.clear()

    def after(self, loss: Loss) -> dict[str, bytes | None]:
        """What is left when the power goes now: each file's bytes by its path, None for a folder."""
        return dict(_left(self.root, loss, ""))

    def differences(self, real: Path) -> Iterator[tuple[str, File | None]]:
        """Where the model is not as what the program left: paths, and the file where it is one in both."""
        yield from _differences(self.root, real, "")

    # inside

    def _begin(self, call: Call) -> None:
        if call.name in SYNCS:
            handle = self._handles.get(call.handle)
            assert handle is not None or not self._place(call.path), f"a sync of what is not known: {call.path}"
            if handle is not None:
                self._syncs[call] = (handle.node, handle.node.begin_sync())
        elif call.name == "close":
            self._handles.pop(call.handle, None)
        elif call.name == "write" and call.handle == 2:  # stderr: it may be read before it is over
            self.said += call.texts[0]

    def _end(self, call: Call) -> None:
        if call.name in ("open", "openat"):
            self._open(call)
        elif call.name in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate"):
            if call.path is not None and (handle := self._handles.get(call.handle)) is not None:
                self._write(call, handle)
        elif call.name.startswith(("rename", "link")):
            source, target = (self._place(path) for path in call.paths)
            self._move(source, target, is_link=call.name.startswith("link"))
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._name(self._place(call.paths[0]), None)
        elif call.name in ("mkdir", "mkdirat"):
            self._name(self._place(call.paths[0]), Folder())
        elif call.name == "mmap":
            is_written = "PROT_WRITE" in call.arguments and "MAP_SHARED" in call.arguments
            of = Call("mmap", call.words[4]).path if is_written else None
            assert not self._place(of) or str(of).endswith(_SHARED_MEMORY), f"written to by mmap: {of}"
        elif call.name in ("dup", "dup2", "dup3"):
            assert call.handle not in self._handles, "a descriptor of a modelled file is duplicated"
        elif call.name in _NOT_MODELLED.split():
            assert not any(map(self._place, (call.path, *call.paths))), f"not modelled: {call}"

    def _place(self, path: Path | None) -> list[str]:
        """The names that lead to it from `top`; none for what lies elsewhere."""
        return list(path.relative_to(self.top).parts) if path is not None and path.is_relative_to(self.top) else []

    def _below(self, path: Path) -> Path:
        return Path(*self._place(path))

    def _find(self, names: list[str]) -> Node | None:
        node: Node | None = self.root
        for name in names:
            node = node.seen.get(name) if isinstance(node, Folder) else None
        return node

    def _name(self, place: list[str], node: Node | None) -> None:
        folder = self._find(place[:-1]) if place else None
        if isinstance(folder, Folder) and (node is not None or place[-1] in folder.seen):  # else a socket
            folder.name(place[-1], node)

    def _move(self, source: list[str], target: list[str], *, is_link: bool) -> None:
        node = self._find(source) if source else None
        assert (node is None) == (not target), f"moved over the border: {source} to {target}"
        if node is not None and node is not self._find(target):
            self._name(target, node)
            if not is_link:
                self._name(source, None)

    def _open(self, call: Call) -> None:
        assert call.returned is not None
        path = call.paths[0]
        self._handles.pop(call.returned, None)
        place = self._place(path)
        if not place and path != self.top:
            return
        flags = call.words[2 if call.name == "openat" else 1].split("|")
        node = self._find(place)
        if node is None and "O_CREAT" in flags:
            self._name(place, node := File())
        if isinstance(node, File) and "O_TRUNC" in flags and node.seen:
            node.write(Write(0, None))
        if node is not None:
            self._handles[call.returned] = _Handle(node, appends="O_APPEND" in flags)

    def _write(self, call: Call, handle: _Handle) -> None:
        file = handle.node
        assert isinstance(file, File)
        if call.name == "ftruncate":
            file.write(Write(int(call.words[1]), None))
            return
        assert call.returned is not None
        data = b"".join(call.texts)[: call.returned]
        if call.name.startswith("p"):
            file.write(Write(int(call.words[-1 if call.name != "pwritev2" else -2]), data))
            return
        at = len(file.seen) if handle.appends else handle.at
        file.write(Write(at, data))
        handle.at = at + len(data)


def _apply(data: bytearray, write: Write) -> None:
    """One write, as the kernel does it: what lies between the end and a later offset is zero."""
    if write.data is None:
        del data[write.offset :]
        data.extend(bytes(write.offset - len(data)))
        return
    data.extend(bytes(max(0, write.offset - len(data))))
    data[write.offset : write.offset + len(write.data)] = write.data


def _left(folder: Folder, loss: Loss, path: str) -> Iterator[tuple[str, bytes | None]]:
    for name, node in loss.names(folder).items():
        if isinstance(node, Folder):
            yield f"{path}{name}", None
            yield from _left(node, loss, f"{path}{name}/")
        elif not name.endswith(_SHARED_MEMORY):
            yield f"{path}{name}", loss.data(node)


def _differences(folder: Folder, place: Path, path: str) -> Iterator[tuple[str, File | None]]:
    real = {entry.name for entry in place.iterdir() if not entry.is_socket()} if place.is_dir() else set[str]()
    for name in sorted(real ^ folder.seen.keys()):
        yield f"{path}{name}", None
    for name in sorted(real & folder.seen.keys()):
        node = folder.seen[name]
        if isinstance(node, Folder):
            yield from _differences(node, place / name, f"{path}{name}/")
        elif not name.endswith(_SHARED_MEMORY) and (place / name).read_bytes() != node.seen:
            yield f"{path}{name}", node

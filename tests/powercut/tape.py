"""A tape: what a program asked the kernel to do to files, as strace tells it.

Rule: a tape is read in the order of its lines, and each call has two of them that matter: where it was begun and where it was
over. What it does to a file has happened by the second one, and not for certain before it. All text is told in hexadecimal
digits, so that a line has no quotes, commas or brackets but those of its form; a text that was cut short is an error.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# What changes files or names; what the model of the disk does not know is an error there, not here.
CALLS = """
    open openat creat close write pwrite64 writev pwritev pwritev2 truncate ftruncate fallocate rename renameat renameat2
    link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir fsync fdatasync sync syncfs sync_file_range
    sendfile copy_file_range splice mmap msync dup dup2 dup3
"""
_LONGEST = 64 << 20  # bytes of one text
_TAIL = 1000  # bytes in which the last line is found

_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))", re.ASCII)
_END = re.compile(r"(.*)\) += (-?\d+|0x[0-9a-f]+|\?)(?:<([^>]*)>)?.*", re.ASCII)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_UNFINISHED = " <unfinished ...>"


@dataclass(slots=True, eq=False)
class Call:
    """A call: its arguments as strace writes them, and what it returned; None while it is not over, or never was."""

    name: str
    arguments: str
    returned: int | None = None

    @property
    def failed(self) -> bool:
        return self.returned is not None and self.returned < 0

    @property
    def texts(self) -> list[bytes]:
        """Its arguments in quotes: paths, or what is written."""
        found = _TEXT.findall(self.arguments)
        assert not any(cut for _, cut in found), f"{self.name}: the tape cuts texts short"
        return [bytes.fromhex(text.replace("\\x", "")) for text, _ in found]

    @property
    def paths(self) -> list[Path]:
        """The same, where they are paths."""
        return [Path(text.decode()) for text in self.texts]

    @property
    def words(self) -> list[str]:
        """All of its arguments, where none has a comma in it."""
        return self.arguments.split(", ")

    @property
    def handle(self) -> int:
        """The file descriptor that comes first."""
        return int(self.words[0].partition("<")[0])

    @property
    def path(self) -> Path | None:
        """What that descriptor is of; None: a pipe, a socket."""
        text = self.words[0].partition("<")[2].partition(">")[0]
        return Path(bytes.fromhex(text.replace("\\x", "")).decode()) if text.startswith("\\x2f") else None


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a call begins, or where it is over."""

    call: Call
    is_end: bool


@cache
def works() -> bool:
    """Whether strace is here and may follow a program."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def recording(tape: Path) -> tuple[str, ...]:
    """The words before a command that put what it does on a tape; the command stays the child of who starts it."""
    calls = ",".join(CALLS.split())
    return (
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        str(_LONGEST),
        "-e",
        f"trace={calls}",
        "-o",
        str(tape),
    )


def is_whole(tape: Path) -> bool:
    """Whether the program's end is on it: the first thread is the last one that is told to be over."""
    if not tape.exists():
        return False
    with tape.open("rb") as file:
        first = file.readline().split()[:1]
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        last = file.read().rstrip().rsplit(b"\n", 1)[-1]
    return last.split()[:1] == first and last.endswith(b"+++")


def moments(lines: Iterable[str]) -> Iterator[Moment]:
    """A tape's calls, begun and over."""
    open_calls: dict[str, Call] = {}
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            continue  # a signal, or a thread's end
        thread, name, rest, resumed, last = found.groups()
        if name is not None and rest.endswith(_UNFINISHED):
            open_calls[thread] = call = Call(name, rest.removesuffix(_UNFINISHED))
            yield Moment(call, is_end=False)
            continue
        end = _END.fullmatch(last if resumed else rest)
        assert end is not None, f"not read: {line[:200]}"
        if resumed:
            call = open_calls.pop(thread)
            call.arguments += end[1]
        else:
            call = Call(name, end[1])
            yield Moment(call, is_end=False)
        call.returned = None if end[2] == "?" else int(end[2], 0)
        yield Moment(call, is_end=True)

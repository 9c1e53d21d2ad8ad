"""Command: a program that is started for each publication, with the message on its standard input.

Rule: no shell, and none of our secrets: of hlspub's environment it gets what `INHERITED` names, and the publication as
HLSPUB_… variables. Exit code 0 means taken. It has a process group of its own, which ends with it: when it exits, takes too
long or is cancelled, whatever is left of the group is told to end, then killed. What it prints goes to our log, up to `SHOWN`
bytes, and into no error, since the gateway shows those; the rest is read and dropped, so it never blocks on it.

Theory. A process id may be another program's as soon as its process was reaped. So it is watched by a descriptor (pidfd), the
group is killed while the leader is still a zombie that holds the number, and only then it is reaped. Standard input is a file
in memory, written before the start: nothing waits for a program that does not read.
"""

import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import anyio
import anyio.to_thread
import structlog

from hlspub.errors import TargetError
from hlspub.hooks.message import Message

INHERITED: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
SHOWN: Final = 2048  # bytes of output that are kept
GRACE_S: Final = 2.0  # between the request to end and the kill
_PIECE: Final = 65536
_FOLDER: Final = "/"

log = structlog.get_logger()


class Command:
    """The program `command[0]`, an absolute path, with its arguments; `environ` is what it inherits from."""

    kind = "command"

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self.place = f"{name} ({command[0]})"
        self._command = tuple(command)
        self._environ = {key: environ[key] for key in INHERITED if key in environ}

    async def tell(self, message: Message) -> None:
        """Run it once."""
        try:
            code, text = await self._run(message)
        except OSError as why:
            reason = f"{self.place}: it cannot be started: {why.strerror}"
            raise TargetError(reason, retry_s=0.0, hint=_CANNOT_START) from why
        if text:
            log.info("hook.said", hook=self.name, id=message.id, text=text)
        if code != 0:
            ended = f"exit code {code}" if code > 0 else f"killed by {_signal(-code)}"
            raise TargetError(f"{self.place}: {ended}", retry_s=0.0, hint="What it printed is in the log, hook.said.")

    async def _run(self, message: Message) -> tuple[int, str]:
        """Its exit code, or minus the signal, and what it printed."""
        environ = self._environ | variables(self.name, message)
        said = bytearray()
        with _pipe() as (ours, theirs), _in_memory(message.body) as given:
            child = await anyio.to_thread.run_sync(_start, self._command, environ, given, theirs)
            theirs.close()
            code: int | None = None
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_gather, ours, said)
                    await anyio.wait_readable(child.ended)
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    code = await child.end()
            _read_rest(ours, said)
        if code is None:
            raise TargetError(
                f"{self.place}: it cannot be killed", retry_s=0.0, hint="Does it run as another user, by sudo?"
            )
        return code, " ".join(said.decode(errors="replace").split())

    def check(self) -> str:
        """Whether this user may run the program."""
        program = Path(self._command[0])
        if not program.is_file():
            raise TargetError(f"{program}: there is no such program", retry_s=None, hint="Write its whole path.")
        if not os.access(program, os.X_OK):
            raise TargetError(f"{program}: this user may not run it", retry_s=None, hint=f"chmod a+x {program}")
        return f"{program} can be run; it was not"

    async def aclose(self) -> None:
        """There is nothing to let go of."""


_CANNOT_START = "Is it there, and may hlspub's user run it? The service sees no home directories."


def variables(hook: str, message: Message) -> dict[str, str]:
    """The publication as environment variables."""
    publication = message.publication
    return {
        "HLSPUB_HOOK": hook,
        "HLSPUB_ID": message.id,
        "HLSPUB_STREAM": publication.stream,
        "HLSPUB_SESSION": publication.session,
        "HLSPUB_SEQ": str(publication.seq),
        "HLSPUB_ROOT": str(publication.root),
        "HLSPUB_ENTRY": publication.entry,
        "HLSPUB_FINAL": "1" if publication.final else "0",
    }


@dataclass(frozen=True, slots=True)
class _Child:
    """A started program; `ended` can be read when it has ended."""

    process: "subprocess.Popen[bytes]"
    ended: int

    async def end(self) -> int | None:
        """End it with its group, and reap it; its exit code, or minus the signal. None: it cannot be killed.

        What its leader left running when it ended is killed at once.
        """
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, number)
                with anyio.move_on_after(GRACE_S):
                    await anyio.wait_readable(self.ended)
            return self.process.poll()
        finally:
            os.close(self.ended)


def _start(command: Sequence[str], environ: Mapping[str, str], given: int, output: IO[bytes]) -> _Child:
    process = subprocess.Popen(  # noqa: S603 -- the operator's own program, without a shell
        command, stdin=given, stdout=output, stderr=output, cwd=_FOLDER, env=environ, start_new_session=True
    )
    try:
        return _Child(process, os.pidfd_open(process.pid))
    except OSError:
        process.kill()
        process.wait()
        raise


async def _gather(output: int, said: bytearray) -> None:
    """Read what it prints, until nobody can print any more."""
    while True:
        await anyio.wait_readable(output)
        if not _read(output, said):
            return


def _read_rest(output: int, said: bytearray) -> None:
    """What is in the pipe by now; somebody who left the group may still print."""
    with suppress(BlockingIOError):
        while len(said) < SHOWN and _read(output, said):
            pass


def _read(output: int, said: bytearray) -> bool:
    """One piece; false at the end."""
    piece = os.read(output, _PIECE)
    said += piece[: max(0, SHOWN - len(said))]
    return bool(piece)


@contextmanager
def _pipe() -> Generator[tuple[int, IO[bytes]]]:
    """A pipe that never blocks this side, and the other side, which is closed once it was handed on."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb", buffering=0) as other:
        os.set_blocking(ours, False)
        try:
            yield ours, other
        finally:
            os.close(ours)


@contextmanager
def _in_memory(data: bytes) -> Generator[int]:
    """A file in memory that holds `data`, at its beginning."""
    handle = os.memfd_create("message")
    try:
        os.write(handle, data)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


def _signal(number: int) -> str:
    """A signal's name; most of the real-time signals have none."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"

"""The command line's end of the control socket: one request, one answer, no event loop.

Rule: three failures are told apart, because the command does something else after each: no daemon (the journal can still be
read), no permission (nothing can), and a daemon that does not answer in time.
"""

import json
import os
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from hlspub.errors import DataError, ExitCode, HlspubError, InputError, PermissionRefused

MAX_ANSWER: Final = 64 << 20  # bytes; a status of thousands of sessions is far below
_MAX_PATH: Final = 107  # bytes; sockaddr_un has room for 108 with the NUL
_CHUNK: Final = 1 << 16


class NoDaemon(InputError):  # noqa: N818 -- read as a sentence where it is caught
    """Nobody listens at the control socket."""


class DaemonSilent(HlspubError):  # noqa: N818 -- as above
    """The daemon is there and did not answer in time, or left while it was asked."""

    exit_code = ExitCode.UNAVAILABLE


class CommandFailed(HlspubError):  # noqa: N818 -- as above
    """The daemon's own error, with its message, hint and exit code."""

    def __init__(self, message: str, *, hint: str, exit_code: ExitCode) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def request(path: Path, message: Mapping[str, object], timeout_s: float) -> dict[str, object]:
    """Send one request to the daemon at `path` and return its answer; all of it takes at most `timeout_s`.

    Raises:
        NoDaemon: there is no socket, or nobody listens there any more.
        PermissionRefused: the socket is another user's.
        DaemonSilent: no answer in time.
        CommandFailed: the daemon's answer is an error.
    """
    until = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(timeout_s)
        _connect(sock, path)
        try:
            sock.sendall(json.dumps(message).encode() + b"\n")
            line = _read_line(sock, until)
        except TimeoutError as why:
            raise DaemonSilent(
                f"the daemon at {path} did not answer within {timeout_s:g} s",
                hint="It may be busy, or stopped by a debugger: see its log.",
            ) from why
        except OSError as why:
            raise _gone(path) from why
    if line is None:
        raise _gone(path)
    return _judged(line)


@contextmanager
def reachable(path: Path) -> Generator[str]:
    """An address of `path` that fits a socket address, however long the path is: its directory by descriptor.

    Raises:
        OSError: there is no such directory.
    """
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _connect(sock: socket.socket, path: Path) -> None:
    try:
        with reachable(path) as address:
            sock.connect(address)
    except PermissionError as why:
        raise PermissionRefused(
            f"the control socket {path} belongs to another user",
            hint="Run the command as the daemon's user, or as root.",
        ) from why
    except TimeoutError as why:
        raise DaemonSilent(f"the daemon at {path} takes no connection", hint="See its log.") from why
    except OSError as why:
        raise NoDaemon(
            f"no hlspub runs with the data_dir {path.parent}",
            hint="Start it with `hlspub run`, or name its configuration with --config.",
        ) from why


def _read_line(sock: socket.socket, until: float) -> bytes | None:
    """The answer without its newline; None when the daemon left before its end."""
    answer = bytearray()
    while not answer.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        chunk = sock.recv(_CHUNK)
        if not chunk:
            return None
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise DataError(f"the daemon's answer is longer than {MAX_ANSWER} bytes")
    return bytes(answer[:-1])


def _judged(line: bytes) -> dict[str, object]:
    try:
        answer: object = json.loads(line)
    except (ValueError, RecursionError) as why:
        raise DataError("the daemon's answer is not JSON", hint="Is the daemon of another version?") from why
    if not isinstance(answer, dict):
        raise DataError("the daemon's answer is not a JSON object", hint="Is the daemon of another version?")
    answer = cast("dict[str, object]", answer)
    match answer.get("error"):
        case {"message": str() as text, "hint": str() as hint, "exit_code": int() as code}:
            raise CommandFailed(text, hint=hint, exit_code=_exit_code(code))
        case _:
            return answer


def _exit_code(code: int) -> ExitCode:
    try:
        return ExitCode(code)
    except ValueError:
        return ExitCode.SOFTWARE


def _gone(path: Path) -> DaemonSilent:
    return DaemonSilent(f"the daemon at {path} left while it was asked", hint="Ask again when it is back.")

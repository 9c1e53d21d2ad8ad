"""The control socket: how `hlspub status`, `hlspub end` and `hlspub gc` reach the daemon.

Rule: a Unix socket that its owner alone may open (0600 from the moment it exists: on Linux a socket's file takes the mode that
its descriptor has when it is bound). One JSON object a line, one line of answer each, in order:

    {"op": "ping"}                                     -> {"pong": true}
    {"op": "status"}                                   -> what `hlspub status --json` prints
    {"op": "gc", "dry_run": false}                     -> what `hlspub gc --json` prints
    {"op": "end", "stream": "main", "wait_s": 60}      -> what `hlspub end --json` prints
    anything that fails                                -> {"error": {"message": …, "hint": …, "exit_code": …}}

A socket file that nobody listens on is what a killed daemon left; it is replaced. `control_client` is the other end.
"""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast

import anyio

from hlspub.errors import AnotherInstance, ExitCode, HlspubError, PermissionRefused, StorageError
from hlspub.gateway.control_client import reachable

Answer: TypeAlias = dict[str, object]

MAX_LINE: Final = 64 * 1024  # bytes of a request
IDLE_S: Final = 60.0  # a client that says nothing for so long is gone
MAX_WAIT_S: Final = 24 * 3600.0
MAX_CLIENTS: Final = 32
_PROBE_S: Final = 2.0


class Commands(Protocol):
    """What the daemon does when asked."""

    async def status(self) -> Answer:
        """What `hlspub status --json` prints."""
        ...

    async def gc(self, *, dry_run: bool) -> Answer:
        """Let go of what no kept root needs, or tell what would go.

        Raises:
            HlspubError: it cannot be told what is needed.
        """
        ...

    async def end(self, stream: str, wait_s: float) -> Answer:
        """End the stream's session and wait up to `wait_s` for its final root.

        Raises:
            HlspubError: there is no such stream, or nothing to end.
        """
        ...


class BadRequest(HlspubError):  # noqa: N818 -- HTTP's word for it
    """A request that this daemon cannot read."""

    exit_code = ExitCode.USAGE


async def serve_control(path: Path, commands: Commands, *, started: Callable[[], None] = lambda: None) -> None:
    """Answer at `path` until cancelled, then remove it; `started` is called once clients can connect.

    Raises:
        AnotherInstance: another daemon answers there.
        PermissionRefused: this user may not make a socket there.
        StorageError: the socket cannot be made: no such directory, a file of another kind.
    """
    sock = _bind(path)
    made = _identity(path)
    room = anyio.CapacityLimiter(MAX_CLIENTS)
    is_open = True

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with room:
                await _converse(reader, writer, commands)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_open:
            clients.start_soon(converse, reader, writer)
        else:
            writer.close()

    try:
        # asyncio's transports and not anyio's: its Unix streams (4.16) fail in a callback when a client leaves in the
        # same turn of the loop in which the server is cancelled.
        async with anyio.create_task_group() as clients:
            server = await asyncio.start_unix_server(connected, sock=sock, limit=MAX_LINE)
            try:
                started()
                await anyio.sleep_forever()
            finally:
                is_open = False
                server.close()
    finally:
        sock.close()
        _remove(path, made)


def _bind(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(sock.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        with reachable(path) as address:
            _make_room(path, address)
            sock.bind(address)
        sock.listen(MAX_CLIENTS)
        sock.settimeout(0)
    except PermissionError as why:
        sock.close()
        raise PermissionRefused(
            f"the control socket {path} cannot be made: {why.strerror}",
            hint="data_dir must belong to the user that hlspub runs as.",
        ) from why
    except OSError as why:
        sock.close()
        raise StorageError(
            f"the control socket {path} cannot be made: {why.strerror or why}",
            hint="Check data_dir and its file system.",
        ) from why
    except HlspubError:
        sock.close()
        raise
    return sock


def _make_room(path: Path, address: str) -> None:
    """Take away what a killed daemon left.

    Raises:
        AnotherInstance, PermissionRefused, StorageError: what is there is not that.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StorageError(f"{path} is in the way: it is no socket", hint="Move it away; hlspub did not make it.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            pass  # a listener with a full queue: alive
    raise AnotherInstance(
        f"another hlspub answers at {path}", hint="Stop it first, or give this one a data_dir of its own."
    )


def _remove(path: Path, made: tuple[int, int] | None) -> None:
    """Take our socket away; a successor's stays."""
    if made is not None and _identity(path) == made:
        with suppress(OSError):
            path.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: Commands) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client has left
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil()
            except TimeoutError:
                return
            except asyncio.LimitOverrunError:
                await _send(writer, _error(BadRequest(f"a request of more than {MAX_LINE} bytes")))
                return
            await _send(writer, await _answer(line, commands))


async def _answer(line: bytes, commands: Commands) -> Answer:
    try:
        request = _read(line)
        match request.get("op"):
            case "ping":
                return {"pong": True}
            case "status":
                return await commands.status()
            case "gc":
                return await commands.gc(dry_run=request.get("dry_run") is True)
            case "end":
                return await commands.end(_stream(request), _wait_s(request))
            case other:
                raise BadRequest(f"no such op: {other!r}", hint="This daemon knows ping, status, gc and end.")
    except HlspubError as why:
        return _error(why)


def _read(line: bytes) -> Answer:
    try:
        request: object = json.loads(line)
    except (ValueError, RecursionError) as why:
        raise BadRequest(f"a request that is not JSON: {why}") from why
    if not isinstance(request, dict):
        raise BadRequest("a request that is not a JSON object")
    return cast("Answer", request)


def _stream(request: Answer) -> str:
    match request.get("stream"):
        case str() as name if name:
            return name
        case other:
            raise BadRequest(f'"stream" must be a stream\'s name, not {other!r}')


def _wait_s(request: Answer) -> float:
    match request.get("wait_s", 0):
        case int() | float() as seconds if not isinstance(seconds, bool) and 0 <= seconds <= MAX_WAIT_S:
            return float(seconds)
        case other:
            raise BadRequest(f'"wait_s" must be seconds from 0 to {MAX_WAIT_S:.0f}, not {other!r}')


def _error(why: HlspubError) -> Answer:
    return {"error": {"message": str(why), "hint": why.hint, "exit_code": int(why.exit_code)}}


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    await writer.drain()

"""The control socket, both ends: the daemon's in the loop, the command's in a thread."""

import json
import os
import socket
import stat
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync

from hlspub.errors import AnotherInstance, DataError, ExitCode, InputError, PermissionRefused, StorageError
from hlspub.gateway import control
from hlspub.gateway.control import serve_control
from hlspub.gateway.control_client import CommandFailed, DaemonSilent, NoDaemon, request
from tests.gateway.house import DEADLINE_S

pytestmark = pytest.mark.anyio


class Daemon:
    """`Commands` of a daemon with one stream."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, float]] = []
        self.hold = anyio.Event()
        self.hold.set()

    async def status(self) -> dict[str, object]:
        await self.hold.wait()
        return {"streams": [{"name": "main", "note": "zwei\nZeilen é"}], "targets": []}

    async def gc(self, *, dry_run: bool) -> dict[str, object]:
        return {"cars": 0, "freed_bytes": 0, "dry_run": dry_run}

    async def end(self, stream: str, wait_s: float) -> dict[str, object]:
        if stream != "main":
            raise InputError(f"there is no stream {stream!r}", hint="`hlspub status` lists them.")
        self.ended.append((stream, wait_s))
        return {"stream": stream, "state": "ended"}


@asynccontextmanager
async def listening(path: Path, daemon: Daemon | None = None) -> AsyncGenerator[None]:
    async def run(*, task_status: TaskStatus[None]) -> None:
        await serve_control(path, daemon or Daemon(), started=task_status.started)

    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as group:
            await group.start(run)
            yield
            group.cancel_scope.cancel()


async def ask(path: Path, timeout_s: float = DEADLINE_S, **message: Any) -> dict[str, object]:
    return await run_sync(request, path, message, timeout_s)


async def say(path: Path, line: bytes) -> dict[str, Any]:
    """One raw line to the daemon, and its answer."""
    async with await anyio.connect_unix(path) as stream:
        await stream.send(line)
        answer = b""
        while not answer.endswith(b"\n"):
            answer += await stream.receive()
    return json.loads(answer)


async def test_the_commands_are_carried_there_and_back(tmp_path: Path) -> None:
    path, daemon = tmp_path / "control.sock", Daemon()
    async with listening(path, daemon):
        assert await ask(path, op="ping") == {"pong": True}
        assert (await ask(path, op="status"))["streams"] == [{"name": "main", "note": "zwei\nZeilen é"}]
        assert await ask(path, op="end", stream="main", wait_s=1.5) == {"stream": "main", "state": "ended"}
        await ask(path, op="end", stream="main")
    assert daemon.ended == [("main", 1.5), ("main", 0.0)]


async def test_the_daemons_error_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path):
        with pytest.raises(CommandFailed, match="there is no stream 'none'") as failure:
            await ask(path, op="end", stream="none")
    assert failure.value.exit_code is ExitCode.NO_INPUT
    assert failure.value.hint == "`hlspub status` lists them."


@pytest.mark.parametrize(
    "line",
    [b"rubbish\n", b"[]\n", b"{}\n", b'{"op":"dance"}\n', b'{"op":"end"}\n', b'{"op":"end","stream":7}\n', b"\xff\n", b"\n",
     b'{"op":"end","stream":"main","wait_s":"long"}\n', b'{"op":"end","stream":"main","wait_s":-1}\n',
     b'{"op":"end","stream":"main","wait_s":1e99}\n', b'{"op":"end","stream":"main","wait_s":true}\n',
     b'{"op":"end","stream":"main","wait_s":NaN}\n', b'{"op":["end"]}\n', b"[" * 60000 + b"\n"],
)  # fmt: skip
async def test_a_request_that_is_none_is_refused_and_the_daemon_lives(tmp_path: Path, line: bytes) -> None:
    path, daemon = tmp_path / "control.sock", Daemon()
    async with listening(path, daemon):
        answer = await say(path, line)
        assert answer["error"]["exit_code"] == ExitCode.USAGE
        assert answer["error"]["message"]
        assert await ask(path, op="ping") == {"pong": True}
    assert daemon.ended == []


async def test_a_request_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path):
        answer = await say(path, b"x" * (control.MAX_LINE + 1))
    assert "more than 65536 bytes" in answer["error"]["message"]


async def test_several_requests_on_one_connection_and_several_connections(tmp_path: Path) -> None:
    path, daemon = tmp_path / "control.sock", Daemon()
    daemon.hold = anyio.Event()
    async with listening(path, daemon), await anyio.connect_unix(path) as slow, await anyio.connect_unix(path) as quick:
        await slow.send(b'{"op":"status"}\n{"op":"ping"}\n')
        await quick.send(b'{"op":"ping"}\n')
        assert await quick.receive() == b'{"pong":true}\n'
        daemon.hold.set()
        answers = b""
        while answers.count(b"\n") < 2:
            answers += await slow.receive()
        assert answers.endswith(b'}\n{"pong":true}\n')


async def test_a_client_that_leaves_in_the_middle_does_no_harm(tmp_path: Path) -> None:
    path, daemon = tmp_path / "control.sock", Daemon()
    daemon.hold = anyio.Event()
    async with listening(path, daemon):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b'{"op":"status"}\n')
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b'{"op":"sta')
        daemon.hold.set()
        assert await ask(path, op="ping") == {"pong": True}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_only_the_owner_may_open_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "control.sock"
    before = os.umask(umask)
    try:
        async with listening(path):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
            assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_its_mode_is_right_before_anything_else_can_look(tmp_path: Path) -> None:
    """The mode comes with bind, not after it: there is no instant at which others could connect."""
    path = tmp_path / "control.sock"
    before = os.umask(0)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            os.fchmod(sock.fileno(), 0o600)
            sock.bind(str(path))
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_a_killed_daemons_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    with pytest.raises(NoDaemon):
        await ask(path, op="ping")
    async with listening(path):
        assert await ask(path, op="ping") == {"pong": True}
    assert not path.exists()


async def test_a_living_daemon_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path):
        with pytest.raises(AnotherInstance, match=str(path)):
            await serve_control(path, Daemon())
        assert await ask(path, op="ping") == {"pong": True}


async def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(StorageError, match="no socket"):
        await serve_control(path, Daemon())
    assert path.read_text() == "precious"


async def test_a_successors_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path):
        path.unlink()
        path.write_text("the successor's")
    assert path.read_text() == "the successor's"


async def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 90) / ("e" * 90)
    folder.mkdir(parents=True)
    path = folder / "control.sock"
    with pytest.raises(NoDaemon):
        await ask(path, op="ping")
    async with listening(path):
        assert stat.S_ISSOCK(path.lstat().st_mode)
        assert await ask(path, op="ping") == {"pong": True}
    assert not path.exists()


async def test_without_a_directory_there_is_a_clear_error(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path / ("x" * 120)):
        with pytest.raises(StorageError, match="cannot be made"):
            await serve_control(folder / "control.sock", Daemon())


def test_no_daemon_is_told_apart(tmp_path: Path) -> None:
    for path in (
        tmp_path / "control.sock",
        tmp_path / "none" / "control.sock",
        tmp_path / ("x" * 120) / "control.sock",
    ):
        with pytest.raises(NoDaemon, match="no hlspub runs") as failure:
            request(path, {"op": "ping"}, 1.0)
        assert failure.value.exit_code is ExitCode.NO_INPUT


@contextmanager
def not_as_root() -> Generator[None]:
    """Root may open every socket, so a test of refusals is somebody else meanwhile."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_another_users_socket_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        path.chmod(0)
        with not_as_root(), pytest.raises(PermissionRefused) as failure:
            request(path, {"op": "ping"}, 1.0)
    assert failure.value.exit_code is ExitCode.NO_PERMISSION


async def test_a_directory_of_another_user_is_a_clear_error(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)  # noqa: PTH101 -- pathlib's would be refused as blocking
    with not_as_root(), pytest.raises(PermissionRefused, match="cannot be made") as failure:
        await serve_control(tmp_path / "control.sock", Daemon())
    assert failure.value.exit_code is ExitCode.NO_PERMISSION


@contextmanager
def answering(path: Path, answer: bytes | None) -> Generator[None]:
    """A daemon that gives this answer and leaves; None: it stays and says nothing."""
    done = threading.Event()

    def run() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            if answer is None:
                done.wait(DEADLINE_S)
            else:
                client.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_a_silent_daemon_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with answering(path, None), pytest.raises(DaemonSilent, match=r"did not answer within 0\.05 s") as failure:
        request(path, {"op": "status"}, 0.05)
    assert failure.value.exit_code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize("answer", [b"", b'{"half":'])
def test_a_daemon_that_leaves_is_told_apart(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "control.sock"
    with answering(path, answer), pytest.raises(DaemonSilent, match="left while it was asked"):
        request(path, {"op": "status"}, DEADLINE_S)


@pytest.mark.parametrize("answer", [b"rubbish\n", b"[]\n"])
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "control.sock"
    with answering(path, answer), pytest.raises(DataError):
        request(path, {"op": "status"}, DEADLINE_S)


def test_an_exit_code_of_a_newer_daemon_is_still_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    answer = b'{"error":{"message":"new","hint":"","exit_code":99}}\n'
    with answering(path, answer), pytest.raises(CommandFailed) as failure:
        request(path, {"op": "status"}, DEADLINE_S)
    assert failure.value.exit_code is ExitCode.SOFTWARE

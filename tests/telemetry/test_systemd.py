import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlspub.errors import StorageError
from hlspub.telemetry.systemd import Notifier, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket as systemd opens one, and its name as $NOTIFY_SOCKET gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@hlspub-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5)
        yield name, listener


def test_each_message_arrives_as_the_manual_writes_it(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    with Notifier(name) as notifier:
        notifier.ready("main: live")
        assert listener.recv(4096) == b"READY=1\nSTATUS=main: live"
        assert notifier.status("1 203 segments")
        assert listener.recv(4096) == b"STATUS=1 203 segments"
        assert notifier.watchdog()
        assert listener.recv(4096) == b"WATCHDOG=1"
        assert notifier.stopping()
        assert listener.recv(4096) == b"STOPPING=1"
        assert notifier.extend_timeout(2.5)
        assert listener.recv(4096) == b"EXTEND_TIMEOUT_USEC=2500000"


def test_reloading_carries_the_monotonic_clock(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    with Notifier(name) as notifier:
        before = time.monotonic_ns() // 1000
        notifier.reloading()
        after = time.monotonic_ns() // 1000
    flag, stamp = listener.recv(4096).decode().split("\n")
    assert flag == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= after


def test_a_status_cannot_smuggle_in_another_assignment(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    with Notifier(name) as notifier:
        notifier.status("line one\nWATCHDOG=trigger\r\n  end")
    assert listener.recv(4096) == b"STATUS=line one WATCHDOG=trigger end"


def test_the_socket_is_not_inherited_by_child_processes(manager: tuple[str, socket.socket]) -> None:
    with Notifier(manager[0]) as notifier:
        assert notifier._socket is not None
        assert not notifier._socket.get_inheritable()


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_service_manager_nothing_is_sent_and_nothing_fails(path: str | None) -> None:
    with Notifier(path) as notifier:
        notifier.ready("up")
        assert not notifier.status("still up")
        assert not notifier.watchdog()


def test_a_service_manager_that_is_gone_fails_the_start_and_only_the_start(tmp_path: Path) -> None:
    with Notifier(str(tmp_path / "nobody")) as notifier:
        with pytest.raises(StorageError, match="nobody") as failure:
            notifier.ready("up")
        assert "Type=notify" in failure.value.hint
        assert not notifier.watchdog()
        assert not notifier.stopping()


def test_closing_twice_is_harmless_and_silences(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    notifier = Notifier(name)
    notifier.close()
    notifier.close()
    assert not notifier.status("nobody hears this")
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.recv(4096)


def test_the_environment_names_the_socket(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    with Notifier.from_environ({"NOTIFY_SOCKET": name}) as notifier:
        assert notifier.watchdog()
    assert listener.recv(4096) == b"WATCHDOG=1"
    with Notifier.from_environ({}) as notifier:
        assert not notifier.watchdog()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_PID": "77"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(environ: dict[str, str], expected: float | None) -> None:
    assert watchdog_interval_s(environ, pid=77) == expected


def test_the_watchdogs_process_is_this_one_unless_told() -> None:
    environ = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    assert watchdog_interval_s(environ) == 1.0

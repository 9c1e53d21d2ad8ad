"""A service manager's end of sd_notify: a real datagram socket that keeps what it is told."""

import socket
import threading
import time
from pathlib import Path
from typing import Self

from tests.support.daemon import until

POLL_S = 0.1


class Manager:
    """Listens at `path`; `told` is every message as (monotonic time, its lines)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(POLL_S)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="service manager")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def environ(self, *, watchdog_s: float | None = None) -> dict[str, str]:
        """What the service manager sets for its service."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        return {"NOTIFY_SOCKET": str(self.path), **watchdog}

    def of(self, name: str) -> list[tuple[float, str]]:
        """Every message that sets `name`: when, and to what."""
        return [(at, lines[name]) for at, lines in list(self.told) if name in lines]

    def wait(self, name: str, count: int = 1) -> tuple[float, str]:
        """Wait for the `count`-th message that sets `name`."""
        until(lambda: len(self.of(name)) >= count, f"{name} (number {count})")
        return self.of(name)[count - 1]

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                message = self._socket.recv(65536)
            except TimeoutError:
                continue
            lines = dict(line.split("=", 1) for line in message.decode().splitlines())
            self.told.append((time.monotonic(), lines))

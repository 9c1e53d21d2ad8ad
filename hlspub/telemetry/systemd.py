"""sd_notify: what the service manager is told, one datagram a message.

Rule: systemd listens on the Unix datagram socket that $NOTIFY_SOCKET names; a leading `@` stands for the NUL byte of
the abstract namespace. A message is lines of NAME=value and needs no answer. READY must arrive, or the start would time
out without a word, so a failure to say it is an error; a lost STATUS, WATCHDOG or STOPPING is made good by the next
one, so those report failure by returning False. Nothing here blocks the loop for longer than `SEND_TIMEOUT_S`.

Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5) "Type=notify-reload".
"""

import os
import socket
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from hlspub.errors import StorageError

SEND_TIMEOUT_S = 1.0  # a service manager that does not read for this long is not listening
_MICROSECONDS = 1_000_000


class Notifier:
    """Speaks to the service manager at `socket_path`, or to nobody when that is None.

    Every method but `ready` returns whether the message was handed over.
    """

    def __init__(self, socket_path: str | None) -> None:
        self._address = "\0" + socket_path[1:] if socket_path and socket_path[0] == "@" else socket_path
        self._shown = socket_path
        self._socket: socket.socket | None = None
        if self._address:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.settimeout(SEND_TIMEOUT_S)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """The notifier for the service manager that started this process, if one did."""
        return cls(environ.get("NOTIFY_SOCKET") or None)

    def ready(self, status: str) -> None:
        """The start (or a reload) is done: config, journal, first scan and gateway stand.

        Raises:
            StorageError: the service manager asked to be told and cannot be reached.
        """
        try:
            self._send("READY=1", f"STATUS={_line(status)}")
        except OSError as why:
            raise StorageError(
                f"systemd does not listen at NOTIFY_SOCKET {self._shown!r}: {why}",
                hint="Start hlspub from a unit with Type=notify, or unset NOTIFY_SOCKET.",
            ) from why

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._try(f"STATUS={_line(text)}")

    def stopping(self) -> bool:
        """The drain has begun."""
        return self._try("STOPPING=1")

    def reloading(self) -> bool:
        """A reload has begun; `ready` says when it is over. Type=notify-reload asks for CLOCK_MONOTONIC's time."""
        return self._try("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> bool:
        """The process is proven alive. To be called at least every `watchdog_interval_s`."""
        return self._try("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> bool:
        """The start or stop under way needs up to `seconds` more before systemd gives up on it."""
        return self._try(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")

    def close(self) -> None:
        """Give the socket back. Nothing is said after this."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _try(self, *lines: str) -> bool:
        try:
            return self._send(*lines)
        except OSError:
            return False

    def _send(self, *lines: str) -> bool:
        if self._socket is None or self._address is None:
            return False
        self._socket.sendto("\n".join(lines).encode(), self._address)
        return True


def watchdog_interval_s(environ: Mapping[str, str], pid: int | None = None) -> float | None:
    """How often to call `Notifier.watchdog`, in seconds: half of what systemd allows. None: no watchdog watches `pid`.

    `pid` defaults to this process; $WATCHDOG_PID names the one that is meant.
    """
    allowed, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (allowed.isascii() and allowed.isdigit() and int(allowed)):
        return None
    if meant and meant != str(os.getpid() if pid is None else pid):
        return None
    return int(allowed) / 2 / _MICROSECONDS


def _line(text: str) -> str:
    """`text` as one line: a newline would begin another assignment."""
    return " ".join(text.split())

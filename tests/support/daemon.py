"""A real `hlspub run` as a child process: its log lines as events, its signals, its end.

Rule: nothing here knows the inside of hlspub. A test waits for a log line or a condition, always with a deadline; a child is
reaped whatever happens, and a deadline that passes shows the end of its log.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

DEADLINE_S = 30.0  # for what takes a second or two; a machine may be busy
TAIL = 40  # log lines that a failure shows

Event = dict[str, Any]


class Overdue(AssertionError):  # noqa: N818 -- read as a sentence where it is raised
    """What a test waited for did not happen in time."""


def until(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S, every_s: float = 0.02) -> Any:
    """Wait until `condition` gives something true, and return that."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Overdue(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(every_s)
    return result


@dataclass(slots=True, eq=False)
class Daemon:
    """One life of the daemon. `events` are its log lines in order; a line that is not JSON has the event "text"."""

    config: Path
    command: Sequence[str] = (sys.executable, "-m", "hlspub", "run")
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    log: Path | None = None  # where its lines are kept, for whoever looks into a failure
    events: list[Event] = field(default_factory=list[Event])
    _process: "subprocess.Popen[str] | None" = None
    _reader: threading.Thread | None = None
    _news: threading.Condition = field(default_factory=threading.Condition)
    _over: bool = False

    def start(self) -> Self:
        """Start it; returns at once."""
        self._process = subprocess.Popen(
            [*self.command, "--config", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **self.environ},
        )
        self._reader = threading.Thread(target=self._read, name="daemon's log")
        self._reader.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    # its log

    def of(self, *names: str, **fields: object) -> list[Event]:
        """The events of these names, with these fields, so far."""
        with self._news:
            return [event for event in self.events if event["event"] in names and _has(event, fields)]

    def wait(self, name: str, timeout_s: float = DEADLINE_S, *, count: int = 1, **fields: object) -> Event:
        """Wait for the `count`-th event of that name with these fields."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while True:
                found = [event for event in self.events if event["event"] == name and _has(event, fields)]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or self._over:
                    why = "it ended before" if self._over else f"not within {timeout_s:.0f} s:"
                    raise Overdue(f"{why} {name} {fields or ''} (number {count})\n{self._tail()}")
                self._news.wait(left)

    def ready(self) -> str:
        """Wait until it is ready; returns the gateway's base URL."""
        return str(self.wait("daemon.ready")["gateway"])

    def text(self) -> str:
        """What it said that was no log line."""
        return "\n".join(str(event["text"]) for event in self.of("text"))

    def troubles(self) -> list[Event]:
        """Lines that no test should see unless it caused them: errors, and what is not JSON (a traceback, a warning)."""
        with self._news:
            return [event for event in self.events if event["event"] == "text" or event.get("level") == "error"]

    # its end

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def exit_code(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait until it ends by itself."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as late:
            raise Overdue(f"it did not end within {timeout_s:.0f} s\n{self._tail()}") from late
        self._close()
        return code

    def stop(self, timeout_s: float = DEADLINE_S) -> int:
        """SIGTERM, and its exit code."""
        self.send(signal.SIGTERM)
        return self.exit_code(timeout_s)

    def kill(self) -> None:
        """SIGKILL, if it still runs, and reap it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close()

    def peak_rss_bytes(self) -> int:
        """The most memory that it has held at once so far."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    # inside

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with Path(self.log or os.devnull).open("w", encoding="utf-8") as log:
            for line in self._process.stderr:
                event = _event(line.rstrip("\n"))
                event["_at"] = time.monotonic()
                with self._news:
                    self.events.append(event)
                    self._news.notify_all()
                log.write(line)
                log.flush()
        with self._news:
            self._over = True
            self._news.notify_all()

    def _close(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        if self._reader is not None:
            self._reader.join()
        self._process.stderr.close()

    def _tail(self) -> str:
        told = [one for one in self.events if one["event"] != "watch.scan_finished" and one.get("logger") != "httpx"]
        return "\n".join(_shown(event) for event in told[-TAIL:])


def published(daemons: Iterable[Daemon], stream: str | None = None) -> list[Event]:
    """Every `root.published` of these lives, in order."""
    return [
        event for daemon in daemons for event in daemon.of("root.published") if stream in (None, event.get("stream"))
    ]


def _has(event: Event, fields: Mapping[str, object]) -> bool:
    return all(name in event and event[name] == value for name, value in fields.items())


def _event(line: str) -> Event:
    try:
        event: object = json.loads(line)
    except ValueError:
        event = None
    told = cast("Event", event) if isinstance(event, dict) else {}
    return told if "event" in told else {"event": "text", "text": line}


def _shown(event: Event) -> str:
    return (
        str(event["text"]) if event["event"] == "text" else json.dumps({k: v for k, v in event.items() if k[0] != "_"})
    )

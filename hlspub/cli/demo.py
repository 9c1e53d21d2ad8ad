"""`hlspub demo`: the whole way on one machine, from a live encoder to a root that plays.

Rule: what a user would start by hand: ffmpeg writes a directory, `hlspub run` follows it, and this command only reads the
daemon's log lines and tells them in words. The first Ctrl-C ends the encoder as a broadcast ends, so that the playlists
get their EXT-X-ENDLIST and the final root is announced; a second one leaves at once.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import anyio
import click
from anyio.abc import ByteReceiveStream, ObjectReceiveStream, Process
from anyio.streams.text import TextReceiveStream

from hlspub.cli.common import INTERRUPTED, define, time_text
from hlspub.cli.demo_source import RENDITIONS, arguments, can_draw_text, find_ffmpeg
from hlspub.errors import HlspubError

PORT = 8480
READY_S, FINAL_S, STOP_S = 30.0, 60.0, 30.0  # seconds to wait for each
_CONFIG = """\
data_dir = "data"

[stream.demo]
path = "hls"
publish_interval = "4s"

[gateway]
listen = "127.0.0.1:{port}"
"""


class DemoError(HlspubError):
    """The encoder or the daemon did not do its part; the message holds the last lines of its log."""


@define("demo")
@click.option(
    "--directory", type=click.Path(path_type=Path), metavar="DIR", help="Where to work. Default: ./demo/TIME."
)
@click.option("--seconds", type=click.FloatRange(min=1), metavar="N", help="End by itself after N seconds.")
def command(*, directory: Path | None, seconds: float | None) -> int:
    """Publish a live test pattern on this machine.

    Starts ffmpeg with three renditions and a hlspub that follows them, prints the player's address and every new
    root. Ctrl-C ends the stream and waits for its final root; a second Ctrl-C leaves at once. Needs no account and
    no network. What was made stays in the directory.

    Example:  hlspub demo --seconds 60
    Exit codes: 0 the final root was published, 66 no ffmpeg, 70 something did not do its part, 130 left at once.
    """
    where = directory or Path("demo") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        return anyio.run(Demo(where.absolute(), find_ffmpeg(), seconds).run)
    except BaseExceptionGroup as group:
        raise first_of(group) from group


class Demo:
    """One demonstration in `place`; what it learns from the daemon's log is in `address` and `final`."""

    def __init__(self, place: Path, ffmpeg: str, seconds: float | None) -> None:
        self._place = place
        self._ffmpeg = ffmpeg
        self._seconds = seconds
        self._config = place / "config.toml"
        self._address = ""
        self._roots = 0
        self._ready, self._ending, self._final = anyio.Event(), anyio.Event(), anyio.Event()
        self._last_root: Mapping[str, Any] = {}
        self._left = False

    async def run(self) -> int:
        """Drive it to its final root; the process's exit code."""
        (self._place / "hls").mkdir(parents=True, exist_ok=True)
        self._config.write_text(_CONFIG.format(port=free_port(PORT)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen_to_signals, tasks.cancel_scope)
            await self._play()
            tasks.cancel_scope.cancel()
        if self._left:
            say("Left at once. What was taken is kept; `hlspub run` with the same configuration goes on.")
            return INTERRUPTED
        return 0

    async def _play(self) -> None:
        run = [sys.executable, "-m", "hlspub", "run", "--config", str(self._config)]
        async with started(run) as daemon, anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, daemon)
            await self._wait(self._ready, READY_S, "the daemon did not become ready")
            clock = await anyio.to_thread.run_sync(can_draw_text, self._ffmpeg)
            async with started(arguments(self._ffmpeg, self._place / "hls", clock=clock)) as encoder:
                self._greet()
                tasks.start_soon(self._watch_encoder, encoder)
                with anyio.move_on_after(self._seconds):
                    await self._ending.wait()
                self._ending.set()
                say("Ending the stream: the encoder closes its playlists, the final root follows ...")
                encoder.send_signal(signal.SIGINT)
                await encoder.wait()
                await self._wait(self._final, FINAL_S, "the final root was not announced")
            self._farewell()
            daemon.send_signal(signal.SIGTERM)
            with anyio.move_on_after(STOP_S):
                await daemon.wait()
            tasks.cancel_scope.cancel()

    async def _listen_to_signals(self, scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if self._ending.is_set() or not self._ready.is_set():
                    self._left = True
                    scope.cancel()
                    return
                self._ending.set()

    async def _wait(self, event: anyio.Event, seconds: float, otherwise: str) -> None:
        with anyio.move_on_after(seconds):
            await event.wait()
        if not event.is_set():
            raise DemoError(f"{otherwise} within {time_text(seconds)}", hint=f"See {self._log}.")

    async def _watch_encoder(self, encoder: Process) -> None:
        stderr = cast("ByteReceiveStream", encoder.stderr)
        said = "".join([text async for text in TextReceiveStream(stderr, errors="replace")])
        if not self._ending.is_set():
            raise DemoError(f"ffmpeg ended by itself: {said.strip()[-800:] or 'it said nothing'}")

    @property
    def _log(self) -> Path:
        return self._place / "hlspub.log"

    async def _follow(self, daemon: Process) -> None:
        """Read the daemon's log: keep it in a file, and tell what matters."""
        async with await anyio.open_file(self._log, "w") as log:
            async for line in lines(cast("ByteReceiveStream", daemon.stderr)):
                await log.write(line + "\n")
                await log.flush()
                self._tell(event_of(line))
        if not self._final.is_set():
            last = "\n".join(self._log.read_text().splitlines()[-5:])
            raise DemoError(f"hlspub stopped:\n{last}", hint=f"See {self._log}.")

    def _tell(self, event: Mapping[str, Any]) -> None:
        match event.get("event"):
            case "daemon.ready":
                self._address = f"http://{str(event.get('gateway', '')).removeprefix('http://').rstrip('/')}"
                self._ready.set()
            case "root.published":
                self._roots += 1
                self._last_root = event
                took = f"{1000 * float(event.get('latency_s', 0)):.0f} ms{', final' if event.get('final') else ''}"
                say(f"  {event.get('seq'):>3}  {event.get('root')}  {took}")
                if event.get("final"):
                    self._final.set()
            case _:
                if event.get("level") in {"warning", "error", "critical"}:
                    say(f"  {event.get('level')}: {event.get('event')} {event.get('reason', '')}".rstrip())

    def _greet(self) -> None:
        names = ", ".join(f"{each.name}" for each in RENDITIONS)
        say(f"Live: a test pattern in {names}; a new root every 4 s (Ctrl-C ends it).")
        say(f"  player     {self._address}/play/demo")
        say(f"  dashboard  {self._address}/")
        say("Roots, and how long each took from its tick to its announcement:")

    def _farewell(self) -> None:
        root, entry = self._last_root.get("root"), self._last_root.get("entry")
        hlspub, config = os.path.relpath(Path(sys.executable).with_name("hlspub")), os.path.relpath(self._config)
        say("")
        say(f"The final root of {self._roots}, the whole recording:")
        say(f"  ipfs://{root}/{entry}")
        say("It is kept on this machine. To look at it again:")
        say(f"  check it   {hlspub} verify {root} --config {config}")
        say(f"  take it    {hlspub} export {root} -o demo.car --config {config}")
        say(f"  files      {os.path.relpath(self._place)}")


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a task group was ended by: the first error in it that is no group itself."""
    first = group.exceptions[0]
    return (
        first_of(cast("BaseExceptionGroup[BaseException]", first)) if isinstance(first, BaseExceptionGroup) else first
    )


def say(line: str) -> None:
    """Tell the person who watches; the demo's answer is what it says."""
    click.echo(line)


def free_port(preferred: int) -> int:
    """`preferred` when nothing listens there, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return 0
    return preferred


def event_of(line: str) -> Mapping[str, Any]:
    """A log line as an event; a line that is none is told as it is."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    return cast("dict[str, Any]", event) if isinstance(event, dict) else {"event": line}


async def lines(stream: ByteReceiveStream | ObjectReceiveStream[bytes]) -> AsyncIterator[str]:
    """The lines of a byte stream."""
    rest = ""
    async for text in TextReceiveStream(stream, errors="replace"):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            yield line
    if rest:
        yield rest


@asynccontextmanager
async def started(command: list[str]) -> AsyncGenerator[Process]:
    """A process outside the terminal's group, so that Ctrl-C reaches only the demo; killed when its context is left."""
    process = await anyio.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()

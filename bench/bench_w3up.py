"""A live stream into the real service code of w3up, by hlspub and beside it as the first system stored it.

    python bench/bench_w3up.py

One ffmpeg writes three renditions, segments of two seconds, for a minute; hlspub and the first system follow the same
directory at the same time, each into a service of its own. The first system: for each media segment, when it is closed, one
process that packs it (`ipfs-car`) and one that stores it (the service's own client); playlists, roots and indexes are left out,
which is in its favour. Then hlspub follows the same stream alone, CARs sent together and each for itself. Needs Node.js and
the packages of tests/node and tests/node/w3up.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import FileClosedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rows import Row, main
from tests.support.daemon import until
from tests.support.site import Site
from tests.support.space import into
from tests.support.transcoder import Ffmpeg
from tests.targets.w3up_service import NODE, Service, serving

SECONDS = 60
PICTURES = (("720p", 1280, 720, 2500), ("480p", 854, 480, 1000), ("240p", 426, 240, 400))
AT_ONCE = 8  # files that the first system has under way; more would wait for the processor anyway
PACKER = NODE.parent / "node_modules" / ".bin" / "ipfs-car"
CONFIRMED = """
SELECT confirmed_at - mtime_ns / 1e9 FROM file JOIN shard_car USING (car_id) JOIN shard USING (shard_id)
JOIN target USING (target_id) WHERE name = 'space' AND path NOT LIKE '%.m3u8'
"""


@dataclass
class Way:
    """What one way of storing took; `late_s`: from a segment's closing to its confirmation."""

    late_s: list[float] = field(default_factory=list[float])
    cpu_s: float = 0.0
    requests: int = 0
    blob_bytes: int = 0
    talk_bytes: int = 0  # UCAN messages, both ways

    def count(self, service: Service, wire: Path) -> None:
        """What the service saw."""
        asked = [one for one in service.log() if one["kind"] in ("put", "receipt")]
        self.requests = len(asked) + len(list(wire.glob("*-request.car")))
        self.blob_bytes = sum(one["size"] for one in service.ask("blobs"))
        self.talk_bytes = sum(file.stat().st_size for file in wire.glob("*.car"))


@dataclass(eq=False)
class FirstSystem(FileSystemEventHandler):
    """Stores each media segment of a directory by two processes."""

    service: Service
    proof: str
    folder: Path
    way: Way = field(default_factory=Way)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE))
    _stored: list[Future[None]] = field(default_factory=list[Future[None]])
    _seen: int = 0

    def on_any_event(self, event: FileSystemEvent) -> None:
        """A file was closed."""
        path = Path(os.fsdecode(event.src_path))
        if isinstance(event, FileClosedEvent) and path.suffix == ".ts":
            self._seen += 1
            self._stored.append(self._pool.submit(self._store, path, self._seen))

    def _store(self, path: Path, number: int) -> None:
        car = self.folder / f"{number}.car"
        spent = _run([str(PACKER), "pack", str(path), "--no-wrap", "--output", str(car)])
        ready = self.service.ready
        client = ["node", "store.mjs", self.service.url, ready["service_did"], ready["agent"]["key_multibase"]]
        spent += _run([*client, self.proof, str(car)])
        with self._lock:
            self.way.late_s.append(time.time() - path.stat().st_mtime)
            self.way.cpu_s += spent

    @contextmanager
    def following(self, directory: Path) -> Generator[None]:
        """While ffmpeg writes; returns when all is stored."""
        observer = Observer()
        observer.schedule(self, str(directory), recursive=True)
        observer.start()
        try:
            yield
        finally:
            observer.stop()
            observer.join()
            self._pool.shutdown()
        for each in self._stored:
            each.result()  # one that failed would make the rest look cheap


def _run(command: Sequence[str]) -> float:
    """Run it; returns the processor time that it took, in seconds."""
    with subprocess.Popen(command, cwd=NODE, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[:2])
    return usage.ru_utime + usage.ru_stime


def followed(folder: Path, *, beside: bool, **table: object) -> tuple[Way, Way | None, Sequence[Path]]:
    """One minute of the stream by hlspub, with the first system beside it or not; and the stream's segments."""
    wire, other_wire = folder / "wire", folder / "other-wire"
    site, ours = Site(folder), Way()
    site.configure(publish_interval="4s", settle="2s", rescan="5s")
    with ExitStack() as stack:
        stack.callback(site.close)
        service = stack.enter_context(serving(WIRE_DIR=str(wire)))
        into(site, service, service.space(), **table)
        daemon = site.daemon()
        daemon.ready()
        first = None
        if beside:
            other = stack.enter_context(serving(WIRE_DIR=str(other_wire)))
            first = FirstSystem(other, other.space(can=["*"])["proof"]["cid_string"], folder)
        with ExitStack() as live:
            if first is not None:
                live.enter_context(first.following(site.hls))
            ffmpeg = live.enter_context(Ffmpeg(site.hls, SECONDS, PICTURES, segment_s=2))
            ffmpeg.finish()
        daemon.wait("root.published", 240, final=True)
        until(lambda: not site.spooled(), "everything is confirmed")
        ours.cpu_s = _spent_s(daemon.pid)
        daemon.stop(60)
        ours.count(service, wire)
        if first is not None:
            first.way.count(first.service, other_wire)
        with sqlite3.connect(f"file:{site.data}/journal.sqlite?mode=ro", uri=True) as journal:
            ours.late_s = [row[0] for row in journal.execute(CONFIRMED)]
        return ours, first.way if first else None, sorted(site.hls.rglob("*.ts"))


def _spent_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)] if ranked else float("nan")


def rows(way: Way, media: Sequence[Path]) -> list[Row]:
    """A way's figures, for each segment."""
    size, count = sum(path.stat().st_size for path in media), len(media)
    return [
        Row("requests a segment", way.requests / count, ""),
        Row("bytes a segment beside its own: blobs", (way.blob_bytes - size) / count, "B"),
        Row("bytes a segment beside its own: messages", way.talk_bytes / count, "B"),
        Row("processor time a segment", 1000 * way.cpu_s / count, "ms"),
        Row("closed to confirmed, p50", percentile(way.late_s, 0.5), "s", note=f"{len(way.late_s)} segments"),
        Row("closed to confirmed, p95", percentile(way.late_s, 0.95), "s"),
    ]


def measure() -> Mapping[str, Sequence[Row]]:
    found: dict[str, Sequence[Row]] = {}
    place = Path(tempfile.mkdtemp(prefix="hlspub-bench-"))
    try:
        for name in ("beside", "together", "alone"):
            (place / name).mkdir()
        ours, first, media = followed(place / "beside", beside=True)
        if first is None:
            raise RuntimeError("the first system was to follow")
        found["both follow one stream: the first system, two processes a file"] = rows(first, media)
        found["both follow one stream: hlspub"] = [
            *rows(ours, media),
            Row("requests, of the first system's", ours.requests / first.requests, "x", must=1, aim=0.5),
            Row("processor time, of the first system's", ours.cpu_s / first.cpu_s, "x", must=0.5, aim=0.1),
        ]
        ours, _, media = followed(place / "together", beside=False)
        found["hlspub, while nothing else runs"] = rows(ours, media)
        ours, _, media = followed(place / "alone", beside=False, shard_cars=1)
        found["hlspub, each CAR a shard of its own"] = rows(ours, media)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return found


if __name__ == "__main__":
    sys.exit(main(str(__doc__), measure))

"""Hours of a live stream in minutes: does anything grow that should not?

    python bench/long.py [--retention window|archive] [--hours 6] [--speed 60] [--plot FILE.svg] [--json FILE]

Three renditions, segments of two seconds of stream time, written `speed` times as fast as they play. Looked at are the
daemon's memory, its open files, journal, spool and store on disk, and from each interval's tick to its root. The first tenth
is the start; afterwards nothing may grow but, under `archive`, by what P6 allows an entry. Exit status 1 when it does.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.daemon import Daemon
from tests.support.judges import root_of
from tests.support.site import Site
from tests.support.writer import replace

RENDITIONS = ("a", "b", "c")
SEGMENT_S, SEGMENT = 2, 10_000
LISTED, KEPT = 150, 30  # segments of a window: listed (each in some version that is taken), and left on disk behind it
LOOKS = 120  # at the daemon
FLAT = 1.10  # what memory, files and time may grow to after the first tenth
ENTRY = 700  # bytes of memory an entry may cost under `archive` (P6)
MIB = 1 << 20


@dataclass(slots=True)
class Pace:
    """A transcoder's output at a multiple of its speed; `late_s` says how far the writing fell behind."""

    directory: Path
    window: bool
    segments: int  # of each rendition
    every_s: float
    written: int = 0
    late_s: float = 0.0
    texts: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in RENDITIONS})

    def run(self) -> None:
        """Write everything, and the end."""
        lines = [b"#EXTM3U"]
        for number, name in enumerate(RENDITIONS, 1):
            (self.directory / name).mkdir()
            lines += [b"#EXT-X-STREAM-INF:BANDWIDTH=%d00000" % number, b"%b/index.m3u8" % name.encode()]
        (self.directory / "master.m3u8").write_bytes(b"\n".join([*lines, b""]))
        start = time.monotonic()
        for number in range(self.segments):
            wait_s = start + number * self.every_s - time.monotonic()
            self.late_s = max(self.late_s, -wait_s)
            time.sleep(max(0.0, wait_s))
            for name in RENDITIONS:
                self.step(name, number)
            self.written = number + 1
        for name in RENDITIONS:
            self.list(name, end=True)

    def step(self, name: str, number: int) -> None:
        pattern = sha256(b"%b/%d" % (name.encode(), number)).digest()
        (self.directory / name / f"segment_{number:06d}.ts").write_bytes(pattern * (SEGMENT // len(pattern)))
        self.texts[name].append(b"#EXTINF:%d.000000,\nsegment_%06d.ts\n" % (SEGMENT_S, number))
        self.list(name, end=False)
        if self.window and number >= LISTED + KEPT:
            (self.directory / name / f"segment_{number - LISTED - KEPT:06d}.ts").unlink()

    def list(self, name: str, *, end: bool) -> None:
        texts = self.texts[name]
        first = max(0, len(texts) - LISTED) if self.window else 0
        head = b"#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n" % (SEGMENT_S, first)
        tail = [b"#EXT-X-ENDLIST\n"] if end else []
        replace(self.directory / name / "index.m3u8", b"".join([head, *texts[first:], *tail]))


@dataclass(frozen=True, slots=True)
class Look:
    """The daemon at one time."""

    at_s: float
    entries: int
    rss_bytes: int
    open_files: int
    journal_bytes: int
    spool_bytes: int
    store_bytes: int
    cpu_s: float


def look(site: Site, daemon: Daemon, entries: int, since: float) -> Look:
    process = Path(f"/proc/{daemon.pid}")
    ticks = process.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
    return Look(
        time.monotonic() - since,
        entries,
        int(process.joinpath("statm").read_text().split()[1]) * 4096,
        sum(1 for _ in process.joinpath("fd").iterdir()),
        sum(file.stat().st_size for file in site.data.glob("journal.sqlite*")),
        _under(site.data / "spool"),
        _under(site.data / "local"),
        sum(map(int, ticks)) / 100,
    )


def _under(top: Path) -> int:
    size = 0
    for file in top.rglob("*.car"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:
            continue
    return size


def measure(site: Site, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run the stream once."""
    window = chosen.retention == "window"
    site.hls.mkdir()
    site.config.write_text(
        f'data_dir = "data"\nlog_format = "json"\n[stream.main]\npath = "main"\nretention = "{chosen.retention}"\n'
        f'publish_interval = "1s"\n[publish]\nkeep_roots = "20s"\n[gateway]\nlisten = "127.0.0.1:0"\n'
    )
    daemon = site.daemon()
    daemon.ready()
    segments = int(chosen.hours * 3600 / SEGMENT_S)
    pace = Pace(site.hls, window, segments, SEGMENT_S / chosen.speed)
    since, looks = time.monotonic(), list[Look]()
    writer = threading.Thread(target=pace.run, name="writer")
    writer.start()
    while writer.is_alive():
        writer.join(segments * pace.every_s / LOOKS)
        looks.append(look(site, daemon, pace.written * len(RENDITIONS), since))
        site.hlspub("gc")  # what the daemon does by itself every five minutes, of which there are as many as looks
    took_s = time.monotonic() - since
    final = daemon.wait("root.published", 120, final=True)
    roots = site.published()
    expected = {path: data for path, data in site.files().items() if not window or _listed(path, segments)}
    code = daemon.stop(60)
    return {
        "retention": chosen.retention,
        "hours": chosen.hours,
        "speed": chosen.hours * 3600 / took_s,
        "files": segments * len(RENDITIONS),
        "late_s": pace.late_s,
        "looks": [asdict(one) for one in looks],
        "latency_s": [[event["_at"] - since, event["latency_s"]] for event in roots],
        "final_root_as_expected": final["root"] == root_of(expected),
        "exit_code": code,
        "lost": len(daemon.of("segment.lost")),
        "spooled": len(site.spooled()),
        "journal_faults": site.journal_faults(),
    }


def _listed(path: str, segments: int) -> bool:
    name = Path(path).name
    return not name.startswith("segment_") or int(name[8:14]) >= segments - LISTED


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else float("nan")


def _slope(looks: Sequence[Mapping[str, float]]) -> float:
    """Bytes of memory an entry: the line of least squares."""
    middle = sum(one["entries"] for one in looks) / len(looks)
    steps = [one["entries"] - middle for one in looks]
    return sum(step * one["rss_bytes"] for step, one in zip(steps, looks, strict=True)) / sum(s * s for s in steps)


def verdicts(told: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """(what, figure, whether it holds)."""
    looks: list[dict[str, float]] = told["looks"]
    after = looks[len(looks) // 10 :]
    early, late = after[: len(after) // 10 or 1], after[-len(after) // 4 :]
    rows: list[tuple[str, str, bool]] = []

    def grown(name: str) -> tuple[float, float, float]:
        was, now = median([one[name] for one in early]), median([one[name] for one in late])
        return was, now, now / was if was else float(now > 0)

    was, now, ratio = grown("rss_bytes")
    text = f"{was / MIB:.1f} -> {now / MIB:.1f} MiB"
    if told["retention"] == "window":
        rows.append(("memory", text, ratio <= FLAT))
        for name in ("journal_bytes", "store_bytes"):
            was, now, ratio = grown(name)
            rows.append((name.replace("_bytes", ""), f"{was / MIB:.1f} -> {now / MIB:.1f} MiB", ratio <= FLAT))
    else:
        slope = _slope(looks[len(looks) // 2 :])  # by then the caches are full
        rows.append(("memory", f"{text}, {slope:.0f} bytes an entry", slope <= ENTRY))
    was, now, ratio = grown("open_files")
    rows.append(("open files", f"{was:.0f} -> {now:.0f}", now <= was + 2))
    peak = max(one["spool_bytes"] for one in looks)
    rows.append(("spool, at most", f"{peak / MIB:.1f} MiB; {told['spooled']} CARs at the end", told["spooled"] == 0))
    latency = [took for _, took in told["latency_s"]]
    tenth = len(latency) // 10
    was, now = median(latency[tenth : 2 * tenth]), median(latency[-len(latency) // 4 :])
    rows.append(("tick -> root", f"{was * 1e3:.0f} -> {now * 1e3:.0f} ms, {len(latency)} roots", now <= 2 * was + 0.05))
    cpu = looks[-1]["cpu_s"] / looks[-1]["at_s"]
    rows.append(("CPU", f"{cpu:.2f} cores at {told['speed']:.0f} x: {cpu / told['speed']:.4f} live", True))
    rows.append(
        ("final root", "as expected" if told["final_root_as_expected"] else "OTHER", told["final_root_as_expected"])
    )
    rows.append(("journal faults, lost, exit", f"{told['journal_faults']}, {told['lost']}, {told['exit_code']}",
                 not told["journal_faults"] and not told["lost"] and not told["exit_code"]))  # fmt: skip
    return rows


PANELS = (
    ("memory, MiB", "rss_bytes", MIB),
    ("open files", "open_files", 1),
    ("journal, MiB", "journal_bytes", MIB),
    ("store, MiB", "store_bytes", MIB),
    ("spool, MiB", "spool_bytes", MIB),
)


def plot(told: Mapping[str, Any]) -> str:
    """The curves over stream time, one below the other."""
    looks, hours = told["looks"], told["hours"]
    end = looks[-1]["at_s"]
    curves = [(name, [(one["at_s"] / end, one[key] / unit) for one in looks]) for name, key, unit in PANELS]
    curves.append(("tick to root, ms", [(min(1.0, at / end), took * 1e3) for at, took in told["latency_s"]]))
    size = f'viewBox="0 0 720 {len(curves) * 110 + 30}" font-family="sans-serif" font-size="12"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    for row, (name, points) in enumerate(curves):
        top, most = row * 110 + 10, max(value for _, value in points) or 1
        line = " ".join(f"{60 + 640 * x:.1f},{top + 90 - 80 * value / most:.1f}" for x, value in points)
        parts += [
            f'<text x="60" y="{top + 8}">{name}</text><text x="54" y="{top + 16}" text-anchor="end">{most:.3g}</text>',
            f'<text x="54" y="{top + 92}" text-anchor="end">0</text>',
            f'<path d="M60 {top + 90}H700" stroke="#999"/><polyline fill="none" stroke="#06c" points="{line}"/>',
        ]
    return "\n".join(
        [*parts, f'<text x="700" y="{len(curves) * 110 + 22}" text-anchor="end">{hours:g} h</text></svg>\n']
    )


def main() -> int:
    """Measure and tell; 1 when something grew that should not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retention", choices=("window", "archive"), default="window")
    parser.add_argument("--hours", type=float, default=6, help="of the stream")
    parser.add_argument("--speed", type=float, default=60, help="times as fast as it plays")
    parser.add_argument("--plot", type=Path, help="draw the curves there, as SVG")
    parser.add_argument("--json", type=Path, help="write all that was measured there")
    chosen = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="hlspub-bench-"))
    site = Site(place)
    try:
        told = measure(site, chosen)
    finally:
        site.close()
        shutil.rmtree(place)
    if chosen.json:
        chosen.json.write_text(json.dumps(told) + "\n", encoding="utf-8")
    if chosen.plot:
        chosen.plot.write_text(plot(told), encoding="utf-8")
    print(f"{told['hours']:g} h of {len(RENDITIONS)} renditions at {told['speed']:.0f} x, {told['files']} segments,"
          f" {told['retention']}; the writer was {told['late_s']:.1f} s late at most")  # fmt: skip
    rows = verdicts(told)
    for what, figure, holds in rows:
        print(f"  {what:<28} {figure:<52} {'' if holds else 'MISSED'}".rstrip())
    return int(not all(holds for _, _, holds in rows))


if __name__ == "__main__":
    sys.exit(main())

"""One minute of a live stream, measured: a real ffmpeg, three renditions, segments of two seconds, a root every four.

    python bench/live.py [--end endlist|signal] [--seconds 60] [--json FILE]

Told are: from a file's closing to its being taken (in the journal), from the interval's tick to the announced root, the most
memory that the daemon held, and what the checker missed that fetches every announced root through the gateway.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.checker import Following
from tests.support.daemon import Daemon
from tests.support.judges import ended, root_of
from tests.support.site import Site
from tests.support.transcoder import Ffmpeg

PICTURES = (("720p", 1280, 720, 2500), ("480p", 854, 480, 1000), ("240p", 426, 240, 400))
INTERVAL = "4s"
MIB = 1 << 20


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)] if ranked else float("nan")


def measure(site: Site, end: str, seconds: float) -> dict[str, Any]:
    """Run the stream once."""
    daemon: Daemon = site.configure(publish_interval=INTERVAL, settle="2s", rescan="5s").daemon()
    base = daemon.ready()
    idle_rss = daemon.peak_rss_bytes()
    open_end = end == "signal"
    flags = ("-hls_list_size", "0", *(("-hls_flags", "omit_endlist") if open_end else ()))
    with (
        Ffmpeg(site.hls, seconds, PICTURES, segment_s=2, hls=flags) as ffmpeg,
        Following(base, "main", site.published, site.hls) as following,
    ):
        ffmpeg.finish()
        if open_end:
            daemon.send(signal.SIGUSR1)
        final = daemon.wait("root.published", 60, final=True)
        peak_rss = daemon.peak_rss_bytes()
    misses = [*following.roots.misses, *following.live.misses, *map(repr, following.bugs)]
    written = site.files()
    expected = root_of(ended(written) if open_end else written)
    taken = [event["took_s"] for event in daemon.of("file.taken")]
    media = [event["took_s"] for event in daemon.of("file.taken") if not event["path"].endswith(".m3u8")]
    roots = site.published()
    latency = [event["latency_s"] for event in roots]
    code = daemon.stop(60)
    return {
        "end": end,
        "seconds": seconds,
        "files": len(written),
        "bytes": sum(map(len, written.values())),
        "roots": len(roots),
        "taken": len(taken),
        "taken_p50_s": percentile(taken, 0.5),
        "taken_p95_s": percentile(taken, 0.95),
        "media_taken_p50_s": percentile(media, 0.5),
        "media_taken_p95_s": percentile(media, 0.95),
        "announced_p50_s": percentile(latency, 0.5),
        "announced_p95_s": percentile(latency, 0.95),
        "announced_max_s": max(latency),
        "rss_at_start_bytes": idle_rss,
        "rss_peak_bytes": peak_rss,
        "fetched": following.roots.fetched + following.live.fetched,
        "live_looks": following.live.roots,
        "misses": len(misses),
        "missed": misses[:10],
        "final_root": final["root"],
        "final_root_as_expected": final["root"] == expected,
        "errors": [event["event"] for event in daemon.troubles()],
        "exit_code": code,
        "spooled": len(site.spooled()),
        "journal_faults": site.journal_faults(),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
    }


def table(told: dict[str, Any]) -> str:
    """The figures for people."""

    def ms(name: str) -> str:
        return f"{told[name] * 1000:.0f} ms"

    rows = [
        (
            "stream",
            f"{told['seconds']:.0f} s, {len(PICTURES)} renditions, {told['files']} files, {told['bytes'] / MIB:.1f} MiB",
        ),
        ("ended by", told["end"]),
        ("roots announced", str(told["roots"])),
        ("file closed → taken", f"p50 {ms('taken_p50_s')}   p95 {ms('taken_p95_s')}   ({told['taken']} files)"),
        ("  media alone", f"p50 {ms('media_taken_p50_s')}   p95 {ms('media_taken_p95_s')}"),
        (
            "tick → announced",
            f"p50 {ms('announced_p50_s')}   p95 {ms('announced_p95_s')}   max {ms('announced_max_s')}",
        ),
        ("peak RSS", f"{told['rss_peak_bytes'] / MIB:.0f} MiB   (at start {told['rss_at_start_bytes'] / MIB:.0f} MiB)"),
        ("checker", f"{told['misses']} misses in {told['fetched']} fetches, {told['live_looks']} looks at /live"),
        (
            "final root",
            f"{told['final_root']}, {'as expected' if told['final_root_as_expected'] else 'NOT as expected'}",
        ),
        (
            "left over",
            f"{told['spooled']} CARs spooled, {len(told['journal_faults'])} faults, exit {told['exit_code']}",
        ),
        ("machine", f"{told['machine']['cores']} cores, load {told['machine']['load']:.1f}"),
    ]
    return "\n".join(f"{name:<20}  {value}" for name, value in rows)


def main() -> int:
    """Measure and tell; 1 when anything was missing or not as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--end", choices=("endlist", "signal"), default="endlist")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    chosen = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="hlspub-bench-"))
    site = Site(place)
    try:
        told = measure(site, chosen.end, chosen.seconds)
    finally:
        site.close()
        shutil.rmtree(place)
    print(table(told))
    if chosen.json:
        chosen.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return int(bool(told["misses"] or told["errors"] or not told["final_root_as_expected"] or told["exit_code"]))


if __name__ == "__main__":
    sys.exit(main())

"""Reading playlists of 50,000 segments: the scanner against `m3u8.loads` in the same run, and a grown playlist's rescan.

Run: python bench/bench_scan.py [--json]
"""

import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping

import m3u8
from rows import Row, main

from hlspub.hls.scan import rescan, scan

SEGMENTS = 50_000
ROUNDS = 3
PATH = "live/index.m3u8"
HEADER = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n"
GROWTH = b"#EXTINF:4.000000,\nseg999999.ts\n"


def plain(n: int) -> str:
    return f"#EXTINF:4.000000,\nseg{n:06}.ts\n"


def dated(n: int) -> str:
    date = f"2026-01-01T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000+0000"
    return f"#EXTINF:4.000000,\n#EXT-X-PROGRAM-DATE-TIME:{date}\nseg{n:06}.ts\n"


def odd_durations(n: int) -> str:
    return f"#EXTINF:{4 + n * 7919 % 1000 / 1000:.6f},\nseg{n:06}.ts\n"


def interrupted(n: int) -> str:
    return ("" if n % 100 else "#EXT-X-DISCONTINUITY\n") + plain(n)


def encrypted(n: int) -> str:
    return ("" if n % 100 else f'#EXT-X-KEY:METHOD=AES-128,URI="k{n}.key"\n') + plain(n)


def with_gaps(n: int) -> str:
    return ("" if n % 100 else "#EXT-X-GAP\n") + plain(n)


def changing(n: int) -> str:
    return ("" if n % 100 else f'#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init{n}.mp4"\n') + plain(n)


def following(n: int) -> str:
    return f"#EXTINF:4.000000,\n#EXT-X-BYTERANGE:{9000 + n % 100}\nall.ts\n"


def ranged(n: int) -> str:
    return f"#EXTINF:4.000000,\n#EXT-X-BYTERANGE:{9000 + n % 100}@{n * 9100}\nall.ts\n"


# What must be reached is what transcoders write by default; the others are told.
SHAPES: Mapping[str, tuple[Callable[[int], str], float | None]] = {
    "plain": (plain, 25),
    "with dates": (dated, None),
    "with a duration of its own each": (odd_durations, None),
    "with a discontinuity every 100": (interrupted, None),
    "with a key every 100": (encrypted, None),
    "with a gap every 100": (with_gaps, None),
    "with an initialization section every 100": (changing, None),
    "by byte range": (ranged, None),
    "by byte range without offsets": (following, None),
}


def seconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The shortest of several runs each, taken by turns, so that a busy machine is busy for all of them."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def bytes_an_entry(data: bytes) -> float:
    """Memory that a playlist keeps, for each segment."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    playlist = scan(data, PATH)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / playlist.segments


def rows_of(write: Callable[[int], str], times: float | None) -> list[Row]:
    text = HEADER + "".join(map(write, range(SEGMENTS)))
    data = text.encode()
    grown = data + GROWTH
    before = scan(data, PATH)
    assert rescan(grown, PATH, before) == scan(grown, PATH)
    took = seconds(
        {
            "scan": lambda: scan(data, PATH),
            "m3u8": lambda: m3u8.loads(text),
            "rescan": lambda: rescan(grown, PATH, before),
        }
    )
    note = f"{took['scan'] * 1000:.1f} ms against {took['m3u8'] * 1000:.0f} ms"
    return [
        Row("scan, against m3u8.loads", took["m3u8"] / took["scan"], "x", times, times, at_least=True, note=note),
        Row(
            "rescan of one more segment, against a scan",
            took["scan"] / took["rescan"],
            "x",
            note=f"{took['rescan'] * 1000:.2f} ms",
        ),
        Row("memory an entry", bytes_an_entry(data), "B", 250, 250),
    ]


def measure() -> dict[str, list[Row]]:
    return {f"{SEGMENTS} segments, {name}": rows_of(*shape) for name, shape in SHAPES.items()}


if __name__ == "__main__":
    sys.exit(main("measure reading playlists", measure))

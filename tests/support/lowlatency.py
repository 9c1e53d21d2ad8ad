"""A writer of Low-Latency HLS (RFC 8216bis §4.4.3.8, §4.4.4.9, §B): segments in parts, a hint of the next part, a window.

    python -m tests.support.lowlatency MEDIA DIRECTORY

It replays MEDIA, a finished media playlist `index.m3u8` and its MPEG-TS segments, at the speed of life. A part is a file of
its own, written before the playlist that lists it; a segment is written whole when its last part is. Parts stay listed for
three segments, and are deleted two segments later. Playlists are renamed into place.
"""

import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

PARTS = 4  # of a segment
PACKET = 188  # bytes: MPEG-TS
LISTED = 6  # segments in the window
KEPT = 3  # segments, newest, whose parts are listed
DELETED = 5  # segments after which parts are deleted


@dataclass(slots=True, eq=False)
class LowLatency:
    """Writes into `directory` what `segments` hold: the duration in seconds and the bytes of each."""

    directory: Path
    segments: list[tuple[float, bytes]]
    _parts: dict[int, list[str]] = field(default_factory=dict[int, list[str]])  # by segment: its EXT-X-PART lines

    def run(self) -> None:
        """Write all, then EXT-X-ENDLIST."""
        due = time.monotonic()
        for number, (duration, data) in enumerate(self.segments):
            lines = self._parts[number] = []
            for part, piece in enumerate(_pieces(data)):
                due += duration / PARTS
                time.sleep(max(0.0, due - time.monotonic()))
                (self.directory / _part(number, part)).write_bytes(piece)
                independent = ",INDEPENDENT=YES" if part == 0 else ""
                lines.append(f'#EXT-X-PART:DURATION={duration / PARTS:.5f},URI="{_part(number, part)}"{independent}')
                is_last = part == PARTS - 1
                if is_last:
                    (self.directory / _name(number)).write_bytes(data)
                self._publish(number + is_last, _part(number + is_last, 0 if is_last else part + 1))
            self._forget(number - DELETED)
        self._publish(len(self.segments), None)

    def _publish(self, finished: int, hint: str | None) -> None:
        """The playlist when that many segments are finished; without a hint, the last one."""
        first = max(0, finished - LISTED)
        target = max(round(duration) for duration, _ in self.segments)
        part_target = max(duration for duration, _ in self.segments) / PARTS
        lines = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{target}"]
        lines += [f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={part_target * 3:.5f}"]
        lines += [f"#EXT-X-PART-INF:PART-TARGET={part_target:.5f}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for number in range(first, finished + 1):
            if finished - number < KEPT:
                lines += self._parts.get(number, [])
            if number < finished:
                lines += [f"#EXTINF:{self.segments[number][0]:.5f},", _name(number)]
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"' if hint else "#EXT-X-ENDLIST")
        path = self.directory / "index.m3u8"
        temporary = path.with_name("index.m3u8.tmp")
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        temporary.replace(path)

    def _forget(self, number: int) -> None:
        for part in range(PARTS if number >= 0 else 0):
            (self.directory / _part(number, part)).unlink()


def _name(number: int) -> str:
    return f"seg_{number:05}.ts"


def _part(number: int, part: int) -> str:
    return f"seg_{number:05}.{part}.ts"


def _pieces(data: bytes) -> list[bytes]:
    packets = len(data) // PACKET
    edges = [packets * part // PARTS * PACKET for part in range(PARTS)] + [len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def recorded(media: Path) -> list[tuple[float, bytes]]:
    """The duration in seconds and the bytes of each segment of the playlist in `media`."""
    lines = (media / "index.m3u8").read_text(encoding="utf-8").splitlines()
    durations = [float(line[8:].partition(",")[0]) for line in lines if line.startswith("#EXTINF:")]
    names = [line for line in lines if line and not line.startswith("#")]
    return [(duration, (media / name).read_bytes()) for duration, name in zip(durations, names, strict=True)]


if __name__ == "__main__":
    LowLatency(Path(sys.argv[2]), recorded(Path(sys.argv[1]))).run()

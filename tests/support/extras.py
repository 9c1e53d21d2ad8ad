"""A writer of what rarely stands in a playlist: content steering, delta updates, assets of date ranges.

    python -m tests.support.extras steering|delta-updates|assets MEDIA DIRECTORY

It replays MEDIA, a finished media playlist `index.m3u8` and its MPEG-TS segments, at the speed of life, as a window of
`video/index.m3u8` below `master.m3u8`. Playlists are renamed into place. Source: RFC 8216bis §4.4.5.2 (EXT-X-SKIP), §4.4.6.6
(EXT-X-CONTENT-STEERING), appendix D (X-ASSET-URI, X-ASSET-LIST).
"""

import json
import sys
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests.support.lowlatency import recorded

LISTED = 6  # segments in the window
SKIPPED = 2  # the oldest of them, in a delta update


@dataclass(slots=True, eq=False)
class Extras:
    """Writes into `directory` what `segments` hold: the duration in seconds and the bytes of each."""

    mode: str
    directory: Path
    segments: list[tuple[float, bytes]]

    def run(self) -> None:
        """Write all, then EXT-X-ENDLIST."""
        (self.directory / "video").mkdir()
        due = time.monotonic()
        for number, (duration, data) in enumerate(self.segments):
            due += duration
            time.sleep(max(0.0, due - time.monotonic()))
            (self.directory / "video" / f"{number}.ts").write_bytes(data)
            self._publish(number + 1)
            if number == 0:
                self._begin()
        self._publish(len(self.segments), ended=True)

    def _begin(self) -> None:
        """What is written once."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:9"]
        if self.mode == "steering":
            manifest = {"VERSION": 1, "TTL": 300, "PATHWAY-PRIORITY": ["here"]}
            (self.directory / "steering.json").write_text(json.dumps(manifest), encoding="utf-8")
            lines.append('#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="here"')
        if self.mode == "assets":
            asset = {"ASSETS": [{"URI": "https://ads.example/one.m3u8", "DURATION": 1}]}
            (self.directory / "video" / "assets.json").write_text(json.dumps(asset), encoding="utf-8")
        pathway = ',PATHWAY-ID="here"' if self.mode == "steering" else ""
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH=400000{pathway}", "video/index.m3u8"]
        self._write("master.m3u8", lines)

    def _publish(self, finished: int, *, ended: bool = False) -> None:
        first = max(0, finished - LISTED)
        target = max(round(duration) for duration, _ in self.segments)
        head = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{target}"]
        if self.mode == "delta-updates" and not ended:
            head.append(f"#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={6 * target}.0")
        head.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        entries = [self._entry(number) for number in range(first, finished)]
        tail = ["#EXT-X-ENDLIST"] if ended else []
        if self.mode == "delta-updates" and len(entries) > SKIPPED:
            skip = f"#EXT-X-SKIP:SKIPPED-SEGMENTS={SKIPPED}"
            self._write("video/delta.m3u8", [*head, skip, *chain(*entries[SKIPPED:]), *tail])
        self._write("video/index.m3u8", [*head, *chain(*entries), *tail])

    def _entry(self, number: int) -> list[str]:
        lines = [f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:{number // 60:02}:{number % 60:02}.000Z"]
        if self.mode == "assets" and number == 2:
            lines += [
                _interstitial("list", 'X-ASSET-LIST="assets.json"'),
                _interstitial("one", 'X-ASSET-URI="ad/ad.m3u8"'),
            ]
        return [*lines, f"#EXTINF:{self.segments[number][0]:.5f},", f"{number}.ts"]

    def _write(self, name: str, lines: list[str]) -> None:
        path = self.directory / name
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        temporary.replace(path)


def _interstitial(name: str, asset: str) -> str:
    start = "2026-01-01T00:00:02.000Z"
    return f'#EXT-X-DATERANGE:ID="{name}",CLASS="com.apple.hls.interstitial",START-DATE="{start}",{asset},X-RESUME-OFFSET=0'


if __name__ == "__main__":
    Extras(sys.argv[1], Path(sys.argv[3]), recorded(Path(sys.argv[2]))).run()

"""What a viewer at another Kubo node gets: hlspub feeds one node, and everything is looked at through the second one's gateway.

Told are: roots that did not play there when they were announced, and from a segment's closing to its being there, by the root
that brings it and by the stream's name. The name's pace is its `interval`, its `ttl`, and how long the reader's node keeps it.
"""

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rows import Row, main
from tests.support.checker import OK, TIMEOUT_S, Checker, references
from tests.support.daemon import Daemon
from tests.support.kubo import two_nodes
from tests.support.site import Site
from tests.support.transcoder import SMALL, Ffmpeg

SEGMENT_S = 2
LOOK_S = 0.1  # between two looks at the name


class Pace(NamedTuple):
    """How a name is moved, how long the stream is, and what the reader's node is set to."""

    what: str
    seconds: float
    name: Mapping[str, str]
    reader: Mapping[str, object]


PACES = (
    Pace("name: interval 1 s, ttl 1 s", 60, {"interval": "1s", "ttl": "1s"}, {}),
    Pace("name: the defaults (interval 30 s, ttl 1 m)", 150, {}, {}),
    Pace("name: the defaults, Ipns.MaxCacheTTL = 1 s at the reader's node", 100, {}, {"Ipns.MaxCacheTTL": "1s"}),
)


@dataclass(slots=True)
class Arrivals:
    """When each segment was first there; `source` is where the transcoder wrote it, `looks` how long an entry took to come."""

    http: httpx.Client
    source: Path
    delays_s: dict[str, float] = field(default_factory=dict[str, float])
    looks_s: list[float] = field(default_factory=list[float])

    def look(self, base: str, entry: str = "master.m3u8") -> None:
        """Fetch entry, playlists and the segments that were not there before, as a player would."""
        started = time.monotonic()
        top = self._text(f"{base}/{entry}")
        self.looks_s.append(time.monotonic() - started)
        for playlist in [urljoin(entry, one.uri) for one in references(top or "#EXTM3U")]:
            for path in self._segments(base, playlist):
                if path not in self.delays_s and self.http.get(f"{base}/{path}").status_code == OK:
                    self.delays_s[path] = time.time() - (self.source / path).stat().st_mtime

    def _segments(self, base: str, playlist: str) -> Iterator[str]:
        text = self._text(f"{base}/{playlist}")
        return (urljoin(playlist, one.uri) for one in references(text or "#EXTM3U"))

    def _text(self, address: str) -> str | None:
        answer = self.http.get(address)
        return answer.text if answer.status_code == OK else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)] if ranked else float("nan")


def follow(daemon: Daemon, site: Site, act: Callable[[str, str], object]) -> None:
    """Do something with every root as it is announced, the final one last."""
    done = 0
    while True:
        is_over = bool(daemon.of("root.published", final=True))
        for event in site.published()[done:]:
            act(event["root"], event["entry"])
            done += 1
        if is_over:
            return
        time.sleep(0.02)


def one_pace(folder: Path, pace: Pace) -> list[Row]:
    """A stream at that pace."""
    site = Site(folder)
    with two_nodes(folder / "kubo", pace.reader) as (one, two):
        try:
            site.configure(publish_interval="2s", settle="2s", name="show")
            with site.config.open("a", encoding="utf-8") as config:
                for table in ("target", "router"):
                    config.write(f'[{table}.node]\nkind = "kubo"\nurl = "{one.url}"\n')
                config.write("[name.show]\n" + "".join(f'{key} = "{value}"\n' for key, value in pace.name.items()))
            name = site.hlspub("keys", "new", "show").stdout.split()[0]
            daemon = site.daemon()
            with (
                httpx.Client(base_url=two.gateway, timeout=TIMEOUT_S) as http,
                Checker(two.gateway, site.hls) as checker,
                Ffmpeg(site.hls, pace.seconds, SMALL, segment_s=SEGMENT_S) as ffmpeg,
            ):
                by_root, by_name = Arrivals(http, site.hls), Arrivals(http, site.hls)
                over = threading.Event()

                def watch_the_name() -> None:
                    while not over.wait(LOOK_S):
                        by_name.look(f"/ipns/{name}")

                daemon.wait("name.sent")
                threads = [
                    threading.Thread(
                        target=follow, args=(daemon, site, lambda root, entry: by_root.look(f"/ipfs/{root}", entry))
                    ),
                    threading.Thread(target=follow, args=(daemon, site, checker.check)),
                    threading.Thread(target=watch_the_name),
                ]
                for thread in threads:
                    thread.start()
                ffmpeg.finish()
                for thread in threads[:2]:
                    thread.join()
                over.set()
                threads[2].join()
        finally:
            site.close()
    roots, names = list(by_root.delays_s.values()), list(by_name.delays_s.values())
    return [
        Row("roots announced", checker.report.roots, ""),
        Row("misses under them at the second node", len(checker.report.misses), "", must=0, aim=0),
        Row("closed to there by root, p50", percentile(roots, 0.5), "s", note=f"{len(roots)} segments"),
        Row("closed to there by root, p95", percentile(roots, 0.95), "s"),
        Row("closed to there by name, p50", percentile(names, 0.5), "s", note=f"{len(names)} segments"),
        Row("closed to there by name, p95", percentile(names, 0.95), "s"),
        Row("a look at the name's entry, p50", percentile(by_name.looks_s, 0.5) * 1000, "ms"),
        Row("a look at the name's entry, the longest", max(by_name.looks_s) * 1000, "ms"),
    ]


def measure() -> Mapping[str, Sequence[Row]]:
    """Each pace in turn."""
    rows: dict[str, Sequence[Row]] = {}
    for number, pace in enumerate(PACES):
        folder = Path(tempfile.mkdtemp(prefix=f"hlspub-bench-{number}-"))
        try:
            rows[f"{len(SMALL)} renditions, a root every 2 s; {pace.what}"] = one_pace(folder, pace)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return rows


if __name__ == "__main__":
    sys.exit(main(str(__doc__), measure))

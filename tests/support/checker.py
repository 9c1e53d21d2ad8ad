"""The judge of live runs: fetches every announced root through the gateway, as a viewer would, and counts what is missing.

Rule: nothing of hlspub's is used to read a playlist; `references` below is a reader of its own, so that a mistake in hlspub's
cannot hide itself. A *miss* is an answer other than 200, or a body that is not as long as the answer said or as the file was
that the transcoder wrote. One body is fetched whole once; under later roots the same content (the same ETag, which is the CID)
is asked for with HEAD.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from tests.support.daemon import Event

OK = 200
TIMEOUT_S = 20.0
LIVE_PAUSE_S = 0.2
NEWEST = 3  # segments of each rendition that the live viewer fetches

_URI = re.compile(r'URI="([^"]*)"')


class Reference(NamedTuple):
    """What a playlist needs: another playlist, or media."""

    uri: str
    is_playlist: bool


def references(text: str) -> Iterator[Reference]:
    """Every required reference of a playlist, in order; raises ValueError for what is no playlist."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError(f"no playlist: {text[:40]!r}")
    variant = gap = False
    for line in lines[1:]:
        tag, _, attributes = line.partition(":")
        uri = _URI.search(attributes)
        if tag == "#EXT-X-STREAM-INF":
            variant = True
        elif tag in {"#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"} and uri:
            yield Reference(uri[1], is_playlist=True)
        elif (tag == "#EXT-X-MAP" or (tag == "#EXT-X-PART" and "GAP=YES" not in attributes)) and uri:
            yield Reference(uri[1], is_playlist=False)
        elif tag == "#EXT-X-GAP":
            gap = True
        elif line and not line.startswith("#"):
            if not gap:
                yield Reference(line, is_playlist=variant)
            variant = gap = False


@dataclass(slots=True)
class Report:
    """What was fetched, and what was missing, in words."""

    roots: int = 0
    fetched: int = 0
    misses: list[str] = field(default_factory=list[str])


@dataclass(slots=True, eq=False)
class Checker:
    """Checks roots at the gateway `base`. `source`: the transcoder's directory, to compare lengths with, where files stay."""

    base: str
    source: Path | None = None
    report: Report = field(default_factory=Report)
    _http: httpx.Client = field(init=False)
    _held: set[str] = field(default_factory=set[str])  # ETags of bodies that were fetched whole

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.base, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def check(self, root: str, entry: str) -> list[str]:
        """Walk one root from its entry; returns the paths of its media."""
        self.report.roots += 1
        media: list[str] = []
        waiting, seen = [entry], {entry}
        while waiting:
            playlist = waiting.pop()
            text = self.text(f"/ipfs/{root}/{playlist}")
            for reference in references(text) if text is not None else ():
                path = unquote(urlsplit(urljoin(playlist, reference.uri)).path)
                if path in seen:
                    continue
                seen.add(path)
                if reference.is_playlist:
                    waiting.append(path)
                else:
                    media.append(path)
                    self._media(root, path)
        return media

    def text(self, address: str) -> str | None:
        """A playlist's text; None and a miss when there is none."""
        answer = self._http.get(address)
        self.report.fetched += 1
        if answer.status_code != OK:
            self.report.misses.append(f"{answer.status_code} {address}")
            return None
        return answer.content.decode("utf-8")

    def body(self, address: str) -> bytes:
        """What an address answers, whole."""
        answer = self._http.get(address)
        answer.raise_for_status()
        return answer.content

    def status(self, address: str) -> int:
        """With which status an address answers."""
        return self._http.get(address).status_code

    def live(self, stream: str) -> None:
        """What a player does at the live address: the entry, each media playlist, the newest segments of each."""
        answer = self._http.get(f"/live/{stream}/", follow_redirects=True)
        if answer.status_code != OK:
            self.report.misses.append(f"{answer.status_code} /live/{stream}/")
            return
        self.report.roots += 1
        top = answer.url.path
        listed = [*references(answer.text)]
        playlists = [urljoin(top, each.uri) for each in listed if each.is_playlist]
        texts = [(path, self.text(path)) for path in playlists] or [(top, answer.text)]
        for path, text in texts:
            media = [each.uri for each in references(text or "#EXTM3U") if not each.is_playlist]
            for uri in media[-NEWEST:]:
                self.fetch(urljoin(path, uri))

    def fetch(self, address: str) -> int | None:
        """The length of a body that is there whole; None and a miss when it is not."""
        self.report.fetched += 1
        answer = self._http.head(address)
        if answer.status_code == OK and answer.headers["etag"] not in self._held:
            answer = self._http.get(address)
            if answer.status_code == OK and len(answer.content) != int(answer.headers["content-length"]):
                self.report.misses.append(f"{len(answer.content)} of {answer.headers['content-length']}: {address}")
                return None
        if answer.status_code != OK:
            self.report.misses.append(f"{answer.status_code} {address}")
            return None
        self._held.add(answer.headers["etag"])
        return int(answer.headers["content-length"])

    def _media(self, root: str, path: str) -> None:
        length = self.fetch(f"/ipfs/{root}/{path}")
        file = self.source / path if self.source else None
        if length is not None and file is not None and file.exists() and file.stat().st_size != length:
            self.report.misses.append(f"{length} bytes instead of {file.stat().st_size}: /ipfs/{root}/{path}")


@dataclass(slots=True, eq=False)
class Following:
    """Checks, in threads, every root that `events` tells of, and all the while the live address of `stream`."""

    base: str
    stream: str
    events: Callable[[], Sequence[Event]]  # the root.published events so far
    source: Path | None = None
    roots: Report = field(default_factory=Report)
    live: Report = field(default_factory=Report)
    bugs: list[BaseException] = field(default_factory=list[BaseException])
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._guard, args=(run,)) for run in (self._roots, self._live)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def finish(self) -> None:
        """Check what was announced until now, end, and fail where anything was missing."""
        self.__exit__()
        if self.bugs:
            raise self.bugs[0]
        assert self.roots.misses == []
        assert self.live.misses == []
        assert self.roots.roots == len(self.events())
        assert self.live.roots > 0

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as bug:  # noqa: BLE001 -- a thread's failure is told by `finish`
            self.bugs.append(bug)

    def _roots(self) -> None:
        with Checker(self.base, self.source, self.roots) as checker:
            done = 0
            while True:
                last = self._stop.is_set()
                for event in self.events()[done:]:
                    checker.check(event["root"], event["entry"])
                    done += 1
                if last:
                    return
                self._stop.wait(0.05)

    def _live(self) -> None:
        with Checker(self.base, None, self.live) as checker:
            while not self._stop.wait(LIVE_PAUSE_S):
                if self.events():
                    checker.live(self.stream)

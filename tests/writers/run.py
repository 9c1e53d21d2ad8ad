"""Runs one case: the writer writes, a daemon follows, the checker fetches every root, players play what is final."""

import json
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

from playwright.sync_api import Error

from tests.support.checker import Checker, Following, references
from tests.support.daemon import Daemon, Event, until
from tests.support.onlooker import Listing, Onlooker, listing
from tests.support.players import chromium, play, probe
from tests.support.programs import KEY_BYTES, RATE
from tests.support.site import Site
from tests.writers.cases import Case
from tests.writers.rows import Row

ROOT = Path(__file__).parents[2]
SEGMENT_S = 1.2  # how far a duration may be off: one segment, and the sound's padding
EXIT_S = 60.0
AT_ONCE = 3  # cases: each needs a fifth of a core, but while Chromium plays


def run(case: Case, place: Path, *, browser: bool) -> Row:
    """Run a case in the empty directory `place`; `browser`: Chromium plays too."""
    site = Site(place)
    row = Row(case.writer, case.mode, case.retention)
    try:
        _Case(case, site, row, browser=browser).run()
    except (AssertionError, subprocess.SubprocessError) as fault:
        row.faults.append(f"{type(fault).__name__}: {fault}")
    finally:
        site.close()
    return row


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream of the case: where it is written, and who looks on."""

    name: str
    directory: Path
    pattern: str  # of its playlists' names
    listed: list[Onlooker] = field(default_factory=list[Onlooker])  # one a run

    @classmethod
    def of(cls, case: Case, site: Site, name: str) -> Self:
        if case.layout == "nested":
            return cls(f"main/{name}", site.hls / name, "*.m3u8")
        return cls(f"main/{name}", site.hls, f"{name}.m3u8") if name else cls("main", site.hls, "*.m3u8")

    def look(self) -> Onlooker:
        """Look on at one more run."""
        before = self.listed[-1].texts if self.listed else {}
        self.listed.append(Onlooker(self.directory, dict(before), self.pattern))
        return self.listed[-1]


@dataclass(slots=True, eq=False)
class _Case:
    case: Case
    site: Site
    row: Row
    browser: bool
    daemon: Daemon = field(init=False)
    base: str = field(init=False)
    streams: list[_Stream] = field(init=False)

    def run(self) -> None:
        case, site, row = self.case, self.site, self.row
        shape = {"layout": case.layout, "retention": case.retention}
        self.daemon = site.configure(publish_interval="1s", settle="2s", rescan="2s", **shape).daemon()
        self.base = self.daemon.ready()
        self.streams = [_Stream.of(case, site, name) for name in case.streams or ("",)]
        with ExitStack() as stack:
            following = [stack.enter_context(self._following(stream)) for stream in self.streams]
            for number, seconds in enumerate(case.runs):
                self._write(number, seconds)
            if case.signal:
                row.check(not self.daemon.of("session.ending"), "it ended before it was told")
                self.daemon.send(signal.SIGUSR1)
            for stream in self.streams:
                self.daemon.wait("root.published", EXIT_S, final=True, count=case.sessions, stream=stream.name)
        row.not_tried = case.no_chromium or ("" if self.browser else "no Chromium")
        for stream, followed in zip(self.streams, following, strict=True):
            self._count(stream, followed)
            finals = [root for root in site.published(stream.name) if root["final"]]
            row.check(len(finals) == case.sessions, f"{len(finals)} sessions instead of {case.sessions}")
            for number, final in enumerate(finals):
                self._judge(stream, number, final)
            if not row.not_tried:
                self._watch(stream, finals)
        row.check(self.daemon.stop() == 0, "it did not stop well")
        row.check(not self.daemon.troubles(), f"troubles: {self.daemon.troubles()[:3]}")
        lost = [event["path"] for event in self.daemon.of("segment.lost")]
        row.check(not lost, f"lost: {lost[:5]}")
        told = self.daemon.of("file.refused", "reference.refused", "file.vanished")
        refused = [(event["event"], event.get("path", event.get("uri")), event.get("reason")) for event in told]
        row.check(not refused, f"refused: {refused[:5]}")

    # while it writes

    def _following(self, stream: _Stream) -> Following:
        source = stream.directory if self.case.compare else None
        return Following(self.base, stream.name, lambda: self.site.published(stream.name), source)

    def _write(self, number: int, seconds: int) -> None:
        case, last = self.case, number == len(self.case.runs) - 1
        with ExitStack() as stack:
            lookers = [stack.enter_context(stream.look()) for stream in self.streams]
            programs = stack.enter_context(_started(case, self.site.hls))
            if not last:
                until(lambda: self._written(lookers) >= seconds, f"{seconds} segments written", EXIT_S)
            elif case.silent and not number:
                until(lambda: lookers[0].segments() >= 3, "three segments listed", EXIT_S)
                self._held_back()
            for program in programs if last else ():
                said, _ = program.communicate(timeout=EXIT_S)
                assert program.returncode == 0, said
        if not last and (case.silent or case.layout == "flat"):
            # What was not taken before the next run truncates it is no more: a file that was open until now, or all that
            # a stream has which is found at its playlist's third version only.
            for stream in self.streams:
                self.daemon.wait("root.published", EXIT_S, stream=stream.name)
        for looker in lookers if last else ():
            self.row.check(looker.seconds > seconds - SEGMENT_S, f"{looker.seconds} s were listed, of {seconds}")

    def _written(self, lookers: list[Onlooker]) -> int:
        """How many segments every stream has listed; where the list comes at the end, how many there are."""
        if self.case.late:
            return sum(path.suffix in {".ts", ".m4s"} for path in self.site.hls.rglob("*"))
        return min(looker.segments() for looker in lookers)

    def _held_back(self) -> None:
        """`status` names what the stream waits for, and what to change."""

        def waits() -> bool:
            said = self.site.hlspub("status", "--json")
            waiting = json.loads(said.stdout)["streams"][0].get("waiting_for", ())
            return any(self.case.silent in one["absent"] and "single_file" in one["hint"] for one in waiting)

        until(waits, f"status says that the stream waits for {self.case.silent}", EXIT_S, every_s=0.3)

    # afterwards

    def _count(self, stream: _Stream, following: Following) -> None:
        row, roots = self.row, following.roots.roots
        misses = [*following.roots.misses, *following.live.misses]
        row.roots += roots
        row.missed += len(misses)
        row.broken += len({miss.partition("/ipfs/")[2].partition("/")[0] for miss in following.roots.misses})
        row.faults += [*map(repr, following.bugs), *misses[:5]]
        announced = len(self.site.published(stream.name))
        row.check(roots == announced, f"{roots} of {announced} roots checked")
        unseen_s = 6 if self.case.layout == "flat" else 4  # a flat stream is found at its playlist's third version
        expected = 1 if self.case.late or self.case.silent else max(self.case.runs) - unseen_s
        if case_tag := self.case.live_tag:
            self._has_live_tag(case_tag)
        if path := self.case.absent:
            self._is_absent(path)
        row.check(roots >= expected, f"only {roots} roots of {stream.name}")

    def _has_live_tag(self, tag: str) -> None:
        """Roots have it while the stream is live, and the final one not."""
        with Checker(self.base) as checker:
            shown = [
                tag in (checker.text(f"/ipfs/{one['root']}/{one['entry']}") or "") for one in self.site.published()
            ]
        self.row.check(shown[-1:] == [False] and any(shown), f"which roots have {tag}: {shown}")

    def _is_absent(self, path: str) -> None:
        self.row.check((self.site.hls / path).exists(), f"{path} was not written")
        with Checker(self.base) as checker:
            having = [
                one["seq"] for one in self.site.published() if checker.status(f"/ipfs/{one['root']}/{path}") != 404
            ]
        self.row.check(not having, f"roots {having} have {path}")

    def _judge(self, stream: _Stream, number: int, final: Event) -> None:
        """A final root: it lists what it should, and ffprobe plays it."""
        case, row, listed = self.case, self.row, stream.listed
        runs = listed if case.sessions == 1 else [listed[number]]
        sent_s = sum(case.runs[-1] if one is listed[-1] else one.seconds for one in runs)
        address = f"{self.base}/ipfs/{final['root']}/{final['entry']}"
        with Checker(self.base) as checker:
            media = checker.check(final["root"], final["entry"])
            texts = _playlists(checker, final)
            top = checker.text(f"/ipfs/{final['root']}/{final['entry']}") or ""
            row.check(case.tag in "".join((top, *texts.values())), f"no playlist has {case.tag}")
            row.check(not (case.key and any(path.endswith(case.key) for path in media)), "the key is listed as media")
            if case.key:
                self._key_stayed_home(checker, texts)
        for path, text in texts.items():
            self._lists_all(runs, path, text)
        if case.key:
            address = str(self._with_its_key(final, texts))
        probed = probe(address)
        if case.retention == "window":  # the players see the window only
            sent_s = max(listing(text).seconds for text in texts.values())
        row.sent_s.append(round(sent_s, 2))
        row.probed_s.append(round(probed.duration_s, 2))
        row.frames.append(probed.frames)
        row.check(abs(probed.duration_s - sent_s) <= SEGMENT_S, f"{probed.duration_s} s, sent {sent_s} s")
        off = abs(probed.frames - sent_s * RATE)
        is_cut = runs[-1] is not listed[-1]  # when it was killed, one rendition may have been ahead
        row.check(off <= (RATE * SEGMENT_S if len(runs) > 1 or is_cut else 2), f"{probed.frames} frames in {sent_s} s")

    def _lists_all(self, runs: list[Onlooker], path: str, text: str) -> None:
        """`archive`: everything that the transcoder ever listed; `window`: what it lists at the end. Both: an end."""
        row, shown = self.row, listing(text)
        row.check(shown.endlist, f"{path} has no end")
        if self.case.retention == "window":
            expected = listing(runs[-1].texts[path]).segments
        else:
            expected = {number: one for each in runs for number, one in each.listed.get(path, {}).items()}
            newest: Listing = listing(runs[-1].texts[path])
            if len(newest.segments) < len(expected):
                row.check("#EXT-X-PLAYLIST-TYPE:VOD" in shown.tags, f"{path} slid, and is no VOD playlist now")
        row.check(shown.segments == expected, f"{path} lists {shown.segments}, the transcoder listed {expected}")

    def _key_stayed_home(self, checker: Checker, texts: Mapping[str, str]) -> None:
        row, key = self.row, self.case.key
        row.check(
            len((self.site.hls / key).read_bytes()) == KEY_BYTES, "the transcoder's key is not where it was expected"
        )
        row.check(all(f'URI="{key}"' in text for text in texts.values()), "the playlist names its key no more")
        for root in {root["root"] for root in self.site.published()}:
            row.check(checker.status(f"/ipfs/{root}/{key}") == 404, f"root {root} has the key")

    def _with_its_key(self, final: Event, texts: Mapping[str, str]) -> Path:
        """The published files beside their key, as a viewer has them who was given it."""
        place = self.site.root / "with-key"
        with Checker(self.base) as checker:
            for path in [*texts, *checker.check(final["root"], final["entry"])]:
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(checker.body(f"/ipfs/{final['root']}/{path}"))
        shutil.copy(self.site.hls / self.case.key, place / self.case.key)
        return place / final["entry"]

    def _watch(self, stream: _Stream, finals: list[Event]) -> None:
        """Chromium plays each final root to its end."""
        row = self.row
        with chromium() as browser:
            for final, sent_s in zip(finals, row.sent_s[-len(finals) :], strict=True):
                address = f"{self.base}/play/{stream.name}?root={final['root']}&entry={final['entry']}"
                try:
                    duration_s, end_s = play(browser, address)
                except Error as why:
                    row.unplayed.append(str(why))
                    continue
                row.chromium_s.append(round(end_s, 2))
                if max(abs(duration_s - sent_s), abs(end_s - sent_s)) > SEGMENT_S:
                    row.unplayed.append(f"{end_s} s of {duration_s} s, sent {sent_s} s")


@contextmanager
def _started(case: Case, directory: Path) -> Generator[list["subprocess.Popen[str]"]]:
    """The programs of one run. They are killed when this is left, if they still run."""
    with ExitStack() as programs:
        running: list[subprocess.Popen[str]] = []
        for command in case.make(directory, max(case.runs)):
            program = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            programs.callback(_kill, program)
            running.append(program)
        yield running


def _kill(program: "subprocess.Popen[str]") -> None:
    program.kill()
    program.communicate() if program.stdout and not program.stdout.closed else program.wait()


def _playlists(checker: Checker, final: Event) -> dict[str, str]:
    """The media playlists of a root, by path."""
    texts: dict[str, str] = {}
    waiting = [str(final["entry"])]
    while waiting:
        path = waiting.pop()
        text = checker.text(f"/ipfs/{final['root']}/{path}")
        assert text is not None
        waiting += [urljoin(path, one.uri) for one in references(text) if one.is_playlist]
        if "#EXTINF:" in text:
            texts[path] = text
    return texts

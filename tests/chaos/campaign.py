"""One campaign: a transcoder writes, the daemon is killed again and again, and in the end nothing may be lost.

Half of the kills come at a declared step of the pipeline (`fatal`), half at a random instant. A walker reads every root when
it is announced and once more just before it ages out of the kept ones. The same seed writes the same files and draws the same
kills; when they strike is up to the machine, and must not matter.
"""

import heapq
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hlspub.errors import HlspubError
from hlspub.ipld.cid import Cid
from hlspub.journal.reader import JournalReader
from hlspub.spool.publications import FILE_NAME, PublicationLog
from tests.chaos.deck import Deck
from tests.chaos.fatal import STEPS
from tests.chaos.frame import SEGMENT_S, Files, Known, Transcoder
from tests.chaos.transcoders import Hasty, number_of, transcoder
from tests.chaos.walk import Walker
from tests.support.checker import references
from tests.support.daemon import Daemon, Event, Overdue, until
from tests.support.judges import root_of
from tests.support.onlooker import listing
from tests.support.site import Site

SPEED = 20
EVERY_S = SEGMENT_S / SPEED
KEPT_S = 6.0  # how long roots are kept
MARGIN_S = 1.5  # before that they are walked again
FUSE_S = 8.0  # how long a daemon may take to reach its fatal step, before it is killed anyway
LATE = 4  # kills that come when the transcoder is done
LAST_S = 90.0
ROOT = Path(__file__).parents[2]


@dataclass
class Outcome:
    """What a campaign came to."""

    name: str
    seed: int
    kills: int = 0
    files: int = 0
    roots: int = 0
    walks: int = 0
    aged: int = 0  # walks just before a root aged out
    gaps: int = 0
    finals: list[set[str]] = field(default_factory=list)  # of each session, by what was announced as such
    steps: Counter[str] = field(default_factory=Counter)  # where it was killed
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0


@dataclass
class Follower:
    """Reads in threads what the lives say: what was taken goes to the transcoder, roots are walked."""

    site: Site
    known: Known
    outcome: Outcome
    kept_s: float
    _read: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _again: list[tuple[float, int, Event]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="follower")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                is_last = self._stop.is_set()
                for event in self._news():
                    if event["event"] == "file.taken":
                        self.known.add((event["path"], event["cid"]))
                    elif event["event"] == "root.published":
                        self._walk(event)
                        heapq.heappush(self._again, (event["_at"] + self.kept_s - MARGIN_S, event["seq"], event))
                self._look_again()
                if is_last:
                    return
                self._stop.wait(0.03)
        except Exception as bug:  # noqa: BLE001 -- a thread's failure is the campaign's
            self.outcome.faults.append(f"the follower: {bug!r}")

    def _news(self) -> Iterator[Event]:
        for number, life in enumerate(list(self.site.daemons)):
            events = life.of("file.taken", "root.published")
            yield from events[self._read.get(number, 0) :]
            self._read[number] = len(events)

    def _walk(self, event: Event) -> None:
        with Walker(self.site.data) as walker:
            faults = walker.faults(Cid.parse(event["root"]), event["entry"])
        self.outcome.walks += 1
        self.outcome.faults += [f"root {event['seq']} when it was announced: {fault}" for fault in faults]

    def _look_again(self) -> None:
        while self._again and self._again[0][0] <= time.monotonic():
            _, seq, event = heapq.heappop(self._again)
            with Walker(self.site.data) as walker:
                faults = walker.faults(Cid.parse(event["root"]), event["entry"])
            if time.monotonic() >= event["_at"] + self.kept_s - 0.2:
                continue  # it was let go meanwhile, as it may be
            self.outcome.aged += 1
            self.outcome.faults += [f"root {seq} before it aged out: {fault}" for fault in faults]


@dataclass
class Campaign:
    """`place` is an empty directory. `every_s`: between the transcoder's steps. `kept_s`: how long roots are kept."""

    name: str
    seed: int
    place: Path
    steps: int = 200
    kills: int = 16
    every_s: float = EVERY_S
    kept_s: float = KEPT_S
    deck: Deck = field(default_factory=Deck)
    known: Known = field(default_factory=Known)
    site: Site = field(init=False)
    model: Transcoder = field(init=False)
    outcome: Outcome = field(init=False)
    _wrote: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True)
        self.site = Site(self.place)
        self.outcome = Outcome(self.name, self.seed)
        self.model = transcoder(self.name, self.site.hls, self.known, self.seed)

    def run(self) -> Outcome:
        """Run it; whatever is not as it should be is among the outcome's faults."""
        started = time.monotonic()
        try:
            self._run()
        except (AssertionError, HlspubError) as fault:
            self.outcome.faults.append(f"{type(fault).__name__}: {fault}")
        finally:
            self.known.is_over = True
            self.known.add()
            self.site.close()
        self.outcome.took_s = time.monotonic() - started
        return self.outcome

    def _run(self) -> None:
        self.site.configure(retention=self.model.retention)
        with self.site.config.open("a", encoding="utf-8") as config:
            config.write(f'[publish]\nkeep_roots = "{self.kept_s:.0f}s"\n')
        chance = random.Random(f"{self.name}/{self.seed}")
        with Follower(self.site, self.known, self.outcome, self.kept_s), self._writing():
            for left in range(self.kills, 0, -1):
                self._life(chance, late=left <= LATE)
            last = self._start()
            self._await_end(last)
            assert last.stop() == 0, "the last life did not end well"
        self.deck.passed.update(json.loads(self._passages.read_text(encoding="utf-8")))
        self._look()

    # the transcoder

    @contextmanager
    def _writing(self) -> Iterator[None]:
        thread = threading.Thread(target=self._write, name="transcoder")
        thread.start()
        try:
            yield
        finally:
            self.known.is_over = True
            self.known.add()
            thread.join()

    def _write(self) -> None:
        try:
            while self.outcome.files < self.steps and not self.known.is_over:
                self.model.step()
                self.outcome.files += 1
                time.sleep(self.every_s)
            self.model.end()
        except Exception as bug:  # noqa: BLE001 -- a thread's failure is the campaign's
            self.outcome.faults.append(f"the transcoder: {bug!r}")
        self._wrote.set()

    # the daemon's lives

    @property
    def _passages(self) -> Path:
        return self.place / "passages.json"

    def _start(self, step: str = "-", count: int = 0) -> Daemon:
        log = self.place / f"life-{len(self.site.daemons) + 1}.log"
        what = str(self._passages) if step == "-" else str(count)
        command = (sys.executable, "-m", "tests.chaos.fatal", step, what, "run")
        life = Daemon(self.site.config, command, environ={"PYTHONPATH": str(ROOT)}, log=log)
        self.site.daemons.append(life)
        return life.start()

    def _life(self, chance: random.Random, *, late: bool) -> None:
        """One life and its death, at a step or at a random instant. A late one sees the end of the transcoder's work."""
        wait_s, is_stepped = chance.uniform(0.1, 2.5), chance.random() < (0.8 if late else 0.5)
        step = self.deck.draw(chance, late=late) if is_stepped else "-"
        life = self._start(step, chance.randint(1, STEPS[step].most) if is_stepped else 0)
        if late:
            until(lambda: self._wrote.is_set() or not life.running, "the transcoder is done", LAST_S)
            self._signal(life)
        try:
            until(lambda: not life.running, "its death", FUSE_S if is_stepped else wait_s)
        except Overdue:
            is_stepped = False
        was_running = life.running
        life.kill()
        assert was_running or is_stepped, f"life {len(self.site.daemons)} ended by itself"
        self.outcome.kills += 1
        self.outcome.steps[step if is_stepped else "-"] += 1
        if is_stepped:
            self.deck.killed[step] += 1
        self._look_into_journal()

    def _signal(self, life: Daemon) -> None:
        """End what has no EXT-X-ENDLIST, once everything is there."""
        try:
            life.ready()
            if not self.model.endlist:
                life.send(signal.SIGUSR1)
        except Overdue:
            return  # it died before

    def _await_end(self, last: Daemon) -> None:
        until(self._wrote.is_set, "the transcoder is done", LAST_S)
        self._signal(last)
        sessions = 2 if self.name == "restarted" else 1
        until(lambda: self._ended() >= sessions, f"{sessions} sessions end", LAST_S, every_s=0.1)

    def _ended(self) -> int:
        with JournalReader(self.site.data / "journal.sqlite") as journal:
            return sum(session.state == "ended" for session in journal.sessions("main"))

    def _look_into_journal(self) -> None:
        """What was taken and not said any more."""
        if not (self.site.data / "journal.sqlite").exists():
            return
        try:
            with JournalReader(self.site.data / "journal.sqlite") as journal:
                for session in journal.sessions("main"):
                    for file in journal.versions(session.id):
                        self.known.add((file.path, str(file.cid)))
        except HlspubError:
            return  # killed before it was made

    # afterwards

    def _look(self) -> None:
        published = self.site.published()
        sessions = list(dict.fromkeys(event["session"] for event in published))
        finals = {event["session"]: event for event in published if event["final"]}
        self.outcome.files, self.outcome.roots = len(self.known.taken), len({event["seq"] for event in published})
        self.outcome.finals = [
            {event["root"] for event in published if event["final"] and event["session"] == one} for one in sessions
        ]
        self.outcome.faults += [
            *self._faults_of_finals([finals[one] for one in sessions if one in finals]),
            *self._faults_of_what_was_said(published),
            *self._faults_of_what_is_left(),
        ]
        if any(len(roots) != 1 for roots in self.outcome.finals):
            self.outcome.faults.append(f"final roots: {self.outcome.finals}")

    def _faults_of_finals(self, finals: Sequence[Event]) -> Iterator[str]:
        for event in finals:
            with Walker(self.site.data) as walker:
                yield from walker.faults(Cid.parse(event["root"]), event["entry"])
        expected, roots = self.model.finals(), [event["root"] for event in finals]
        if isinstance(self.model, Hasty):
            yield from self._losses(finals[-1])
        elif expected is not None and [root_of(files) for files in expected] != roots:
            yield f"other final roots; {self._difference(expected, roots)}"

    def _faults_of_what_was_said(self, published: Sequence[Event]) -> Iterator[str]:
        seqs = {event["seq"]: event["root"] for event in published}
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            yield f"seq has holes: {sorted(seqs)}"
        if any(seqs[event["seq"]] != event["root"] for event in published):
            yield "a seq was announced with two roots"
        lines, _ = PublicationLog(self.site.data / FILE_NAME).read()  # a kill may have torn one
        if {line.seq: str(line.root) for line in lines} != seqs:
            yield "publications.jsonl tells another story"
        for life in self.site.daemons:
            yield from (f"said: {event}" for event in life.troubles() if event["event"] != "segment.lost")

    def _faults_of_what_is_left(self) -> Iterator[str]:
        yield from (f"the journal: {fault}" for fault in self.site.journal_faults())
        yield from (f"left in the spool: {key}" for key in self.site.spooled())
        for store in ("spool", "local"):
            yield from (f"left unfinished: {path}" for path in (self.site.data / store / "tmp").iterdir())

    def _difference(self, expected: Sequence[Files], roots: Sequence[str]) -> str:
        told: list[str] = [f"{len(roots)} sessions instead of {len(expected)}"]
        with Walker(self.site.data) as walker:
            for files, root in zip(expected, roots, strict=False):
                found = walker.files(Cid.parse(root))
                told.append(f"lacking {sorted(files.keys() - found.keys())[:9]}")
                told.append(f"too many {sorted(found.keys() - files.keys())[:9]}")
                told.append(f"other {[path for path in files.keys() & found.keys() if files[path] != found[path]][:9]}")
        return "; ".join(told)

    def _losses(self, final: Event) -> Iterator[str]:
        """Where a transcoder waits for nobody: what was taken and seen listed is there, the rest is named or was never seen."""
        with Walker(self.site.data) as walker:
            files = walker.files(Cid.parse(final["root"]))
        named = {event["path"] for life in self.site.daemons for event in life.of("segment.lost")}
        for name in self.model.renditions:
            text = files[f"{name}/index.m3u8"].decode()
            there = {reference.uri for reference in references(text)}
            seen = [one for one in self.model.texts[name] if self.known.has(f"{name}/index.m3u8", one.data)]
            numbers = {number for one in seen for number in range(one.first, one.count)}
            segments = listing(text).segments
            # behind a long hole that nobody saw the numbers go on without it: names tell there
            if missing := numbers - segments.keys() - {number_of(uri) for uri in there}:
                yield f"{name}: {sorted(missing)[:20]} were listed and are not"
            for number, segment in segments.items():
                path = f"{name}/{self.model.uri(number)}"
                is_there = segment.uri in there and number_of(segment.uri) == number
                self.outcome.gaps += not is_there
                if is_there and files[path] != self.model.media(path):
                    yield f"{path} has other bytes"
                if is_there or number not in numbers:
                    continue
                if self.known.has(path, self.model.media(path)) or path in self.model.files:
                    yield f"{path} was taken or is still there, and is a gap"
                elif path not in named:
                    yield f"{path} is a gap and was not named"


def fought(name: str, seed: int, place: Path, *, steps: int, kills: int, compare: bool, deck: Deck) -> Outcome:
    """A campaign, and its final roots held against those of a run in which nothing is killed, three times as fast."""
    outcome = Campaign(name, seed, place / "disturbed", steps, kills, deck=deck).run()
    if compare and name != "hasty":
        other = Campaign(name, seed, place / "undisturbed", steps, kills=0, every_s=EVERY_S / 3, deck=deck).run()
        outcome.faults += [f"undisturbed: {fault}" for fault in other.faults]
        if other.finals != outcome.finals:
            outcome.faults.append(f"an undisturbed run ends with {other.finals}, this one with {outcome.finals}")
    return outcome

"""The archive of a sliding playlist: learned while it slides, written once at the session's end.

Rule (DESIGN, "Complete and archive"): under `archive` a media playlist whose last version does not list everything that the
session ever listed ends as one that does (`hls.archive`), at the same path. A playlist that only grows needs none of this
and costs none of it: learning begins when a version drops something, with the version before it, which still had it all.
What is learned is journaled in the transaction that takes the version.

Of a name that was used again, what was listed last keeps it; what was listed before stands at `NAME.<media-sequence>.EXT`.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from hlspub.engine.course import Course
from hlspub.engine.files import FileVersion
from hlspub.engine.glance import Glance
from hlspub.engine.session import Session
from hlspub.engine.settings import Retention
from hlspub.engine.track import Track
from hlspub.errors import PlaylistError, StorageError
from hlspub.hls.archive import Archive, archived_name
from hlspub.hls.edit import mark_gaps
from hlspub.hls.learning import Kept, KeptSegment, Learner
from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid
from hlspub.journal.learned import LearnedReads
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.journal.values import Meant, SavedFile
from hlspub.records import RangeLearned, Record, SegmentLearned

log = structlog.get_logger()

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Recording:
    """The archive playlist of a track: its text, the files that it lists and nobody ever saw, and what its names mean.

    `records` make names that were used again stand at names of their own; `meant` has the listings that do not mean the
    newest version of their path.
    """

    text: bytes
    lost: tuple[str, ...]
    records: tuple[Record, ...] = ()
    meant: dict[str, FileVersion] = field(default_factory=dict[str, FileVersion])


@dataclass(slots=True, eq=False)
class Archiving:
    """Learns for one stream. `read` fetches a file's bytes from the store."""

    reads: JournalReads
    read: Callable[[Cid], Awaitable[bytes]]
    _learners: dict[Key, Learner | None] = field(default_factory=dict[Key, "Learner | None"])

    # while it slides

    async def earlier(self, course: Course | None, glance: Glance) -> Glance | None:
        """The version before this one, when learning has to begin with it; `learn` wants it back."""
        path, playlist = glance.item.path, glance.playlist
        if course is None or course.session.settings.retention is not Retention.ARCHIVE:
            return None
        track = course.session.tracks.get(path)
        if track is None or track.newest.multivariant:
            return None
        if await self._learner(course.session, path) is not None:
            return None
        if playlist.media_sequence <= track.newest.media_sequence:
            return None
        try:
            text = await self.read(track.newest.file.cid)
            before = scan(text, path, variables=playlist.variables)
        except (StorageError, PlaylistError) as why:
            log.error(
                "archive.incomplete",
                stream=course.session.stream,
                session=course.session.label,
                path=path,
                reason=str(why),
                hint="What this playlist listed before now will be missing from the recording's playlist.",
            )
            return glance
        return Glance(glance.item, text, before, before)

    def learn(self, course: Course | None, glance: Glance, earlier: Glance | None) -> list[Record]:
        """What a version that was just taken teaches, as records."""
        if course is None:
            return []
        key = course.session.number, glance.item.path
        learner = self._learners.get(key)
        if learner is None:
            if earlier is None or glance.item.path not in course.session.tracks:
                return []
            learner = self._learners[key] = Learner()
        learned: list[Kept] = []
        for version in (earlier, glance) if earlier is not None and earlier is not glance else (glance,):
            learned += learner.feed(version.data, version.playlist)
        return [learned_record(*key, kept) for kept in learned]

    async def _learner(self, session: Session, path: str) -> Learner | None:
        """The learner of a playlist, as the journal remembers it when it was learned in an earlier life."""
        key = session.number, path
        if key not in self._learners:
            kept = await self.reads.run(LearnedReads.learned_ends, *key)
            learner = Learner() if kept else None
            if learner is not None:
                learner.restore(kept)
            self._learners.setdefault(key, learner)
        return self._learners[key]

    # at the end

    async def recording(self, course: Course, track: Track) -> Recording | None:
        """The archive playlist of a track; None when its newest version is one already, or can become one as it is."""
        session = course.session
        if session.settings.retention is not Retention.ARCHIVE:
            return None
        learner = await self._learner(session, track.path)
        if learner is None:
            return None
        text = await self.read(track.newest.file.cid)
        playlist = scan(text, track.path)
        if learner.is_complete(playlist):
            return None
        kept, meant, files = await self.reads.run(_remembered, session, track.path)
        archive = Archive()
        archive.restore(kept)
        archive.feed(text, playlist)
        names = _Names(session, meant, files)
        gaps = {one.sequence for one in meant if one.bound is None} - {one.sequence for one in meant if one.bound}
        written = archive.render(gaps=gaps, renamed=names.renamed)
        return Recording(
            mark_gaps(written, track.path, frozenset(names.lost)), names.lost, tuple(names.records), names.meant
        )

    def forget(self, session: Session) -> None:
        """The session is over."""
        self._learners = {key: learner for key, learner in self._learners.items() if key[0] != session.number}


def _remembered(
    reader: JournalReader, session: Session, path: str
) -> tuple[list[Kept], list[Meant], dict[Key, SavedFile]]:
    """In a thread: what was learned, what each listing meant, and the file versions that are not their path's newest."""
    meant = list(reader.meant(session.number, path))
    wanted = {(one.path, one.bound) for one in meant if one.bound and session.files[one.path].version != one.bound}
    files = reader.versions(session.number) if wanted else ()
    return (
        list(reader.learned(session.number, path)),
        meant,
        {(file.version, file.path): file for file in files if (file.path, file.version) in wanted},
    )


class _Names:
    """At which names the versions of reused names stand in the archive."""

    def __init__(self, session: Session, meant: Iterable[Meant], files: dict[Key, SavedFile]) -> None:
        self.renamed: dict[int, str] = {}
        self.records: list[Record] = []
        self.meant: dict[str, FileVersion] = {}
        versions: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for one in meant:
            versions[one.path][one.bound or 0].append(one.sequence)
        self.lost = tuple(path for path, found in versions.items() if set(found) == {0})
        for path, found in versions.items():
            last = max(found)
            for bound, sequences in found.items():
                saved = files.get((bound, path))
                if bound and bound != last:
                    self._rename(session, path, sequences, saved)
                elif saved is not None:
                    self.meant[path] = session.recall(saved, path)

    def _rename(self, session: Session, path: str, sequences: Sequence[int], saved: SavedFile | None) -> None:
        assert saved is not None  # noqa: S101 -- a version that is not the last is not the newest
        name = archived_name(path, min(sequences))
        while (other := session.files.get(name)) is not None and other.cid != saved.cid:
            name = archived_name(name, min(sequences))  # a transcoder's own name, of all names
        if name not in session.files:
            self.records += session.keep_as(name, saved)
        self.renamed |= dict.fromkeys(sequences, name)


def learned_record(session: int, playlist: str, kept: Kept) -> Record:
    """The record of what a version taught."""
    if not isinstance(kept, KeptSegment):
        return RangeLearned(session, playlist, kept.sequence, kept.line, kept.floats)
    state = kept.state
    return SegmentLearned(
        session,
        playlist,
        kept.sequence,
        kept.text,
        "\n".join(state.keys),
        state.map,
        "\n".join(state.map_keys),
        kept.number,
        kept.target_s,
        kept.at_head,
    )

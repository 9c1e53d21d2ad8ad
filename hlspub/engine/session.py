"""What one session has taken: its files, its playlists, and what each listing means. Events in, records out.

Rule: every method that changes the state returns the records that make the change durable; the caller hands them to the
journal in that order. Nothing here waits, reads or knows a clock, so the same events give the same records.

What a listing means (the *binding*): the newest version of the listed path at the moment its playlist is taken. Three
exceptions keep old text from new bytes and new text from old bytes:
- the path is not there yet: the listing waits for the first version that comes;
- nothing has listed the path's newest version so far and the file on disk has changed since (what an earlier run left was
  taken, and the transcoder writes over it): the listing waits for the next version;
- the path's newest version was listed by this playlist under another sequence number and the file on disk has changed since
  (a transcoder that wraps its names): the listing waits for the next version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from hlspub.engine.files import Confirmations, FileVersion, PackedFacts, Quorum
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.engine.track import Interval, PlaylistVersion, Track
from hlspub.hls.playlist import Playlist, PlaylistKind, Reference, ReferenceKind
from hlspub.model import FileIdentity, FileKind, Packed
from hlspub.records import (
    FileCarried,
    FileSeen,
    FilesPassed,
    FileTaken,
    PlaylistTaken,
    Record,
    ReferenceBound,
    ReferenceClosed,
    ReferenceOpened,
)

_NUMBERED = (ReferenceKind.SEGMENT, ReferenceKind.PART)
_NOTHING: Mapping[str, FileVersion] = MappingProxyType({})
_NOWHERE: Mapping[str, FileIdentity | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that intake has read.

    `quiet`: taken without a closing event. `found`: what is on disk at the paths that `suspects` named. `again`: not a new
    text of the transcoder (re-read at the end, or edited here). `edited`: made here from the newest version, so every listing
    means what it meant there, whatever the transcoder wrote since; `meant`: listings of it that mean another version of their
    path than the newest.
    """

    path: str
    kind: FileKind
    packed: Packed
    identity: FileIdentity
    at: float
    quiet: bool = False
    playlist: Playlist | None = None
    found: Mapping[str, FileIdentity | None] = field(default_factory=lambda: _NOWHERE)
    again: bool = False
    edited: bool = False
    meant: Mapping[str, FileVersion] = field(default_factory=lambda: _NOTHING)


class SavedVersion(PackedFacts, Protocol):
    """A file version as the journal has it (`journal.values.SavedFile`)."""

    @property
    def path(self) -> str: ...  # noqa: D102 -- a field
    @property
    def version(self) -> int: ...  # noqa: D102 -- a field
    @property
    def kind(self) -> FileKind: ...  # noqa: D102 -- a field
    @property
    def identity(self) -> FileIdentity: ...  # noqa: D102 -- a field


@dataclass(slots=True, eq=False)
class Session:
    """The state of one session; see the module's rule."""

    number: int
    stream: str
    label: str
    settings: TreeSettings
    targets: tuple[str, ...]
    quorum: Quorum
    started_at: float
    last_taken_at: float
    files: dict[str, FileVersion] = field(default_factory=dict[str, FileVersion])
    tracks: dict[str, Track] = field(default_factory=dict[str, Track])
    lost: set[str] = field(default_factory=set[str])  # listed files that were declared lost and have not come since
    has_lost: bool = False  # a file was declared lost at some time, so some text may say EXT-X-GAP
    waiting: dict[str, list[tuple[Track, Interval]]] = field(default_factory=dict[str, list[tuple[Track, Interval]]])
    floor: int = 0  # no version up to this is given to a path that is not known: it may have been, and was passed
    confirmations: Confirmations = field(init=False)

    def __post_init__(self) -> None:
        self.confirmations = Confirmations(self.quorum)

    # what the watcher asks

    def identity(self, path: str) -> FileIdentity | None:
        """The state in which the file was last read; None when it never was."""
        file = self.files.get(path)
        return file.identity if file is not None else None

    def path_of(self, path: str) -> str:
        """An equal string: the one that its file is known by, if it is (see `References.sharing`)."""
        file = self.files.get(path)
        return path if file is None else file.path

    def listed(self, path: str) -> bool:
        """Whether the newest version of some playlist lists this path."""
        return any(path in track.listed for track in self.tracks.values())

    # what intake asks before it takes

    def suspects(self, path: str, playlist: Playlist) -> list[str]:
        """Newly listed paths whose meaning depends on whether the file on disk is still the one that was taken."""
        track = self.tracks.get(path)
        references = playlist.references
        fresh = references[len(track.references) :] if track and track.grew(references) else references
        return [
            reference.path
            for reference in fresh
            if self._follows(reference)
            and (file := self.files.get(reference.path)) is not None
            and (self._reused(path, reference, file) or _is_news(reference, file))
        ]

    def is_new_run(self, path: str, playlist: Playlist) -> bool:
        """Whether this version shows that the transcoder started over (DESIGN, "Sessions").

        The media sequence went back, or a sequence number that was listed already now means other bytes.
        """
        track = self.tracks.get(path)
        if track is None or playlist.kind is not PlaylistKind.MEDIA or track.newest.multivariant:
            return False
        before = track.newest
        if playlist.media_sequence < before.media_sequence or playlist.last_sequence < before.last_sequence:
            return True
        grew = track.grew(playlist.references)
        if not grew:
            numbers = {i.sequence for i in track.listed.values() if i.kind is ReferenceKind.SEGMENT}
            for reference in playlist.references:
                is_segment = reference.kind is ReferenceKind.SEGMENT and reference.required
                if is_segment and reference.sequence in numbers and reference.path not in track.listed:
                    return True
        rewritten = {path: i.sequence for path in track.revised if self._rewritten(i := track.listed[path])}
        if grew or not rewritten:
            return bool(rewritten)
        return any(rewritten.get(reference.path) == reference.sequence for reference in playlist.references)

    # taking

    def take(self, taken: Taken) -> list[Record]:
        """Take a file; returns the records that say so."""
        records: list[Record] = []
        self.last_taken_at = max(self.last_taken_at, taken.at)
        self.lost.discard(taken.path)
        before = self.files.get(taken.path)
        if before is not None and before.cid == taken.packed.cid and not self._means_more(taken):
            before.identity = taken.identity
            records.append(FileSeen(self.number, taken.path, before.version, taken.identity))
            records += self._bind_waiting(before)
            return records
        file = FileVersion(
            taken.path,
            before.version + 1 if before else self.floor + 1,
            taken.kind,
            taken.packed,
            taken.identity,
            quiet=taken.quiet,
        )
        self.files[taken.path] = file
        for track in self.tracks.values():
            track.revise(taken.path)
        self.confirmations.expect(file.car, file)
        urgent = taken.kind is FileKind.PLAYLIST or taken.path in self.waiting
        records.append(
            FileTaken(
                self.number,
                file.path,
                file.version,
                file.kind,
                taken.packed,
                taken.identity,
                taken.at,
                self.targets,
                urgent,
            )
        )
        records += self._bind_waiting(file)
        if taken.playlist is not None:
            records += self._take_playlist(taken, taken.playlist, file)
        return records

    def carry(self, path: str, earlier: "Session", identity: FileIdentity, at: float) -> list[Record]:
        """Make a file of the stream's earlier session, unchanged on disk, part of this one without reading it again."""
        old = earlier.files[path]
        file = FileVersion(path, self.floor + 1, old.kind, old, identity, held=old.held)
        self.files[path] = file
        self.last_taken_at = max(self.last_taken_at, at)
        if not old.held:
            self.confirmations.expect(file.car, file)
        return [FileCarried(self.number, path, file.version, earlier.number, old.version), *self._bind_waiting(file)]

    def recall(self, saved: SavedVersion, path: str) -> FileVersion:
        """An earlier version of a file as it was journaled, to stand at `path`."""
        file = FileVersion(path, saved.version if path == saved.path else 1, saved.kind, saved, saved.identity)
        self.confirmations.join(file)
        return file

    def keep_as(self, path: str, saved: SavedVersion) -> list[Record]:
        """Let an earlier version of a file stand at a path of its own as well."""
        self.files[path] = self.recall(saved, path)
        return [FileCarried(self.number, path, 1, self.number, saved.version, saved.path)]

    # what a window leaves behind

    def behind(self, paths: Iterable[str]) -> list[str]:
        """Under `window`: of these the media that no root can come to hold any more, unless a later playlist lists them."""
        if self.settings.retention is not Retention.WINDOW:
            return []
        needed = {
            i.path for track in self.tracks.values() for i in (*track.listed.values(), *track.changed, *track.unmet)
        }
        return [
            path
            for path in paths
            if (file := self.files.get(path)) is not None
            and file.kind is FileKind.MEDIA
            and file.held
            and path not in needed
            and path not in self.waiting
            and not self.settings.includes(path)
        ]

    def pass_by(self, paths: Iterable[str]) -> list[Record]:
        """Forget files that are `behind` and that the transcoder has deleted. One that comes again is new."""
        passed = tuple(self.behind(paths))
        for path in passed:
            self.floor = max(self.floor, self.files.pop(path).version)
        return [FilesPassed(self.number, passed)] if passed else []

    def confirm(self, car: str, target: str) -> bool:
        """`target` keeps `car`; true when something became held."""
        return self.confirmations.confirm(car, target)

    # inside

    def _follows(self, reference: Reference) -> bool:
        return reference.required or (reference.kind is ReferenceKind.KEY and self.settings.publish_keys)

    def _rewritten(self, interval: Interval) -> bool:
        """Whether a listed segment has other bytes now, though nothing hints that it was taken before it was finished.

        That it was taken without a closing event is not remembered over a restart of ours: of a run that began while nobody
        looked, and has more to list by now than the old one had, other bytes are all that tells.
        """
        newest = self.files.get(interval.path)
        return (
            interval.kind is ReferenceKind.SEGMENT
            and interval.bound is not None
            and newest is not interval.bound
            and not interval.bound.quiet
        )

    def lose(self, paths: Iterable[str]) -> list[str]:
        """Declare listed files lost; returns those that were not yet."""
        new = [path for path in paths if path not in self.lost]
        self.lost.update(new)
        self.has_lost = self.has_lost or bool(new)
        return new

    def stale(self, track: Track) -> bool:
        """Whether a listing of the newest version means another file by now, and may: see `_may_move`."""
        return any(self._may_move(track.listed[path]) for path in track.revised)

    def _means_more(self, taken: Taken) -> bool:
        """A playlist whose bytes are unchanged is a new version when it was read again because its listings were stale."""
        track = self.tracks.get(taken.path)
        return taken.again and track is not None and self.stale(track)

    def _may_move(self, interval: Interval) -> bool:
        """Whether unchanged text may come to mean other bytes: an initialization section, or a file taken too early.

        A numbered segment may not: its new bytes belong to a new run of the transcoder.
        """
        if self.files.get(interval.path) is interval.bound:
            return False
        return interval.kind is ReferenceKind.MAP or interval.bound is None or interval.bound.quiet

    def _reused(self, playlist: str, reference: Reference, file: FileVersion) -> bool:
        return (
            reference.kind in _NUMBERED
            and file.used_by == playlist
            and file.used_as >= 0
            and file.used_as != reference.sequence
        )

    def _take_playlist(self, taken: Taken, playlist: Playlist, file: FileVersion) -> list[Record]:
        track = self.tracks.get(taken.path)
        if track is None:
            track = self.tracks[taken.path] = Track(taken.path)
        version = PlaylistVersion(
            file,
            playlist.kind is PlaylistKind.MULTIVARIANT,
            playlist.media_sequence,
            playlist.last_sequence,
            playlist.target_duration,
            playlist.endlist,
            taken.at,
        )

        def bind(path: str, reference: Reference) -> FileVersion | None:
            interval = track.listed.get(reference.path)
            if taken.edited and interval is not None and interval.bound is not None:
                return interval.bound
            if reference.path in taken.meant:
                return taken.meant[reference.path]
            newest = self.files.get(reference.path)
            if newest is None or newest.size_bytes < playlist.extents.get(reference.path, 0):
                return None
            found = taken.found.get(reference.path)
            if found != newest.identity and (
                self._reused(path, reference, newest) or (found and _is_news(reference, newest))
            ):
                return None
            if taken.again and interval is not None and not self._may_move(interval):
                return interval.bound
            return newest

        difference = track.take(version, playlist.references, self._follows, bind)
        records: list[Record] = [
            PlaylistTaken(
                self.number,
                taken.path,
                file.version,
                version.multivariant,
                version.media_sequence,
                version.last_sequence,
                version.target_duration_s,
                version.endlist,
            )
        ]
        records += [ReferenceClosed(self.number, track.path, i.path, i.since, file.version) for i in difference.closed]
        for interval in difference.opened:
            if interval.bound is None and interval.kind is not ReferenceKind.PLAYLIST:
                self.waiting.setdefault(interval.path, []).append((track, interval))
            self._use(track, interval)
            records.append(
                ReferenceOpened(
                    self.number,
                    track.path,
                    interval.path,
                    interval.kind,
                    interval.sequence,
                    interval.since,
                    interval.bound.version if interval.bound else None,
                )
            )
        return records

    def _use(self, track: Track, interval: Interval) -> None:
        if interval.bound is not None and interval.kind in _NUMBERED:
            interval.bound.used_by, interval.bound.used_as = track.path, interval.sequence

    def _bind_waiting(self, file: FileVersion) -> list[Record]:
        records: list[Record] = []
        for track, interval in self.waiting.pop(file.path, ()):
            now = track.listed.get(file.path)
            if interval.kind in _NUMBERED and now is not None and now.sequence != interval.sequence:
                continue  # the name was used again: its first bytes were never seen
            interval.bound = file
            self._use(track, interval)
            records.append(ReferenceBound(self.number, track.path, file.path, interval.since, file.version))
        return records


def _is_news(reference: Reference, file: FileVersion) -> bool:
    """Whether this is the first listing that could mean this version of the file."""
    return reference.kind in _NUMBERED and file.used_as < 0

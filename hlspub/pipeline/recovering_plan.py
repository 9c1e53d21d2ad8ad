"""A lost journal's records, made anew from what was published. Pure: lines and trees in, records out.

Theory. `publications.jsonl` names every session and every announced root. A root's tree names every file of its session up to
then, and its playlists say what each of them lists. So the newest root of a session gives back, as records of the ordinary
kind, a session that stands where that root was made: its file versions are those of the tree, its playlist versions and their
bindings come from `engine.session`, which is told of the tree's files as intake tells it of the directory's.

Under `archive` a tree also holds what its playlists list no longer. In the journal that is an interval that ended; so such a
playlist gets two versions of the same bytes, and what it lists no longer was listed by the first one only. What the archive
playlist will say of it was learned from the playlist's versions under earlier roots, as far as those are still here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from hlspub.engine.files import Quorum
from hlspub.engine.life import Event
from hlspub.engine.session import Session, Taken
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.hls.classify import classify
from hlspub.hls.learning import Kept
from hlspub.hls.playlist import NO_SEQUENCE, Playlist, PlaylistKind, Reference, ReferenceKind, References
from hlspub.model import Car, FileIdentity, FileKind, Packed
from hlspub.pipeline.archiving import learned_record
from hlspub.records import (
    FileTaken,
    PlaylistTaken,
    Record,
    ReferenceClosed,
    RootAnnounced,
    RootMade,
    SessionEnded,
    SessionEnding,
    SessionStarted,
)
from hlspub.spool.publications import PublishedLine

UNSEEN = FileIdentity(0, 0, 0, 0, 0)  # no file on disk is known to have these bytes: it is read again
_LABEL = re.compile(r"(\d{8}T\d{6}Z)-(\d{1,15})")
_LISTED, _LISTED_NO_MORE = 1, 2  # the versions of a playlist


@dataclass(frozen=True, slots=True)
class Past:
    """A session as its publications tell it. `lines` by seq, each once; `newest`: no later session of the stream is known."""

    number: int
    stream: str
    label: str
    settings: str
    started_at: float
    lines: tuple[PublishedLine, ...]
    newest: bool

    @property
    def final(self) -> bool:
        """Whether its final root was announced."""
        return any(line.final for line in self.lines)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the versions of a playlist that slid have taught, under roots that are still here.

    `kept` is for its archive playlist; `sequences` has for each path that was listed its last media sequence number.
    """

    kept: tuple[Kept, ...] = ()
    sequences: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a root's tree.

    `packed` is None when its blocks are not there any more. `identity` is that of the file on disk while that is the one
    that was taken, else `UNSEEN`. `playlist` is what a playlist says, `earlier` what it said before.
    """

    path: str
    packed: Packed | None
    identity: FileIdentity = UNSEEN
    playlist: Playlist | None = None
    earlier: Earlier = Earlier()


@dataclass(frozen=True, slots=True)
class NodeCar:
    """What is known of a root's own blocks; a root that is not there any more has no CAR and no size."""

    car: Car | None = None
    tsize: int = 0


def pasts(lines: Iterable[PublishedLine]) -> list[Past]:
    """The sessions of all streams, each stream's in their order. Of two lines with one seq the first counts.

    Sessions keep the numbers that their labels end with, unless some label has none or they contradict the order.
    """
    first: dict[tuple[str, int], PublishedLine] = {}
    for line in lines:
        first.setdefault((line.stream, line.seq), line)
    groups: dict[tuple[str, str], list[PublishedLine]] = {}
    for line in sorted(first.values(), key=lambda one: (one.stream, one.seq)):
        groups.setdefault((line.stream, line.session), []).append(line)
    found = list(groups.values())
    last = {group[0].stream: group[0].session for group in found}
    return [
        Past(
            number,
            group[0].stream,
            group[0].session,
            group[0].settings,
            _started_at(group[0]),
            tuple(group),
            newest=last[group[0].stream] == group[0].session,
        )
        for number, group in zip(_numbers(found), found, strict=True)
    ]


def records_of(past: Past, files: Sequence[TreeFile], nodes: Mapping[int, NodeCar], *, whole: bool) -> list[Record]:
    """The records of one session, behind the stream's. `files` is the tree from which it goes on, empty when it is over.

    `nodes` has for each seq what is known of the root's own blocks. `whole`: `files` is the tree of the newest root, and
    nothing of it is missing; so the next root builds on that one.
    """
    at = past.lines[-1].published_at
    records: list[Record] = [SessionStarted(past.number, past.stream, past.label, past.settings, past.started_at)]
    taken, playlists = _take(past, files, at)
    records += taken
    for number, line in enumerate(past.lines, start=1):
        own = nodes.get(line.seq, NodeCar())
        applied = playlists if whole and line is past.lines[-1] else ()
        when = line.published_at
        records.append(
            RootMade(past.number, number, line.root, own.tsize, line.entry, line.final, applied, own.car, when, ())
        )
        records.append(RootAnnounced(past.number, number, line.seq, when, 0.0))
    if past.final:
        records.append(SessionEnded(past.number, at))
    elif not past.newest:  # its final root was on its way when the next session had begun
        records.append(SessionEnding(past.number, Event.RESTART.value, at))
    return records


def _take(past: Past, files: Sequence[TreeFile], at: float) -> tuple[list[Record], tuple[tuple[str, int], ...]]:
    """The records of a tree's files, and the version at which each playlist stands."""
    settings = TreeSettings.from_json(past.settings)
    nobody = Quorum(frozenset(), 0)  # which targets have it, and which are sent it, is told of the CARs
    session = Session(past.number, past.stream, past.label, settings, (), nobody, at, at)
    unlisted = listed_no_more(files) if settings.retention is Retention.ARCHIVE else {}
    records: list[Record] = []
    playlists: list[tuple[str, int]] = []
    for file in sorted(files, key=lambda one: one.playlist is not None):  # what is listed comes before what lists it
        if file.packed is None:
            continue
        taken = Taken(file.path, classify(file.path), file.packed, file.identity, at, playlist=file.playlist)
        if file.playlist is None:
            records += session.take(taken)
            continue
        gone = unlisted.get(file.path, [])
        numbers = file.earlier.sequences
        more = [
            Reference(path, ReferenceKind.SEGMENT, required=True, sequence=numbers.get(path, NO_SEQUENCE))
            for path in gone
        ]
        listed = replace(file.playlist, references=References.of([*file.playlist.references, *more]))
        first = session.take(replace(taken, playlist=listed if gone else file.playlist))
        records += first
        playlists.append((file.path, _LISTED_NO_MORE if gone else _LISTED))
        if gone:
            records += [_again(record) for record in first if isinstance(record, FileTaken | PlaylistTaken)]
            records += [ReferenceClosed(past.number, file.path, path, _LISTED, _LISTED_NO_MORE) for path in gone]
        records += [learned_record(past.number, file.path, kept) for kept in file.earlier.kept]
    return records, tuple(playlists)


def _again(record: FileTaken | PlaylistTaken) -> Record:
    return replace(record, version=_LISTED_NO_MORE)


def listed_no_more(files: Sequence[TreeFile]) -> dict[str, list[str]]:
    """By playlist, the files of the tree that no playlist lists.

    Each belongs to the one that is known to have listed it, else to the nearest, media playlists first.
    """
    playlists = {file.path: file.playlist for file in files if file.playlist is not None}
    listed = {
        reference.path for playlist in playlists.values() for reference in playlist.references if _follows(reference)
    }
    owners = {path: file.path for file in files for path in file.earlier.sequences}
    unlisted: dict[str, list[str]] = {}
    for file in files:
        if file.path not in listed and file.path not in playlists and playlists:
            nearest = max(playlists, key=lambda path: _nearness(file.path, path, playlists[path]))
            unlisted.setdefault(owners.get(file.path, nearest), []).append(file.path)
    return unlisted


def _follows(reference: Reference) -> bool:
    return reference.required or reference.kind is ReferenceKind.KEY


def _nearness(path: str, playlist: str, said: Playlist) -> tuple[bool, int, str]:
    ours, theirs = path.split("/")[:-1], playlist.split("/")[:-1]
    together = next((at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), len(theirs))
    return said.kind is PlaylistKind.MEDIA, min(together, len(ours)), playlist


def _numbers(found: Sequence[Sequence[PublishedLine]]) -> list[int]:
    """The sessions' numbers; they are different, and grow within a stream."""
    labels = [(group[0].stream, _LABEL.fullmatch(group[0].session)) for group in found]
    said = [(stream, int(label[2])) for stream, label in labels if label]
    grows = all(one[0] != other[0] or one[1] < other[1] for one, other in pairwise(said))
    numbers = [number for _, number in said]
    if len(numbers) == len(found) == len(set(numbers)) and grows and 0 not in numbers:
        return numbers
    return list(range(1, len(found) + 1))


def _started_at(line: PublishedLine) -> float:
    label = _LABEL.fullmatch(line.session)
    try:
        began = datetime.strptime(label[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if label else None
    except ValueError:
        began = None
    return began.timestamp() if began else line.published_at


def is_playlist(path: str) -> bool:
    """Whether a file of a tree is a playlist, by its name."""
    return classify(path) is FileKind.PLAYLIST

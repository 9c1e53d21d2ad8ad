"""A scan under way: what the lines so far have said.

Rule: the only mutable thing in this room. It knows neither tags (`tags`) nor where lines come from (`scan`): it counts
segments, resolves URIs and gathers references. `playlist()` freezes it; `of()` thaws the end of a frozen one, so that a scan
can go on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from hlspub.errors import PlaylistError
from hlspub.hls.codes import in_order
from hlspub.hls.playlist import (
    NO_SEQUENCE,
    Gathered,
    Key,
    Playlist,
    PlaylistKind,
    ReferenceKind,
    Resume,
    Run,
    Source,
)
from hlspub.hls.references import Inline, Local, Refused, Remote, resolve

_VARIABLE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")  # RFC 8216bis §4.3


@dataclass(slots=True)
class Reading:
    """What a playlist has said up to the current line."""

    path: str
    inherited: Mapping[str, str]
    kind: PlaylistKind | None = None
    kind_tag: str = ""
    gathered: Gathered = field(default_factory=Gathered)
    remote: dict[str, None] = field(default_factory=dict)
    refused: dict[Refused, None] = field(default_factory=dict)
    keys: dict[Key, None] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    imports: dict[str, None] = field(default_factory=dict)
    extents: dict[str, int] = field(default_factory=dict)
    warn: set[str] = field(default_factory=set)
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    target_duration: float | None = None
    endlist: bool = False
    playlist_type: str | None = None
    iframes_only: bool = False
    low_latency: bool = False
    variants: int = 0  # EXT-X-STREAM-INF with its URI
    segments: int = 0
    elsewhere: int = 0  # segments that are not local
    skipped: int = 0  # segments that EXT-X-SKIP stands for
    total_s: float = 0.0
    longest_s: float = 0.0
    map_run: int = -1  # the run of the last EXT-X-MAP, -1 when it is not local
    map_used: bool = False  # a segment needs it …
    map_gapped: bool = False  # … or one that is a gap would
    range_path: str = ""
    range_end: int = 0
    durations: dict[str, float] = field(default_factory=dict)  # EXTINF lines in seconds (runs)
    stretch: int = 0  # segments in the last run of plain ones: the next one may well be as long
    # What waits for the next URI line:
    extinf_s: float | None = None
    stream_inf: bool = False
    gap: bool = False
    byterange: tuple[int, int | None] | None = None  # length, offset

    @property
    def sequence(self) -> int:
        """The media sequence number of the next segment."""
        return self.media_sequence + self.skipped + self.segments

    @property
    def dangling(self) -> str:
        """The tag that still waits for its URI line, if any."""
        if self.stream_inf:
            return "#EXT-X-STREAM-INF"
        if self.byterange is not None:
            return "#EXT-X-BYTERANGE"
        return "" if self.extinf_s is None else "#EXTINF"

    @property
    def idle(self) -> bool:
        """Whether nothing before this line bears on the next URI line."""
        return not self.gap and not self.dangling

    def is_a(self, kind: PlaylistKind, tag: str) -> None:
        """A tag that only this kind may have.

        Raises:
            PlaylistError: a tag of the other kind came before ("clients MUST fail to parse", RFC 8216bis §4.4).
        """
        if self.kind is None:
            self.kind, self.kind_tag = kind, tag
        elif self.kind is not kind:
            raise PlaylistError(
                f"{self.path} is neither a media nor a multivariant playlist: it has both {self.kind_tag} and {tag}",
                hint="Make the transcoder write segments and variant streams to separate playlists.",
            )

    def refer(
        self, uri: str, kind: ReferenceKind, *, required: bool, sequence: int = NO_SEQUENCE
    ) -> Local | Remote | Inline | Refused:
        """Take note of a URI, and say what it is."""
        if "{$" in uri:
            uri = self.substitute(uri)
        found = resolve(uri, self.path)
        if "{$" in uri and _VARIABLE.search(uri.partition("?")[0]):
            found = Refused(uri, "undefined-variable")
        if isinstance(found, Local):
            self.gathered.append(found.path, kind, required=required, sequence=sequence)
        elif isinstance(found, Remote):
            self.remote[uri] = None
        elif isinstance(found, Refused):
            self.refused[found] = None
        return found

    def substitute(self, text: str) -> str:
        """`text` with each `{$name}` that has a value replaced."""
        return _VARIABLE.sub(lambda found: self.variables.get(found[1], found[0]), text)

    def uri_line(self, uri: str) -> None:
        """A line that is neither tag nor comment nor blank."""
        if self.stream_inf:
            self.stream_inf = False
            self.variants += 1
            self.refer(uri, ReferenceKind.PLAYLIST, required=True)
        elif self.extinf_s is None:
            self.warn.add("stray-uri")
        else:
            self._segment(uri, self.extinf_s)

    def _segment(self, uri: str, seconds: float) -> None:
        target = self.refer(uri, ReferenceKind.SEGMENT, required=not self.gap, sequence=self.sequence)
        if not isinstance(target, Local):
            self.elsewhere += 1
        elif self.byterange is not None:
            self.range_of(target.path, *self.byterange)
        self.segments += 1
        self.needs_map(gap=self.gap)
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)
        self.extinf_s, self.gap, self.byterange = None, False, None

    def map_line(self, uri: str) -> Local | Remote | Inline | Refused:
        """An EXT-X-MAP; the segments before it needed the one before, or none of them did."""
        self._settle_map(self.gathered.runs)
        found = self.refer(uri, ReferenceKind.MAP, required=True)
        self.map_run = len(self.gathered.runs) - 1 if isinstance(found, Local) else -1
        self.map_used = self.map_gapped = False
        return found

    def needs_map(self, *, gap: bool) -> None:
        """A segment or partial segment is listed, to which the last EXT-X-MAP applies."""
        if gap:
            self.map_gapped = True
        else:
            self.map_used = True

    def _settle_map(self, runs: list[Run]) -> None:
        """A map to which only gaps refer is not required: no player loads it."""
        if self.map_run >= 0 and self.map_gapped and not self.map_used:
            runs[self.map_run] = runs[self.map_run]._replace(required=False)

    def range_of(self, path: str, length: int, offset: int | None) -> None:
        """A byte range of a local file: without an offset it follows the one before (RFC 8216bis §4.4.4.2)."""
        if offset is None:
            offset = self.range_end if path == self.range_path else 0
        self.range_path, self.range_end = path, offset + length
        self.extents[path] = max(self.extents.get(path, 0), self.range_end)

    def ranges_of(self, path: str, ends: Sequence[int]) -> None:
        """Byte ranges of one local file with an offset each, by where they end."""
        self.range_path, self.range_end = path, ends[-1]
        self.extents[path] = max(self.extents.get(path, 0), *ends)

    def segments_run(self, paths: Sequence[str], longest_s: float, total_s: float) -> None:
        """A run of plain segments; `total_s` counts from the playlist's start."""
        self.gathered.extend(paths, ReferenceKind.SEGMENT, required=True, sequence=self.sequence)
        self.segments += len(paths)
        self.needs_map(gap=False)
        self.longest_s = max(self.longest_s, longest_s)
        self.total_s = total_s

    def playlist(self, kind: PlaylistKind, source: Source) -> Playlist:
        """The frozen value."""
        media = kind is PlaylistKind.MEDIA
        references = self.gathered
        if self.map_gapped and not self.map_used:
            references = Gathered(references.paths, references.runs)
            self._settle_map(references.runs)
        if media and self.target_duration is None:
            self.warn.add("no-target-duration")
        if self.segments and self.elsewhere == self.segments:
            self.warn.add("all-segments-remote")
        return Playlist(
            kind=kind,
            references=references.freeze(),
            remote=tuple(self.remote),
            refused=tuple(self.refused),
            keys=tuple(self.keys),
            media_sequence=self.media_sequence,
            last_sequence=self.sequence - 1,
            discontinuity_sequence=self.discontinuity_sequence,
            target_duration=self.longest_s if self.target_duration is None else self.target_duration,
            endlist=self.endlist,
            playlist_type=self.playlist_type,
            iframes_only=self.iframes_only,
            low_latency=self.low_latency,
            segments=self.segments,
            total_duration_s=self.total_s,
            extents=MappingProxyType(self.extents),
            variables=MappingProxyType(self.variables),
            imports=tuple(self.imports),
            warn=in_order(self.warn),
            source=source,
        )

    def resume(self) -> Resume:
        """What `of` needs beside the playlist."""
        return Resume(
            path=self.path,
            kind_tag=self.kind_tag,
            gap=self.gap,
            has_target=self.target_duration is not None,
            longest_s=self.longest_s,
            elsewhere=self.elsewhere,
            skipped=self.skipped,
            map_run=self.map_run,
            map_used=self.map_used,
            map_gapped=self.map_gapped,
            range_path=self.range_path,
            range_end=self.range_end,
        )

    @classmethod
    def of(cls, inherited: Mapping[str, str], before: Playlist, resume: Resume) -> Self:
        """A reading that goes on after the last line of `before`."""
        gathered = Gathered(before.references.paths, before.references.runs)
        if resume.map_run >= 0:
            gathered.runs[resume.map_run] = gathered.runs[resume.map_run]._replace(required=True)
        return cls(
            path=resume.path,
            inherited=inherited,
            kind=before.kind,
            kind_tag=resume.kind_tag,
            gathered=gathered,
            remote=dict.fromkeys(before.remote),
            refused=dict.fromkeys(before.refused),
            keys=dict.fromkeys(before.keys),
            variables=dict(before.variables),
            imports=dict.fromkeys(before.imports),
            extents=dict(before.extents),
            warn=set(before.warn) - {"all-segments-remote", "no-target-duration"},
            media_sequence=before.media_sequence,
            discontinuity_sequence=before.discontinuity_sequence,
            target_duration=before.target_duration if resume.has_target else None,
            endlist=before.endlist,
            playlist_type=before.playlist_type,
            iframes_only=before.iframes_only,
            low_latency=before.low_latency,
            segments=before.segments,
            elsewhere=resume.elsewhere,
            skipped=resume.skipped,
            map_run=resume.map_run,
            map_used=resume.map_used,
            map_gapped=resume.map_gapped,
            total_s=before.total_duration_s,
            longest_s=resume.longest_s,
            range_path=resume.range_path,
            range_end=resume.range_end,
            gap=resume.gap,
        )

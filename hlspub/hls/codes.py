"""What `warn` and `refuse` codes mean, in one sentence each.

Rule: a code is part of the command-line contract and never changes; its sentence is for people. The order of `WARNINGS` is the
order in which a playlist's codes are listed.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        "not-a-playlist": "A playlist's file holds something else.",
        "truncated": "The playlist breaks off before its last line ends; hlspub waits for the rest.",
        "bom": "The playlist starts with a byte order mark, which RFC 8216bis forbids and some players refuse.",
        "not-utf8": "The playlist is not UTF-8; some players refuse it.",
        "line-too-long": "A line is longer than 4096 bytes; ffmpeg and others cut it off.",
        "stray-uri": "A line that is no tag follows no EXTINF or EXT-X-STREAM-INF; players ignore it, and so does hlspub.",
        "no-target-duration": "The media playlist has no EXT-X-TARGETDURATION; the longest segment stands in for it.",
        "delta-update-on-disk": "The playlist is a delta update (EXT-X-SKIP); new viewers cannot play it.",
        "ll-hls-needs-dynamic-origin": "Low-latency tags ask for a server that waits and edits; a published tree cannot.",
        "discontinuity": "The stream is interrupted (EXT-X-DISCONTINUITY), as after a restart of the transcoder.",
        "remote-key": "Segments are encrypted with a key that lies elsewhere; viewers need access to it.",
        "all-segments-remote": "Every segment's URI points elsewhere, so nothing of this playlist would be published.",
        "reused-names": "Segment names start over within the playlist: the transcoder overwrites older files.",
        "media-sequence-went-backwards": "A second playlist starts over with lower numbers, as after a restart.",
        "playlist-cycle": "Playlists list one another in a circle.",
        "missing-rendition": "A playlist is listed but not there.",
        "missing-map": "A media initialization section is listed but not there.",
        "missing-segment": "A segment is listed but not there.",
        "missing-key": "A key is referred to but not there; viewers must get it by other means.",
        "range-beyond-file": "A byte range reaches past the end of its file.",
        "temporary-name": "A listed file has the name of a temporary file; hlspub does not take those.",
        "needs-entry": "Several playlists could be the entry; name one with `entry`.",
        "no-playlist": "No playlist is there.",
        "variants-unreadable": "The variant streams' attributes could not be read; they are only missing from reports.",
    }
)

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "absolute": "it is an absolute path",
        "backslash": "it holds a backslash",
        "empty": "it names no file",
        "escapes-root": "it leads out of the stream's directory",
        "file-url": "it is a file: URL",
        "not-a-file": "it names no regular file",
        "nul": "it holds a NUL character",
        "symlink-escape": "it is a link that leads out of the stream's directory",
        "undefined-variable": "it uses a variable that no EXT-X-DEFINE gives a value",
    }
)


def in_order(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes, each once, as `WARNINGS` lists them."""
    found = set(codes)
    return tuple(code for code in WARNINGS if code in found)

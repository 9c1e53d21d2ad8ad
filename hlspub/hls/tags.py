"""Tags: what each line of a playlist says, as a table.

Rule: one function a tag, named in `TAGS`; a tag or attribute that is not there is skipped, as RFC 8216bis §6.3.1 asks of
clients. A number that decides what the playlist claims (a media sequence) must be one, or the playlist is refused; anything
else that is malformed is passed over.

Source: RFC 8216bis §4.4; EXT-X-IMAGE-STREAM-INF is Roku's, X-ASSET-* Apple's (HLS interstitials, appendix D).
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hlspub.errors import PlaylistError
from hlspub.hls import attributes
from hlspub.hls.playlist import Key, PlaylistKind, ReferenceKind
from hlspub.hls.reading import Reading
from hlspub.hls.references import Local, Remote

Handler = Callable[[Reading, str], None]

MAX_SECONDS = 1e9  # a longer segment is a slip of the pen and counts as nothing
MAX_NUMBER = 10**20 - 1  # of as many digits as 2^64-1 has, RFC 8216bis §4.2
_DECIMAL = re.compile(r"[0-9]{1,20}")
_BYTERANGE = re.compile(r"([0-9]{1,20})(?:@([0-9]{1,20}))?")


def seconds(text: str) -> float:
    """The duration that an EXTINF's value starts with; 0 when it is none."""
    try:
        value = float(text.partition(",")[0])
    except ValueError:
        return 0.0
    return value if 0 <= value < MAX_SECONDS else 0.0


def _number(reading: Reading, tag: str, text: str) -> int:
    digits = text.strip()
    if not _DECIMAL.fullmatch(digits):
        raise PlaylistError(
            f"{reading.path}: {tag} needs a number, not {text[:40]!r}",
            hint="The transcoder wrote a damaged playlist; hlspub reads the next version.",
        )
    return int(digits)


def byterange(text: str) -> tuple[int, int | None] | None:
    """A byte range's length and offset; None when it is none."""
    found = _BYTERANGE.fullmatch(text.strip())
    return (int(found[1]), int(found[2]) if found[2] else None) if found else None


# Media playlists


def _extinf(reading: Reading, value: str) -> None:
    if reading.kind is not PlaylistKind.MEDIA:
        reading.is_a(PlaylistKind.MEDIA, "EXTINF")
    reading.extinf_s = seconds(value)


def _target_duration(reading: Reading, value: str) -> None:
    reading.is_a(PlaylistKind.MEDIA, "EXT-X-TARGETDURATION")
    reading.target_duration = seconds(value) or None


def _media_sequence(reading: Reading, value: str) -> None:
    number = _number(reading, "EXT-X-MEDIA-SEQUENCE", value)
    if not reading.segments:  # "MUST appear before the first Media Segment", §4.4.3.2
        reading.media_sequence = number


def _discontinuity_sequence(reading: Reading, value: str) -> None:
    number = _number(reading, "EXT-X-DISCONTINUITY-SEQUENCE", value)
    if not reading.segments:
        reading.discontinuity_sequence = number


def _discontinuity(reading: Reading, _: str) -> None:
    if reading.segments:  # before the first one it interrupts nothing
        reading.warn.add("discontinuity")


def _endlist(reading: Reading, _: str) -> None:
    reading.endlist = True


def _playlist_type(reading: Reading, value: str) -> None:
    if value.strip() in {"VOD", "EVENT"}:
        reading.playlist_type = value.strip()


def _iframes_only(reading: Reading, _: str) -> None:
    reading.iframes_only = True


def _gap(reading: Reading, _: str) -> None:
    reading.gap = True


def _range(reading: Reading, value: str) -> None:
    reading.byterange = byterange(value)


def _map(reading: Reading, value: str) -> None:
    found = attributes.parse(value)
    if uri := found.get("URI"):
        _ranged(reading, reading.map_line(uri), found)


def _ranged(reading: Reading, target: object, found: Mapping[str, str]) -> None:
    extent = byterange(found.get("BYTERANGE", ""))
    if extent and isinstance(target, Local):
        length, offset = extent
        reading.extents[target.path] = max(reading.extents.get(target.path, 0), (offset or 0) + length)


def _key(reading: Reading, value: str) -> None:
    found = attributes.parse(value)
    method, uri = found.get("METHOD", ""), found.get("URI")
    if method == "NONE" or not uri:
        return
    keyformat = found.get("KEYFORMAT", "identity")
    target = reading.refer(uri, ReferenceKind.KEY, required=False)
    if isinstance(target, Local | Remote):
        reading.keys[Key(method, uri, keyformat, target.path if isinstance(target, Local) else None)] = None
    # Other key formats name a licence system, not a file that someone must serve.
    if isinstance(target, Remote) and keyformat == "identity":
        reading.warn.add("remote-key")


def _skip(reading: Reading, value: str) -> None:
    reading.warn.add("delta-update-on-disk")
    count = attributes.parse(value).get("SKIPPED-SEGMENTS", "0")
    reading.skipped += _number(reading, "SKIPPED-SEGMENTS", count)


def _low_latency(reading: Reading) -> None:
    reading.low_latency = True
    reading.warn.add("ll-hls-needs-dynamic-origin")


def _part_inf(reading: Reading, _: str) -> None:
    _low_latency(reading)


def _server_control(reading: Reading, value: str) -> None:
    found = attributes.parse(value)
    if found.get("CAN-BLOCK-RELOAD") == "YES" or "CAN-SKIP-UNTIL" in found:
        _low_latency(reading)


def _part(reading: Reading, value: str) -> None:
    _low_latency(reading)
    found = attributes.parse(value)
    if uri := found.get("URI"):
        gap = found.get("GAP") == "YES" or reading.gap
        reading.needs_map(gap=gap)
        target = reading.refer(uri, ReferenceKind.PART, required=not gap, sequence=reading.sequence)
        _ranged(reading, target, found)


def _daterange(reading: Reading, value: str) -> None:
    found = attributes.parse(value)
    for name in ("X-ASSET-URI", "X-ASSET-LIST"):
        if uri := found.get(name):
            reading.refer(uri, ReferenceKind.ASSET, required=False)


# Multivariant playlists


def _stream_inf(reading: Reading, _: str) -> None:
    reading.is_a(PlaylistKind.MULTIVARIANT, "EXT-X-STREAM-INF")
    reading.stream_inf = True


def _listing(tag: str) -> Handler:
    """A tag whose URI attribute lists a playlist."""

    def handle(reading: Reading, value: str) -> None:
        reading.is_a(PlaylistKind.MULTIVARIANT, tag)
        if uri := attributes.parse(value).get("URI"):
            reading.refer(uri, ReferenceKind.PLAYLIST, required=True)

    return handle


# Both


def _optional(kind: ReferenceKind, name: str = "URI") -> Handler:
    """A tag whose `name` attribute refers to something that a viewer can do without."""

    def handle(reading: Reading, value: str) -> None:
        if uri := attributes.parse(value).get(name):
            reading.refer(uri, kind, required=False)

    return handle


def _define(reading: Reading, value: str) -> None:
    """§4.4.2.3. The value of a QUERYPARAM is known to the viewer alone; such a variable stays undefined here."""
    found = attributes.parse(value)
    if name := found.get("NAME"):
        reading.variables[name] = reading.substitute(found.get("VALUE", ""))
    elif name := found.get("IMPORT"):
        reading.imports[name] = None
        if name in reading.inherited:
            reading.variables[name] = reading.inherited[name]


TAGS: Mapping[str, Handler] = MappingProxyType(
    {
        "#EXTINF": _extinf,
        "#EXT-X-BYTERANGE": _range,
        "#EXT-X-CONTENT-STEERING": _optional(ReferenceKind.STEERING, "SERVER-URI"),
        "#EXT-X-DATERANGE": _daterange,
        "#EXT-X-DEFINE": _define,
        "#EXT-X-DISCONTINUITY": _discontinuity,
        "#EXT-X-DISCONTINUITY-SEQUENCE": _discontinuity_sequence,
        "#EXT-X-ENDLIST": _endlist,
        "#EXT-X-GAP": _gap,
        "#EXT-X-I-FRAME-STREAM-INF": _listing("EXT-X-I-FRAME-STREAM-INF"),
        "#EXT-X-I-FRAMES-ONLY": _iframes_only,
        "#EXT-X-IMAGE-STREAM-INF": _listing("EXT-X-IMAGE-STREAM-INF"),
        "#EXT-X-KEY": _key,
        "#EXT-X-MAP": _map,
        "#EXT-X-MEDIA": _listing("EXT-X-MEDIA"),
        "#EXT-X-MEDIA-SEQUENCE": _media_sequence,
        "#EXT-X-PART": _part,
        "#EXT-X-PART-INF": _part_inf,
        "#EXT-X-PLAYLIST-TYPE": _playlist_type,
        "#EXT-X-PRELOAD-HINT": _optional(ReferenceKind.PRELOAD_HINT),
        "#EXT-X-RENDITION-REPORT": _optional(ReferenceKind.RENDITION_REPORT),
        "#EXT-X-SERVER-CONTROL": _server_control,
        "#EXT-X-SESSION-DATA": _optional(ReferenceKind.SESSION_DATA),
        "#EXT-X-SESSION-KEY": _key,
        "#EXT-X-SKIP": _skip,
        "#EXT-X-STREAM-INF": _stream_inf,
        "#EXT-X-TARGETDURATION": _target_duration,
    }
)


def read_line(reading: Reading, line: str) -> None:
    """Take one line, stripped, without its end."""
    if not line.startswith("#"):
        if line:
            reading.uri_line(line)
        return
    name, _, value = line.partition(":")
    handle = TAGS.get(name)
    if handle:
        handle(reading, value)

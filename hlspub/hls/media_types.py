"""Media types: what a file is served as.

Rule: a table of our own, because players need other answers than the system's tables give (Python's says `.ts` is a
linguist's file and knows no `.m4s`). A name that is not in it is looked at (`sniff`); what stays unknown is
`application/octet-stream`. Nothing that a browser would run is ever guessed.

Source: RFC 8216bis §10 (playlists), RFC 9559 and the IANA registry, ISO/IEC 14496-12 for the boxes that `sniff` knows.
"""

from collections.abc import Mapping
from types import MappingProxyType

from hlspub.hls.classify import suffix_of

UNKNOWN = "application/octet-stream"
PLAYLIST = "application/vnd.apple.mpegurl"
TRANSPORT_STREAM = "video/mp2t"
ISO_SEGMENT = "video/iso.segment"
MP4 = "video/mp4"
WEBVTT = "text/vtt; charset=utf-8"
HEAD_SIZE = 512  # bytes that `sniff` makes use of

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "m3u8": PLAYLIST,
        "m3u": PLAYLIST,
        "ts": TRANSPORT_STREAM,
        "m2ts": TRANSPORT_STREAM,
        "mts": TRANSPORT_STREAM,
        "m4s": ISO_SEGMENT,
        "m4f": ISO_SEGMENT,
        "cmfv": MP4,
        "cmfa": "audio/mp4",
        "cmft": "application/mp4",
        "mp4": MP4,
        "m4v": MP4,
        "m4i": MP4,
        "m4a": "audio/mp4",
        "aac": "audio/aac",
        "ac3": "audio/ac3",
        "ec3": "audio/eac3",
        "eac3": "audio/eac3",
        "mp3": "audio/mpeg",
        "vtt": WEBVTT,
        "webvtt": WEBVTT,
        "ttml": "application/ttml+xml",
        "webm": "video/webm",
        "mpd": "application/dash+xml",
        "key": UNKNOWN,
        "json": "application/json",
        "car": "application/vnd.ipld.car",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "txt": "text/plain; charset=utf-8",
    }
)

_TS_PACKET = 188  # bytes; each starts with 0x47, ISO/IEC 13818-1 §2.4.3.2
_BOXES = MappingProxyType({b"ftyp": MP4, b"styp": ISO_SEGMENT, b"moof": ISO_SEGMENT, b"sidx": ISO_SEGMENT})
_BOM = b"\xef\xbb\xbf"


def media_type(name: str, head: bytes = b"") -> str:
    """The media type of a file: by its suffix in any case, else by its first bytes."""
    return type_of_name(name) or sniff(head)


def type_of_name(name: str) -> str | None:
    """The media type that a name's suffix stands for; None when it is not in the table."""
    return MEDIA_TYPES.get(suffix_of(name))


def sniff(head: bytes) -> str:
    """The media type that a file's first bytes (HEAD_SIZE of them) show, `application/octet-stream` when they show none."""
    text = head.removeprefix(_BOM)
    if text.startswith(b"#EXTM3U"):
        return PLAYLIST
    if text.startswith(b"WEBVTT"):
        return WEBVTT
    packets = head[::_TS_PACKET]
    if len(packets) > 1 and packets.count(0x47) == len(packets):
        return TRANSPORT_STREAM
    return _BOXES.get(head[4:8], UNKNOWN)

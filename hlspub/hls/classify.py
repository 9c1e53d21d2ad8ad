"""Classes of files: what a name alone says.

Rule: only names, never content. A temporary name is one that its writer will rename or remove: hlspub does not take it,
whatever it holds. Measured with ffmpeg, Shaka Packager and GStreamer; completed with the names that editors and copiers use.
"""

import re

from hlspub.model import FileKind

_TEMPORARY = re.compile(
    r"""
      .+\.(?:tmp|temp|part|partial|filepart|crdownload)  # ffmpeg and most others
    | .+~ | \#.+\# | ~.+                # emacs, nano, gedit; office programs
    | packager-tempfile-.+              # Shaka Packager
    | .+\.m3u8?\.[A-Za-z0-9]{6}         # GStreamer's hlssink (mkstemp)
    | .+\.sb-[0-9a-f]{8}-.+             # macOS's atomic save
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_DIGITS = re.compile(r"[0-9]+")
_LAST_NUMBER = re.compile(r"[0-9]{1,20}(?=[^0-9]*$)")

PLAYLIST_SUFFIXES = frozenset({"m3u8", "m3u"})
# What HLS segments, initialization sections and subtitles are called. Matroska is not among them: no player takes it in HLS,
# and an .mkv beside a stream is somebody's recording.
MEDIA_SUFFIXES = frozenset(
    {
        *("ts", "m2ts", "mts"),
        *("m4s", "mp4", "m4v", "m4a", "m4f", "m4i", "cmfv", "cmfa", "cmft", "cmfi", "webm"),
        *("aac", "ac3", "ec3", "eac3", "mp3"),
        *("vtt", "webvtt", "ttml"),
    }
)
TEXT_SUFFIXES = frozenset({"vtt", "webvtt", "ttml"})
KEY_SIZES = frozenset({16, 32})  # bytes: AES-128, AES-256 and SAMPLE-AES keys (RFC 8216bis §4.4.4.4)
KEY_SUFFIXES = frozenset({"key", "keyinfo"})  # ffmpeg's key_info_file says where the key lies


def is_temporary(path: str) -> bool:
    """Whether the name is a temporary one, or it or a folder on its path starts with a dot."""
    if path.startswith(".") or "/." in path:
        return True
    return _TEMPORARY.fullmatch(path.rpartition("/")[2]) is not None


def suffix_of(path: str) -> str:
    """The suffix in lower case without its dot; "" when there is none."""
    stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return suffix.lower() if stem and dot else ""


def classify(path: str) -> FileKind:
    """What the file is to a stream, by its suffix."""
    suffix = suffix_of(path)
    if suffix in PLAYLIST_SUFFIXES:
        return FileKind.PLAYLIST
    if suffix in MEDIA_SUFFIXES:
        return FileKind.MEDIA
    return FileKind.KEY if suffix in KEY_SUFFIXES else FileKind.OTHER


def may_be_key(path: str, size: int) -> bool:
    """Whether a file of `size` bytes may be a content key: no media is as short, so a name like `k.ts` proves nothing."""
    return size in KEY_SIZES and suffix_of(path) not in TEXT_SUFFIXES | PLAYLIST_SUFFIXES


def rendition_of(path: str) -> str:
    """A key that files of one rendition share: the path, with each run of digits in the name folded to `#`.

    Folders and suffix stay as they are.
    """
    start, end = _stem(path)
    return path[:start] + _DIGITS.sub("#", path[start:end]) + path[end:]


def numbered(path: str) -> tuple[str, int] | None:
    """The last number in the name, before its suffix, and what is left of the path without it; None when there is none."""
    start, end = _stem(path)
    found = _LAST_NUMBER.search(path[start:end])
    if not found:
        return None
    return f"{path[: start + found.start()]}#{path[start + found.end() :]}", int(found[0])


def _stem(path: str) -> tuple[int, int]:
    """Where the name without its suffix starts and ends."""
    suffix = suffix_of(path)
    return path.rfind("/") + 1, len(path) - (len(suffix) + 1 if suffix else 0)

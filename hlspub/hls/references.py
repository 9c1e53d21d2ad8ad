"""References: what a URI in a playlist points at.

Rule: a URI is resolved once, against the directory of the playlist that holds it, and percent-decoded once; `?query` and
`#fragment` name no file and are dropped. What stays inside the stream's directory is local. What would leave it, or names a
file by other means (an absolute path, `file:`, a backslash, NUL), is refused and said aloud, never skipped in silence and never
followed. Other schemes are remote: hlspub leaves them to the viewer.

Nothing is normalised (NFC and NFD are two names). Bytes that are not UTF-8 travel as surrogate escapes (PEP 383), so that a
path here is the path that `os.listdir` gives. Source: RFC 3986 §5.2, RFC 8216bis §4.1.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


class Local(NamedTuple):
    """A file in the stream: its path relative to the stream's directory, POSIX form."""

    path: str


class Remote(NamedTuple):
    """A resource elsewhere (any scheme but `data:` and `file:`, or `//host/…`)."""

    uri: str


class Inline(NamedTuple):
    """A `data:` URI: the resource is in the playlist itself."""

    uri: str


class Refused(NamedTuple):
    """A URI that hlspub will not follow.

    Reasons: `absolute`, `backslash`, `empty`, `escapes-root`, `file-url`, `not-a-file`, `nul`, `undefined-variable`; the
    inspector, which sees the disk, adds `symlink-escape`.
    """

    uri: str
    reason: str


def decode(path: str) -> str:
    """Percent-decode once; octets that are not UTF-8 become surrogate escapes, a stray `%` stays."""
    if "%" not in path:
        return path
    return unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def resolve(uri: str, base: str) -> Local | Remote | Inline | Refused:
    """What `uri` means in the playlist at `base` (its path relative to the stream's directory, not its directory)."""
    text = uri.strip(" \t")
    if text.startswith("//"):
        return Remote(uri)
    if ":" in text and (scheme := _SCHEME.match(text)):
        return _elsewhere(scheme[1].lower(), uri)
    return _inside(decode(text.partition("#")[0].partition("?")[0]), base, uri)


def _elsewhere(scheme: str, uri: str) -> Remote | Inline | Refused:
    if scheme == "data":
        return Inline(uri)
    if scheme == "file":
        return Refused(uri, "file-url")
    # No scheme of one letter is registered; `C:` is a Windows drive.
    return Refused(uri, "absolute") if len(scheme) == 1 else Remote(uri)


def _inside(path: str, base: str, uri: str) -> Local | Refused:
    if not path:
        return Refused(uri, "empty")
    if "\0" in path:
        return Refused(uri, "nul")
    if "\\" in path:
        return Refused(uri, "backslash")
    if path.startswith("/"):
        return Refused(uri, "absolute")
    if not path.startswith(".") and "//" not in path and "/." not in path and not path.endswith("/"):
        return Local(base[: base.rfind("/") + 1] + path)
    return _normalised(path.split("/"), base.split("/")[:-1], uri)


def _normalised(steps: list[str], parts: list[str], uri: str) -> Local | Refused:
    """RFC 3986 §5.2.4, but a step above the top is refused rather than forgiven, and empty steps are none, as on disk."""
    for step in steps:
        if step == "..":
            if not parts:
                return Refused(uri, "escapes-root")
            parts.pop()
        elif step not in {"", "."}:
            parts.append(step)
    return Refused(uri, "not-a-file") if steps[-1] in {"", ".", ".."} else Local("/".join(parts))

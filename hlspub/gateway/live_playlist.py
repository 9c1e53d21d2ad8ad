"""Playlists as a static origin may serve them: without the promises of Low-Latency HLS that need a dynamic one.

Rule: CAN-BLOCK-RELOAD and CAN-SKIP-UNTIL promise that the server answers `_HLS_msn` and `_HLS_skip` by waiting and by leaving
out. A root is a fixed tree and can do neither, so a player that believed them would stall. They, and CAN-SKIP-DATERANGES
that depends on them, are taken out of EXT-X-SERVER-CONTROL; a tag with nothing left is taken out as a line. Every other byte
stays, line endings included. This is done where a live address is served, never to what is published.

Source: RFC 8216bis §4.4.3.8, §6.2.5.
"""

import re
from typing import Final

TAG: Final = b"#EXT-X-SERVER-CONTROL:"
_DYNAMIC: Final = frozenset((b"CAN-BLOCK-RELOAD", b"CAN-SKIP-UNTIL", b"CAN-SKIP-DATERANGES"))
_LINE = re.compile(rb"^" + re.escape(TAG) + rb"([^\r\n]*)(\r?\n|\r?\Z)", re.MULTILINE)
# attribute-name = attribute-value; a quoted string may hold commas
_ATTRIBUTE = re.compile(rb'\s*([^=,]+)=("[^"]*"|[^,]*)')


def static(playlist: bytes) -> bytes:
    """`playlist` without what only a dynamic origin can keep; the same object when there is nothing to take out."""
    return _LINE.sub(_without_dynamic, playlist) if TAG in playlist else playlist


def _without_dynamic(match: re.Match[bytes]) -> bytes:
    attributes = _ATTRIBUTE.findall(match[1])
    kept = [name + b"=" + value for name, value in attributes if name.strip() not in _DYNAMIC]
    if len(kept) == len(attributes):
        return match[0]
    return TAG + b",".join(kept) + match[2] if kept else b""

"""dag-json, written: the text that a UCAN 0.9.1 signature is over.

Rule: no spaces, keys in the order of their bytes at every level (dag-cbor's order is another), characters as they are,
links as {"/": "bafy…"}, bytes as {"/": {"bytes": "…"}} in base64 without padding.

Source: ipld.io/specs/codecs/dag-json/spec.
"""

import base64
import json
from collections.abc import Mapping

from hlspub.ipld.cid import Cid
from hlspub.ipld.dagcbor import Writable


def encode(value: Writable) -> bytes:
    """The text of `value`, as UTF-8."""
    plain = _plain(value)
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def _plain(value: Writable) -> object:
    match value:
        case Cid():
            return {"/": str(value)}
        case bytes():
            return {"/": {"bytes": base64.b64encode(value).decode().rstrip("=")}}
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return [_plain(item) for item in value]

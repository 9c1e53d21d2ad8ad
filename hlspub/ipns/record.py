"""Records: where a name leads, until when, and which of two records is the newer one; made, signed, and checked.

Rule: what counts is `data` (dag-cbor) and the signature over it (V2). The fields of the old form (V1) are written too, for
readers that still look at them; when read, they are believed in nothing: they may be absent, and must not disagree.
A record is checked whole before any of it is used, and is at most `MAX_SIZE` bytes. Times are handed in, in nanoseconds.

    IpnsEntry  1 value   2 signatureV1   3 validityType   4 validity   5 sequence   6 ttl   7 pubKey   8 signatureV2   9 data

Source: specs.ipfs.tech/ipns/ipns-record "Record Serialization Format", "Record Creation", "Record Verification".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, TypeAlias, TypeGuard

from hlspub.errors import BlockError, IpnsError
from hlspub.ipld import dagcbor
from hlspub.ipld.protobuf import read_span, read_varint, write_varint
from hlspub.ipns.key import Key
from hlspub.ipns.name import Name

MAX_SIZE: Final = 10 << 10  # bytes
MEDIA_TYPE: Final = "application/vnd.ipfs.ipns-record"
NS: Final = 1_000_000_000  # nanoseconds in a second
_SIGNED: Final = b"ipns-signature:"
_EOL: Final = 0  # the one type of validity there is: a time of expiry
# RFC 3339, with up to nine decimals
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types

Fields: TypeAlias = Mapping[int, "int | bytes"]


class _Field(IntEnum):
    VALUE = 1
    SIGNATURE_V1 = 2
    VALIDITY_TYPE = 3
    VALIDITY = 4
    SEQUENCE = 5
    TTL = 6
    PUBLIC_KEY = 7
    SIGNATURE_V2 = 8
    DATA = 9


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says.

    Attributes:
        value: where the name leads: "/ipfs/CID" or "/ipns/NAME", perhaps with a path.
        sequence: of two records of a name the higher one is the newer.
        expires_ns: Unix nanoseconds after which it holds no longer.
        ttl_ns: how long, in nanoseconds, it may be used without asking anew.
    """

    value: str
    sequence: int
    expires_ns: int
    ttl_ns: int

    def is_newer_than(self, other: "Record") -> bool:
        """Whether this one replaces `other`: by sequence, then by who lasts longer."""
        return (self.sequence, self.expires_ns) > (other.sequence, other.expires_ns)


def sign(record: Record, key: Key) -> bytes:
    """The signed record of the key's name.

    Raises:
        ValueError: a number is negative or too large.
        IpnsError: it would be larger than `MAX_SIZE`.
    """
    value, validity = record.value.encode(), _time_text(record.expires_ns).encode()
    data = dagcbor.encode(
        {
            "Value": value,
            "Validity": validity,
            "ValidityType": _EOL,
            "Sequence": record.sequence,
            "TTL": record.ttl_ns,
        }
    )
    signed = b"".join(
        (
            _bytes(_Field.VALUE, value),
            _bytes(_Field.SIGNATURE_V1, key.sign(value + validity + b"0")),
            _number(_Field.VALIDITY_TYPE, _EOL),
            _bytes(_Field.VALIDITY, validity),
            _number(_Field.SEQUENCE, record.sequence),
            _number(_Field.TTL, record.ttl_ns),
            _bytes(_Field.SIGNATURE_V2, key.sign(_SIGNED + data)),
            _bytes(_Field.DATA, data),
        )
    )
    if len(signed) > MAX_SIZE:
        raise IpnsError(f"a record of {len(signed)} bytes, more than {MAX_SIZE}")
    return signed


def read(name: Name, signed: bytes, *, now_ns: int | None = None) -> Record:
    """What a record of `name` says, once it is found good. With `now_ns` (Unix nanoseconds) it must hold at that time.

    Raises:
        IpnsError: it is too large, malformed, not signed by the name's key, contradicts itself, or has expired.
    """
    if len(signed) > MAX_SIZE:
        raise IpnsError(f"a record of {len(signed)} bytes, more than {MAX_SIZE}")
    try:
        fields = _fields(signed)
        signature, data = fields.get(_Field.SIGNATURE_V2), fields.get(_Field.DATA)
        if not isinstance(signature, bytes) or not isinstance(data, bytes):
            raise IpnsError(
                "a record without a signature of version 2", hint="Records of version 1 are believed no more."
            )
        if not name.verifies(signature, _SIGNED + data):
            raise IpnsError(f"a record that the key of {name} did not sign")
        said = dagcbor.decode(data)
    except BlockError as why:
        raise IpnsError(f"a malformed record: {why}") from why
    record, plain = _understood(said)
    _agree(fields, plain)
    if now_ns is not None and record.expires_ns < now_ns:
        raise IpnsError(f"a record that expired at {_time_text(record.expires_ns)}")
    return record


def _understood(said: dagcbor.Value) -> tuple[Record, Fields]:
    """The record that `data` holds, and the same as the fields of version 1 would have it."""
    held = said if isinstance(said, dict) else {}
    value, validity = held.get("Value"), held.get("Validity")
    kind, sequence, ttl = held.get("ValidityType"), held.get("Sequence"), held.get("TTL")
    if (
        not isinstance(value, bytes)
        or not isinstance(validity, bytes)
        or not _is_unsigned(kind)
        or not _is_unsigned(sequence)
        or not _is_unsigned(ttl)
    ):
        raise IpnsError("a record that lacks one of Value, Validity, ValidityType, Sequence, TTL")
    if kind != _EOL:
        raise IpnsError(f"a record with a validity of the type {kind}")
    try:
        record = Record(value.decode(), sequence, _time(validity.decode()), ttl)
    except UnicodeDecodeError as why:
        raise IpnsError("a record whose text is not UTF-8") from why
    plain: dict[int, int | bytes] = {
        _Field.VALUE: value,
        _Field.VALIDITY_TYPE: kind,
        _Field.VALIDITY: validity,
        _Field.SEQUENCE: sequence,
        _Field.TTL: ttl,
    }
    return record, plain


def _is_unsigned(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _agree(fields: Fields, plain: Fields) -> None:
    """The fields of version 1, where there are any, say what is signed."""
    if _Field.VALUE not in fields and _Field.SIGNATURE_V1 not in fields:
        return
    for number, signed in plain.items():
        default: int | bytes = 0 if isinstance(signed, int) else b""  # what protobuf leaves out
        if fields.get(number, default) != signed:
            raise IpnsError(f"a record whose field {_Field(number).name.lower()} is not what was signed")


def _fields(signed: bytes) -> Fields:
    """The fields of a protobuf message, the last of each number; those of no type that is known here are passed over."""
    found: dict[int, int | bytes] = {}
    at, end = 0, len(signed)
    while at < end:
        tag, at = read_varint(signed, at, end)
        number, kind = tag >> 3, tag & 0x7
        if kind == _VARINT:
            found[number], at = read_varint(signed, at, end)
        elif kind == _BYTES:
            start, at = read_span(signed, at, end)
            found[number] = signed[start:at]
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise BlockError(f"a field of the wire type {kind}", offset=at)
    if at != end:
        raise BlockError("a message that is cut off", offset=end)
    return found


def _bytes(field: _Field, value: bytes) -> bytes:
    return bytes((field << 3 | _BYTES,)) + write_varint(len(value)) + value


def _number(field: _Field, value: int) -> bytes:
    return bytes((field << 3 | _VARINT,)) + write_varint(value)


def _time_text(unix_ns: int) -> str:
    seconds, rest = divmod(unix_ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise IpnsError(f"a record whose validity is no time: {text[:60]!r}")
    try:
        whole = datetime.fromisoformat(match[1] + match[3])
    except ValueError as why:
        raise IpnsError(f"a record whose validity is no time: {text[:60]!r}") from why
    return round(whole.timestamp()) * NS + int((match[2] or "").ljust(9, "0"))

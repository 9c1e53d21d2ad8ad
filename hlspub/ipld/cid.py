"""CIDs as frozen bytes.

Rule: a `Cid` holds its binary form and nothing else; equality, order and hashing are those of the bytes. hlspub's own
DAGs use sha2-256 alone (the UnixFS profiles allow no other): 34 bytes in version 0 (a bare multihash, dag-pb by
definition), 36 in version 1, and these take the short way through a table. Readers of other people's DAGs also meet
sha2-512 and identity CIDs, whose "digest" is the block itself, so both are held; every other hash is refused by name.
`libipld` does the text: it is two orders of magnitude faster than `multiformats`, which stays the judge in the tests.

Source: github.com/multiformats/cid, multihash and multibase; IPIP-499 for the two profiles' versions.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, Self

import libipld

from hlspub.errors import CidError
from hlspub.ipld import varint

DIGEST_SIZE = 32  # bytes of a sha2-256 digest
MAX_INLINE = 128  # bytes that an identity CID may carry, as Kubo and its gateways hold it
_MAX_TEXT = 512  # characters; base58 costs the square of its length
_BASES = frozenset("bBcCfFhkKmMtTuUvVzZ")
_V0_SIZE = 2 + DIGEST_SIZE
_V1_SIZE = 4 + DIGEST_SIZE
_HINT = "A CID looks like bafybei… or Qm…."
_HASHES = "hlspub holds sha2-256, sha2-512 and identity."


class Codec(IntEnum):
    """Multicodec codes, see github.com/multiformats/multicodec/blob/master/table.csv."""

    CBOR = 0x51
    RAW = 0x55
    DAG_PB = 0x70
    DAG_CBOR = 0x71
    LIBP2P_KEY = 0x72
    DAG_JSON = 0x0129
    JSON = 0x0200
    CAR = 0x0202


class Hash(IntEnum):
    """Multihash codes, from the same table."""

    IDENTITY = 0x00
    SHA2_256 = 0x12
    SHA2_512 = 0x13


_DIGEST_SIZES = {Hash.SHA2_256: DIGEST_SIZE, Hash.SHA2_512: 64}
_MULTIHASH = bytes((Hash.SHA2_256, DIGEST_SIZE))
_PREFIX_OF: dict[int, bytes] = {codec: b"\x01" + varint.encode(codec) + _MULTIHASH for codec in Codec}
_CODEC_OF: dict[bytes, Codec] = {prefix: Codec(codec) for codec, prefix in _PREFIX_OF.items()}


def _unframed(reason: str, /, *, offset: int) -> CidError:  # noqa: ARG001 -- where the CID stands is its caller's to say
    return CidError(f"a CID in which {reason}")


class _Parts(NamedTuple):
    """A binary CID taken apart; `end` is the offset behind it."""

    codec: Codec
    hash: Hash
    digest: bytes
    end: int


def _version_1(data: bytes | memoryview, offset: int) -> _Parts:
    """Read a CID of version 1 the long way: version, codec, hash, length, digest.

    Raises:
        CidError: it is cut off, or of a version, codec or hash that hlspub does not hold.
    """
    version, at = varint.decode(data, offset, error=_unframed)
    if version != 1:
        raise CidError(f"a CID of version {version}", hint="hlspub holds the versions 0 and 1.")
    number, at = varint.decode(data, at, error=_unframed)
    if number not in _PREFIX_OF:
        known = ", ".join(codec.name.lower().replace("_", "-") for codec in Codec)
        raise CidError(f"a CID of the codec 0x{number:x}", hint=f"hlspub holds {known}.")
    kind, at = varint.decode(data, at, error=_unframed)
    if kind not in tuple(Hash):
        raise CidError(f"a CID of the hash 0x{kind:x}", hint="hlspub holds sha2-256, sha2-512, identity.")
    size, at = varint.decode(data, at, error=_unframed)
    if size > MAX_INLINE or size != _DIGEST_SIZES.get(Hash(kind), size):
        raise CidError(f"a CID with a {Hash(kind).name} digest of {size} bytes")
    if at + size > len(data):
        raise CidError("a CID is cut off")
    return _Parts(Codec(number), Hash(kind), bytes(data[at : at + size]), at + size)


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """A content identifier; `raw` is its binary form. Construct by `of_…`, `parse`, `from_bytes` or `read`."""

    raw: bytes

    @classmethod
    def of_digest(cls, codec: Codec, digest: bytes) -> Self:
        """Version 1 CID of a block whose sha2-256 is `digest`."""
        return cls(_PREFIX_OF[codec] + digest)

    @classmethod
    def of_data(cls, codec: Codec, data: bytes | bytearray | memoryview) -> Self:
        """Version 1 CID of a block with these bytes."""
        return cls(_PREFIX_OF[codec] + sha256(data).digest())

    @classmethod
    def v0_of_digest(cls, digest: bytes) -> Self:
        """Version 0 CID (dag-pb) of a block whose sha2-256 is `digest`."""
        return cls(_MULTIHASH + digest)

    @classmethod
    def of_inline(cls, codec: Codec, data: bytes) -> Self:
        """Version 1 CID that carries `data`, at most `MAX_INLINE` bytes, in itself.

        Raises:
            CidError: more bytes than that.
        """
        if len(data) > MAX_INLINE:
            raise CidError(f"{len(data)} bytes are too many for an identity CID", hint=f"It holds {MAX_INLINE}.")
        return cls(b"\x01" + varint.encode(codec) + bytes((Hash.IDENTITY,)) + varint.encode(len(data)) + data)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Check and wrap a binary CID.

        Raises:
            CidError: not exactly one CID of version 0 or 1 with a codec and a hash that hlspub holds.
        """
        if raw[:-DIGEST_SIZE] in _CODEC_OF:
            return cls(raw)
        cid, end = cls.read(raw)
        if end != len(raw):
            raise CidError(f"{len(raw) - end} bytes behind a CID")
        return cid

    @classmethod
    def read(cls, data: bytes | memoryview, offset: int = 0) -> tuple[Self, int]:
        """Read the binary CID that starts at `offset` of `data`: it, and the offset behind it.

        Raises:
            CidError: as `from_bytes`.
        """
        if data[offset : offset + 2] == _MULTIHASH:  # no version 1 starts so
            end = offset + _V0_SIZE
        elif bytes(data[offset : offset + 4]) in _CODEC_OF:
            end = offset + _V1_SIZE
        else:
            end = _version_1(data, offset).end
        if end > len(data):
            raise CidError("a CID is cut off")
        return cls(bytes(data[offset:end])), end

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a CID's text form: base58btc of version 0, any multibase of version 1, each in its canonical spelling.

        Raises:
            CidError: `text` is not a CID.
        """
        is_v0 = text.startswith("Qm")
        spelled = "z" + text if is_v0 else text
        if len(text) > _MAX_TEXT or spelled[:1] not in _BASES:
            raise CidError(f"not a CID: {text[:100]!r}", hint=_HINT)
        try:
            base, raw = libipld.decode_multibase(spelled)
        except ValueError as why:
            raise CidError(f"not a CID: {text[:100]!r}", hint=_HINT) from why
        if libipld.encode_multibase(base, raw) != spelled:
            raise CidError(f"not a CID in its canonical spelling: {text[:100]!r}", hint=_HINT)
        cid = cls.from_bytes(raw)
        if (cid.version == 0) != is_v0:
            raise CidError(f"not a CID: {text[:100]!r}", hint="Version 0 is written in base58 without a prefix: Qm….")
        return cid

    @property
    def version(self) -> int:
        """0 or 1."""
        return 0 if self.raw.startswith(_MULTIHASH) else 1

    @property
    def codec(self) -> Codec:
        """What the block's bytes are."""
        if self.version == 0:
            return Codec.DAG_PB
        return _CODEC_OF.get(self.raw[:-DIGEST_SIZE]) or _version_1(self.raw, 0).codec

    @property
    def hash(self) -> Hash:
        """How the block's bytes become the digest."""
        if self.version == 0 or self.raw[:-DIGEST_SIZE] in _CODEC_OF:
            return Hash.SHA2_256
        return _version_1(self.raw, 0).hash

    @property
    def digest(self) -> bytes:
        """The digest of the block: for sha2-256 its 32 bytes, for an identity CID the block itself."""
        if self.hash is Hash.SHA2_256:
            return self.raw[-DIGEST_SIZE:]
        return _version_1(self.raw, 0).digest

    @property
    def inline(self) -> bytes | None:
        """The block's bytes when the CID carries them in itself (identity), else None."""
        return self.digest if self.hash is Hash.IDENTITY else None

    def text(self, base: str) -> str:
        """The text form in the multibase of that letter ("k" for the names of IPNS)."""
        return libipld.encode_multibase(base, self.raw)

    def __str__(self) -> str:
        return libipld.encode_cid(self.raw)

    def __repr__(self) -> str:
        return f"Cid({self})"

"""Principals: who signs and who is meant, as Ed25519 keys and DIDs.

Rule: a `Signer` holds a key and never shows it by itself; a DID is text here and bytes on the wire. Signatures are varsigs:
the code of EdDSA, the length, the 64 bytes.

Source: github.com/ucan-wg/ucan-ipld (principals, varsig); did:key, W3C CCG; multicodec 0x1300, 0xed, 0xd0ed, 0x0d1d.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Self

import libipld
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hlspub.errors import DataError
from hlspub.ipld import varint

SEED_SIZE = 32  # bytes; the public key is as long
_PRIVATE = varint.encode(0x1300)
_PUBLIC = varint.encode(0xED)
_OTHER_DID = varint.encode(0x0D1D)
_ARCHIVE_SIZE = len(_PRIVATE) + SEED_SIZE + len(_PUBLIC) + SEED_SIZE
_MULTIBASE = "M"  # base64 with padding
_VARSIG = varint.encode(0xD0ED) + varint.encode(64)
_KEY_METHOD = "did:key:"
_PEM = "-----BEGIN"
_HINT = "It looks like MgC…, 93 characters, or is the base64 of 32 or 68 bytes, or PKCS#8 PEM."


@dataclass(frozen=True, slots=True)
class Signer:
    """An Ed25519 key. Construct by `from_seed` or `parse`; its `repr` shows the DID alone (P8).

    Attributes:
        did: did:key:z6Mk…
    """

    did: str
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of these 32 bytes.

        Raises:
            DataError: not 32 bytes.
        """
        if len(seed) != SEED_SIZE:
            raise DataError(f"an Ed25519 seed of {len(seed)} bytes", hint=f"It has {SEED_SIZE}.")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(did_text(_PUBLIC + key.public_key().public_bytes_raw()), key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key in one of its text forms: multibase "Mg…", base64 of the 68-byte archive or of the bare seed, PKCS#8 PEM.

        Raises:
            DataError: none of them, or its public key is another's. The text is never quoted.
        """
        spelled = text.strip()
        if spelled.startswith(_PEM):
            return cls._from_pem(spelled)
        if spelled.startswith(_MULTIBASE) and len(spelled) == 1 + 4 * -(-_ARCHIVE_SIZE // 3):
            spelled = spelled[1:]
        try:
            raw = base64.b64decode(spelled, validate=True)
        except (binascii.Error, ValueError):
            raise DataError("a key that is no base64", hint=_HINT) from None
        return cls.from_seed(raw) if len(raw) == SEED_SIZE else cls.from_archive(raw)

    @classmethod
    def _from_pem(cls, text: str) -> Self:
        try:
            key = load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise DataError("a PEM that is no private key, or has a password", hint=_HINT) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise DataError("a private key that is not Ed25519", hint=_HINT)
        return cls.from_seed(key.private_bytes_raw())

    @classmethod
    def from_archive(cls, raw: bytes) -> Self:
        """The key of a 68-byte archive: tagged seed, tagged public key.

        Raises:
            DataError: it is none, or the public key does not belong to the seed.
        """
        seed, public = raw[len(_PRIVATE) : len(_PRIVATE) + SEED_SIZE], raw[len(_PRIVATE) + SEED_SIZE :]
        if len(raw) != _ARCHIVE_SIZE or not raw.startswith(_PRIVATE) or not public.startswith(_PUBLIC):
            raise DataError("a key that is no Ed25519 key", hint=_HINT)
        signer = cls.from_seed(seed)
        if did_bytes(signer.did) != public:
            raise DataError("a key whose public half belongs to another", hint="Was it copied whole?")
        return signer

    def sign(self, data: bytes) -> bytes:
        """The varsig of `data`."""
        return _VARSIG + self._key.sign(data)

    def archive(self) -> bytes:
        """The secret, 68 bytes."""
        return _PRIVATE + self._key.private_bytes_raw() + did_bytes(self.did)

    def secret_text(self) -> str:
        """The secret as other tools write it: "Mg…"."""
        return _MULTIBASE + base64.b64encode(self.archive()).decode()


def verify(did: str, data: bytes, varsig: bytes, key: str | None = None) -> bool:
    """Whether `varsig` is the signature of `data` by `did`; `key` is the did:key of a DID of another method, if known."""
    signed_by = did if did.startswith(_KEY_METHOD) else key or ""
    if not signed_by.startswith(_KEY_METHOD) or not varsig.startswith(_VARSIG):
        return False
    try:
        public = did_bytes(signed_by).removeprefix(_PUBLIC)
        Ed25519PublicKey.from_public_bytes(public).verify(varsig[len(_VARSIG) :], data)
    except (DataError, InvalidSignature, ValueError):
        return False
    return True


def did_bytes(did: str) -> bytes:
    """A DID as it stands in a block.

    Raises:
        DataError: it is no DID.
    """
    if did.startswith(_KEY_METHOD):
        try:
            base, raw = libipld.decode_multibase(did.removeprefix(_KEY_METHOD))
        except ValueError as why:
            raise DataError(f"not a did:key: {did[:100]!r}") from why
        if base != "z":
            raise DataError(f"a did:key that is not in base58: {did[:100]!r}")
        return raw
    if not did.startswith("did:") or did.count(":") < 2:  # noqa: PLR2004 -- did:METHOD:ID
        raise DataError(f"not a DID: {did[:100]!r}", hint="It looks like did:web:up.example or did:key:z6Mk….")
    return _OTHER_DID + did.removeprefix("did:").encode()


def did_text(raw: bytes) -> str:
    """A DID from the bytes of a block.

    Raises:
        DataError: the bytes are none.
    """
    if raw.startswith(_OTHER_DID):
        try:
            return "did:" + raw.removeprefix(_OTHER_DID).decode()
        except UnicodeDecodeError as why:
            raise DataError("a DID that is not UTF-8") from why
    if not raw:
        raise DataError("an empty DID")
    return _KEY_METHOD + libipld.encode_multibase("z", raw)

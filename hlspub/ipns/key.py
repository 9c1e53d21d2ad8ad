"""Keys: who may move a name.

Rule: a `Key` holds an Ed25519 private key and never shows it by itself (P8). Two forms go in and out, both of which
`ipfs key import` and `export` know: PKCS#8 PEM (`pem-pkcs8-cleartext`), a text, which is how hlspub keeps keys; and the
protobuf of libp2p (`libp2p-protobuf-cleartext`), 68 bytes.

Source: libp2p specs, peer-ids "Keys", "How Keys are encoded"; RFC 8410 (Ed25519 in PKCS#8).
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hlspub.errors import IpnsError
from hlspub.ipns.name import Name

SEED_SIZE = 32  # bytes
_PRIVATE = b"\x08\x01\x12\x40"  # KeyType Ed25519; Data: seed and public key
_SIZE = len(_PRIVATE) + 2 * SEED_SIZE
_PEM = b"-----BEGIN"
_HINT = "It is PKCS#8 PEM, or the 68 bytes of libp2p's protobuf, bare or in base64."


@dataclass(frozen=True, slots=True)
class Key:
    """An Ed25519 private key. Construct by `from_seed` or `read`; its `repr` shows the name alone."""

    name: Name
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of these 32 bytes.

        Raises:
            IpnsError: not 32 bytes.
        """
        if len(seed) != SEED_SIZE:
            raise IpnsError(f"an Ed25519 seed of {len(seed)} bytes", hint=f"It has {SEED_SIZE}.")
        return cls._of(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The key in one of its forms; nothing of `data` is ever quoted.

        Raises:
            IpnsError: it is no Ed25519 key, it has a password, or its public key is another's.
        """
        if data.lstrip().startswith(_PEM):
            return cls._from_pem(data)
        if not data.startswith(_PRIVATE):
            try:
                data = base64.b64decode(b"".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                raise IpnsError("not a key", hint=_HINT) from None
        return cls._from_protobuf(data)

    @classmethod
    def _from_pem(cls, data: bytes) -> Self:
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IpnsError("a PEM that is no private key, or has a password", hint=_HINT) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise IpnsError("a private key that is not Ed25519", hint="`hlspub keys new` makes one.")
        return cls._of(key)

    @classmethod
    def _from_protobuf(cls, data: bytes) -> Self:
        if len(data) != _SIZE or not data.startswith(_PRIVATE):
            raise IpnsError("a key that is no Ed25519 private key", hint=_HINT)
        key = cls.from_seed(data[len(_PRIVATE) :][:SEED_SIZE])
        if key.name.public != data[-SEED_SIZE:]:
            raise IpnsError("a key whose public half belongs to another", hint="Was it copied whole?")
        return key

    @classmethod
    def _of(cls, key: Ed25519PrivateKey) -> Self:
        return cls(Name(key.public_key().public_bytes_raw()), key)

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, 64 bytes."""
        return self._key.sign(data)

    def seed(self) -> bytes:
        """The secret, 32 bytes."""
        return self._key.private_bytes_raw()

    def protobuf(self) -> bytes:
        """The secret as libp2p writes it."""
        return _PRIVATE + self.seed() + self.name.public

    def pem(self) -> bytes:
        """The secret as a text."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

"""Names: the public key that signs a name's records, as text.

Rule: a `Name` is an Ed25519 public key and nothing else; so a record needs no key beside it. Its text is a CID of version 1,
codec libp2p-key, that carries the key inline, in base36: `k51…`, 62 characters, which also fits into a DNS label. Other
spellings are read (any multibase; the bare base58 multihash of older tools, `12D3Koo…`); one is written.

Source: specs.ipfs.tech/ipns/ipns-record "IPNS Name", "String Representation"; libp2p specs, peer-ids "Keys".
"""

from dataclasses import dataclass
from typing import Self

import libipld
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hlspub.errors import CidError, IpnsError
from hlspub.ipld.cid import Cid, Codec, Hash

PUBLIC_SIZE = 32  # bytes of an Ed25519 public key
_ED25519 = b"\x08\x01"  # field 1, KeyType: Ed25519
_PUBLIC = _ED25519 + b"\x12\x20"  # field 2, Data: 32 bytes
_MULTIHASH = bytes((Hash.IDENTITY, len(_PUBLIC) + PUBLIC_SIZE))
_LONGEST = 128  # characters
_HINT = "A name looks like k51…, 62 characters."


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A name of IPNS; `public` is the Ed25519 key, 32 bytes."""

    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name's text form.

        Raises:
            IpnsError: it is none, or of another kind of key than Ed25519.
        """
        try:
            return cls._of_multihash(text) if text.startswith("12D3Koo") else cls.of_cid(Cid.parse(text[:_LONGEST]))
        except (CidError, ValueError) as why:
            raise IpnsError(f"not a name of IPNS: {text[:_LONGEST]!r}", hint=_HINT) from why

    @classmethod
    def of_cid(cls, cid: Cid) -> Self:
        """The name that a CID is.

        Raises:
            IpnsError: it is none, or of another kind of key than Ed25519.
        """
        held = cid.inline
        if cid.codec is not Codec.LIBP2P_KEY or held is None:
            raise IpnsError(f"not a name of an Ed25519 key: {cid}", hint=_HINT)
        if len(held) != len(_PUBLIC) + PUBLIC_SIZE or not held.startswith(_PUBLIC):
            raise IpnsError(f"a name of another kind of key than Ed25519: {cid}", hint="hlspub reads Ed25519 names.")
        return cls(held[len(_PUBLIC) :])

    @classmethod
    def _of_multihash(cls, text: str) -> Self:
        raw = libipld.decode_multibase("z" + text[:_LONGEST])[1]
        prefix = _MULTIHASH + _PUBLIC
        if len(raw) != len(prefix) + PUBLIC_SIZE or not raw.startswith(prefix):
            raise ValueError(text)
        return cls(raw[len(prefix) :])

    @staticmethod
    def canonical(text: str) -> str | None:
        """The one spelling of a name of any kind of key; None when it is no name. Only Ed25519's can be more than spelled."""
        try:
            cid = Cid.parse(text[:_LONGEST])
        except CidError:
            return None
        if cid.version == 0:  # the bare multihash of a key that is hashed, not carried: RSA
            cid = Cid.of_digest(Codec.LIBP2P_KEY, cid.digest)
        return cid.text("k") if cid.codec is Codec.LIBP2P_KEY else None

    @property
    def cid(self) -> Cid:
        """The CID that is the name."""
        return Cid.of_inline(Codec.LIBP2P_KEY, _PUBLIC + self.public)

    @property
    def peer_id(self) -> str:
        """The same key as libp2p writes peers: `12D3Koo…`."""
        return libipld.encode_multibase("z", _MULTIHASH + _PUBLIC + self.public)[1:]

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the name's key made `signature` over `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return self.cid.text("k")

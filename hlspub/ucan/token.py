"""UCAN 0.9.1: one block that says what its issuer lets its audience do, and the signature of that.

Rule: an invocation is a delegation of one capability to the service that is to carry it out, so there is one type. The block
is dag-cbor with DIDs as bytes and proofs as links; what is signed is a text (a JWT's) with DIDs and CIDs as strings.
`fct`, `nnc` and `nbf` stand in either only when set; `exp` always, null for never.

Source: github.com/ucan-wg/spec v0.9.1; github.com/ucan-wg/ucan-ipld.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hlspub.errors import BlockError, DataError
from hlspub.ipld import dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagcbor import Value, Writable
from hlspub.ucan import dagjson, principal
from hlspub.ucan.fields import a, a_list, a_map, links
from hlspub.ucan.principal import Signer, did_bytes, did_text

VERSION = "0.9.1"
_HEADER: Mapping[str, Writable] = {"alg": "EdDSA", "typ": "JWT", "ucv": VERSION}


@dataclass(frozen=True, slots=True)
class Capability:
    """The ability `can` on `resource` (on the wire: `with`), narrowed by `nb`."""

    can: str
    resource: str
    nb: Mapping[str, Writable] | None = None

    def written(self) -> Mapping[str, Writable]:
        """As it stands in `att`."""
        plain: dict[str, Writable] = {"can": self.can, "with": self.resource}
        return plain if self.nb is None else plain | {"nb": self.nb}


@dataclass(frozen=True, slots=True)
class Claims:
    """What is signed. Times are Unix seconds; `expires` None: never."""

    issuer: str
    audience: str
    capabilities: tuple[Capability, ...]
    expires: int | None
    proofs: tuple[Cid, ...] = ()
    facts: tuple[Mapping[str, Writable], ...] = ()
    nonce: str = ""
    not_before: int = 0

    def signed_text(self) -> bytes:
        """The bytes that the signature is over."""
        payload = self._optional() | {
            "iss": self.issuer,
            "aud": self.audience,
            "att": [one.written() for one in self.capabilities],
            "exp": self.expires,
            "prf": [str(proof) for proof in self.proofs],
        }
        return _base64url(dagjson.encode(_HEADER)) + b"." + _base64url(dagjson.encode(payload))

    def block(self, signature: bytes) -> Block:
        """The block with this signature (a varsig)."""
        data = dagcbor.encode(
            self._optional()
            | {
                "s": signature,
                "v": VERSION,
                "iss": did_bytes(self.issuer),
                "aud": did_bytes(self.audience),
                "att": [one.written() for one in self.capabilities],
                "exp": self.expires,
                "prf": self.proofs,
            }
        )
        return Block(Cid.of_data(Codec.DAG_CBOR, data), data)

    def _optional(self) -> dict[str, Writable]:
        given: dict[str, Writable] = {"fct": self.facts, "nnc": self.nonce, "nbf": self.not_before}
        return {key: value for key, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Token:
    """A signed UCAN: a delegation or an invocation. Construct by `issue` or `read`."""

    claims: Claims
    signature: bytes = field(repr=False)
    block: Block = field(repr=False)

    @property
    def cid(self) -> Cid:
        """What proofs, receipts and messages name it by."""
        return self.block.cid

    @classmethod
    def issue(cls, signer: Signer, claims: Claims) -> Self:
        """Sign `claims`, whose issuer is the signer."""
        signature = signer.sign(claims.signed_text())
        return cls(claims, signature, claims.block(signature))

    @classmethod
    def read(cls, block: Block) -> Self:
        """Read a block; its signature is looked at by `verify`.

        Raises:
            BlockError: it is no UCAN of this version.
        """
        fields = a_map(dagcbor.decode(block.data), "a UCAN")
        if fields.get("v") != VERSION:
            raise BlockError(
                f"a UCAN of the version {str(fields.get('v'))[:20]}", hint=f"hlspub speaks {VERSION}, as w3up does."
            )
        try:
            claims = Claims(
                issuer=did_text(a(bytes, fields.get("iss"), "an issuer")),
                audience=did_text(a(bytes, fields.get("aud"), "an audience")),
                capabilities=tuple(_capability(one) for one in a_list(fields.get("att"), "capabilities")),
                expires=None if fields.get("exp") is None else a(int, fields.get("exp"), "an expiry"),
                proofs=links(fields.get("prf"), "proofs"),
                facts=tuple(a_map(one, "a fact") for one in a_list(fields.get("fct", []), "facts")),
                nonce=a(str, fields.get("nnc", ""), "a nonce"),
                not_before=a(int, fields.get("nbf", 0), "a start"),
            )
        except BlockError:
            raise
        except DataError as why:
            raise BlockError(str(why)) from why
        return cls(claims, a(bytes, fields.get("s"), "a signature"), block)

    def verify(self, key: str | None = None) -> bool:
        """Whether the issuer signed this; `key` is the did:key of an issuer whose DID is of another method."""
        return principal.verify(self.claims.issuer, self.claims.signed_text(), self.signature, key)

    def sole(self) -> Capability:
        """The capability of an invocation.

        Raises:
            BlockError: there is not exactly one.
        """
        if len(self.claims.capabilities) != 1:
            raise BlockError(f"an invocation of {len(self.claims.capabilities)} capabilities")
        return self.claims.capabilities[0]


def _capability(value: Value) -> Capability:
    fields = a_map(value, "a capability")
    nb = fields.get("nb")
    return Capability(
        a(str, fields.get("can"), "an ability"),
        a(str, fields.get("with"), "a resource"),
        None if nb is None else a_map(nb, "what narrows a capability"),
    )


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")

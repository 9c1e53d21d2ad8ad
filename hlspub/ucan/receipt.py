"""Receipts: what came of an invocation, signed.

Rule: the signature is over the dag-cbor of `ocm`, not over a text. A result is ok or an error; an error is known by its name,
and its text may hide in the first lines of a stack trace. `forks` are invocations that were scheduled along with it.

Source: github.com/ucan-wg/invocation v0.1; ucanto's `Receipt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hlspub.errors import BlockError
from hlspub.ipld import dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagcbor import Value, Writable
from hlspub.ucan import principal
from hlspub.ucan.fields import a, a_map, links
from hlspub.ucan.principal import Signer

_SHOWN = 300  # characters of an error's text


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the service: its name, and what it says about it."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of the invocation `ran`: `ok` or `error`, one of them None."""

    ran: Cid
    ok: Value
    error: Failure | None
    forks: tuple[Cid, ...]
    issuer: str | None
    block: Block = field(repr=False)

    @classmethod
    def read(cls, block: Block) -> Self:
        """Read a receipt.

        Raises:
            BlockError: it is none.
        """
        ocm = a_map(a_map(dagcbor.decode(block.data), "a receipt").get("ocm"), "an outcome")
        out = a_map(ocm.get("out"), "a result")
        if len(out) != 1 or not out.keys() <= {"ok", "error"}:
            raise BlockError("a result that is neither ok nor an error")
        fx = a_map(ocm.get("fx", {}), "effects")
        issuer = ocm.get("iss")
        return cls(
            a(Cid, ocm.get("ran"), "a receipt's invocation"),
            out.get("ok"),
            _failure(out["error"]) if "error" in out else None,
            links(fx.get("fork", []), "effects"),
            issuer if isinstance(issuer, str) else None,
            block,
        )

    @classmethod
    def issue(cls, signer: Signer, ran: Cid, ok: Mapping[str, Writable]) -> Self:
        """The receipt for a task that the signer carried out."""
        ocm: Mapping[str, Writable] = {
            "ran": ran,
            "out": {"ok": ok},
            "fx": {"fork": []},
            "meta": {},
            "iss": signer.did,
            "prf": [],
        }
        data = dagcbor.encode({"ocm": ocm, "sig": signer.sign(dagcbor.encode(ocm))})
        return cls.read(Block(Cid.of_data(Codec.DAG_CBOR, data), data))

    def verify(self, key: str | None = None) -> bool:
        """Whether its issuer signed it; `key` is the did:key of an issuer whose DID is of another method."""
        fields = a_map(dagcbor.decode(self.block.data), "a receipt")
        signed = dagcbor.encode(fields["ocm"])
        return principal.verify(self.issuer or "", signed, a(bytes, fields.get("sig"), "a signature"), key)


def _failure(value: Value) -> Failure:
    fields = value if isinstance(value, dict) else {}
    name = str(fields.get("name") or "Error")
    message = str(fields.get("message") or "")
    if not message:
        stack = str(fields.get("stack") or "")
        message = stack.split("\n    at ", 1)[0].removeprefix(f"{name}: ")
    if not message and isinstance(fields.get("cause"), dict):
        message = str(_failure(fields["cause"]))
    return Failure(name, " ".join(message.split())[:_SHOWN])

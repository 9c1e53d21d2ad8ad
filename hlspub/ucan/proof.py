"""Proofs: the delegation that an operator was given, in each of the text forms that tools hand out, and the blocks below it.

Rule: the form is found out, not asked for: the CID string that `delegation create --base64` prints, and in base64 or
base64url the archive, a plain CAR, or a CAR without roots whose last block is the delegation. White space and quotes around
it come from shells and .env files, and do not count. A text that is refused is never quoted: it is a secret.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Self

import libipld

from hlspub.errors import BlockError, CarError, DataError
from hlspub.ipld import dagcbor, varint
from hlspub.ipld.block import Block
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec, Hash
from hlspub.ucan.fields import a, a_map
from hlspub.ucan.token import VERSION, Token

ARCHIVE_KEY = f"ucan@{VERSION}"
_CID_LETTERS = ("m", "u")  # base64 without padding, base64url without padding
_HINT = "Give the text that `delegation create --base64` prints, whole."


@dataclass(frozen=True, slots=True)
class Proof:
    """A delegation with all that its chain of proofs brought along; `blocks` has the delegation last."""

    delegation: Token
    blocks: tuple[Block, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a proof's text.

        Raises:
            DataError: it is none.
        """
        return cls.from_car(_car_of("".join(text.split()).strip("'\"")))

    @classmethod
    def from_car(cls, data: bytes) -> Self:
        """Read a proof's CAR: archive, plain or without roots.

        Raises:
            DataError: it is none.
        """
        try:
            reader = CarReader(BytesIO(data).read)
            blocks = {block.cid: block for block in reader}
            if not blocks:
                raise DataError("a proof without a block", hint=_HINT)
            root = reader.roots[0] if reader.roots else next(reversed(blocks))
            root = _archived(blocks, root)
            delegation = Token.read(_taken(blocks, root))
        except (BlockError, CarError) as why:
            raise DataError(f"a proof that is damaged: {why}", hint=_HINT) from why
        return cls(delegation, (*blocks.values(), delegation.block))

    def chain(self) -> Mapping[Cid, Token]:
        """The delegations below this one that are here, by CID.

        Raises:
            BlockError: a block is no UCAN.
        """
        return {block.cid: Token.read(block) for block in self.blocks if block.cid.codec is Codec.DAG_CBOR}


def _car_of(text: str) -> bytes:
    if text.startswith(_CID_LETTERS):
        try:
            _, raw = libipld.decode_multibase(text)
            return _inline(raw)
        except (ValueError, DataError):
            pass  # base64 may begin with these letters too
    spelled = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(spelled + "=" * (-len(spelled) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise DataError("a proof that is neither a CID nor base64", hint=_HINT) from None


def _inline(raw: bytes) -> bytes:
    """The bytes that an identity CID of a CAR carries; these are longer than any `Cid` that hlspub holds."""
    version, at = varint.decode(raw)
    codec, at = varint.decode(raw, at)
    kind, at = varint.decode(raw, at)
    size, at = varint.decode(raw, at)
    if (version, codec, kind) != (1, Codec.CAR, Hash.IDENTITY) or at + size != len(raw):
        raise DataError("a CID that carries no CAR")
    return raw[at:]


def _archived(blocks: dict[Cid, Block], root: Cid) -> Cid:
    """The delegation that an archive's root names; `root` itself where it is no archive."""
    block = blocks.get(root)
    fields = a_map(dagcbor.decode(block.data), "a proof") if block is not None else {}
    if ARCHIVE_KEY not in fields:
        return root
    del blocks[root]
    return a(Cid, fields[ARCHIVE_KEY], "an archived delegation")


def _taken(blocks: dict[Cid, Block], root: Cid) -> Block:
    if root not in blocks:
        raise DataError("a proof whose delegation is not in it", hint=_HINT)
    return blocks.pop(root)

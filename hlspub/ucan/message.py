"""Messages: what travels between an agent and a service, a CAR of invocations one way and of receipts the other.

Rule: a message's root block lists invocations to execute, or reports a receipt for each, by the text of its CID. Blocks that
neither needs are not looked at: they may be of kinds that hlspub does not hold.

Source: ucanto/message@7.0.0 (github.com/storacha/ucanto, core/src/message.js).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Self

from hlspub.errors import BlockError
from hlspub.ipld import car, dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagcbor import Writable
from hlspub.ucan.fields import a, a_map
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Token

CONTENT_TYPE = "application/vnd.ipld.car"
CONCLUDE = "ucan/conclude"
_KEY = "ucanto/message@7.0.0"


def request(invocations: Sequence[Token], attached: Iterable[Block] = ()) -> tuple[Cid, bytes]:
    """A message that asks for these to be carried out: its CID and its CAR. `attached` are proofs and receipts."""
    body: Mapping[str, Writable] = {_KEY: {"execute": [one.cid for one in invocations]}}
    data = dagcbor.encode(body)
    root = Block(Cid.of_data(Codec.DAG_CBOR, data), data)
    blocks = {block.cid: block for block in (*attached, *(one.block for one in invocations), root)}
    return root.cid, car.node_car(root.cid, list(blocks.values()))[0]


@dataclass(frozen=True, slots=True)
class Message:
    """What a service answered: by the text of an invocation's CID the link to its receipt, and the blocks."""

    report: Mapping[str, Cid]
    execute: tuple[Cid, ...]
    blocks: Mapping[Cid, Block] = field(repr=False)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read a message.

        Raises:
            CarError, BlockError: it is none.
        """
        reader = CarReader(BytesIO(data).read)
        blocks = {block.cid: block for block in reader}
        if len(reader.roots) != 1 or reader.roots[0] not in blocks:
            raise BlockError("a message without its root")
        root = a_map(dagcbor.decode(blocks[reader.roots[0]].data), "a message")
        body = a_map(root.get(_KEY), f"a message of another kind than {_KEY}")
        report = a_map(body.get("report", {}), "a report")
        execute = body.get("execute", [])
        return cls(
            {task: a(Cid, link, "a report") for task, link in report.items()},
            tuple(link for link in execute if isinstance(link, Cid)) if isinstance(execute, list) else (),
            blocks,
        )

    def receipt(self, task: Cid) -> Receipt | None:
        """What came of `task`: as the report says, or in a `ucan/conclude` that was sent along; None when neither has it.

        Raises:
            BlockError: what stands there is no receipt.
        """
        link = self.report.get(str(task))
        if link is not None and link in self.blocks:
            return Receipt.read(self.blocks[link])
        ran = (Receipt.read(self.blocks[one]).ran for one in self.report.values() if one in self.blocks)
        return self.concluded((*self.execute, *ran)).get(task)

    def token(self, link: Cid) -> Token | None:
        """The invocation that `link` names; None when it did not come along.

        Raises:
            BlockError: the block is no UCAN.
        """
        block = self.blocks.get(link)
        return None if block is None else Token.read(block)

    def concluded(self, links: Iterable[Cid]) -> dict[Cid, Receipt]:
        """By task, the receipts that the `ucan/conclude` among these invocations carry."""
        found: dict[Cid, Receipt] = {}
        for link in links:
            token = self.token(link)
            if token is None or token.sole().can != CONCLUDE:
                continue
            inner = (token.sole().nb or {}).get("receipt")
            if isinstance(inner, Cid) and inner in self.blocks:
                receipt = Receipt.read(self.blocks[inner])
                found[receipt.ran] = receipt
        return found

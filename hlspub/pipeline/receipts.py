"""A target's receipts as the journal has them, for targets that name what they were sent when a root is bound."""

from collections.abc import Sequence
from dataclasses import dataclass

from hlspub.ipld.cid import Cid
from hlspub.journal.reader import JournalReads
from hlspub.journal.receipts import ReceiptReads


@dataclass(frozen=True, slots=True)
class JournalReceipts:
    """What one target confirmed (`targets.w3up.target.Receipts`)."""

    reads: JournalReads
    target: str

    async def session_of(self, root: Cid) -> tuple[int, bool] | None:
        """The newest session that made the root, and whether it ended with it."""
        return await self.reads.run(ReceiptReads.session_of, root)

    async def is_final(self, root: Cid) -> bool:
        """Whether a session ended with this root."""
        return await self.reads.run(ReceiptReads.is_final, root)

    async def shards(self, session: int, cars: Sequence[str] | None) -> Sequence[tuple[str, str]]:
        """(CAR's key, its shard's receipt)."""
        return await self.reads.run(ReceiptReads.receipts, self.target, session, cars)

    async def shard_of(self, car: str) -> str | None:
        """The receipt of the shard that holds the CAR."""
        return await self.reads.run(ReceiptReads.receipt, self.target, car)

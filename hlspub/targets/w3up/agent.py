"""The agent of a w3up space: signs what is asked of the service, sends it, and reads what came of it.

Rule: every invocation has a nonce of its own, because a service answers a CID that it has seen with the old receipt, errors
included. What may have arrived is sent again byte for byte (`Exchange`), for the same reason: then the old receipt is the right
one. HTTP 200 says nothing; the receipt does.

Source: ucanto/message@7.0.0 over HTTP, as github.com/storacha/upload-service speaks it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex

from hlspub.errors import DataError, TargetError
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagcbor import Writable
from hlspub.model import Clock
from hlspub.targets import http
from hlspub.targets.w3up.errors import SOON_S, explain
from hlspub.targets.w3up.exchange import Exchange
from hlspub.ucan.grant import day, expiry
from hlspub.ucan.message import CONCLUDE, CONTENT_TYPE, Message, request
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import Proof
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Capability, Claims, Token

LIFETIME_S = 300  # of an invocation; longer than all tries of sending it
POLLS_S = (0.1, 0.3, 0.6, 1.0, 2.0, 4.0)  # between looks for a receipt
_HEADERS = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}  # another Accept selects an older encoding


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is and who: `audience` is its DID, `receipts` the URL that a task's CID is put behind."""

    url: str
    receipts: str
    audience: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one invocation: its receipt, a success, and the message that it came in."""

    receipt: Receipt
    message: Message = field(repr=False)


@dataclass(slots=True)
class Agent:
    """Who acts for a space. `nonce` is a test's to replace."""

    service: Service
    signer: Signer
    proof: Proof
    space: str
    exchange: Exchange
    clock: Clock
    nonce: Callable[[], str] = lambda: token_hex(8)
    place: str = field(init=False)

    def __post_init__(self) -> None:
        self.place = http.shown(self.service.url)

    async def invoke(self, can: str, each: Sequence[Mapping[str, Writable]]) -> list[Answer]:
        """Ask for `can` on the space, once for each of these `nb`, in one message.

        Raises:
            TargetError: the service cannot be reached, or refuses one of them.
        """
        expires = int(self.clock.now()) + LIFETIME_S
        calls = [
            self._issue(Capability(can, self.space, nb), expires=expires, proofs=(self.proof.delegation.cid,))
            for nb in each
        ]
        return await self._ask(can, calls, self.proof.blocks)

    async def conclude(self, receipts: Sequence[Receipt]) -> None:
        """Tell the service what came of tasks that the agent carried out itself.

        Raises:
            TargetError: as `invoke`.
        """
        calls = [
            self._issue(
                Capability(CONCLUDE, self.signer.did, {"receipt": one.block.cid}), facts=({"0": one.block.cid},)
            )
            for one in receipts
        ]
        if calls:
            await self._ask(CONCLUDE, calls, [one.block for one in receipts])

    async def outcome(self, task: Cid) -> Receipt:
        """Wait for the receipt of a task that the service carries out.

        Raises:
            TargetError: it does not come, or the service cannot be reached.
        """
        for pause_s in (*POLLS_S, None):
            receipt = await self._poll(task)
            if receipt is not None:
                return receipt
            if pause_s is not None:
                await self.exchange.sleep(pause_s)
        raise TargetError(f"{self.place}: no receipt for {task}", retry_s=SOON_S, hint="It is slow; it is asked again.")

    def refused(self, receipt: Receipt, can: str) -> TargetError:
        """The error for a receipt that is none of success."""
        ends = expiry(self.proof)
        expired = day(ends) if ends is not None and ends <= self.clock.now() else ""
        if receipt.error is None:
            return self.odd(f"a receipt for {can} that is no error")
        return explain(receipt.error, can, self.place, expired=expired)

    def odd(self, what: str) -> TargetError:
        """The error for an answer that makes no sense."""
        return TargetError(
            f"{self.place}: {what}", retry_s=SOON_S, hint="Is the URL that of a w3up service (UCAN 0.9.1)?"
        )

    def _issue(
        self,
        capability: Capability,
        *,
        expires: int | None = None,
        proofs: tuple[Cid, ...] = (),
        facts: tuple[Mapping[str, Writable], ...] = (),
    ) -> Token:
        claims = Claims(
            self.signer.did, self.service.audience, (capability,), expires, proofs, facts, nonce=self.nonce()
        )
        return Token.issue(self.signer, claims)

    async def _ask(self, can: str, calls: Sequence[Token], attached: Iterable[Block]) -> list[Answer]:
        _, body = request(calls, attached)
        answers: list[Answer] = []
        try:
            message = Message.read(await self.exchange.post(self.service.url, body, _HEADERS))
            for call in calls:
                receipt = message.receipt(call.cid)
                if receipt is None:
                    raise self.odd(f"{can}: an answer without a receipt")
                answers.append(Answer(receipt, message))
        except DataError as why:
            raise self.odd(f"{can}: {why}") from why
        for answer in answers:
            if answer.receipt.error is not None:
                raise self.refused(answer.receipt, can)
        return answers

    async def _poll(self, task: Cid) -> Receipt | None:
        body = await self.exchange.get(f"{self.service.receipts}{task}", {"Accept": CONTENT_TYPE})
        try:
            return None if body is None else Message.read(body).receipt(task)
        except DataError as why:
            raise self.odd(f"a receipt that is none: {why}") from why

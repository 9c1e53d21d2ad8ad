"""Blobs: how bytes come to be kept in a space.

    space/blob/add ──► allocated ──PUT──► written ──ucan/conclude──► concluded ──receipt of blob/accept──► kept
          ├── the receipt of http/put is there ────────────────► ┘                                       ▲
          └── the receipt of blob/accept is there ───────────────────────────────────────────────────────┘

Rule: what is there already is not sent, whether or not an address came with it. Nothing is concluded before the PUT was a
success, since the failure of `blob/accept` would stay with that task for good. An address that has expired, or that the node
refuses, is asked for anew (`Again`). Every step is idempotent by content: after a crash it is all done over.

Source: github.com/storacha/specs w3-blob; the flow outlives the UCAN version, which is `hlspub.ucan`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from hlspub.errors import BlockError, ConfigError, DataError, one_error
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagcbor import Value
from hlspub.targets import http
from hlspub.targets.w3up.agent import Agent, Answer
from hlspub.targets.w3up.errors import SOON_S, Again
from hlspub.targets.w3up.exchange import Body
from hlspub.ucan.fields import a, a_map
from hlspub.ucan.principal import Signer
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Token

ADD, ALLOCATE, PUT, ACCEPT = "space/blob/add", "blob/allocate", "http/put", "blob/accept"
RELATIVE = 1_000_000_000  # an expiry below is in seconds from now: some nodes answer so
MARGIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that are to be kept; `body` gives them from their start."""

    multihash: bytes
    size: int
    body: Body


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node wants the bytes, and with which headers; `until` in Unix seconds, None: for good."""

    url: str
    headers: Mapping[str, str]
    until: float | None


@dataclass(frozen=True, slots=True)
class Allocation:
    """What `space/blob/add` led to: the tasks, what of them is done, and the address when there is something to send."""

    put: Token
    accept: Cid
    address: Address | None
    is_put: bool
    accepted: Receipt | None


async def keep(agent: Agent, blobs: Sequence[Blob]) -> None:
    """Have these blobs kept in the agent's space; returns when all are accepted.

    Raises:
        Again: an allocation was of no use; start over.
        TargetError: the service or a node refuses, or cannot be reached.
    """
    nbs = [{"blob": {"digest": blob.multihash, "size": blob.size}} for blob in blobs]
    answers = await agent.invoke(ADD, nbs)
    allocations = [_allocation(agent, answer) for answer in answers]
    with one_error():
        async with anyio.create_task_group() as tasks:
            for blob, allocation in zip(blobs, allocations, strict=True):
                tasks.start_soon(_send, agent, blob, allocation)
    await agent.conclude([_receipt(agent, one.put) for one in allocations if one.accepted is None])
    for one in allocations:
        receipt = one.accepted or await agent.outcome(one.accept)
        if receipt.error is not None:
            raise agent.refused(receipt, ACCEPT)


async def _send(agent: Agent, blob: Blob, allocation: Allocation) -> None:
    address = allocation.address
    if allocation.accepted is not None or allocation.is_put or address is None:
        return
    if address.until is not None and address.until < agent.clock.now() + MARGIN_S:
        raise Again(
            f"{agent.place}: an address that has expired", retry_s=SOON_S, hint="Is this machine's clock right?"
        )
    status = await agent.exchange.put(address.url, blob.body, blob.size, address.headers)
    if status >= 300:  # noqa: PLR2004 -- no success
        raise Again(
            f"{agent.place}: a storage node refused {blob.size} bytes: HTTP {status}",
            retry_s=SOON_S,
            hint="It is asked for another address. Does a proxy change what is sent?",
        )


def _allocation(agent: Agent, answer: Answer) -> Allocation:
    """Read the effects of `space/blob/add`.

    Raises:
        TargetError: they make no sense, or the allocation failed.
    """
    message = answer.message
    try:
        tokens = [(link, message.token(link)) for link in answer.receipt.forks]
        tasks = {token.sole().can: (link, token) for link, token in tokens if token is not None}
        done = message.concluded(answer.receipt.forks)
        if not tasks.keys() >= {ALLOCATE, PUT, ACCEPT}:
            raise agent.odd(f"{ADD}: an answer without {ALLOCATE}, {PUT} and {ACCEPT}")
        allocated = done.get(tasks[ALLOCATE][0])
        if allocated is not None and allocated.error is not None:
            raise agent.refused(allocated, ALLOCATE)
        put = done.get(tasks[PUT][0])
        accepted = done.get(tasks[ACCEPT][0])
        return Allocation(
            put=tasks[PUT][1],
            accept=tasks[ACCEPT][0],
            address=_address(allocated.ok, agent.clock.now()) if allocated else None,
            is_put=put is not None and put.error is None,
            accepted=accepted if accepted is not None and accepted.error is None else None,
        )
    except DataError as why:
        raise agent.odd(f"{ADD}: {why}") from why


def _address(value: Value, now: float) -> Address | None:
    given = a_map(value, "an allocation").get("address")
    if given is None:
        return None
    fields = a_map(given, "an address")
    url = a(str, fields.get("url"), "an address")
    try:
        http.shown(url)
    except ConfigError as why:
        raise BlockError(f"an address that is {why}") from why
    headers = a_map(fields.get("headers", {}), "headers")
    expires = fields.get("expires")
    until = float(expires) if isinstance(expires, int | float) else None
    if until is not None and until < RELATIVE:
        until += now
    return Address(
        url,
        {name: a(str, text, "a header") for name, text in headers.items()},
        until,
    )


def _receipt(agent: Agent, put: Token) -> Receipt:
    """The receipt for a PUT, signed with the key that the task hands over."""
    try:
        facts = put.claims.facts
        keys = a_map(facts[0].get("keys") if facts else None, "keys")
        key = a_map(keys.get("keys"), "keys").get(a(str, keys.get("id"), "a key's name"))
        signer = Signer.from_archive(a(bytes, key, "a key"))
    except DataError as why:
        raise agent.odd(f"{PUT}: {why}") from why
    return Receipt.issue(signer, put.cid, {})

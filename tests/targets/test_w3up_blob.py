"""What other versions of the service answer than the one of the tests: spelled out here, message by message."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import httpx
import pytest

from hlspub.errors import TargetError
from hlspub.ipld import car, dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagcbor import Writable
from hlspub.targets.http import make_client
from hlspub.targets.w3up.agent import Agent, Service
from hlspub.targets.w3up.blob import ACCEPT, ADD, ALLOCATE, PUT, Blob, keep
from hlspub.targets.w3up.errors import Again
from hlspub.targets.w3up.exchange import Exchange
from hlspub.ucan.message import CONCLUDE, CONTENT_TYPE, Message
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import Proof
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Capability, Claims, Token
from tests.targets.w3up_scene import Clock, Naps

pytestmark = pytest.mark.anyio

SERVER, AGENT, SPACE = (Signer.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
DATA = b"a blob"
DIGEST = sha256(DATA).digest()
ADDRESS = {"url": "http://node.test/blob", "headers": {"x-checksum": "it"}}


def issue(can: str, nb: Mapping[str, Writable], *facts: Mapping[str, Writable]) -> Token:
    return Token.issue(SERVER, Claims(SERVER.did, SERVER.did, (Capability(can, SERVER.did, nb),), None, facts=facts))


def block(value: Writable) -> Block:
    data = dagcbor.encode(value)
    return Block(Cid.of_data(Codec.DAG_CBOR, data), data)


def receipt(task: Cid, ok: Mapping[str, Writable], forks: tuple[Cid, ...] = ()) -> Block:
    ocm = {"ran": task, "out": {"ok": ok}, "fx": {"fork": forks}, "meta": {}, "iss": SERVER.did, "prf": []}
    return block({"ocm": ocm, "sig": SERVER.sign(dagcbor.encode(ocm))})


@dataclass
class Scripted:
    """A service that answers with one allocation. `done`: which tasks have receipts; `asked`: what came, in order."""

    allocation: Mapping[str, Writable]
    done: tuple[str, ...] = ()
    keys: Callable[[Signer], Mapping[str, Writable]] | None = None
    asked: list[str] = field(default_factory=list)
    sent: list[httpx.Request] = field(default_factory=list)
    tasks: dict[str, Token] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if request.method != "POST":
            self.asked.append(request.method)
            if request.method == "PUT":
                return httpx.Response(200)
            return self._reply({self.tasks[ACCEPT].cid: receipt(self.tasks[ACCEPT].cid, {})}, [])
        said = Message.read(request.content)
        token = said.token(said.execute[0])
        assert token is not None
        self.asked.append(token.sole().can)
        if token.sole().can == CONCLUDE:
            return self._reply({token.cid: receipt(token.cid, {"time": 1})}, [])
        return self._added(token.cid)

    def _added(self, add: Cid) -> httpx.Response:
        holder = Signer.from_seed(DIGEST)
        keys = {"id": holder.did, "keys": {holder.did: holder.archive()}}
        facts = self.keys(holder) if self.keys else {"keys": keys}
        self.tasks = {ALLOCATE: issue(ALLOCATE, {}), PUT: issue(PUT, {}, facts), ACCEPT: issue(ACCEPT, {})}
        oks: dict[str, Mapping[str, Writable]] = {ALLOCATE: self.allocation, PUT: {}, ACCEPT: {"site": add}}
        receipts = {can: receipt(self.tasks[can].cid, oks[can]) for can in (ALLOCATE, *self.done)}
        told = [issue(CONCLUDE, {"receipt": one.cid}) for one in receipts.values()]
        forks = [one.cid for one in (*self.tasks.values(), *told)]
        blocks = [one.block for one in (*self.tasks.values(), *told)]
        return self._reply({add: receipt(add, {}, tuple(forks))}, [*receipts.values(), *blocks])

    def _reply(self, report: Mapping[Cid, Block], blocks: list[Block]) -> httpx.Response:
        body = {"ucanto/message@7.0.0": {"report": {str(task): one.cid for task, one in report.items()}}}
        root = block(body)
        data = car.node_car(root.cid, [*report.values(), *blocks, root])[0]
        return httpx.Response(200, content=data, headers={"Content-Type": CONTENT_TYPE})


async def once() -> AsyncGenerator[bytes]:
    yield DATA


async def run(script: Scripted) -> None:
    grant = Token.issue(SPACE, Claims(SPACE.did, AGENT.did, (Capability("*", SPACE.did),), None))
    where = Service("http://up.test", "http://up.test/receipt/", SERVER.did)
    async with make_client(transport=httpx.MockTransport(script)) as client:
        agent = Agent(where, AGENT, Proof(grant, (grant.block,)), SPACE.did, Exchange(client, Naps()), Clock())
        await keep(agent, [Blob(b"\x12\x20" + DIGEST, len(DATA), once)])


async def test_a_new_blob_is_sent_with_the_headers_that_came() -> None:
    script = Scripted({"address": ADDRESS, "size": len(DATA)})
    await run(script)
    assert script.asked == [ADD, "PUT", CONCLUDE, "GET"]
    put = script.sent[1]
    assert (put.content, put.headers["x-checksum"], put.headers["content-length"]) == (DATA, "it", str(len(DATA)))
    assert "transfer-encoding" not in put.headers


async def test_a_known_blob_is_not_sent_even_when_its_old_address_comes_along() -> None:
    script = Scripted({"address": ADDRESS | {"expires": 1}, "size": len(DATA)}, (PUT, ACCEPT))
    await run(script)
    assert script.asked == [ADD]


async def test_a_blob_that_was_written_and_not_accepted_is_concluded() -> None:
    script = Scripted({"address": ADDRESS}, (PUT,))
    await run(script)
    assert script.asked == [ADD, CONCLUDE, "GET"]


async def test_without_an_address_there_is_nothing_to_send() -> None:
    script = Scripted({"size": 0})
    await run(script)
    assert script.asked == [ADD, CONCLUDE, "GET"]


@pytest.mark.parametrize("expires", [1_700_000_000, 0])
async def test_an_address_that_has_expired_is_not_used(expires: int) -> None:
    script = Scripted({"address": ADDRESS | {"expires": expires}})
    with pytest.raises(Again, match="expired"):
        await run(script)
    assert script.asked == [ADD]


@pytest.mark.parametrize("expires", [4_000_000_000, 86400, None])
async def test_an_address_that_holds_is_used(expires: int | None) -> None:
    script = Scripted({"address": ADDRESS | ({} if expires is None else {"expires": expires})})
    await run(script)
    assert "PUT" in script.asked


@pytest.mark.parametrize(
    "allocation",
    [{"address": 7}, {"address": {}}, {"address": {"url": "ftp://x"}}, {"address": ADDRESS | {"headers": [1]}}],
)
async def test_an_allocation_that_makes_no_sense(allocation: Mapping[str, Writable]) -> None:
    with pytest.raises(TargetError) as caught:
        await run(Scripted(allocation))
    assert caught.value.retry_s is not None


@pytest.mark.parametrize(
    "facts", [{}, {"keys": {"id": "did:key:z6Mk", "keys": {}}}, {"keys": {"id": "a", "keys": {"a": b"short"}}}]
)
async def test_a_task_without_its_key(facts: Mapping[str, Writable]) -> None:
    with pytest.raises(TargetError, match=PUT):
        await run(Scripted({"address": ADDRESS}, keys=lambda _holder: facts))


def test_the_receipt_of_a_put_is_signed_by_the_blobs_own_key() -> None:
    made = Receipt.issue(Signer.from_seed(DIGEST), issue(PUT, {}).cid, {})
    assert made.verify()
    assert json.dumps(made.issuer).startswith('"did:key:z6Mk')

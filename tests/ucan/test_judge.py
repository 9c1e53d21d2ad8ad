"""w3up's own libraries as the judge: they verify what was signed here, and here is verified what they sign."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hlspub.ipld import car, dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ucan import message
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import ARCHIVE_KEY, Proof
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Capability, Claims, Token

NODE = Path(__file__).parents[1] / "node" / "w3up"
SPACE, AGENT = (Signer.from_seed(bytes([number]) * 32) for number in (5, 6))
SERVICE = "did:web:up.example"


def block_of(data: bytes) -> Block:
    return Block(Cid.of_data(Codec.DAG_CBOR, data), data)


def ask(asked: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "ucan.mjs"], cwd=NODE, input=json.dumps(asked), text=True, capture_output=True, check=True, timeout=60
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.w3up
def test_each_verifies_the_other() -> None:
    grant = Token.issue(SPACE, Claims(SPACE.did, AGENT.did, (Capability("*", SPACE.did),), None))
    odd = {"text": 'é "\\\u2028\U0001f600\x01', "list": [1, -7, True, None, b"\x00\xff", grant.cid]}
    claims = Claims(
        AGENT.did, SERVICE, (Capability("space/blob/add", SPACE.did, odd),), 4_000_000_000, (grant.cid,), (odd,), "n", 7
    )
    call = Token.issue(AGENT, claims)
    receipt = Receipt.issue(SPACE, call.cid, {})
    told = Capability(message.CONCLUDE, AGENT.did, {"receipt": receipt.block.cid})
    conclude = Token.issue(AGENT, Claims(AGENT.did, SERVICE, (told,), None, facts=({"0": receipt.block.cid},)))
    _, body = message.request([call, conclude], [grant.block, receipt.block])
    archive = block_of(dagcbor.encode({ARCHIVE_KEY: grant.cid}))
    whole = car.node_car(archive.cid, [grant.block, archive])[0]
    said = ask(
        {
            "tokens": [grant.block.data.hex(), call.block.data.hex()],
            "message": base64.b64encode(body).decode(),
            "archive": base64.b64encode(whole).decode(),
        }
    )
    assert said["tokens"] == [True] * 4
    assert said["invocations"] == [["space/blob/add"], ["ucan/conclude"]]
    assert said["receipts"] == [True]
    assert said["archive"] == str(grant.cid)

    made, signer = said["made"], Signer.parse(said["made"]["key"])
    token = Token.read(block_of(bytes.fromhex(made["token"])))
    assert token.verify()
    assert (token.claims.audience, token.claims.nonce, token.claims.not_before) == (signer.did, "n", 7)
    proof = Proof.parse(made["car"])
    assert proof.delegation == token
    assert [one.verify() for one in proof.chain().values()] == [True, True]
    answer = Receipt.read(block_of(bytes.fromhex(made["receipt"])))
    assert answer.verify()
    assert answer.issuer == signer.did
    assert str(answer.error) == "Bad: so it is"

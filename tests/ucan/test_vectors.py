"""Every vector of w3up's wire format, byte for byte: what the JS libraries made is made again from its fields."""

import base64
from typing import Any

import pytest

from hlspub.ipld import car, dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ucan import dagjson, index, message, principal
from hlspub.ucan.message import Message
from hlspub.ucan.principal import Signer, did_bytes, did_text
from hlspub.ucan.proof import ARCHIVE_KEY, Proof
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Token
from tests.vectors_w3up import block, signer, signers, vectors

V = vectors()
TOKENS = {
    "delegation": V["delegation"],
    "parent": V["delegation_chain"]["parent"],
    "leaf": V["delegation_chain"]["leaf"],
    "put": V["http_put"]["task"],
    "conclude": V["http_put"]["conclude"],
} | V["invocations"]
SIGNED = {"delegation", "parent", "leaf", *V["invocations"]}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("vector", [*V["signers"], V["http_put"]["key"]], ids=lambda vector: vector["name"])
def test_a_key_in_each_of_its_forms(vector: dict[str, str]) -> None:
    made = Signer.from_seed(bytes.fromhex(vector["seed_hex"]))
    assert made.did == vector["did"]
    assert did_bytes(made.did).hex() == vector["did_bytes_hex"]
    assert did_text(bytes.fromhex(vector["did_bytes_hex"])) == vector["did"]
    assert made.archive().hex() == vector["key_hex"]
    assert made.secret_text() == vector["key_multibase"]
    for form in ("key_multibase", "key_base64", "seed_base64"):
        assert Signer.parse(vector[form]) == made


@pytest.mark.parametrize("vector", [V["did_web"], V["did_mailto"]], ids=lambda vector: vector["did"])
def test_a_did_of_another_method(vector: dict[str, str]) -> None:
    assert did_bytes(vector["did"]).hex() == vector["bytes_hex"]
    assert did_text(bytes.fromhex(vector["bytes_hex"])) == vector["did"]


def test_a_varsig() -> None:
    vector, agent = V["varsig"], signer("agent")
    said = vector["message_utf8"].encode()
    assert agent.sign(said).hex() == vector["signature_hex"]
    assert principal.verify(agent.did, said, bytes.fromhex(vector["signature_hex"]))


def test_dag_json_and_dag_cbor() -> None:
    for vector in V["dag_json_strings"]:
        assert dagjson.encode(vector["value"]).hex() == vector["json_utf8_hex"]
    vector = V["dag_json_key_order"]
    assert dagjson.encode(vector["value"]).decode() == vector["json"]
    assert dagcbor.encode(vector["value"]).hex() == vector["cbor_hex"]


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_read_verified_and_made_again(name: str) -> None:
    vector = TOKENS[name]
    token = Token.read(block(vector))
    assert token.verify()
    again = Token.issue(signers()[token.claims.issuer], token.claims)
    assert again.block == block(vector)
    if name in SIGNED:
        assert token.claims.signed_text().decode() == vector["signed_text"]
        assert token.signature.hex() == vector["signature_hex"]


@pytest.mark.parametrize("vector", [V["delegation"], V["delegation_chain"]], ids=["one", "chain"])
def test_a_proof_in_each_of_its_forms(vector: dict[str, Any]) -> None:
    forms = vector["forms"]
    proofs = [Proof.parse(text) for form, text in forms.items() if form != "cid"]
    assert len(proofs) == 5
    for proof in proofs:
        assert str(proof.delegation.cid) == forms["cid"]
        assert proof.delegation.verify()
        assert len(proof.blocks) == (2 if vector is V["delegation_chain"] else 1)
        assert proof == proofs[0]


def test_an_archive() -> None:
    delegation = block(V["delegation"])
    data = dagcbor.encode({ARCHIVE_KEY: delegation.cid})
    root = Block(Cid.of_data(Codec.DAG_CBOR, data), data)
    assert b64(car.node_car(root.cid, [delegation, root])[0]) == V["delegation"]["forms"]["archive_base64"]


@pytest.mark.parametrize("name", V["invocations"])
def test_a_request(name: str) -> None:
    vector = V["invocations"][name]
    root, body = message.request([Token.read(block(vector))], [block(V["delegation"])])
    assert (str(root), b64(body)) == (vector["message"]["root_cid"], vector["message"]["car_base64"])


def test_a_request_of_several_invocations() -> None:
    vector = V["batch"]
    said = Message.read(base64.b64decode(vector["car_base64"]))
    tokens = [token for link in said.execute if (token := said.token(link)) is not None]
    assert len(tokens) == 2
    root, body = message.request(tokens, said.blocks.values())
    assert str(root) == vector["root_cid"]
    assert Message.read(body).blocks == said.blocks


def test_the_receipt_of_a_put_and_its_conclusion() -> None:
    vector = V["http_put"]
    task = Token.read(block(vector["task"]))
    receipt = Receipt.issue(signers()[vector["key"]["did"]], task.cid, {})
    assert receipt.block == block(vector["receipt"])
    assert receipt.verify()
    conclude = vector["conclude"]
    root, body = message.request([Token.read(block(conclude))], [receipt.block])
    assert (str(root), b64(body)) == (conclude["message"]["root_cid"], conclude["message"]["car_base64"])


def test_an_answer() -> None:
    vector = V["response"]
    said = Message.read(base64.b64decode(vector["car_base64"]))
    receipts = {str(link): Receipt.read(said.blocks[link]) for link in said.report.values()}
    assert receipts[vector["ok_receipt_cid"]].error is None
    assert receipts[vector["error_receipt_cid"]].error is not None
    for receipt in receipts.values():
        assert said.receipt(receipt.ran) == receipt


def test_a_polled_receipt() -> None:
    vector = V["live"]["receipt_poll"]
    receipt = Message.read(base64.b64decode(vector["body_base64"])).receipt(Cid.parse(vector["task"]))
    assert receipt is not None
    assert receipt.error is None
    assert receipt.verify(V["live"]["ready"]["service_key_did"])


def test_all_recorded_traffic_is_understood() -> None:
    understood = [one for one in V["live"]["exchanges"] if one["can"] != ["filecoin/offer"]]  # hlspub never sends it
    assert len(understood) > 10
    for exchange in understood:
        asked = Message.read(base64.b64decode(exchange["request_base64"]))
        said = Message.read(base64.b64decode(exchange["response_base64"]))
        for task in asked.execute:
            token, receipt = asked.token(task), said.receipt(task)
            assert token is not None
            assert token.verify()
            assert receipt is not None
            assert receipt.verify(V["live"]["ready"]["service_key_did"])
            said.concluded(receipt.forks)


def test_an_index() -> None:
    shard = base64.b64decode(V["shard"]["car_base64"])
    blocks = [(bytes.fromhex(one["multihash_hex"]), one["offset"], one["length"]) for one in V["shard"]["blocks"]]
    mapped = index.ShardMap(index.multihash(car.car_cid(shard)), len(shard), blocks)
    made = index.encode(Cid.parse(V["shard"]["root_cid"]), [mapped])
    assert b64(made) == V["shard_index"]["car_base64"]
    assert str(car.car_cid(made)) == V["shard_index"]["index_cid"]

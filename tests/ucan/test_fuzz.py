"""What services and operators hand in, mangled: an answer or the declared error, whatever the bytes."""

import base64
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from hlspub.errors import DataError
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ucan.message import Message
from hlspub.ucan.principal import Signer, did_bytes, did_text
from hlspub.ucan.proof import Proof
from hlspub.ucan.receipt import Receipt
from hlspub.ucan.token import Token
from tests.vectors_w3up import vectors

V = vectors()
BLOCKS = [
    bytes.fromhex(one["block_hex"])
    for one in (V["delegation"], V["http_put"]["task"], V["http_put"]["receipt"], *V["invocations"].values())
]
MESSAGES = [base64.b64decode(one["response_base64"]) for one in V["live"]["exchanges"][:3]]
fuzz = settings(max_examples=300)


@st.composite
def mangled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(seeds) | st.binary(max_size=60)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["set", "insert", "cut", "double"]))
        if change == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif change == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@fuzz
@given(mangled(BLOCKS))
def test_tokens_and_receipts(data: bytes) -> None:
    block = Block(Cid.of_data(Codec.DAG_CBOR, data), data)
    with suppress(DataError):
        token = Token.read(block)
        token.verify()
        token.sole()
    with suppress(DataError):
        Receipt.read(block).verify()


@fuzz
@given(mangled(MESSAGES))
def test_messages(data: bytes) -> None:
    with suppress(DataError):
        message = Message.read(data)
        for link in message.blocks:
            message.receipt(link)
        message.concluded(message.blocks)


@fuzz
@given(mangled([text.encode() for form, text in V["delegation"]["forms"].items() if form != "cid"]))
def test_proofs_and_keys(data: bytes) -> None:
    text = data.decode("latin-1")
    with suppress(DataError):
        Proof.parse(text)
    with suppress(DataError):
        Signer.parse(text)


@fuzz
@given(st.binary(max_size=50), st.text(max_size=60) | st.text(max_size=50).map("did:key:z".__add__))
def test_dids(raw: bytes, text: str) -> None:
    with suppress(DataError):
        assert did_bytes(did_text(raw)) == raw
    with suppress(DataError):
        did_bytes(text)

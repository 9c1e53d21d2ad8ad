import tracemalloc
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import dagpb
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link, Node
from tests import recipes
from tests.ipld import plain

CID = Cid.of_data(Codec.RAW, b"a")
HASH = b"\x0a\x24" + CID.raw
BLOCKS = [bytes.fromhex(v["root_block_hex"]) for v in recipes.VECTORS if "root_block_hex" in v]
PB_BLOCKS = [block for block in BLOCKS if block[:1] in (b"\x12", b"\x0a")]

cids = st.one_of(
    st.binary(min_size=32, max_size=32).map(Cid.v0_of_digest),
    st.binary(min_size=32, max_size=32).map(partial(Cid.of_digest, Codec.DAG_PB)),
)
tsizes = st.one_of(st.integers(0, 300), st.sampled_from([2**7, 2**14, 2**21, 2**28, 2**35, 2**63 - 1]))
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
links = st.builds(Link, names, cids, tsizes)


def message(*fields: bytes) -> bytes:
    """A block of one link with these fields."""
    return plain.field(0x12, b"".join(fields))


@given(st.lists(links, max_size=5), st.binary(max_size=300))
def test_round_trip_and_the_same_bytes_as_the_plain_encoder(given_links: list[Link], data: bytes) -> None:
    block = dagpb.encode(given_links, data)
    values = [(link.name.encode(), (link.cid.raw, link.tsize)) for link in given_links]
    assert block == b"".join([plain.link(name, value) for name, value in values]) + plain.field(0x0A, data)
    assert dagpb.decode(block) == Node(tuple(given_links), data)
    assert dagpb.decode(memoryview(block)) == Node(tuple(given_links), data)
    for name, value in values:
        assert dagpb.split_link(dagpb.encode_link(name, value)) == (name, value)


@pytest.mark.parametrize("block", PB_BLOCKS[::5], ids=len)
def test_blocks_of_the_vectors_come_back_as_they_are(block: bytes) -> None:
    assert dagpb.encode(*dagpb.decode(block)) == block


def test_the_specification_lets_data_stand_before_the_links() -> None:
    assert dagpb.decode(b"\x0a\x01x" + message(HASH) + message(HASH)) == Node((Link("", CID, 0),) * 2, b"x")


def test_name_and_tsize_may_be_left_out() -> None:
    assert dagpb.decode(message(HASH, b"\x18\x05")).links == (Link("", CID, 5),)
    assert dagpb.decode(message(HASH, b"\x12\x01n")).links == (Link("n", CID, 0),)


def test_an_empty_block_is_a_node_without_anything() -> None:
    assert dagpb.decode(b"") == Node((), b"")


REFUSED = {
    "unknown field": (b"\x1a\x00", 0, "does not have"),
    "links as a varint": (b"\x10\x00", 0, "does not have"),
    "overlong tag": (b"\x92\x00\x00", 0, "does not have"),
    "two data": (b"\x0a\x00\x0a\x00", 2, "second Data"),
    "data between links": (message(HASH) + b"\x0a\x00" + message(HASH), 42, "behind the data"),
    "no hash": (message(b"\x12\x01n"), 2, "begin with its Hash"),
    "empty link": (message(), 2, "begin with its Hash"),
    "tsize before name": (message(HASH, b"\x18\x05\x12\x01n"), 42, "out of order"),
    "two names": (message(HASH, b"\x12\x01n\x12\x01m"), 43, "repeated"),
    "two hashes": (message(HASH, HASH), 40, "repeated"),
    "unknown field of a link": (message(HASH, b"\x20\x01"), 40, "unknown"),
    "name not utf-8": (message(HASH, b"\x12\x01\xff"), 42, "not UTF-8"),
    "empty cid": (message(b"\x0a\x00"), 4, "a link whose Hash is"),
    "cid and more": (message(b"\x0a\x25" + CID.raw + b"x"), 4, "a link whose Hash is"),
    "cid v0 cut": (message(b"\x0a\x21\x12\x20" + bytes(31)), 4, "a link whose Hash is"),
    "overlong length": (b"\x0a\x80\x00", 1, "shortest form"),
    "overlong tsize": (message(HASH, b"\x18\x85\x00"), 41, "shortest form"),
    "tsize of 64 bits": (message(HASH, b"\x18" + b"\xff" * 9 + b"\x01"), 41, "nine bytes"),
    "tsize reaches into the next field": (b"\x12\x28" + HASH + b"\x18\x85" + b"\x0a\x00", 41, "beyond"),
    "link cut off": (message(HASH)[:-1], 1, "bytes where"),
    "hash cut off": (b"\x12\x04\x0a\x24\x01\x55", 3, "bytes where"),
    "length missing": (b"\x12", 1, "cut off"),
    "length of 2^62": (b"\x0a" + plain.varint(2**62) + b"x", 1, "bytes where"),
}


@pytest.mark.parametrize(("block", "offset", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_with_reason_and_offset(block: bytes, offset: int, text: str) -> None:
    with pytest.raises(BlockError, match=text) as caught:
        dagpb.decode(block)
    assert caught.value.offset == offset


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A block of the vectors with a few bytes changed, put in or taken out."""
    block = draw(st.sampled_from([block for block in PB_BLOCKS if len(block) < 1000]))
    at = draw(st.integers(0, len(block) - 1))
    return block[:at] + draw(st.binary(max_size=3)) + block[at + draw(st.integers(0, 3)) :]


@given(st.one_of(st.binary(max_size=200), damaged()))
@example(b"\x12" + b"\xff" * 20)
def test_any_bytes_decode_or_are_refused(block: bytes) -> None:
    try:
        node = dagpb.decode(block)
    except BlockError:
        return
    # What was accepted has one meaning: written again it reads the same, and it is no longer when all fields stood there.
    again = dagpb.encode(*node)
    assert dagpb.decode(again) == node
    assert len(again) >= len(block)
    if len(again) == len(block) and not block.startswith(b"\x0a"):
        assert again == block


def test_memory_is_bound_by_the_block() -> None:
    block = b"".join([message(HASH)] * 10_000)
    tracemalloc.start()
    try:
        for lie in (b"\x0a" + plain.varint(2**62), b"\x12" + plain.varint(2**31) + HASH):
            with pytest.raises(BlockError):
                dagpb.decode(lie)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        dagpb.decode(block)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(block)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("tsize", [-1, 2**63])
def test_a_size_that_no_varint_holds_is_refused(tsize: int) -> None:
    with pytest.raises(ValueError, match=str(tsize)):
        dagpb.encode([Link("n", CID, tsize)], b"")

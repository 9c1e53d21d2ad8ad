from hashlib import sha256
from io import BytesIO

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from hlspub.errors import CarError
from hlspub.ipld import car, varint
from hlspub.ipld.block import Block
from hlspub.ipld.car_reader import MAX_HEADER, MAX_SECTION, CarReader
from hlspub.ipld.cid import Cid, Codec

datas = st.lists(st.binary(max_size=300), max_size=8)


def blocks_of(data: list[bytes]) -> list[Block]:
    """One block for each of `data`, of all the kinds of CIDs there are."""
    made: list[Block] = []
    for i, text in enumerate(data):
        digest = sha256(text).digest()
        cids = [Cid.of_digest(Codec.RAW, digest), Cid.v0_of_digest(digest), Cid.of_digest(Codec.CAR, digest)]
        made.append(Block(cids[i % 3], text))
    return made


def read(data: bytes, **options: bool) -> list[Block]:
    return list(CarReader(BytesIO(data).read, **options))


ROOT = Cid.of_data(Codec.RAW, b"root")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 23, 24, 25, 255])
def test_the_header_is_dag_cbor(count: int) -> None:
    roots = [block.cid for block in blocks_of([b"%d" % i for i in range(count)])]
    judge = dag_cbor.encode({"version": 1, "roots": [CID.decode(str(root)) for root in roots]})
    assert car.header(roots) == varint.encode(len(judge)) + judge
    assert CarReader(BytesIO(car.header(roots)).read).roots == tuple(roots)


def test_too_many_roots_are_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        car.header([ROOT] * 256)


@given(datas)
def test_what_is_written_is_read(data: list[bytes]) -> None:
    blocks = blocks_of(data)
    made, places = car.node_car(ROOT, blocks)
    assert [made[p.offset : p.offset + p.length] for p in places] == data
    reader = CarReader(BytesIO(made).read)
    assert (reader.version, reader.roots, list(reader)) == (1, (ROOT,), blocks)
    assert list(CarReader(BytesIO(made).read).index()) == list(places)
    assert car.car_cid(made).digest == sha256(made).digest()


@given(datas)
def test_short_reads_and_seeks_give_the_same(data: list[bytes]) -> None:
    made, places = car.node_car(ROOT, blocks_of(data))
    one = BytesIO(made)
    assert list(CarReader(lambda size: one.read(min(size, 1)))) == blocks_of(data)
    file = BytesIO(made)

    def skip(size: int) -> int:
        start = file.tell()
        return min(file.seek(size, 1), len(made)) - start

    assert list(CarReader(file.read, skip=skip).index()) == list(places)


@given(datas, st.binary(max_size=80), st.binary(max_size=80))
def test_the_version_1_inside_a_version_2_is_read(data: list[bytes], before: bytes, after: bytes) -> None:
    inner, places = car.node_car(ROOT, blocks_of(data))
    start = 11 + 40 + len(before)
    fields = bytes(16) + b"".join(n.to_bytes(8, "little") for n in (start, len(inner), start + len(inner)))
    made = b"\x0a\xa1\x67version\x02" + fields + before + inner + after
    reader = CarReader(BytesIO(made).read)
    assert (reader.version, reader.roots, list(reader)) == (2, (ROOT,), blocks_of(data))
    index = CarReader(BytesIO(made).read).index()
    assert [made[p.offset : p.offset + p.length] for p in index] == data
    assert [p.length for p in places] == [len(text) for text in data]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.data())
def test_a_car_that_is_cut_off_is_refused_unless_between_sections(data: list[bytes], more: st.DataObject) -> None:
    blocks = blocks_of(data)
    made, places = car.node_car(ROOT, blocks)
    ends = {len(car.header([ROOT])): 0} | {p.offset + p.length: i + 1 for i, p in enumerate(places)}
    cut = more.draw(st.integers(0, len(made) - 1))
    if cut in ends:
        assert read(made[:cut]) == blocks[: ends[cut]]
        return
    for attempt in (lambda: read(made[:cut]), lambda: list(CarReader(BytesIO(made[:cut]).read).index())):
        with pytest.raises(CarError) as caught:
            attempt()
        assert caught.value.offset is not None
        assert caught.value.offset <= cut


def test_a_skip_beyond_the_end_is_noticed() -> None:
    made, _ = car.node_car(ROOT, blocks_of([b"x" * 400]))
    file = BytesIO(made[:-1])
    reader = CarReader(file.read, skip=lambda size: min(file.seek(size, 1), len(made) - 1) - (len(made) - size))
    with pytest.raises(CarError, match="cut off"):
        list(reader.index())


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.data())
def test_a_flipped_bit_in_a_block_is_noticed(data: list[bytes], more: st.DataObject) -> None:
    made, places = car.node_car(ROOT, blocks_of(data))
    place = more.draw(st.sampled_from(places))
    at = place.offset + more.draw(st.integers(0, place.length - 1))
    bad = made[:at] + bytes((made[at] ^ 1 << more.draw(st.integers(0, 7)),)) + made[at + 1 :]
    with pytest.raises(CarError, match="not the block") as caught:
        read(bad)
    assert caught.value.offset == place.offset
    assert len(read(bad, check_hashes=False)) == len(data)


HEADER = car.header([ROOT])
LINK = b"\xd8\x2a\x58\x25\x00" + ROOT.raw


def framed(body: bytes) -> bytes:
    return varint.encode(len(body)) + body


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (b"", "header of 0 bytes", 0),
        (b"\x00", "header of 0 bytes", 0),
        (b"\x80", "cut off", 0),
        (b"\x80\x00", "shortest", 0),
        (b"\xff" * 12, "longer than nine", 0),
        (varint.encode(MAX_HEADER + 1) + bytes(50), "header of 1048577 bytes", 0),
        (framed(b"\xa1\x65roots\x80"), "not a CAR", 1),
        (framed(b"\xa2\x65roots\x80\x67version\x03"), "version 3", 1),
        (framed(b"\xa2\x65roots\x80\x67version\x61x"), "version x", 1),
        (framed(b"\xa2\x65roots\x81\x01\x67version\x01"), "roots are no CIDs", 1),
        (framed(b"\xa2\x65roots\x01\x67version\x01"), "roots are no CIDs", 1),
        (framed(b"\xa2\x65roots\x81" + LINK[:4] + LINK[5:] + b"\x67version\x01"), "no dag-cbor", None),
        (framed(b"\xa2\x65roots\x80\x67version\x01\x00"), "no dag-cbor", 18),
        (framed(b"\xa3\x65roots\x80\x67version\x01\x61x\x01"), "not a CAR", 1),
        (framed(b"<!DOCTYPE html><html>"), "no dag-cbor", None),
        (HEADER + b"\x00", "section of 0 bytes", len(HEADER)),
        (HEADER + b"\x81\x00", "shortest", len(HEADER)),
        (HEADER + varint.encode(MAX_SECTION + 1), f"section of {MAX_SECTION + 1} bytes", len(HEADER)),
        (HEADER + framed(ROOT.raw[:-1]), "begins with a CID is cut off", len(HEADER)),
        (HEADER + framed(b"\x01\x55\x1b\x20" + bytes(32)), "hash 0x1b", len(HEADER)),
        (b"\x0a\xa1\x67version\x02" + bytes(16) + b"\x32" + bytes(23), "starts at 50", 11),
        (b"\x0a\xa1\x67version\x02" + bytes(20), "cut off", None),
    ],
)
def test_refuses(data: bytes, reason: str, offset: int | None) -> None:
    with pytest.raises(CarError, match=reason) as caught:
        read(data)
    if offset is not None:
        assert caught.value.offset == offset


def test_a_version_2_in_a_version_2_is_refused() -> None:
    pragma = b"\x0a\xa1\x67version\x02"
    fields = bytes(16) + (51).to_bytes(8, "little") + (11).to_bytes(8, "little") + bytes(8)
    with pytest.raises(CarError, match="not a CAR"):
        read(pragma + fields + pragma)


def test_a_section_ends_inside_its_version_2() -> None:
    inner, _ = car.node_car(ROOT, blocks_of([b"x" * 100]))
    fields = bytes(16) + (51).to_bytes(8, "little") + (len(inner) - 1).to_bytes(8, "little") + bytes(8)
    with pytest.raises(CarError, match="behind the end"):
        read(b"\x0a\xa1\x67version\x02" + fields + inner)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.unixfs import Kind, UnixFs
from tests import recipes
from tests.ipld import plain

sizes = st.one_of(st.integers(0, 300), st.sampled_from([2**7, 2**14, 2**21, 2**28, 2**63 - 1]))
MESSAGES = sorted(
    {
        dagpb.decode(bytes.fromhex(vector["root_block_hex"])).data
        for vector in recipes.VECTORS
        if vector.get("root_block_hex", "")[:2] in ("12", "0a")
    }
)


@given(sizes, st.lists(sizes, max_size=5), st.binary(max_size=200))
def test_files(filesize: int, blocksizes: list[int], data: bytes) -> None:
    message = unixfs.file_data(filesize, blocksizes, data)
    parts = [b"\x20" + plain.varint(size) for size in blocksizes]
    content = plain.field(0x12, data) if data else b""
    assert message == b"\x08\x02" + content + b"\x18" + plain.varint(filesize) + b"".join(parts)
    assert unixfs.decode(message) == UnixFs(Kind.FILE, data or None, filesize, tuple(blocksizes), None, None)
    assert data or unixfs.file_data(filesize, blocksizes) == message


@given(st.integers(0, 2**256 - 1))
def test_shards(bitfield: int) -> None:
    message = unixfs.hamt_data(bitfield, 256)
    taken = bitfield.to_bytes(32, "big").lstrip(b"\0")
    assert message == b"\x08\x05" + plain.field(0x12, taken) + bytes.fromhex("2822308002")
    assert unixfs.decode(message) == UnixFs(Kind.HAMT_SHARD, taken, None, (), 0x22, 256)
    assert unixfs.hamt_data(taken, 256) == unixfs.hamt_data(b"\0" + taken, 256) == message


def test_a_directory() -> None:
    assert unixfs.decode(unixfs.DIRECTORY_DATA) == UnixFs(Kind.DIRECTORY, None, None, (), None, None)


@pytest.mark.parametrize("message", MESSAGES, ids=len)
def test_messages_of_the_vectors_come_back_as_they_are(message: bytes) -> None:
    fs = unixfs.decode(message)
    match fs.kind:
        case Kind.FILE:
            assert fs.filesize is not None
            assert unixfs.file_data(fs.filesize, fs.blocksizes, fs.data) == message
        case Kind.HAMT_SHARD:
            assert fs.data is not None
            assert unixfs.hamt_data(fs.data, fs.fanout or 0) == message
        case kind:
            assert (kind, message) == (Kind.DIRECTORY, unixfs.DIRECTORY_DATA)


def test_the_vectors_have_every_kind_that_hlspub_writes() -> None:
    assert {unixfs.decode(message).kind for message in MESSAGES} == {Kind.FILE, Kind.DIRECTORY, Kind.HAMT_SHARD}


def test_mode_and_mtime_of_others_are_passed_over() -> None:
    mtime = plain.field(0x42, b"\x08\x05")
    fs = unixfs.decode(b"\x08\x02\x12\x01x\x18\x01\x38\xa4\x03" + mtime)
    assert fs == UnixFs(Kind.FILE, b"x", 1, (), None, None)


REFUSED = {
    "empty": (b"", None, "none given"),
    "no type": (b"\x18\x01", None, "none given"),
    "type 6": (b"\x08\x06", None, "not a UnixFS type: 6"),
    "two types": (b"\x08\x01\x08\x01", 2, "twice"),
    "two data": (b"\x08\x02\x12\x00\x12\x00", 4, "twice"),
    "packed blocksizes": (b"\x08\x02\x22\x02\x01\x01", 2, "does not have"),
    "filesize as bytes": (b"\x08\x02\x1a\x00", 2, "does not have"),
    "unknown field": (b"\x08\x02\x48\x00", 2, "does not have"),
    "overlong type": (b"\x08\x82\x00", 1, "shortest form"),
    "64 bits": (b"\x08\x02\x18" + b"\xff" * 9 + b"\x01", 3, "nine bytes"),
    "data cut off": (b"\x08\x02\x12\x05abc", 3, "bytes where"),
    "filesize missing": (b"\x08\x02\x18", 3, "cut off"),
}


@pytest.mark.parametrize(("message", "offset", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_with_reason_and_offset(message: bytes, offset: int | None, text: str) -> None:
    with pytest.raises(BlockError, match=text) as caught:
        unixfs.decode(message)
    assert caught.value.offset == offset


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message of the vectors with a few bytes changed, put in or taken out."""
    message = draw(st.sampled_from([message for message in MESSAGES if len(message) < 300]))
    at = draw(st.integers(0, len(message) - 1))
    return message[:at] + draw(st.binary(max_size=3)) + message[at + draw(st.integers(0, 3)) :]


@given(st.one_of(st.binary(max_size=100), damaged()))
def test_any_bytes_decode_or_are_refused(message: bytes) -> None:
    try:
        fs = unixfs.decode(message)
    except BlockError:
        return
    assert len(fs.data or b"") + len(fs.blocksizes) <= len(message)

import pytest

from hlspub.errors import BlockError
from hlspub.ipld import dagpb, node, unixfs
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.node import Kind

LEAF = Cid.of_data(Codec.RAW, b"abc")


def read(links: list[Link], data: bytes) -> node.Node:
    block = dagpb.encode(links, data)
    return node.read(Cid.of_data(Codec.DAG_PB, block), block)


def test_a_raw_block_is_a_file() -> None:
    found = node.read(LEAF, b"abc")
    assert (found.kind, found.size, bytes(found.content), found.links) == (Kind.FILE, 3, b"abc", ())


@pytest.mark.parametrize("kind", [b"\x08\x02", b"\x08\x00"])
def test_file_nodes_of_both_types(kind: bytes) -> None:
    found = read([Link("", LEAF, 3)], kind + b"\x12\x02xy\x18\x05\x20\x03")
    assert (found.kind, found.size, bytes(found.content), found.parts) == (Kind.FILE, 5, b"xy", (3,))


def test_a_file_node_need_not_say_its_size() -> None:
    assert read([Link("", LEAF, 3)], b"\x08\x02\x20\x03").size == 3


def test_mode_and_mtime_of_others_are_no_obstacle() -> None:
    assert read([], b"\x08\x02\x12\x01x\x18\x01\x38\xa4\x03\x42\x02\x08\x01").size == 1


def test_a_directory_has_the_size_of_all_its_blocks() -> None:
    links = [Link("a", LEAF, 3), Link("b", LEAF, 40)]
    found = read(links, unixfs.DIRECTORY_DATA)
    size = len(dagpb.encode(links, unixfs.DIRECTORY_DATA))
    assert (found.kind, found.size, found.links, found.bits) == (Kind.DIRECTORY, size + 43, tuple(links), 0)


@pytest.mark.parametrize("data", [b"", b"\x08\x03"])
def test_dag_pb_that_is_no_file_system_is_other(data: bytes) -> None:
    assert (read([Link("x", LEAF, 3)], data).kind, len(read([Link("x", LEAF, 3)], data).links)) == (Kind.OTHER, 1)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec not in (Codec.RAW, Codec.DAG_PB)])
def test_other_codecs_are_other_and_not_looked_into(codec: Codec) -> None:
    found = node.read(Cid.of_data(codec, b"\xff"), b"\xff")
    assert (found.kind, found.size, found.links) == (Kind.OTHER, 1, ())


@pytest.mark.parametrize(
    ("links", "data", "reason"),
    [
        ([Link("", LEAF, 3)], b"\x08\x02\x18\x00", "1 links and 0 block sizes"),
        ([], b"\x08\x02\x18\x03\x20\x03", "0 links and 1 block sizes"),
        ([Link("", LEAF, 3)], b"\x08\x02\x18\x04\x20\x03", "says 4 bytes and holds 3"),
        ([], b"\x08\x02\x12\x01x\x18\x02", "says 2 bytes and holds 1"),
        ([], b"\x08\x09", "not a UnixFS type"),
        ([], b"\x08\x05\x12\x00\x28\x22\x30\x81\x02", "fanout 257"),
        ([], b"\x08\x05\x12\x00\x28\x22\x30\x04", "fanout 4"),
        ([], b"\x08\x05\x12\x00\x28\x22\x30\x80\x10", "fanout 2048"),
        ([], b"\x08\x05\x12\x00\x28\x22", "fanout None"),
        ([], b"\x08\x05\x12\x00\x28\x12\x30\x80\x02", "hash 18"),
        ([], b"\x08\x05\x12\x00\x30\x80\x02", "hash None"),
        ([], b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02", "bitfield"),
        ([Link("00a", LEAF, 3)], b"\x08\x05\x12\x00\x28\x22\x30\x80\x02", "bitfield"),
        ([Link("00a", LEAF, 3), Link("00b", LEAF, 3)], b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02", "no slot"),
        ([Link("0", LEAF, 3)], b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02", "no slot"),
        ([Link("", LEAF, 3)], b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02", "no slot"),
        ([Link("0fa", LEAF, 3)], b"\x08\x05\x12\x02\x80\x00\x28\x22\x30\x80\x02", "no slot"),
        ([Link("-1a", LEAF, 3)], b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02", "no slot"),
        ([Link("+1a", LEAF, 3)], b"\x08\x05\x12\x01\x02\x28\x22\x30\x80\x02", "no slot"),
        ([Link("GGa", LEAF, 3)], b"\x08\x05\x12\x01\x02\x28\x22\x30\x80\x02", "no slot"),
        ([Link("\u0660\u0661a", LEAF, 3)], b"\x08\x05\x12\x01\x02\x28\x22\x30\x80\x02", "no slot"),
        ([Link("Fa", LEAF, 3)], b"\x08\x05\x12\x02\x80\x00\x28\x22\x30\x08", "no slot"),
    ],
)
def test_a_node_that_contradicts_itself_is_refused(links: list[Link], data: bytes, reason: str) -> None:
    with pytest.raises(BlockError, match=reason):
        read(links, data)


def test_the_hash_has_64_bits() -> None:
    assert node.hash_prefix("seg_00001.ts", 8) == node.hash_prefix("seg_00001.ts", 64) >> 56
    with pytest.raises(BlockError, match="deeper than the hash"):
        node.hash_prefix("seg_00001.ts", 65)

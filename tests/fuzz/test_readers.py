"""Readers of what others wrote: whatever the bytes, an answer or the declared error, in bounded memory and time."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hlspub.errors import BlockError, CarError, CidError
from hlspub.ipld import car, dag, dagcbor, dagpb, node, unixfs, walk
from hlspub.ipld.car_reader import MAX_SECTION, CarReader
from hlspub.ipld.check import check_dag
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.profile import UNIXFS_V0_2015, UNIXFS_V1_2025
from tests.dags import Dags

MIB = 1 << 20
fuzz = settings(max_examples=400)


@contextmanager
def bounded(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


def outcome(attempt: Callable[[], object], *errors: type[Exception]) -> object:
    """What an attempt gives, or the declared error that it raises."""
    try:
        return attempt()
    except errors as why:
        return why


def seeds() -> list[bytes]:
    """Good blocks of every kind, and good CARs."""
    dags = Dags()
    for profile in (UNIXFS_V0_2015, UNIXFS_V1_2025):
        dags.tree({f"d/{i}": b"%d" % i for i in range(20)} | {"f": bytes(300)}, profile)
    leaf = dags.raw(b"x")
    dags.inner((leaf, 1), (leaf, 1), own=b"own")
    dags.node([Link(f"{i:02X}", leaf, 1) for i in range(9)], unixfs.hamt_data(0x1FF, 256))
    cbor = b"\xa2\x61a\x81\xd8\x2a\x58\x25\x00" + leaf.raw + b"\x61b\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"
    whole, _ = car.node_car(leaf, list(walk.stream(dag.walk_dag(dags.tree({"a/b": b"x", "c": b"y"})), dags.fetch)))
    fields = b"".join(n.to_bytes(8, "little") for n in (0, 0, 51, len(whole), 0))
    return [*dags.values(), cbor, whole, b"\x0a\xa1\x67version\x02" + fields + whole]


SEEDS = seeds()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good thing with bytes changed, cut, doubled or put in, or bytes of no origin."""
    data = bytearray(draw(st.sampled_from(SEEDS) | st.binary(max_size=80)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0 if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case 1:
                data[at:at] = draw(st.binary(max_size=12))
            case 2:
                del data[at : at + draw(st.integers(1, 40))]
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                data[at:at] = draw(st.sampled_from([b"\xff" * 9, b"\xff" * 8 + b"\x7f", b"\x80\x01", b"\x7f"]))
    return bytes(data)


@fuzz
@given(mangled())
def test_a_cid_is_read_or_refused(data: bytes) -> None:
    try:
        cid, end = Cid.read(data)
    except CidError:
        return
    assert cid.raw == data[:end]
    assert Cid.parse(str(cid)) == cid


@fuzz
@given(st.text(max_size=80))
def test_a_text_is_a_cid_or_refused(text: str) -> None:
    try:
        cid = Cid.parse(text)
    except CidError:
        return
    assert text in (str(cid), cid.text(text[0]))


@fuzz
@given(mangled(), st.booleans(), st.booleans())
def test_a_car_is_read_or_refused(data: bytes, check_hashes: bool, index: bool) -> None:
    def attempt() -> list[Any]:
        reader = CarReader(BytesIO(data).read, check_hashes=check_hashes)
        return list(reader.index() if index else reader)

    with bounded(MIB):
        found = outcome(attempt, CarError)
    if isinstance(found, CarError):
        assert found.offset is None or 0 <= found.offset <= len(data)


def test_a_car_that_promises_much_costs_one_section() -> None:
    """An endless body that claims the largest section: one is held, not two."""
    head = car.header([]) + car.section_head(Cid.of_data(Codec.RAW, b""), MAX_SECTION - 36)
    source, zeros = BytesIO(head), bytes(MIB)
    with bounded(2 * MAX_SECTION + 4 * MIB):
        found = outcome(lambda: next(iter(CarReader(lambda size: source.read(size) or zeros[:size]))), CarError)
    assert "not the block" in str(found)


@fuzz
@given(mangled())
def test_a_block_is_read_or_refused(data: bytes) -> None:
    readers: list[Callable[[], object]] = [
        lambda: dagpb.decode(data),
        lambda: unixfs.decode(data),
        lambda: dagcbor.decode(data),
        *(lambda codec=codec: node.read(Cid.of_data(codec, data), data) for codec in Codec),
        *(lambda codec=codec: dag.links(Cid.of_data(codec, data), data) for codec in Codec),
    ]
    for read in readers:
        with bounded(MIB):
            outcome(read, BlockError)


@st.composite
def dags_of_anything(draw: st.DrawFn) -> tuple[Dags, Cid]:
    """Blocks that link to one another and say of it what they like."""
    dags = Dags()
    cids = [dags.raw(draw(st.binary(max_size=6))), Cid.of_inline(Codec.RAW, b"in"), Cid.of_data(Codec.RAW, b"missing")]
    names = st.sampled_from(["", "a", "b", "00", "00a", "3C", "FF", "0", "/", ".."])
    for _ in range(draw(st.integers(1, 8))):
        links = draw(st.lists(st.builds(Link, names, st.sampled_from(cids), st.integers(0, 9)), max_size=5))
        sizes = draw(st.lists(st.integers(0, 6), min_size=len(links), max_size=len(links)))
        slots = sum({1 << int(link.name[:2], 16) for link in links if len(link.name) > 1 and link.name[:2].isalnum()})
        data = draw(
            st.sampled_from(
                [
                    unixfs.DIRECTORY_DATA,
                    unixfs.file_data(sum(sizes), sizes),
                    unixfs.hamt_data(slots, 256),
                    unixfs.hamt_data(slots, 16),
                    b"\x08\x04\x12\x01a",
                    b"",
                ]
            )
        )
        cids.append(dags.node(links, data))
    return dags, cids[-1]


@fuzz
@given(dags_of_anything(), st.lists(st.sampled_from(["a", "b", "", "/", "00", "é"]), max_size=4), st.integers(-5, 9))
def test_a_walk_ends_with_an_answer_or_an_error(made: tuple[Dags, Cid], path: list[str], first: int) -> None:
    dags, root = made

    def get(cid: Cid) -> bytes:
        assert len(dags.asked) < 20_000
        return dags.fetch(cid)

    walks: list[Callable[[], object]] = [
        lambda: walk.run(walk.resolve(root, path), get),
        lambda: walk.run(walk.list_directory(root), get),
        lambda: walk.run(walk.file_size(root), get),
        lambda: [bytes(view) for view in walk.stream(walk.read_file(root, max(first, 0)), get)],
        lambda: list(walk.stream(walk.walk_tree(root, max_paths=500), get)),
        lambda: list(walk.stream(dag.walk_dag(root), get)),
        lambda: list(walk.stream(dag.walk_dag(root, dag.Scope.ENTITY), get)),
        lambda: list(walk.stream(dag.select(root, path, entity_bytes=(first, None)), get)),
    ]
    for attempt in walks:
        dags.asked.clear()
        found = outcome(attempt, BlockError, KeyError)
        if isinstance(found, KeyError):  # the source's own: a block that is not there
            assert found.args[0] not in dags


@fuzz
@given(dags_of_anything())
def test_a_check_always_ends_with_a_report(made: tuple[Dags, Cid]) -> None:
    dags, root = made
    found = walk.run(check_dag(root), lambda cid: dags.fetch(cid) if cid in dags else None)
    assert len(dags.asked) == len(set(dags.asked)) == found.blocks
    assert found.bytes == sum(len(dags[cid]) for cid in dags.asked)
    assert set(found.missing).isdisjoint(dags)
    assert {fault.cid for fault in found.corrupt} <= {*dags.asked, Cid.of_inline(Codec.RAW, b"in")}

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import unixfs
from hlspub.ipld.dagpb import decode
from hlspub.ipld.directory import Directory
from hlspub.ipld.profile import PROFILES, UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from tests import recipes
from tests.ipld import collisions, plain

CID = b"\x01\x55\x12\x20" + bytes(32)
CIDS = [CID, CID[2:], b"\x01\x55\x00\x7e" + bytes(126)]
SMALL = [replace(UNIXFS_V1_2025, hamt_threshold=600), replace(UNIXFS_V0_2015, hamt_threshold=400)]
FLIPS = [vector for vector in recipes.vectors("dirlinks") if "flip_max_flat" in vector]
both = pytest.mark.parametrize("profile", SMALL, ids=lambda profile: profile.name)


def is_sharded(held: Directory) -> bool:
    """What the root block says; for a directory without a mark."""
    *_, top = held.unpublished()
    assert top.cid.raw == held.root()[0]
    return unixfs.decode(decode(top.data).data).kind is unixfs.Kind.HAMT_SHARD


def expected(held: dict[bytes, tuple[bytes, int]], profile: Profile) -> tuple[bytes, int]:
    return plain.directory(held, version=profile.cid_version, threshold=profile.hamt_threshold)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150).map(str.encode)
tsizes = st.one_of(st.integers(0, 300), st.sampled_from([2**n + i for n in (14, 21, 28, 35, 49) for i in (-1, 0)]))
values = st.tuples(st.sampled_from(CIDS), tsizes)


@given(st.dictionaries(names, values, min_size=1, max_size=8))
def test_the_measures_to_the_byte(entries: dict[bytes, tuple[bytes, int]]) -> None:
    block = sum(len(plain.link(name, value)) for name, value in entries.items()) + 4
    links = sum(len(name) + len(cid) for name, (cid, _) in entries.items())
    for base, size in ((UNIXFS_V1_2025, block), (UNIXFS_V0_2015, links)):
        assert not is_sharded(Directory(replace(base, hamt_threshold=size), entries))
        assert is_sharded(Directory(replace(base, hamt_threshold=size - 1), entries))


@pytest.mark.parametrize("vector", FLIPS, ids=lambda vector: vector["id"])
def test_the_flip_one_entry_at_a_time_in_both_directions(vector: dict[str, Any]) -> None:
    profile = PROFILES[vector["profile"]]
    links = [(link.name.encode(), (link.cid.raw, link.tsize)) for link in recipes.links(vector["recipe"], profile.name)]
    held = Directory(profile, dict(links))
    (last, value), root = links[-1], held.root()
    for _ in range(2):
        held.remove(last)
        assert is_sharded(held) is (len(held) > vector["flip_max_flat"])
        held.put(last, value)
        assert held.root() == root
        assert is_sharded(held) is vector["hamt"]


def test_the_flips_are_seen_from_both_sides() -> None:
    assert {(vector["profile"], vector["hamt"]) for vector in FLIPS} == {
        (name, hamt) for name in PROFILES for hamt in (True, False)
    }


def test_v1_crosses_the_threshold_by_a_tsize_alone_and_v0_does_not() -> None:
    numbered = [b"%02d" % i for i in range(20)]
    small = dict.fromkeys(numbered, (CID, 127))
    block = sum(len(plain.link(name, value)) for name, value in small.items()) + 4
    for base, size in ((UNIXFS_V1_2025, block), (UNIXFS_V0_2015, 20 * (2 + len(CID)))):
        profile = replace(base, hamt_threshold=size)
        held = Directory(profile, small)
        flat = held.root()
        assert not is_sharded(held)
        held.put(numbered[7], (CID, 128))
        assert is_sharded(held) is (base is UNIXFS_V1_2025)
        assert held.root() == expected(small | {numbered[7]: (CID, 128)}, profile)
        held.put(numbered[7], (CID, 127))
        assert held.root() == flat
        assert not is_sharded(held)


@both
def test_the_empty_directory(profile: Profile) -> None:
    held = Directory(profile)
    assert held.root() == (profile.node_cid(bytes.fromhex("0a020801")).raw, 4)
    assert len(held) == 0
    held.put(b"a", (CID, 1))
    held.remove(b"a")
    assert held.root()[1] == 4
    assert held.remove(b"a") is None


@both
def test_flat_links_are_sorted_by_bytes_not_by_utf16(profile: Profile) -> None:
    wild = ["\U0001d11e", "\uffee", "Z", "a", "é", "e\u0301", "A"]
    in_order = ["A", "Z", "a", "e\u0301", "é", "\uffee", "\U0001d11e"]
    held = Directory(profile, {name.encode(): (CID, 1) for name in wild[:3]})
    for name in wild[3:]:
        held.put(name.encode(), (CID, 1))
    (block,) = held.unpublished()
    assert [link.name for link in decode(block.data).links] == in_order
    assert [name.decode() for name, _ in held] == in_order


@both
@pytest.mark.parametrize("others", [0, 50])
def test_the_same_hash_is_refused_flat_or_sharded(profile: Profile, others: int) -> None:
    one, other = (name.encode() for name in collisions.SAME)
    start = {b"%03d" % i: (CID, 9) for i in range(others)} | {one: (CID, 1)}
    held = Directory(profile, start)
    root = held.root()
    with pytest.raises(BlockError, match="same 64-bit hash"):
        held.put(other, (CID, 1))
    assert (held.root(), len(held), dict(held)) == (root, others + 1, start)
    with pytest.raises(BlockError, match="same 64-bit hash"):
        Directory(profile, start | {other: (CID, 1)})
    held.remove(one)
    held.put(other, (CID, 1))
    assert held.get(other) == (CID, 1)


def test_the_measure_where_lengths_get_a_second_byte() -> None:
    for size in range(1, 300):
        entries = {b"n" * size: (CID, 9)}
        block = len(plain.link(b"n" * size, (CID, 9))) + 4
        assert not is_sharded(Directory(replace(UNIXFS_V1_2025, hamt_threshold=block), entries))
        assert is_sharded(Directory(replace(UNIXFS_V1_2025, hamt_threshold=block - 1), entries))


@both
@pytest.mark.parametrize("count", [5, 50])
def test_nothing_to_publish_is_nothing_even_after_a_way_there_and_back(profile: Profile, count: int) -> None:
    start = {b"%03d" % i: (CID, 9) for i in range(count)}
    held = Directory(profile, start)
    held.root()
    held.mark_published()
    assert list(held.unpublished()) == []
    held.put(b"x", (CID, 1))
    assert list(held.unpublished())
    held.remove(b"x")
    assert list(held.unpublished()) == []


@both
def test_a_mark_speaks_of_the_last_root_not_of_what_came_since(profile: Profile) -> None:
    """Also when what came since has turned a flat directory into a HAMT long before the next root."""
    held = Directory(profile, {b"first": (CID, 9)})
    held.root()
    for i in range(100):
        held.put(b"%03d" % i, (CID, 9))
    held.mark_published()
    blocks: plain.Blocks = {}
    cid, _ = plain.directory(dict(held), version=profile.cid_version, threshold=profile.hamt_threshold, blocks=blocks)
    assert {block.cid.raw: block.data for block in held.unpublished()} == blocks
    assert held.root()[0] == cid


@both
def test_a_mark_with_a_change_waiting_still_covers_the_rest(profile: Profile) -> None:
    held = Directory(profile, {b"%05d" % i: (CID, 9) for i in range(5000)})
    held.root()
    held.put(b"x", (CID, 9))
    held.mark_published()
    assert len(list(held.unpublished())) <= 3


@both
def test_a_mark_before_any_root_marks_nothing(profile: Profile) -> None:
    held = Directory(profile, {b"%03d" % i: (CID, 9) for i in range(50)})
    held.mark_published()
    assert not held.is_published
    blocks: plain.Blocks = {}
    plain.directory(dict(held), version=profile.cid_version, threshold=profile.hamt_threshold, blocks=blocks)
    assert {block.cid.raw for block in held.unpublished()} == set(blocks)

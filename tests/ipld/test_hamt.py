from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.hamt import Hamt, by_hash, name_hash
from hlspub.ipld.profile import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from tests import recipes
from tests.ipld import collisions, plain

SEG = "seg_%05d.ts"
PAIRS = list(collisions.PAIRS.items())


@dataclass(frozen=True, slots=True)
class Counting(Profile):
    """A profile that notes the size of every block it is asked for a CID of."""

    hashed: list[int]

    def raw_node_cid(self, data: bytes) -> bytes:
        self.hashed.append(len(data))
        return UNIXFS_V1_2025.raw_node_cid(data)


def value(name: str, tsize: int = 700_000) -> tuple[bytes, int]:
    return Cid.of_digest(Codec.RAW, sha256(name.encode()).digest()).raw, tsize


def entries(*names: str) -> dict[bytes, tuple[bytes, int]]:
    return {name.encode(): value(name) for name in names}


def from_scratch(held: dict[bytes, tuple[bytes, int]]) -> tuple[bytes, int]:
    return plain.directory(held, version=1, threshold=0)


def test_the_hash_of_the_vectors() -> None:
    collide = [vector["collide"] for vector in recipes.vectors("dirlinks") if "collide" in vector]
    assert len(collide) > 10
    for pair in collide:
        assert [f"{name_hash(name.encode()):016x}" for name in pair["names"]] == pair["h1_hex"]


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015], ids=lambda profile: profile.name)
def test_built_at_once_or_one_by_one_as_from_scratch(profile: Profile) -> None:
    held = entries(*[SEG % i for i in range(3000)], *[name for _, pair in PAIRS for name in pair])
    whole, grown = Hamt(profile, held), Hamt(profile, {})
    for name in held:
        assert grown.put(name, held[name]) is None
    expected = plain.directory(held, version=profile.cid_version, threshold=0)
    assert whole.encode() == grown.encode() == expected
    assert dict(whole) == dict(grown) == held
    for name in list(held)[::2]:
        assert whole.remove(name) == held.pop(name)
    assert whole.encode() == plain.directory(held, version=profile.cid_version, threshold=0)


@pytest.mark.parametrize(("bits", "pair"), PAIRS, ids=str)
def test_a_deep_pair_makes_a_chain_and_leaves_none_behind(bits: int, pair: tuple[str, str]) -> None:
    held = entries(*[SEG % i for i in range(500)])
    hamt = Hamt(UNIXFS_V1_2025, held)
    before, blocks_before = hamt.encode(), len(list(hamt.unpublished()))
    one, other = (name.encode() for name in pair)
    hamt.put(one, value(pair[0]))
    with_one, blocks_with_one = hamt.encode(), len(list(hamt.unpublished()))
    hamt.put(other, value(pair[1]))
    assert hamt.encode() == from_scratch(held | entries(*pair))
    assert len(list(hamt.unpublished())) >= blocks_with_one + bits // 8 - 2
    hamt.remove(other)
    assert hamt.encode() == with_one
    assert len(list(hamt.unpublished())) == blocks_with_one
    hamt.remove(one)
    assert (hamt.encode(), len(list(hamt.unpublished()))) == (before, blocks_before)


@pytest.mark.parametrize("encode_between", [True, False])
def test_pairs_that_come_and_go_between_two_roots(encode_between: bool) -> None:
    held = entries("a", "b")
    hamt = Hamt(UNIXFS_V1_2025, held)
    for _, pair in PAIRS:
        for name in pair:
            hamt.put(name.encode(), value(name))
            if encode_between:
                hamt.encode()
        for name in pair:
            hamt.remove(name.encode())
    assert hamt.encode() == from_scratch(held)


def test_two_names_with_the_same_hash_are_refused_by_name() -> None:
    one, other = collisions.SAME
    held = entries(*[SEG % i for i in range(100)], one)
    hamt = Hamt(UNIXFS_V1_2025, held)
    with pytest.raises(BlockError, match="same 64-bit hash") as caught:
        hamt.put(other.encode(), value(other))
    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)
    assert caught.value.hint
    assert hamt.encode() == from_scratch(held)
    assert hamt.get(other.encode()) is None
    assert hamt.remove(other.encode()) is None
    assert hamt.put(one.encode(), value(one, 1)) == value(one)
    for names in (held | entries(other), entries(one, other)):
        with pytest.raises(BlockError, match="same 64-bit hash"):
            by_hash(names)
        with pytest.raises(BlockError, match="same 64-bit hash"):
            Hamt(UNIXFS_V1_2025, names)


def test_links_of_every_length_stand_side_by_side() -> None:
    """Lengths of one, two and three bytes; a name of a file has 255 at most."""
    held = entries(*[f"{n}".rjust(size, "n") for n in range(40) for size in (1, 60, 79, 80, 81, 255, 20_000)])
    hamt = Hamt(UNIXFS_V1_2025, {})
    for name in held:
        hamt.put(name, held[name])
        hamt.encode()
    assert hamt.encode() == from_scratch(held)
    for name in list(held)[::3]:
        assert hamt.remove(name) == held.pop(name)
    assert hamt.encode() == from_scratch(held)
    assert dict(hamt) == held


def test_names_that_look_like_slots_are_entries_like_others() -> None:
    names = [f"{slot:02X}" for slot in range(256)] + ["0", "00A", "FFseg", "ff", "A0" * 8, "é", "𝄞"]
    held = entries(*names)
    hamt = Hamt(UNIXFS_V1_2025, held)
    assert hamt.encode() == from_scratch(held)
    assert dict(hamt) == held
    for name in names:
        assert hamt.get(name.encode()) == value(name)
        assert hamt.put(name.encode(), value(name, 5)) == value(name)
        assert hamt.remove(name.encode()) == value(name, 5)
    assert hamt.encode() == from_scratch({})


def test_a_shard_is_what_its_block_says() -> None:
    hamt = Hamt(UNIXFS_V1_2025, entries(*[SEG % i for i in range(700)]))
    hamt.encode()
    *_, top = hamt.unpublished()
    node = dagpb.decode(top.data)
    fs = unixfs.decode(node.data)
    assert (fs.kind, fs.hash_type, fs.fanout) == (unixfs.Kind.HAMT_SHARD, 0x22, 256)
    bits = int.from_bytes(fs.data or b"", "big")
    assert [int(link.name[:2], 16) for link in node.links] == [slot for slot in range(256) if bits >> slot & 1]


def test_only_the_shards_on_the_way_are_hashed() -> None:
    profile = Counting(*(getattr(UNIXFS_V1_2025, field) for field in UNIXFS_V1_2025.__slots__), hashed=[])
    hamt = Hamt(profile, entries(*[SEG % i for i in range(20_000)]))
    assert len(profile.hashed) > 1000
    for i in range(20_000, 20_200):
        hamt.encode()
        profile.hashed.clear()
        hamt.put((SEG % i).encode(), value(SEG % i))
        assert profile.hashed == []
        hamt.encode()
        assert 1 <= len(profile.hashed) <= 4
        hamt.encode()
        assert len(profile.hashed) <= 4


@given(st.lists(st.sampled_from([*collisions.beside("a", 8, 30), *collisions.beside("a", 16, 5), "a"]), max_size=60))
def test_any_order_of_names_that_share_slots(names: list[str]) -> None:
    hamt, held = Hamt(UNIXFS_V1_2025, {}), dict[bytes, tuple[bytes, int]]()
    for name in names:
        key = name.encode()
        if key in held:
            assert hamt.remove(key) == held.pop(key)
        else:
            held[key] = value(name)
            assert hamt.put(key, held[key]) is None
        assert hamt.remove(b"absent") is None
    assert hamt.encode() == from_scratch(held)
    assert dict(hamt) == held

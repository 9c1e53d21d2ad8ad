from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.ipld import dagpb, walk
from hlspub.ipld.check import Report, check_dag
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.hamt import name_hash
from hlspub.ipld.profile import PROFILES, Profile
from hlspub.ipld.unixfs import DIRECTORY_DATA, hamt_data
from tests.dags import Dags

both = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
FILES = {f"v/seg_{i:05d}.ts": bytes((i % 50,)) * 77 for i in range(6000)} | {
    "m.m3u8": b"x",
    "w/big.ts": bytes(range(250)),
}


def report(root: Cid, dags: Dags) -> Report:
    return walk.run(check_dag(root), lambda cid: dags.fetch(cid) if cid in dags else None)


def reasons(root: Cid, dags: Dags) -> list[str]:
    return [fault.reason for fault in report(root, dags).corrupt]


@both
def test_a_good_tree_is_whole_and_every_block_is_asked_for_once(profile: Profile) -> None:
    dags = Dags()
    root = dags.tree(FILES, replace(profile, chunk_size=20, max_links=5))
    found = report(root, dags)
    assert found == Report(root, len(dags), sum(map(len, dags.values())), (), ())
    assert sorted(dags.asked) == sorted(dags)


@given(st.sampled_from(list(PROFILES.values())), st.data())
def test_what_is_missing_or_changed_is_named(profile: Profile, more: st.DataObject) -> None:
    dags = Dags()
    files = {f"d{i % 3}/f{i}": bytes(range(i * 9)) for i in range(12)}
    root = dags.tree(files, replace(profile, chunk_size=20, max_links=3))
    gone, bad = more.draw(st.permutations(sorted(dags)))[:2]
    del dags[gone]
    flipped = bytearray(dags[bad] or b"x")
    flipped[-1] ^= 1
    dags[bad] = bytes(flipped)
    found = report(root, dags)
    named = [*found.missing, *(fault.cid for fault in found.corrupt)]
    assert set(named) <= {gone, bad}
    assert set(found.missing) == {gone} & set(named)
    assert len(named) == len(set(named)) >= 1
    assert all("not the block" in fault.reason for fault in found.corrupt)
    if named == [gone]:  # the other lies below it and cannot be seen
        assert bad not in dags.asked


def test_a_missing_root_is_missing() -> None:
    root = Cid.of_data(Codec.RAW, b"x")
    assert report(root, Dags()) == Report(root, 0, 0, (root,), ())


def test_sizes_are_held_to_what_parents_announce() -> None:
    dags = Dags()
    leaf = dags.raw(b"abc")
    assert reasons(dags.inner((leaf, 4)), dags) == ["it has 3 bytes where a file says that 4 bytes of it are there"]
    once_good = dags.inner((dags.inner((leaf, 3)), 3), (leaf, 2))
    assert reasons(once_good, dags) == ["it has 3 bytes where a file says that 2 bytes of it are there"]
    directory = dags.node([], DIRECTORY_DATA)
    assert reasons(dags.inner((directory, 0)), dags) == ["it is no file where a file says that 0 bytes of it are there"]


def test_blocks_that_do_not_decode_are_corrupt() -> None:
    dags = Dags()
    broken = dags.keep(Cid.of_data(Codec.DAG_PB, b"\xff"), b"\xff")
    found = report(dags.node([Link("a", broken, 1), Link("b", dags.raw(b"x"), 1)], DIRECTORY_DATA), dags)
    assert [fault.cid for fault in found.corrupt] == [broken]
    assert dags.raw(b"x") in dags.asked


def test_two_entries_of_one_name_are_a_fault() -> None:
    dags = Dags()
    leaf = dags.raw(b"x")
    assert reasons(dags.node([Link("a", leaf, 1), Link("a", leaf, 1)], DIRECTORY_DATA), dags) == [
        "a directory with two entries of one name"
    ]


def test_links_of_other_codecs_are_followed() -> None:
    dags = Dags()
    leaf = dags.raw(b"x")
    block = b"\x81\xd8\x2a\x58\x25\x00" + leaf.raw
    root = dags.keep(Cid.of_data(Codec.DAG_CBOR, block), block)
    plain = dags.node([Link("a", root, 1)], b"")
    assert report(plain, dags).blocks == 3


def test_a_block_in_its_own_cid_is_read_and_not_counted() -> None:
    dags = Dags()
    inline = Cid.of_inline(Codec.DAG_PB, dagpb.encode([Link("x", dags.raw(b"x"), 1)], DIRECTORY_DATA))
    found = report(inline, dags)
    assert (found.blocks, found.bytes, found.corrupt) == (1, 1, ())
    assert reasons(Cid.of_inline(Codec.DAG_PB, b"\xff"), dags)


def shard(dags: Dags, links: dict[str, Cid], fanout: int = 256) -> Cid:
    taken = sum(1 << int(name[: len(f"{fanout - 1:X}")], 16) for name in links)
    return dags.node([Link(name, cid, 1) for name, cid in sorted(links.items())], hamt_data(taken, fanout))


def test_a_shard_that_two_directories_share_is_no_fault() -> None:
    """Two renditions whose segments are alike have shards in common."""
    dags = Dags()
    names = [f"seg_{i:05d}.ts" for i in range(6000)]
    root = dags.tree({f"{where}/{name}": b"x" for where in "ab" for name in names} | {"b/more.ts": b"x"})
    found = report(root, dags)
    assert (found.missing, found.corrupt) == ((), ())
    assert found.blocks == len(set(dags.asked)) == len(dags.asked)


def test_hamts_that_lie_are_faults() -> None:
    dags = Dags()
    leaf = dags.raw(b"x")
    slots = name_hash(b"name").to_bytes(8, "big")
    good = shard(dags, {f"{slots[1]:02X}name": leaf})
    assert not reasons(shard(dags, {f"{slots[0]:02X}": good}), dags)
    assert "not its own" in reasons(shard(dags, {f"{slots[0] ^ 1:02X}": good}), dags)[0]
    twice = shard(dags, {f"{slots[0]:02X}": good, f"{slots[0] ^ 1:02X}": good})
    assert len(reasons(twice, dags)) == 1
    assert reasons(shard(dags, {"00": shard(dags, {})}), dags) == ["an empty shard in a HAMT"]
    assert reasons(shard(dags, {"00": leaf}), dags) == ["it hangs in a HAMT and is no shard of it"]
    assert reasons(shard(dags, {"00": shard(dags, {"0x": leaf}, 16)}), dags) == [
        "it hangs in a HAMT and is no shard of it"
    ]
    assert not reasons(shard(dags, {}), dags)  # an empty directory


def test_a_hamt_that_shares_shards_to_grow_without_end_is_a_fault_and_ends() -> None:
    dags = Dags()
    below = shard(dags, {"00name": dags.raw(b"x")})
    for _ in range(7):
        below = shard(dags, {f"{slot:02X}": below for slot in range(256)})
    assert "not its own" in reasons(below, dags)[0]
    assert len(dags.asked) == 8


def test_a_hamt_deeper_than_its_hash_is_a_fault() -> None:
    dags = Dags()
    below = shard(dags, {"00name": dags.raw(b"x")})
    for _ in range(30):
        below = shard(dags, {"00": below})
    assert "deeper than the hash" in reasons(below, dags)[0]
    assert len(dags.asked) == 9

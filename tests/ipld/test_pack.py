from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.pack import FilePacker, Packing
from hlspub.ipld.profile import PROFILES, UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from tests import recipes


def packed(data: bytes, profile: Profile) -> tuple[bytes, Packing]:
    packer, out = FilePacker(profile), BytesIO()
    out.seek(packer.header_size)
    for at in range(0, len(data), profile.chunk_size):
        out.writelines(packer.leaf(memoryview(data)[at : at + profile.chunk_size]))
    packing = packer.finish()
    out.writelines(packing.tail)
    out.seek(0)
    out.write(packing.header)
    return out.getvalue(), packing


@pytest.mark.parametrize("vector", [v for v in recipes.vectors("car") if v["kind"] == "file"], ids=lambda v: v["id"])
def test_the_cars_of_ipfs_car_byte_for_byte(vector: dict[str, Any]) -> None:
    made, packing = packed(recipes.whole(vector["content"]), UNIXFS_V1_2025)
    assert packing.header.hex() == vector["header_hex"]
    assert [str(block.cid) for block in packing.blocks] == vector["block_order"]
    assert (len(made), sha256(made).hexdigest()) == (vector["car_len"], vector["car_sha256"])


@given(
    st.sampled_from([UNIXFS_V0_2015, UNIXFS_V1_2025]), st.integers(1, 40), st.integers(2, 5), st.binary(max_size=500)
)
def test_the_car_holds_the_blocks_where_it_says(profile: Profile, chunk: int, width: int, data: bytes) -> None:
    made, packing = packed(data, replace(profile, chunk_size=chunk, max_links=width))
    reader = CarReader(BytesIO(made).read)
    assert reader.roots == (packing.root.cid,)
    blocks = list(reader)
    assert [block.cid for block in blocks] == [place.cid for place in packing.blocks]
    assert [block.data for block in blocks] == [made[p.offset : p.offset + p.length] for p in packing.blocks]
    assert blocks[-1].cid == packing.root.cid
    assert (packing.root.size, packing.root.tsize) == (len(data), sum(p.length for p in packing.blocks))
    assert packing.car_size == len(made)


def test_the_chunk_is_handed_on_and_not_copied() -> None:
    for profile in PROFILES.values():
        chunk = memoryview(bytearray(profile.chunk_size))
        assert any(buffer is chunk for buffer in FilePacker(profile).leaf(chunk))

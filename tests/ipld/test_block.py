import multiformats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import BlockError
from hlspub.ipld.block import Block, check
from hlspub.ipld.cid import Cid

hashes = st.sampled_from(["sha2-256", "sha2-512", "identity"])


@given(hashes, st.binary(min_size=1, max_size=100), st.data())
def test_holds_bytes_to_their_cid(kind: str, data: bytes, more: st.DataObject) -> None:
    cid = Cid.parse(str(multiformats.CID("base32", 1, "raw", multiformats.multihash.digest(data, kind))))
    check(Block(cid, data))
    at = more.draw(st.integers(0, len(data) - 1))
    flipped = bytearray(data)
    flipped[at] ^= 1 << more.draw(st.integers(0, 7))
    for wrong in (bytes(flipped), data[:-1], data + b"\x00"):
        with pytest.raises(BlockError, match=str(cid)):
            check(Block(cid, wrong))

"""The sharded DAG index: in which shard, and where in it, each block of a DAG lies.

Rule: shards and the slices of a shard are sorted by digest; a shard is a slice of itself, whole; offsets are those of the
blocks' bytes, behind length and CID. The index is a CAR: its root block, then a block for each shard.

Source: github.com/storacha/specs w3-index (index/sharded/dag@0.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hlspub.ipld import car, dagcbor
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec

KEY = "index/sharded/dag@0.1"
_PREFIX = 2  # bytes of a sha2-256 multihash before its digest


@dataclass(frozen=True, slots=True)
class ShardMap:
    """One shard: its multihash and size, and (multihash, offset, length) of each block in it."""

    multihash: bytes
    size: int
    blocks: Sequence[tuple[bytes, int, int]]


def encode(content: Cid, shards: Sequence[ShardMap]) -> bytes:
    """The CAR of the index of the DAG `content`, which these shards hold."""
    parts = [_shard(shard) for shard in sorted(shards, key=lambda shard: shard.multihash[_PREFIX:])]
    body: Mapping[str, dagcbor.Writable] = {KEY: {"content": content, "shards": [part.cid for part in parts]}}
    root = _block(body)
    return car.node_car(root.cid, [root, *parts])[0]


def multihash(cid: Cid) -> bytes:
    """The sha2-256 multihash of a CID."""
    return bytes((0x12, len(cid.digest))) + cid.digest


def _shard(shard: ShardMap) -> Block:
    slices = {name: (offset, length) for name, offset, length in shard.blocks}
    slices[shard.multihash] = (0, shard.size)
    rows = [[name, list(slices[name])] for name in sorted(slices, key=lambda name: name[_PREFIX:])]
    return _block([shard.multihash, rows])


def _block(value: dagcbor.Writable) -> Block:
    data = dagcbor.encode(value)
    return Block(Cid.of_data(Codec.DAG_CBOR, data), data)

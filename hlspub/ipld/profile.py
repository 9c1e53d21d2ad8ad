"""Profiles: the handful of choices that decide which CID the same bytes get.

Rule: every number that shapes a DAG stands here, under the name IPIP-499 gives it; the code that builds DAGs takes a
`Profile` and knows none by heart. Two tools that follow the same profile compute the same CIDs.

Source: IPIP-499, "UnixFS CID Profiles".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType

from hlspub.ipld.cid import Cid, Codec

KIB = 1024
MIB = 1024 * KIB
HAMT_FANOUT = 256  # slots of a shard: one byte of the name's hash for each level
_BEFORE_DIGEST = (Cid.v0_of_digest(b"").raw, Cid.of_digest(Codec.DAG_PB, b"").raw)  # in a node's CID, by version


class HamtSize(StrEnum):
    """What is measured against `hamt_threshold` to tell a flat directory from a sharded one."""

    BLOCK_BYTES = "block-bytes"  # the flat directory's whole block
    LINKS_BYTES = "links-bytes"  # the names and the binary CIDs of its links, nothing else


@dataclass(frozen=True, slots=True)
class Profile:
    """One set of choices.

    Attributes:
        name: as IPIP-499 spells it; also the value of `--profile`.
        cid_version: 0 or 1, of dag-pb blocks; a raw leaf's CID is always version 1.
        chunk_size: bytes of a leaf; the last one may be shorter.
        max_links: children of an inner file node.
        raw_leaves: leaves are raw blocks rather than UnixFS file nodes.
        hamt_fanout: slots of a HAMT shard; `HAMT_FANOUT`, no profile has another.
        hamt_threshold: bytes; a directory is sharded when its measure is strictly greater.
        hamt_size: the measure.
    """

    name: str
    cid_version: int
    chunk_size: int
    max_links: int
    raw_leaves: bool
    hamt_fanout: int
    hamt_threshold: int
    hamt_size: HamtSize

    def __post_init__(self) -> None:
        if self.hamt_fanout != HAMT_FANOUT:
            raise ValueError(f"a HAMT fanout of {self.hamt_fanout}; shards are built for {HAMT_FANOUT} alone")

    def node_cid(self, data: bytes) -> Cid:
        """The CID of a dag-pb block with these bytes."""
        return Cid(self.raw_node_cid(data))

    def raw_node_cid(self, data: bytes) -> bytes:
        """The same as bytes, as it stands in a link."""
        return _BEFORE_DIGEST[self.cid_version] + sha256(data).digest()


UNIXFS_V1_2025 = Profile(
    name="unixfs-v1-2025",
    cid_version=1,
    chunk_size=1 * MIB,
    max_links=1024,
    raw_leaves=True,
    hamt_fanout=HAMT_FANOUT,
    hamt_threshold=256 * KIB,
    hamt_size=HamtSize.BLOCK_BYTES,
)

UNIXFS_V0_2015 = Profile(
    name="unixfs-v0-2015",
    cid_version=0,
    chunk_size=256 * KIB,
    max_links=174,
    raw_leaves=False,
    hamt_fanout=HAMT_FANOUT,
    hamt_threshold=256 * KIB,
    hamt_size=HamtSize.LINKS_BYTES,
)

PROFILES: Mapping[str, Profile] = MappingProxyType({p.name: p for p in (UNIXFS_V1_2025, UNIXFS_V0_2015)})
DEFAULT_PROFILE = UNIXFS_V1_2025

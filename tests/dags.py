"""DAGs for tests: made by hlspub's own builders, held in a dictionary that counts what is asked of it."""

from collections.abc import Mapping, Sequence
from io import BytesIO

from hlspub.ipld import dagpb, unixfs
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link
from hlspub.ipld.profile import UNIXFS_V1_2025, Profile
from hlspub.ipld.tree import Tree
from hlspub.spool.pack import pack_bytes


class Dags(dict[Cid, bytes]):
    """Blocks; `asked` lists, in order, the CIDs that `fetch` was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Cid] = []

    def fetch(self, cid: Cid) -> bytes:
        self.asked.append(cid)
        return self[cid]

    async def fetch_soon(self, cid: Cid) -> bytes:
        return self.fetch(cid)

    def raw(self, data: bytes) -> Cid:
        return self.keep(Cid.of_data(Codec.RAW, data), data)

    def keep(self, cid: Cid, data: bytes) -> Cid:
        self[cid] = data
        return cid

    def node(self, links: Sequence[Link], data: bytes) -> Cid:
        """A dag-pb block as it is given, right or wrong."""
        block = dagpb.encode(links, data)
        return self.keep(Cid.of_data(Codec.DAG_PB, block), block)

    def inner(self, *parts: tuple[Cid, int], own: bytes = b"") -> Cid:
        """A file node over these parts, each with the size it is said to have."""
        sizes = [size for _, size in parts]
        data = unixfs.file_data(len(own) + sum(sizes), sizes, own or None)
        return self.node([Link("", cid, size) for cid, size in parts], data)

    def file(self, data: bytes, profile: Profile = UNIXFS_V1_2025) -> tuple[Cid, int]:
        """A file's CID and tsize."""
        car, packed = pack_bytes(data, profile)
        self.update({block.cid: block.data for block in CarReader(BytesIO(car).read)})
        return packed.cid, packed.tsize

    def tree(self, files: Mapping[str, bytes], profile: Profile = UNIXFS_V1_2025) -> Cid:
        """A directory of these files, by path."""
        tree = Tree(profile)
        for path, data in files.items():
            tree.put(path, *self.file(data, profile))
        root = tree.root().cid
        self.update({block.cid: block.data for block in tree.unpublished()})
        return root

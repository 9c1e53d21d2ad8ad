"""A Kubo node, or a service that speaks its RPC.

How it keeps what it is sent:
- A file CAR is imported with its root pinned: complete, so cheap to pin, and safe from the node's garbage collection.
- A node CAR is imported without a pin: it is a part of a DAG, and the pin of the root covers it a moment later. So is a version
  of a playlist: most of them never come into a root, and their pins would stay for ever.
- A root is pinned by `pin/update` from the one that it supersedes: the node then reads what differs, and nothing else. After
  that the pins of the files that came with this root are needless and go; which they are, the difference of the two trees
  says, read from this machine's own blocks. So the node ends with one pin a kept root, at flat cost.
- Everything is asked with `offline=true`: a block that the node does not have is absent, never fetched.

Between such a CAR's arrival and the pin nothing protects its blocks: should the node's garbage collection come just then, the
pin says which block is gone, and it is sent again from this machine's own.

HTTP 200 is no success: the answer must say of each root that it was pinned, and end with as many blocks as were sent. When an
answer was lost, the same call again finds out: importing twice is a success, and `pin/ls` knows whether a root is pinned.

`lacks` names what a service does not have: "block/stat" (blocks are read instead), "pin/update" (the new root is pinned, then
the old one released: a walk over everything), "stats" (each block is asked for after an import).
"""

import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO

from hlspub.errors import CidError, TargetError
from hlspub.ipld.block import Block, matches
from hlspub.ipld.car import node_car
from hlspub.ipld.car_reader import MAX_SECTION
from hlspub.ipld.cid import Cid
from hlspub.model import CarKind
from hlspub.targets import http
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.cars import CarGone, OpenCar, OpenedCar, opened
from hlspub.targets.covering import Get, covered_files
from hlspub.targets.kubo_rpc import KuboRpc, Refusal
from hlspub.targets.multipart import Form, Part

_UNPINNED_AT_ONCE = 50
_PATIENCE_S = 300.0  # a first pin of a long recording walks all of it; silence is noticed sooner

# What Kubo 0.42 says. The texts are its only error codes.
_TOO_BIG = "over 2MiB"
_DAMAGED = "mismatch in content integrity"
_ABSENT = "not found locally"
_ABSENT_BEFORE_0_40 = "could not find"
_NOT_PINNED = "not pinned"  # "path '…' is not pinned", "not pinned or pinned indirectly"
_FROM_NOT_PINNED = "'from' cid was not recursively pinned"
_TO_PINNED = "'to' cid was already recursively pinned"

_GONE = re.compile(r"could not find (\w+)")

_OFFLINE = "true"
_MOST_GONE = 200  # blocks that one bind sends again


@dataclass(slots=True)
class KuboTarget:
    """See the module's text. `blocks` gives a block of this machine's, None where it has none."""

    name: str
    rpc: KuboRpc
    client: http.AsyncClient
    open_car: OpenCar
    blocks: Get
    concurrency: int = 4
    lacks: frozenset[str] = frozenset()
    kind: str = "kubo"

    @property
    def capabilities(self) -> Capabilities:
        """One CAR a put: a segment is there as soon as it can be."""
        return Capabilities(concurrency=self.concurrency, reads=True, patience_s=_PATIENCE_S)

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Import them; file CARs with a pin."""
        blocks = 0
        for car in cars:
            try:
                async with opened([car], self.open_car, self.name) as (one,):
                    blocks += await self._import(one)
            except CarGone:
                if not await self.has(car):
                    raise
        return f"{blocks} blocks"

    async def _import(self, one: OpenedCar) -> int:
        pins = one.car.kind is CarKind.FILE and not one.car.fleeting
        form = Form([Part(f"{one.car.key}.car", one.file, one.car.size_bytes)])
        has_stats = "stats" not in self.lacks
        try:
            lines = await self.rpc.lines(
                "dag/import",
                upload=form,
                last="Stats" if has_stats else None,
                pin_roots=str(pins).lower(),
                stats="true",
                fast_provide_root="false",
                offline=_OFFLINE,
            )
        except Refusal as why:
            raise self._import_refused(why) from why
        except (OSError, ValueError) as why:
            raise TargetError(f"{self.name}: reading {one.car.key}: {why}", retry_s=http.RETRY_S) from why
        try:
            roots = {
                str(line["Root"]["Cid"]["/"]): str(line["Root"]["PinErrorMsg"]) for line in lines if "Root" in line
            }
            counted = int(lines[-1]["Stats"]["BlockCount"]) if has_stats else 0
        except (LookupError, TypeError, ValueError, OverflowError) as why:
            raise TargetError(f"{self.name}: no answer of Kubo's to an import", retry_s=http.RETRY_S) from why
        if pins and (said := roots.get(str(one.car.root), "it was not pinned" if has_stats else "")):
            raise TargetError(f"{self.name}: {one.car.root}: {said}", retry_s=http.RETRY_S, hint="It is sent again.")
        if has_stats:
            if counted != len(one.blocks):
                raise TargetError(
                    f"{self.name}: {counted} of {len(one.blocks)} blocks of {one.car.key} arrived", retry_s=http.RETRY_S
                )
        elif not await self._has_all(one.blocks):
            raise TargetError(f"{self.name}: not all blocks of {one.car.key} arrived", retry_s=http.RETRY_S)
        return len(one.blocks)

    def _import_refused(self, why: Refusal) -> TargetError:
        said = f"{self.name}: {why.message}"
        if _TOO_BIG in why.message:
            return TargetError(said, retry_s=None, hint="Peers do not exchange blocks of more than 2 MiB.")
        if _DAMAGED in why.message:
            return TargetError(said, retry_s=None, hint="The CAR here is damaged: run `hlspub verify` on the root.")
        return TargetError(said, retry_s=http.RETRY_S, hint="It is sent again.")

    async def has(self, car: CarFile) -> bool:
        """Whether every block of it is there; only its root is asked for when this machine has no such CAR any more."""
        blocks: tuple[Cid, ...] = (car.root,)
        try:
            async with opened([car], self.open_car, self.name) as (one,):
                blocks = one.blocks
        except CarGone:
            pass
        return await self._has_all(blocks)

    async def _has_all(self, blocks: Sequence[Cid]) -> bool:
        return all([await self._has(cid) for cid in blocks])

    async def _has(self, cid: Cid) -> bool:
        if "block/stat" in self.lacks:
            data = await self.read(cid)
            return data is not None and matches(cid, data)  # HTTP 200 is no proof
        try:
            await self.rpc.call("block/stat", str(cid), last="Key", offline=_OFFLINE)
        except Refusal as why:
            return self._absent(why)
        return True

    async def read(self, cid: Cid) -> bytes | None:
        """A block of the node's own."""
        if (inline := cid.inline) is not None:
            return inline
        try:
            return await self.rpc.block(str(cid), MAX_SECTION)
        except Refusal as why:
            self._absent(why)
            return None

    def _absent(self, why: Refusal) -> bool:
        """False where the node says that it does not have the block.

        Raises:
            TargetError: it says something else.
        """
        if _ABSENT in why.message or _ABSENT_BEFORE_0_40 in why.message:
            return False
        raise self._failed(why)

    def _failed(self, why: Refusal) -> TargetError:
        return TargetError(f"{self.name}: {why.message}", retry_s=http.RETRY_S, hint="It is tried again.")

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """Pin the root in place of the other, and let the pins of its files go."""
        for _ in range(_MOST_GONE):
            try:
                await self._bind(root, supersedes)
                break
            except Refusal as why:
                gone = _named(why.message)
                if gone is None or not await self._send_again(gone):
                    raise self._failed(why) from why
        else:
            raise TargetError(f"{self.name}: blocks of {root} keep vanishing", retry_s=http.RETRY_S)
        await self._release(root, supersedes)

    async def _bind(self, root: Cid, supersedes: Cid | None) -> None:
        if supersedes is None or supersedes == root or "pin/update" in self.lacks:
            await self._pin(root)
            if supersedes is not None and supersedes != root:
                await self._unpin([supersedes])
        else:
            await self._move_pin(supersedes, root)

    async def _send_again(self, cid: Cid) -> bool:
        """Send one block from this machine's own; false where it is not here either."""
        data = await self.blocks(cid)
        if data is None:
            return False
        car, _ = node_car(cid, [Block(cid, data)])
        form = Form([Part(f"{cid}.car", BytesIO(car), len(car))])
        try:
            await self.rpc.lines(
                "dag/import", upload=form, last=None, pin_roots="false", stats="true", offline=_OFFLINE
            )
        except Refusal as why:
            raise self._import_refused(why) from why
        return True

    async def _move_pin(self, old: Cid, new: Cid) -> None:
        try:
            await self.rpc.call(
                "pin/update", str(old), str(new), last="Pins", unpin="true", fast_provide_root="true", offline=_OFFLINE
            )
        except Refusal as why:
            if _TO_PINNED in why.message:
                await self._unpin([old])
            elif _FROM_NOT_PINNED in why.message:
                await self._pin(new)
            else:
                raise

    async def _pin(self, root: Cid) -> None:
        if not await self._is_pinned(root):  # it would be walked again
            await self.rpc.call("pin/add", str(root), last="Pins", progress="true", name="hlspub", offline=_OFFLINE)

    async def _is_pinned(self, root: Cid) -> bool:
        try:
            await self.rpc.call("pin/ls", str(root), last="Keys", type="recursive", offline=_OFFLINE)
        except Refusal as why:
            if _NOT_PINNED in why.message:
                return False
            raise
        return True

    async def _unpin(self, roots: Sequence[Cid]) -> None:
        """Remove recursive pins; those that are not there are a success. Kubo stops at the first of those."""
        try:
            await self.rpc.call("pin/rm", *map(str, roots), last="Pins", offline=_OFFLINE)
        except Refusal as why:
            if _NOT_PINNED not in why.message:
                raise
            if len(roots) > 1:
                for root in roots:
                    await self._unpin([root])

    async def _release(self, root: Cid, before: Cid | None) -> None:
        """Remove the pins of the files that came between two roots: the pin of `root` covers them."""
        batch: list[Cid] = []
        try:
            async with aclosing(covered_files(root, before, self._node, self.name)) as files:
                async for file in files:
                    batch.append(file)
                    if len(batch) == _UNPINNED_AT_ONCE:
                        await self._unpin(batch)
                        batch = []
            if batch:
                await self._unpin(batch)
        except Refusal as why:
            raise self._failed(why) from why

    async def _node(self, cid: Cid) -> bytes | None:
        data = await self.blocks(cid)
        return await self.read(cid) if data is None else data

    async def forget(self, root: Cid) -> None:
        """Remove the root's pin."""
        try:
            await self._unpin([root])
        except Refusal as why:
            raise self._failed(why) from why

    async def check(self) -> str:
        """Ask for its version and name."""
        try:
            version = await self.rpc.call("version", last="Version")
            peer = await self.rpc.call("id", last="ID")
        except Refusal as why:
            raise self._failed(why) from why
        return f"{self.rpc.place}: Kubo {version['Version']}, peer {peer['ID']}"

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()


def _named(message: str) -> Cid | None:
    """The block that Kubo says it could not find."""
    found = _GONE.search(message)
    try:
        return None if found is None else Cid.parse(found[1])
    except CidError:
        return None

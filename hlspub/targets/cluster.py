"""IPFS Cluster: several Kubo nodes that keep what one of them is told to.

How it keeps what it is sent:
- A file CAR is added and pinned: the peers that the cluster chooses get the blocks, and it counts when enough of them say that
  they have pinned it. A node CAR and a version of a playlist are added without one: the pin of the root covers them.
- A root is pinned with `pin-update`, so that each peer reads what differs and nothing else; then the root that it supersedes
  leaves the pinset, and so do the files that came with this one, as the root covers them.
- Enough is `replication_min`; where the cluster pins everywhere, it is every peer that can be reached. A peer that failed is
  told to try again, which the cluster itself would do minutes later.
- Between a node CAR's arrival and the root's pin nothing protects its blocks: should a peer's garbage collection come just
  then, the pin waits for blocks that nobody has. So one that takes long is taken back, the blocks are sent again from this
  machine's own, and it is made anew: a Kubo that waits for a block does not always notice that it has come.
- Where a CAR goes to fewer than all peers, the next ones go to the same: else each root would have to be gathered first.

The REST API cannot be asked for blocks. `node`, the RPC of one peer's Kubo, can: without it nothing is read back, and `has`
knows what is in the pinset.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio

from hlspub.errors import TargetError
from hlspub.ipld.block import Block
from hlspub.ipld.car import node_car
from hlspub.ipld.cid import Cid
from hlspub.model import CarKind
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.cars import CarGone, OpenCar, OpenedCar, opened
from hlspub.targets.cluster_rest import ClusterRest
from hlspub.targets.covering import Get, covered_files, loose_blocks
from hlspub.targets.http import RETRY_S
from hlspub.targets.kubo import KuboTarget
from hlspub.targets.multipart import Form, Part

LOOKS_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # between two looks at a pin, and then the last one for good
RECOVERIES = 3  # of a pin, before its failure is the target's
_RECOVER_EVERY = 5  # looks
_HELPED_AT = frozenset({12, 72})  # looks: after some ten seconds, and a minute later
_BATCH = 8 << 20  # bytes of blocks that are sent again in one CAR
_PATIENCE_S = 300.0

PINNED = "pinned"
FAILED = frozenset({"pin_error", "unpin_error", "unexpectedly_unpinned"})
AWAY = frozenset({"cluster_error", "remote"})  # a peer that cannot be reached; one that was not chosen


@dataclass(frozen=True, slots=True)
class Replication:
    """How many peers keep a pin, at least and at most; None: as the cluster is configured. `expire_in`: a Go duration."""

    least: int | None = None
    most: int | None = None
    expire_in: str | None = None

    def options(self) -> dict[str, str]:
        """The parameters of an add or a pin."""
        given = {"replication_min": self.least, "replication_max": self.most, "expire_in": self.expire_in}
        return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(slots=True)
class ClusterTarget:
    """See the module's text. `blocks` gives a block of this machine's, None where it has none; `close` ends the clients."""

    name: str
    rest: ClusterRest
    open_car: OpenCar
    blocks: Get
    close: Callable[[], Awaitable[None]]
    replication: Replication = Replication()
    node: KuboTarget | None = None
    concurrency: int = 4
    kind: str = "cluster"
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _together: str = ""  # the peers that the last CAR went to

    @property
    def capabilities(self) -> Capabilities:
        """One CAR a put; the API takes CARs of one root alone."""
        return Capabilities(concurrency=self.concurrency, reads=self.node is not None, patience_s=_PATIENCE_S)

    async def put(self, cars: Sequence[CarFile]) -> str:
        """Add them; file CARs with a pin."""
        allocations: list[str] = []
        for car in cars:
            try:
                async with opened([car], self.open_car, self.name) as (one,):
                    allocations = await self._add(one)
            except CarGone:
                if not await self.has(car):
                    raise
        return f"at {', '.join(allocations)}" if allocations else "kept"

    async def _add(self, one: OpenedCar) -> list[str]:
        pins = one.car.kind is CarKind.FILE and not one.car.fleeting
        options = self.replication.options() | {"format": "car", "stream_channels": "false", "name": "hlspub"}
        options |= {} if pins else {"no_pin": "true"}
        options |= {"user_allocations": self._together} if self._together else {}
        form = Form([Part(f"{one.car.key}.car", one.file, one.car.size_bytes)])
        try:
            answer = await self.rest.ask("POST", "add", options, upload=form)
            added: Mapping[str, Any] = answer[-1]
            cid, size, allocations = (
                str(added["cid"]),
                int(added.get("bytes", 0)),
                list[str](added.get("allocations") or ()),
            )
        except (LookupError, TypeError, ValueError, OverflowError) as why:
            self._together = ""
            raise TargetError(f"{self.name}: no answer of a cluster's to an upload", retry_s=RETRY_S) from why
        except TargetError:
            self._together = ""  # one of those peers may be away: the cluster chooses anew
            raise
        if cid != str(one.car.root) or size != one.block_bytes:
            raise TargetError(
                f"{self.name}: {size} of {one.block_bytes} bytes of {one.car.key} arrived", retry_s=RETRY_S
            )
        if (self.replication.most or -1) > 0:
            self._together = ",".join(allocations)
        if pins:
            await self._wait(one.car.root)
        return allocations

    async def _wait(self, cid: Cid, help_it: Callable[[], Awaitable[None]] | None = None) -> None:
        """Wait until enough peers have pinned it; `help_it` is done when that takes long."""
        recovered = looks = 0
        while True:
            peers = await self._peers(cid)
            if peers is None:
                raise TargetError(f"{self.name}: {cid} is not in the pinset", retry_s=RETRY_S, hint="It is sent again.")
            if self._is_enough(peers):
                return
            failed = {name: peer for name, peer in peers.items() if peer.get("status") in FAILED}
            if failed and looks % _RECOVER_EVERY == 0:
                if recovered == RECOVERIES:
                    name, peer = next(iter(failed.items()))
                    raise TargetError(
                        f"{self.name}: {cid} at peer {peer.get('peername') or name}: {peer.get('error')}",
                        retry_s=RETRY_S,
                        hint="Look at that peer: `ipfs-cluster-ctl status` shows it.",
                    )
                recovered += 1
                await self.rest.ask("POST", f"pins/{cid}/recover")
            await self.sleep(LOOKS_S[min(looks, len(LOOKS_S) - 1)])
            looks += 1
            if help_it is not None and looks in _HELPED_AT:
                await help_it()

    def _is_enough(self, peers: Mapping[str, Mapping[str, Any]]) -> bool:
        states = [str(peer.get("status")) for peer in peers.values()]
        pinned = states.count(PINNED)
        if self.replication.least is not None and self.replication.least > 0:
            return pinned >= self.replication.least
        return pinned >= 1 and all(state == PINNED or state in AWAY for state in states)

    async def _peers(self, cid: Cid) -> Mapping[str, Mapping[str, Any]] | None:
        """How the pin stands at each peer; None when it is not in the pinset."""
        if await self.rest.ask("GET", f"allocations/{cid}") is None:
            return None
        answer = await self.rest.ask("GET", f"pins/{cid}")
        try:
            return {str(name): dict(peer) for name, peer in answer["peer_map"].items()}
        except (LookupError, TypeError, ValueError, AttributeError) as why:
            raise TargetError(f"{self.name}: no answer of a cluster's about {cid}", retry_s=RETRY_S) from why

    async def has(self, car: CarFile) -> bool:
        """Whether a peer has every block (`node`), or else whether enough peers have pinned its root."""
        if self.node is not None:
            return await self.node.has(car)
        peers = await self._peers(car.root)
        return peers is not None and self._is_enough(peers)

    async def read(self, cid: Cid) -> bytes | None:
        """A block, as `node` has it."""
        return await self.node.read(cid) if self.node is not None else None

    async def bind(self, root: Cid, *, supersedes: Cid | None) -> None:
        """Pin the root in place of the other, wait for the peers, and let the pins of its files go."""
        before = supersedes if supersedes != root else None
        await self._pin(root, before)
        await self._wait(root, lambda: self._start_over(root, before))
        if before is not None:
            await self.forget(before)
        async with aclosing(covered_files(root, before, self._node, self.name)) as files:
            async for file in files:
                await self.forget(file)

    async def _pin(self, root: Cid, before: Cid | None) -> None:
        options = self.replication.options() | {"name": "hlspub"}
        options |= {"user_allocations": self._together} if self._together else {}
        moved = None
        if before is not None:
            moved = await self.rest.ask("POST", f"pins/{root}", options | {"pin_update": str(before)})
        if moved is None:  # there is none to move: the first root, or this one was bound and nobody heard
            await self.rest.ask("POST", f"pins/{root}", options)

    async def _start_over(self, root: Cid, before: Cid | None) -> None:
        """Take the root's pin back, send what nothing protected, and pin it again."""
        await self.forget(root)
        await self._send_again(root, before)
        await self._pin(root, before)

    async def _send_again(self, root: Cid, before: Cid | None) -> None:
        async def is_pinned(cid: Cid) -> bool:
            return await self.rest.ask("GET", f"allocations/{cid}") is not None

        batch: list[Block] = []
        async with aclosing(loose_blocks(root, before, self._node, is_pinned, self.name)) as blocks:
            async for block in blocks:
                batch.append(block)
                if sum(len(one.data) for one in batch) >= _BATCH:
                    await self._add_blocks(batch)
                    batch = []
        if batch:
            await self._add_blocks(batch)

    async def _add_blocks(self, blocks: Sequence[Block]) -> None:
        data, _ = node_car(blocks[0].cid, blocks)
        form = Form([Part("again.car", BytesIO(data), len(data))])
        options = {"format": "car", "stream_channels": "false", "no_pin": "true"}
        options |= {"user_allocations": self._together} if self._together else {}
        await self.rest.ask("POST", "add", options, upload=form)

    async def _node(self, cid: Cid) -> bytes | None:
        data = await self.blocks(cid)
        return await self.read(cid) if data is None else data

    async def forget(self, root: Cid) -> None:
        """Take it out of the pinset."""
        await self.rest.ask("DELETE", f"pins/{root}")

    async def check(self) -> str:
        """Ask for its version and peers."""
        answer = await self.rest.ask("GET", "id")
        try:
            version, peers = str(answer["version"]), len(answer["cluster_peers"])
        except (LookupError, TypeError) as why:
            raise TargetError(f"{self.rest.place}: no answer of a cluster's", retry_s=RETRY_S) from why
        return f"{self.rest.place}: IPFS Cluster {version}, {peers} peer{'' if peers == 1 else 's'}"

    async def aclose(self) -> None:
        """Close the clients."""
        await self.close()

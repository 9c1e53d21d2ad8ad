"""What the gateway needs from the rest of the house, as Protocols; the composition root gives it.

Rule: the gateway only reads, and it knows streams by name and roots by CID. Nothing here is HTTP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hlspub.ipld.cid import Cid

Metrics: TypeAlias = Callable[[], bytes]  # everything, in Prometheus's text format
Observe: TypeAlias = Callable[[int, str], None]  # a response went out: its status, and a word of the route table


class Blocks(Protocol):
    """The local store."""

    async def get(self, cid: Cid) -> bytes | None:
        """A whole block (at most 2 MiB), None when it is not held.

        Raises:
            StorageError: the disk refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """The newest record of a name: where it leads ("/ipfs/CID…"), and until when. Times are Unix seconds."""

    signed: bytes
    value: str
    ttl_s: float
    expires_at: float
    made_at: float


Names: TypeAlias = Callable[[str], NamedRecord | None]  # by the name's text, k51…; None: not one of ours


@dataclass(frozen=True, slots=True)
class LiveRoot:
    """A root that was announced as the `seq`-th of its stream at `published_at` (Unix seconds)."""

    root: Cid
    entry: str
    seq: int
    published_at: float
    final: bool
    session: str


class Streams(Protocol):
    """The streams of this process, and what was announced of them."""

    def names(self) -> Sequence[str]:
        """Every stream known now."""
        ...

    def roots(self, stream: str) -> Sequence[LiveRoot] | None:
        """The newest announced root, then the kept ones of the running session, newest first.

        Empty while nothing was announced; None when there is no such stream.
        """
        ...

    async def status(self) -> dict[str, object]:
        """What `hlspub status --json` answers; of JSON's types alone.

        The pages show of a stream: name, state, segments, pending, waiting_for, refused, candidates and sessions; of a
        target: name, kind, required, state, backlog_cars, backlog_bytes, oldest_pending_seconds, error and
        next_try_in_seconds. Each but the name may be missing.
        """
        ...

    async def changed(self, seen: int) -> int:
        """Wait until the version of what `status` and `roots` tell is not `seen`, and return it.

        Versions grow and are never negative, so -1 is answered at once. Cancellable.
        """
        ...


Verdict: TypeAlias = tuple[bool, Sequence[str]]  # well or not, and why not, in sentences


class Health(Protocol):
    """What the process knows about itself."""

    def alive(self) -> Verdict:
        """Whether the loop, the journal's thread and the watchers work; a supervisor restarts what is not alive."""
        ...

    def ready(self) -> Verdict:
        """Whether the streams are published as configured; a load balancer leaves out what is not ready."""
        ...

"""What the journal knows of one stream when its runner is built: sessions to go on with, roots that are kept, what is bound.

Rule: before that, what viewers are shown is queued whole at every target: a target that was added since is sent all that it was
not sent yet of the sessions that go on, and of the one whose root is the newest (`unsent`). It counts for nothing until it
has confirmed that. Older recordings are brought by hand (`hlspub replicate`): nobody may want them all at every new place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hlspub.engine.files import Quorum
from hlspub.journal.reader import JournalReader
from hlspub.journal.values import SavedRoot
from hlspub.model import Car, Publication
from hlspub.pipeline.reconcile import Remembered, remember
from hlspub.pipeline.stream import StreamPlan
from hlspub.records import CarFound, SessionState


@dataclass(frozen=True, slots=True)
class Known:
    """`roots` are the kept ones, newest first; `bound` the newest at each target; `mark` is the newest shard."""

    remembered: Remembered
    roots: tuple[SavedRoot, ...]
    published: tuple[Publication, ...]
    bound: tuple[tuple[str, SavedRoot], ...]
    seq: int
    mark: int


def unsent(reader: JournalReader, stream: str, targets: Sequence[str], now: float) -> list[CarFound]:
    """Records that queue, for each target, what it was never sent of the sessions that are not over or shown last."""
    shown = next(reader.announced(stream), None)
    return [
        CarFound(Car(car.key, car.kind, car.root, car.size_bytes, ()), now, targets=(target,))
        for session in reader.sessions(stream)
        if session.state is not SessionState.ENDED or (shown is not None and session.id == shown.session)
        for target in targets
        for car in reader.unsent(session.id, target)
    ]


def look_up(reader: JournalReader, plan: StreamPlan, targets: tuple[str, ...], quorum: Quorum, *, now: float) -> Known:
    """Read it all; blocking, run in a thread."""
    labels = {saved.id: saved.label for saved in reader.sessions(plan.name)}
    roots = tuple(reader.kept_roots(plan.name, now - plan.keep_roots_s))
    bound = [(target, reader.last_bound(plan.name, target)) for target in targets]
    return Known(
        remember(reader, plan.name, targets, quorum, entry=plan.tree.entry, now=now),
        roots,
        tuple(
            Publication(
                plan.name,
                labels[root.session],
                root.seq or 0,
                root.root,
                root.entry,
                root.final,
                root.announced_at or 0.0,
                root.latency_s or 0.0,
            )
            for root in roots
        ),
        tuple((target, root) for target, root in bound if root is not None),
        reader.last_seq(plan.name),
        reader.newest_shard(),
    )

"""Sweeping a bucket from this data directory: what its journal and its publications say of what may go there.

Rule: the journal's word is needed. Where this data directory has written to the bucket and its journal is gone, or older than
what was published, nothing is removed. Kept are the roots that `[publish]` keeps, as for this machine's own store; the marks of
the others, which this data directory announced and keeps no longer, are taken away. The roots of other data directories stay
as they marked them. obstore must be there: `building_s3.need_extra` is asked before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread

from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.engine import keeping
from hlspub.engine.keeping import Keep
from hlspub.ipld.cid import Cid
from hlspub.journal.reader import JournalReader, JournalReads
from hlspub.model import Clock
from hlspub.pipeline.plans import keep_of
from hlspub.pipeline.recovering_need import refuse_missing, refuse_older
from hlspub.pipeline.shelf import LocalBlocks
from hlspub.spool.publications import FILE_NAME as PUBLICATIONS
from hlspub.spool.publications import PublicationLog, PublishedLine
from hlspub.spool.store import CarStore
from hlspub.spool.writer import FILE_NAME as WRITER
from hlspub.spool.writer import writer_of
from hlspub.targets.s3.bucket import Bucket
from hlspub.targets.s3.sweep import Claims, Sweep, Swept, Told

_KEYS = 2000  # looked up in one slice of a reader's time


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks for: see `Claims`. `told` hears of progress."""

    dry_run: bool
    grace_s: float
    retired: frozenset[str]
    told: Told


@dataclass(frozen=True, slots=True)
class _Announced:
    """A line of publications.jsonl as `keeping` reads it."""

    session: int
    number: int
    final: bool
    seq: int
    announced_at: float


async def sweep(bucket: Bucket, config: Config, clock: Clock, order: Order) -> Swept:
    """Sweep a bucket, or tell what would go.

    Raises:
        JournalDamaged: this data directory has written there, and its journal is gone or old.
        TargetError: the bucket, or it cannot be swept now; see `Sweep`.
        StorageError, PermissionRefused: the data directory cannot be read.
    """
    journal = config.data_dir / JOURNAL_NAME
    reads = JournalReads(journal) if journal.is_file() else None
    own = await anyio.to_thread.run_sync(_writer, config.data_dir)
    lines, _ = await anyio.to_thread.run_sync(PublicationLog(config.data_dir / PUBLICATIONS).read)
    keep = keep_of(config)
    unkept = frozenset(dropped(lines, keep, clock.now()))
    claims = Claims(own, order.retired, unkept, keep.roots_s, order.grace_s)
    try:
        if own is not None:
            await anyio.to_thread.run_sync(refuse_missing, config.data_dir)
        if reads is not None:
            await reads.run(refuse_older, config.data_dir)
            stores = (CarStore(config.data_dir / "local"), CarStore(config.data_dir / "spool"))
            claims = replace(claims, known=partial(_known, reads), here=LocalBlocks(reads, stores).get)
        return await Sweep(bucket, claims, clock.now, order.told).run(dry_run=order.dry_run)
    finally:
        if reads is not None:
            reads.close()


def dropped(lines: Iterable[PublishedLine], keep: Keep, now: float) -> set[Cid]:
    """The roots of these lines that are not kept: of no stream, and in no session."""
    streams: dict[str, list[PublishedLine]] = {}
    for line in lines:
        streams.setdefault(line.stream, []).append(line)
    kept, every = set[Cid](), set[Cid]()
    for told in streams.values():
        numbers = {label: number for number, label in enumerate(dict.fromkeys(line.session for line in told))}
        roots = [_Announced(numbers[line.session], line.seq, line.final, line.seq, line.published_at) for line in told]
        unended = set(numbers.values()) - {root.session for root in roots if root.final}
        chosen = keeping.kept(roots, unended, keep, now)
        kept |= {line.root for line, root in zip(told, roots, strict=True) if (root.session, root.number) in chosen}
        every |= {line.root for line in told}
    return every - kept


def _writer(data_dir: Path) -> str | None:
    return writer_of(data_dir) if (data_dir / WRITER).exists() else None


async def _known(reads: JournalReads, keys: Sequence[bytes]) -> set[bytes]:
    """Of keys of blocks those that a CAR in the journal has; such a key is the block's sha2-256 digest, as the journal's is."""

    def look(reader: JournalReader, some: Sequence[bytes]) -> set[bytes]:
        return {key for key in some if reader.cars_with(key)}

    found = set[bytes]()
    for start in range(0, len(keys), _KEYS):
        found |= await reads.run(look, keys[start : start + _KEYS])
    return found

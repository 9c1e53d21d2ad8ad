"""Whether the journal can be what this data directory's stores were written by; hlspub starts on no other.

Rule: a start on a journal that knows less than was published would number roots anew, take everything anew, and sweep from the
spool what no other place has. So a journal that is missing or empty beside a store that is not, or older than the last lines of
`publications.jsonl` (a copy from a backup), is refused, and `hlspub recover` makes it good.
"""

from pathlib import Path

from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import JournalDamaged
from hlspub.journal.reader import JournalReader
from hlspub.records import SessionState
from hlspub.spool.publications import FILE_NAME, PublicationLog, PublishedLine
from hlspub.spool.store import CarStore

_HINT = "Run `hlspub recover`: it rebuilds the journal from the local store and publications.jsonl."
_UNFINISHED = 16  # sessions of a stream that are looked at for a root that was about to be announced


def refuse_missing(data_dir: Path) -> None:
    """Before the journal is opened, and thereby made.

    Raises:
        JournalDamaged: there is none, or an empty file, where others should be known.
        PermissionRefused, StorageError: the stores cannot be read.
    """
    journal = data_dir / JOURNAL_NAME
    if not journal.exists() or journal.stat().st_size == 0:
        _refuse_stores(data_dir, f"there is no journal at {journal}")


def refuse_older(reader: JournalReader, data_dir: Path) -> None:
    """Behind the opening, which migrates.

    Raises:
        JournalDamaged: it knows nothing, or less than was published.
        PermissionRefused, StorageError: the stores cannot be read.
    """
    journal = data_dir / JOURNAL_NAME
    known = {stream.name: stream.last_seq for stream in reader.streams()}
    if not any(reader.sessions(name, 1) for name in known):
        _refuse_stores(data_dir, f"the journal {journal} is empty")
    for line in PublicationLog(data_dir / FILE_NAME).newest():
        seq = known.get(line.stream, 0)
        if line.seq > seq and not (line.seq == seq + 1 and _about_to_announce(reader, line)):
            raise JournalDamaged(
                f"the journal {journal} is older than {FILE_NAME}: it knows the stream {line.stream} up to publication "
                f"{seq}, and number {line.seq} was announced",
                hint=_HINT,
            )


def _refuse_stores(data_dir: Path, what: str) -> None:
    """Refuse when there is something that only a journal can have written."""
    local = data_dir / "local"
    if local.is_dir() and next(CarStore(local).keys(), None) is not None:
        raise JournalDamaged(f"{what}, but {local} holds CARs", hint=_HINT)
    if PublicationLog(data_dir / FILE_NAME).newest():
        raise JournalDamaged(f"{what}, but {data_dir / FILE_NAME} names publications", hint=_HINT)


def _about_to_announce(reader: JournalReader, line: PublishedLine) -> bool:
    """Whether a crash came between the line and the journal's row: then the root stands there, and waits."""
    unfinished = [one for one in reader.sessions(line.stream, _UNFINISHED) if one.state is not SessionState.ENDED]
    roots = [root for one in unfinished for root in reader.roots(one.id, 1)]
    return any(root.seq is None and root.root == line.root for root in roots)

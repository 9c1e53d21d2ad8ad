"""Many streams from one table: who is followed from the start, and who may be left."""

from contextlib import closing
from pathlib import Path

import pytest

from hlspub.errors import TargetError
from hlspub.journal import statements
from hlspub.journal.database import open_writer
from hlspub.journal.reader import JournalReader
from hlspub.pipeline.layouts import unfinished
from hlspub.records import Record, RootBound, SessionEnded, SessionEnding
from tests.engine.stage import media
from tests.journal import acts
from tests.pipeline.house import site, until
from tests.targets.memory import MemoryTarget

TABLE, TARGETS = "shows", ("local", "kubo")


def told(path: Path, *records: Record) -> list[str]:
    with closing(open_writer(path)) as db:
        for record in records:
            statements.write(db, record)
    with JournalReader(path) as reader:
        return unfinished(reader, TABLE, TARGETS)


def over(session: int = 1) -> list[Record]:
    """A session with one root, which is announced and final."""
    return [
        *acts.started(session, f"{TABLE}/one"),
        acts.root_made(1, session=session, final=True),
        acts.announced(1, 1, session=session),
        SessionEnding(session, "endlist", 1.0),
        SessionEnded(session, 1.0),
    ]


def test_what_is_running_is_followed_whatever_the_directory_says(tmp_path: Path) -> None:
    other = acts.started(2, "other", at=2.0)
    assert told(tmp_path / "j", *acts.started(1, f"{TABLE}/one"), *other) == [f"{TABLE}/one"]


@pytest.mark.parametrize("bound", [(), ("local",), TARGETS])
def test_what_some_target_lacks_is_followed_until_it_has_it(tmp_path: Path, bound: tuple[str, ...]) -> None:
    records = [*over(), *(RootBound(1, 1, target, 1.0) for target in bound)]
    assert told(tmp_path / "j", *records) == ([] if bound == TARGETS else [f"{TABLE}/one"])


@pytest.mark.anyio
async def test_a_stream_is_over_when_every_target_has_its_last_root(tmp_path: Path) -> None:
    memory = MemoryTarget()
    async with site(tmp_path, required=False, memory=memory) as here:
        await here.write_and_wait("s0.ts", b"0")
        assert not here.runner.is_over()
        memory.failure = TargetError("away", retry_s=0.05)
        here.write("i.m3u8", media(0, ["s0.ts"], end=True))
        await until(lambda: here.published and here.published[0].final, "the final root")
        await until(lambda: here.runner.stream.course is None and not here.runner.stream.ending, "the session is over")
        assert not here.runner.is_over()
        memory.failure = None
        await until(here.runner.is_over, "the target has it")
        assert memory.bound == [here.published[0].root]

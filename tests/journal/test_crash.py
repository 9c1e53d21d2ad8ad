"""kill -9 at any instant: the journal opens, is whole, and holds everything that was acknowledged, in order, no call torn."""

import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hlspub.errors import InputError
from hlspub.journal.reader import JournalReader

ROUNDS = 12
PATIENCE_S = 30.0

# Four tasks write, each call two files that must not be told apart; a number is printed once its call is acknowledged, and
# 0 before the journal is opened, so that the opening may be cut off too.
_WRITER = """
import sys
from pathlib import Path
import anyio
from hlspub.journal.journal import Journal
from hlspub.errors import InputError
from hlspub.journal.reader import JournalReader
from tests.journal import acts

async def main():
    path = Path(sys.argv[1])
    print(0, flush=True)
    journal = await Journal.open(path)
    if journal.next_session() == 1:
        await journal.write(acts.started())
    with JournalReader(path) as reader:
        first = max((int(file.path.split(".")[0]) for file in reader.files(1)), default=0) + 1
    numbers = iter(range(first, 10**9))

    async def work():
        for number in numbers:
            await journal.write([acts.taken(f"{number}.a"), acts.taken(f"{number}.b")])
            print(number, flush=True)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(work)

anyio.run(main)
"""


def run_and_kill(path: Path, after_s: float) -> list[int]:
    """Start the writer, kill it `after_s` after it began, and return what it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], "the writer never began"
        time.sleep(after_s)  # the instant of the crash is the test's random input, nothing is awaited
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read()
    lines = said.split(b"\n")[:-1]  # what stands behind the last newline was cut off
    return [int(line) for line in lines if line != b"0"]


def found(path: Path) -> tuple[list[list[str]], int]:
    """The halves of calls that the journal holds, and how many CARs it has queued."""
    try:
        with JournalReader(path) as reader:
            assert reader.integrity() == []
            return [file.path.split(".") for file in reader.files(1)], reader.backlog("local").cars
    except InputError:  # killed before there was one
        return [], 0


def test_nothing_acknowledged_is_lost(path: Path, request: pytest.FixtureRequest) -> None:
    chance = random.Random(request.config.getoption("randomly_seed", 0))
    acknowledged: set[int] = set()
    for number in range(ROUNDS):
        acknowledged.update(run_and_kill(path, chance.uniform(0, 0.02 if number < ROUNDS / 3 else 0.25)))
        files, queued = found(path)
        halves = {half: {int(number) for number, of in files if of == half} for half in ("a", "b")}
        assert halves["a"] == halves["b"], "a call was torn"
        assert acknowledged <= halves["a"], "an acknowledged record is gone"
        assert halves["a"] == set(range(1, len(halves["a"]) + 1)), "a later call was kept and an earlier one lost"
        assert queued == len(files)
    assert len(acknowledged) > ROUNDS

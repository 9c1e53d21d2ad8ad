"""Real transcoders, live, in every mode: no announced root is broken, and what is final plays from beginning to end.

The cases run in threads, a few at a time; a test waits for its own. HLSPUB_WRITERS=FILE writes the table there.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import NEEDS
from tests.writers.cases import CASES, Case
from tests.writers.rows import Row, table
from tests.writers.run import AT_ONCE, run

pytestmark = [pytest.mark.slow, pytest.mark.ffmpeg]

TESTED = [case for case in CASES if not case.table_only]

Rows = dict[str, "Future[Row]"]


def _parameters(cases: list[Case]) -> list[object]:
    return [
        pytest.param(case, id=case.name, marks=[getattr(pytest.mark, need) for need in case.needs]) for case in cases
    ]


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    """The rows of the cases that were chosen, in the order of their tests."""
    absent = {name for name, (is_there, _) in NEEDS.items() if not is_there()}
    asked = [item.name.partition("[")[2][:-1] for item in request.session.items if item.path == request.path]
    chosen = [case for name in dict.fromkeys(asked) for case in CASES if case.name == name]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {
            case.name: pool.submit(run, case, tmp_path_factory.mktemp("case"), browser="browser" not in absent)
            for case in chosen
            if absent.isdisjoint(case.needs)
        }
        yield futures
        pool.shutdown(cancel_futures=True)
    if file := os.environ.get("HLSPUB_WRITERS"):
        done = [futures[case.name].result() for case in CASES if case.name in futures]
        Path(file).write_text(table(done), encoding="utf-8")


def test_all_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", _parameters(TESTED))
def test_no_root_is_broken_and_nothing_is_lost(case: Case, rows: Rows) -> None:
    row = rows[case.name].result()
    assert row.faults == []
    assert (row.broken, row.missed) == (0, 0)


@pytest.mark.browser
@pytest.mark.parametrize("case", _parameters([case for case in TESTED if not case.no_chromium]))
def test_chromium_plays_the_final_root_to_its_end(case: Case, rows: Rows) -> None:
    row = rows[case.name].result()
    assert row.unplayed == []
    assert len(row.chromium_s) == case.sessions * max(1, len(case.streams))

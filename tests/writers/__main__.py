"""Every writer in every mode, as a table.

    python -m tests.writers [WORD …] [--json FILE] [--keep DIR]

WORD: only the cases whose names have one of these words.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.conftest import NEEDS
from tests.writers.cases import CASES, Case
from tests.writers.rows import Row, table
from tests.writers.run import AT_ONCE, run


def main() -> int:
    """Run them and tell; 1 when anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="leave directories and logs there")
    chosen = parser.parse_args()
    place = chosen.keep or Path(tempfile.mkdtemp(prefix="hlspub-writers-"))
    place.mkdir(parents=True, exist_ok=True)
    absent = {name for name, (is_there, _) in NEEDS.items() if not is_there()}

    def one(case: Case) -> Row:
        folder = place / case.name
        folder.mkdir()
        row = run(case, folder, browser="browser" not in absent)
        told = "; ".join([*row.faults, *row.unplayed])[:1500] or "well"
        sys.stderr.write(f"{time.strftime('%X')} {case.name}: {told}\n")
        return row

    cases = [case for case in CASES if absent.isdisjoint(case.needs)]
    cases = [case for case in cases if not chosen.words or any(word in case.name for word in chosen.words)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = [*pool.map(one, cases)]
    if not chosen.keep:
        shutil.rmtree(place)
    sys.stdout.write(table(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return int(any(row.faults or row.unplayed for row in rows))


if __name__ == "__main__":
    sys.exit(main())

"""The w3up campaign: each trouble that a service can make, twenty times, in live streams that are read back whole.

    python -m tests.spaces [PART …] [--times 20] [--seconds 60]

A live stream for each part. Exit status 1 when a file is missing or differs, or anything else is left over.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.spaces.campaign import PARTS, fought


def main() -> int:
    """Fight and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--times", type=int, default=20, help="how often each trouble happens")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each stream is at least")
    chosen = parser.parse_args()
    well, hits, files = True, Counter[str](), 0
    for part in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="hlspub-spaces-") as place:
            one = fought([part], chosen.times, Path(place), seconds=chosen.seconds)
        well, files = well and not one.faults, files + one.files
        hits.update(one.hits)
        sys.stdout.write(
            f"{part}: {one.took_s:.0f} s, {one.roots} roots, {one.files} files, {one.size_bytes} bytes read back,"
            f" {one.again} requests repeated; {'; '.join(one.faults) or 'well'}\n"
        )
        sys.stdout.flush()
    for name, count in hits.items():
        sys.stdout.write(f"  {count:4d}  {name}\n")
    sys.stdout.write(f"{len(hits)} troubles, {hits.total()} times; {files} files; {'well' if well else 'NOT WELL'}\n")
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())

"""What every bench prints: figures, what they must reach and what they aim at."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `must` and `aim` are bounds from above, or from below when `at_least`; without them it is told only."""

    what: str
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    at_least: bool = False
    note: str = ""

    def reaches(self, bound: float | None) -> bool:
        return bound is None or (self.value >= bound if self.at_least else self.value <= bound)

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        return "aim" if self.reaches(self.aim) else "must" if self.reaches(self.must) else "MISSED"

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        bounds = f"must {sign} {self.must:g}, aim {sign} {self.aim:g}" if self.must is not None else ""
        return (
            f"  {self.what:<58} {self.value:>9.2f} {self.unit:<6} {bounds:<29} {self.verdict:<6} {self.note}".rstrip()
        )


def main(what: str, measure: Callable[[], Mapping[str, Sequence[Row]]]) -> int:
    """Measure and print; the answer is the exit status: 1 when a figure misses what it must reach."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    as_json: bool = parser.parse_args().json
    missed = 0
    for part, rows in measure().items():
        if not as_json:
            print(part)
        for row in rows:
            missed += row.verdict == "MISSED"
            print(json.dumps({"profile": part, **asdict(row), "verdict": row.verdict}) if as_json else row)
    return 1 if missed else 0

"""The crash campaign: every transcoder, many seeds, hundreds of kills.

    python -m tests.chaos [TRANSCODER …] [--seeds 2] [--kills 16] [--steps 200] [--json FILE] [--keep DIR]

A campaign a transcoder and seed; `--keep` leaves those with faults where one can look into them. Exit status 1 when one has,
and when all transcoders fought and a declared step is left that no life died at.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign import Outcome, fought
from tests.chaos.deck import Deck
from tests.chaos.fatal import STEPS
from tests.chaos.transcoders import TRANSCODERS


def main() -> int:
    """Fight and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("transcoders", nargs="*", choices=[[], *TRANSCODERS], metavar="TRANSCODER")
    parser.add_argument("--seeds", type=int, default=2, help="for each transcoder")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kills", type=int, default=16, help="in each campaign, at least")
    parser.add_argument("--steps", type=int, default=200, help="segments of each rendition")
    parser.add_argument("--json", type=Path, help="write all outcomes there, and what each declared step came to")
    parser.add_argument("--keep", type=Path, help="leave directories and logs of campaigns with faults there")
    chosen = parser.parse_args()
    outcomes: list[Outcome] = []
    deck = Deck()
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        for name in chosen.transcoders or TRANSCODERS:
            place = Path(tempfile.mkdtemp(prefix="hlspub-chaos-"))
            outcome = fought(name, seed, place, steps=chosen.steps, kills=chosen.kills, compare=True, deck=deck)
            outcomes.append(outcome)
            told = "; ".join(outcome.faults)[:2000] or "well"
            fought_s = f"{outcome.kills} kills, {outcome.roots} roots, {outcome.took_s:.0f} s"
            sys.stderr.write(f"{time.strftime('%X')} {name} {seed}: {fought_s}: {told}\n")
            if outcome.faults and chosen.keep:
                sockets = shutil.ignore_patterns("*.sock")  # a killed daemon's
                shutil.copytree(place, chosen.keep / f"{name}-{seed}", dirs_exist_ok=True, ignore=sockets)
            shutil.rmtree(place)
            if chosen.json:
                chosen.json.write_text(json.dumps(_table(outcomes, deck), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(told_of(outcomes, deck) + "\n")
    is_short_of = not chosen.transcoders and bool(deck.never(deck.killed))
    return int(is_short_of or any(outcome.faults for outcome in outcomes))


def _table(outcomes: list[Outcome], deck: Deck) -> dict[str, object]:
    rows = [vars(one) | {"finals": [sorted(roots) for roots in one.finals]} for one in outcomes]
    return {"campaigns": rows, "steps": deck.table(), "never": deck.never(deck.killed)}


def told_of(outcomes: list[Outcome], deck: Deck) -> str:
    """The campaign's figures."""

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in outcomes)

    at_steps, never = deck.killed.total(), deck.never(deck.killed)
    finals = max(len(roots) for one in outcomes for roots in one.finals or [set()])
    lines = (
        f"{total('kills')} kills over {len(outcomes)} seeds: {total('kills') - at_steps} at random instants,",
        f"  {at_steps} at {len(STEPS) - len(never)} of {len(STEPS)} declared steps; at none of these steps:",
        f"  {', '.join(never) or '-'}",
        f"{total('files')} file versions taken, {total('roots')} roots announced, {total('walks')} walked at once,",
        f"  {total('aged')} once more just before they aged out",
        f"{total('gaps')} gaps, all where a transcoder waited for nobody; final roots of a session: {finals}",
        f"faults: {sum(len(one.faults) for one in outcomes)}",
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

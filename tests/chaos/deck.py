"""Which step a life is to die at: of all declared ones, that which fewest lives have died at.

Rule: chance decides between equals only, so a campaign of some length dies at every step. A step that a transcoder's work does
not come to is not drawn again before the others were.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.fatal import STEPS


@dataclass
class Deck:
    """`armed`: for how many lives each step was laid out; `killed`: how many died there; `passed`: passages without a kill."""

    armed: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)

    def draw(self, chance: random.Random, *, late: bool) -> str:
        """A step for the next life; a late one comes only when a session ends."""
        names = [name for name, step in STEPS.items() if step.late == late]
        chance.shuffle(names)
        name = min(names, key=lambda name: (self.killed[name], self.armed[name]))
        self.armed[name] += 1
        return name

    def never(self, count: Counter[str]) -> list[str]:
        """The declared steps that one of the three counts has none of."""
        return [name for name in STEPS if not count[name]]

    def table(self) -> dict[str, dict[str, int]]:
        """Every declared step with its counts."""
        counts = {"passed": self.passed, "armed": self.armed, "killed": self.killed}
        return {name: {what: count[name] for what, count in counts.items()} for name in STEPS}

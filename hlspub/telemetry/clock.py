"""The machine's clocks, behind `model.Clock`: the one place where hlspub asks what time it is."""

import time


class SystemClock:
    """`model.Clock` on the system's own clocks."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        return time.monotonic()

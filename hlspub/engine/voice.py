"""When a trouble that lasts is said aloud: often enough that it is never silent, seldom enough that it floods nothing (P9).

Rule: said when it begins; when its reason is one that was not given yet (a few of them); then after one minute, two, four …,
at least once an hour. Its end is said when the trouble was. One that comes back within `CALM_S` is the same trouble, so what
fails every other second is not told every other second. Times are handed in, in seconds of one clock.
"""

from dataclasses import dataclass, field

FIRST_S = 60.0
LONGEST_S = 3600.0
CALM_S = 60.0
REASONS = 5  # different ones that are said at once


@dataclass(slots=True)
class Voice:
    """One trouble's voice."""

    since: float | None = None  # when the trouble began; None: there was none yet
    _next_at: float = 0.0
    _step_s: float = FIRST_S
    _over_at: float | None = None
    _open: bool = False  # the last thing said was the trouble, not its end
    _said: set[str] = field(default_factory=set[str])

    def speaks(self, reason: str, now: float) -> bool:
        """Whether to say now that the trouble is there, for this reason."""
        begins = self.since is None or (self._over_at is not None and now - self._over_at > CALM_S)
        if begins:
            self.since, self._step_s, self._said = now, FIRST_S, set()
        self._over_at = None
        if not begins and now < self._next_at and (reason in self._said or len(self._said) >= REASONS):
            return False
        if not begins and now >= self._next_at:
            self._step_s = min(self._step_s * 2.0, LONGEST_S)
        if begins or now >= self._next_at:
            self._next_at = now + self._step_s
        self._said.add(reason)
        self._open = True
        return True

    def ends(self, now: float) -> bool:
        """The trouble is over; whether to say so."""
        if self.since is None or self._over_at is not None:
            return False
        self._over_at = now
        said, self._open = self._open, False
        return said

    def lasts_s(self, now: float) -> float:
        """For how long the trouble has lasted."""
        return 0.0 if self.since is None else max(0.0, now - self.since)

"""When things are due: ticks of the publish loop, and the next try at a target.

Rule: arithmetic on times that are handed in; chance is handed in too (`jitter`, 0 to 1).
"""

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 300.0  # five minutes: an outage of a day costs a few hundred requests, and is noticed when it ends


def next_tick(last_s: float, interval_s: float, now_s: float) -> float:
    """The next multiple of the interval after `last_s` that is not in the past; ticks that were missed are not made up."""
    missed = max(0, int((now_s - last_s) / interval_s))
    due = last_s + (missed + 1) * interval_s
    return due if due > now_s else due + interval_s


def retry_after(attempts: int, jitter: float, *, asked_s: float | None = None) -> float:
    """Seconds until the next try after `attempts` failed ones.

    Doubling, capped, spread by up to a half, never sooner than the target asked for.
    """
    backoff = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 16))
    return max(asked_s or 0.0, backoff * (1.0 - jitter / 2.0))

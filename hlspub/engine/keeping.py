"""Keeping: which roots stay whole, and what may go.

Theory: mark and sweep. A node CAR holds only the new directory blocks of its root, so a later root goes on needing blocks of
earlier ones; who needs what is known to the DAG alone. *Mark* reads the directory nodes of all kept roots, each node once
(roots of one session share nearly all of theirs), never media: everything below a kept root is needed. *Sweep* goes through
the CARs that were there before the mark began. A CAR goes when no needed block lies in it, no target waits for it, and only
what may be forgotten refers to it. That costs O(directory nodes), so it runs rarely and apart from publishing (P6).

Kept are: each session's final root, as far as `sessions` says; the newest announced root; roots announced within `roots_s`;
and of each session the newest root and every one that is not announced yet, because the next root's node CAR builds on it.

Live is a session that is not over, and of each stream the newest two: what they took may be met again, and a new session takes
unchanged files over. Of a live session only superseded playlist versions may go (older than the one in its newest root, in no
kept root, not the newest), and what its window left behind (`Session.pass_by`). All else that it took may come into a later
root. Of the other sessions every row may go that no kept root needs.

What is made while a pass runs is safe without a lock over it: roots build on roots that are kept, new rows refer to their
CARs, and the journal looks at that again when it forgets (`journal.forgetting`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

LIVE_SESSIONS = 2  # of each stream, the newest, whether or not they are over


@dataclass(frozen=True, slots=True)
class Keep:
    """Which sessions' final roots stay: announced within `age_s` seconds, the newest `count`, or (both None) all.

    `roots_s`: how long every announced root stays.
    """

    roots_s: float
    age_s: float | None = None
    count: int | None = None


class Root(Protocol):
    """A root that was made (`journal.values.RootFacts`)."""

    @property
    def session(self) -> int: ...  # noqa: D102 -- a field
    @property
    def number(self) -> int: ...  # noqa: D102 -- a field
    @property
    def final(self) -> bool: ...  # noqa: D102 -- a field
    @property
    def seq(self) -> int | None: ...  # noqa: D102 -- a field
    @property
    def announced_at(self) -> float | None: ...  # noqa: D102 -- a field


def kept(roots: Sequence[Root], open_sessions: Iterable[int], keep: Keep, now: float) -> set[tuple[int, int]]:
    """Of all roots of one stream those that are kept, as (session, number). `open_sessions` are not over."""
    going_on = set(open_sessions)
    chosen = {(root.session, root.number) for root in roots if root.seq is None}
    newest_made = {root.session: root.number for root in sorted(roots, key=lambda root: root.number)}
    chosen |= {(session, number) for session, number in newest_made.items() if session in going_on}
    announced = sorted((root for root in roots if root.seq is not None), key=lambda root: root.seq or 0, reverse=True)
    chosen |= {(root.session, root.number) for root in announced[:1]}
    chosen |= {(root.session, root.number) for root in announced if _is_recent(root, keep.roots_s, now)}
    finals = [root for root in announced if root.final]
    if keep.count is not None:
        finals = finals[: keep.count]
    if keep.age_s is not None:
        finals = [root for root in finals if _is_recent(root, keep.age_s, now)]
    return chosen | {(root.session, root.number) for root in finals}


def live(sessions: Sequence[tuple[int, bool]]) -> set[int]:
    """Of (session, whether it is over), all of one stream, those of which only superseded playlists may go."""
    newest = sorted((session for session, _ in sessions), reverse=True)[:LIVE_SESSIONS]
    return {*newest, *(session for session, is_over in sessions if not is_over)}


def superseded(
    versions: Iterable[tuple[str, int]], applied: dict[str, int], pictured: set[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Of a live session's playlist versions (path, version; by path, oldest first) those that may go.

    `applied`: the versions in its newest root, `pictured` those in any kept one.
    """
    found: list[tuple[str, int]] = []
    for path, group in groupby(versions, key=lambda version: version[0]):
        *older, _ = group
        found += [one for one in older if one[1] < applied.get(path, 0) and one not in pictured]
    return found


def may_go(
    files: Iterable[tuple[int, str, int]],
    roots: Iterable[tuple[int, int]],
    going_on: set[int],
    left: set[tuple[int, str, int]],
    kept_roots: set[tuple[int, int]],
) -> bool:
    """Whether a CAR that no kept root needs may go, as far as those go that refer to it.

    `going_on`: the live sessions; `left`: their file versions that may go (session, path, version).
    """
    return all(file[0] not in going_on or file in left for file in files) and kept_roots.isdisjoint(roots)


def _is_recent(root: Root, within_s: float, now: float) -> bool:
    return root.announced_at is not None and root.announced_at >= now - within_s

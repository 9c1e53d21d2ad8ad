"""What the journal knows of streams: sessions, file versions, playlists and what they listed, roots.

Rule: what can be as long as a stream is yielded row by row in one pass of an index; what belongs to a publication is a list.
An iterator holds a read transaction until it is used up or dropped, which keeps the log from being folded: use it up at once.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from hlspub.ipld.cid import Cid
from hlspub.journal.values import (
    SavedFile,
    SavedInterval,
    SavedPlaylist,
    SavedRoot,
    SavedSession,
    SavedStream,
)
from hlspub.records import SessionState

_SESSIONS = """
SELECT session_id, name, label, state, reason, settings, started_at, ending_at, ended_at, last_taken_at, segments
FROM session JOIN stream USING (stream_id) WHERE name = ? ORDER BY session_id DESC LIMIT ?
"""
_FILES = """
SELECT path, {version}, file.kind, root, file.size, tsize, key, device, inode, source_size, mtime_ns, ctime_ns, taken_at
FROM file JOIN car USING (car_id) WHERE session_id = ? AND NOT passed {group}
"""
_NEWEST_FILES = _FILES.format(version="max(version)", group="GROUP BY path")  # the other columns are of the same row
_ALL_FILES = _FILES.format(version="version", group="ORDER BY path, version")
_PLAYLISTS = """
SELECT playlist.path, playlist.version, multivariant, media_sequence, last_sequence, target_duration_s, endlist,
       root, file.size, tsize, key
FROM playlist JOIN file USING (session_id, path, version) JOIN car USING (car_id)
WHERE session_id = :session AND playlist.version >= coalesce((
    SELECT version FROM root_playlist AS made
    WHERE made.session_id = :session AND made.path = playlist.path
        AND made.number = (SELECT max(number) FROM root WHERE root.session_id = :session)
), 0)
ORDER BY playlist.path, playlist.version
"""
_INTERVALS = """
SELECT playlist, path, kind, sequence, from_version, to_version, bound FROM interval
WHERE session_id = ? ORDER BY playlist, path, from_version
"""
_ROOTS = """
SELECT session_id, number, root.root, tsize, entry, final, made_at, seq, announced_at, latency_s, key
FROM root LEFT JOIN car USING (car_id) WHERE {which}
"""
_MADE = _ROOTS.format(which="session_id = ? ORDER BY number DESC LIMIT ?")
_OF_STREAM = "stream_id = (SELECT stream_id FROM stream WHERE name = ?) AND seq IS NOT NULL"
_LAST_OF = _ROOTS.format(which="session_id = ? AND seq IS NOT NULL ORDER BY number DESC LIMIT 1")
_ANNOUNCED = _ROOTS.format(which=f"{_OF_STREAM} ORDER BY seq DESC")
_FINAL = _ROOTS.format(which=f"{_OF_STREAM} AND final ORDER BY seq DESC")
_AT_TARGET = (
    "(session_id, number) IN (SELECT session_id, number FROM root_bound JOIN target USING (target_id) WHERE name = ?)"
)
_BOUND_AT = _ROOTS.format(which=f"{_OF_STREAM} AND {_AT_TARGET} ORDER BY session_id DESC, number DESC LIMIT 1")
_ROOT_PLAYLISTS = "SELECT path, version FROM root_playlist WHERE session_id = ? AND number = ? ORDER BY path"
_ROOT_BOUND = "SELECT name FROM root_bound JOIN target USING (target_id) WHERE session_id = ? AND number = ?"
_ALL = -1  # SQLite's LIMIT for all

_RootRow = tuple[int, int, bytes, int, str, int, float, int | None, float | None, float | None, str | None]


class StreamReads:
    """The queries; `JournalReader` has them."""

    _db: sqlite3.Connection

    def streams(self) -> list[SavedStream]:
        """Every stream that was ever configured, by name."""
        rows = self._db.execute("SELECT name, directory, last_seq FROM stream ORDER BY name")
        return [SavedStream(*row) for row in rows]

    def last_seq(self, stream: str) -> int:
        """The seq of the stream's last announced root, 0 before the first."""
        row = self._db.execute("SELECT last_seq FROM stream WHERE name = ?", (stream,)).fetchone()
        return row[0] if row else 0

    def newest_session(self, stream: str) -> SavedSession | None:
        """The stream's newest session, running or not."""
        return next(iter(self.sessions(stream, 1)), None)

    def sessions(self, stream: str, limit: int | None = None) -> list[SavedSession]:
        """The stream's sessions, newest first."""
        rows = self._db.execute(_SESSIONS, (stream, _ALL if limit is None else limit))
        return [
            SavedSession(number, name, label, SessionState(state), *rest) for number, name, label, state, *rest in rows
        ]

    def files(self, session: int) -> Iterator[SavedFile]:
        """The newest version of each file that the session knows, by path."""
        return map(SavedFile._make, self._db.execute(_NEWEST_FILES, (session,)))

    def versions(self, session: int) -> Iterator[SavedFile]:
        """Every version of each file that the session knows, by path, oldest first."""
        return map(SavedFile._make, self._db.execute(_ALL_FILES, (session,)))

    def passed(self, session: int) -> list[tuple[str, int]]:
        """The file versions that its window left behind and whose rows are still there: path, version."""
        sql = "SELECT path, version FROM file WHERE session_id = ? AND passed"
        return self._db.execute(sql, (session,)).fetchall()

    def playlists(self, session: int) -> Iterator[SavedPlaylist]:
        """The playlist versions that are, or may come, into a root: those in the newest root made and all later ones.

        By path, oldest first. Playlists that this root has none of are there with every version.
        """
        for path, version, multivariant, first, last, duration, endlist, root, *rest in self._db.execute(
            _PLAYLISTS, {"session": session}
        ):
            yield SavedPlaylist(
                path, version, bool(multivariant), first, last, duration, bool(endlist), Cid(root), *rest
            )

    def intervals(self, session: int) -> Iterator[SavedInterval]:
        """What the session's playlists listed from which version to which, by playlist and path, oldest first."""
        return map(SavedInterval._make, self._db.execute(_INTERVALS, (session,)))

    def roots(self, session: int, limit: int | None = None) -> list[SavedRoot]:
        """The roots made of a session, newest first, announced or not."""
        return list(self._roots(self._db.execute(_MADE, (session, _ALL if limit is None else limit))))

    def last_announced(self, session: int) -> SavedRoot | None:
        """The session's newest announced root."""
        return next(self._roots(self._db.execute(_LAST_OF, (session,))), None)

    def last_bound(self, stream: str, target: str) -> SavedRoot | None:
        """The stream's newest root that was announced and is bound at the target."""
        return next(self._roots(self._db.execute(_BOUND_AT, (stream, target))), None)

    def announced(self, stream: str, since: float | None = None) -> Iterator[SavedRoot]:
        """The announced roots of a stream, of all its sessions, newest first, back to those announced at `since`."""
        for root in self._roots(self._db.execute(_ANNOUNCED, (stream,))):
            if since is not None and root.announced_at is not None and root.announced_at < since:
                return
            yield root

    def kept_roots(self, stream: str, since: float) -> list[SavedRoot]:
        """Each session's final root, the newest announced one, and those announced at `since` or later; newest first."""
        finals = {root.seq: root for root in self._roots(self._db.execute(_FINAL, (stream,)))}
        recent = {root.seq: root for root in self.announced(stream, since)}
        newest = {root.seq: root for root in islice(self.announced(stream), 1)}
        kept = finals | recent | newest
        return [kept[seq] for seq in sorted(kept, key=lambda seq: seq or 0, reverse=True)]

    def _roots(self, rows: Iterable[_RootRow]) -> Iterator[SavedRoot]:
        for session, number, root, tsize, entry, final, made_at, seq, announced_at, latency_s, key in rows:
            yield SavedRoot(
                session=session,
                number=number,
                root=Cid(root),
                tsize=tsize,
                entry=entry,
                final=bool(final),
                playlists=tuple(self._db.execute(_ROOT_PLAYLISTS, (session, number))),
                made_at=made_at,
                seq=seq,
                announced_at=announced_at,
                latency_s=latency_s,
                bound=frozenset(name for (name,) in self._db.execute(_ROOT_BOUND, (session, number))),
                car_key=key,
            )

"""Which playlist viewers open: the configured one, or found (DESIGN, "Layouts and names")."""

from hlspub.engine.course import Course
from hlspub.engine.track import Track
from hlspub.hls.entry import EntryFound, NeedsEntry, Seen, find_entry
from hlspub.hls.playlist import ReferenceKind

AUTO = "auto"


def choose_entry(course: Course, configured: str, *, finished: bool = False) -> None:
    """Set the course's entry from what was taken so far; it moves only from a media to a multivariant playlist.

    `configured` is what the configuration says by now: until something is published it may be put right; from then on
    what the session recorded holds. `finished`: nothing more will come, so a lone media playlist need not prove itself.
    """
    wanted = course.session.settings.entry if course.roots else configured
    if wanted != AUTO:
        course.entry, course.candidates = wanted, ()
        return
    seen = {path: _seen(track) for path, track in course.session.tracks.items()}
    found = find_entry(seen, current=course.entry if course.roots else None, finished=finished)
    course.candidates = found.candidates if isinstance(found, NeedsEntry) else ()
    if isinstance(found, EntryFound):
        course.entry = found.path
    elif not course.roots:
        course.entry = None


def _seen(track: Track) -> Seen:
    """What the choice needs of a playlist's newest version."""
    lists = frozenset(i.path for i in track.listed.values() if i.kind is ReferenceKind.PLAYLIST)
    newest = track.newest
    return Seen(newest.multivariant, lists, newest.endlist, newest.number)

"""The settings that shape a tree: recorded with a session, they hold to its end, so that one input gives one root (P5)."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Self


class Retention(StrEnum):
    """What stays in the tree: every segment ever listed, or what the live playlists list."""

    ARCHIVE = "archive"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """`entry` is "auto" or a path; `include` are globs of further files to publish."""

    profile: str = "unixfs-v1-2025"
    layout: str = "single"
    entry: str = "auto"
    retention: Retention = Retention.ARCHIVE
    include: tuple[str, ...] = ()
    publish_keys: bool = False

    def includes(self, path: str) -> bool:
        """Whether an `include` glob names this path."""
        return any(fnmatchcase(path, glob) for glob in self.include)

    def to_json(self) -> str:
        """The form in which the journal keeps them."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` wrote; keys of later versions are left aside, missing ones have their default."""
        saved = json.loads(text)
        known = {name: saved[name] for name in cls.__slots__ if name in saved}
        known["retention"] = Retention(known.get("retention", Retention.ARCHIVE))
        known["include"] = tuple(known.get("include", ()))
        return cls(**known)

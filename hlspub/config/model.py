"""The configuration as frozen values.

Rule: a key's name, type, default, reason and moment of effect stand in one place, here; a default is written as in the
file. What depends on several keys (nested paths, the quorum) is checked in `load`. Durations are seconds, sizes bytes,
paths absolute.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from hlspub.config.fields import (
    AbsolutePath,
    Bytes,
    Count,
    Entry,
    Flag,
    InTree,
    ListenOrOff,
    Quorum,
    Seconds,
    SecondsOrOff,
    Section,
    When,
    at_least,
    key,
)
from hlspub.config.kinds import LOCAL, LocalTarget, Target

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
EndReason = Literal["endlist", "signal", "idle"]
Profile = Literal["unixfs-v1-2025", "unixfs-v0-2015"]


class Stream(Section, frozen=True):
    """[stream.NAME]: one HLS presentation in one directory."""

    path: AbsolutePath = key(..., "The directory that the transcoder writes; read, never changed.", when=When.RESTART)
    layout: Literal["single"] = key(
        "single", "How streams lie in the directory. single: it is one stream.", when=When.NEXT_SESSION
    )
    entry: Entry = key(
        "auto",
        "The playlist that viewers open. Name it when there are several multivariant playlists.",
        when=When.NEXT_SESSION,
    )
    retention: Literal["archive", "window"] = key(
        "archive",
        "archive: every segment ever listed stays, the end is a full recording. window: what the playlists list.",
        when=When.NEXT_SESSION,
    )
    publish_interval: Annotated[SecondsOrOff, AfterValidator(at_least("100ms"))] = key(
        "10s", 'How often a new root is made. Shorter: fresher roots, more of them. "off": only at the end.'
    )
    end_on: tuple[EndReason, ...] = key(
        ["endlist", "signal", "idle"],
        "What ends a session by itself. Leave idle out for a stream that may pause.",
    )
    idle: Annotated[Seconds, AfterValidator(at_least("1s"))] = key(
        "5m", "How long nothing may be written before the session ends."
    )
    settle: Annotated[Seconds, AfterValidator(at_least("50ms"))] = key(
        "2s",
        "How long a file found without an event must rest. Longer on slow network file systems.",
        when=When.RESTART,
    )
    rescan: Annotated[Seconds, AfterValidator(at_least("100ms"))] = key(
        "5s",
        "How often the directory is read again for what events missed. Longer for very large directories.",
        when=When.RESTART,
    )
    watch: Literal["auto", "inotify", "poll"] = key(
        "auto", "poll: for file systems whose changes the kernel does not see, such as NFS.", when=When.RESTART
    )
    include: tuple[InTree, ...] = key(
        (), 'Globs of further files to publish, such as "poster.jpg".', when=When.NEXT_SESSION
    )
    publish_keys: Flag = key(
        default=False,
        why="true publishes HLS content keys that lie in the directory, for everyone and for good.",
        when=When.NEXT_SESSION,
    )


class Publish(Section, frozen=True):
    """[publish]: when a root counts as published."""

    quorum: Quorum = key(
        "all", "How many of the required targets must hold a root before it is announced.", when=When.RESTART
    )
    keep_roots: Seconds = key(
        "1h", "How long a root that was announced stays whole after newer ones. Longer for viewers far behind."
    )
    profile: Profile = key(
        "unixfs-v1-2025",
        "How bytes become CIDs (IPIP-499). unixfs-v0-2015 matches roots made by older tools.",
        when=When.NEXT_SESSION,
    )


class Gateway(Section, frozen=True):
    """[gateway]: HTTP for viewers and operators."""

    listen: ListenOrOff = key(
        "127.0.0.1:8480",
        'Where players, the dashboard and metrics connect. "off": no HTTP. For other machines: "0.0.0.0:8480".',
        when=When.RESTART,
    )


class Limits(Section, frozen=True):
    """[limits]: what one process may use."""

    hash_threads: Count = key(2, "Files packed at the same time. More for many streams on a machine with free cores.")
    delivery_concurrency: Count = key(
        4, "Uploads at the same time for each target. More for distant targets.", when=When.RESTART
    )
    drain_timeout: Seconds = key("60s", "How long a stop waits for what is under way; the rest stays queued.")
    playlist_size: Bytes = key(
        "64MiB", "A longer playlist is refused, as it is surely not one. Raise it for very long streams."
    )


class Config(Section, frozen=True):
    """The whole configuration."""

    data_dir: AbsolutePath = key(
        ...,
        "Where the journal and the CARs are kept: a disk with room, never inside a stream's directory.",
        when=When.RESTART,
        shown='"/var/lib/hlspub"',
    )
    log_format: Literal["auto", "console", "json"] = key(
        "auto", "auto: console on a terminal, JSON lines otherwise.", when=When.RESTART
    )
    log_level: Literal["debug", "info", "warning", "error"] = key("info", "debug: one line a file as well.")
    stream: dict[Name, Stream] = Field(default_factory=dict)
    target: dict[Name, Target] = Field(default_factory=dict)
    publish: Publish = Publish()
    gateway: Gateway = Gateway()
    limits: Limits = Limits()

    @classmethod
    def defaults(cls, data_dir: Path) -> Self:
        """A configuration without streams: everything at its default."""
        return cls(data_dir=data_dir, target={LOCAL: LocalTarget()})

    def required_targets(self) -> tuple[str, ...]:
        """The targets that a root waits for: `local` only when there is no other, unless `required` says otherwise."""
        others = len(self.target) > 1
        return tuple(
            name
            for name, target in self.target.items()
            if (target.required if target.required is not None else not (name == LOCAL and others))
        )

    def confirmations_needed(self) -> int:
        """How many of the required targets must confirm a root."""
        return len(self.required_targets()) if self.publish.quorum == "all" else self.publish.quorum

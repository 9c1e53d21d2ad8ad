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
    BytesOrOff,
    Count,
    Entry,
    Flag,
    InTree,
    KeepSessions,
    ListenOrOff,
    Quorum,
    Seconds,
    SecondsOrOff,
    Section,
    When,
    at_least,
    key,
)
from hlspub.config.hooks import Hook
from hlspub.config.kinds import LOCAL, LocalTarget, Target
from hlspub.config.names import IpnsName, Name, NameOrOff, Router

EndReason = Literal["endlist", "signal", "idle"]
Profile = Literal["unixfs-v1-2025", "unixfs-v0-2015"]


class Stream(Section, frozen=True):
    """[stream.NAME]: one HLS presentation in one directory."""

    path: AbsolutePath = key(..., "The directory that the transcoder writes; read, never changed.", when=When.RESTART)
    layout: Literal["single", "nested", "flat"] = key(
        "single",
        "single: the directory is one stream. nested: each subdirectory is one. flat: each playlist that no other lists.",
        when=When.RESTART,
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
    rotate: Annotated[SecondsOrOff, AfterValidator(at_least("1s"))] = key(
        "off", 'Cut a session at this age: a camera that never ends gets a finished recording a day with "24h".'
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
    targets: tuple[Name, ...] = key(
        (),
        "The targets that get this stream, such as a tenant's own; it is on this machine besides. []: all of them.",
        when=When.RESTART,
    )
    publish_keys: Flag = key(
        default=False,
        why="true publishes HLS content keys that lie in the directory, for everyone and for good.",
        when=When.NEXT_SESSION,
    )
    name: NameOrOff = key(
        "off", "The [name.NAME] that leads to this stream's newest root, see the README.", when=When.RESTART
    )


class Publish(Section, frozen=True):
    """[publish]: when a root counts as published."""

    quorum: Quorum = key(
        "all", "How many of the required targets must hold a root before it is announced.", when=When.RESTART
    )
    keep_roots: Seconds = key(
        "1h", "How long a root that was announced stays whole after newer ones. Longer for viewers far behind."
    )
    keep_sessions: KeepSessions = key(
        "all",
        'Whose final roots stay on this machine: "all", an age like "30d", or a number of sessions. The rest is reclaimed.',
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
    cache_size: Bytes = key(
        "4GiB", "How much `hlspub gateway` keeps of a bucket on this disk. The daemon needs none.", when=When.RESTART
    )


class Limits(Section, frozen=True):
    """[limits]: what one process may use."""

    hash_threads: Count = key(2, "Files packed at the same time. More for many streams on a machine with free cores.")
    delivery_concurrency: Count = key(
        4, "Uploads at the same time for each target. More for distant targets.", when=When.RESTART
    )
    spool_size: BytesOrOff = key(
        "off",
        "How many bytes may wait for targets. Then no media is taken until a target confirms: leave room for other programs.",
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
    router: dict[Name, Router] = Field(default_factory=dict)
    name: dict[Name, IpnsName] = Field(default_factory=dict)
    hook: dict[Name, Hook] = Field(default_factory=dict)
    publish: Publish = Publish()
    gateway: Gateway = Gateway()
    limits: Limits = Limits()

    @classmethod
    def defaults(cls, data_dir: Path) -> Self:
        """A configuration without streams: everything at its default."""
        return cls(data_dir=data_dir, target={LOCAL: LocalTarget()})

    def targets_of(self, stream: str) -> tuple[str, ...]:
        """The targets that get a stream's files: those that it names and `local`, or all."""
        table = stream.partition("/")[0]
        named = self.stream[table].targets if table in self.stream else ()
        return tuple(name for name in self.target if not named or name in (*named, LOCAL))

    def hooks_of(self, stream: str) -> tuple[str, ...]:
        """The hooks that are told of a stream's publications."""
        return tuple(name for name, hook in self.hook.items() if hook.follows(stream))

    def required_targets(self, stream: str = "") -> tuple[str, ...]:
        """The targets that a stream's roots wait for: `local` only when it has no other, unless `required` says otherwise."""
        targets = {name: self.target[name].required for name in self.targets_of(stream)}
        return tuple(
            name
            for name, required in targets.items()
            if (required if required is not None else not (name == LOCAL and len(targets) > 1))
        )

    def waited_for(self) -> frozenset[str]:
        """The targets that roots of any stream wait for."""
        return frozenset(name for stream in self.stream or ("",) for name in self.required_targets(stream))

    def confirmations_needed(self, stream: str = "") -> int:
        """How many of the required targets must confirm its roots."""
        return len(self.required_targets(stream)) if self.publish.quorum == "all" else self.publish.quorum

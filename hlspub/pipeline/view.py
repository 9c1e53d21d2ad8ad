"""What people and the gateway see: streams, their roots, the status of everything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

from hlspub.engine.course import Course
from hlspub.gateway.ports import LiveRoot
from hlspub.journal.reader import JournalReads
from hlspub.journal.status import NEEDS_ACTION, StatusReads, no_hook_backlog
from hlspub.model import Clock, Publication
from hlspub.pipeline.deliver import Courier, TargetState
from hlspub.pipeline.gaps import OPEN_HINT
from hlspub.pipeline.hooks import Hooks
from hlspub.pipeline.naming import Namer
from hlspub.pipeline.runner import Runner
from hlspub.pipeline.stream import Stream
from hlspub.pipeline.wake import Broadcast

Json = dict[str, object]


@dataclass(slots=True, eq=False)
class View:
    """The gateway's `Streams`, and the answer to `hlspub status`. `base_url` is None when no gateway runs."""

    runners: Mapping[str, Runner]
    couriers: Sequence[Courier]
    reads: JournalReads
    clock: Clock
    base_url: Callable[[], str | None]
    hooks: Hooks
    namers: list[Namer] = field(default_factory=list[Namer])
    version: int = 0
    changes: Broadcast = field(default_factory=Broadcast)

    def tell(self) -> None:
        """Something that `status` or `roots` tell is different."""
        self.version += 1
        self.changes.tell()

    def names(self) -> Sequence[str]:
        """The streams, in the configuration's order."""
        return list(self.runners)

    def roots(self, stream: str) -> Sequence[LiveRoot] | None:
        """The announced roots that are kept, newest first."""
        runner = self.runners.get(stream)
        return None if runner is None else [_live(publication) for publication in runner.stream.published]

    async def changed(self, seen: int) -> int:
        """Wait until the version is not `seen`."""
        while self.version == seen:
            await self.changes.wait()
        return self.version

    async def status(self) -> Json:
        """The journal's answer, and what only the running daemon knows."""
        answer = cast("Json", await self.reads.run(StatusReads.status, self.clock.now()))
        streams = cast("list[Json]", answer["streams"])
        answer["streams"] = [
            one | self._stream(self.runners[name].stream)
            for one in streams
            if (name := str(one["name"])) in self.runners
        ]
        couriers = {courier.target.name: courier for courier in self.couriers}
        saved = {str(one["name"]): one for one in cast("list[Json]", answer["targets"])}
        answer["targets"] = [self._target(one, saved.get(name) or _no_backlog(name)) for name, one in couriers.items()]
        answer["names"] = [namer.status() for namer in self.namers]
        told = {str(one["name"]): one for one in cast("list[Json]", answer["hooks"])}
        live = [teller.status() for teller in self.hooks.tellers]
        answer["hooks"] = [(told.get(name := str(one["name"])) or no_hook_backlog(name)) | one for one in live]
        return answer

    def _stream(self, stream: Stream) -> Json:
        course = stream.course or (stream.ending[-1] if stream.ending else None)
        newest = stream.published[0] if stream.published else None
        base = self.base_url()
        shown: Json = {
            "state": _state(stream, course),
            "refused": [{"path": path, "reason": why} for path, (_, why) in list(stream.refused.items())[:20]],
            "waiting_for": [
                {"playlist": path, "absent": absent, "hint": "" if stream.late.isdisjoint(absent) else OPEN_HINT}
                for path, absent in (course.held_back() if course else [])
            ],
            "waiting_for_targets": self._waited_for(course) if course else [],
            "stopped": [f"{work}: {why}" for work, why in stream.stopped.items()],
            "candidates": list(course.candidates) if course else [],
            "entry_url": f"{base}/live/{quote(stream.name)}/{quote(newest.entry)}" if base and newest else None,
        }
        if newest is not None:  # announced a moment before the journal says so
            shown |= {
                "root": str(newest.root),
                "entry": newest.entry,
                "final": newest.final,
                "seq": newest.seq,
                "published_at": newest.published_at,
            }
        return shown

    def _waited_for(self, course: Course) -> list[str]:
        """The targets that roots wait for and that are behind or away."""
        lacking = course.session.confirmations.lacking()
        binding = course.unannounced is not None
        return [
            courier.target.name
            for courier in self.couriers
            if courier.state is not TargetState.OK
            and (courier.target.name in lacking or (binding and courier.target.name in course.session.quorum.required))
        ]

    def _target(self, courier: Courier, saved: Json) -> Json:
        now, target = self.clock.now(), courier.target
        shown = saved | {"kind": target.kind, "required": target.name in courier.required}
        if saved["state"] != NEEDS_ACTION:
            shown["state"] = courier.state.value
        if not courier.well:
            shown |= {
                "state": courier.state.value,
                "error": courier.reason,
                "next_try_in_seconds": max(0.0, courier.resume_at - now),
            }
        return shown


def _state(stream: Stream, course: Course | None) -> str:
    if course is None:
        return "ended" if stream.last is not None else "waiting"
    return "needs_entry" if course.entry is None and course.candidates else course.life.value


def _live(publication: Publication) -> LiveRoot:
    return LiveRoot(
        publication.root,
        publication.entry,
        publication.seq,
        publication.published_at,
        publication.final,
        publication.session,
    )


def _no_backlog(name: str) -> Json:
    return {
        "name": name,
        "state": "ok",
        "backlog_cars": 0,
        "backlog_bytes": 0,
        "oldest_pending_seconds": None,
        "error": None,
        "next_try_in_seconds": None,
    }

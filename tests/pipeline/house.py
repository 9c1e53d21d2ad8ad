"""A real house in a temporary directory (journal, stores, watcher), with one stream and a target in memory."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from hlspub.building import Parts, build_target, build_targets
from hlspub.config.kinds import Target as Table
from hlspub.config.kinds.local import LocalTarget
from hlspub.config.model import Config, Limits, Publish
from hlspub.config.model import Stream as ConfiguredStream
from hlspub.engine.life import Event
from hlspub.house import House, with_house
from hlspub.ipld.cid import Cid
from hlspub.ipld.node import Kind
from hlspub.ipld.walk import read_file, stream_async, walk_tree
from hlspub.model import Publication
from hlspub.pipeline.runner import Runner
from hlspub.pipeline.shelf import CarFiles
from hlspub.targets.base import Target
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.metrics import Metrics
from tests.targets.memory import MemoryTarget

DEADLINE_S = 20.0


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    with anyio.move_on_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 -- the condition is the pipeline's own state
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


@dataclass
class Site:
    """A stream's directory and its pipeline."""

    folder: Path
    house: House
    runner: Runner
    memory: MemoryTarget
    metrics: Metrics

    def write(self, path: str, data: bytes) -> None:
        """As most transcoders do: playlists renamed into place, media written and closed."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".m3u8"):
            (target.parent / (target.name + ".tmp")).write_bytes(data)
            (target.parent / (target.name + ".tmp")).rename(target)
        else:
            target.write_bytes(data)

    def taken(self, path: str, data: bytes) -> bool:
        """Whether the newest version of the path has these bytes."""
        course = self.runner.stream.course
        file = course.session.files.get(path) if course else None
        return file is not None and file.size_bytes == len(data) and file.cid == Cid.of_data(file.cid.codec, data)

    async def write_and_wait(self, path: str, data: bytes) -> None:
        self.write(path, data)
        await until(lambda: self.taken(path, data), f"{path} is taken")

    @property
    def published(self) -> list[Publication]:
        return list(self.runner.stream.published)

    async def root(self, condition: Callable[[dict[str, bytes]], bool] = bool) -> dict[str, bytes]:
        """Wait for an announced root whose tree satisfies `condition`, and return the tree."""
        seen: set[Cid] = set()
        with anyio.move_on_after(DEADLINE_S):
            while True:
                if self.published and (newest := self.published[0].root) not in seen:
                    seen.add(newest)
                    tree = await self.tree(newest)
                    if condition(tree):
                        return tree
                await anyio.sleep(0.02)
        raise AssertionError(f"no such root within {DEADLINE_S} s; {len(seen)} others")

    async def tree(self, root: Cid) -> dict[str, bytes]:
        """Path to content, read back through the local store."""
        files: dict[str, bytes] = {}
        blocks = self.house.blocks

        async def get(cid: Cid) -> bytes:
            data = await blocks.get(cid)
            assert data is not None, f"the store lacks {cid}"
            return data

        async for entry in stream_async(walk_tree(root), get):
            if entry.kind is Kind.FILE:
                files[entry.path] = b"".join([bytes(part) async for part in stream_async(read_file(entry.cid), get)])
        return files

    async def end(self) -> dict[str, bytes]:
        """End the session and return its final tree."""
        course, announced = await self.runner.end(Event.COMMAND, DEADLINE_S)
        assert announced
        assert course is not None
        assert course.announced is not None
        return await self.tree(course.announced)


@asynccontextmanager
async def site(
    tmp_path: Path,
    *,
    required: bool = True,
    memory: MemoryTarget | None = None,
    build: Callable[[CarFiles], Target] | None = None,
    limits: dict[str, object] | None = None,
    others: Sequence[MemoryTarget] = (),
    quorum: int | str = "all",
    table: Table | None = None,
    **stream: object,
) -> AsyncIterator[Site]:
    """Run the pipeline over `tmp_path / "hls"`.

    `required`: whether roots wait for the target in memory, or for the one that `build` makes, whose name is "place", and for
    the `others`, which keep blocks; `quorum` of them is enough. `table` is that of a target "place" in the configuration.
    """
    folder = tmp_path / "hls"
    folder.mkdir(exist_ok=True)
    target = memory or MemoryTarget()
    settings = {"publish_interval": 0.1, "settle": 0.2, "rescan": 0.3} | stream
    names = ["place"] if build or table else [one.name for one in others or (target,)]
    config = Config(
        data_dir=tmp_path / "data",
        stream={"main": ConfiguredStream(path=folder).model_copy(update=settings)},
        target={"local": LocalTarget(), **dict.fromkeys(names, table or LocalTarget(required=required))},
        publish=Publish.model_validate({"quorum": quorum}),
        limits=Limits().model_copy(update=limits or {}),
    )
    (tmp_path / "data").mkdir(exist_ok=True)
    opened: list[Site] = []

    def targets(config: Config, parts: Parts) -> list[Target]:
        for one in others:
            one.open_car = parts.files.open
        if table is not None:
            return build_targets(config, parts)
        here = build_target(config, "local", parts)
        return [here, build(parts.files)] if build else [here, *(others or (target,))]

    ready, done = anyio.Event(), anyio.Event()

    async def use(house: House) -> None:
        house.runners["main"] = runner = await house.build("main")
        async with anyio.create_task_group() as tasks:
            for courier in house.couriers:
                tasks.start_soon(courier.run)
            await tasks.start(runner.run)
            opened.append(Site(folder, house, runner, target, house.metrics))
            ready.set()
            await done.wait()
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as outer:
        metrics = Metrics("test")
        metrics.add_stream("main")
        built = partial(with_house, config, SystemClock(), metrics, lambda: None, use, targets=targets)
        outer.start_soon(built)
        await ready.wait()
        try:
            yield opened[0]
        finally:
            done.set()

"""A target that is away while a stream runs at twenty times its speed, and a transcoder that deletes what it listed."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from structlog.testing import capture_logs

from hlspub.targets import http
from tests.pipeline.house import Site, site, until
from tests.support.writer import Writer
from tests.targets.place import Mood, Place, PlaceTarget, place

pytestmark = pytest.mark.anyio
SPEED = 20
SEGMENT_S = 2
EVERY_S = SEGMENT_S / SPEED
WINDOW, KEPT = 20, 6  # segments that are listed (two seconds: some version is read in time); that stay on disk besides


@asynccontextmanager
async def stream(tmp_path: Path, there: Place, *, required: bool) -> AsyncIterator[Site]:
    async with (
        http.make_client() as client,
        site(
            tmp_path,
            required=required,
            build=lambda files: PlaceTarget(there.url, files.open, client),
            publish_interval=0.3,
        ) as here,
    ):
        yield here


async def run(writer: Writer, seconds: float) -> None:
    """Let the transcoder write on for some seconds of this machine."""
    for _ in range(round(seconds / EVERY_S)):
        await anyio.to_thread.run_sync(writer.step)
        await anyio.sleep(EVERY_S)


def shown(status: Mapping[str, object], kind: str) -> dict[str, Any]:
    items = cast("list[dict[str, Any]]", status[kind])
    return next(item for item in items if item["name"] in ("main", "place"))


def metric(here: Site, name: str) -> float:
    lines = here.metrics.render().decode().splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"hlspub_{name}")))


def said(lines: list[Any], *events: str) -> list[Any]:
    return [line for line in lines if line["event"] in events]


async def outage(tmp_path: Path, mood: Mood, *, required: bool, seconds: float, size: int = 4000) -> None:
    with capture_logs() as lines:
        async with place() as there, stream(tmp_path, there, required=required) as here:
            writer = Writer(here.folder, ("a", "b"), window=WINDOW, keep=KEPT, size=size)
            await run(writer, 1.0)
            await until(lambda: there.binds, "roots are bound at the place")
            resident = memory()
            await there.become(mood)
            before, kept = len(here.published), len(there.cars)
            await run(writer, seconds)
            await until(lambda: not courier(here).well, "the target is known to be away")

            status = await here.house.view.status()
            target = shown(status, "targets")
            assert target["state"] == "degraded"
            assert target["backlog_cars"] > seconds / EVERY_S
            assert target["backlog_bytes"] > seconds / EVERY_S * size
            assert target["oldest_pending_seconds"] > seconds / 2
            assert metric(here, 'target_state{state="degraded",target="place"}') == 1
            assert shown(status, "streams")["waiting_for_targets"] == (["place"] if required else [])
            if required:
                assert len(here.published) <= before + 1
            else:
                assert len(here.published) >= before + seconds // 2  # a version of each playlist a second at most
            assert len(there.cars) == kept or mood is Mood.LIES
            grown = memory() - resident

            await there.become(Mood.WELL)
            await until(lambda: courier(here).well, "it is back")
            await run(writer, 0.5)
            await until(lambda: courier(here).state.value == "ok", "its backlog was empty once")
            tree = await here.end()
            await until(lambda: there.bound == [str(here.published[0].root)], "the final root alone is bound")
            assert spooled(tmp_path) == []
            for rendition in ("a", "b"):
                for number in range(writer.number):
                    path = f"{rendition}/{writer.segment_name(number)}"
                    assert tree[path] == writer.segment(rendition, number), path
            session = here.runner.stream.last
            assert session is not None
            lacking = [path for path, file in session.files.items() if file.car not in there.cars]
            assert lacking == []
            if seconds > 20:
                assert grown < 24 << 20 < target["backlog_bytes"]
    degraded = said(lines, "target.degraded")
    assert 1 <= len(degraded) <= 5
    assert degraded[0]["hint"]
    assert len(said(lines, "target.recovered")) == 1
    assert len(said(lines, "target.caught_up")) == 1
    assert said(lines, "target.refused", "segment.lost", "file.vanished") == []


def courier(here: Site) -> Any:
    return next(one for one in here.house.couriers if one.target.name == "place")


def spooled(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "data" / "spool").rglob("*.car") if path.is_file()]


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("required", [True, False], ids=["required", "not required"])
@pytest.mark.parametrize("mood", [Mood.CLOSED, Mood.HANGS, Mood.FAILS, Mood.LIES])
async def test_a_short_outage(tmp_path: Path, mood: Mood, required: bool) -> None:
    await outage(tmp_path, mood, required=required, seconds=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("required", [True, False], ids=["required", "not required"])
async def test_ten_minutes_of_a_stream(tmp_path: Path, required: bool) -> None:
    await outage(tmp_path, Mood.CLOSED, required=required, seconds=30.0, size=100_000)

"""What `hlspub check` finds elsewhere: targets, routers of names and hooks, all at the same time, and nothing is changed there.

Rule: a target that a root waits for and that does not answer is an error; another one, and a router, is a warning, as nothing
waits for it. A key or secret that is not there is an error: the daemon would not start. A hook is told nothing: that a webhook
is right is seen when it is used.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio

from hlspub.building import Parts, build_target
from hlspub.cli.probes import Finding, State
from hlspub.config.kinds import LOCAL
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import HlspubError, TargetError
from hlspub.hooking import build_hook
from hlspub.ipns.name import Name
from hlspub.journal.reader import JournalReads
from hlspub.naming import build_router, key_of
from hlspub.pipeline.receipts import JournalReceipts
from hlspub.pipeline.shelf import LocalBlocks
from hlspub.spool.store import CarStore
from hlspub.targets.base import Target
from hlspub.telemetry.clock import SystemClock

PATIENCE_S = 15.0


@asynccontextmanager
async def parts_of(config: Config) -> AsyncGenerator[Parts]:
    """What targets are made of, for a command that opens nothing of the data directory before it must."""
    spool, store = CarStore(config.data_dir / "spool"), CarStore(config.data_dir / "local")
    reads = JournalReads(config.data_dir / JOURNAL_NAME)
    try:
        blocks = LocalBlocks(reads, (store, spool)).get
        yield Parts(
            config.limits.delivery_concurrency, os.environ, spool, store, blocks, partial(JournalReceipts, reads)
        )
    finally:
        reads.close()


@asynccontextmanager
async def target_of(config: Config, name: str, parts: Parts) -> AsyncGenerator[Target]:
    """One target, closed afterwards; raises what `building.build_target` does."""
    target = build_target(config, name, parts)
    try:
        yield target
    finally:
        await target.aclose()


async def reach(config: Config) -> list[Finding]:
    """Reach everything but this machine's own store, in the configuration's order."""
    waited_for = config.waited_for()
    found: dict[str, Finding] = {}
    async with parts_of(config) as parts, anyio.create_task_group() as tasks:

        def look(what: str, away: State, act: Callable[[], Awaitable[str]]) -> None:
            found[what] = Finding(what, away, "")  # keeps the order
            tasks.start_soon(_reach, what, away, act, found)

        for name in config.target:
            if name != LOCAL:
                away = State.ERROR if name in waited_for else State.WARNING
                look(f"target.{name}", away, partial(_check_target, config, name, parts))
        for name in config.name:
            look(f"name.{name}", State.ERROR, partial(_check_name, config, name))
        for name in config.router:
            look(f"router.{name}", State.WARNING, partial(_check_router, config, name))
        for name in config.hook:
            look(f"hook.{name}", State.ERROR, partial(_check_hook, config, name))
    return list(found.values())


async def _reach(what: str, away: State, act: Callable[[], Awaitable[str]], found: dict[str, Finding]) -> None:
    try:
        with anyio.fail_after(PATIENCE_S):
            found[what] = Finding(what, State.OK, await act())
    except TimeoutError:
        found[what] = Finding(what, away, f"no answer within {PATIENCE_S:.0f} s")
    except TargetError as why:
        found[what] = Finding(what, away, _said(why))
    except HlspubError as why:
        found[what] = Finding(what, State.ERROR, _said(why))


async def _check_target(config: Config, name: str, parts: Parts) -> str:
    async with target_of(config, name, parts) as target:
        return await target.check()


async def _check_name(config: Config, name: str) -> str:
    return str(key_of(config, name, os.environ).name)


async def _check_router(config: Config, router: str) -> str:
    carried = [label for label, name in config.name.items() if name.routers is None or router in name.routers]
    names: list[Name] = []
    for label in carried:
        with suppress(HlspubError):  # what is wrong with its key is said of the name
            names.append(key_of(config, label, os.environ).name)
    service = build_router(config, router, os.environ)
    try:
        return await service.check(names)
    finally:
        await service.aclose()


async def _check_hook(config: Config, name: str) -> str:
    hook = build_hook(config, name, os.environ, SystemClock())
    try:
        return hook.check()
    finally:
        await hook.aclose()


def _said(why: HlspubError) -> str:
    return f"{why}; {why.hint}" if why.hint else str(why)

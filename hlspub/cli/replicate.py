"""`hlspub replicate ROOT --to TARGET`: bring everything under a root to another target."""

import os
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio
import click

from hlspub.cli.common import Answer, config_option, define, emit, json_option, size_text
from hlspub.cli.reach import parts_of, target_of
from hlspub.cli.sources import from_option, opened, root_argument, whole
from hlspub.cli.ticker import Ticker
from hlspub.config.kinds import LOCAL
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.errors import InputError, one_error
from hlspub.ipld.cid import Cid
from hlspub.pipeline.replicating import Replication
from hlspub.spool.store import CarStore


@define("replicate")
@root_argument
@click.option("--to", "to", metavar="TARGET", required=True, help="The [target.NAME] that is to have it.")
@from_option
@config_option
@json_option
def command(*, root: Cid, to: str, source: str, config: Path | None, as_json: bool) -> None:
    """Bring everything under a root to another target.

    Reads every block under ROOT from one source, checks it, sends what the target does not have yet, and binds the root
    there: for recordings that were made before the target was there, and to move to another one. Works beside the daemon;
    run it again after a failure and it goes on.

    Examples:
      hlspub replicate bafybei… --to archive
      hlspub replicate bafybei… --to archive --from https://gateway.example
    Exit codes: 0 all is there and bound, 65 a block is damaged, 66 a block, or the target, is not there, 69 a target or
    gateway is unavailable, 74 no room, 77 no permission, 78 wrong configuration.
    """
    chosen = load(config, os.environ)
    if to == LOCAL or to not in chosen.target:
        known = ", ".join(name for name in chosen.target if name != LOCAL) or "none"
        raise InputError(f"there is no other target {to!r}", hint=f"Configured are: {known}.")
    with Ticker(sys.stderr, os.environ) as ticker, one_error():
        answer = anyio.run(_replicate, root, to, source, config, chosen, ticker)
    emit(answer, as_json=as_json, text=lambda given: text(given, to))


async def _replicate(  # noqa: PLR0917 -- of one caller
    root: Cid, to: str, source: str, path: Path | None, config: Config, ticker: Ticker
) -> Answer:
    async with AsyncExitStack() as stack:
        get = await stack.enter_async_context(opened(source, path))
        parts = await stack.enter_async_context(parts_of(config))
        on_the_way = CarStore(Path(stack.enter_context(TemporaryDirectory(prefix="hlspub-"))) / "spool")
        on_the_way.prepare()
        target = await stack.enter_async_context(target_of(config, to, replace(parts, spool=on_the_way, blocks=get)))
        await target.check()  # one that is away is told at once
        told = ticker.show
        run = Replication(target, on_the_way, whole(get, source), lambda cars, size: told("sent", cars, "CARs", size))
        await run.run(root)
        return {"root": root, "cars": run.cars, "bytes": run.bytes}


def text(answer: Answer, to: str) -> str:
    """The answer for people."""
    size = cast("int", answer["bytes"])
    return f"{answer['root']}: {answer['cars']} CARs, {size_text(size)} at {to}"

"""`hlspub gc`: let go of what no kept root needs, on this machine or in a bucket."""

import importlib
import os
import sys
from functools import partial
from pathlib import Path

import anyio
import click

from hlspub import __version__
from hlspub.building_s3 import build_bucket, s3_table
from hlspub.cli import service
from hlspub.cli.common import Answer, config_option, define, emit, json_option, seconds_of, size_text, talk
from hlspub.cli.ticker import Ticker
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import InputError, one_error
from hlspub.gateway.control_client import NoDaemon
from hlspub.house import House, with_house
from hlspub.journal.lock import InstanceLock
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.log import configure
from hlspub.telemetry.metrics import Metrics

PATIENCE_S = 3600.0  # a pass over a store of millions of CARs takes minutes


@define("gc")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--target", metavar="NAME", help='Sweep the bucket of this target (kind = "s3") instead of this machine.')
@click.option("--remove", is_flag=True, help="With --target: remove it. Without, it is only told what would go.")
@click.option(
    "--grace",
    "grace_s",
    metavar="AGE",
    default="1d",
    show_default=True,
    callback=seconds_of,
    help="With --target: younger objects stay.",
)
@click.option(
    "--retire",
    metavar="WRITER",
    multiple=True,
    help="With --target: this writer (as told under `held`) is gone for good; what only it claims goes.",
)
@config_option
@json_option
def command(
    *,
    dry_run: bool,
    target: str | None,
    remove: bool,
    grace_s: float,
    retire: tuple[str, ...],
    config: Path | None,
    as_json: bool,
) -> None:
    """Reclaim what no kept root needs.

    The daemon does this by itself now and then; beside one, this asks it to do so now. Kept are the final roots of the
    sessions that [publish] keep_sessions names, the newest root of each stream, and those of the last keep_roots. What a
    running session may still publish, and what some target still waits for, never goes.

    With --target it is a bucket that is looked through, beside the daemon or without one, and nothing goes without
    --remove. There, what other data directories have sent stays as well; each of them clears up behind itself. The bucket
    may be used meanwhile.

    Examples:
      hlspub gc --dry-run
      hlspub gc --target bucket
      hlspub gc --target bucket --remove
    Exit codes: 0 done, 66 no journal there, 69 the daemon or the bucket does not answer, a kept root is not whole in the
    bucket, or another gc is at work there, 74 a kept root is not whole here or the disk fails, 75 another hlspub command
    uses the data directory, 77 no permission, 78 wrong configuration, or the journal is lost or damaged.
    """
    chosen = load(config, os.environ)
    if target is not None:
        emit(_sweep(chosen, target, remove and not dry_run, grace_s, retire), as_json=as_json, text=text)
        return
    if remove or retire:
        raise click.UsageError("--remove and --retire go with --target.")
    try:
        answer = service.ask(chosen.data_dir, {"op": "gc", "dry_run": dry_run}, PATIENCE_S)
    except NoDaemon:
        if not (chosen.data_dir / JOURNAL_NAME).is_file():
            raise InputError(
                f"there is no journal in {chosen.data_dir}", hint="Check data_dir in the configuration."
            ) from None
        answer = _alone(chosen, dry_run=dry_run)
    emit(answer | {"dry_run": dry_run}, as_json=as_json, text=text)


def _alone(config: Config, *, dry_run: bool) -> dict[str, object]:
    """Reclaim without a daemon, as the one who has the data directory."""
    configure(config.log_format, "warning")
    clock = SystemClock()
    answers: list[dict[str, object]] = []

    async def use(house: House) -> None:
        answers.append((await house.reclaimer().reclaim(dry_run=dry_run)).answer())

    with InstanceLock(config.data_dir, clock.now()), one_error():
        anyio.run(with_house, config, clock, Metrics(__version__), lambda: None, use)
    return answers[0]


def _sweep(config: Config, name: str, remove: bool, grace_s: float, retired: tuple[str, ...]) -> Answer:
    """Sweep a bucket."""
    configure(config.log_format, "warning")
    _, table = s3_table(config, name)
    bucket = build_bucket(name, table, os.environ)
    sweeping = importlib.import_module("hlspub.pipeline.sweeping")
    with Ticker(sys.stderr, os.environ) as ticker, one_error():
        order = sweeping.Order(not remove, grace_s, frozenset(retired), ticker.show)
        swept = anyio.run(partial(sweeping.sweep, bucket, config, SystemClock(), order))
    for writer, cars, size in swept.held:
        talk(f"  held by writer {writer}: {size_text(size)} in {cars} CARs")
    return {
        "target": name,
        "cars": swept.cars,
        "freed_bytes": swept.bytes,
        "roots": swept.roots,
        "held": [{"writer": writer, "cars": cars, "bytes": size} for writer, cars, size in swept.held],
        "dry_run": not remove,
    }


def text(answer: Answer) -> str:
    """The answer for people."""
    size, cars = size_text(float(str(answer["freed_bytes"]))), answer["cars"]
    where = f" of {answer['target']}; {answer['roots']} roots are kept" if "target" in answer else ""
    return f"{'would free' if answer['dry_run'] else 'freed'} {size} in {cars} CARs{where}"

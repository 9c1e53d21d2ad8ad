"""`hlspub recover`: a lost or damaged journal, rebuilt from the local store and the streams' directories, or from a bucket."""

import importlib
import os
import sys
from pathlib import Path

import anyio
import click

from hlspub.app import prepare_data_dir
from hlspub.building_s3 import build_bucket, s3_table
from hlspub.cli.common import Answer, config_option, define, emit, json_option, talk
from hlspub.cli.progress import Bar
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.config.places import JOURNAL_NAME
from hlspub.errors import InputError, JournalDamaged, one_error
from hlspub.journal.lock import InstanceLock
from hlspub.journal.reader import JournalReader
from hlspub.pipeline.recovering import Recovered, recover
from hlspub.pipeline.recovering_need import refuse_missing, refuse_older
from hlspub.spool.store import CarStore
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.log import configure

SHOWN = 10  # broken CARs and incomplete sessions that are named on stderr; --json has them all


@define("recover")
@click.option("--force", is_flag=True, help="Rebuild the journal even if it is whole.")
@click.option("--from", "place", metavar="TARGET", help='On a new machine: rebuild it from this target (kind = "s3").')
@config_option
@json_option
def command(*, force: bool, place: str | None, config: Path | None, as_json: bool) -> None:
    """Rebuild a lost or damaged journal.

    Reads every CAR of the local store and the spool, publications.jsonl and the streams' directories, and makes a new
    journal from them; the old one stays beside it as journal.sqlite.damaged-TIME. Sessions that ran go on at the next
    `hlspub run`, publications keep their numbers, and nothing is announced again. A journal that is whole is left alone.
    Stop hlspub before.

    With --from, a new machine goes on with the configured streams of one that is gone: it takes their heads over in
    the bucket and rebuilds the journal from there, without the media. The old machine, should it live, publishes them
    there no more.

    Examples:
      hlspub recover --config /etc/hlspub/config.toml
      hlspub recover --from bucket
    Exit codes: 0 rebuilt or whole, 66 nothing to rebuild from, or --from beside a journal or CARs, 69 the bucket
    does not answer, 74 no room or a failing disk, 75 hlspub runs, 77 no permission, 78 wrong configuration, or a
    journal of another version.
    """
    chosen, clock = load(config, os.environ), SystemClock()
    configure(chosen.log_format, "warning")
    if place is not None:
        with Bar(sys.stderr, os.environ) as bar, one_error():
            done = _from_far(chosen, place, clock, bar)
        _tell(done)
        emit(_answer(done), as_json=as_json, text=text)
        return
    if not chosen.data_dir.is_dir():
        raise InputError(f"{chosen.data_dir}: there is no such directory", hint="Check data_dir in the configuration.")
    with InstanceLock(chosen.data_dir, clock.now()):
        why = "it was asked for" if force else ailment(chosen.data_dir)
        if why is None:
            emit(_whole(chosen.data_dir), as_json=as_json, text=text)
            return
        talk(f"hlspub: rebuilding the journal: {why}")
        with Bar(sys.stderr, os.environ) as bar, one_error():
            done = anyio.run(recover, chosen, clock, bar.show)
    _tell(done)
    emit(_answer(done), as_json=as_json, text=text)


def _from_far(config: Config, place: str, clock: SystemClock, bar: Bar) -> Recovered:
    """Rebuild the journal from a bucket."""
    _, table = s3_table(config, place)
    bucket = build_bucket(place, table, os.environ)
    prepare_data_dir(config.data_dir)
    with InstanceLock(config.data_dir, clock.now()):
        local = config.data_dir / "local"
        holds_cars = local.is_dir() and next(CarStore(local).keys(), None) is not None
        if holds_cars or (config.data_dir / JOURNAL_NAME).exists():
            raise InputError(
                f"{config.data_dir} has a journal or CARs",
                hint="--from is for a new machine: run it without, or elsewhere.",
            )
        look_far = importlib.import_module("hlspub.pipeline.recovering_far").look_far

        async def both() -> Recovered:
            return await recover(config, clock, bar.show, await look_far(bucket, place, config, bar.show))

        return anyio.run(both)


def ailment(data_dir: Path) -> str | None:
    """Why the journal has to be rebuilt; None when it is whole.

    Raises:
        InputError: there is neither a journal nor anything to rebuild it from.
        JournalError: it is another program's, or another version's.
    """
    journal = data_dir / JOURNAL_NAME
    try:
        refuse_missing(data_dir)
        with JournalReader(journal) as reader:
            faults = reader.integrity()
            if not faults:
                refuse_older(reader, data_dir)
    except JournalDamaged as why:
        return str(why)
    return f"the journal {journal} is damaged: {faults[0]}" if faults else None


def text(answer: Answer) -> str:
    """The answer for people."""
    if answer["journal"] == "whole":
        return "the journal is whole; nothing was changed"
    kept = f"; the old one is {answer['kept_as']}" if answer["kept_as"] else ""
    return (
        f"the journal is rebuilt: {answer['streams']} streams, {answer['sessions']} sessions, {answer['files']} files of "
        f"sessions that go on, {answer['cars']} CARs{kept}"
    )


def _whole(data_dir: Path) -> Answer:
    with JournalReader(data_dir / JOURNAL_NAME) as reader:
        streams = reader.streams()
        sessions = [session for stream in streams for session in reader.sessions(stream.name)]
        files = sum(1 for session in sessions for _ in reader.files(session.id))
    return {"journal": "whole", "streams": len(streams), "sessions": len(sessions), "files": files}


def _answer(done: Recovered) -> Answer:
    return {
        "journal": "rebuilt",
        "streams": done.streams,
        "sessions": done.sessions,
        "files": done.files,
        "cars": done.cars,
        "broken": [{"car": path, "reason": reason} for path, reason in done.broken],
        "torn_lines": list(done.torn),
        "incomplete": [{"session": session, "missing": what} for session, what in done.incomplete],
        "kept_as": done.kept_as,
    }


def _tell(done: Recovered) -> None:
    """Name what could not be brought back."""
    said = [f"broken CAR, set aside: {reason}" for _, reason in done.broken]
    said += [f"publications.jsonl, line {number}: no publication" for number in done.torn]
    said += [f"session {session} goes on without {what}" for session, what in done.incomplete]
    for line in said[:SHOWN]:
        talk(f"  {line}")
    if len(said) > SHOWN:
        talk(f"  and {len(said) - SHOWN} more; --json has them all")

"""`hlspub verify ROOT`: is everything under this root there, and right?"""

import os
import sys
from pathlib import Path
from typing import cast

import anyio

from hlspub.cli.common import Answer, config_option, define, emit, json_option, size_text, talk
from hlspub.cli.playlists import Playlists, Problem, check_playlists
from hlspub.cli.sources import Get, from_option, opened, remembering, root_argument, whole
from hlspub.cli.ticker import Ticker
from hlspub.errors import DataError, InputError
from hlspub.ipld.check import Report, check_dag
from hlspub.ipld.cid import Cid
from hlspub.ipld.walk import run_async

SHOWN = 20  # problems that are named on stderr; --json has them all


@define("verify")
@root_argument
@from_option
@config_option
@json_option
def command(*, root: Cid, source: str, config: Path | None, as_json: bool) -> None:
    """Check every block and playlist under a root.

    Fetches everything under ROOT from one source and holds it to its hash, every file to its sizes, every directory to
    its form, and looks up every file that a playlist in it requires. Nothing the source says is believed.

    Examples:
      hlspub verify bafybei…
      hlspub verify bafybei… --from https://gateway.example
      hlspub verify bafybei… --from backup.car --json
    Exit codes: 0 all is there and right, 65 something is missing or wrong, 66 the source has no such root (or there is
    no such file), 69 the gateway is unavailable, 77 no permission.
    """
    with Ticker(sys.stderr, os.environ) as ticker:
        report, playlists = anyio.run(_verify, root, source, config, ticker)
    answer = _answer(report, playlists)
    emit(answer, as_json=as_json, text=text)
    if root in report.missing:
        raise InputError(f"{source}: there is no block {root}", hint="Is this the right source? --from names another.")
    _tell(report, playlists)


async def _verify(root: Cid, source: str, config: Path | None, ticker: Ticker) -> tuple[Report, Playlists]:
    blocks = octets = 0

    async with opened(source, config) as get:
        known = remembering(get)

        async def counted(cid: Cid) -> bytes | None:
            nonlocal blocks, octets
            data = await known(cid)
            blocks += 1
            octets += len(data or b"")
            ticker.show("checked", blocks, "blocks", octets)
            return data

        report = await run_async(check_dag(root), counted)
        return report, await _playlists(root, known, source)


async def _playlists(root: Cid, get: Get, source: str) -> Playlists:
    """The playlists' problems; a tree that cannot be walked is one of them."""
    try:
        return await check_playlists(root, whole(get, source))
    except (DataError, InputError) as why:
        return Playlists(0, (Problem("", str(why)),))


def _answer(report: Report, playlists: Playlists) -> Answer:
    return {
        "root": report.root,
        "blocks": report.blocks,
        "bytes": report.bytes,
        "missing": len(report.missing),
        "corrupt": len(report.corrupt),
        "playlists": playlists.count,
        "playlists_ok": not playlists.problems,
        "problems": [
            *({"cid": cid, "reason": "missing"} for cid in report.missing),
            *({"cid": fault.cid, "reason": fault.reason} for fault in report.corrupt),
            *({"path": problem.path, "reason": problem.reason} for problem in playlists.problems),
        ],
    }


def text(answer: Answer) -> str:
    """The answer for people."""
    size = cast("int", answer["bytes"])
    lists = "all references found" if answer["playlists_ok"] else "not all references found"
    return (
        f"{answer['root']}: {answer['blocks']} blocks, {size_text(size)}; {answer['missing']} missing, "
        f"{answer['corrupt']} corrupt; playlists: {answer['playlists']}, {lists}"
    )


def _tell(report: Report, playlists: Playlists) -> None:
    """Name what is wrong.

    Raises:
        DataError: something is.
    """
    said = [f"missing: {cid}" for cid in report.missing]
    said += [f"corrupt: {fault.cid}: {fault.reason}" for fault in report.corrupt]
    said += [f"playlist: {problem.path}: {problem.reason}" for problem in playlists.problems]
    if not said:
        return
    for line in said[:SHOWN]:
        talk(f"  {line}")
    if len(said) > SHOWN:
        talk(f"  and {len(said) - SHOWN} more; --json has them all")
    raise DataError(f"not everything under {report.root} is there and right", hint="Take another source with --from.")

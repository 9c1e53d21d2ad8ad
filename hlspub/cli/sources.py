"""Where commands read blocks from: the local store, a target, a CAR file, or a trustless gateway.

Rule: `--from` decides, and nothing is guessed beyond it: a URL is a gateway, the word "local" (and its absence) the local
store, the name of a configured target that target, anything else a file. Every source answers with bytes that nobody has
checked, or None.
"""

import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from hlspub.cli.reach import parts_of, target_of
from hlspub.config.load import load
from hlspub.config.model import Config
from hlspub.config.names import NAME_PATTERN
from hlspub.config.places import JOURNAL_NAME, find_config, find_data_dir
from hlspub.errors import BlockError, InputError
from hlspub.ipld.block import matches
from hlspub.ipld.cid import Cid, Codec
from hlspub.journal.reader import JournalReads
from hlspub.pipeline.shelf import LocalBlocks
from hlspub.spool.car_file import CarFile
from hlspub.spool.store import CarStore
from hlspub.targets.http import make_client
from hlspub.targets.trustless import TrustlessGateway

Get: TypeAlias = Callable[[Cid], Awaitable[bytes | None]]
_Command = TypeVar("_Command", bound=Callable[..., Any])

LOCAL = "local"
REMEMBERED = 64 << 20  # bytes of nodes that are kept for a second walk


def root_argument(command: _Command) -> _Command:
    """Add the argument ROOT, passed on as `root: Cid`; a text that is no CID is a CidError (65)."""
    return click.argument("root", callback=_parse)(command)


def _parse(_ctx: click.Context, _param: click.Parameter, value: str) -> Cid:
    """A CID alone, as ipfs://CID or as /ipfs/CID."""
    return Cid.parse(value.removeprefix("ipfs://").removeprefix("/ipfs/").rstrip("/"))


def from_option(command: _Command) -> _Command:
    """Add `--from SOURCE`, passed on as `source: str`."""
    text = 'Where the blocks are: "local" (the local store), a target, a CAR file, or the URL of a trustless gateway.'
    return click.option("--from", "source", metavar="SOURCE", default=LOCAL, show_default=True, help=text)(command)


@asynccontextmanager
async def opened(source: str, config: Path | None) -> AsyncGenerator[Get]:
    """The blocks of a source.

    Raises:
        InputError: there is no such file, no journal beside the local store, or the target gives no blocks back.
        CarError: the file is no CAR.
        ConfigError, PermissionRefused, StorageError: it cannot be opened.
    """
    if source.startswith(("http://", "https://")):
        async with make_client() as client:
            yield TrustlessGateway(source, client).get
    elif source == LOCAL:
        data_dir = find_data_dir(config, os.environ)
        reads = JournalReads(data_dir / JOURNAL_NAME)
        try:
            yield LocalBlocks(reads, (CarStore(data_dir / "local"), CarStore(data_dir / "spool"))).get
        finally:
            reads.close()
    elif (chosen := _with_target(source, config)) is not None:
        async with parts_of(chosen) as parts, target_of(chosen, source, parts) as target:
            if not target.capabilities.reads:
                raise InputError(
                    f"the target {source} gives no blocks back", hint="Name a gateway that has them: --from URL."
                )
            yield target.read
    else:
        with CarFile(Path(source)) as car:

            async def get(cid: Cid) -> bytes | None:
                return car.get(cid)

            yield get


def _with_target(name: str, path: Path | None) -> Config | None:
    """The configuration, when it has a target of that name."""
    if not re.fullmatch(NAME_PATTERN, name) or find_config(path, os.environ) is None:
        return None
    config = load(path, os.environ)
    return config if name in config.target else None


def whole(get: Get, source: str) -> Callable[[Cid], Awaitable[bytes]]:
    """`get` for who needs every block: one that is absent, or not the one its CID names, is an error.

    Raises:
        InputError: the source does not have it.
        BlockError: it is damaged there.
    """

    async def have(cid: Cid) -> bytes:
        data = await get(cid)
        if data is None:
            raise InputError(f"{source}: there is no block {cid}", hint="`hlspub verify` says what else is missing.")
        if not matches(cid, data):
            raise BlockError(f"{source}: the block {cid} is damaged", hint="Take another source with --from.")
        return data

    return have


def remembering(get: Get, budget: int = REMEMBERED) -> Get:
    """`get` that keeps nodes (not leaves) for a second walk, as far as `budget` bytes reach."""
    known: dict[Cid, bytes] = {}
    left = budget

    async def recall(cid: Cid) -> bytes | None:
        nonlocal left
        data = known.get(cid)
        if data is None:
            data = await get(cid)
            if data is not None and cid.codec is Codec.DAG_PB and len(data) <= left:
                known[cid] = data
                left -= len(data)
        return data

    return recall

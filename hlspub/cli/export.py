"""`hlspub export ROOT -o F.car`: everything under a root in one file."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import anyio
import click

from hlspub.cli.common import Answer, config_option, define, emit, json_option, size_text
from hlspub.cli.sources import from_option, opened, root_argument, whole
from hlspub.cli.ticker import Ticker
from hlspub.errors import InputError
from hlspub.ipld import car
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from hlspub.ipld.walk import stream_async
from hlspub.spool.disk import DISK, explained

STDOUT = "-"


@define("export")
@root_argument
@click.option("-o", "--output", metavar="FILE", required=True, help='The CAR to write; "-" is stdout.')
@from_option
@config_option
@json_option
def command(*, root: Cid, output: str, source: str, config: Path | None, as_json: bool) -> None:
    """Write everything under a root into one CAR.

    A CARv1 with this one root, its blocks in depth-first order, each once: what `ipfs dag export` writes too. Every
    block is checked on its way. FILE appears when it is whole.

    Examples:
      hlspub export bafybei… -o show.car
      hlspub export bafybei… -o - --from https://gateway.example | ipfs dag import
    Exit codes: 0 written, 65 a block is damaged, 66 a block is not there, 69 the gateway is unavailable, 74 no room,
    77 no permission.
    """
    if output == STDOUT and as_json:
        raise click.UsageError("stdout cannot take both the CAR and --json")
    with Ticker(sys.stderr, os.environ) as ticker:
        if output == STDOUT:
            anyio.run(_export, root, source, config, sys.stdout.buffer, ticker)
            return
        with _appearing(Path(output)) as file:
            answer = anyio.run(_export, root, source, config, file, ticker)
    emit(answer, as_json=as_json, text=lambda given: text(given, output))


async def _export(root: Cid, source: str, config: Path | None, file: BinaryIO, ticker: Ticker) -> Answer:
    """Write the CAR; `bytes` is its length."""
    blocks = 0
    async with opened(source, config) as get:
        size = file.write(car.header([root]))
        async for block in stream_async(walk_dag(root), whole(get, source)):
            size += file.write(car.section_head(block.cid, len(block.data)))
            size += file.write(block.data)
            blocks += 1
            ticker.show("wrote", blocks, "blocks", size)
    file.flush()
    return {"root": root, "blocks": blocks, "bytes": size}


@contextmanager
def _appearing(path: Path) -> Generator[BinaryIO]:
    """A new file that takes its name when it is whole and safe on the disk; else nothing stays.

    Raises:
        InputError: the directory is not there.
        PermissionRefused, StorageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained(f"writing {path}"):
        try:
            file = part.open("xb")
        except (FileNotFoundError, NotADirectoryError) as why:
            raise InputError(f"{path.parent} is not a directory", hint="Name a file in one that is there.") from why
        try:
            with file:
                yield file
                file.flush()
                DISK.sync_file(file.fileno())
            part.replace(path)
            DISK.sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


def text(answer: Answer, output: str) -> str:
    """The answer for people."""
    size = cast("int", answer["bytes"])
    return f"{answer['root']}: {answer['blocks']} blocks, {size_text(size)} written to {output}"

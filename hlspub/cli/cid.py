"""`hlspub cid PATH`: what is, or would be, the CID of this file or directory?"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import click

from hlspub.cli.common import Answer, config_option, define, emit, json_option, named_config, talk
from hlspub.cli.inspect import listing
from hlspub.cli.ticker import Ticker
from hlspub.errors import FileChanged, FileGone, InputError, PermissionRefused
from hlspub.hls.inspect import NodeKind
from hlspub.ipld.cid import Cid
from hlspub.ipld.profile import DEFAULT_PROFILE, PROFILES, Profile
from hlspub.ipld.tree import Tree
from hlspub.model import FileIdentity, Packed
from hlspub.spool.pack import measure_file
from hlspub.spool.source import settled

SKIPPED = {
    NodeKind.ESCAPE: "a link that leads out of the directory",
    NodeKind.OTHER: "not a regular file",
}


@define("cid")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help=f"How bytes become CIDs; else what a named configuration says, else {DEFAULT_PROFILE.name}.",
)
@click.option("--hidden", is_flag=True, help="Take files and directories whose names begin with a dot too.")
@config_option
@json_option
def command(*, path: Path, profile: str | None, hidden: bool, config: Path | None, as_json: bool) -> None:
    """Compute the CID of a file or directory.

    Reads and writes nothing else. It is the CID that every tool computes which follows the same profile: Kubo's
    `ipfs add -r` (Import.* set by `ipfs config profile apply unixfs-v1-2025`), js-ipfs, and hlspub's own roots.

    A directory counts with every regular file below it. Links are followed to regular files inside the directory; other
    links, sockets and devices are left out and named. Empty directories are left out.

    Example:  hlspub cid finished-show --profile unixfs-v0-2015
    Exit codes: 0 computed, 65 a name that cannot be published, 66 no such path, 74 I/O error, 77 a file may not be read,
    78 wrong configuration.
    """
    if profile is None:
        named = named_config(config)
        profile = named.publish.profile if named else DEFAULT_PROFILE.name
    with Ticker(sys.stderr, os.environ) as ticker:
        answer = cid_of(path, PROFILES[profile], hidden=hidden, ticker=ticker)
    emit(answer, as_json=as_json, text=lambda given: str(given["cid"]))


def cid_of(path: Path, profile: Profile, *, hidden: bool = False, ticker: Ticker | None = None) -> Answer:
    """The answer; errors as `measure`, and DataError for a name that no tree can hold."""
    found = _of_directory(path, profile, ticker, hidden=hidden) if path.is_dir() else _of_file(path, profile)
    return found | {"profile": profile.name}


def _of_file(path: Path, profile: Profile) -> dict[str, object]:
    packed = measure(path, profile)
    return {
        "cid": packed.cid,
        "kind": "file",
        "size": packed.size_bytes,
        "blocks": len({block.cid for block in packed.car.blocks}),
    }


def _of_directory(top: Path, profile: Profile, ticker: Ticker | None, *, hidden: bool) -> dict[str, object]:
    tree, blocks, size = Tree(profile), set[Cid](), 0
    for path in _files(top, hidden=hidden):
        packed = measure(top / path, profile)
        tree.put(path, packed.cid, packed.tsize)
        blocks.update(block.cid for block in packed.car.blocks)
        size += packed.size_bytes
        if ticker:
            ticker.show("hashed", len(tree), "files", size)
    root = tree.root()
    blocks.update(block.cid for block in tree.unpublished())
    return {"cid": root.cid, "kind": "directory", "size": size, "blocks": len(blocks)}


def _files(top: Path, *, hidden: bool) -> Iterator[str]:
    """The paths of the files that count, relative to `top`; names the others on stderr."""
    for path, node in sorted(listing(top).items()):
        if not hidden and any(part.startswith(".") for part in PurePosixPath(path).parts):
            continue
        if node.kind is NodeKind.FILE:
            yield path
        else:
            talk(f"hlspub: left out {os.fsencode(path).decode(errors='backslashreplace')}: {SKIPPED[node.kind]}")


def measure(path: Path, profile: Profile) -> Packed:
    """A file's CID, sizes and blocks.

    Raises:
        InputError: there is no such file, or it went or changed while it was read.
        DataError: it is no regular file.
        PermissionRefused, StorageError: it cannot be read.
    """
    try:
        with settled(path, FileIdentity.of(path.stat())) as handle:
            return measure_file(handle, profile)
    except (FileNotFoundError, NotADirectoryError) as why:
        raise InputError(f"{path}: there is no such file or directory", hint="Name one that is there.") from why
    except PermissionError as why:
        raise PermissionRefused(f"{path} may not be read", hint="Run this as a user who may read it.") from why
    except (FileGone, FileChanged) as why:
        raise InputError(str(why), hint="Try again when its writer has finished.") from why

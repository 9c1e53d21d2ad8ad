"""`hlspub inspect`: what does hlspub see in an HLS directory?"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click

from hlspub.cli.common import Answer, config_option, define, emit, json_option, named_config, size_text
from hlspub.config.model import Config
from hlspub.errors import FileGone, InputError, PermissionRefused
from hlspub.hls.codes import REASONS, WARNINGS
from hlspub.hls.inspect import AUTO, Inspection, Node, NodeKind, inspect
from hlspub.hls.variants import Variants, read_variants

SHOWN = 20  # names of one sort for people; --json has them all
KINDS = {"master": "multivariant playlist", "media": "media playlist", "invalid": "not a playlist"}


@define("inspect")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--entry", metavar="NAME", help="The playlist that viewers open, relative to DIR; else it is found.")
@config_option
@json_option
def command(*, directory: Path, entry: str | None, config: Path | None, as_json: bool) -> None:
    """Show what hlspub sees in an HLS directory.

    Follows the playlists from the entry to every file that a viewer would need, and says what is missing, what lies
    elsewhere, what hlspub refuses to follow and why, and which files would not be published. Changes nothing.
    A configuration that is named counts for the entry, where one of its streams has this directory.

    Example:  hlspub inspect /var/lib/transcoder/hls --json
    Exit codes: 0 whatever was found, 66 no such directory or entry, 77 a file may not be read,
    78 wrong configuration.
    """
    entry = entry or configured_entry(directory, named_config(config))
    found = inspect(listing(directory), lambda path: read(directory / path), entry=entry)
    variants = Variants()
    if found.entry is not None and found.kind == "master":
        variants = read_variants(read(directory / found.entry))
    answer = as_answer(found, variants)
    if as_json:
        click.echo(json.dumps(answer))  # ASCII, so that a name which is not UTF-8 survives (as \udcXX)
    else:
        emit(answer, as_json=False, text=text)


def configured_entry(directory: Path, config: Config | None) -> str:
    """The entry of the stream that has this directory, AUTO where there is none."""
    streams = config.stream.values() if config else ()
    return next((stream.entry for stream in streams if stream.path.resolve() == directory.resolve()), AUTO)


def listing(top: Path) -> dict[str, Node]:
    """Every file under `top` by its path relative to it; links are followed only to regular files under it.

    Raises:
        InputError: `top` is no directory.
        PermissionRefused: it, or a directory in it, may not be read.
    """
    if not top.is_dir():
        raise InputError(f"{top} is not a directory", hint="Name the directory that the transcoder writes to.")
    inside = top.resolve()
    found: dict[str, Node] = {}
    for folder, folders, names in os.walk(top, onerror=_refused):
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *linked):
            path = Path(folder, name)
            found[path.relative_to(top).as_posix()] = _node(path, inside)
    return found


def _refused(why: OSError) -> None:
    if isinstance(why, PermissionError):
        raise PermissionRefused(
            f"{why.filename} may not be read", hint="Run this as a user who may read it, for example with sudo."
        ) from why
    if not isinstance(why, FileNotFoundError):  # a directory that vanished is no news in a live one
        raise why


def _node(path: Path, inside: Path) -> Node:
    target = Path(os.path.realpath(path))  # unlike `resolve`, it does not fail on links in a circle
    if path.is_symlink() and not target.is_relative_to(inside):
        return Node(NodeKind.ESCAPE)
    try:
        status = target.stat()
    except OSError:
        return Node(NodeKind.OTHER)
    return Node(NodeKind.FILE, status.st_size) if stat.S_ISREG(status.st_mode) else Node(NodeKind.OTHER)


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        PermissionRefused: it may not be read.
        FileGone: it vanished since it was listed.
    """
    try:
        return path.read_bytes()
    except PermissionError as why:
        raise PermissionRefused(f"{path} may not be read", hint="Run this as a user who may read it.") from why
    except FileNotFoundError as why:
        raise FileGone(f"{path} vanished while it was looked at", hint="Try again.") from why


def as_answer(found: Inspection, variants: Variants) -> Answer:
    """The answer; the command-line contract names its first keys."""
    return {
        "entry": found.entry,
        "kind": found.kind,
        "files": found.files,
        "missing": found.missing,
        "remote": found.remote,
        "complete": found.complete,
        "refuse": [{"uri": uri, "reason": reason} for uri, reason in found.refuse],
        "warn": [*found.warn, *(["variants-unreadable"] if variants.problem else [])],
        "orphans": found.orphans,
        "size": found.size,
        "candidates": found.candidates,
        "keys": [key._asdict() for key in found.keys],
        "variants": [asdict(variant) for variant in variants.variants],
    }


def text(answer: Answer) -> str:
    """The same for people; a name that is not UTF-8 is shown with escapes."""
    kind = KINDS[cast("str", answer["kind"])]
    lines = [
        f"entry: {answer['entry']} ({kind})" if answer["entry"] else "entry: none",
        f"complete: {'yes, every media playlist has ended' if answer['complete'] else 'no'}",
        f"size: {size_text(cast('int', answer['size']))}",
        *map(_variant, cast("Sequence[Mapping[str, object]]", answer["variants"])),
    ]
    for title, key in (
        ("present", "files"),
        ("missing", "missing"),
        ("elsewhere, left alone", "remote"),
        ("not listed, not published", "orphans"),
        ("could be the entry", "candidates"),
    ):
        lines += _names(title, cast("Sequence[str]", answer[key]))
    refused = cast("Sequence[Mapping[str, str]]", answer["refuse"])
    lines += _names("refused", [f"{item['uri']}: {REASONS[item['reason']]}" for item in refused])
    keys = cast("Sequence[Mapping[str, str]]", answer["keys"])
    lines += _names("keys that viewers need", [f"{key['uri']} ({key['method']}, {key['keyformat']})" for key in keys])
    lines += [f"warning: {WARNINGS[code]} [{code}]" for code in cast("Sequence[str]", answer["warn"])]
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()


def _names(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    rest = [f"  and {len(names) - SHOWN} more; --json shows all"] if len(names) > SHOWN else []
    return [f"{title}: {len(names)}", *(f"  {name}" for name in names[:SHOWN]), *rest]


def _variant(variant: Mapping[str, object]) -> str:
    width_height = cast("tuple[int, int] | None", variant["resolution"])
    bandwidth = cast("int", variant["bandwidth"])
    parts = [
        "" if variant["kind"] == "variant" else str(variant["kind"]),
        "x".join(map(str, width_height)) if width_height else "",
        f"{bandwidth / 1000:.0f} kbit/s" if bandwidth else "",
        str(variant["codecs"]),
        str(variant["name"]),
        str(variant["language"]),
    ]
    return f"variant: {variant['uri']} ({', '.join(filter(None, parts))})"

"""What the commands share: options, the answer, and small formats for people.

Rule: a command's answer is one mapping. `emit` prints it as one JSON object or as text made from the same mapping, so
that the two never disagree. Nothing heavy is imported here: `hlspub version` pays for it.
"""

import importlib
import json
import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hlspub.cli.group import VerbatimHelp
from hlspub.config.units import parse_duration
from hlspub.errors import StorageError
from hlspub.ipld.cid import Cid

if TYPE_CHECKING:
    from hlspub.config.model import Config

Answer = Mapping[str, object]
INTERRUPTED = 130  # the exit code after Ctrl-C: 128 + SIGINT, as shells count
_KIBI = 1024
_SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _given_anywhere(ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
    """`--config` counts whether it stands before or after the command."""
    return value if value is not None else ctx.find_root().params.get("config")


def config_option(command: _Command) -> _Command:
    """Add `--config FILE`, passed on as `config: Path | None`; None means: look in the usual places."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_given_anywhere,
        help="The configuration file.",
    )(command)


def named_config(config: Path | None) -> "Config | None":
    """The configuration that `--config` or $HLSPUB_CONFIG names; None without them, wherever else one may lie.

    For commands that need none: what they answer depends on no file that their caller did not name.

    Raises:
        ConfigError, PermissionRefused: it cannot be read, or is wrong.
    """
    if config is None and not os.environ.get("HLSPUB_CONFIG"):
        return None
    load = importlib.import_module("hlspub.config.load").load  # heavy, and rarely needed
    return load(config, os.environ)


def json_option(command: _Command) -> _Command:
    """Add `--json`, passed on as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")(command)


def define(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function the command `name`; its docstring is shown as its manual page, line for line."""
    return click.command(name, cls=VerbatimHelp)


def seconds_of(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """An option's callback: a text like "60s" or "1h30m" as seconds."""
    try:
        return parse_duration(value)
    except ValueError as why:
        raise click.BadParameter(f"{value!r}: {why}") from why


def emit(answer: Answer, *, as_json: bool, text: Callable[[Answer], str] | str) -> None:
    """Print a command's answer on stdout: one JSON object, or `text` (made from the answer when it is a function)."""
    if as_json:
        shown = json.dumps(answer, ensure_ascii=False, default=_plain)
    else:
        shown = text if isinstance(text, str) else text(answer)
    try:
        click.echo(shown.encode("utf-8", "backslashreplace").decode())  # a file name need not be UTF-8
    except BrokenPipeError:
        raise  # the reader left; click ends quietly
    except OSError as why:
        raise StorageError(f"stdout: {why.strerror}", hint="The answer could not be written there.") from why


def talk(line: str) -> None:
    """Say something on stderr: progress, warnings, what happens next."""
    click.echo(line, err=True)


def table(rows: list[tuple[str, ...]], *, indent: str = "") -> str:
    """Lines with the columns of `rows` aligned; the last column is not padded."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    cells = ([*map(str.ljust, row, widths), row[-1]] for row in rows)  # map stops before the last column
    return "\n".join(f"{indent}{'  '.join(line)}".rstrip() for line in cells)


def size_text(size: float) -> str:
    """Bytes for people: "1.2 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _KIBI:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIBI
    return f"{size:.1f} TiB"


def time_text(seconds: float) -> str:
    """A span of time for people, in its two largest units: "4 s", "3 min 20 s", "2 d 5 h"."""
    left = max(0, round(seconds))
    for (unit, size), (smaller, part) in pairwise(_SPANS):
        if left >= size:
            whole, rest = divmod(left, size)
            return f"{whole} {unit}" + (f" {rest // part} {smaller}" if rest >= part else "")
    return f"{left} s"


def _plain(value: object) -> object:
    """JSON for the values that an answer may hold beside JSON's own."""
    if isinstance(value, (Cid, Path)):
        return str(value)
    raise TypeError(f"an answer cannot hold a {type(value).__name__}")

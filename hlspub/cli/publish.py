"""`hlspub publish DIR`: one finished HLS directory, once, through the same pipeline as a live stream."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from hlspub import app
from hlspub.cli.common import Answer, config_option, define, emit, json_option, size_text, table
from hlspub.cli.progress import Bar
from hlspub.config.load import defaults, load
from hlspub.config.model import Config
from hlspub.config.places import find_config
from hlspub.errors import InputError
from hlspub.telemetry.log import configure

PROFILES = ("unixfs-v1-2025", "unixfs-v0-2015")


@define("publish")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", help="The stream's name. Default: the directory's.")
@click.option("--profile", type=click.Choice(PROFILES), help="How bytes become CIDs. Default: as configured.")
@click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where the CARs are kept.")
@config_option
@json_option
def command(
    *, directory: Path, name: str | None, profile: str | None, data_dir: Path | None, config: Path | None, as_json: bool
) -> None:
    """Publish one finished HLS directory, once.

    Takes every file that the directory's playlists refer to, keeps it at the configured targets and prints the root.
    The stream's name moves there, and hooks are told, where they are configured.
    Without a configuration the CARs go to the user's own data directory. Publishing the same directory again gives
    the same root. A running daemon has its own data directory: use another with --data-dir.

    Example:  hlspub publish ./finished-show
    Exit codes: 0 published, 65 not an HLS directory, 66 no such directory, 69 a target is unavailable (what is
    missing stays queued), 74 no room, 75 the data directory is in use, 77 no permission, 78 wrong configuration.
    """
    if not directory.is_dir():
        raise InputError(
            f"{directory}: there is no such directory", hint="Name the directory that holds the playlists."
        )
    chosen = _config(config, data_dir, profile)
    configure(chosen.log_format, "debug" if chosen.log_level == "debug" else "warning")
    with Bar(sys.stderr, os.environ) as bar:
        answer = app.publish(directory, chosen, name=name or stream_name(directory), progress=bar.show)
    emit(answer, as_json=as_json, text=text)


def stream_name(directory: Path) -> str:
    """A stream's name made from the directory's: lower case, what has no place in a name becomes "-"."""
    return re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower()).strip("-_") or "stream"


def text(answer: Answer) -> str:
    """The answer for people: where to find what was published."""
    root, entry = answer["root"], answer["entry"]
    targets = cast("Mapping[str, Mapping[str, object]]", answer["targets"])
    names, hooks = (cast("Sequence[Mapping[str, Any]]", answer[key]) for key in ("names", "hooks"))
    return table(
        [
            ("stream", str(answer["stream"])),
            ("root", str(root)),
            ("entry", f"ipfs://{root}/{entry}"),
            ("size", f"{answer['files']} files, {size_text(cast('int', answer['bytes']))}"),
            *((f"target {name}", str(state["state"])) for name, state in targets.items()),
            *(("name", f"ipns://{name['id']}{_moved(name)}") for name in names),
            *(
                (f"hook {hook['name']}", "told" if hook["state"] == "ok" else f"{hook['state']}: told later")
                for hook in hooks
            ),
        ]
    )


def _moved(name: Mapping[str, Any]) -> str:
    lacking = [f"{router['name']} {router['state']}" for router in name["routers"] if router["state"] != "ok"]
    return f" (sent later: {', '.join(lacking)})" if lacking else ""


def _config(given: Path | None, data_dir: Path | None, profile: str | None) -> Config:
    """The configuration, or the defaults where there is none, with what the command line changes."""
    found = find_config(given, os.environ)
    config = load(found, os.environ) if found else defaults(data_dir and data_dir.absolute(), os.environ)
    if data_dir is not None:
        config = config.model_copy(update={"data_dir": data_dir.absolute()})
    if profile is not None:
        config = config.model_copy(update={"publish": config.publish.model_copy(update={"profile": profile})})
    return config

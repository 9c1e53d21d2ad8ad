"""`hlspub init`: a configuration to start from."""

import os
from pathlib import Path

import click

from hlspub.cli.common import config_option, define, emit, json_option, talk
from hlspub.config.example import EXAMPLE_PATH, example
from hlspub.config.load import parse
from hlspub.config.places import new_config
from hlspub.errors import ConfigError, PermissionRefused, StorageError


@define("init")
@click.option(
    "--path", type=click.Path(path_type=Path), metavar="DIR", help="The directory that the transcoder writes."
)
@click.option("--name", default="main", show_default=True, help="The stream's name.")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
@config_option
@json_option
def command(path: Path | None, name: str, force: bool, config: Path | None, as_json: bool) -> None:
    """Write a configuration to start from.

    Every key is in it, at its default and with why one would turn it. It is written to --config or $HLSPUB_CONFIG;
    without them root's goes to /etc/hlspub/config.toml and another user's to $XDG_CONFIG_HOME/hlspub/config.toml.

    Example:  hlspub init --path /var/lib/transcoder/hls
    Exit codes: 0 written, 74 it cannot be written, 77 no permission, 78 there is one already (see --force), or the
    name or path is wrong.
    """
    file = new_config(config, os.environ, root=os.geteuid() == 0)
    followed = path.absolute() if path is not None else Path(EXAMPLE_PATH)
    text = example(str(followed), name)
    parse(text, file, os.environ)
    _write(file, text, force=force)
    emit({"config": file, "stream": name, "path": followed}, as_json=as_json, text=str(file))
    if path is None:
        talk(f"Next: set [stream.{name}] path in it, then `hlspub check`.")
    else:
        talk("Next: `hlspub check`, then `hlspub run`.")


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        if file.exists() and not force:
            raise ConfigError(f"{file}: there is one already", hint="--force replaces it.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except PermissionError as why:
        raise PermissionRefused(f"{file}: may not be written", hint="Be root, or name another with --config.") from why
    except OSError as why:
        raise StorageError(f"{file}: {why.strerror}", hint="Name another with --config.") from why

"""`hlspub keys`: the Ed25519 keys in the data directory, for names and for w3up."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from hlspub.cli.common import Answer, config_option, emit, json_option, table
from hlspub.cli.group import LazyGroup, VerbatimHelp
from hlspub.config.names import NAME_PATTERN
from hlspub.config.places import find_data_dir
from hlspub.errors import InputError, PermissionRefused
from hlspub.ipns.key import SEED_SIZE, Key
from hlspub.names import keyring
from hlspub.ucan.principal import Signer

_FORMS = ("pem", "libp2p", "w3up")
_LONGEST = 4096  # bytes

COMMANDS = {
    "new": ("hlspub.cli.keys:new", "Make a key, or take one over from a file."),
    "show": ("hlspub.cli.keys:show", "Show keys' names; with --private, a key itself."),
}


@click.group("keys", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Make and show the keys of names and of w3up targets.

    Keys lie in the data directory, keys/NAME.key, readable by their owner alone.

    Examples:
      hlspub keys new main
      hlspub keys show
    Exit codes: as the two commands say.
    """


def _name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(NAME_PATTERN, value):
        raise click.BadParameter("a name is made of a-z, 0-9, _ and -, and begins with a letter or digit")
    return value


@click.command("new", cls=VerbatimHelp)
@click.argument("name", callback=_name)
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="FILE", help="Take this key over.")
@config_option
@json_option
def new(*, name: str, source: Path | None, config: Path | None, as_json: bool) -> None:
    """Make a key, and print the name of IPNS that it signs for and its DID, as w3up calls it.

    --from takes over a key that `ipfs key export` wrote. Run it as the service's user.

    Example:  sudo -u hlspub hlspub keys new main
    Exit codes: 0 made, 65 the file holds no key, 66 no such file, 77 no permission, 78 there is one already.
    """
    data_dir = find_data_dir(config, os.environ)
    key = Key.from_seed(os.urandom(SEED_SIZE)) if source is None else Key.read(_read(source))
    path = keyring.keep(data_dir, name, key)
    answer = _told(name, key) | {"file": str(path)}
    emit(answer, as_json=as_json, text=lambda told: f"{told['id']}\n{told['did']}")


@click.command("show", cls=VerbatimHelp)
@click.argument("name", required=False, callback=_name)
@click.option("--private", is_flag=True, help="Print the private key itself.")
@click.option("--format", "form", type=click.Choice(_FORMS), default="pem", help="How --private writes it.")
@config_option
@json_option
def show(*, name: str | None, private: bool, form: str, config: Path | None, as_json: bool) -> None:
    """Show the names that keys sign for, and their DIDs; with --private, the key NAME itself.

    Forms: pem and libp2p are what `ipfs key import` takes (--format=pem-pkcs8-cleartext, and its default); w3up is
    the text for the key of a w3up target.

    Example:  hlspub keys show main --private > main.pem
    Exit codes: 0 shown, 66 there is no such key, 77 no permission.
    """
    data_dir = find_data_dir(config, os.environ)
    if private:
        if name is None:
            raise click.UsageError("--private shows one key: name it")
        key = keyring.find(data_dir, name)
        click.echo(_exported(key, form), nl=False)
        return
    chosen = keyring.names(data_dir) if name is None else [name]
    emit({"keys": [_told(one, keyring.find(data_dir, one)) for one in chosen]}, as_json=as_json, text=_text)


def _told(name: str, key: Key) -> dict[str, object]:
    return {"name": name, "id": str(key.name), "did": Signer.from_seed(key.seed()).did}


def _text(answer: Answer) -> str:
    keys = cast("Sequence[Mapping[str, Any]]", answer["keys"])
    return (
        table([(key["name"], key["id"], key["did"]) for key in keys]) or "no keys yet: `hlspub keys new NAME` makes one"
    )


def _exported(key: Key, form: str) -> bytes:
    if form == "w3up":
        return Signer.from_seed(key.seed()).secret_text().encode() + b"\n"
    return key.pem() if form == "pem" else key.protobuf()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except PermissionError as why:
        raise PermissionRefused(f"{path} may not be read by this user", hint="See its mode.") from why
    except OSError as why:
        raise InputError(f"{path} cannot be read: {why.strerror}", hint="Name a file with a key.") from why

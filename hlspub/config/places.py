"""Where hlspub's files are: the configuration, the data directory and the control socket.

Rule: only the standard library is imported, so that `hlspub status` finds a service without loading the models. The
order of the configuration's places is: what the command line names, $HLSPUB_CONFIG, the XDG place, the system's place. The
data directory follows from which of them was found, so that a shell and a service manager come to the same answer.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hlspub.errors import ConfigError, PermissionRefused

SYSTEM_CONFIG = Path("/etc/hlspub/config.toml")
SYSTEM_DATA = Path("/var/lib/hlspub")
JOURNAL_NAME, SOCKET_NAME = "journal.sqlite", "control.sock"  # in the data directory

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one machine; a test has its own."""

    system_config: Path = SYSTEM_CONFIG
    system_data: Path = SYSTEM_DATA


THIS_MACHINE = Places()


def find_config(given: Path | None, env: Environment, places: Places = THIS_MACHINE) -> Path | None:
    """The configuration file: one that is named is taken at its word, else the first usual place that exists."""
    if given is not None:
        return given
    if named := env.get("HLSPUB_CONFIG"):
        return Path(named)
    usual = [place for place in (_xdg(env, "XDG_CONFIG_HOME", ".config"),) if place]
    candidates = [*(place / "hlspub" / "config.toml" for place in usual), places.system_config]
    return next((place for place in candidates if place.is_file()), None)


def new_config(given: Path | None, env: Environment, *, root: bool, places: Places = THIS_MACHINE) -> Path:
    """Where `hlspub init` writes: what is named, else the system's place for root, the XDG place for others."""
    if given is not None:
        return given
    if named := env.get("HLSPUB_CONFIG"):
        return Path(named)
    home = None if root else _xdg(env, "XDG_CONFIG_HOME", ".config")
    return home / "hlspub" / "config.toml" if home else places.system_config


def default_data_dir(config: Path | None, env: Environment, places: Places = THIS_MACHINE) -> Path:
    """The data directory of a configuration that names none.

    Raises:
        ConfigError: there is neither a home directory nor the system's configuration to go by.
    """
    if config is not None and _same(config, places.system_config):
        return places.system_data
    state = _xdg(env, "XDG_STATE_HOME", ".local/state")
    if state is None:
        raise ConfigError("no data_dir", hint='Write data_dir = "/…" into the configuration, or set $HOME.')
    return state / "hlspub"


def read_text(config: Path) -> str:
    """The configuration's text.

    Raises:
        ConfigError: there is no such file, or it is not UTF-8.
        PermissionRefused: this user may not read it.
    """
    try:
        return config.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as why:
        raise ConfigError(
            f"{config}: there is no such configuration file",
            hint="`hlspub init` writes one; --config FILE or $HLSPUB_CONFIG names another.",
        ) from why
    except PermissionError as why:
        raise PermissionRefused(
            f"{config}: this user may not read it", hint="Run as the service's user or change the file's mode."
        ) from why
    except UnicodeDecodeError as why:
        raise ConfigError(f"{config}: not UTF-8 text (at byte {why.start})", hint="Save the file as UTF-8.") from why


def find_data_dir(given: Path | None, env: Environment, places: Places = THIS_MACHINE) -> Path:
    """The data directory by the configuration's `data_dir` alone; nothing else in the file is looked at.

    Raises:
        ConfigError: the file is missing, is not TOML, or its data_dir is no text.
        PermissionRefused: this user may not read the file.
    """
    config = find_config(given, env, places)
    if config is None:
        return default_data_dir(None, env, places)
    try:
        named = tomllib.loads(read_text(config)).get("data_dir")
    except tomllib.TOMLDecodeError as why:
        raise ConfigError(f"{config}: {why}", hint="`hlspub check` shows every mistake.") from why
    if named is None:
        return default_data_dir(config, env, places)
    if not isinstance(named, str):
        raise ConfigError(f"{config}: data_dir: expected text in quotes", hint="`hlspub check` shows every mistake.")
    return anchored(named, config.parent)


def anchored(path: str, base: Path) -> Path:
    """A configured path: absolute, or relative to the configuration's directory."""
    return base.absolute() / path


def check_state_directory(data_dir: Path, env: Environment) -> str | None:
    """What is wrong when systemd's $STATE_DIRECTORY and `data_dir` disagree, else None."""
    named = [Path(one) for one in env.get("STATE_DIRECTORY", "").split(":") if one]
    real = data_dir.resolve()
    if not named or any(real.is_relative_to(one.resolve()) for one in named):
        return None
    return f"the service manager made {named[0]} for it ($STATE_DIRECTORY), and only that is sure to be writable"


def _xdg(env: Environment, variable: str, under_home: str) -> Path | None:
    """An XDG base directory; a relative one is to be ignored, says the specification."""
    named = env.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    home = env.get("HOME", "")
    return Path(home) / under_home if home.startswith("/") else None


def _same(one: Path, other: Path) -> bool:
    return one.absolute() == other or one.resolve() == other.resolve()

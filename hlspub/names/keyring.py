"""The keys in the data directory: `keys/NAME.key`, PKCS#8 PEM, readable by their owner alone (P8).

Rule: a key is never written over, and one that others may read is refused.
"""

import os
from contextlib import suppress
from pathlib import Path

from hlspub.errors import ConfigError, InputError, PermissionRefused, StorageError
from hlspub.ipns.key import Key

FOLDER = "keys"
_SUFFIX = ".key"
_LONGEST = 4096  # bytes
_OTHERS = 0o077


def key_path(data_dir: Path, name: str) -> Path:
    """Where the key of that name lies."""
    return data_dir / FOLDER / f"{name}{_SUFFIX}"


def keep(data_dir: Path, name: str, key: Key) -> Path:
    """Write a new key; synced when it returns.

    Raises:
        ConfigError: there is one of that name.
        PermissionRefused, StorageError: it cannot be written.
    """
    path = key_path(data_dir, name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.pem())
            file.flush()
            os.fsync(descriptor)
        _sync(path.parent)
        _sync(data_dir)
        with suppress(PermissionError):  # a parent that this user may not read: then data_dir was made by another
            _sync(data_dir.parent)
    except FileExistsError as why:
        raise ConfigError(
            f"there is a key {name} already: {path}", hint="Choose another name; a key is never written over."
        ) from why
    except PermissionError as why:
        raise PermissionRefused(
            f"{path} may not be written by this user", hint="Run it as the service's user."
        ) from why
    except OSError as why:
        raise StorageError(f"{path} cannot be written: {why.strerror}", hint="Look at that disk.") from why
    return path


def _sync(folder: Path) -> None:
    """Make the names in a folder durable: a name of IPNS is lost with its key."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find(data_dir: Path, name: str) -> Key:
    """The key of that name.

    Raises:
        InputError: there is none.
        PermissionRefused: others may read it, or this user may not.
        IpnsError: the file holds no key.
    """
    path = key_path(data_dir, name)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise PermissionRefused(f"the key {path} may be read by others", hint=f"chmod 600 {path}")
            return Key.read(file.read(_LONGEST))
    except FileNotFoundError as why:
        raise InputError(f"there is no key {name} at {path}", hint=f"`hlspub keys new {name}` makes one.") from why
    except PermissionError as why:
        raise PermissionRefused(f"the key {path} may not be read by this user", hint="See its mode.") from why


def names(data_dir: Path) -> list[str]:
    """The names of all keys, sorted."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in (data_dir / FOLDER).glob(f"*{_SUFFIX}"))

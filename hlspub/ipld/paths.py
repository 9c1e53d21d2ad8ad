"""Paths: which names a published tree may hold.

Rule: a path is names with "/" between them, relative to the stream's directory; every name is one that a reader can
resolve below `/ipfs/ROOT/` and write to a disk. Names are taken as they are: no Unicode normalisation, no case folding.
"""

from hlspub.errors import DataError

MAX_NAME = 4096  # bytes; Linux allows 255, and 256 names of this length still make a shard under 2 MiB
_RESERVED = frozenset(("", ".", ".."))


def utf8(name: str, path: str) -> bytes:
    """The bytes of one name of `path`.

    Raises:
        DataError: no published tree can hold it.
    """
    if name in _RESERVED or "\0" in name or "/" in name:
        raise DataError(
            f"not a path of a file in a tree: {path!r}", hint='No name in it may be "", "." or "..", or hold a NUL.'
        )
    try:
        key = name.encode()
    except UnicodeEncodeError as why:
        raise DataError(f"a name that is not UTF-8: {path!r}", hint="Rename the file; UnixFS names are UTF-8.") from why
    if len(key) > MAX_NAME:
        raise DataError(f"a name of {len(key)} bytes: {path[:80]!r}…", hint=f"At most {MAX_NAME} bytes are allowed.")
    return key


def split(path: str) -> list[str]:
    """The names of `path`.

    Raises:
        DataError: one of them is none that a published tree can hold.
    """
    names = path.split("/")
    for name in names:
        utf8(name, path)
    return names


def clash(path: str, where: str, what: str) -> DataError:
    """The error for a `path` that would need another thing at `where` than `what` is there."""
    return DataError(f"no room for {path!r}: {where!r} is {what}", hint="A path is a file or a directory, never both.")

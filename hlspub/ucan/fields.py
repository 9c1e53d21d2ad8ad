"""The fields of decoded blocks, held to the types that they should have.

Rule: what another program wrote is looked at through these; a field that is missing or of another type is a `BlockError` that
names it, never a bug of ours.
"""

from typing import TypeVar, cast

from hlspub.errors import BlockError
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagcbor import Value, Writable

T = TypeVar("T", int, str, bytes, Cid)


def a_map(value: Writable, what: str) -> dict[str, Value]:
    """A map.

    Raises:
        BlockError: it is none.
    """
    if not isinstance(value, dict):
        raise BlockError(f"{what} that is no map")
    return cast("dict[str, Value]", value)


def a_list(value: Writable, what: str) -> list[Value]:
    """A list.

    Raises:
        BlockError: it is none.
    """
    if not isinstance(value, list):
        raise BlockError(f"{what} that is no list")
    return cast("list[Value]", value)


def a(kind: type[T], value: Writable, what: str) -> T:
    """A value of the type `kind`.

    Raises:
        BlockError: it is of another.
    """
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BlockError(f"{what} that is no {kind.__name__.lower()}")
    return value


def links(value: Writable, what: str) -> tuple[Cid, ...]:
    """A list of links.

    Raises:
        BlockError: it is none.
    """
    return tuple(a(Cid, item, what) for item in a_list(value, what))

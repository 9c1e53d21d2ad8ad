"""What a reload changes, and when; and which settings a session holds to its end.

Rule: pure. Each key says in the model when a change of it takes effect; this module only compares. One key has a rule of
its own: `publish_keys` is held to the session's end like all that shapes the tree, but turning it off acts at once (P8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from pydantic import BaseModel

from hlspub.config.fields import TAKES_EFFECT, When, said_of
from hlspub.config.model import Config, Publish, Stream

_Section = TypeVar("_Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Change:
    """A key, written as in the file, with its old and new value."""

    key: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Reload:
    """What differs between two configurations, sorted by when it takes effect."""

    streams_added: tuple[str, ...]
    streams_removed: tuple[str, ...]
    targets_added: tuple[str, ...]
    targets_removed: tuple[str, ...]
    at_once: tuple[Change, ...]
    next_session: tuple[Change, ...]
    restart: tuple[Change, ...]


def tree_settings(config: Config, stream: str) -> dict[str, object]:
    """The settings that shape the stream's tree, as JSON holds them; recorded with each session.

    Raises:
        KeyError: there is no such stream.
    """
    settings = {name: getattr(config.publish, name) for name in _shaping(Publish)}
    settings |= {name: getattr(config.stream[stream], name) for name in _shaping(Stream)}
    return {name: _json(value) for name, value in sorted(settings.items())}


def diff(old: Config, new: Config) -> Reload:
    """Compare two configurations; streams and targets that only one has are named, not compared."""
    changes = list(_changes(old, new))
    return Reload(
        streams_added=tuple(sorted(new.stream.keys() - old.stream.keys())),
        streams_removed=tuple(sorted(old.stream.keys() - new.stream.keys())),
        targets_added=tuple(sorted(new.target.keys() - old.target.keys())),
        targets_removed=tuple(sorted(old.target.keys() - new.target.keys())),
        at_once=tuple(change for when, change in changes if when is When.NOW),
        next_session=tuple(change for when, change in changes if when is When.NEXT_SESSION),
        restart=tuple(change for when, change in changes if when is When.RESTART),
    )


def without_restart(old: Config, new: Config) -> Config:
    """The configuration to go on with: `new`, but the keys that need a restart keep their old values."""
    stream = {name: _kept(old.stream[name], one) if name in old.stream else one for name, one in new.stream.items()}
    target = {name: _kept(old.target[name], one) if name in old.target else one for name, one in new.target.items()}
    tables = {name: _kept(getattr(old, name), getattr(new, name)) for name in ("publish", "gateway", "limits")}
    tables |= {"stream": stream, "target": target, "router": old.router, "name": old.name}
    return _kept(old, new).model_copy(update=tables)


def _json(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def _shaping(section: type[BaseModel]) -> Iterator[str]:
    return (name for name in section.model_fields if said_of(section, name, TAKES_EFFECT) == When.NEXT_SESSION)


def _kept(old: _Section, new: _Section) -> _Section:
    if type(old) is not type(new):
        return old
    needs = (name for name in type(new).model_fields if said_of(type(new), name, TAKES_EFFECT) == When.RESTART)
    return new.model_copy(update={name: getattr(old, name) for name in needs})


def _changes(old: Config, new: Config) -> Iterator[tuple[When, Change]]:
    yield from _compare("", old, new)
    for name in ("publish", "gateway", "limits"):
        yield from _compare(f"{name}.", getattr(old, name), getattr(new, name))
    for kind in ("router", "name"):
        if getattr(old, kind) != getattr(new, kind):
            yield When.RESTART, Change(kind, None, None)
    if old.hook != new.hook:
        yield When.NOW, Change("hook", None, None)
    for kind in ("stream", "target"):
        before, after = getattr(old, kind), getattr(new, kind)
        for name in sorted(before.keys() & after.keys()):
            yield from _compare(f"{kind}.{name}.", before[name], after[name])


def _compare(prefix: str, old: BaseModel, new: BaseModel) -> Iterator[tuple[When, Change]]:
    """The keys of one table that differ; tables within it, which say nothing of themselves, are left out."""
    for name in type(old).model_fields:
        said = said_of(type(old), name, TAKES_EFFECT)
        before, after = getattr(old, name), getattr(new, name, None)
        if said is not None and before != after:
            when = When.NOW if name == "publish_keys" and not after else When(said)
            yield when, Change(f"{prefix}{name}", before, after)

"""From a TOML file to a `Config`, or to every mistake in it at once.

Rule: each table is checked by itself, so that a mistake in one does not hide those of the others; what depends on several
keys is checked on all tables that are right. Nothing is created, nothing but the file is read; paths are resolved only to
compare them.
"""

import contextlib
import re
import tomllib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from hlspub.config.fields import BASE
from hlspub.config.hooks import HOOKS
from hlspub.config.kinds import KINDS, LOCAL, LocalTarget, Target
from hlspub.config.lines import KeyPath, lines_of_keys
from hlspub.config.model import Config, Gateway, Limits, Publish, Stream
from hlspub.config.named import check_names
from hlspub.config.names import NAME_PATTERN, IpnsName, Router
from hlspub.config.places import (
    THIS_MACHINE,
    Environment,
    Places,
    anchored,
    check_state_directory,
    default_data_dir,
    find_config,
    read_text,
)
from hlspub.config.problems import Problem, nearest, problems_of, report
from hlspub.errors import ConfigError

_NAMED_TABLES = ("stream", "target", "router", "name", "hook")
_TABLES: dict[str, type[BaseModel]] = {"publish": Publish, "gateway": Gateway, "limits": Limits}
_Model = TypeVar("_Model", bound=BaseModel)
Table = Mapping[str, object]


def load(given: Path | None, env: Environment, places: Places = THIS_MACHINE) -> Config:
    """The configuration from the file that was named, or from the first usual place that has one.

    Raises:
        ConfigError: there is none, or it is wrong; the message lists every mistake.
        PermissionRefused: this user may not read it.
    """
    file = find_config(given, env, places)
    if file is None:
        raise ConfigError(
            f"no configuration: none in the usual places, the last of them {places.system_config}",
            hint="`hlspub init` writes one; --config FILE or $HLSPUB_CONFIG names another.",
        )
    return parse(read_text(file), file, env, places)


def defaults(data_dir: Path | None, env: Environment, places: Places = THIS_MACHINE) -> Config:
    """A configuration without a file and without streams; `data_dir` is the usual one when None."""
    return Config.defaults(data_dir if data_dir is not None else default_data_dir(None, env, places))


def parse(text: str, file: Path, env: Environment, places: Places = THIS_MACHINE) -> Config:
    """The configuration that `text`, the content of `file`, says.

    Raises:
        ConfigError: it is wrong; the message lists every mistake.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        at = re.search(r" \(at line (\d+), column \d+\)$", str(why))
        place, reason = (f"{file}:{at[1]}", str(why)[: at.start()]) if at else (str(file), str(why))
        raise ConfigError(f"{place}: not TOML: {reason}.", hint="See toml.io for how TOML is written.") from why
    reader = _Reader(document, file, env, places)
    config = reader.read()
    if config is None:
        raise ConfigError(report(reader.problems, file=file, lines=lines_of_keys(text), document=document))
    return config


class _Reader:
    """One pass over a document; `problems` gathers what is wrong."""

    def __init__(self, document: dict[str, Any], file: Path, env: Environment, places: Places) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._file = file
        self._base = file.absolute().parent
        self._env = env
        self._places = places

    def read(self) -> Config | None:
        """The configuration, or None when there are problems."""
        stream_tables = self._named("stream")
        streams = {name: self._model(Stream, ("stream", name), table) for name, table in stream_tables}
        targets = {name: self._target(name, table) for name, table in self._named("target")}
        targets.setdefault(LOCAL, LocalTarget())
        routers = {name: self._model(Router, ("router", name), table) for name, table in self._named("router")}
        names = {name: self._model(IpnsName, ("name", name), table) for name, table in self._named("name")}
        hooks = {name: self._kinded(HOOKS, ("hook", name), table) for name, table in self._named("hook")}
        tables: dict[str, Any] = {
            name: self._model(model, (name,), self._table((name,))) for name, model in _TABLES.items()
        }
        top = {name: value for name, value in self._document.items() if name not in {*_NAMED_TABLES, *_TABLES}}
        if "data_dir" not in top:
            with contextlib.suppress(ConfigError):  # then the key is missing, and said to be
                top["data_dir"] = str(default_data_dir(self._file, self._env, self._places))
        head = self._model(Config, (), top)
        self._check_directories(head, stream_tables)
        if head is None or self.problems:
            return None
        tables |= {"stream": streams, "target": targets, "router": routers, "name": names, "hook": hooks}
        config = head.model_copy(update=tables)
        self._check_targets(config)
        self._check_entries(config)
        self.problems += check_names(config)
        return None if self.problems else config

    def _model(self, model: type[_Model], path: KeyPath, table: Table | None) -> _Model | None:
        """A checked table; None when it is wrong or no table."""
        if table is None:
            return None
        try:
            return model.model_validate(table, context={BASE: self._base})
        except ValidationError as why:
            self.problems += problems_of(why, path, model)
            return None

    def _table(self, path: KeyPath) -> Table | None:
        """The table at `path`, empty when it is not written; None (and a problem) when it is something else."""
        value: object = self._document
        for name in path:
            value = cast("Table", value).get(name, {})
        if isinstance(value, dict):
            return cast("Table", value)
        self.problems.append(Problem(path, f"expected a table: write it under [{'.'.join(path)}]"))
        return None

    def _named(self, kind: str) -> list[tuple[str, Table]]:
        """The [KIND.NAME] tables whose names are good."""
        tables = self._table((kind,)) or {}
        good: list[tuple[str, Table]] = []
        for name in tables:
            if not re.fullmatch(NAME_PATTERN, name):
                self.problems.append(
                    Problem((kind, name), "a name is made of a-z, 0-9, _ and -, and begins with a letter or digit")
                )
            elif isinstance(tables[name], dict):
                good.append((name, cast("Table", tables[name])))
            else:
                self.problems.append(Problem((kind, name), f"belongs into a table [{kind}.NAME]"))
        return good

    def _target(self, name: str, table: Table) -> Target | None:
        path, given = ("target", name), {"kind": LOCAL, **table} if name == LOCAL else table
        kind = given.get("kind")
        if isinstance(kind, str) and kind in KINDS and (kind == LOCAL) != (name == LOCAL):
            self.problems.append(
                Problem((*path, "kind"), "the one store of this kind is [target.local], and it has no other kind")
            )
            return None
        return self._kinded(KINDS, path, given)

    def _kinded(self, kinds: Mapping[str, type[_Model]], path: KeyPath, table: Table) -> _Model | None:
        """A table whose key `kind` says what else is in it."""
        kind = table.get("kind")
        if kind is None:
            self.problems.append(Problem((*path, "kind"), f"is missing: one of {', '.join(kinds)}"))
            return None
        if not isinstance(kind, str) or kind not in kinds:
            known = f"there is no such kind of {path[0]} in this version, only: {', '.join(kinds)}"
            self.problems.append(Problem((*path, "kind"), known, nearest(kind, kinds)))
            return None
        return self._model(kinds[kind], path, table)

    def _check_directories(self, head: Config | None, streams: list[tuple[str, Table]]) -> None:
        """No stream in another, and the data directory apart from all of them."""
        places: dict[KeyPath, Path] = {}
        if head is not None:
            places["data_dir",] = head.data_dir
            if wrong := check_state_directory(head.data_dir, self._env):
                self.problems.append(Problem(("data_dir",), f"{head.data_dir}: {wrong}"))
        for name, table in streams:
            if isinstance(path := table.get("path"), str) and path and "\0" not in path:
                places["stream", name, "path"] = anchored(path, self._base)
        for (one, a), (other, b) in combinations([(key, place.resolve()) for key, place in places.items()], 2):
            if a == b or a.is_relative_to(b) or b.is_relative_to(a):
                relation = "the same directory as" if a == b else "inside" if b.is_relative_to(a) else "around"
                self.problems.append(Problem(other, f"is {relation} {'.'.join(one)} ({places[one]}); keep them apart"))

    def _check_entries(self, config: Config) -> None:
        for name, stream in config.stream.items():
            if stream.layout == "flat" and stream.entry != "auto":
                self.problems.append(
                    Problem(("stream", name, "entry"), 'with layout = "flat" each stream\'s entry is its own playlist')
                )

    def _check_targets(self, config: Config) -> None:
        for name, stream in config.stream.items():
            for strange in (one for one in stream.targets if one not in config.target):
                known = ", ".join(config.target)
                self.problems.append(
                    Problem(("stream", name, "targets"), f"there is no such target as {strange!r}, only: {known}")
                )
        said = dict.fromkeys(found for name in config.stream or ("",) if (found := _quorum_problem(config, name)))
        self.problems += said


def _quorum_problem(config: Config, stream: str) -> Problem | None:
    required = config.required_targets(stream)
    whose = f" of stream {stream}" if stream in config.stream and config.stream[stream].targets else ""
    if not required:
        return Problem(("target",), f"no target{whose} is required, so no root could ever count as published")
    if config.confirmations_needed(stream) > len(required):
        noun, verb = ("targets", "are") if len(required) > 1 else ("target", "is")
        only = f"only {len(required)} {noun}{whose} {verb} required"
        return Problem(("publish", "quorum"), f"{only}: {', '.join(required)}")
    return None

"""The example configuration: every key at its default, with why one would turn it.

Rule: written from the models, so it cannot fall behind them. `hlspub init` writes it, and the repository's
config.example.toml is this text.
"""

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from hlspub.config.fields import SHOWN, TAKES_EFFECT, Section, When, said_of
from hlspub.config.hooks import HOOKS
from hlspub.config.kinds import KINDS, LOCAL, LocalTarget
from hlspub.config.model import Config, Gateway, Limits, Publish, Stream
from hlspub.config.names import IpnsName, Router

EXAMPLE_PATH = "/var/lib/transcoder/hls"
_HEAD = """\
# hlspub: every key at its default, with why one would turn it. Take the "# " before a key away to set it.
# Durations: "500ms", "10s", "1h30m". Sizes: "64MiB". Paths: absolute, or relative to this file.
# `hlspub check` shows every mistake at once. A changed key acts on reload (SIGHUP); one marked [next session] acts on a
# stream's next session, one marked [restart] after a restart.
"""
_OTHER_TARGETS = {f"target.my-{kind}": (section, kind) for kind, section in KINDS.items() if kind != LOCAL}
_NAMES: Mapping[str, tuple[type[Section], str | None]] = {
    "name.my-name": (IpnsName, None),
    "router.my-router": (Router, None),
}
_HOOKS = {f"hook.my-{kind}": (section, kind) for kind, section in HOOKS.items()}
_AFTER = {When.NOW: "", When.NEXT_SESSION: " [next session]", When.RESTART: " [restart]"}


def example(path: str = EXAMPLE_PATH, name: str = "main") -> str:
    """The text of an example configuration with one stream, `name`, in the directory `path`."""
    tables: tuple[tuple[str, type[Section]], ...] = (
        (f"stream.{name}", Stream),
        (f"target.{LOCAL}", LocalTarget),
        ("publish", Publish),
        ("gateway", Gateway),
        ("limits", Limits),
    )
    parts = [_HEAD, *_keys(Config, {})]
    for table, section in tables:
        parts += ["", f"# {(section.__doc__ or '').splitlines()[0]}", f"[{table}]"]
        parts += _keys(section, {"path": json.dumps(path, ensure_ascii=False)} if section is Stream else {})
        if section is LocalTarget:
            parts += _optional("Other targets, each in a table with a name of its own", _OTHER_TARGETS)
    parts += _optional("Names of IPNS that streams move, and who carries their records", _NAMES)
    parts += _optional("Hooks: who is told of each publication", _HOOKS)
    return "\n".join(parts) + "\n"


def _optional(title: str, tables: Mapping[str, tuple[type[Section], str | None]]) -> Iterator[str]:
    """Tables as comments, since their names and number are the operator's; each with its model and its kind."""
    yield ""
    yield f'# {title}; take the "#   " away from what you use.'
    for table, (section, kind) in tables.items():
        yield "#"
        yield f"#   # {(section.__doc__ or '').splitlines()[0]}"
        yield f"#   [{table}]"
        needed = {name: _shown(section, name) for name, at in section.model_fields.items() if at.is_required()}
        yield from (f"#   {line}" for line in _keys(section, {"kind": json.dumps(kind), **needed} if kind else needed))


def _keys(section: type[BaseModel], given: dict[str, str]) -> Iterator[str]:
    """Each key with its reason; those in `given` are set, the others stand as comments."""
    for name, field in section.model_fields.items():
        said = said_of(section, name, TAKES_EFFECT)
        if said is None:
            continue  # a table of its own
        yield f"# {field.description}{_AFTER[When(said)]}"
        if name in given:
            yield f"{name} = {given[name]}"
        else:
            yield f"# {name} = {_shown(section, name)}"


def _shown(section: type[BaseModel], name: str) -> str:
    shown = said_of(section, name, SHOWN)
    return shown if shown is not None else json.dumps(section.model_fields[name].default, ensure_ascii=False)

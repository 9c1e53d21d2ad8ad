"""From the tables of hooks to the workers that tell them: one line a kind of hook.

Rule: a part of the composition root, as `building` is for targets. Secrets are read here, once, and travel no further than what
signs with them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

from hlspub.config import hooks as tables
from hlspub.config.model import Config
from hlspub.config.places import Environment
from hlspub.errors import ConfigError
from hlspub.hooks import signing
from hlspub.hooks.base import Hook
from hlspub.hooks.command import Command
from hlspub.hooks.webhook import Webhook
from hlspub.house import House
from hlspub.model import Clock
from hlspub.pipeline.hooks import Teller
from hlspub.targets import http


def build_hook(config: Config, name: str, env: Environment, clock: Clock) -> Hook:
    """The hook of that name; blocking.

    Raises:
        KeyError: the configuration has none of that name.
        ConfigError, PermissionRefused: its secret is not there, or is none.
    """
    table = config.hook[name]
    return BUILDERS[table.kind](name, table, env, clock)


def build_tellers(house: House, config: Config, env: Environment) -> list[Teller]:
    """A worker for each hook; raises what `build_hook` does."""
    return [
        Teller(
            build_hook(config, name, env, house.clock),
            table.timeout,
            table.give_up,
            house.reads,
            house.journal,
            house.clock,
            house.metrics,
        )
        for name, table in config.hook.items()
    ]


def _webhook(name: str, table: tables.Webhook, env: Environment, clock: Clock) -> Hook:
    try:
        secret = signing.read_secret(table.secret.resolve(env).get_secret_value())
    except ConfigError as why:
        raise ConfigError(f"hook.{name}: {why}", hint=why.hint) from why
    return Webhook(name, table.url, secret, http.make_client(concurrency=1), clock)


def _command(name: str, table: tables.CommandHook, env: Environment, _clock: Clock) -> Hook:
    return Command(name, table.command, env)


_Builder = Callable[[str, tables.Hook, Environment, Clock], Hook]
BUILDERS: Mapping[str, _Builder] = MappingProxyType(
    {
        "webhook": cast("_Builder", _webhook),
        "command": cast("_Builder", _command),
    }
)

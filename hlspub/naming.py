"""From the tables of names and routers to the workers that move names: one line a kind of router.

Rule: a part of the composition root, as `building` is for targets. Keys and tokens are read here, once, and travel no further
than the worker that signs.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hlspub.config.model import Config
from hlspub.config.places import Environment
from hlspub.errors import ConfigError, IpnsError
from hlspub.house import House
from hlspub.ipns.key import Key
from hlspub.names import keyring
from hlspub.names.base import NameService
from hlspub.names.delegated import DelegatedRouter
from hlspub.names.kubo import KuboRouter
from hlspub.pipeline.naming import NamePlan, Namer
from hlspub.targets import http

ROUTERS: Mapping[str, Callable[[str, str, http.AsyncClient, str | None], NameService]] = MappingProxyType(
    {
        "kubo": KuboRouter,
        "delegated": DelegatedRouter,
    }
)


def build_namers(house: House, env: Environment) -> list[Namer]:
    """A worker for each name that a stream moves; blocking.

    Raises:
        ConfigError, InputError, PermissionRefused, IpnsError: a key or token is not there, or is none.
    """
    config = house.config
    namers: list[Namer] = []
    for stream, table in config.stream.items():
        if table.name is not None:
            name = config.name[table.name]
            plan = _plan(config, table.name, stream, key_of(config, table.name, env))
            chosen = config.router if name.routers is None else name.routers
            services = [build_router(config, one, env) for one in chosen]
            namers.append(Namer(plan, services, house.reads, house.journal, house.clock, house.metrics))
    return namers


def _plan(config: Config, label: str, stream: str, key: Key) -> NamePlan:
    name = config.name[label]
    targets = config.required_targets(stream) if name.targets is None else name.targets
    return NamePlan(label, stream, key, name.ttl, name.validity, name.interval, name.refresh, frozenset(targets))


def key_of(config: Config, label: str, env: Environment) -> Key:
    """The key that signs for a name; raises what `build_namers` does."""
    name = config.name[label]
    if name.key is None:
        return keyring.find(config.data_dir, label)
    try:
        return Key.read(name.key.resolve(env).get_secret_value().encode())
    except IpnsError as why:
        raise ConfigError(f"name.{label}: {why}", hint=why.hint) from why


def build_router(config: Config, name: str, env: Environment) -> NameService:
    """The router of that name; its caller closes it. Raises what `build_namers` does."""
    router = config.router[name]
    token = None if router.token is None else router.token.resolve(env).get_secret_value()
    return ROUTERS[router.kind](name, router.url, http.make_client(concurrency=2), token)

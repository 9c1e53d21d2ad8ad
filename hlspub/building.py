"""From a target's table in the configuration to the target: one line a kind.

Rule: this is part of the composition root; `app` and the commands that reach targets by themselves import it, nothing else.
A builder is given the target's name, its table and `Parts`; it opens nothing and sends nothing. Secrets are read here, at the
start, and travel on as `SecretStr`; what a w3up space is signed with is read again when the configuration is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from hlspub.building_s3 import build_s3
from hlspub.config.kinds import ClusterTarget, KuboTarget, LocalTarget, S3Target, W3upTarget
from hlspub.config.kinds.http import HttpTarget
from hlspub.config.model import Config
from hlspub.config.places import Environment
from hlspub.errors import ConfigError, DataError
from hlspub.ipld.cid import Cid
from hlspub.pipeline.shelf import CarFiles
from hlspub.spool.store import CarStore
from hlspub.targets import http
from hlspub.targets.base import Capabilities, Target
from hlspub.targets.cluster import ClusterTarget as Cluster
from hlspub.targets.cluster import Replication
from hlspub.targets.cluster_rest import ClusterRest
from hlspub.targets.kubo import KuboTarget as KuboNode
from hlspub.targets.kubo_rpc import KuboRpc, authorization
from hlspub.targets.local import LocalTarget as LocalStore
from hlspub.targets.w3up.agent import Agent, Service
from hlspub.targets.w3up.exchange import Exchange
from hlspub.targets.w3up.target import Receipts
from hlspub.targets.w3up.target import W3upTarget as W3upSpace
from hlspub.telemetry.clock import SystemClock
from hlspub.ucan import grant
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import Proof

SPARE = 2  # connections beyond those for puts: a bind and a question need not wait for an upload


@dataclass(frozen=True, slots=True)
class Parts:
    """What a target may be made of.

    Attributes:
        concurrency: how many puts at once, unless the target's table says otherwise.
        env: where secrets are looked for.
        spool, store: the CARs on their way, and those of the local target.
        blocks: a block of either, unchecked; None where neither has it.
        receipts: what the target of that name confirmed, as the journal knows.
    """

    concurrency: int
    env: Environment
    spool: CarStore
    store: CarStore
    blocks: Callable[[Cid], Awaitable[bytes | None]]
    receipts: Callable[[str], Receipts]

    @property
    def files(self) -> CarFiles:
        """Opens the CARs that are to be sent."""
        return CarFiles((self.spool, self.store))


Builder = Callable[[str, Any, Parts], Target]
"""(name, the target's table as its kind's model, parts); raises ConfigError or PermissionRefused over a secret."""


def _local(name: str, table: LocalTarget, parts: Parts) -> Target:
    def adopt(key: str) -> None:
        parts.store.adopt(key, parts.spool)

    return LocalStore(name, parts.store, adopt, parts.blocks, table.concurrency or parts.concurrency)


def _w3up(name: str, table: W3upTarget, parts: Parts) -> Target:
    signer, proof = _identity(name, table, parts.env)
    space = table.space or next(iter(grant.spaces(proof)), None)
    if space is None:
        raise ConfigError(f"target.{name}: its proof names no space", hint='Set space = "did:key:…".')
    concurrency = table.concurrency or parts.concurrency
    service = Service(table.url, f"{table.receipts or table.url + '/receipt'}/", table.audience)
    exchange = Exchange(http.make_client(concurrency=2 * concurrency))
    return W3upSpace(
        name,
        Agent(service, signer, proof, space, exchange, SystemClock()),
        parts.files.open,
        parts.receipts(name),
        Capabilities(
            concurrency=concurrency,
            shard_cars=table.shard_cars,
            shard_bytes=table.shard_size,
            shard_age_s=table.shard_age,
        ),
    )


def _identity(name: str, table: W3upTarget, env: Environment) -> tuple[Signer, Proof]:
    try:
        return (
            Signer.parse(table.key.resolve(env).get_secret_value()),
            Proof.parse(table.proof.resolve(env).get_secret_value()),
        )
    except DataError as why:
        raise ConfigError(f"target.{name}: {why}", hint=why.hint) from why


def _renewed(space: W3upSpace, table: W3upTarget, env: Environment) -> Callable[[], None]:
    signer, proof = _identity(space.name, table, env)
    agent = space.agent
    if table.space is None and agent.space not in grant.spaces(proof):
        raise ConfigError(
            f"target.{space.name}: its new proof is not for {agent.space}",
            hint="Get one for that space; for another space, restart hlspub.",
        )

    def renew() -> None:
        agent.signer, agent.proof = signer, proof

    return renew


def _kubo(name: str, table: KuboTarget, parts: Parts) -> Target:
    concurrency = table.concurrency or parts.concurrency
    headers, client = _headers(table, parts), http.make_client(concurrency=concurrency + SPARE)
    rpc = KuboRpc(table.url, client, headers)
    return KuboNode(name, rpc, client, parts.files.open, parts.blocks, concurrency, frozenset(table.lacks))


def _cluster(name: str, table: ClusterTarget, parts: Parts) -> Target:
    concurrency = table.concurrency or parts.concurrency
    client = http.make_client(concurrency=concurrency + SPARE)
    node = None
    if table.node is not None:
        node = KuboNode(name, KuboRpc(table.node, client, {}), client, parts.files.open, parts.blocks)
    expire_in = None if table.expire is None else f"{round(table.expire)}s"
    return Cluster(
        name,
        ClusterRest(table.url, client, _headers(table, parts)),
        parts.files.open,
        parts.blocks,
        client.aclose,
        Replication(table.replication_min, table.replication_max, expire_in),
        node,
        concurrency,
    )


def _headers(table: HttpTarget, parts: Parts) -> dict[str, str]:
    """Who we are to the service."""
    token = table.token.resolve(parts.env) if table.token else None
    password = table.password.resolve(parts.env) if table.password else None
    return authorization(token=token, user=table.user, password=password)


def _s3(name: str, table: S3Target, parts: Parts) -> Target:
    return build_s3(
        name,
        table,
        parts.env,
        data_dir=parts.spool.root.parent,
        open_car=parts.files.open,
        concurrency=table.concurrency or parts.concurrency,
    )


BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "local": _local,
        "s3": _s3,
        "w3up": _w3up,
        "kubo": _kubo,
        "cluster": _cluster,
    }
)


def build_target(config: Config, name: str, parts: Parts) -> Target:
    """The target of that name.

    Raises:
        KeyError: the configuration has none of that name.
        ConfigError, PermissionRefused: a secret of its is not there, or may be read by everyone.
    """
    table = config.target[name]
    return BUILDERS[table.kind](name, table, parts)


def build_targets(config: Config, parts: Parts) -> list[Target]:
    """All configured targets, in the configuration's order; raises what `build_target` does."""
    return [build_target(config, name, parts) for name in config.target]


def read_again(config: Config, targets: Sequence[Target], env: Environment) -> list[Callable[[], None]]:
    """What targets sign with, read once more, since proofs end and are replaced; to call what is returned puts it in force.

    Raises:
        ConfigError, PermissionRefused: a secret is not there or is none; nothing has changed then.
    """
    spaces = [target for target in targets if isinstance(target, W3upSpace)]
    return [_renewed(space, cast("W3upTarget", config.target[space.name]), env) for space in spaces]

"""From an [target.NAME] table of kind s3 to the bucket, the target and the heads.

Rule: part of the composition root, as `building`. obstore is an extra: it is imported when a table asks for it, and its absence
is the configuration's error.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hlspub.config.kinds import S3Target as Table
from hlspub.config.model import Config
from hlspub.config.places import Environment
from hlspub.errors import ConfigError
from hlspub.spool.writer import writer_of
from hlspub.targets.base import Capabilities
from hlspub.targets.s3.profiles import PROFILES

if TYPE_CHECKING:
    from hlspub.targets.s3.bucket import Bucket
    from hlspub.targets.s3.target import S3Target

SHARD_CARS = 200  # of one object; a CAR's header names fewer than 256 roots
_EXTRA = "obstore"


def need_extra(what: str) -> None:
    """Say what to install when the extra is not there.

    Raises:
        ConfigError: it is not.
    """
    if find_spec(_EXTRA) is None:
        raise ConfigError(
            f"{what} needs the package {_EXTRA}", hint="pip install 'hlspub[s3]' into hlspub's environment."
        )


def s3_table(config: Config, name: str | None) -> tuple[str, Table]:
    """The bucket that is meant: the one that is named, else the only one of kind s3.

    Raises:
        ConfigError: there is none, or there are several.
    """
    tables = {one: table for one, table in config.target.items() if isinstance(table, Table)}
    if name is not None and name not in tables:
        raise ConfigError(f"there is no target {name!r} of kind s3", hint=f"There are: {', '.join(tables) or 'none'}.")
    if name is None and len(tables) != 1:
        raise ConfigError(
            "there are several buckets" if tables else "there is no bucket",
            hint=f"--target: one of {', '.join(tables)}." if tables else 'Add a [target.NAME] with kind = "s3".',
        )
    chosen = name or next(iter(tables))
    return chosen, tables[chosen]


def build_bucket(name: str, table: Table, env: Environment) -> "Bucket":
    """The bucket of a table; nothing is sent.

    Raises:
        ConfigError: the extra is not installed, an endpoint is missing, or a secret is not there.
        PermissionRefused: a secret may be read by everyone.
    """
    need_extra(f'target.{name}: kind = "s3"')
    profile = PROFILES[table.profile]
    if table.endpoint is None and profile.endpoint:
        raise ConfigError(
            f'target.{name}.endpoint is missing: profile = "{table.profile}" needs one',
            hint='It looks like endpoint = "https://s3.example.net".',
        )
    bucket = import_module("hlspub.targets.s3.bucket")
    address = bucket.Address(
        bucket=table.bucket,
        access_key=table.access_key.resolve(env).get_secret_value(),
        secret_key=table.secret_key.resolve(env).get_secret_value(),
        endpoint=table.endpoint,
        region=table.region or profile.region,
        prefix=table.prefix,
        path_style=profile.path_style if table.path_style is None else table.path_style,
    )
    made: Bucket = bucket.Bucket(name, address)
    return made


def build_s3(
    name: str,
    table: Table,
    env: Environment,
    *,
    data_dir: Path,
    open_car: Callable[[str], BinaryIO],
    concurrency: int,
) -> "S3Target":
    """The target of a table; raises what `build_bucket` does."""
    bucket, profile = build_bucket(name, table, env), PROFILES[table.profile]
    age_s = table.shard_age if "shard_age" in table.model_fields_set else profile.shard_age_s
    capabilities = Capabilities(
        concurrency=concurrency,
        shard_cars=1 if age_s is None or profile.names_cid else SHARD_CARS,
        shard_bytes=table.shard_size,
        shard_age_s=age_s or 0.0,
        reads=True,
        heads=True,
    )
    made: S3Target = import_module("hlspub.targets.s3.target").S3Target(
        name=name,
        bucket=bucket,
        writer=lambda: writer_of(data_dir),
        open_car=open_car,
        capabilities=capabilities,
        metadata=profile.metadata,
        names_cid=profile.names_cid,
    )
    return made

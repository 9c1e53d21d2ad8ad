"""From the configuration to what a stream runs by."""

from math import inf

from hlspub.config.change import tree_settings
from hlspub.config.model import Config
from hlspub.engine.files import Quorum
from hlspub.engine.keeping import Keep
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.hls.tops import FLAT_SUFFIX
from hlspub.pipeline.stream import StreamPlan


def plan_of(config: Config, name: str) -> StreamPlan:
    """A stream's plan; TABLE/NAME is one of those that a table with another layout than `single` has."""
    table, _, child = name.partition("/")
    stream, shape = config.stream[table], tree_settings(config, table)
    return StreamPlan(
        name,
        stream.path / child if stream.layout == "nested" else stream.path,
        TreeSettings(
            profile=str(shape["profile"]),
            layout=stream.layout,
            entry=f"{child}{FLAT_SUFFIX}" if stream.layout == "flat" else stream.entry,
            retention=Retention(stream.retention),
            include=stream.include,
            publish_keys=stream.publish_keys,
        ),
        publish_interval_s=stream.publish_interval,
        end_on=frozenset(stream.end_on),
        idle_s=stream.idle,
        settle_s=stream.settle,
        rescan_s=stream.rescan,
        playlist_size=config.limits.playlist_size,
        keep_roots_s=config.publish.keep_roots,
        rotate_s=stream.rotate,
        only_listed=stream.layout == "flat",
    )


def keep_of(config: Config) -> Keep:
    """Which roots stay: the configuration writes an age as seconds, a float, and a number of sessions as an int."""
    sessions = config.publish.keep_sessions
    return Keep(
        config.publish.keep_roots,
        age_s=sessions if isinstance(sessions, float) else None,
        count=sessions if isinstance(sessions, int) else None,
    )


def quorum_of(config: Config, name: str) -> Quorum:
    """Which targets a stream's roots wait for."""
    return Quorum(frozenset(config.required_targets(name)), config.confirmations_needed(name))


def hold_of(config: Config) -> float:
    """How long a CAR may wait for others that go with it, in seconds: no root is to be a tick late for it."""
    intervals = (stream.publish_interval for stream in config.stream.values())
    return min((one for one in intervals if one is not None), default=inf)

"""From the configuration to what a stream runs by."""

from hlspub.config.change import tree_settings
from hlspub.config.model import Config
from hlspub.engine.files import Quorum
from hlspub.engine.settings import Retention, TreeSettings
from hlspub.pipeline.stream import StreamPlan


def plan_of(config: Config, name: str) -> StreamPlan:
    """A stream's plan."""
    stream, shape = config.stream[name], tree_settings(config, name)
    return StreamPlan(
        name,
        stream.path,
        TreeSettings(
            profile=str(shape["profile"]),
            layout=stream.layout,
            entry=stream.entry,
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
    )


def quorum_of(config: Config) -> Quorum:
    """Which targets a root waits for."""
    return Quorum(frozenset(config.required_targets()), config.confirmations_needed())

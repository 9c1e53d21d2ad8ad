"""What tables say of others by name: a stream of its name, a name of its routers and targets, a hook of its streams."""

from collections.abc import Iterator

from hlspub.config.model import Config
from hlspub.config.problems import Problem, nearest


def check_names(config: Config) -> Iterator[Problem]:
    """Everything that names, or is named by, what is not there; and a name that two streams move."""
    yield from _of_streams(config)
    for label, hook in config.hook.items():
        for one in hook.streams:
            if one not in config.stream:
                yield Problem(("hook", label, "streams"), f"there is no [stream.{one}]", nearest(one, config.stream))
    for label, name in config.name.items():
        for key, given, known in (("routers", name.routers, config.router), ("targets", name.targets, config.target)):
            for one in given or ():
                if one not in known:
                    yield Problem(("name", label, key), f"there is no [{key[:-1]}.{one}]", nearest(one, known))
        if name.ttl > name.validity:
            yield Problem(("name", label, "ttl"), "is longer than validity")


def _of_streams(config: Config) -> Iterator[Problem]:
    moved_by: dict[str, str] = {}
    for stream, table in config.stream.items():
        if table.name is None:
            continue
        path = ("stream", stream, "name")
        if table.layout != "single":
            yield Problem(
                path, 'a table of several streams has no name: give each a [stream.NAME] with layout "single"'
            )
        if table.name not in config.name:
            yield Problem(path, f"there is no table [name.{table.name}]", nearest(table.name, config.name))
        elif table.name in moved_by:
            yield Problem(path, f"the stream {moved_by[table.name]} moves this name already")
        moved_by[table.name] = stream

import json
from pathlib import Path

import pytest

from hlspub.config.change import Change, diff, tree_settings, without_restart
from hlspub.config.load import parse
from hlspub.config.model import Config
from hlspub.engine.settings import TreeSettings

BASE = """
data_dir = "/d"
[stream.main]
path = "/hls"
"""


def config(text: str = "") -> Config:
    """The base with more keys at its top and more tables at its end."""
    head, bracket, tail = text.partition("[")
    return parse(head + BASE + bracket + tail, Path("/etc/c.toml"), {})


def stream(line: str) -> Config:
    """The base with another line for its stream."""
    return parse(BASE + line, Path("/etc/c.toml"), {})


def test_an_unchanged_configuration_changes_nothing() -> None:
    reload = diff(config(), config())
    assert not any(getattr(reload, name) for name in reload.__slots__)


def test_streams_come_and_go() -> None:
    reload = diff(config('[stream.old]\npath = "/old"'), config('[stream.new]\npath = "/new"'))
    assert (reload.streams_added, reload.streams_removed) == (("new",), ("old",))
    assert not reload.at_once + reload.next_session + reload.restart


@pytest.mark.parametrize(
    ("line", "when", "change"),
    [
        ('publish_interval = "off"', "at_once", Change("stream.main.publish_interval", 10.0, None)),
        ('idle = "1m"', "at_once", Change("stream.main.idle", 300.0, 60.0)),
        ('end_on = ["signal"]', "at_once", Change("stream.main.end_on", ("endlist", "signal", "idle"), ("signal",))),
        ('retention = "window"', "next_session", Change("stream.main.retention", "archive", "window")),
        ('entry = "a.m3u8"', "next_session", Change("stream.main.entry", "auto", "a.m3u8")),
        ('include = ["a"]', "next_session", Change("stream.main.include", (), ("a",))),
        ("publish_keys = true", "next_session", Change("stream.main.publish_keys", old=False, new=True)),
        ('watch = "poll"', "restart", Change("stream.main.watch", "auto", "poll")),
    ],
)
def test_a_streams_key_takes_effect_when_its_model_says(line: str, when: str, change: Change) -> None:
    reload = diff(config(), stream(line))
    assert getattr(reload, when) == (change,)
    assert len(reload.at_once + reload.next_session + reload.restart) == 1


def test_publishing_keys_is_turned_off_at_once() -> None:
    reload = diff(stream("publish_keys = true"), config())
    assert reload.at_once == (Change("stream.main.publish_keys", old=True, new=False),)
    assert not reload.next_session


def test_the_other_tables_are_compared() -> None:
    new = config(
        """log_level = "debug"
        [publish]
        keep_roots = "2h"
        profile = "unixfs-v0-2015"
        [gateway]
        listen = "off"
        [limits]
        hash_threads = 4
        """
    )
    reload = diff(config(), new)
    assert [change.key for change in reload.at_once] == ["log_level", "publish.keep_roots", "limits.hash_threads"]
    assert [change.key for change in reload.next_session] == ["publish.profile"]
    assert [change.key for change in reload.restart] == ["gateway.listen"]


def test_what_needs_a_restart_keeps_its_old_value() -> None:
    old = config()
    new = parse(
        """
        data_dir = "/elsewhere"
        [stream.main]
        path = "/moved"
        idle = "1m"
        retention = "window"
        [stream.more]
        path = "/more"
        watch = "poll"
        [gateway]
        listen = "off"
        [limits]
        hash_threads = 4
        """,
        Path("/etc/c.toml"),
        {},
    )
    kept = without_restart(old, new)
    assert (kept.data_dir, kept.gateway, kept.stream["main"].path) == (old.data_dir, old.gateway, Path("/hls"))
    assert (kept.stream["main"].idle, kept.stream["main"].retention) == (60.0, "window")
    assert (kept.stream["more"], kept.limits) == (new.stream["more"], new.limits)
    assert not diff(old, kept).restart
    assert [change.key for change in diff(old, new).restart] == ["data_dir", "gateway.listen", "stream.main.path"]


def test_the_settings_that_shape_a_tree_are_those_that_a_session_records() -> None:
    settings = tree_settings(stream('include = ["a"]\nretention = "window"'), "main")
    assert settings.keys() | {"layout"} == set(TreeSettings.__slots__)  # a layout holds from start to start
    read_back = TreeSettings.from_json(json.dumps(settings))
    assert read_back == TreeSettings(retention=read_back.retention, include=("a",))
    assert read_back.retention.value == "window"
    assert json.loads(read_back.to_json()) == settings | {"layout": "single"}


def test_the_settings_of_an_unknown_stream_are_a_bug() -> None:
    with pytest.raises(KeyError):
        tree_settings(config(), "absent")

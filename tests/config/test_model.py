from pathlib import Path
from typing import Literal

import pytest
from pydantic import ValidationError

from hlspub.config.kinds import LocalTarget, Target
from hlspub.config.load import parse
from hlspub.config.model import Config, Publish, Stream


class Far(Target, frozen=True):
    kind: Literal["far"] = "far"


def config(quorum: int | str = "all", **targets: Target) -> Config:
    publish = Publish.model_validate({"quorum": quorum})
    return Config.defaults(Path("/d")).model_copy(
        update={"target": {"local": LocalTarget(), **targets}, "publish": publish}
    )


def test_alone_the_local_store_is_required() -> None:
    assert config().required_targets() == ("local",)


def test_beside_another_target_the_local_store_is_not_required() -> None:
    assert config(node=Far()).required_targets() == ("node",)
    assert config(node=Far(required=False), other=Far()).required_targets() == ("other",)


def test_what_is_said_counts_for_the_local_store_too() -> None:
    assert config(node=Far(), local=LocalTarget(required=True)).required_targets() == ("local", "node")
    assert config(node=Far(required=False)).required_targets() == ()


def test_the_quorum_is_all_that_are_required_or_a_number() -> None:
    assert config(a=Far(), b=Far()).confirmations_needed() == 2
    assert config(1, a=Far(), b=Far()).confirmations_needed() == 1


def test_a_stream_may_have_targets_of_its_own() -> None:
    streams = {"a": Stream(path=Path("/a"), targets=("x",)), "b": Stream(path=Path("/b"), targets=("y", "local"))}
    made = config(x=Far(), y=Far(required=False), z=Far()).model_copy(update={"stream": streams})
    assert made.targets_of("a") == ("local", "x")
    assert made.required_targets("a") == ("x",)
    assert made.confirmations_needed("a") == 1
    assert made.required_targets("b") == ()
    assert made.targets_of("c") == ("local", "x", "y", "z")
    assert made.waited_for() == {"x"}


@pytest.mark.parametrize("line", ['publish_interval = "100ms"', 'idle = "1s"', 'settle = "50ms"', 'rescan = "100ms"'])
def test_the_shortest_duration_is_long_enough(line: str) -> None:
    parse(f'[stream.main]\npath = "/hls"\n{line}', Path("/c.toml"), {"HOME": "/h"})


def test_a_configuration_does_not_change() -> None:
    made = config()
    with pytest.raises(ValidationError, match="frozen"):
        made.data_dir = Path("/other")
    with pytest.raises(ValidationError, match="frozen"):
        made.publish.keep_roots = 1.0

from pathlib import Path

import pytest

from hlspub.config.change import diff
from hlspub.config.load import parse
from hlspub.config.model import Config
from hlspub.errors import ConfigError

STREAM = '[stream.a]\npath = "/srv/a"\nname = "show"\n'


def load(text: str) -> Config:
    return parse(text, Path("/etc/hlspub/config.toml"), {})


def test_a_stream_has_a_name_and_a_name_its_routers() -> None:
    config = load(f'{STREAM}[name.show]\nttl = "5s"\n[router.node]\nkind = "kubo"\nurl = "http://127.0.0.1:5001"\n')
    assert config.stream["a"].name == "show"
    assert (config.name["show"].ttl, config.name["show"].validity) == (5.0, 172_800.0)
    assert config.router["node"].kind == "kubo"
    assert load('[stream.a]\npath = "/srv/a"\nname = "off"\n').stream["a"].name is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (STREAM + "[name.shop]\n", r'no table \[name.show\]. Did you mean "shop"'),
        (STREAM + '[stream.b]\npath = "/srv/b"\nname = "show"\n[name.show]\n', "the stream a moves this name already"),
        (STREAM + 'layout = "nested"\n[name.show]\n', "several streams"),
        ('[name.show]\nrouters = ["node"]\n', r"no \[router.node\]"),
        ('[name.show]\ntargets = ["node"]\n', r"no \[target.node\]"),
        ('[name.show]\nttl = "2h"\nvalidity = "1h"\n', "longer than validity"),
        ('[router.node]\nkind = "kubu"\nurl = "http://x"\n', 'Did you mean "kubo"'),
        ('[router.node]\nkind = "kubo"\nurl = "127.0.0.1:5001"\n', "expected a URL"),
    ],
)
def test_a_mistake_is_named(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(text)


def test_names_and_routers_change_at_a_restart() -> None:
    change = diff(load(STREAM + "[name.show]\n"), load(STREAM + '[name.show]\nttl = "2m"\n'))
    assert [one.key for one in change.restart] == ["name"]

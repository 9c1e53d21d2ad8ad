"""`replicate`, and `verify` and `export` from a target, with a real Kubo node."""

from pathlib import Path

import pytest

from tests.cli.conftest import Hlspub
from tests.support.kubo import KuboDaemon


@pytest.fixture
def config(tmp_path: Path, kubo_node: KuboDaemon) -> Path:
    """One that names the shared node, not required, and one that is away."""
    path = tmp_path / "c.toml"
    path.write_text(
        f'data_dir = "{tmp_path}/data"\n'
        f'[target.node]\nkind = "kubo"\nurl = "{kubo_node.url}"\n'
        '[target.away]\nkind = "kubo"\nurl = "http://127.0.0.1:1"\nrequired = false\n'
    )
    return path


@pytest.fixture
def root(tmp_path: Path, hlspub: Hlspub, show: Path) -> str:
    """A root that this machine alone has: the node is shared, so each test has bytes of its own."""
    segment = next(show.rglob("*.ts"))
    segment.write_bytes(segment.read_bytes() + tmp_path.name.encode())
    alone = tmp_path / "alone.toml"
    alone.write_text(f'data_dir = "{tmp_path}/data"\n')
    published = hlspub("publish", show, "--config", alone, "--json")
    assert published.code == 0, published.err
    return str(published.json["root"])


@pytest.mark.kubo
def test_a_root_goes_to_a_node_that_was_added_later(
    tmp_path: Path, hlspub: Hlspub, config: Path, root: str, kubo_node: KuboDaemon
) -> None:
    lacking = hlspub("verify", root, "--from", "node", "--config", config)
    assert lacking.code in (65, 66)
    done = hlspub("replicate", root, "--to", "node", "--config", config, "--json")
    assert done.code == 0, done.err
    assert done.json["root"] == root
    assert done.json["cars"] == 5
    assert root in kubo_node.pins()
    again = hlspub("replicate", root, "--to", "node", "--config", config, "--json")
    assert again.json == done.json
    verified = hlspub("verify", root, "--from", "node", "--config", config, "--json")
    assert (verified.code, verified.json["playlists_ok"], verified.json["missing"]) == (0, True, 0)
    exported = hlspub("export", root, "--from", "node", "-o", tmp_path / "x.car", "--config", config)
    assert exported.code == 0
    assert (tmp_path / "x.car").read_bytes() == kubo_node("dag", "export", "--offline", "--progress=false", root)


@pytest.mark.kubo
def test_a_node_that_serves_another_is_a_source_too(
    tmp_path: Path, hlspub: Hlspub, config: Path, root: str, kubo_node: KuboDaemon
) -> None:
    assert hlspub("replicate", root, "--to", "node", "--config", config).code == 0
    verified = hlspub("verify", root, "--from", kubo_node.gateway, "--config", config, "--json")
    assert (verified.code, verified.json["playlists_ok"]) == (0, True)


@pytest.mark.kubo
def test_check_reaches_each_target(hlspub: Hlspub, config: Path) -> None:
    done = hlspub("check", "--config", config, "--json")
    found = {one["what"]: (one["state"], one["text"]) for one in done.json["findings"]}
    assert found["target.node"][0] == "ok"
    assert "Kubo 0." in found["target.node"][1]
    assert found["target.away"][0] == "warning"
    assert "no connection" in found["target.away"][1]
    config.write_text(config.read_text().replace("required = false", "required = true"))
    done = hlspub("check", "--config", config, "--json")
    assert (done.code, done.json["ok"]) == (69, False)


@pytest.mark.kubo
def test_who_is_away_or_unknown_is_said(
    hlspub: Hlspub, config: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = hlspub("replicate", root, "--to", "away", "--config", config)
    assert (away.code, "no connection" in away.err) == (69, True)
    for name in ("nobody", "local"):
        unknown = hlspub("replicate", root, "--to", name, "--config", config)
        assert unknown.code == 66
        assert "Configured are: node, away." in unknown.err

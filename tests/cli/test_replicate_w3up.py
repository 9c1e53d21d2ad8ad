"""`replicate` into a real w3up service; the service's own libraries read it back."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Hlspub
from tests.targets.w3up_service import NODE, Service, serving

pytestmark = pytest.mark.w3up


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as made:
        yield made


def test_a_recording_moves_to_a_space(tmp_path: Path, hlspub: Hlspub, show: Path, service: Service) -> None:
    space = service.space(can=["space/blob/add", "space/index/add", "upload/add"])
    alone, both = tmp_path / "alone.toml", tmp_path / "both.toml"
    alone.write_text(f'data_dir = "{tmp_path}/data"\n')
    for name, secret in (("key", service.ready["agent"]["seed_base64"]), ("proof", space["proof"]["archive_base64"])):
        (tmp_path / name).write_text(secret + "\n")
        (tmp_path / name).chmod(0o600)
    both.write_text(
        f'data_dir = "{tmp_path}/data"\n[target.space]\nkind = "w3up"\nurl = "{service.url}"\n'
        f'audience = "{service.ready["service_did"]}"\nkey = {{ file = "key" }}\nproof = {{ file = "proof" }}\n'
    )
    root = str(hlspub("publish", show, "--config", alone, "--json").json["root"])
    for _ in range(2):
        done = hlspub("replicate", root, "--to", "space", "--config", both, "--json")
        assert done.code == 0, done.err
    command = ["node", "rebuild.mjs", service.ready["admin"], space["did"], root, str(show)]
    read = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False, timeout=60)
    assert read.returncode == 0, read.stderr
    said = json.loads(read.stdout)
    assert said["wrong"] == []
    assert said["shards"] == said["indexed"] == 1
    checked = hlspub("check", "--config", both)
    assert f"{space['did']} lets {service.ready['agent']['did']}" in checked.out

"""Second implementations, as fixtures: the npm packages of tests/node, and Kubo."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.judges.kubo import Kubo

NODE = Path(__file__).parent.parent / "node"


@pytest.fixture
def kubo(tmp_path: Path) -> Callable[[str], Kubo]:
    """Makes the repository of a profile."""
    return lambda profile: Kubo(tmp_path / f"kubo-{profile}", profile)


@pytest.fixture
def node() -> Callable[..., Any]:
    """Runs a script of tests/node and reads the JSON that it prints."""

    def run(script: str, *arguments: object) -> Any:
        words = ["node", str(NODE / script), *map(str, arguments)]
        done = subprocess.run(words, cwd=NODE, capture_output=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return json.loads(done.stdout)

    return run


@pytest.fixture
def ipfs_car() -> Callable[[Path, Path], str]:
    """`ipfs-car pack SOURCE -o CAR`; the answer is the root."""

    def pack(source: Path, car: Path) -> str:
        words = [str(NODE / "node_modules/.bin/ipfs-car"), "pack", "--no-wrap", "-o", str(car), str(source)]
        done = subprocess.run(words, cwd=NODE, capture_output=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode().strip()

    return pack

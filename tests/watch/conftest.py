from pathlib import Path

import pytest

from tests.watch.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "stream"
    root.mkdir()
    return Bench(root)

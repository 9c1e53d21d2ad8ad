from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site
from tests.system.bucket_scene import Scene, a_bucket


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with a_bucket(tmp_path) as made:
        yield made

"""What `pip install .` brings: everything that runs, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from hlspub import __version__
from hlspub.cli.version import LIBRARIES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built without a network by the backend that is installed here."""
    repository, out = Path(__file__).parents[2], tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(build, cwd=repository, check=True, capture_output=True, timeout=120)
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


@pytest.fixture(scope="module")
def names(wheel: zipfile.ZipFile) -> set[str]:
    return set(wheel.namelist())


def test_it_holds_every_module_and_data_file(names: set[str], sources: list[Path]) -> None:
    package = {str(path) for path in sources if path.parts[0] == "hlspub"}
    assert package
    assert package <= names
    assert "hlspub/py.typed" in names
    assert any(name.startswith("hlspub/gateway/static/") for name in names)


def test_it_holds_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"hlspub", f"hlspub-{__version__}.dist-info"}


def test_it_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    about = zipfile.Path(wheel) / f"hlspub-{__version__}.dist-info"
    assert (about / "entry_points.txt").read_text() == "[console_scripts]\nhlspub = hlspub.cli:main\n"
    assert "Apache License" in (about / "licenses" / "LICENSE").read_text()
    metadata = (about / "METADATA").read_text()
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "# hlspub" in metadata  # the README is its description


def project(repository: Path) -> dict[str, object]:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def test_the_version_stands_in_one_place_more_only(repository: Path) -> None:
    assert project(repository)["version"] == __version__


def test_version_reports_every_library(repository: Path) -> None:
    wanted = project(repository)["dependencies"]
    assert isinstance(wanted, list)
    assert sorted(name.partition(">")[0] for name in wanted) == sorted(LIBRARIES)
    assert all(version(name) for name in LIBRARIES)

"""The repository as a person sees it: its files, whether or not it is a Git checkout."""

import subprocess
from pathlib import Path

import pytest

MADE = {".venv", ".git", "node_modules", "__pycache__", "demo", "build", "dist"}


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources(repository: Path) -> list[Path]:
    """Every file that is part of the project, relative to it."""
    if (repository / ".git").exists():
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=repository, check=True, capture_output=True, text=True).stdout.split("\0")
        paths = [Path(name) for name in names if name]
    else:
        paths = [path.relative_to(repository) for path in repository.rglob("*")]
    kept = [path for path in paths if not MADE & set(path.parts) and (repository / path).is_file()]
    return [path for path in kept if not any(part.endswith("_cache") or part == ".hypothesis" for part in path.parts)]

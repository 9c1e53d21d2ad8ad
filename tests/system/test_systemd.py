"""What the service manager is told, on a real socket."""

import signal
import time
from pathlib import Path

import httpx

from tests.support.daemon import until
from tests.support.notify import Manager
from tests.support.site import Site
from tests.support.writer import Writer

MANY = 300  # files that the first scan has to take


def test_ready_comes_after_the_first_scan_and_the_gateway(site: Site, tmp_path: Path) -> None:
    site.configure()
    Writer(site.hls, ("",), size=1000).step(MANY)
    with Manager(tmp_path / "notify") as manager:
        daemon = site.daemon(manager.environ())
        manager.wait("READY")
        ready = daemon.wait("daemon.ready")
        names = [event["event"] for event in daemon.events]
        assert names.index("watch.scan_finished") < names.index("daemon.ready")
        assert manager.told[0][1]["READY"] == "1", "nothing was said before"
        assert "main" in manager.told[0][1]["STATUS"]
        assert httpx.get(f"{ready['gateway']}/readyz").status_code == 200


def test_the_watchdog_is_fed_while_all_is_well_and_no_longer(site: Site, tmp_path: Path) -> None:
    site.configure()
    with Manager(tmp_path / "notify") as manager:
        daemon = site.daemon(manager.environ(watchdog_s=1.0))
        manager.wait("WATCHDOG", 4)
        times = [at for at, _ in manager.of("WATCHDOG")]
        assert len(times) >= 4
        daemon.send(signal.SIGSTOP)
        until(lambda: _silent(manager, 1.5), "a stopped process feeds no watchdog")
        fed = len(manager.of("WATCHDOG"))
        daemon.send(signal.SIGCONT)
        manager.wait("WATCHDOG", fed + 2)


def test_status_tells_the_streams_and_their_roots(site: Site, tmp_path: Path) -> None:
    site.configure()
    with Manager(tmp_path / "notify") as manager:
        daemon = site.daemon(manager.environ(watchdog_s=1.0))
        daemon.ready()
        Writer(site.hls).step(2)
        root = daemon.wait("root.published")["root"]
        until(lambda: any(root[-6:] in text for _, text in manager.of("STATUS")), "the root in STATUS")


def test_stopping_is_the_first_thing_said_on_sigterm(site: Site, tmp_path: Path) -> None:
    site.configure()
    with Manager(tmp_path / "notify") as manager:
        daemon = site.daemon(manager.environ())
        Writer(site.hls).step(3)
        daemon.wait("root.published")
        until(lambda: _silent(manager, 0.5), "a quiet moment")
        said = len(manager.told)
        assert daemon.stop() == 0
        until(lambda: len(manager.told) > said, "something about the stop")
        assert manager.told[said][1] == {"STOPPING": "1"}


def test_a_reload_is_told_from_its_begin_to_its_end(site: Site, tmp_path: Path) -> None:
    site.configure()
    with Manager(tmp_path / "notify") as manager:
        daemon = site.daemon(manager.environ())
        daemon.ready()
        daemon.send(signal.SIGHUP)
        began, _ = manager.wait("RELOADING")
        ended, _ = manager.wait("READY", 2)
        assert began <= ended
        assert int(manager.of("MONOTONIC_USEC")[0][1]) <= time.monotonic() * 1e6


def test_a_manager_that_does_not_listen_ends_the_start_with_a_reason(site: Site, tmp_path: Path) -> None:
    site.configure()
    daemon = site.daemon({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert daemon.exit_code() == 74
    assert "NOTIFY_SOCKET" in daemon.text()


def _silent(manager: Manager, seconds: float) -> bool:
    return not manager.told or time.monotonic() - manager.told[-1][0] > seconds

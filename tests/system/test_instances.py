"""One hlspub a data directory: the second one says who was first, whatever either is doing."""

import signal

import pytest

from hlspub.errors import ExitCode
from tests.support.site import Site
from tests.support.writer import Writer


@pytest.mark.parametrize("command", ["run", "recover", "publish"])
def test_the_second_one_is_told_who_was_first(site: Site, command: str) -> None:
    first = site.configure().daemon()
    first.ready()
    done = site.hlspub(command, *([str(site.hls)] if command == "publish" else []))
    assert done.returncode == ExitCode.TEMPORARY
    assert f"another hlspub uses {site.data}: pid {first.pid}, since 2" in done.stderr
    assert "hlspub status" in done.stderr
    assert first.running


def test_a_dead_holder_holds_nothing(site: Site) -> None:
    first = site.configure().daemon()
    first.ready()
    first.kill()
    assert f"pid {first.pid}," in (site.data / "lock").read_text(encoding="ascii")
    second = site.daemon()
    second.ready()
    assert f"pid {second.pid}," in (site.data / "lock").read_text(encoding="ascii")


def test_a_stopped_holder_still_holds(site: Site) -> None:
    """A process that does not run just now (SIGSTOP, a suspended container) has the journal open all the same."""
    Writer(site.hls).directory.mkdir()
    first = site.configure().daemon()
    first.ready()
    first.send(signal.SIGSTOP)
    try:
        done = site.hlspub("recover")
        assert done.returncode == ExitCode.TEMPORARY
        assert f"pid {first.pid}," in done.stderr
    finally:
        first.send(signal.SIGCONT)
    assert first.stop() == 0

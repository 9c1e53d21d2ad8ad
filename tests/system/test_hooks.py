"""Hooks of a real daemon: killed between a publication and its delivery, reloaded, stopped."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hooks.receiver import SECRET_TEXT, Receiver, receiving
from tests.support.daemon import Daemon, until
from tests.support.site import Site
from tests.support.writer import Writer

PAIR = ("a", "b")
LAST_S = 60.0
TOLD = """#!/bin/sh
message=$(cat)
echo "$message" >> "$(dirname "$0")/told.jsonl"
[ -e "$(dirname "$0")/failed" ] || { : > "$(dirname "$0")/failed"; exit 1; }
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def webhook(receiver: Receiver, name: str = "ci") -> str:
    return (
        f'[hook.{name}]\nkind = "webhook"\nurl = "{receiver.url}"\nsecret = {{ env = "HOOK_SECRET" }}\ntimeout = "2s"\n'
    )


def hooked(site: Site, *tables: str) -> Site:
    site.configure()
    site.config.write_text(site.config.read_text() + "".join(tables))
    return site


def life(site: Site, *fatal: str) -> Daemon:
    """A life of the daemon; with a step and a count, one that dies there."""
    module = ["tests.chaos.fatal", *fatal] if fatal else ["hlspub"]
    command = [sys.executable, "-m", *module, "run"]
    daemon = Daemon(site.config, command, {"HOOK_SECRET": SECRET_TEXT}, site.root / f"life-{len(site.daemons)}.log")
    site.daemons.append(daemon)
    return daemon.start()


def write_until(writer: Writer, condition: Callable[[], object], what: str) -> None:
    """The transcoder writes on until then."""

    def written() -> object:
        writer.step()
        return condition()

    until(written, what, LAST_S, every_s=0.15)


@pytest.mark.slow
def test_each_publication_is_delivered_whenever_the_daemon_is_killed(site: Site, receiver: Receiver) -> None:
    hooked(site, webhook(receiver))
    writer = Writer(site.hls, PAIR)
    fatal = [
        ("RootAnnounced is committed", "2"),  # published, and nobody was told
        ("HookTold is written", "2"),  # told, and that is not written down
        ("HookTold is committed", "1"),
        ("RootAnnounced is committed", "1"),
        ("HookTold is written", "1"),
    ]
    for step, count in fatal:
        doomed = life(site, step, count)
        write_until(writer, lambda doomed=doomed: not doomed.running, step)
        assert doomed.exit_code() == -signal.SIGKILL
    receiver.moods = ["hang"]
    seen = len(receiver.got)
    amid = life(site)
    write_until(writer, lambda: len(receiver.got) > seen, "a message is under way")
    amid.kill()
    writer.end()
    last = life(site)
    last.wait("root.published", LAST_S, final=True)
    final = site.published()[-1]["seq"]
    until(lambda: receiver.taken and receiver.taken[-1].data["seq"] == final, "the final root is told", LAST_S)
    published = {one["seq"]: one["root"] for one in site.published()}
    assert [one.wrong for one in receiver.got if one.wrong] == []
    told = receiver.seqs()
    assert list(dict.fromkeys(told)) == sorted(published) == [*range(1, final + 1)]
    assert {one.data["seq"]: one.data["root"] for one in receiver.taken} == published
    assert len({one.id for one in receiver.taken}) == final  # so whoever goes by the id sees each once
    assert len({one.body for one in receiver.got}) == final  # and every try was the same
    assert len(told) > final  # what was told and not written down was told again
    assert last.stop() == 0
    assert [trouble for daemon in site.daemons for trouble in daemon.troubles()] == []
    assert site.journal_faults() == []


def test_a_dead_receiver_holds_no_publication_back_and_gets_all_when_it_is_there(
    site: Site, receiver: Receiver
) -> None:
    hooked(site, webhook(receiver))
    receiver.always = 503
    writer = Writer(site.hls, PAIR)
    daemon = life(site)
    write_until(writer, lambda: len(site.published()) >= 3, "roots are published")
    writer.end()
    daemon.wait("root.published", LAST_S, final=True)
    final = site.published()[-1]["seq"]
    assert receiver.seqs() == []
    status = json.loads(site.hlspub("status", "--json").stdout)
    (hook,) = status["hooks"]
    assert (hook["name"], hook["state"], hook["pending"]) == ("ci", "degraded", final)
    assert "HTTP 503" in hook["error"]
    shown = site.hlspub("status").stdout
    assert f"ci  degraded  {final} publications wait" in shown
    assert "a-path-that-is-a-secret" not in shown + str(daemon.events)
    assert SECRET_TEXT not in shown + str(daemon.events)
    daemon.stop()
    assert f"ci  pending  {final} publications wait" in site.hlspub("status").stdout
    receiver.always = None
    again = life(site)
    until(lambda: receiver.seqs() == [*range(1, final + 1)], "all are told, in order")
    assert again.stop() == 0


def test_a_stop_tells_its_last_root(site: Site, receiver: Receiver) -> None:
    hooked(site, webhook(receiver))
    receiver.moods = [500, 500, 500, 500]
    writer = Writer(site.hls, PAIR).step(3)
    daemon = life(site)
    daemon.wait("hook.degraded")
    writer.step(3)
    receiver.moods = []
    assert daemon.stop() == 0
    assert receiver.seqs() == [one["seq"] for one in site.published()]


def test_hooks_come_and_go_by_reload(site: Site, receiver: Receiver, tmp_path: Path) -> None:
    hooked(site)
    before = site.config.read_text()
    program = tmp_path / "told.sh"
    program.write_text(TOLD)
    program.chmod(0o755)
    writer = Writer(site.hls, PAIR)
    daemon = life(site)
    write_until(writer, lambda: len(site.published()) >= 2, "roots are published")
    site.config.write_text(before + webhook(receiver) + f'[hook.mail]\nkind = "command"\ncommand = ["{program}"]\n')
    daemon.send(signal.SIGHUP)
    daemon.wait("config.reloaded")
    write_until(writer, lambda: len(receiver.taken) >= 2, "the webhook is told")
    site.config.write_text(before + f'[hook.mail]\nkind = "command"\ncommand = ["{program}"]\n')
    daemon.send(signal.SIGHUP)
    daemon.wait("config.reloaded", count=2)
    left = len(receiver.got)
    write_until(writer, lambda: len(daemon.of("hook.told", hook="mail")) >= 3, "the command is told")
    writer.end()
    daemon.wait("root.published", LAST_S, final=True)
    final = site.published()[-1]["seq"]
    daemon.wait("hook.told", LAST_S, hook="mail", seq=final)
    assert receiver.seqs()[0] > 1  # from then on, not from the beginning
    assert len(receiver.got) == left
    site.config.write_text(before + webhook(receiver).replace("HOOK_SECRET", "NOT_THERE"))
    daemon.send(signal.SIGHUP)
    assert "NOT_THERE" in daemon.wait("config.refused")["reason"]
    assert daemon.stop() == 0
    told = [json.loads(line)["data"] for line in (tmp_path / "told.jsonl").read_text().split("\n") if line]
    seqs = [one["seq"] for one in told]
    assert list(dict.fromkeys(seqs)) == [*range(seqs[0], final + 1)]
    roots = {one["seq"]: one["root"] for one in site.published()}
    assert all(roots[one["seq"]] == one["root"] for one in told)

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from hlspub.errors import TargetError
from hlspub.hooks import command
from hlspub.hooks.command import SHOWN, Command
from hlspub.hooks.message import Message

pytestmark = pytest.mark.anyio
DEADLINE_S = 20.0


async def until(condition: Callable[[], object], what: str) -> None:
    with anyio.move_on_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 -- another process's state
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


def program(tmp_path: Path, text: str, **environ: str) -> Command:
    """A hook that runs a Python program."""
    file = tmp_path / "told.py"
    file.write_text(text)
    return Command("ci", [sys.executable, "-S", str(file), str(tmp_path / "out")], os.environ | environ)


def shell(*script: str) -> Command:
    return Command("ci", ["/bin/sh", "-c", *script], os.environ)


def state(pid: int) -> str:
    """The letter of proc(5) for the process; empty: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody reaped does not."""
    return state(pid) not in {"", "Z"}


REPORT = """
import json, os, sys
told = {"in": sys.stdin.read(), "environ": dict(os.environ), "args": sys.argv[2:], "cwd": os.getcwd(),
        "group": os.getpgrp() == os.getpid(), "files": sorted(map(int, os.listdir("/proc/self/fd")))}
with open(sys.argv[1], "w") as out:
    json.dump(told, out)
"""


async def test_it_gets_the_message_and_nothing_of_ours(
    tmp_path: Path, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_TOKEN", "s3cret")
    secrets = {"CREDENTIALS_DIRECTORY": "/run/credentials", "NOTIFY_SOCKET": "/run/n", "LISTEN_PID": "1", "TZ": "UTC"}
    with (tmp_path / "held-open").open("wb") as held:
        os.set_inheritable(held.fileno(), True)  # noqa: FBT003 -- its only parameter
        await program(tmp_path, REPORT, **secrets).tell(message)
    told: dict[str, Any] = json.loads((tmp_path / "out").read_text())
    assert told["in"].encode() == message.body
    publication = message.publication
    ours = {key: value for key, value in told["environ"].items() if key.startswith("HLSPUB_")}
    assert ours == {
        "HLSPUB_HOOK": "ci",
        "HLSPUB_ID": "main/12",
        "HLSPUB_STREAM": "main",
        "HLSPUB_SESSION": publication.session,
        "HLSPUB_SEQ": "12",
        "HLSPUB_ROOT": str(publication.root),
        "HLSPUB_ENTRY": "index.m3u8",
        "HLSPUB_FINAL": "0",
    }
    inherited = told["environ"].keys() - ours.keys() - {"LC_CTYPE"}  # that Python sets for itself
    assert inherited <= set(command.INHERITED)
    assert told["environ"]["TZ"] == "UTC"
    assert (told["cwd"], told["group"]) == ("/", True)
    assert told["files"][:3] == [0, 1, 2]
    assert len(told["files"]) <= 5  # those three, and what reads this list


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", "exit code 1"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("kill -35 $$", "killed by signal 35"),
        ("nothing-of-this-name", "exit code 127"),
    ],
)
async def test_what_is_no_success_is_tried_again(message: Message, script: str, said: str) -> None:
    with pytest.raises(TargetError, match=said) as caught:
        await shell(script).tell(message)
    assert caught.value.retry_s == 0.0


async def test_what_a_failing_one_prints_is_in_the_log_and_in_no_error(message: Message) -> None:
    with capture_logs() as log, pytest.raises(TargetError, match=r"exit code 75$"):
        await shell("echo why not; echo really >&2; exit 75").tell(message)
    (said,) = log
    assert (said["event"], said["hook"], said["id"], said["text"]) == ("hook.said", "ci", "main/12", "why not really")


async def test_what_cannot_be_started_says_why(tmp_path: Path, message: Message) -> None:
    (tmp_path / "no-program").write_text("text")
    for path, why in ((tmp_path / "absent", "No such file"), (tmp_path / "no-program", "Permission denied")):
        with pytest.raises(TargetError, match=why) as caught:
            await Command("ci", [str(path)], os.environ).tell(message)
        assert caught.value.retry_s == 0.0
    handles = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names alone
    for _ in range(5):
        with pytest.raises(TargetError):
            await Command("ci", [str(tmp_path / "absent")], os.environ).tell(message)
    assert len(os.listdir("/proc/self/fd")) == handles  # noqa: PTH208 -- as above


async def test_arguments_are_never_a_shells(tmp_path: Path, message: Message) -> None:
    odd = ["$(touch pwned)", "a b", "*", "'"]
    (tmp_path / "told.py").write_text(REPORT)
    words = [sys.executable, "-S", str(tmp_path / "told.py"), str(tmp_path / "out"), *odd]
    await Command("ci", words, os.environ).tell(message)
    assert json.loads((tmp_path / "out").read_text())["args"] == odd


async def test_what_it_prints_is_kept_up_to_a_bound_and_never_blocks_it(message: Message) -> None:
    with capture_logs() as log:
        await shell("head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero >&2").tell(message)
    (said,) = [line for line in log if line["event"] == "hook.said"]
    assert said["text"] == "x" * SHOWN


async def test_whoever_reads_nothing_is_no_trouble(message: Message) -> None:
    await shell("exec <&-; exit 0").tell(message)


async def test_what_it_leaves_running_ends_with_it(tmp_path: Path, message: Message) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    await shell(f"sleep 600 & echo $! > {pids}; exit 0").tell(message)
    left = int(pids.read_text())
    await until(lambda: not lives(left), "it has ended")
    assert time.monotonic() - started < DEADLINE_S


@pytest.mark.parametrize("stubborn", [False, True])
async def test_one_that_is_cancelled_is_killed_with_its_group(tmp_path: Path, message: Message, stubborn: bool) -> None:
    pids = tmp_path / "pids"
    trap = "trap '' TERM; " if stubborn else ""
    hook = shell(f"{trap}(sleep 600; sleep 600) & echo $! $$ > {pids}.new; mv {pids}.new {pids}; sleep 600; sleep 600")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.tell, message)
        await until(pids.exists, "it runs")
        told = [int(pid) for pid in pids.read_text().split()]
        assert all(map(lives, told))
        tasks.cancel_scope.cancel()
    await until(lambda: not any(map(lives, told)), "all have ended")
    assert state(told[1]) == ""  # reaped


async def test_whoever_leaves_the_group_and_holds_the_pipe_holds_nobody_up(tmp_path: Path, message: Message) -> None:
    pids = tmp_path / "pids"
    with anyio.fail_after(DEADLINE_S):
        await shell(
            f"setsid sh -c 'echo $$ > {pids}; exec sleep 600' & while [ ! -s {pids} ]; do sleep 0.02; done"
        ).tell(message)
    left = int(pids.read_text())
    assert lives(left)  # it left; who manages the service's processes ends it
    os.kill(left, 9)

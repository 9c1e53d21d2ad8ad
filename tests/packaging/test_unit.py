"""The systemd unit: that it says what the daemon does, and that systemd itself rates it as hardened."""

import re
import subprocess
from pathlib import Path

import pytest

from hlspub.cli import COMMANDS
from hlspub.config.model import Limits
from hlspub.config.places import SYSTEM_CONFIG, SYSTEM_DATA
from hlspub.config.units import parse_duration
from hlspub.errors import ExitCode

EXPOSURE = 15  # tenths: systemd-analyze calls up to 2.0 "OK"


@pytest.fixture
def unit(repository: Path) -> Path:
    return repository / "systemd" / "hlspub.service"


@pytest.fixture
def said(unit: Path) -> dict[str, list[str]]:
    """The settings, each with all its values."""
    settings: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), flags=re.MULTILINE):
        settings.setdefault(key, []).append(value)
    return settings


def seconds(said: dict[str, list[str]], key: str) -> float:
    return parse_duration(said[key][0].replace("min", "m"))


def test_it_starts_the_daemon_with_the_systems_configuration(said: dict[str, list[str]]) -> None:
    program, command, option, config = said["ExecStart"][0].split()
    assert program.endswith("/hlspub")
    assert command in COMMANDS
    assert (option, config) == ("--config", str(SYSTEM_CONFIG))
    assert f"/var/lib/{said['StateDirectory'][0]}" == str(SYSTEM_DATA)


def test_it_is_not_started_again_when_that_cannot_help(said: dict[str, list[str]]) -> None:
    never = {int(code) for code in said["RestartPreventExitStatus"][0].split()}
    assert never == {ExitCode.USAGE, ExitCode.NO_PERMISSION, ExitCode.CONFIG}


def test_a_stop_may_take_longer_than_a_drain(said: dict[str, list[str]]) -> None:
    assert seconds(said, "TimeoutStopSec") > Limits().drain_timeout


def test_it_names_no_secret_and_gives_none(said: dict[str, list[str]]) -> None:
    assert "Environment" not in said
    assert "LoadCredential" not in said  # only shown, as a comment


@pytest.mark.systemd
def test_systemd_accepts_it(unit: Path, tmp_path: Path) -> None:
    installed = tmp_path / unit.name
    installed.write_text(unit.read_text().replace("/usr/local/bin/hlspub", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", installed], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.systemd
def test_systemd_rates_it_as_hardened(unit: Path) -> None:
    rate = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", unit]
    done = subprocess.run(rate, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


def syscalls(group: str) -> set[str]:
    """The system calls that systemd counts to a group, and to the groups in it."""
    told = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True)
    words = [line.split()[0] for line in told.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return {one for word in words for one in (syscalls(word) if word.startswith("@") else {word})}


@pytest.mark.systemd
def test_its_filter_lets_a_hooks_command_start_and_be_ended(said: dict[str, list[str]]) -> None:
    allowed = set[str]()
    for line in said["SystemCallFilter"]:
        groups = {one for group in line.lstrip("~").split() for one in syscalls(group)}
        allowed = allowed - groups if line.startswith("~") else allowed | groups
    needed = {
        "execve",
        "vfork",
        "clone3",
        "setsid",
        "dup2",
        "close_range",
        "memfd_create",
        "pidfd_open",
        "kill",
        "wait4",
    }
    assert needed <= allowed
    assert "reboot" not in allowed
    assert "RestrictSUIDSGID" in said
    assert said["MemoryDenyWriteExecute"] == ["yes"]  # as docs/hooks.md says to those whose program needs more

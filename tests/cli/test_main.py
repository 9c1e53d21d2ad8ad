"""What every command line ends with, and that asking for one command does not load the others."""

import subprocess
import sys

import click
import pytest

from hlspub.cli import COMMANDS, cli, run
from hlspub.cli.common import INTERRUPTED, define, emit
from hlspub.errors import (
    AnotherInstance,
    BlockError,
    ConfigError,
    HlspubError,
    InputError,
    JournalError,
    PermissionRefused,
    StorageError,
    TargetError,
)
from tests.cli.conftest import Hlspub

HEAVY = {
    "anyio",
    "asyncio",
    "httpx",
    "multiformats",
    "prometheus_client",
    "pydantic",
    "starlette",
    "uvicorn",
    "watchdog",
}


def failing(error: BaseException) -> click.Group:
    @define("fail")
    def command() -> None:
        raise error

    return click.Group("hlspub", commands={"fail": command})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("m", hint="h"), 66),
        (BlockError("m", hint="h"), 65),
        (TargetError("m", retry_s=None, hint="h"), 69),
        (StorageError("m", hint="h"), 74),
        (AnotherInstance("m", hint="h"), 75),
        (PermissionRefused("m", hint="h"), 77),
        (ConfigError("m", hint="h"), 78),
        (JournalError("m", hint="h"), 78),
    ],
)
def test_an_expected_failure_is_told_in_two_lines(
    error: HlspubError, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["fail"], failing(error)) == code
    assert capfd.readouterr() == ("", "hlspub: m\n  h\n")


def test_a_failure_without_a_hint_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fail"], failing(InputError("m"))) == 66
    assert capfd.readouterr().err == "hlspub: m\n"


def test_a_bug_shows_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fail"], failing(ZeroDivisionError("boom"))) == 70
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: boom" in err
    assert "this is a bug" in err


def test_an_interrupt_ends_with_130(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fail"], failing(KeyboardInterrupt())) == INTERRUPTED == 130
    assert "Traceback" not in capfd.readouterr().err


def test_a_command_may_answer_with_an_exit_code() -> None:
    @define("answer")
    def command() -> int:
        return 69

    assert run(["answer"], click.Group("hlspub", commands={"answer": command})) == 69


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["statsu"],
            "hlspub: No such command 'statsu'. Did you mean 'status'?\n  `hlspub --help` shows how it is used.\n",
        ),
        (["xyzzy"], "hlspub: No such command 'xyzzy'.\n  `hlspub --help` shows how it is used.\n"),
        (["end"], "hlspub: Missing argument 'NAME'.\n  `hlspub end --help` shows how it is used.\n"),
    ],
)
def test_a_wrong_usage_says_what_and_where_to_look(hlspub: Hlspub, arguments: list[str], said: str) -> None:
    result = hlspub(*arguments)
    assert (result.code, result.out, result.err) == (64, "", said)


def test_a_wrong_option_is_a_wrong_usage(hlspub: Hlspub) -> None:
    result = hlspub("version", "--jsn")
    assert (result.code, result.out) == (64, "")
    assert "--jsn" in result.err


def test_no_command_shows_the_help_as_talk(hlspub: Hlspub) -> None:
    result = hlspub()
    assert (result.code, result.out) == (64, "")
    assert "Usage: hlspub" in result.err


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_asked_for_help_is_the_answer(hlspub: Hlspub, option: str) -> None:
    result = hlspub(option)
    assert (result.code, result.err) == (0, "")
    assert all(f"  {name} " in result.out for name in COMMANDS)
    assert all(len(line) <= 100 for line in result.out.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_manual_page(hlspub: Hlspub, name: str) -> None:
    result = hlspub(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"  {COMMANDS[name][1]}\n" in result.out  # what `hlspub --help` says of it is its own first line
    assert "Example" in result.out
    assert "Exit codes:" in result.out
    assert all(len(line) <= 120 for line in result.out.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_called_by_its_name_in_the_table(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert cli.get_command(click.Context(cli), f"no-{name}") is None


def loaded_by(*arguments: str) -> set[str]:
    """The top packages that a command line imports, in a process of its own."""
    script = (
        f"import sys; from hlspub.cli import run; run({list(arguments)!r}); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("arguments", [("version",), ("--help",), ("--version",)])
def test_a_light_command_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not loaded_by(*arguments) & (HEAVY | {"sqlite3"})


def test_status_loads_neither_server_nor_models(tmp_path: object) -> None:
    assert loaded_by("status", "--config", f"{tmp_path}/absent.toml") & HEAVY <= {"anyio"}


def test_a_reader_that_left_is_no_failure_worth_words() -> None:
    script = "import sys; from hlspub.cli import run; sys.stdin.read(); sys.exit(run(['--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018 -- for the type checker
        process.stdout.close()  # the reader leaves before the first byte
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_the_process_ends_without_teardown_and_loses_no_word() -> None:
    script = "import atexit, sys, hlspub.cli; atexit.register(print, 'teardown'); hlspub.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("Usage: hlspub")
    assert "teardown" not in done.stdout
    wrong = subprocess.run(
        [sys.executable, "-c", script, "statsu"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (64, "")
    assert wrong.stderr.endswith("shows how it is used.\n")


def test_an_answer_that_cannot_be_written_is_an_io_error() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        done = subprocess.run(
            [sys.executable, "-m", "hlspub", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr.startswith("hlspub: stdout: No space left on device\n")


def test_an_answer_is_one_line_of_json_or_text(capfd: pytest.CaptureFixture[str]) -> None:
    emit({"a": 1, "ü": [None, True]}, as_json=True, text="unused")
    emit({"a": 1}, as_json=False, text=lambda answer: f"a is {answer['a']}")
    assert capfd.readouterr().out == '{"a": 1, "ü": [null, true]}\na is 1\n'

"""The `hlspub` command: a table of commands, and what each kind of failure ends with.

Rule: stdout is the answer, stderr the talk. A command is one module with one click command named `command`; it is
imported only when it is asked for, so that `hlspub version` does not wait for the web server to load. A command raises
`HlspubError` (or lets click raise its usage errors) and never exits by itself: here, and only here, failures become
messages and exit codes. (A reader of stdout that leaves early ends a command quietly with 1; that is click's doing.)
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from hlspub import __version__
from hlspub.cli.common import INTERRUPTED, config_option
from hlspub.cli.group import LazyGroup
from hlspub.errors import ExitCode, HlspubError

# name -> (where its click command is, what `hlspub --help` says of it: the first line of the command's own help)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("hlspub.cli.run:command", "Follow the configured streams and publish them."),
    "publish": ("hlspub.cli.publish:command", "Publish one finished HLS directory, once."),
    "status": ("hlspub.cli.status:command", "Show streams, sessions, targets, names and hooks."),
    "end": ("hlspub.cli.end:command", "End a stream's running session."),
    "inspect": ("hlspub.cli.inspect:command", "Show what hlspub sees in an HLS directory."),
    "cid": ("hlspub.cli.cid:command", "Compute the CID of a file or directory."),
    "verify": ("hlspub.cli.verify:command", "Check every block and playlist under a root."),
    "export": ("hlspub.cli.export:command", "Write everything under a root into one CAR."),
    "replicate": ("hlspub.cli.replicate:command", "Bring everything under a root to another target."),
    "gateway": ("hlspub.cli.gateway:command", "Serve a bucket to viewers, without a daemon."),
    "gc": ("hlspub.cli.gc:command", "Reclaim what no kept root needs."),
    "recover": ("hlspub.cli.recover:command", "Rebuild a lost or damaged journal."),
    "keys": ("hlspub.cli.keys:command", "Make and show the keys of names and of w3up targets."),
    "init": ("hlspub.cli.init:command", "Write a configuration to start from."),
    "check": ("hlspub.cli.check:command", "Check the configuration, and reach each target and router."),
    "version": ("hlspub.cli.version:command", "Print the version."),
    "demo": ("hlspub.cli.demo:command", "Publish a live test pattern on this machine."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="hlspub %(version)s")
@config_option
def cli(config: Path | None) -> None:
    """Publish a live HLS directory to content-addressed storage.

    Examples:
      hlspub init --path /var/lib/transcoder/hls
      hlspub check
      hlspub run
      hlspub publish ./finished-show
      hlspub status --json

    The configuration is the first of these that exists: --config FILE,
    $HLSPUB_CONFIG, $XDG_CONFIG_HOME/hlspub/config.toml, /etc/hlspub/config.toml.

    Exit codes: 0 done, 64 wrong usage, 65 bad data, 66 not found,
    69 unavailable or still pending, 70 a bug, 74 I/O error, 75 another
    instance, 77 no permission, 78 wrong configuration, 130 interrupted.
    More may be added: treat every other number as a failure.
    """


def main() -> NoReturn:
    """The console entry point.

    The process ends here, without Python's own teardown. A thread of a native library (obstore's) that asks for the
    interpreter during it would abort the process, and a job well done would end with SIGABRT (PEP 788).
    """
    try:
        code = run(sys.argv[1:])
    except SystemExit as left:  # click's way, when a reader of stdout left early
        code = left.code if isinstance(left.code, int) else ExitCode.SOFTWARE
    with contextlib.suppress(OSError):  # an answer was flushed where it was printed
        click.echo(nl=False)
        click.echo(nl=False, err=True)
    os._exit(code)


def run(arguments: Sequence[str], group: click.Group = cli) -> int:
    """Run one command line and return its exit code; every failure is told on stderr."""
    try:
        code = group.main(args=list(arguments), prog_name="hlspub", standalone_mode=False)
    except click.ClickException as why:
        _tell_usage(why)
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("hlspub: interrupted", err=True)
        return INTERRUPTED
    except HlspubError as why:
        tell(why)
        return why.exit_code
    except Exception:  # noqa: BLE001 -- the last line of defence: a bug is shown whole and has its own exit code
        traceback.print_exc()
        click.echo("hlspub: this is a bug. Please report it with the lines above.", err=True)
        return ExitCode.SOFTWARE
    return code if isinstance(code, int) else ExitCode.OK


def tell(why: HlspubError) -> None:
    """Say on stderr what went wrong and what to do about it."""
    click.echo(f"hlspub: {why}", err=True)
    if why.hint:
        click.echo(f"  {why.hint}", err=True)


def _tell_usage(why: click.ClickException) -> None:
    """Say on stderr what is wrong with the command line and where its help is."""
    where = why.ctx.command_path if isinstance(why, click.UsageError) and why.ctx else "hlspub"
    click.echo(f"hlspub: {why.format_message()}\n  `{where} --help` shows how it is used.", err=True)

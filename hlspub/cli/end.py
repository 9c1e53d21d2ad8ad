"""`hlspub end NAME`: end a stream's session and wait for its final root."""

import os
from pathlib import Path

import click

from hlspub.cli import service
from hlspub.cli.common import Answer, config_option, define, emit, json_option, seconds_of, talk
from hlspub.config.places import find_data_dir
from hlspub.errors import ExitCode, TargetError
from hlspub.gateway.control_client import NoDaemon

GRACE_S = 10.0  # beyond --wait, for the daemon to answer


class NobodyToAsk(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """Ending needs the daemon, and none runs."""


@define("end")
@click.argument("name")
@click.option(
    "--wait",
    callback=seconds_of,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for the root.",
)
@config_option
@json_option
def command(*, name: str, wait: float, config: Path | None, as_json: bool) -> int:
    """End a stream's running session.

    The daemon takes what is finished and publishes the final root. When that takes longer than --wait, the session
    is published later by itself; a file that appears afterwards begins the next session.

    Example:  hlspub end main --wait 2m
    Exit codes: 0 the final root is published, 66 no such stream or nothing to end, 69 still pending, or no hlspub
    runs, 77 no permission.
    """
    data_dir = find_data_dir(config, os.environ)
    try:
        answer = service.ask(data_dir, {"op": "end", "stream": name, "wait_s": wait}, wait + GRACE_S)
    except NoDaemon as why:
        hint = "The session stays open: start `hlspub run` and end it then."
        raise NobodyToAsk(f"{why}, so nothing was ended", retry_s=None, hint=hint) from why
    emit(answer, as_json=as_json, text=text)
    if answer["state"] == "pending":
        talk("The final root is on its way; it is published by itself. `hlspub status` shows it.")
        return ExitCode.UNAVAILABLE
    return ExitCode.OK


def text(answer: Answer) -> str:
    """The answer for people: the final root, or that it is still to come."""
    root = answer["root"] or "no root yet"
    return f"{answer['stream']} {answer['session']} {answer['state']}: {root}"

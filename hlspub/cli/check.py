"""`hlspub check`: is the configuration right, and does this machine give what it needs?"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import anyio
import click

from hlspub.cli import service
from hlspub.cli.common import Answer, config_option, define, emit, json_option, table
from hlspub.cli.probes import State, probe
from hlspub.cli.reach import reach
from hlspub.config.load import load
from hlspub.config.places import find_config
from hlspub.config.schema import json_schema
from hlspub.errors import ConfigError, ExitCode


@define("check")
@click.option("--schema", is_flag=True, help="Print the configuration's JSON Schema, for editors, and exit.")
@config_option
@json_option
def command(*, schema: bool, config: Path | None, as_json: bool) -> int:
    """Check the configuration, and reach each target and router.

    Shows every mistake of the configuration at once, then looks at the directories, the address and the limits that it
    needs, asks each target and each router of names whether it is there, and looks at keys, secrets and programs of
    hooks. Changes nothing. Run it as the service's user: what matters is what
    that user may do.

    Example:  hlspub check --config ./config.toml
    Exit codes: 0 well (there may be warnings), 69 something would keep it from working, 77 the file may not be
    read, 78 wrong configuration.
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return ExitCode.OK
    file = find_config(config, os.environ)
    try:
        loaded = load(config, os.environ)
    except ConfigError as why:
        if as_json:
            emit({"config": file, "ok": False, "errors": str(why).split("\n"), "findings": []}, as_json=True, text="")
        raise
    findings = [*probe(loaded, daemon_runs=service.runs(loaded.data_dir)), *anyio.run(reach, loaded)]
    well = all(finding.state is not State.ERROR for finding in findings)
    found = [{"what": finding.what, "state": finding.state.value, "text": finding.text} for finding in findings]
    emit({"config": file, "ok": well, "errors": [], "findings": found}, as_json=as_json, text=text)
    return ExitCode.OK if well else ExitCode.UNAVAILABLE


def text(answer: Answer) -> str:
    """The findings for people, one a line."""
    findings = cast("Sequence[Mapping[str, str]]", answer["findings"])
    rows = [(finding["state"], finding["what"], finding["text"]) for finding in findings]
    return f"{answer['config']}: the configuration is right\n{table(rows)}"

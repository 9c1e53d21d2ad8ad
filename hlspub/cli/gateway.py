"""`hlspub gateway`: serve a bucket, without a daemon."""

import importlib
import os
from pathlib import Path

import click

from hlspub.building_s3 import need_extra
from hlspub.cli.common import config_option, define
from hlspub.config.load import load


@define("gateway")
@click.option("--target", "name", metavar="NAME", help="The target of kind s3 to serve; needed when there are several.")
@config_option
def command(*, name: str | None, config: Path | None) -> int:
    """Serve a bucket to viewers, without a daemon.

    Reads blocks by range from a target of kind s3 and keeps them, and the index, in data_dir/cache (at most
    [gateway] cache_size). Any number of gateways may stand before one bucket; they share nothing else. Streams that some
    daemon publishes into the bucket are at /live/NAME/ENTRY and /play/NAME, everything by content at /ipfs/CID.

    Runs in the foreground until SIGTERM or SIGINT. Use a data_dir of its own: the daemon's is for the daemon.

    Example:  hlspub gateway --config /etc/hlspub/gateway.toml
    Exit codes: 0 stopped, 70 a bug, 74 the cache cannot be used, 77 no permission, 78 wrong configuration.
    """
    loaded = load(config, os.environ)
    need_extra("hlspub gateway")
    code: int = importlib.import_module("hlspub.serving").run(loaded, name)
    return code

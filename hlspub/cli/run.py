"""`hlspub run`: the daemon."""

import os
from pathlib import Path

from hlspub import app
from hlspub.cli.common import config_option, define
from hlspub.config.load import load
from hlspub.config.places import find_config
from hlspub.errors import ConfigError
from hlspub.telemetry import allocator


@define("run")
@config_option
def command(config: Path | None) -> int:
    """Follow the configured streams and publish them.

    Runs in the foreground until it is stopped; systemd or another supervisor keeps it running.

    Signals:
      SIGTERM, SIGINT  finish what is under way and exit 0; sessions stay open and go on at the next start.
                       A second one leaves at once (nothing that was taken is lost).
      SIGUSR1          end all running sessions and publish their final roots.
      SIGHUP           read the configuration again, and try targets that failed at once.

    Example:  hlspub run --config /etc/hlspub/config.toml
    Exit codes: 0 stopped, 70 a bug, 74 the data directory cannot be used, 75 another hlspub has it,
    77 no permission, 78 wrong configuration, 130 left at once.
    """
    loaded = load(config, os.environ)
    file = find_config(config, os.environ)
    if not loaded.stream or file is None:
        raise ConfigError(f"{file}: no stream is configured", hint='Add a table: [stream.main] with path = "/…".')
    allocator.settle()
    return app.run(loaded, file.absolute())

"""A place for one whole-process test: directories for transcoder and data, a configuration, the daemon's lives.

Rule: every life that a test starts is reaped when the site is left. What a daemon leaves behind (journal, spool,
`publications.jsonl`) is looked at here, from outside, after its end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hlspub.journal.reader import JournalReader
from hlspub.spool.store import CarStore
from tests.support.daemon import DEADLINE_S, Daemon, Event, published

Settings = Mapping[str, object]


@dataclass(slots=True, eq=False)
class Site:
    """`hls` is the directory of the stream "main"; other streams live in `root / NAME`."""

    root: Path
    daemons: list[Daemon] = field(default_factory=list[Daemon])
    before: Sequence[str] = ()  # a program that starts the daemon

    @property
    def hls(self) -> Path:
        return self.root / "main"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    def configure(
        self, streams: Mapping[str, Settings] | None = None, *, listen: str = "127.0.0.1:0", **main: object
    ) -> Self:
        """Write the configuration: `streams`, or one stream "main" with the settings `main`, at a quick pace."""
        lines = ['data_dir = "data"', 'log_level = "debug"', 'log_format = "json"']
        for name, settings in (streams or {"main": main}).items():
            chosen = {"path": name, "publish_interval": "300ms", "settle": "300ms", "rescan": "500ms"} | dict(settings)
            lines += [f"[stream.{name}]", *(f"{key} = {_toml(value)}" for key, value in chosen.items())]
            (self.root / name).mkdir(exist_ok=True)
        lines += ["[gateway]", f'listen = "{listen}"']
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self

    def daemon(self, environ: Mapping[str, str] | None = None) -> Daemon:
        """A new life of the daemon, started."""
        log = self.root / f"life-{len(self.daemons) + 1}.log"
        command = [*self.before, sys.executable, "-m", "hlspub", "run"]
        daemon = Daemon(self.config, command, environ=environ or {}, log=log)
        self.daemons.append(daemon)
        return daemon.start()

    def hlspub(self, *arguments: str, timeout_s: float = DEADLINE_S) -> "subprocess.CompletedProcess[str]":
        """Run another command of hlspub's on this configuration."""
        command = [sys.executable, "-m", "hlspub", *arguments]
        environ = {**os.environ, "HLSPUB_CONFIG": str(self.config)}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout_s, check=False)

    def published(self, stream: str = "main") -> list[Event]:
        """What all lives announced of a stream."""
        return published(self.daemons, stream)

    def close(self) -> None:
        """Reap every life."""
        for daemon in self.daemons:
            daemon.kill()

    # what is left behind

    def spooled(self) -> list[str]:
        """The keys of the CARs in the spool."""
        return sorted(CarStore(self.data / "spool").keys())

    def journal_faults(self) -> list[str]:
        """Everything that is wrong with the journal."""
        with JournalReader(self.data / "journal.sqlite") as journal:
            return journal.integrity()

    def announced(self) -> list[dict[str, Any]]:
        """The lines of `publications.jsonl`."""
        text = (self.data / "publications.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def files(self, stream: str = "main") -> dict[str, bytes]:
        """Everything in a stream's directory, by path."""
        top = self.root / stream
        found = sorted(Path(folder) / name for folder, _, names in os.walk(top) for name in names)
        return {path.relative_to(top).as_posix(): path.read_bytes() for path in found}


def takes(daemons: Sequence[Daemon]) -> dict[tuple[str, str], int]:
    """How often each content of each path was taken, over these lives."""
    counts: dict[tuple[str, str], int] = {}
    for daemon in daemons:
        for event in daemon.of("file.taken"):
            key = event["path"], event["cid"]
            counts[key] = counts.get(key, 0) + 1
    return counts


def _toml(value: object) -> str:
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value)  # text, numbers, booleans and lists of them look alike in both

"""A real Kubo daemon on the loopback, offline unless it is told of peers, with ports of its own choosing."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
_ANY = "/ip4/127.0.0.1/tcp/0"


class KuboDaemon:
    """One node. `settings` are configuration keys with their JSON values."""

    def __init__(self, repo: Path, *, online: bool = False, settings: Mapping[str, object] | None = None) -> None:
        self.repo = repo
        repo.parent.mkdir(parents=True, exist_ok=True)
        self.online = online
        self._env = {**os.environ, "IPFS_PATH": str(repo), "IPFS_TELEMETRY": "off"}
        self._process: subprocess.Popen[bytes] | None = None
        self("init", "--empty-repo", "--profile=test,unixfs-v1-2025")
        self("bootstrap", "rm", "--all")
        chosen: dict[str, object] = {
            "Addresses.API": _ANY,
            "Addresses.Gateway": _ANY,
            "Addresses.Swarm": [_ANY],
            "Routing.Type": "none",
            "AutoTLS.Enabled": False,
            **(settings or {}),
        }
        config = json.loads((repo / "config").read_text())
        for key, value in chosen.items():
            at = config
            *way, name = key.split(".")
            for part in way:
                at = at.setdefault(part, {})
            at[name] = value
        (repo / "config").write_text(json.dumps(config))

    def __call__(self, *words: Path | str, check: bool = True) -> bytes:
        """Run `ipfs` on this repository; a daemon that runs answers."""
        done = subprocess.run(["ipfs", *map(str, words)], env=self._env, capture_output=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def start(self) -> "KuboDaemon":
        """Start the daemon and wait until it answers. Ports stay the same over restarts."""
        (self.repo / "api").unlink(missing_ok=True)
        (self.repo / "gateway").unlink(missing_ok=True)
        words = ["ipfs", "daemon", *([] if self.online else ["--offline"])]
        with (self.repo / "daemon.log").open("wb") as log:
            self._process = subprocess.Popen(words, env=self._env, stdout=log, stderr=log)
        ended_at = time.monotonic() + DEADLINE_S
        while "Daemon is ready" not in (text := self._log()):
            assert self._process.poll() is None, text
            assert time.monotonic() < ended_at, text
            time.sleep(0.05)
        config = json.loads((self.repo / "config").read_text())
        config["Addresses"]["API"] = (self.repo / "api").read_text().strip()
        config["Addresses"]["Gateway"] = "/ip4/127.0.0.1/tcp/" + self.gateway.rpartition(":")[2]
        (self.repo / "config").write_text(json.dumps(config))
        return self

    def _log(self) -> str:
        return (self.repo / "daemon.log").read_text(errors="replace")

    @property
    def url(self) -> str:
        """The RPC."""
        return "http://127.0.0.1:" + (self.repo / "api").read_text().strip().rpartition("/")[2]

    @property
    def gateway(self) -> str:
        """The gateway."""
        return (self.repo / "gateway").read_text().strip()

    def pins(self) -> set[str]:
        """What is pinned recursively, but for the directory that every repository begins with."""
        found = json.loads(self("pin", "ls", "--type=recursive", "--enc=json") or b"{}").get("Keys") or {}
        return set(found) - {"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"}

    def identity(self) -> dict[str, Any]:
        return json.loads(self("id"))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it; without a word unless `number` says otherwise."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE_S)
            self._process = None


@contextmanager
def kubo_daemon(
    repo: Path, *, online: bool = False, settings: Mapping[str, object] | None = None
) -> Iterator[KuboDaemon]:
    """A daemon that runs, and is gone afterwards."""
    daemon = KuboDaemon(repo, online=online, settings=settings)
    try:
        yield daemon.start()
    finally:
        daemon.kill()


@contextmanager
def two_nodes(folder: Path, second: Mapping[str, object] | None = None) -> Iterator[tuple[KuboDaemon, KuboDaemon]]:
    """Two nodes that are a network of their own: connected to each other, and all of the DHT that there is.

    `second`: settings of the second one alone.
    """
    settings: dict[str, object] = {"Routing.Type": "dhtserver"}
    with (
        kubo_daemon(folder / "one", online=True, settings=settings) as one,
        kubo_daemon(folder / "two", online=True, settings=settings | dict(second or {})) as two,
    ):
        one("swarm", "connect", two.identity()["Addresses"][0])
        yield one, two

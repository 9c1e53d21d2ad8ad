"""A real IPFS Cluster on the loopback: peers, each with a Kubo node of its own."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx

from tests.support.kubo import KuboDaemon

DEADLINE_S = 60.0
SECRET = "5a" * 32


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class ClusterPeer:
    """One peer, and its Kubo node. `settings` are changes to its service.json, by section and key."""

    def __init__(self, folder: Path, *, settings: Mapping[str, Mapping[str, object]] | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.kubo = KuboDaemon(folder / "kubo", online=True)
        self.rest, self.swarm = free_port(), free_port()
        self._env = {**os.environ, "IPFS_CLUSTER_PATH": str(folder / "cluster"), "CLUSTER_SECRET": SECRET}
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = settings or {}
        self._run("init", "--consensus", "crdt")

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            ["ipfs-cluster-service", *words], env=self._env, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rest}"

    @property
    def id(self) -> str:
        return str(json.loads((self.folder / "cluster" / "identity.json").read_text())["id"])

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.swarm}/p2p/{self.id}"

    def start(self, *others: "ClusterPeer") -> "ClusterPeer":
        """Start the node and the peer, which joins the others."""
        self.kubo.start()
        file = self.folder / "cluster" / "service.json"
        config = cast("dict[str, Any]", json.loads(file.read_text()))
        cluster = config["cluster"]
        cluster |= {"listen_multiaddress": [f"/ip4/127.0.0.1/tcp/{self.swarm}"], "peer_addresses": []}
        cluster |= {"connection_manager": {"high_water": 400, "low_water": 100, "grace_period": "2m0s"}}
        cluster |= {"mdns_interval": "0s", "monitor_ping_interval": "1s", "state_sync_interval": "5s"}
        cluster |= {"pin_recover_interval": "1h", "peer_watch_interval": "1s", **self._settings.get("cluster", {})}
        config["consensus"]["crdt"] |= {"trusted_peers": ["*"], "rebroadcast_interval": "2s"}
        rest = config["api"]["restapi"]
        rest["http_listen_multiaddress"] = f"/ip4/127.0.0.1/tcp/{self.rest}"
        rest |= self._settings.get("restapi", {})
        config["api"] = {"restapi": rest}
        node = f"/ip4/127.0.0.1/tcp/{self.kubo.url.rpartition(':')[2]}"
        connector = config["ipfs_connector"]["ipfshttp"]
        connector |= {"node_multiaddress": node, "connect_swarms_delay": "1s", **self._settings.get("ipfshttp", {})}
        for informer in config.get("informer", {}).values():
            informer |= {"metric_ttl": "5s"}
        file.write_text(json.dumps(config))
        words = ["ipfs-cluster-service", "daemon", *(("--bootstrap", others[0].address) if others else ())]
        with (self.folder / "cluster.log").open("ab") as log:
            self._process = subprocess.Popen(words, env=self._env, stdout=log, stderr=log)
        self.until(lambda: self.ask("/health") is not None, "it answers")
        return self

    def ask(self, path: str, method: str = "GET") -> Any:
        """An answer of the REST API's; None where there is none."""
        try:
            answer = httpx.request(method, self.url + path, timeout=10)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.content.strip() else {}

    def until(self, condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
        ended_at = time.monotonic() + deadline_s
        while not condition():
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < ended_at, f"not within {deadline_s} s: {what}\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "cluster.log").read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """End peer and node without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process = None
        self.kubo.kill()


@contextmanager
def cluster(
    folder: Path, peers: int = 1, *, settings: Mapping[str, Mapping[str, object]] | None = None
) -> Iterator[list[ClusterPeer]]:
    """Peers that know one another, and are gone afterwards."""
    made = [ClusterPeer(folder / f"peer{number}", settings=settings) for number in range(peers)]
    try:
        made[0].start()
        for one in made[1:]:
            one.start(made[0])
        for one in made if peers > 1 else ():
            one.until(lambda one=one: len(_peers(one)) == peers, "the peers know one another")
            one.until(lambda one=one: len(_free(one)) == peers, "they know one another's room")
        yield made
    finally:
        for one in made:
            one.kill()


def _peers(one: ClusterPeer) -> list[Any]:
    """The REST API streams them as JSON lines."""
    return [json.loads(line) for line in httpx.get(one.url + "/peers", timeout=10).text.splitlines() if line.strip()]


def _free(one: ClusterPeer) -> list[Any]:
    """What the peers told of their free space: by that, allocations are chosen."""
    return list(one.ask("/monitor/metrics/freespace") or [])

"""S3 servers on the loopback: a SeaweedFS, which keeps every rule, and an rclone, which ignores conditions and checksums."""

import contextlib
import importlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
KEY: Final = "AKHLSPUB0000000000"
SECRET: Final = "test-secret-that-is-no-secret"  # noqa: S105 -- of a server that lives for one test
BUCKET: Final = "cars"
START_S: Final = 60.0


@dataclass
class Server:
    """An S3 server: where it listens, and how it is started, stopped and killed."""

    endpoint: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers HTTP."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.log.parent)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As if the machine had lost it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        host, _, port = self.endpoint.removeprefix("http://").rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=2) as link:
                link.sendall(b"GET / HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n")
                return link.recv(8) == b"HTTP/1.1" and self._ready()
        except OSError:
            return False

    def _ready(self) -> bool:
        return True


class Weed(Server):
    """SeaweedFS: its S3 port answers before its volumes are there."""

    def _ready(self) -> bool:
        """A first write makes the bucket, and fails until a volume server is there."""
        obstore, store_of = importlib.import_module("obstore"), importlib.import_module("obstore.store").S3Store
        store = store_of(
            BUCKET,
            config={"endpoint": self.endpoint, "region": "us-east-1"},
            access_key_id=KEY,
            secret_access_key=SECRET,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        try:
            obstore.put(store, "ready", b"ready")
        except obstore.exceptions.BaseError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def seaweedfs(folder: Path) -> Server:
    """A SeaweedFS that keeps its data in `folder`; not started."""
    folder.mkdir(parents=True, exist_ok=True)
    identities = [
        {
            "name": "hlspub",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    chosen = [
        f"-{name}.{kind}={port}"
        for (name, kind), port in zip(
            [(name, kind) for name in names for kind in ("port", "port.grpc")], ports, strict=True
        )
    ]
    command = [
        "weed",
        "-logtostderr",
        "server",
        f"-dir={folder}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=0",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 'identities.json'}",
        *chosen,
    ]
    return Weed(f"http://{HOST}:{ports[2 * names.index('s3')]}", command, folder / "weed.log")


def rclone(folder: Path) -> Server:
    """`rclone serve s3` over `folder`; not started."""
    (folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [
        "rclone",
        "serve",
        "s3",
        f"--config={folder / 'rclone.conf'}",
        f"--addr={HOST}:{port}",
        f"--auth-key={KEY},{SECRET}",
        "--vfs-cache-mode=off",
        str(folder / "data"),
    ]
    return Server(f"http://{HOST}:{port}", command, folder / "rclone.log")


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server, started now and killed in the end."""
    try:
        server.start()
        yield server
    finally:
        server.kill()

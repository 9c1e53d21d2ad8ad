"""A bucket of its own, a daemon's site, and gateways that share nothing but the bucket."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support import buckets
from tests.support.daemon import Daemon
from tests.support.site import Site

GATEWAY = (sys.executable, "-m", "hlspub", "gateway")


@dataclass
class Scene:
    """A store of its own, a daemon's site, and two machines with nothing but a gateway's configuration."""

    root: Path
    store: buckets.Server
    site: Site
    lives: list[Daemon]

    def target(self) -> str:
        return "\n".join(
            (
                "[target.bucket]",
                'kind = "s3"',
                'profile = "seaweedfs"',
                f'endpoint = "{self.store.endpoint}"',
                f'bucket = "{buckets.BUCKET}"',
                f'access_key = {{ file = "{self.root / "access"}" }}',
                f'secret_key = {{ file = "{self.root / "secret"}" }}',
                "",
            )
        )

    def configure(self, site: Site, more: str = "", **main: object) -> None:
        site.configure(end_on=["signal", "endlist"], **main)
        with site.config.open("a") as config:
            config.write(self.target() + more)

    def daemon(self, site: Site, more: str = "", **main: object) -> Daemon:
        self.configure(site, more, **main)
        return site.daemon()

    def gateway(self, name: str, port: int = 0) -> Daemon:
        config = self.root / f"{name}.toml"
        config.write_text(
            f'data_dir = "{name}"\nlog_format = "json"\n[gateway]\nlisten = "127.0.0.1:{port}"\n{self.target()}'
        )
        life = Daemon(config, GATEWAY).start()
        self.lives.append(life)
        return life


def address(gateway: Daemon) -> str:
    return str(gateway.wait("gateway.ready")["gateway"])


def head(url: str) -> str | None:
    """The root that a gateway shows of the stream."""
    try:
        answer = httpx.get(f"{url}/live/main/master.m3u8", timeout=10)
    except httpx.HTTPError:
        return None
    return answer.headers.get("x-ipfs-roots", "").split(",")[0] if answer.status_code == 200 else None


def all_there(scene: Scene, root: str, url: str) -> bool:
    said = scene.site.hlspub("verify", root, "--from", url, "--json", timeout_s=60)
    answer = json.loads(said.stdout or "{}")
    return said.returncode == 0 and answer["playlists_ok"] and not answer["missing"] and not answer["corrupt"]


@contextmanager
def a_bucket(root: Path) -> Iterator[Scene]:
    for name, secret in (("access", buckets.KEY), ("secret", buckets.SECRET)):
        (root / name).write_text(secret)
        (root / name).chmod(0o600)
    (root / "site").mkdir()
    with buckets.running(buckets.seaweedfs(root / "weed")) as store:
        made = Scene(root, store, Site(root / "site"), [])
        yield made
        made.site.close()
        for life in made.lives:
            life.kill()

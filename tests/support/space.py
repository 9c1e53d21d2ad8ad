"""A w3up space as a site's target, and what the service's own libraries read back of it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.site import Site
from tests.targets.w3up_service import NODE, Service


def into(
    site: Site, service: Service, space: dict[str, Any], name: str = "space", *, key: str | None = None, **more: object
) -> None:
    """Add a target on this space to the site's configuration; its secrets lie beside that, where a test may replace them.

    `key`: the agent's, when it is not the one that the service made.
    """
    key = key or service.ready["agent"]["key_multibase"]
    table: dict[str, object] = {"kind": "w3up", "url": service.url, "audience": service.ready["service_did"], **more}
    lines = [f"[target.{name}]", *(f"{one} = {json.dumps(value)}" for one, value in table.items())]
    for what, secret in (("key", key), ("proof", space["proof"]["cid_string"])):
        lines.append(f"{what} = {{ file = {json.dumps(str(secret_file(site, name, what, secret)))} }}")
    with site.config.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def secret_file(site: Site, name: str, what: str, secret: str) -> Path:
    """Write a target's secret where its table says that it is."""
    path = site.root / f"{name}.{what}"
    path.touch(mode=0o600)
    path.write_text(secret, encoding="ascii")
    return path


def rebuilt(service: Service, space: dict[str, Any], root: str, site: Site) -> dict[str, Any]:
    """What the service's libraries make of a root, held against the stream's directory (tests/node/w3up/rebuild.mjs)."""
    command = ["node", "rebuild.mjs", service.ready["admin"], space["did"], root, str(site.hls)]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said

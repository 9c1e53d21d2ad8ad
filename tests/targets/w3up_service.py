"""The real service code on the loopback (tests/node/w3up/server.mjs): started, told to misbehave, and read back."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.request import Request, urlopen

from hlspub.config.kinds import W3upTarget

NODE = Path(__file__).parents[1] / "node" / "w3up"
ABILITIES = ("space/blob/*", "space/index/add", "upload/add", "upload/remove", "upload/list")


@dataclass(frozen=True)
class Service:
    """`ready` is what the service said when it was up; see tests/node/w3up/README.md."""

    ready: Mapping[str, Any]

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.ready['admin']}{path}", data, method=method), timeout=30) as answer:  # noqa: S310 -- loopback
            return json.loads(answer.read())

    def space(self, **wanted: Any) -> dict[str, Any]:
        """Another space: {did, key_multibase, proof: {…}}; `wanted` as the service's README says."""
        return cast("dict[str, Any]", self.ask("space", {"can": ABILITIES} | wanted))

    def fault(self, **fault: Any) -> None:
        self.ask("faults", fault)

    def faults(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.ask("faults"))

    def calm(self) -> None:
        self.ask("faults", method="DELETE")
        self.ask("writes-disabled", {"on": False})
        self.ask("quota", {"bytes": 0})

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.ask(f"log?from={since}"))

    def uploads(self, space: str) -> dict[str, list[str]]:
        """Shards by root."""
        return {one["root"]: one["shards"] for one in self.ask(f"uploads?space={space}")}

    def registry(self, space: str) -> set[str]:
        """Multihashes, in base58, of what was accepted into the space."""
        return {one["digest"] for one in self.ask(f"registry?space={space}")}

    def blob(self, cid: str) -> bytes:
        with urlopen(f"{self.ready['admin']}blob/{cid}", timeout=30) as answer:  # noqa: S310 -- loopback
            return cast("bytes", answer.read())

    def index_claims(self, cid: str) -> list[str]:
        return [one["index"] for one in self.ask(f"claims/{cid}") if one["type"] == "assert/index"]


def table_for(service: Service, space: Mapping[str, Any], env: dict[str, str], **more: Any) -> W3upTarget:
    """The configuration's table for a space; its secrets go into `env`."""
    number = len(env)
    env |= {f"KEY{number}": service.ready["agent"]["key_multibase"], f"PROOF{number}": space["proof"]["cid_string"]}
    said = {
        "kind": "w3up",
        "url": service.url,
        "audience": service.ready["service_did"],
        "key": {"env": f"KEY{number}"},
        "proof": {"env": f"PROOF{number}"},
    }
    return W3upTarget.model_validate(said | more)


@contextmanager
def serving(**env: str) -> Iterator[Service]:
    command = ["node", "server.mjs"]
    paths = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(
        command, cwd=NODE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=paths | env
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the service did not start"
            yield Service(json.loads(line))
        finally:
            process.terminate()
            process.wait(timeout=30)

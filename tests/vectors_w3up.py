"""The vectors of w3up's wire format, read once: tests/vectors/w3up.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid
from hlspub.ucan.principal import Signer

FILE = Path(__file__).parent / "vectors" / "w3up.json"


@cache
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def signers() -> dict[str, Signer]:
    """By DID."""
    said = [*vectors()["signers"], vectors()["http_put"]["key"]]
    made = [Signer.from_seed(bytes.fromhex(one["seed_hex"])) for one in said]
    return {one.did: one for one in made}


def signer(name: str) -> Signer:
    seed = next(one["seed_hex"] for one in vectors()["signers"] if one["name"] == name)
    return Signer.from_seed(bytes.fromhex(seed))


def block(vector: dict[str, Any]) -> Block:
    return Block(Cid.parse(vector["cid"]), bytes.fromhex(vector["block_hex"]))

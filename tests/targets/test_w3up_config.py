"""From a w3up target's table to the target, and what is said of secrets that are wrong."""

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hlspub.building import Parts, build_target, read_again
from hlspub.config.kinds import W3upTarget
from hlspub.config.model import Config
from hlspub.errors import ConfigError
from hlspub.ipld.cid import Cid
from hlspub.spool.store import CarStore
from hlspub.targets.base import Target
from hlspub.targets.w3up.target import W3upTarget as Space
from hlspub.ucan.principal import Signer
from tests.targets.factories import NoReceipts
from tests.vectors_w3up import vectors

KEY = next(one["key_multibase"] for one in vectors()["signers"] if one["name"] == "agent")
PROOF = vectors()["delegation"]["forms"]["cid_string"]
SPACE = vectors()["delegation"]["issuer"]
TABLE = {
    "kind": "w3up",
    "url": "https://up.example/",
    "audience": "did:web:up.example",
    "key": {"env": "KEY"},
    "proof": {"env": "PROOF"},
}


def build(folder: Path, key: str = KEY, proof: str = PROOF, **more: Any) -> Target:
    async def no_block(_cid: Cid) -> None:
        return None

    spool, store = CarStore(folder / "spool"), CarStore(folder / "local")
    parts = Parts(4, {"KEY": key, "PROOF": proof}, spool, store, no_block, lambda _name: NoReceipts())
    table = W3upTarget.model_validate(TABLE | more)
    config = Config.defaults(folder).model_copy(update={"target": {"space": table}})
    return build_target(config, "space", parts)


@pytest.mark.anyio
async def test_a_table_becomes_a_target(tmp_path: Path) -> None:
    target = build(tmp_path, shard_size="1MiB", shard_age="3s", concurrency=2)
    assert isinstance(target, Space)
    assert target.agent.space == SPACE
    assert target.agent.service.receipts == "https://up.example/receipt/"
    can = target.capabilities
    assert (can.concurrency, can.shard_bytes, can.shard_age_s) == (2, 1 << 20, 3.0)
    assert can.shard_cars > 100
    await target.aclose()


@pytest.mark.anyio
async def test_the_space_and_the_receipts_may_be_named(tmp_path: Path) -> None:
    other = vectors()["signers"][1]["did"]
    target = build(tmp_path, space=other, receipts="https://receipts.example/r/")
    assert isinstance(target, Space)
    assert target.agent.space == other
    assert target.agent.service.receipts == "https://receipts.example/r/"
    await target.aclose()


@pytest.mark.anyio
async def test_key_and_proof_are_read_again_and_put_in_force_together(tmp_path: Path) -> None:
    target = build(tmp_path)
    assert isinstance(target, Space)
    before = target.agent.signer.did
    space = Signer.from_seed(bytes(32))
    table = W3upTarget.model_validate(TABLE | {"space": target.agent.space})
    config = Config.defaults(tmp_path).model_copy(update={"target": {"space": table}})
    key = base64.b64encode(space.archive()).decode()
    (renew,) = read_again(config, [target], {"KEY": key, "PROOF": PROOF})
    assert target.agent.signer.did == before
    renew()
    assert target.agent.signer.did == space.did
    await target.aclose()


@pytest.mark.anyio
async def test_a_proof_for_another_space_is_not_put_in_force(tmp_path: Path) -> None:
    target = build(tmp_path)
    assert isinstance(target, Space)
    table = W3upTarget.model_validate(TABLE)
    config = Config.defaults(tmp_path).model_copy(update={"target": {"space": table}})
    target.agent.space = vectors()["signers"][1]["did"]
    with pytest.raises(ConfigError, match="its new proof is not for did:key") as caught:
        read_again(config, [target], {"KEY": KEY, "PROOF": PROOF})
    assert "restart" in caught.value.hint
    await target.aclose()


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({"key": "secret!"}, "target.space: a key that is no base64"),
        ({"proof": "secret!"}, "target.space: a proof that is neither a CID nor base64"),
        ({"key": ""}, "KEY is empty or not set"),
    ],
)
def test_a_secret_that_is_wrong_is_named_and_not_quoted(tmp_path: Path, secrets: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, **secrets)
    assert said in str(caught.value)
    assert "secret!" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "up.example"},
        {"audience": "up.example"},
        {"space": "did:web:up.example"},
        {"key": KEY},
        {"receipts": "ftp://x"},
        {"url": "https://me:secret@up.example"},
        {"strange": 1},
    ],
)
def test_a_table_that_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        W3upTarget.model_validate(TABLE | wrong)

"""The traps of w3up, each against the real service: it ends in success, or in an error that says what to do."""

from collections.abc import AsyncGenerator, AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hlspub.errors import TargetError
from hlspub.ipld.car import car_cid
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.targets.w3up import shard as shards
from hlspub.targets.w3up.agent import POLLS_S
from hlspub.targets.w3up.blob import Blob, keep
from hlspub.targets.w3up.errors import OPERATOR_S, Again
from hlspub.targets.w3up.exchange import PAUSES_S
from hlspub.targets.w3up.target import ROUNDS
from hlspub.ucan import index
from hlspub.ucan.index import ShardMap, multihash
from tests.targets.w3up_scene import Scene, scene
from tests.targets.w3up_service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.w3up]

DAY = 86400.0


async def once(data: bytes) -> AsyncGenerator[bytes]:
    yield data


@pytest.fixture
async def here(w3up_service: Service, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(w3up_service, tmp_path) as made:
        yield made


async def failing(here: Scene, **fault: Any) -> TargetError:
    """How a put fails while the service has this fault."""
    here.service.fault(**fault)
    with pytest.raises(TargetError) as caught:
        await here.put(here.file())
    assert caught.value.hint
    return caught.value


async def test_a_shard_its_index_and_how_many_requests_they_take(here: Scene) -> None:
    one = here.file()
    shard = await here.put(one)
    assert here.kept(shard) == here.spool.path(one.key).read_bytes()
    [index] = here.service.index_claims(str(one.root))
    here.kept(index)
    seen = [(entry["kind"], entry.get("can")) for entry in here.log()]
    assert seen[:2] == [("ucan", "space/blob/add")] * 2
    assert sorted(kind for kind, _ in seen[2:4]) == ["put", "put"]
    assert seen[4:6] == [("ucan", "ucan/conclude")] * 2
    assert seen[6:] == [("receipt", None), ("receipt", None), ("ucan", "space/index/add")]


async def test_several_cars_are_one_shard_with_all_their_blocks(here: Scene) -> None:
    cars = [*(here.file() for _ in range(3)), here.nodes()]
    data = here.kept(await here.put(*cars))
    reader = CarReader(BytesIO(data).read)
    assert reader.roots == (cars[-1].root,)
    assert {car.root for car in cars} <= {block.cid for block in reader}
    mapped = shards.build(cars, here.spool.open).blocks
    assert {one.cid for one in mapped} >= {car.root for car in cars}
    for one in mapped:
        assert Cid.of_data(one.cid.codec, data[one.offset : one.offset + one.length]) == one.cid
    assert here.service.index_claims(str(cars[-1].root))


@pytest.mark.parametrize(
    "form", ["cid_string", "archive_base64", "plain_car_base64", "plain_car_base64url", "rootless_car_base64"]
)
async def test_every_form_of_a_proof_will_do(w3up_service: Service, tmp_path: Path, form: str) -> None:
    async with scene(w3up_service, tmp_path, proof=form, via=True) as here:
        here.kept(await here.put(here.file()))


async def test_after_an_error_another_nonce_is_used(here: Scene) -> None:
    one = here.file()
    here.service.fault(at="handler", can="space/blob/add", error={"name": "Oops", "message": "not now"})
    with pytest.raises(TargetError, match="Oops: not now") as caught:
        await here.put(one)
    assert caught.value.retry_s is not None
    here.kept(await here.put(one))
    tasks = here.tasks("space/blob/add")
    assert len(set(tasks)) == len(tasks) == 4


async def test_after_a_lost_reply_the_same_bytes_are_sent(here: Scene) -> None:
    for can in ("space/blob/add", "ucan/conclude", "space/index/add"):
        here.service.fault(at="ucan", can=can, drop="after")
    here.kept(await here.put(here.file()))
    for can, different in (("space/blob/add", 2), ("ucan/conclude", 2), ("space/index/add", 1)):
        tasks = here.tasks(can)
        assert (len(set(tasks)), len(tasks)) == (different, 2 * different)
    assert here.naps == [PAUSES_S[0]] * 3


async def test_what_is_there_is_not_sent_again(here: Scene, tmp_path: Path) -> None:
    one = here.file()
    shard = await here.put(one)
    assert await here.put(one) == shard
    assert len(here.log(kind="put")) == 2
    async with scene(here.service, tmp_path) as other:  # another space: the node has it, the space does not
        other.target.open_car = here.spool.open
        other.kept(await other.put(one))
        assert other.log(kind="put") == []


async def test_nothing_is_concluded_before_the_bytes_are_there(here: Scene) -> None:
    why = await failing(here, at="put", status=403, count=100)
    assert "HTTP 403" in str(why)
    assert here.tasks("ucan/conclude") == []
    assert len(here.tasks("space/blob/add")) == 2 * ROUNDS
    here.service.calm()
    here.kept(await here.put(here.file()))


async def test_an_address_that_is_refused_is_asked_for_anew(here: Scene) -> None:
    here.service.fault(at="put", status=403)
    here.kept(await here.put(here.file()))


async def test_an_address_that_has_expired_is_asked_for_anew(here: Scene) -> None:
    one = here.file()
    here.clock.jumps = [0, 0, 0, 2 * DAY]  # between the answers and the first PUT
    here.kept(await here.put(one))
    assert len(here.tasks("space/blob/add")) == 4


async def test_an_address_that_was_given_too_late_is_asked_for_anew(here: Scene) -> None:
    here.service.fault(at="allocate", expires_in=-60, count=2)
    here.kept(await here.put(here.file()))
    assert len(here.log(kind="fault", at="allocate")) == 2
    assert len(here.tasks("space/blob/add")) == 4


async def test_bytes_that_were_promised_and_never_written_are_sent_again(here: Scene) -> None:
    here.service.fault(at="put", status=200)  # the node says yes, and keeps nothing
    here.kept(await here.put(here.file()))
    assert here.log(kind="ucan", error="AllocatedMemoryHadNotBeenWrittenTo")


@pytest.mark.parametrize("drop", ["before", "mid", "after"])
async def test_a_put_that_breaks_off(here: Scene, drop: str) -> None:
    here.service.fault(at="put", drop=drop, count=2)
    one = here.file(300_000)
    assert here.kept(await here.put(one)) == here.spool.path(one.key).read_bytes()


@pytest.mark.parametrize(("at", "can"), [("ucan", "space/blob/add"), ("put", None)])
async def test_a_short_retry_after_is_waited_for(here: Scene, at: str, can: str | None) -> None:
    wanted = {"can": can} if can else {}
    here.service.fault(at=at, status=429, headers={"retry-after": "3"}, **wanted)
    here.kept(await here.put(here.file()))
    assert here.naps == [3.0]


@pytest.mark.parametrize(("at", "can"), [("ucan", "space/blob/add"), ("put", None), ("receipt", None)])
async def test_a_long_retry_after_is_left_to_the_journal(here: Scene, at: str, can: str | None) -> None:
    wanted = {"can": can} if can else {}
    why = await failing(here, at=at, status=429, headers={"retry-after": "60"}, count=9, **wanted)
    assert why.retry_s == 60.0
    assert here.naps == []


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_moment_of_trouble(here: Scene, status: int) -> None:
    for at in ("ucan", "put", "receipt"):
        here.service.fault(at=at, status=status)
    here.kept(await here.put(here.file()))


async def test_trouble_that_lasts_is_left_to_the_journal(here: Scene) -> None:
    why = await failing(here, at="ucan", status=503, count=100)
    assert why.retry_s is not None
    assert here.naps == list(PAUSES_S)


async def test_a_message_that_is_too_long_is_not_sent_again(here: Scene) -> None:
    assert (await failing(here, at="ucan", status=413)).retry_s is None


async def test_a_receipt_that_comes_late(here: Scene) -> None:
    here.service.fault(at="receipt", status=404, count=3)
    here.kept(await here.put(here.file()))
    why = await failing(here, at="receipt", status=404, count=1000)
    assert "no receipt" in str(why)
    assert why.retry_s is not None
    assert here.naps[-len(POLLS_S) :] == list(POLLS_S)


@pytest.mark.parametrize("name", ["ShardNotFound", "IndexNotFound"])
async def test_an_index_whose_blobs_are_not_there_sends_them_again(here: Scene, name: str) -> None:
    here.service.fault(at="handler", can="space/index/add", error={"name": name})
    here.kept(await here.put(here.file()))


async def test_how_the_service_itself_says_that_blobs_are_not_there(here: Scene) -> None:
    strange = ShardMap(multihash(car_cid(b"never sent")), 10, [])
    indexed = index.encode(here.file().root, [strange])
    for name in ("IndexNotFound", "ShardNotFound"):
        with pytest.raises(Again, match=name):
            await here.target.agent.invoke("space/index/add", [{"index": car_cid(indexed)}])
        await keep(here.target.agent, [Blob(multihash(car_cid(indexed)), len(indexed), lambda: once(indexed))])


async def test_what_the_service_does_not_understand_is_said_so(here: Scene) -> None:
    root = here.file().root
    with pytest.raises(TargetError, match="malformed") as caught:
        await here.target.agent.invoke("upload/add", [{"root": root, "shards": [root]}])
    assert caught.value.retry_s is None
    assert "UCAN 0.9" in caught.value.hint
    with pytest.raises(TargetError, match="HandlerNotFound") as caught:
        await here.target.agent.invoke("space/nothing", [{}])
    assert caught.value.retry_s is None


async def test_a_bug_of_the_service_is_tried_again_later(here: Scene) -> None:
    why = await failing(here, at="handler", can="space/blob/add", throw="undefined is not a function")
    assert "undefined is not a function" in str(why)
    assert why.retry_s is not None


async def test_an_answer_that_is_none(here: Scene) -> None:
    why = await failing(here, at="ucan", status=200, body="<html>Welcome to your router</html>", count=9)
    assert why.retry_s is not None
    assert "w3up" in why.hint


async def test_a_space_without_room(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, provision=False) as here:
        with pytest.raises(TargetError, match="InsufficientStorage") as caught:
            await here.put(here.file())
        assert caught.value.retry_s == OPERATOR_S
        assert "quota" in caught.value.hint


async def test_a_quota_that_is_used_up_and_raised(here: Scene) -> None:
    one = here.file()
    here.service.ask("quota", {"bytes": 1})
    with pytest.raises(TargetError, match="enough space") as caught:
        await here.put(one)
    assert caught.value.retry_s == OPERATOR_S
    here.service.ask("quota", {"bytes": 0})
    here.kept(await here.put(one))


async def test_writes_that_are_disabled_and_enabled_again(here: Scene) -> None:
    one = here.file()
    here.service.ask("writes-disabled", {"on": True})
    with pytest.raises(TargetError, match="currently disabled") as caught:
        await here.put(one)
    assert caught.value.retry_s == OPERATOR_S
    assert "stays queued" in caught.value.hint
    here.service.ask("writes-disabled", {"on": False})
    here.kept(await here.put(one))


async def test_a_delegation_that_was_revoked(here: Scene) -> None:
    here.service.ask("revoke", {"space_key": here.space["key_multibase"], "cid": here.space["proof"]["cid"]})
    with pytest.raises(TargetError, match="Unauthorized") as caught:
        await here.put(here.file())
    assert caught.value.retry_s is None
    assert "revoked" in caught.value.hint


async def test_a_delegation_that_has_expired(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, expiration=1_700_000_000) as here:
        with pytest.raises(TargetError, match="Unauthorized") as caught:
            await here.put(here.file())
        assert caught.value.retry_s is None
        assert "reload" in caught.value.hint
        assert "expired on 2023-11-14 22:13 UTC" in caught.value.hint


async def test_an_ability_that_is_missing(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, can=["upload/add"]) as here:
        with pytest.raises(TargetError, match="Unauthorized") as caught:
            await here.put(here.file())
        assert caught.value.retry_s is None
        assert "does not allow space/blob/add" in caught.value.hint


async def test_a_clock_that_is_wrong(here: Scene) -> None:
    here.clock.ahead = -DAY
    with pytest.raises(TargetError, match="expired") as caught:
        await here.put(here.file())
    assert caught.value.retry_s is not None
    assert "NTP" in caught.value.hint


async def test_no_node_that_takes_it(here: Scene) -> None:
    why = await failing(here, at="handler", can="space/blob/add", error={"name": "CandidateUnavailable"})
    assert why.retry_s is not None
    assert "shard_size" in why.hint


async def test_a_car_that_is_damaged_here_is_not_sent(here: Scene) -> None:
    one = here.file()
    path = here.spool.path(one.key)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TargetError, match="damaged") as caught:
        await here.put(one)
    assert caught.value.retry_s is None
    assert here.log() == []


async def test_no_secret_shows(here: Scene) -> None:
    shown = repr(here.target) + str(await failing(here, at="ucan", status=413))
    for secret in (here.service.ready["agent"]["key_multibase"], here.space["proof"]["cid_string"]):
        assert secret[4:40] not in shown
    assert str(here.target.agent.proof.delegation.signature)[10:60] not in shown

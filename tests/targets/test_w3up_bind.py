"""Roots at w3up: which shards they are listed with, what is taken out of the list, and what `check` says."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from hlspub.errors import TargetError
from hlspub.ipld.car import car_cid
from hlspub.ipld.cid import Cid
from hlspub.ucan.principal import Signer
from tests.targets.w3up_scene import Scene, scene
from tests.targets.w3up_service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.w3up]


@pytest.fixture
async def here(w3up_service: Service, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(w3up_service, tmp_path) as made:
        yield made


async def publish(here: Scene, files: int = 1, *, final: bool = False, session: int = 1) -> tuple[Cid, set[str]]:
    """One more root: it, and the shards that came with it."""
    shards = {await here.put(here.file(), session=session) for _ in range(files)}
    nodes = here.nodes()
    shards.add(await here.put(nodes, session=session))
    here.journal.roots[nodes.root] = (session, final)
    return nodes.root, shards


def listed(here: Scene) -> dict[str, set[str]]:
    return {root: set(shards) for root, shards in here.service.uploads(here.space["did"]).items()}


async def test_a_root_is_listed_with_what_is_new_and_the_last_with_all(here: Scene) -> None:
    first, one = await publish(here, 2)
    await here.target.bind(first, supersedes=None)
    assert listed(here) == {str(first): one}
    second, two = await publish(here)
    await here.target.bind(second, supersedes=first)
    assert listed(here) == {str(second): two}
    last, three = await publish(here, final=True)
    await here.target.bind(last, supersedes=second)
    assert listed(here) == {str(last): one | two | three}
    for shard in one | two | three:
        here.kept(shard)


async def test_after_a_restart_a_root_is_listed_with_all_that_the_journal_knows(here: Scene, tmp_path: Path) -> None:
    first, one = await publish(here)
    await here.target.bind(first, supersedes=None)
    here.target._fresh.clear()
    here.target._seen.clear()
    second, two = await publish(here)
    await here.target.bind(second, supersedes=first)
    assert listed(here) == {str(second): one | two}


async def test_a_first_root_that_failed_is_listed_with_all_the_same(here: Scene) -> None:
    here.journal.told["of a life before"] = (1, before := str(car_cid(b"of a life before")))
    root, shards = await publish(here)
    here.service.fault(at="handler", can="upload/add", error={"name": "Oops"})
    with pytest.raises(TargetError, match="Oops"):
        await here.target.bind(root, supersedes=None)
    await here.target.bind(root, supersedes=None)
    assert listed(here) == {str(root): shards | {before}}


async def test_streams_that_share_a_space_are_listed_apart(here: Scene) -> None:
    first, one = await publish(here, session=1)
    other, two = await publish(here, session=2)
    await here.target.bind(first, supersedes=None)
    await here.target.bind(other, supersedes=None)
    assert listed(here) == {str(first): one, str(other): two}
    again, three = await publish(here, session=1)
    await here.target.bind(again, supersedes=first)
    assert listed(here) == {str(again): three, str(other): two}


async def test_what_no_journal_was_told_of_is_listed_with_its_root(here: Scene) -> None:
    shards = {await here.target.put([here.file()]), await here.target.put([nodes := here.nodes()])}
    await here.target.bind(nodes.root, supersedes=None)
    assert listed(here) == {str(nodes.root): shards}


async def test_what_is_found_there_is_listed_too(here: Scene) -> None:
    one, nodes = here.file(), here.nodes()
    shards = {await here.target.put([one]), await here.target.put([nodes])}
    here.target._fresh.clear()  # another process goes on
    assert [await here.target.has(car) for car in (one, nodes, here.file())] == [True, True, False]
    await here.target.bind(nodes.root, supersedes=None)
    assert listed(here) == {str(nodes.root): shards}


async def test_without_the_ability_to_ask_what_is_known_has_to_do(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, can=["space/blob/add", "space/index/add", "upload/add"]) as here:
        one, other = here.file(), here.file()
        await here.put(one)
        assert [await here.target.has(car) for car in (one, other)] == [True, False]
        assert "not asked whether it agrees" in await here.target.check()


async def test_a_final_root_stays_listed_whatever_comes_after(here: Scene) -> None:
    final, _ = await publish(here, final=True)
    await here.target.bind(final, supersedes=None)
    later, _ = await publish(here, session=2)
    await here.target.bind(later, supersedes=final)
    assert set(listed(here)) == {str(final), str(later)}


async def test_a_lost_reply_lists_a_root_once(here: Scene) -> None:
    root, shards = await publish(here)
    here.service.fault(at="ucan", can="upload/add", drop="after")
    await here.target.bind(root, supersedes=None)
    assert listed(here) == {str(root): shards}
    assert len(set(here.tasks("upload/add"))) == 1


async def test_a_long_list_of_shards_goes_in_several_calls(here: Scene) -> None:
    root, shards = await publish(here, final=True)
    many = {str(car_cid(str(number).encode())) for number in range(2000)}
    here.journal.told |= {shard: (1, shard) for shard in many}
    await here.target.bind(root, supersedes=None)
    assert listed(here) == {str(root): shards | many}
    assert len(here.tasks("upload/add")) == 3  # of a thousand at most


async def test_without_upload_remove_roots_stay_listed_and_check_says_so(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, can=["space/*", "upload/add", "upload/list"]) as here:
        first, _ = await publish(here)
        second, _ = await publish(here)
        await here.target.bind(first, supersedes=None)
        await here.target.bind(second, supersedes=first)
        await here.target.forget(second)
        assert set(listed(here)) == {str(first), str(second)}
        assert "without upload/remove" in await here.target.check()


async def test_writes_that_are_disabled_keep_a_root_waiting(here: Scene) -> None:
    root, shards = await publish(here)
    here.service.ask("writes-disabled", {"on": True})
    with pytest.raises(TargetError, match="currently disabled"):
        await here.target.bind(root, supersedes=None)
    here.service.calm()
    await here.target.bind(root, supersedes=None)
    assert listed(here) == {str(root): shards}


async def test_check_says_who_lets_whom_do_what_until_when(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, expiration=4_000_000_000) as here:
        said = await here.target.check()
        for part in (here.space["did"], w3up_service.ready["agent"]["did"], "until 2096-10-02", w3up_service.url):
            assert part in said
        assert here.tasks("upload/list")
        here.clock.ahead = 4_000_000_000 - here.clock.now() - 86400
        here.target.agent.signer = Signer.from_seed(bytes(32))  # another key than the proof is for
        with pytest.raises(TargetError) as caught:
            await here.target.check()
        assert w3up_service.ready["agent"]["did"] in str(caught.value)
        assert here.target.agent.signer.did in str(caught.value)


async def test_check_tells_of_each_delegation_of_a_chain(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, via=True) as here:
        _, first, second = (await here.target.check()).partition(here.space["did"])
        said = first + second
        assert " * on " in said
        assert said.count(" lets ") == 2
        assert said.index(" * on ") < said.index(w3up_service.ready["agent"]["did"])


async def test_check_warns_of_a_proof_that_ends_soon(w3up_service: Service, tmp_path: Path) -> None:
    async with scene(w3up_service, tmp_path, lifetime=86400) as here:
        assert "ask for a new proof" in await here.target.check()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"can": ["space/blob/add"]}, "does not allow space/index/add, upload/add"),
        ({"expiration": 1_700_000_000}, "has expired on 2023-11-14 22:13 UTC"),
        ({"not_before": 4_000_000_000}, "not valid before 2096-10-02 07:06 UTC"),
        ({"audience": "did:key:z6MktepsgFrQ4ifvaaKXsrTuV9w7mpEasYRQwNEfsZdNrtnF"}, "the proof is for did:key:z6Mktep"),
    ],
)
async def test_check_names_what_is_wrong(
    w3up_service: Service, tmp_path: Path, space: dict[str, object], said: str
) -> None:
    async with scene(w3up_service, tmp_path, **space) as here:
        with pytest.raises(TargetError, match=said) as caught:
            await here.target.check()
        assert caught.value.retry_s is None
        assert here.log() == []


async def test_check_names_a_service_that_is_another(here: Scene) -> None:
    here.target.agent.service = replace(here.target.agent.service, audience="did:web:another.example")
    with pytest.raises(TargetError) as caught:
        await here.target.check()
    assert "did:web:another.example" in str(caught.value)
    assert "audience" in caught.value.hint
    assert caught.value.retry_s is None


async def test_check_hears_what_only_the_service_knows(here: Scene) -> None:
    here.service.ask("revoke", {"space_key": here.space["key_multibase"], "cid": here.space["proof"]["cid"]})
    with pytest.raises(TargetError, match="Unauthorized") as caught:
        await here.target.check()
    assert "revoked" in caught.value.hint

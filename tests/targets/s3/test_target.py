"""What the shared suite does not ask: names, the index, shards of several CARs, and a store that misbehaves."""

from hashlib import sha256
from io import BytesIO

import pytest

from hlspub.errors import TargetError
from hlspub.ipld.block import matches
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import UNIXFS_V1_2025
from hlspub.spool.store import CarStore
from hlspub.targets.s3 import keys
from hlspub.targets.s3.shard import LARGE
from tests.support.buckets import Server
from tests.targets.s3.makers import bucket, car, target
from tests.targets.s3.moody import Mood, Moody

pytestmark = [pytest.mark.anyio, pytest.mark.s3]
LONG = bytes(range(256)) * 10_000  # three leaves


async def test_a_car_is_named_by_its_bytes_and_written_once(endpoint: str, spool: CarStore) -> None:
    place = bucket(endpoint)
    packed = spool.put_data(LONG, UNIXFS_V1_2025)
    here = target(place, spool)
    assert await here.put([car(packed)]) == "kept"
    data = spool.path(packed.car.key).read_bytes()
    found = await place.get(f"car/{Cid.of_data(Codec.CAR, data)}.car")
    assert found is not None
    assert found.data == data
    if "conditions" in await here.check():
        assert await here.put([car(packed)]) == "there already"


async def test_every_block_comes_back(endpoint: str, spool: CarStore) -> None:
    place = bucket(endpoint)
    here = target(place, spool)
    packed = [spool.put_data(data, UNIXFS_V1_2025) for data in (LONG, b"one", b"two")]
    for one in packed:
        await here.put([car(one)])
    for reader in (here, target(place, spool, writer="another")):
        for one in packed:
            for at in one.car.blocks:
                data = await reader.read(at.cid)
                assert data is not None
                assert matches(at.cid, data)
        assert await reader.read(Cid.of_data(Codec.RAW, b"absent")) is None


async def test_several_cars_are_one_object(endpoint: str, spool: CarStore) -> None:
    place = bucket(endpoint)
    here = target(place, spool, shard_cars=8)
    packed = [spool.put_data(data, UNIXFS_V1_2025) for data in (LONG, b"one", LONG[:1_500_000], b"one")]
    await here.put([car(one) for one in packed])
    names = {spot.car for one in packed if (spot := await here.lookup.find(one.cid)) is not None}
    assert len(names) == 1
    found = await place.get(keys.car(names.pop()))
    assert found is not None
    reader = CarReader(BytesIO(found.data).read)
    assert reader.roots == tuple(one.car.root for one in packed)
    cids = [block.cid for block in reader]
    assert len(cids) == len(set(cids))
    for one in packed:
        assert await here.has(car(one))


@pytest.mark.parametrize("store", ["seaweedfs", "rclone"])
async def test_a_large_car_goes_in_parts(request: pytest.FixtureRequest, store: str, spool: CarStore) -> None:
    server: Server = request.getfixturevalue(store)
    here = target(bucket(server.endpoint), spool)
    packed = spool.put_data(LONG * 14, UNIXFS_V1_2025)
    assert packed.car.size_bytes > LARGE
    assert await here.put([car(packed)]) == "kept"
    assert await here.put([car(packed)]) == "there already"
    for at in packed.car.blocks:
        data = await here.read(at.cid)
        assert data is not None
        assert matches(at.cid, data)


@pytest.mark.parametrize("mood", [Mood.SLOW_DOWN, Mood.FAILS, Mood.RESETS, Mood.REFUSES_DIGEST, Mood.DAMAGES])
async def test_a_passing_failure_says_when_to_try_again(bad: Moody, spool: CarStore, mood: Mood) -> None:
    here = target(bucket(bad.endpoint, retries=0), spool)
    one = car(spool.put_data(LONG, UNIXFS_V1_2025))
    await here.check()
    bad.become(mood)
    with pytest.raises(TargetError) as caught:
        await here.put([one])
    assert caught.value.retry_s is not None
    assert "AKHLSPUB" not in str(caught.value) + caught.value.hint
    assert not await here.has(one)
    bad.become(Mood.WELL)
    if mood is Mood.DAMAGES:  # a person removes what was damaged there: it may be anything
        bad.objects = {key: kept for key, kept in bad.objects.items() if "/car/" not in key}
    await here.put([one])
    assert await here.has(one)


@pytest.mark.parametrize(("mood", "hint"), [(Mood.SKEWED, "clock"), (Mood.DENIES, "access_key")])
async def test_a_refusal_says_what_to_do(bad: Moody, spool: CarStore, mood: Mood, hint: str) -> None:
    here = target(bucket(bad.endpoint, retries=0), spool)
    bad.become(mood)
    with pytest.raises(TargetError) as caught:
        await here.put([car(spool.put_data(b"one", UNIXFS_V1_2025))])
    assert caught.value.retry_s is None
    assert hint in caught.value.hint


async def test_one_exchange_is_repeated_for_a_moment(bad: Moody, spool: CarStore) -> None:
    here = target(bucket(bad.endpoint, retries=3), spool)
    bad.become(Mood.SLOW_DOWN, 2)
    await here.put([car(spool.put_data(b"one", UNIXFS_V1_2025))])


async def test_a_lost_answer_is_a_success(bad: Moody, spool: CarStore) -> None:
    here = target(bucket(bad.endpoint, retries=3), spool)
    await here.check()
    for number in range(4):
        bad.become(Mood.LOSES_ANSWERS, 1)
        one = car(spool.put_data(b"%d" % number, UNIXFS_V1_2025))
        await here.put([one])
        assert await here.has(one)


async def test_a_damaged_object_in_a_cars_place_is_told(bad: Moody, spool: CarStore) -> None:
    place = bucket(bad.endpoint)
    here = target(place, spool)
    packed = spool.put_data(b"one", UNIXFS_V1_2025)
    data = spool.path(packed.car.key).read_bytes()
    await place.put(keys.car(sha256(data).digest()), data[:-1] + b"?")
    with pytest.raises(TargetError, match="other bytes") as caught:
        await here.put([car(packed)])
    assert caught.value.retry_s is None


async def test_without_md5_what_arrived_is_read_back(bad: Moody, spool: CarStore) -> None:
    bad.md5 = False
    here = target(bucket(bad.endpoint), spool)
    assert "read back" in await here.check()
    before = bad.asked["GET"]
    await here.put([car(spool.put_data(LONG, UNIXFS_V1_2025))])
    assert bad.asked["GET"] > before
    bad.become(Mood.DAMAGES, 1)
    with pytest.raises(TargetError, match="what arrived"):
        await here.put([car(spool.put_data(LONG + b"2", UNIXFS_V1_2025))])


async def test_a_store_without_manners_says_so(rclone: Server, seaweedfs: Server, spool: CarStore) -> None:
    told = {
        name: await target(bucket(server.endpoint), spool).check()
        for name, server in (("rclone", rclone), ("seaweedfs", seaweedfs))
    }
    assert "If-None-Match" in told["rclone"]
    assert "Range" in told["rclone"]
    assert told["seaweedfs"] == "keeps conditions, ranges and digests"


async def test_the_cid_that_the_store_names_must_be_ours(bad: Moody, spool: CarStore) -> None:
    packed = spool.put_data(b"one", UNIXFS_V1_2025)
    here = target(bucket(bad.endpoint), spool, metadata={"import": "car", "cid": str(packed.cid)}, names_cid=True)
    await here.put([car(packed)])
    with pytest.raises(TargetError, match="it made"):
        await here.put([car(spool.put_data(b"two", UNIXFS_V1_2025))])


async def test_marks_follow_the_root(endpoint: str, spool: CarStore) -> None:
    place = bucket(endpoint)
    here = target(place, spool)
    first, second = (spool.put_data(data, UNIXFS_V1_2025).cid for data in (b"one", b"two"))
    await here.bind(first, supersedes=None)
    await here.bind(second, supersedes=first)
    assert await place.head(keys.root(first)) is None
    assert await place.head(keys.root(second)) is not None
    await here.bind(second, supersedes=second)
    assert await place.head(keys.root(second)) is not None

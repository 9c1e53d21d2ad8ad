"""S3 targets for the tests, over whichever server."""

from collections.abc import Mapping
from secrets import token_hex

from hlspub.model import Packed
from hlspub.spool.store import CarStore
from hlspub.targets.base import Capabilities, CarFile
from hlspub.targets.s3.bucket import Address, Bucket
from hlspub.targets.s3.target import S3Target
from tests.support.buckets import BUCKET, KEY, SECRET


def bucket(endpoint: str, prefix: str | None = None, *, retries: int = 1, secret: str = SECRET) -> Bucket:
    """A prefix of its own in the tests' bucket."""
    address = Address(BUCKET, KEY, secret, endpoint, prefix=token_hex(4) if prefix is None else prefix)
    return Bucket("bucket", address, retries=retries)


def target(
    place: Bucket,
    spool: CarStore,
    *,
    writer: str = "w1",
    shard_cars: int = 1,
    metadata: Mapping[str, str] | None = None,
    names_cid: bool = False,
) -> S3Target:
    """A target in that bucket that is sent the spool's CARs."""
    able = Capabilities(concurrency=4, shard_cars=shard_cars)
    return S3Target("bucket", place, lambda: writer, spool.open, able, metadata or {}, names_cid)


def car(packed: Packed) -> CarFile:
    """A CAR of the spool as a target is handed it."""
    return CarFile(packed.car.key, packed.car.kind, packed.car.root, packed.car.size_bytes)

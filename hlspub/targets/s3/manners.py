"""What a store keeps to of what S3 promises, found out by trying.

Rule: a probe writes one small object of its own and removes it. What a store does not keep is made up for elsewhere, and said:

    conditions   without them a write replaces what is there: harmless for CARs, whose name is their content; heads are read
                 back after they are moved, and the index's numbers are this data directory's alone
    ranges       without them a block is read with its whole CAR
    digests      without an MD5 as ETag, what arrived is read back once and hashed
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5

from hlspub.errors import TargetError
from hlspub.targets.s3 import keys
from hlspub.targets.s3.bucket import Bucket


@dataclass(frozen=True, slots=True)
class Manners:
    """What a store keeps to; see the module's text."""

    conditions: bool
    ranges: bool
    digests: bool

    def lacks(self) -> Sequence[str]:
        """What it does not keep to, and what is done about it, in sentences."""
        said = (
            (
                self.conditions,
                "it ignores If-None-Match and If-Match: heads are read back, let one daemon move a stream",
            ),
            (self.ranges, "it ignores Range: gateways read whole CARs"),
            (self.digests, "its ETags are no MD5: every CAR is read back once"),
        )
        return [text for kept, text in said if not kept]


async def probe(bucket: Bucket, token: str) -> Manners:
    """Find out; `token` makes the object's name one that nobody else has.

    Raises:
        TargetError: the bucket cannot be reached, written or read.
    """
    key, first, second = keys.PROBES + token, b"hlspub probes this bucket\n", b"hlspub probed this bucket\n"
    etag = await bucket.create(key, first)
    try:
        if etag is None:
            raise TargetError(f"{bucket.name}: {key} is there before it was written", retry_s=1.0, hint="Who made it?")
        created_again = await bucket.create(key, second)
        swapped = await bucket.swap(key, second, '"00000000000000000000000000000000"')
        part = await bucket.read(key, 7, 13)
        if part not in (first[7:13], second[7:13]):
            raise TargetError(
                f"{bucket.name}: it gives back other bytes than were written",
                retry_s=None,
                hint="Is endpoint an S3 server, and no cache?",
            )
    finally:
        await bucket.delete([key])
    return Manners(created_again is None and swapped is None, bucket.ranges, etag == f'"{_md5(first)}"')


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()

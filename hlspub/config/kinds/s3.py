"""kind = "s3": the CARs go to a bucket of any S3-compatible store, from which gateways on other machines serve them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hlspub.config.credentials import SecretRef
from hlspub.config.fields import Bytes, Flag, SecondsOrOff, Url, When, key
from hlspub.config.kinds.base import Target

Profile = Literal["s3", "r2", "b2", "seaweedfs", "minio", "filebase"]


def _prefix(value: str) -> str:
    if (
        value.startswith("/")
        or value.endswith("/")
        or any(part in {"", ".", ".."} for part in value.split("/") if value)
    ):
        raise ValueError('a prefix is a path like "hls/main", without a slash at either end')
    return value


class S3Target(Target, frozen=True):
    """A bucket of any S3-compatible store. It needs the extra: pip install 'hlspub[s3]'."""

    kind: Literal["s3"] = key("s3", "Which sort of target this is.", when=When.RESTART)
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$")] = key(
        ..., "The bucket; it must be there.", when=When.RESTART, shown='"hls"'
    )
    prefix: Annotated[str, AfterValidator(_prefix)] = key(
        "", "What stands before every name in the bucket, so that others can use it too.", when=When.RESTART
    )
    profile: Profile = key(
        "s3",
        "Whose store it is: sets what below is not set. s3 (Amazon), r2, b2, seaweedfs, minio (and most others), filebase.",
        when=When.RESTART,
    )
    endpoint: Url | None = key(
        None,
        "Where the store answers; needed for every profile but s3.",
        when=When.RESTART,
        shown='"https://s3.example.net"',
    )
    region: str | None = key(
        None, "The bucket's region, where the store has regions.", when=When.RESTART, shown='"us-east-1"'
    )
    path_style: Flag | None = key(
        None,
        "true: the bucket is in the path, false: in the host name. Only for stores that know one of them.",
        when=When.RESTART,
        shown="true",
    )
    access_key: SecretRef = key(
        ..., "Where the access key is.", when=When.RESTART, shown='{ credential = "s3-access-key" }'
    )
    secret_key: SecretRef = key(
        ..., "Where the secret key is.", when=When.RESTART, shown='{ credential = "s3-secret-key" }'
    )
    shard_age: SecondsOrOff = key(
        "off",
        'How long a CAR may wait for others, to be one object with them: stores bill requests. "off": each by itself.',
        when=When.RESTART,
        shown='"10s"',
    )
    shard_size: Bytes = key("16MiB", "An object of several CARs that is so large is sent at once.", when=When.RESTART)

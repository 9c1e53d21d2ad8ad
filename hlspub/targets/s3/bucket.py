"""A bucket, as everything here uses it: a few verbs, and one meaning for each failure.

Rule: obstore is imported here and nowhere else. What can be expected (absent, already there, changed meanwhile) is a value;
everything else leaves as a `TargetError` that names bucket, status and the store's error code, and never its text, which may
quote the access key or a signature (P8). obstore repeats one exchange for a few seconds; longer patience is the journal's.

`put` and its kin return the ETag. For an object that was sent in one piece it is the MD5 of the bytes at nearly every store,
and then proves what arrived.

Source: docs.aws.amazon.com/AmazonS3/latest/API, PutObject (conditions, checksums) and "Error responses".
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import S3Store

from hlspub.errors import TargetError

if TYPE_CHECKING:
    from obstore import GetOptions, PutMode

RETRY_S = 10.0
PART = 8 << 20  # bytes of one part of an object that is sent in several
_EXCHANGE_S = 15.0  # one exchange is repeated within this time
_IMMUTABLE = "public, max-age=31536000, immutable"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_NOT_PARTIAL = "non-partial response"
_SERVER_ERROR, _TIMEOUT, _TOO_MANY = 500, 408, 429

_CLOCK = "This machine's clock is off: compare `date -u` with the store's time, and let NTP set it."
_KEYS = "Look at access_key and secret_key, and at what they may do in this bucket."
# The store's error code -> seconds until another try may help (None: not before a person acts), and what to do.
_CODES: dict[str, tuple[float | None, str]] = {
    "SlowDown": (5.0, "It asks for fewer requests; it is tried again."),
    "ServiceUnavailable": (RETRY_S, "It is tried again."),
    "InternalError": (RETRY_S, "It is tried again."),
    "RequestTimeout": (1.0, "It is tried again."),
    "OperationAborted": (1.0, "It is tried again."),
    "ConditionalRequestConflict": (1.0, "It is tried again."),
    "BadDigest": (1.0, "The bytes changed on their way; they are sent again."),
    "InvalidDigest": (1.0, "The bytes changed on their way; they are sent again."),
    "XAmzContentSHA256Mismatch": (1.0, "The bytes changed on their way; they are sent again."),
    "XAmzContentChecksumMismatch": (1.0, "The bytes changed on their way; they are sent again."),
    "IncompleteBody": (1.0, "The connection broke; it is tried again."),
    "RequestTimeTooSkewed": (None, _CLOCK),
    "SignatureDoesNotMatch": (None, _KEYS),
    "InvalidAccessKeyId": (None, _KEYS),
    "AccessDenied": (None, _KEYS),
    "NoSuchBucket": (None, "Make the bucket, or correct its name."),
    "PermanentRedirect": (None, "Correct region and endpoint: the bucket is elsewhere."),
    "AuthorizationHeaderMalformed": (None, "Correct region: the bucket is in another one."),
    "QuotaExceeded": (60.0, "Make room in the bucket."),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Which bucket, where, and by whose keys. `endpoint` None: Amazon's own. `prefix` has no slash at either end."""

    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    endpoint: str | None = None
    region: str = "us-east-1"
    prefix: str = ""
    path_style: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """An object and its ETag."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What HEAD says of an object; `modified_at` is in Unix seconds, by the store's clock."""

    size: int
    etag: str
    metadata: Mapping[str, str]
    modified_at: float


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it; `modified_at` is in Unix seconds."""

    key: str
    size: int
    modified_at: float


class Bucket:
    """The objects below a prefix of a bucket. Keys are those of `keys`."""

    def __init__(self, name: str, address: Address, *, retries: int = 3) -> None:
        """Take note of it; nothing is sent. `name` is the target's."""
        self.name = name
        self.ranges = True  # until it gives a whole object where a part was asked for
        self.whole_reads = 0
        self._last: tuple[str, Found] | None = None
        local = (address.endpoint or "").startswith("http://")
        self._store = S3Store(
            address.bucket,
            prefix=address.prefix or None,
            config={"endpoint": address.endpoint} if address.endpoint else None,
            region=address.region,
            access_key_id=address.access_key,
            secret_access_key=address.secret_key,
            virtual_hosted_style_request=not address.path_style,
            checksum_algorithm="SHA256",
            client_options={
                "allow_http": local,
                "connect_timeout": timedelta(seconds=10),
                "read_timeout": timedelta(seconds=60),
                "timeout": timedelta(minutes=30),
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=_EXCHANGE_S),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
        )

    async def create(self, key: str, data: bytes, metadata: Mapping[str, str] | None = None) -> str | None:
        """Write an object that is not there yet; its ETag, None when it was there. Some stores write it anyway."""
        try:
            return await self._put(key, data, "create", {"Cache-Control": _IMMUTABLE, **(metadata or {})})
        except exceptions.AlreadyExistsError:
            return None
        except exceptions.PreconditionError:
            return None

    async def swap(self, key: str, data: bytes, etag: str) -> str | None:
        """Replace an object that still has this ETag; its new one, None when it was changed. Some stores do not look."""
        try:
            return await self._put(key, data, {"e_tag": etag}, {"Cache-Control": "no-cache"})
        except (exceptions.PreconditionError, exceptions.AlreadyExistsError):
            return None

    async def put(self, key: str, data: bytes) -> str:
        """Write an object, whatever was there."""
        return await self._put(key, data, "overwrite", {"Cache-Control": "no-cache"})

    async def put_parts(self, key: str, parts: AsyncIterator[bytes], metadata: Mapping[str, str] | None = None) -> str:
        """Write a large object in parts of `PART` bytes, whatever was there."""
        attributes = {"Cache-Control": _IMMUTABLE, **(metadata or {})}
        self._last = None
        try:
            result = await obstore.put_async(
                self._store,
                key,
                parts,
                attributes=attributes,
                use_multipart=True,
                chunk_size=PART,
                max_concurrency=2,
            )
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why
        return result["e_tag"] or ""

    async def get(self, key: str) -> Found | None:
        """A whole object; None when it is not there."""
        try:
            result = await obstore.get_async(self._store, key)
            return Found(bytes(await result.bytes_async()), result.meta["e_tag"] or "")
        except FileNotFoundError as why:
            return self._absent(why)
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why

    async def read(self, key: str, start: int, end: int) -> bytes | None:
        """A part of an object, fewer bytes where it ends before; None when it is not there."""
        if self.ranges:
            options: GetOptions = {"range": (start, end)}
            try:
                result = await obstore.get_async(self._store, key, options=options)
                return bytes(await result.bytes_async())
            except FileNotFoundError as why:
                return self._absent(why)
            except (exceptions.BaseError, OSError) as why:
                if "416" in _STATUS.findall(str(why)):
                    return b""
                if _NOT_PARTIAL not in str(why):
                    raise self.failed(why) from why
                self.ranges = False
        if self._last is None or self._last[0] != key:
            found = await self.get(key)
            if found is None:
                return None
            self.whole_reads += 1
            self._last = key, found
        return self._last[1].data[start:end]

    async def head(self, key: str) -> Seen | None:
        """What is said of an object; None when it is not there."""
        try:
            result = await obstore.get_async(self._store, key, options={"head": True})
        except FileNotFoundError as why:
            return self._absent(why)
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why
        metadata = {str(name).lower(): str(value) for name, value in result.attributes.items()}
        meta = result.meta
        return Seen(meta["size"], meta["e_tag"] or "", metadata, meta["last_modified"].timestamp())

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is not there is a success."""
        self._last = None
        try:
            if keys:
                await obstore.delete_async(self._store, list(keys))
        except FileNotFoundError as why:
            self._absent(why)
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why

    async def folders(self, prefix: str) -> list[str]:
        """The names one level below a prefix that ends with a slash."""
        try:
            result = await obstore.list_with_delimiter_async(  # pyright: ignore[reportUnknownMemberType] -- its Arrow form
                self._store, prefix.rstrip("/")
            )
        except FileNotFoundError as why:
            self._absent(why)
            return []
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why
        return sorted(path.rstrip("/").rpartition("/")[2] for path in result["common_prefixes"])

    async def listed(self, prefix: str) -> AsyncIterator[Listed]:
        """Every object below a prefix, in no order: for who looks after the bucket, never for a reader."""
        try:
            batches = obstore.list(self._store, prefix.rstrip("/"))  # pyright: ignore[reportUnknownMemberType] -- as above
            async for batch in batches:
                for each in batch:
                    yield Listed(each["path"], each["size"], each["last_modified"].timestamp())
        except FileNotFoundError as why:
            self._absent(why)
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why

    async def _put(self, key: str, data: bytes, mode: "PutMode", attributes: dict[str, str]) -> str:
        self._last = None
        try:
            result = await obstore.put_async(
                self._store, key, data, mode=mode, attributes=attributes, use_multipart=False
            )
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except (exceptions.BaseError, OSError) as why:
            raise self.failed(why) from why
        return result["e_tag"] or ""

    def _absent(self, why: BaseException) -> None:
        if "NoSuchBucket" in _CODE.findall(str(why)):
            raise self.failed(why) from why

    def failed(self, why: BaseException) -> TargetError:
        """The error for what obstore raised."""
        text = str(why)
        status, code = (found.group(1) if (found := each.search(text)) else "" for each in (_STATUS, _CODE))
        if not status:
            return TargetError(
                f"{self.name}: {_reason(text)}", retry_s=RETRY_S, hint="Is it running, and endpoint right?"
            )
        number = int(status)
        passing = number >= _SERVER_ERROR or number in (_TIMEOUT, _TOO_MANY)
        retry_s, hint = _CODES.get(
            code, (RETRY_S, "It is tried again.") if passing else (None, "Another try will not help.")
        )
        return TargetError(f"{self.name}: HTTP {number}{' ' if code else ''}{code}", retry_s=retry_s, hint=hint)


def _reason(text: str) -> str:
    """What an exchange without an answer broke on, without an address."""
    known: tuple[tuple[str, str], ...] = (
        ("error sending request", "no connection"),
        ("timed out", "no answer in time"),
        ("timeout", "no answer in time"),
        ("body", "the connection broke while the answer was read"),
        ("connection", "the connection broke"),
    )
    lowered = text.partition("Debug source")[0].lower()
    return next((said for word, said in known if word in lowered), "the exchange failed")

"""What w3up's errors mean: whether another try can help and when, and what the operator should do.

Rule: an error is known by its name. `Unauthorized` is three things (not allowed, not any more, not understood) that only its
text tells apart. `Again` is an error that a new allocation mends: the flow starts over by itself, a few times.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hlspub.errors import TargetError
from hlspub.ucan.receipt import Failure

SOON_S = 10.0
BUSY_S = 30.0
CLOCK_S = 60.0
OPERATOR_S = 300.0  # what an operator may mend without telling hlspub is looked at this often


class Again(TargetError):  # noqa: N818 -- read as a sentence where it is caught
    """What was allocated is of no use any more; a new `space/blob/add` gives another."""


class NotThere(TargetError):  # noqa: N818 -- as above
    """What was asked for, or was to be removed, is not in the space."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    retry_s: float | None
    hint: str


_RENEW = "get a new one, put it where `proof` points, and reload hlspub (restart it when that is a credential)."
_WAITS = _Meaning(SOON_S, "It is tried again.")
_BUG = _Meaning(None, "The service does not understand hlspub: is it one that speaks w3up (UCAN 0.9.1)?")

_MEANINGS: Mapping[str, _Meaning] = MappingProxyType(
    {
        "ServiceUnavailable": _Meaning(
            OPERATOR_S,
            "The service takes no uploads now. Everything stays queued and is offered again every few minutes.",
        ),
        "InsufficientStorage": _Meaning(
            OPERATOR_S,
            "The space has no room or no provider: raise its quota, or provision it, at the service."
            " Everything stays queued and is offered again every few minutes.",
        ),
        "CandidateUnavailable": _Meaning(
            BUSY_S, "No storage node takes it now; should that last, set a smaller shard_size. It is tried again."
        ),
        "InvalidAudience": _Meaning(
            None, "`audience` is not the DID of this service, which the error names: correct it and restart hlspub."
        ),
        "UnknownFormat": _BUG,
        "DecodeFailure": _BUG,
        "HandlerNotFound": _BUG,
        "InvocationCapabilityError": _BUG,
    }
)
_ABSENT = frozenset({"BlobNotFound", "UploadNotFound"})
_START_OVER = frozenset({"AllocatedMemoryHadNotBeenWrittenTo", "ShardNotFound", "IndexNotFound"})


def explain(failure: Failure, can: str, place: str, *, expired: str = "") -> TargetError:
    """The error for a receipt that is none of success; `expired` says since when the proof has, if it has."""
    said = f"{place}: {can}: {failure}"
    if failure.name in _START_OVER:
        return Again(said, retry_s=SOON_S, hint="The blob is sent again.")
    if failure.name in _ABSENT:
        return NotThere(said, retry_s=None, hint="It was removed, or never there.")
    meaning = _unauthorized(failure, can, expired) if failure.name == "Unauthorized" else None
    meaning = meaning or _MEANINGS.get(failure.name, _WAITS)
    return TargetError(said, retry_s=meaning.retry_s, hint=meaning.hint)


def _unauthorized(failure: Failure, can: str, expired: str) -> _Meaning:
    text = failure.message.lower()
    if expired:
        return _Meaning(None, f"The proof has expired on {expired}: {_RENEW}")
    if "revoked" in text:
        return _Meaning(None, f"The proof was revoked: {_RENEW}")
    if "expired" in text or "too early" in text or "not valid before" in text:
        return _Meaning(CLOCK_S, "This machine's clock and the service's disagree: is NTP running? It is tried again.")
    if "malformed" in text:
        return _BUG
    return _Meaning(
        None, f"The proof does not allow {can} here. `hlspub check` says what is missing: get a proof that allows it."
    )

"""Every trouble that a w3up service or its storage nodes are known to make, by what mends it.

    BLOBS, ROOTS         over by themselves: connections that break at each step, busy servers, nodes that forget
    REFUSED_BLOBS, …     errors in receipts, and answers that are none: tried again later, or when an impatient operator asks
    WOES                 only a person mends them: room, a service that is closed, a proof that is revoked or has ended

A fault is what `tests/node/w3up/README.md` says; each is hit as often as the campaign is told, with good requests in between.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.support.daemon import Daemon
from tests.support.site import Site
from tests.support.space import secret_file
from tests.targets.w3up_service import Service

Fault = dict[str, Any]

ADD, CONCLUDE, INDEX, LIST, REMOVE = "space/blob/add", "ucan/conclude", "space/index/add", "upload/add", "upload/remove"
BUSY: Fault = {"status": 429, "headers": {"retry-after": "1"}}

BLOBS: tuple[Fault, ...] = (
    {"at": "ucan", "can": ADD, "drop": "before"},
    {"at": "ucan", "can": ADD, "drop": "after"},
    {"at": "ucan", "can": ADD, "status": 503},
    {"at": "ucan", "can": ADD, **BUSY},
    {"at": "allocate", "expires_in": -60},
    {"at": "put", "drop": "before"},
    {"at": "put", "drop": "mid"},
    {"at": "put", "drop": "after"},
    {"at": "put", "status": 500},
    {"at": "put", "status": 403},
    {"at": "put", "status": 200},  # and nothing is kept, so that it is concluded too early
    {"at": "put", **BUSY},
    {"at": "ucan", "can": CONCLUDE, "drop": "before"},
    {"at": "ucan", "can": CONCLUDE, "drop": "after"},
    {"at": "ucan", "can": CONCLUDE, "status": 502},
    {"at": "receipt", "status": 404},
    {"at": "receipt", "status": 503},
    {"at": "ucan", "can": INDEX, "drop": "before"},
    {"at": "ucan", "can": INDEX, "drop": "after"},
    {"at": "handler", "can": INDEX, "error": {"name": "ShardNotFound"}},
    {"at": "handler", "can": INDEX, "error": {"name": "IndexNotFound"}},
)
ROOTS: tuple[Fault, ...] = (
    {"at": "ucan", "can": LIST, "drop": "before"},
    {"at": "ucan", "can": LIST, "drop": "after"},
    {"at": "ucan", "can": LIST, "status": 503},
    {"at": "ucan", "can": LIST, **BUSY},
    {"at": "ucan", "can": REMOVE, "drop": "after"},
    {"at": "ucan", "can": REMOVE, "status": 503},
)
MALFORMED: Fault = {"name": "Unauthorized", "message": "Encountered malformed capability"}
REFUSED_BLOBS: tuple[Fault, ...] = (
    {"at": "handler", "can": ADD, "error": {"name": "Oops", "message": "not now"}},
    {"at": "handler", "can": ADD, "error": {"name": "CandidateUnavailable"}},
    {"at": "handler", "can": ADD, "error": MALFORMED},
    {"at": "handler", "can": ADD, "throw": "undefined is not a function"},
    {"at": "ucan", "can": ADD, "status": 413},
    {"at": "ucan", "can": ADD, "status": 200, "body": "<html>Welcome to your router</html>"},
    {"at": "handler", "can": INDEX, "error": {"name": "Oops", "message": "not now"}},
)
REFUSED_ROOTS: tuple[Fault, ...] = (
    {"at": "handler", "can": LIST, "error": {"name": "Oops", "message": "not now"}},
    {"at": "handler", "can": LIST, "error": {"name": "ShardNotFound"}},
    {"at": "handler", "can": LIST, "error": MALFORMED},
    {"at": "handler", "can": LIST, "throw": "undefined is not a function"},
    {"at": "handler", "can": REMOVE, "error": {"name": "Oops", "message": "not now"}},
)
GAP: Mapping[str, int] = MappingProxyType({LIST: 1, REMOVE: 1})  # roots are fewer than blobs: every other request
_GAP = 3  # requests between two faults of a place
IMPATIENT_S = 0.25


@dataclass
class Play:
    """One live stream that goes into `space` of `service`, while things are done to them."""

    site: Site
    service: Service
    daemon: Daemon
    space: dict[str, Any]
    deadline: float  # monotonic
    hits: Counter[str] = field(default_factory=Counter[str])
    proofs: int = 0
    proof: Mapping[str, Any] = field(init=False)  # the one in force

    def __post_init__(self) -> None:
        self.proof = self.space["proof"]

    def until(self, condition: Callable[[], object], what: str, *, every_s: float = 0.05, reload: bool = False) -> None:
        """Wait; with `reload` as an operator waits who tries it again and again."""
        while not condition():
            assert self.daemon.running, f"hlspub ended by itself: {self.daemon.text()}"
            assert time.monotonic() < self.deadline, f"not in time: {what}"
            if reload:
                self.daemon.send(signal.SIGHUP)
            time.sleep(every_s)

    def faults(self, faults: Sequence[Fault], times: int, *, reload: bool = False) -> None:
        """Have each of them happen so often, one after another."""
        seen = Counter[tuple[object, object]]()
        for fault in list(faults) * times:
            place = fault["at"], fault.get("can")
            self.service.fault(skip=GAP.get(str(place[1]), _GAP) * seen[place], **fault)
            seen[place] += 1
        self.until(
            lambda: all(one["hits"] for one in self.service.faults()), "every fault", every_s=IMPATIENT_S, reload=reload
        )
        for one in self.service.faults():
            self.hits[told(one)] += one["hits"]
        self.service.calm()

    def woe(self, name: str, times: int) -> None:
        """Have something happen that only a person mends, and mend it."""
        begin, said = WOES[name]
        for _ in range(times):
            since = self._seen()
            self.until(lambda since=since: self._seen(since, ok=True), "it goes well")
            since, end = self._seen(), begin(self)
            self.until(lambda since=since: self._seen(since, error=said), name)
            end()
            since = self._seen()
            self.until(
                lambda since=since: self._seen(since, ok=True), f"{name} is over", every_s=IMPATIENT_S, reload=True
            )
            self.hits[name] += 1

    def hand_in(self, **wanted: object) -> None:
        """Put another delegation for the same space and agent where the configuration says that it is, and reload."""
        self.proofs += 1
        named = {"name": f"proof {self.proofs}", "key": self.space["key_multibase"], "provision": False}
        self.proof = self.service.space(**named, **wanted)["proof"]
        secret_file(self.site, "space", "proof", self.proof["cid_string"])
        self.daemon.send(signal.SIGHUP)

    def _seen(self, since: int | None = None, **wanted: object) -> int:
        """How long the service's log is; with `since` how many of its entries since then are of the flow and like that."""
        log = self.service.log(since or 0)
        if since is None:
            return len(log)
        return sum(wanted.items() <= one.items() for one in log if one.get("can") in (ADD, INDEX, LIST))


def _full(play: Play) -> Callable[[], object]:
    play.service.ask("quota", {"bytes": 1})
    return lambda: play.service.ask("quota", {"bytes": 0})


def _closed(play: Play) -> Callable[[], object]:
    play.service.ask("writes-disabled", {"on": True})
    return lambda: play.service.ask("writes-disabled", {"on": False})


def _revoked(play: Play) -> Callable[[], object]:
    play.service.ask("revoke", {"space_key": play.space["key_multibase"], "cid": play.proof["cid"]})
    return play.hand_in


def _ended(play: Play) -> Callable[[], object]:
    play.hand_in(lifetime=1)
    return play.hand_in


WOES: Mapping[str, tuple[Callable[[Play], Callable[[], object]], str]] = MappingProxyType(
    {
        "quota used up": (_full, "InsufficientStorage"),
        "writes disabled": (_closed, "ServiceUnavailable"),
        "proof revoked": (_revoked, "Unauthorized"),
        "proof ended": (_ended, "Unauthorized"),
    }
)
"""By name: how it begins (which returns how it ends), and the error that the service then answers."""


def told(fault: Fault) -> str:
    """A fault in few words."""
    return " ".join(_words(fault))


def _words(fault: Fault) -> Iterator[str]:
    yield str(fault.get("can") or fault["at"])
    for key in ("drop", "status", "throw", "expires_in"):
        if key in fault:
            yield f"{key} {fault[key]}"
    if "error" in fault:
        yield f"error {fault['error']['name']}"

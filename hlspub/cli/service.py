"""The running daemon, as the other commands reach it: through the control socket in the data directory."""

from collections.abc import Mapping
from pathlib import Path

from hlspub.config.places import SOCKET_NAME
from hlspub.errors import HlspubError
from hlspub.gateway.control_client import NoDaemon, request

PING_S = 2.0


def ask(data_dir: Path, message: Mapping[str, object], timeout_s: float) -> dict[str, object]:
    """The daemon's answer to one message; see `gateway.control_client.request` for what it raises."""
    return request(data_dir / SOCKET_NAME, message, timeout_s)


def runs(data_dir: Path) -> bool:
    """Whether a daemon has this data directory. One that does not answer, or not to this user, does run."""
    try:
        ask(data_dir, {"op": "ping"}, PING_S)
    except NoDaemon:
        return False
    except HlspubError:  # silent, or another user's: it is there
        return True
    return True

"""kind = "kubo": a Kubo node (IPFS), or a service that speaks Kubo's RPC."""

from typing import Literal

from hlspub.config.fields import Url, When, key
from hlspub.config.kinds.http import HttpTarget

Lacking = Literal["block/stat", "pin/update", "stats"]


class KuboTarget(HttpTarget, frozen=True):
    """A Kubo node through its RPC: files are pinned as they come, then the newest root instead of them."""

    kind: Literal["kubo"] = key("kubo", "A Kubo node.", when=When.RESTART)
    url: Url = key("http://127.0.0.1:5001", "The node's RPC (Addresses.API).", when=When.RESTART)
    lacks: tuple[Lacking, ...] = key(
        (),
        'What a service that is not Kubo itself does not have, of "block/stat", "pin/update" and "stats".',
        when=When.RESTART,
    )

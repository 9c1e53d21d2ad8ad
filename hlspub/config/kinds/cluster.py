"""kind = "cluster": IPFS Cluster, several nodes that keep the same."""

from typing import Literal, Self

from pydantic import model_validator

from hlspub.config.fields import Count, Seconds, Url, When, key
from hlspub.config.kinds.http import HttpTarget


class ClusterTarget(HttpTarget, frozen=True):
    """An IPFS Cluster through its REST API: several machines keep every root."""

    kind: Literal["cluster"] = key("cluster", "An IPFS Cluster.", when=When.RESTART)
    url: Url = key("http://127.0.0.1:9094", "The REST API of one peer.", when=When.RESTART)
    node: Url | None = key(
        None,
        "The RPC of one peer's Kubo, to read blocks back from; without it `verify --from` cannot.",
        when=When.RESTART,
        shown='"http://127.0.0.1:5001"',
    )
    replication_min: Count | None = key(
        None,
        "How many peers must have pinned a root before it counts, instead of every peer that can be reached.",
        when=When.RESTART,
        shown="2",
    )
    replication_max: Count | None = key(
        None, "How many peers keep a root at most, instead of what the cluster says.", when=When.RESTART, shown="3"
    )
    expire: Seconds | None = key(
        None,
        "How long after its publication a root is kept. Leave it out for recordings.",
        when=When.RESTART,
        shown='"30d"',
    )

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        least, most = self.replication_min, self.replication_max
        if (least is None) != (most is None):
            raise ValueError("replication_min and replication_max go together")
        if least is not None and most is not None and least > most:
            raise ValueError("replication_min is more than replication_max")
        return self

"""Target kinds: one file a kind, one line here.

Rule: `kind = "…"` in a [target.NAME] table selects the model that checks the rest of the table.
"""

from hlspub.config.kinds.base import Target
from hlspub.config.kinds.cluster import ClusterTarget
from hlspub.config.kinds.kubo import KuboTarget
from hlspub.config.kinds.local import LOCAL, LocalTarget
from hlspub.config.kinds.s3 import S3Target
from hlspub.config.kinds.w3up import W3upTarget

KINDS: dict[str, type[Target]] = {
    "local": LocalTarget,
    "s3": S3Target,
    "kubo": KuboTarget,
    "cluster": ClusterTarget,
    "w3up": W3upTarget,
}

__all__ = ["KINDS", "LOCAL", "ClusterTarget", "KuboTarget", "LocalTarget", "S3Target", "Target", "W3upTarget"]

"""Target kinds: one file a kind, one line here.

Rule: `kind = "…"` in a [target.NAME] table selects the model that checks the rest of the table.
"""

from hlspub.config.kinds.base import Target
from hlspub.config.kinds.local import LOCAL, LocalTarget

KINDS: dict[str, type[Target]] = {
    "local": LocalTarget,
}

__all__ = ["KINDS", "LOCAL", "LocalTarget", "Target"]

"""kind = "local": the CARs stay in the data directory. This target always exists."""

from typing import Literal

from hlspub.config.fields import When, key
from hlspub.config.kinds.base import Target

LOCAL = "local"  # the name of the one local store


class LocalTarget(Target, frozen=True):
    """The embedded store; not required when another target exists, unless `required` says so."""

    kind: Literal["local"] = key("local", "Which sort of target this is; the others are below.", when=When.RESTART)

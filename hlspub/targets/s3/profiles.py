"""Whose store it is: what follows from that, so that nobody needs to look it up.

Rule: a profile sets what the configuration left open and nothing else; what a store keeps to is found out (`manners`), never
believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SHARD_AGE_S = 10.0  # where requests are billed


@dataclass(frozen=True, slots=True)
class Profile:
    """Defaults of a store. `endpoint`: whether one has to be named. The rest as in `Address` and `S3Target`."""

    endpoint: bool = True
    region: str = "us-east-1"
    path_style: bool = True
    shard_age_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    names_cid: bool = False


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "s3": Profile(endpoint=False, path_style=False, shard_age_s=SHARD_AGE_S),
        "r2": Profile(region="auto", shard_age_s=SHARD_AGE_S),
        "b2": Profile(shard_age_s=SHARD_AGE_S),
        "seaweedfs": Profile(),
        "minio": Profile(),
        # It imports a CAR of one root and answers with the root's CID, so each CAR goes by itself.
        "filebase": Profile(metadata=MappingProxyType({"import": "car"}), names_cid=True),
    }
)

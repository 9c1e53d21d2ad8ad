"""kind = "w3up": a space of a self-hosted service that speaks w3up (UCAN 0.9)."""

from typing import Annotated, Literal

from pydantic import Field

from hlspub.config import fields
from hlspub.config.credentials import SecretRef
from hlspub.config.fields import Bytes, Count, Seconds, Url, When
from hlspub.config.kinds.base import Target

Did = Annotated[str, Field(pattern=r"^did:[a-z0-9]+:.+$")]
SpaceDid = Annotated[str, Field(pattern=r"^did:key:z[1-9A-HJ-NP-Za-km-z]+$")]


class W3upTarget(Target, frozen=True):
    """A space of a service that speaks w3up; the key signs, and the proof lets it."""

    kind: Literal["w3up"] = fields.key(..., "A space of a service that speaks w3up.", when=When.RESTART, shown='"w3up"')
    url: Url = fields.key(..., "The service.", when=When.RESTART, shown='"https://up.example"')
    audience: Did = fields.key(
        ...,
        "The service's DID; a did:web stands in its /.well-known/did.json.",
        when=When.RESTART,
        shown='"did:web:up.example"',
    )
    receipts: Url | None = fields.key(
        None,
        "Where receipts are asked for, when not at /receipt/ of the service.",
        when=When.RESTART,
        shown='"https://…"',
    )
    space: SpaceDid | None = fields.key(
        None, "The space, when the proof is for several.", when=When.RESTART, shown='"did:key:z6Mk…"'
    )
    key: SecretRef = fields.key(
        ...,
        'The agent\'s key: "Mg…", base64, or PEM.',
        when=When.RESTART,
        shown='{ credential = "w3up-key" }',
    )
    proof: SecretRef = fields.key(
        ...,
        "The delegation to that key: what `delegation create --base64` prints, or a CAR in base64.",
        when=When.RESTART,
        shown='{ credential = "w3up-proof" }',
    )
    shard_size: Bytes = fields.key(
        "64MiB", "CARs are sent together up to this size. Smaller on slow lines.", when=When.RESTART
    )
    shard_age: Seconds = fields.key(
        "10s",
        "How long a CAR may wait for others; never past the publish interval. Shorter: fresher copies, more requests.",
        when=When.RESTART,
    )
    shard_cars: Count = fields.key(250, "How many CARs are sent together at most.", when=When.RESTART)

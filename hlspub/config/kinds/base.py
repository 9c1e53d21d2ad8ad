"""What every target's table has."""

from hlspub.config.fields import Flag, Section, key


class Target(Section, frozen=True):
    """A place that keeps CARs; `kind` says which sort."""

    kind: str
    required: Flag | None = key(
        None,
        "Whether a root waits for this target. false: it gets everything, but nothing waits for it.",
        shown="true",
    )

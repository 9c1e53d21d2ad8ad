"""What every target's table has."""

from hlspub.config.fields import Count, Flag, Section, When, key


class Target(Section, frozen=True):
    """A place that keeps CARs; `kind` says which sort."""

    kind: str
    required: Flag | None = key(
        None,
        "Whether a root waits for this target. false: it gets everything, but nothing waits for it.",
        when=When.RESTART,
        shown="true",
    )
    concurrency: Count | None = key(
        None,
        "Uploads to this target at the same time, instead of [limits] delivery_concurrency.",
        when=When.RESTART,
        shown="4",
    )

"""What the journal says of a record that cannot be."""


class RecordRefused(ValueError):  # noqa: N818 -- read as a sentence where it is caught
    """A record names something that is not in the journal, or contradicts what is: a bug of its writer."""

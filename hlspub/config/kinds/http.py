"""What the table of a target behind HTTP has: where it is, and who may use it."""

from typing import Self

from pydantic import model_validator

from hlspub.config.credentials import SecretRef
from hlspub.config.fields import Url, When, key
from hlspub.config.kinds.base import Target


class HttpTarget(Target, frozen=True):
    """A service at `url`; with `token`, or with `user` and `password`, or open to whoever reaches it."""

    url: Url = key(..., "Where the service answers.", when=When.RESTART, shown='"http://127.0.0.1:5001"')
    token: SecretRef | None = key(
        None,
        "The bearer token that it asks for: a systemd credential, a file or an environment variable that holds it.",
        when=When.RESTART,
        shown='{ file = "/etc/hlspub/token" }',
    )
    user: str | None = key(None, "The user, where it asks for a password instead.", when=When.RESTART, shown='"hlspub"')
    password: SecretRef | None = key(
        None, "That user's password, as for token.", when=When.RESTART, shown='{ file = "/etc/hlspub/password" }'
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if self.token is not None and self.user is not None:
            raise ValueError("a token, or a user and a password: not both")
        if self.user is not None and ":" in self.user:
            raise ValueError('a user has no ":" in its name')
        return self

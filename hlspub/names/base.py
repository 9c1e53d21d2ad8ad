"""The port behind which every name service stands.

The promise of a service: `put` returns when the service has taken the record, and putting the same one again is a success.
What it refuses, or that it is away, is a `TargetError` (`retry_s` as for targets). Nothing that `get` returns is believed
before `ipns.record.read` has checked it. A service answers within `PATIENCE_S`, or it has failed: a put into a DHT takes long.
"""

from collections.abc import Sequence
from typing import Protocol

from hlspub.ipns.name import Name

PATIENCE_S = 180.0


class NameService(Protocol):
    """See the module's promise."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        ...

    async def put(self, name: Name, signed: bytes) -> None:
        """Carry a signed record to the name's readers."""
        ...

    async def get(self, name: Name) -> bytes | None:
        """The record that the service has of the name, unchecked; None when it has none."""
        ...

    async def check(self, names: Sequence[Name]) -> str:
        """Reach the service and change nothing; `names` are those that it carries. Returns one line about it."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...

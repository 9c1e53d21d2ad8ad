"""[hook.NAME]: who is told of each publication."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from hlspub.config.credentials import SecretRef
from hlspub.config.fields import BASE, Seconds, Section, Url, at_least, key
from hlspub.config.names import Name
from hlspub.config.places import anchored


class Hook(Section, frozen=True):
    """Somebody who is told of each publication; `kind` says how."""

    kind: str
    streams: tuple[Name, ...] = key((), "The [stream.NAME] tables that it is told of. []: all.")
    timeout: Annotated[Seconds, AfterValidator(at_least("100ms"))] = key(
        "15s", "How long it may take over one publication; after that it is told again."
    )
    give_up: Annotated[Seconds, AfterValidator(at_least("1s"))] = key(
        "3d",
        "How old a publication becomes that it does not take; then it is left out, aloud, and the next one follows.",
    )

    def follows(self, stream: str) -> bool:
        """Whether it is told of the stream, by its whole name."""
        return not self.streams or stream.partition("/")[0] in self.streams


class Webhook(Hook, frozen=True):
    """A webhook: a signed POST, in the form of Standard Webhooks."""

    kind: Literal["webhook"] = key("webhook", "A webhook.")
    url: Url = key(..., "Where it is posted.", shown='"https://ci.example/hlspub"')
    secret: SecretRef = key(
        ..., 'What signs it: "whsec_" and base64 of 24 to 64 bytes.', shown='{ credential = "hook-secret" }'
    )


def _program(value: object, info: ValidationInfo) -> object:
    parts = cast("list[object]", value) if isinstance(value, (list, tuple)) else [None]
    first = parts[0] if parts else None
    if not isinstance(first, str) or "/" not in first or first.startswith("~"):
        raise ValueError('expected a list that begins with the program\'s path, like ["/usr/local/bin/told"]')
    if any(isinstance(part, str) and "\0" in part for part in parts):
        raise ValueError("an argument cannot hold a NUL character")
    base = cast("Mapping[str, object]", info.context or {}).get(BASE)
    return [str(anchored(first, base)) if base is not None else first, *parts[1:]]  # type: ignore[arg-type]


class CommandHook(Hook, frozen=True):
    """A command: a program that is started with the publication on its standard input."""

    kind: Literal["command"] = key("command", "A command.")
    command: Annotated[tuple[str, ...], BeforeValidator(_program)] = key(
        ..., "The program and its arguments; no shell. Exit code 0: taken.", shown='["/usr/local/bin/told"]'
    )


HOOKS: Mapping[str, type[Hook]] = MappingProxyType({"webhook": Webhook, "command": CommandHook})

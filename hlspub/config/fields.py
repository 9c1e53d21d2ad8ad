"""The types of configured values, and what a key says of itself.

Rule: a value is written as a person writes it and held as the program uses it: durations as seconds, sizes as bytes,
paths absolute. Every key carries why one would turn it and when a change of it takes effect; the example file, the JSON
Schema and the reload are made from these, so they cannot disagree with the models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from hlspub.config.places import anchored
from hlspub.config.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size

BASE = "base"  # in the validation context: the directory that relative paths start from
TAKES_EFFECT, SHOWN = "x-takes-effect", "x-shown"  # annotations in the JSON Schema
LOWEST_PORT, HIGHEST_PORT = 0, 65535  # 0: any free port


class When(StrEnum):
    """When a changed key takes effect after a reload."""

    NOW = "at once"
    NEXT_SESSION = "from the stream's next session on"  # what shapes the tree holds to the session's end (P5)
    RESTART = "after a restart"


class Section(BaseModel, frozen=True, extra="forbid"):
    """A table of the configuration: frozen, and an unknown key is an error."""


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; IPv6 hosts without brackets, port 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def key(default: Any, why: str, *, when: When = When.NOW, shown: str | None = None) -> Any:
    """A key with its default (written as in the file), why one would turn it, and when a change takes effect.

    `shown` is what the example file shows in place of a default that depends on the machine.
    """
    says: dict[str, JsonValue] = {TAKES_EFFECT: when.value}
    if shown is not None:
        says[SHOWN] = shown
    return Field(default, description=why, json_schema_extra=says, validate_default=default is not None)


def said_of(section: type[BaseModel], name: str, what: str) -> str | None:
    """What the key `name` says of itself under TAKES_EFFECT or SHOWN; None when it says nothing."""
    extra = cast("Mapping[str, JsonValue] | None", section.model_fields[name].json_schema_extra)
    said = (extra or {}).get(what)
    return None if said is None else str(said)


def at_least(shortest: str) -> Callable[[float | None], float | None]:
    """A check that a duration is not below `shortest`."""

    def check(value: float | None) -> float | None:
        if value is not None and value < parse_duration(shortest):
            raise ValueError(f"must be {shortest} or longer")
        return value

    return check


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {what} in quotes")  # noqa: TRY004 -- pydantic collects ValueErrors
    return value


def _duration(value: object) -> float:
    return parse_duration(_text(value, 'a duration like "10s"'))


def _duration_or_off(value: object) -> float | None:
    return None if value == "off" else parse_duration(_text(value, 'a duration like "10s", or "off",'))


def _size(value: object) -> int:
    return parse_size(_text(value, 'a size like "64MiB"'))


def _size_or_off(value: object) -> int | None:
    return None if value == "off" else parse_size(_text(value, 'a size like "64GiB", or "off",'))


def _path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    text = _text(value, "a path")
    if not text:
        raise ValueError("a path cannot be empty")
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL character")
    if text.startswith("~"):
        raise ValueError("~ is not expanded: write the whole path")
    return anchored(text, cast("Mapping[str, Path]", info.context or {}).get(BASE, Path.cwd()))


def _listen(value: object) -> Listen | None:
    if value == "off":
        return None
    text = _text(value, 'HOST:PORT, or "off",')
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or bracketed != (":" in bare) or "/" in bare:
        raise ValueError('expected "HOST:PORT", "[IPV6]:PORT" or "off"')
    if not (port.isascii() and port.isdigit() and LOWEST_PORT <= int(port) <= HIGHEST_PORT):
        raise ValueError(f"the port must be a number from {LOWEST_PORT} to {HIGHEST_PORT}")
    return Listen(bare, int(port))


def _url(value: object) -> str:
    text = _text(value, "an http or https URL")
    try:
        parsed, port = urlsplit(text), urlsplit(text).port
    except ValueError as why:
        raise ValueError("is no URL") from why
    if parsed.scheme not in ("http", "https") or not parsed.hostname or port == 0:
        raise ValueError('expected a URL like "http://127.0.0.1:5001"')
    if parsed.username is not None or parsed.password is not None or parsed.query or parsed.fragment:
        raise ValueError(
            "a user, password, query or fragment does not belong into the URL; the table has keys for secrets"
        )
    return text.rstrip("/")


def _relative(value: object) -> str:
    text = _text(value, "text")
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise ValueError('must be relative to the stream\'s directory and stay in it (no leading "/", no "..")')
    return text


def _entry(value: str) -> str:
    if value != "auto" and not value.lower().endswith((".m3u8", ".m3u")):
        raise ValueError('expected "auto" or the name of a playlist (.m3u8)')
    return value


def _quorum(value: object) -> object:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError('expected "all" or a number, 1 or more')


def _keep_sessions(value: object) -> object:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError('expected "all", an age like "30d" or a number, 1 or more')


_DURATION_SCHEMA = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["10s", "1h30m"]}
_OFF = {"const": "off"}

Seconds = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
SecondsOrOff = Annotated[
    float | None, BeforeValidator(_duration_or_off), WithJsonSchema({"anyOf": [_DURATION_SCHEMA, _OFF]})
]
Bytes = Annotated[int, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN})]
BytesOrOff = Annotated[
    int | None,
    BeforeValidator(_size_or_off),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, _OFF]}),
]
AbsolutePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string"})]
ListenOrOff = Annotated[
    Listen | None,
    BeforeValidator(_listen),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^.+:\d+$"}, _OFF]}),
]
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://[^/@]+"})]
InTree = Annotated[str, BeforeValidator(_relative), WithJsonSchema({"type": "string", "minLength": 1})]
Entry = Annotated[InTree, AfterValidator(_entry)]
Quorum = Annotated[Literal["all"] | int, BeforeValidator(_quorum)]
KeepSessions = Annotated[
    Literal["all"] | int | float,
    BeforeValidator(_keep_sessions),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "integer", "minimum": 1}, _DURATION_SCHEMA]}),
]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]

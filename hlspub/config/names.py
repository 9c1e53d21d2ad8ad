"""[router.NAME] and [name.NAME]: names of IPNS, and who carries their records to readers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hlspub.config import fields
from hlspub.config.credentials import SecretRef
from hlspub.config.fields import Seconds, Section, When, at_least

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

NameOrOff = Annotated[Name | None, BeforeValidator(lambda value: None if value == "off" else value)]


def _http(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError('expected a URL like "http://127.0.0.1:5001"')
    return value


class Router(Section, frozen=True):
    """[router.NAME]: a service that carries the records of names."""

    kind: Literal["kubo", "delegated"] = fields.key(
        ..., "kubo: a node's RPC. delegated: Delegated Routing over HTTP.", when=When.RESTART, shown='"kubo"'
    )
    url: Annotated[str, AfterValidator(_http)] = fields.key(
        ..., "Where it is.", when=When.RESTART, shown='"http://127.0.0.1:5001"'
    )
    token: SecretRef | None = fields.key(
        None, "A bearer token, where it asks for one.", when=When.RESTART, shown='{ file = "/etc/hlspub/token" }'
    )


class IpnsName(Section, frozen=True):
    """[name.NAME]: a name of IPNS that a stream moves."""

    key: SecretRef | None = fields.key(
        None,
        "The private key, when it is not the one that `hlspub keys new NAME` made.",
        when=When.RESTART,
        shown='{ credential = "main-key" }',
    )
    ttl: Annotated[Seconds, AfterValidator(at_least("1s"))] = fields.key(
        "1m",
        "How long readers may use a record before they ask again. Shorter: fresher, and more work.",
        when=When.RESTART,
    )
    validity: Annotated[Seconds, AfterValidator(at_least("1m"))] = fields.key(
        "48h", "After how long a record that nobody renews stops to lead anywhere.", when=When.RESTART
    )
    interval: Annotated[Seconds, AfterValidator(at_least("1s"))] = fields.key(
        "30s", "A router is sent a new record at most this often, always the newest.", when=When.RESTART
    )
    refresh: Annotated[Seconds, AfterValidator(at_least("10s"))] = fields.key(
        "4h", "How often a record is sent again when nothing has changed: routers forget.", when=When.RESTART
    )
    routers: tuple[Name, ...] | None = fields.key(
        None, "Which routers carry it. Without this: all.", when=When.RESTART, shown='["node"]'
    )
    targets: tuple[Name, ...] | None = fields.key(
        None,
        "The targets that this name's readers read from: it moves to a root when one of these has it. "
        "Without this: the required ones.",
        when=When.RESTART,
        shown='["node"]',
    )

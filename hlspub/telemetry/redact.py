"""What may not stand in a log: secrets, and the parts of a URL that carry them (P8).

Rule: a value under a name that sounds like a secret is not shown, whatever it is; in all other text each URL loses its
user info, query and fragment (tokens, signatures and passwords travel there), and each HTTP request line its query.
Pure: values in, values out. What comes out is made of str, int, float, bool, None, list and dict alone, so that every
renderer shows the same.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias, cast

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

REDACTED: Final = "[redacted]"

_SECRET_NAME = re.compile(
    r"secret|token|passw(?:or)?d|passphrase|authorization|credential|cookie|signature|api_?key|private_?key|access_?key",
    re.IGNORECASE,
)
# scheme://authority/path?query#fragment (RFC 3986 §3); the authority ends at the first of / ? # or what no URL holds.
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<authority>[^\s/?#\"'<>]*)(?P<path>[^\s?#\"'<>]*)(?P<rest>[?#][^\s\"'<>]*)?",
    re.IGNORECASE,
)
# METHOD SP request-target SP HTTP-version (RFC 9112 §3), as access logs write it.
_REQUEST_LINE = re.compile(r"(\b[A-Z]+ /[^\s?]*)\?\S*(?= HTTP/)")


def is_secret_name(name: str) -> bool:
    """Whether a value under this key must not be shown."""
    return _SECRET_NAME.search(name.replace("-", "_")) is not None


def clean_text(text: str) -> str:
    """`text` with every URL and request line in it cut down to what says where, not who or what."""
    if "?" not in text and "://" not in text:
        return text
    return _REQUEST_LINE.sub(r"\1", _URL.sub(_bare_url, text))


def clean(value: object) -> Plain:
    """`value` in plain types, cleaned at every depth. What has no plain form is shown as its text (`str`)."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            mapping = cast("Mapping[object, object]", value)
            return {str(key): clean_item(str(key), item) for key, item in mapping.items()}
        case list() | tuple() | set() | frozenset():
            return [clean(item) for item in cast("Collection[object]", value)]
        case bytes() | bytearray():
            return f"[{len(value)} bytes]"
        case _:  # pydantic's SecretStr and SecretBytes hold their value behind this method
            return REDACTED if hasattr(value, "get_secret_value") else clean_text(str(value))


def clean_item(name: str, value: object) -> Plain:
    """`value` as it may be shown under `name`. A flag or a missing value under a secret's name says nothing secret."""
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return REDACTED
    return clean(value)


def _bare_url(match: re.Match[str]) -> str:
    host = match["authority"].rpartition("@")[2]
    return f"{match['scheme']}{host}{match['path']}"

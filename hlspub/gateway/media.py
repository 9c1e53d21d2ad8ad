"""Media types of what the gateway serves: those of HLS, and of the few files that `include` may put beside a stream.

Rule: players are strict about types and browsers guess when they may, so every answer names its type and forbids guessing.
What a browser would run (HTML, XML, SVG) is known by its name alone and comes from the dashboard's origin, so it gets a
sandbox: scripts run there under an origin of nobody.
"""

from typing import Final

from hlspub.hls import media_types
from hlspub.hls.classify import suffix_of

SANDBOX: Final = "sandbox allow-scripts allow-popups allow-forms"
_BESIDE: Final = {
    "css": "text/css; charset=utf-8",
    "gif": "image/gif",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "xml": "application/xml",
}


def type_of_name(name: str) -> str | None:
    """The type that the name's suffix says, None when it says none."""
    return media_types.type_of_name(name) or _BESIDE.get(suffix_of(name))


def is_active(media_type: str) -> bool:
    """Whether a browser would run what has this type: HTML, and all of XML, in which XHTML may be embedded."""
    essence = media_type.partition(";")[0]
    return essence == "text/html" or essence.endswith(("/xml", "+xml"))

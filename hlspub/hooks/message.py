"""The message: what a hook is told of a publication, as bytes that are the same at every try.

Rule: pure. The data are the fields of the log's `root.published`, and the time. The id is the stream and the seq, so whoever
has seen an id has seen the publication. Ids are ASCII without "." and without blanks: the signature joins them by dots, and a
stream's name may hold anything that can be printed.

Source: standardwebhooks.com, "Payload structure" and "Webhook metadata".
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import quote

from hlspub.model import Publication

TYPE: Final = "root.published"
CONTENT_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """A publication as it is told; `body` is JSON in ASCII."""

    id: str
    publication: Publication
    body: bytes

    @classmethod
    def of(cls, publication: Publication) -> Self:
        """The message of a publication."""
        told = {
            "type": TYPE,
            "timestamp": datetime.fromtimestamp(publication.published_at, UTC).isoformat(timespec="milliseconds"),
            "data": {
                "stream": publication.stream,
                "session": publication.session,
                "seq": publication.seq,
                "root": str(publication.root),
                "entry": publication.entry,
                "final": publication.final,
                "published_at": publication.published_at,
                "latency_s": round(publication.latency_s, 4),
            },
        }
        stream = quote(publication.stream, safe="/", errors="surrogateescape").replace(".", "%2E")
        return cls(f"{stream}/{publication.seq}", publication, json.dumps(told).encode())

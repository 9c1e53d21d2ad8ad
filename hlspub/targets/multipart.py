"""A multipart/form-data body that is read from files while it is sent (RFC 7578).

Rule: no file is held in memory: a chunk at a time is read, in a thread. The length is known before, so the body can go with
Content-Length, which some servers insist on.
"""

import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio.to_thread

CHUNK = 1 << 20  # bytes of a file in memory
CAR_TYPE = "application/vnd.ipld.car"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the form: it is read from where `file` stands, `size` bytes; `name` and `filename` are plain ASCII."""

    filename: str
    file: BinaryIO
    size: int
    name: str = "file"
    content_type: str = CAR_TYPE


@dataclass(frozen=True, slots=True)
class Form:
    """A body, and the headers that go with it. It can be sent once."""

    parts: Sequence[Part]
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def headers(self) -> dict[str, str]:
        """Content-Type and Content-Length."""
        size = sum(len(self._head(part)) + part.size + 2 for part in self.parts) + len(self._tail())
        return {"Content-Type": f"multipart/form-data; boundary={self.boundary}", "Content-Length": str(size)}

    async def body(self) -> AsyncGenerator[bytes]:
        """The bytes.

        Raises:
            OSError: a file cannot be read; ValueError: it is shorter than it was said to be.
        """
        for part in self.parts:
            yield self._head(part)
            left = part.size
            while left:
                data = await anyio.to_thread.run_sync(part.file.read, min(CHUNK, left))
                if not data:
                    raise ValueError(f"{part.filename} is {left} bytes too short")
                left -= len(data)
                yield data
            yield b"\r\n"
        yield self._tail()

    def _head(self, part: Part) -> bytes:
        where = f'form-data; name="{part.name}"; filename="{part.filename}"'
        return (
            f"--{self.boundary}\r\nContent-Disposition: {where}\r\nContent-Type: {part.content_type}\r\n\r\n"
        ).encode()

    def _tail(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()

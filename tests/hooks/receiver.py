"""A webhook's receiver on 127.0.0.1 that checks every signature by itself, and misbehaves when told to.

The check is written from standardwebhooks.com "Verifying signatures", with `hmac` alone: it shares nothing with hlspub.
"""

import base64
import hashlib
import hmac
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal

SECRET = b"an independent secret of 32 byte"
SECRET_TEXT = "whsec_" + base64.b64encode(SECRET).decode()
TOLERANCE_S = 300
Mood = int | Literal["hang", "reset", "drip"]


def verify(headers: Mapping[str, str], body: bytes, secret: bytes = SECRET, now: float | None = None) -> str | None:
    """Why a message is not to be believed; None: it is."""
    try:
        sent_at = int(headers["webhook-timestamp"])
        signatures = headers["webhook-signature"].split(" ")
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    except (KeyError, ValueError) as why:
        return repr(why)
    if abs((time.time() if now is None else now) - sent_at) > TOLERANCE_S:
        return "too old"
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(one, f"v1,{expected}") for one in signatures):
        return "not signed"
    return None


@dataclass(frozen=True)
class Got:
    """A request; `wrong`: why it is not to be believed."""

    id: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    wrong: str | None

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]


class Receiver(ThreadingHTTPServer):
    """`got` is every request in order, `taken` those that were answered with 204; `moods` are for the next ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[Got] = []
        self.taken: list[Got] = []
        self.moods: list[Mood] = []
        self.always: Mood | None = None
        self.headers: dict[str, str] = {}  # that go with an answer of a mood
        self.let_go = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/a-path-that-is-a-secret"

    def seqs(self, stream: str = "main") -> list[int]:
        """The seq of each message that was taken, in order."""
        return [one.data["seq"] for one in self.taken if one.data["stream"] == stream]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        got = Got(headers.get("webhook-id", ""), self.path, headers, body, verify(headers, body))
        self.server.got.append(got)
        mood = self.server.moods.pop(0) if self.server.moods else self.server.always
        if mood is None:
            self.server.taken.append(got)
            self._answer(204)
        elif isinstance(mood, int):
            self._answer(mood)
        elif mood == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            self._stall(mood)

    def _stall(self, mood: Mood) -> None:
        """Never a whole answer: nothing, or a byte now and then."""
        try:
            if mood == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.server.let_go.wait(0.05):
                if mood == "drip":
                    self.wfile.write(b"x")
        except OSError:  # the other side has left
            pass
        self.close_connection = True

    def _answer(self, status: int) -> None:
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the base class's name
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.let_go.set()
            server.shutdown()
            thread.join()

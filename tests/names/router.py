"""A Delegated Routing server on 127.0.0.1 that keeps records, and misbehaves when told to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from hlspub.ipns.record import MEDIA_TYPE


class RouterServer(ThreadingHTTPServer):
    """`records` by name; `puts` is what came, in order. `mood`: (status, headers, body) for every request while it is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: dict[str, bytes] = {}
        self.puts: list[bytes] = []
        self.tries = 0
        self.mood: tuple[int, dict[str, str], bytes] | None = None
        self.wanted: str | None = None  # the Authorization that it asks for

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RouterServer

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        if self._refused():
            return
        if self.headers["Content-Type"] != MEDIA_TYPE:
            self._answer(406, {}, b"")
            return
        self.server.puts.append(body)
        self.server.records[self.path.removeprefix("/routing/v1/ipns/")] = body
        self._answer(200, {}, b"")

    def do_GET(self) -> None:
        if self._refused():
            return
        record = self.server.records.get(self.path.removeprefix("/routing/v1/ipns/"))
        if record is None:
            self._answer(404, {"Content-Type": "text/plain"}, b"none")
        else:
            self._answer(200, {"Content-Type": MEDIA_TYPE}, record)

    def _refused(self) -> bool:
        if self.server.wanted is not None and self.headers["Authorization"] != self.server.wanted:
            self._answer(401, {}, b"who are you?")
            return True
        if self.server.mood is not None:
            self._answer(*self.server.mood)
            return True
        return False

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the base class's name
        pass


@contextmanager
def routing() -> Iterator[RouterServer]:
    with RouterServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

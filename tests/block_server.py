"""A trustless gateway on 127.0.0.1 that serves a dictionary of blocks, and misbehaves when told to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from hlspub.errors import CidError
from hlspub.ipld.cid import Cid

RAW = "application/vnd.ipld.raw"


class BlockServer(ThreadingHTTPServer):
    """`asked` lists the CIDs; `moods` holds (status, headers, body) for the next requests, before blocks are served again."""

    daemon_threads = True

    def __init__(self, blocks: Mapping[Cid, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blocks = blocks
        self.asked: list[Cid] = []
        self.moods: list[tuple[int, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BlockServer

    def do_GET(self) -> None:
        parsed = urlsplit(self.path)
        formats = parse_qs(parsed.query).get("format")
        if formats != ["raw"] or self.headers["Accept"] != RAW or not parsed.path.startswith("/ipfs/"):
            self._answer(400, {}, b"not a trustless request")
            return
        try:
            cid = Cid.parse(parsed.path.removeprefix("/ipfs/"))
        except CidError:
            self._answer(400, {}, b"not a CID")
            return
        self.server.asked.append(cid)
        if self.server.moods:
            self._answer(*self.server.moods.pop(0))
        elif cid in self.server.blocks:
            self._answer(200, {"Content-Type": RAW}, self.server.blocks[cid])
        else:
            self._answer(404, {}, b"not here")

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if headers.get("Content-Length", str(len(body))) != str(len(body)):
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the base class's name
        pass


@contextmanager
def serving(blocks: Mapping[Cid, bytes]) -> Iterator[BlockServer]:
    with BlockServer(blocks) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

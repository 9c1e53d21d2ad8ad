"""The HTTP server: uvicorn, in the daemon's own loop and under the daemon's own signals.

Rule: it runs until it is cancelled. Then it takes no more connections, lets every event stream go at once, gives responses
that are under way `GRACE_S` to finish, and drops what is left: a viewer on a slow line must not hold up a drain, and asks
again anyway. Signals are the daemon's; uvicorn's handlers would take them from it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol

import anyio
import uvicorn
from starlette.types import Receive, Scope, Send

from hlspub.errors import ConfigError, HlspubError, PermissionRefused

GRACE_S: Final = 3.0
KEEP_ALIVE_S: Final = 20  # longer than players wait between two playlists
BACKLOG: Final = 512
LOOK_S: Final = 0.01
_ABORTED_S: Final = 1.0  # responses whose connection is gone end by themselves


class Listen(Protocol):
    """Where to listen: a host name or address (IPv6 without brackets) and a port, 0 for any free one."""

    @property
    def host(self) -> str: ...  # noqa: D102 -- a field
    @property
    def port(self) -> int: ...  # noqa: D102 -- a field


class App(Protocol):
    """An ASGI application whose long-lived responses can be told to end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...  # noqa: D102 -- ASGI
    def close(self) -> None: ...  # noqa: D102 -- see the class


async def serve(app: App, listen: Listen, *, started: Callable[[str], None]) -> None:
    """Serve until cancelled; `started` is told the base URL once connections are accepted.

    Raises:
        ConfigError: the address cannot be listened on.
        PermissionRefused: this user may not listen on it.
    """
    sockets = await bind(listen)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config, app, lambda: started(_url(listen, sockets[0])))
    try:
        await server.serve(sockets)
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop()
        for each in sockets:
            each.close()


async def bind(listen: Listen) -> list[socket.socket]:
    """A listening socket for each address of the host; with port 0, for the first.

    Raises:
        ConfigError: the host is unknown, not this machine's, or the port is taken.
        PermissionRefused: the port is reserved.
    """
    try:
        found = await anyio.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as why:
        raise ConfigError(
            f"the gateway cannot listen on {_shown(listen)}: the host is not known ({why})",
            hint="Set [gateway] listen to an address of this machine, such as 127.0.0.1:8480.",
        ) from why
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses[:1] if listen.port == 0 else addresses:
            sockets.append(_listening(family, address))
    except OSError as why:
        for each in sockets:
            each.close()
        raise _refused(listen, why) from why
    return sockets


class _Server(uvicorn.Server):
    """uvicorn without signal handlers and with an end of its own."""

    def __init__(self, config: uvicorn.Config, app: App, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._tell = started

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the daemon."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Not in uvicorn's order: `stop` is called in every case."""

    async def stop(self) -> None:
        """Close, in the order that the module's text gives."""
        if not self.started:
            return
        self.started = False
        for server in self.servers:
            server.close()
        self._app.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._gone(GRACE_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._idle(_ABORTED_S)
        for task in self.server_state.tasks:
            task.cancel()

    async def _gone(self, patience_s: float) -> None:
        """Wait until every connection has ended, but not for longer than that.

        A response that is over may still have its last bytes in the transport; only the end of its connection says
        that they are out.
        """
        with anyio.move_on_after(patience_s):
            while self.server_state.connections:  # noqa: ASYNC110 -- uvicorn tells nobody
                await anyio.sleep(LOOK_S)

    async def _idle(self, patience_s: float) -> None:
        """Wait until no response is under way, but not for longer than that."""
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=patience_s)


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    # Named as TCP: asyncio turns Nagle's algorithm off only on such, and with it every body would wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means every address; any other IPv6 address leaves IPv4 to the socket beside it.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.settimeout(0)
    except OSError:
        sock.close()
        raise
    return sock


def _refused(listen: Listen, why: OSError) -> HlspubError:
    text = f"the gateway cannot listen on {_shown(listen)}: {why.strerror or why}"
    if isinstance(why, PermissionError):
        return PermissionRefused(text, hint="Ports below 1024 are reserved: set [gateway] listen to a higher one.")
    return ConfigError(
        text,
        hint='Another program may use it: set [gateway] listen to a free port, or to "off". `ss -ltnp` shows which.',
    )


def _shown(listen: Listen) -> str:
    return f"[{listen.host}]:{listen.port}" if ":" in listen.host else f"{listen.host}:{listen.port}"


def _url(listen: Listen, sock: socket.socket) -> str:
    """The base URL to give to people: an address that means "all" is shown as one that can be opened."""
    port: int = sock.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 -- shown, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


__all__: Sequence[str] = ("App", "Listen", "serve")

"""The real server in the test's own loop, on 127.0.0.1, with raw sockets where bytes matter."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import httpx
import pytest
from anyio.abc import ByteStream

from hlspub.errors import ConfigError
from hlspub.gateway.serve import bind
from hlspub.ipld.cid import Cid, Codec
from tests.gateway.house import DEADLINE_S, SMALL, Address, House, running

pytestmark = pytest.mark.anyio
BIG_BLOCKS = replace(SMALL, chunk_size=1 << 20)
BIG = bytes(48 << 20)  # more than the buffers of a connection take


async def ask(stream: ByteStream, target: str, *headers: str, method: str = "GET") -> None:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test", *headers, "", ""]
    await stream.send("\r\n".join(lines).encode())


async def until(stream: ByteStream, marker: bytes) -> bytes:
    got = bytearray()
    while marker not in got:
        got += await stream.receive()
    return bytes(got)


async def to_the_end(stream: ByteStream) -> bytes:
    got = bytearray()
    try:
        while True:
            got += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return bytes(got)


async def eventually(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event
            await anyio.sleep(0.01)


async def test_it_serves_at_the_address_it_tells(house: House) -> None:
    cid, _ = house.blocks.file(b"segment" * 100, SMALL)
    async with running(house) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        answer = await client.get(f"/ipfs/{cid}")
    assert answer.content == b"segment" * 100
    assert "server" not in answer.headers
    assert "date" in answer.headers


async def test_ipv6_is_shown_in_brackets(house: House) -> None:
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("no IPv6 here")
    async with running(house, "::1") as (host, port), httpx.AsyncClient() as client:
        assert (await client.get(f"http://[{host}]:{port}/healthz")).text == "ok\n"


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_a_taken_port_is_an_error_that_names_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: .*in use") as failure:
            await bind(Address("127.0.0.1", port))
    assert "[gateway] listen" in failure.value.hint


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
async def test_an_address_that_is_not_ours_is_an_error_that_names_it(host: str) -> None:
    with pytest.raises(ConfigError, match=host):
        await bind(Address(host, 8480))


async def test_a_body_does_not_wait_for_the_header_to_be_acknowledged() -> None:
    """asyncio sets TCP_NODELAY on connections whose listening socket says that it is TCP, and on no other."""
    delays = list[int]()

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            delays.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    (listening,) = await bind(Address("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(Connection, sock=listening)
    async with server, await anyio.connect_tcp(*listening.getsockname()) as viewer:
        with anyio.fail_after(DEADLINE_S), pytest.raises(anyio.EndOfStream):
            await viewer.receive()
    assert delays == [1]


async def test_the_daemons_signal_handlers_stay(house: House) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with running(house):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_head_and_not_modified_have_no_body_on_the_wire(house: House) -> None:
    cid, _ = house.blocks.file(b"segment" * 100, SMALL)
    async with running(house) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await ask(stream, f"/ipfs/{cid}", method="HEAD")
        await ask(stream, f"/ipfs/{cid}", f'If-None-Match: "{cid}"')
        await ask(stream, f"/ipfs/{cid}", "Range: bytes=0-2", "Connection: close")
        got = await to_the_end(stream)
    first, second, third, body = got.split(b"\r\n\r\n")
    assert b"content-length: 700" in first
    assert second.startswith(b"HTTP/1.1 304")
    assert third.startswith(b"HTTP/1.1 206")
    assert body == b"seg"


async def test_a_block_that_is_missing_later_cuts_the_response(house: House) -> None:
    data = b"".join(b"%010d" % number for number in range(100))
    cid, _ = house.blocks.file(data, SMALL)
    del house.blocks[Cid.of_data(Codec.RAW, data[500:600])]
    async with running(house) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await ask(stream, f"/ipfs/{cid}?filename=a.ts")
        head, _, body = (await to_the_end(stream)).partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"content-length: 1000" in head
    assert body == data[:500]


async def test_nothing_is_read_any_more_for_a_viewer_who_left(house: House) -> None:
    cid, _ = house.blocks.file(BIG, BIG_BLOCKS)
    house.blocks.asked.clear()
    async with running(house) as (host, port):
        async with await anyio.connect_tcp(host, port) as stream:
            await ask(stream, f"/ipfs/{cid}")
            await until(stream, b"\r\n\r\n")
        await eventually(_no_more_reads(house))
        assert 0 < len(house.blocks.asked) < 40


def _no_more_reads(house: House) -> Callable[[], bool]:
    """True once no response is under way any more."""
    return lambda: (
        not [task for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())] and bool(house.responses)
    )


async def test_a_slow_viewer_holds_a_block_or_two_and_not_the_file(house: House) -> None:
    cid, _ = house.blocks.file(BIG, BIG_BLOCKS)
    house.blocks.asked.clear()
    async with running(house) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await ask(stream, f"/ipfs/{cid}?filename=a.ts", "Connection: close")
        head = await until(stream, b"\r\n\r\n")
        async with httpx.AsyncClient() as other:
            for _ in range(20):  # the server has had every chance to run ahead
                await other.get(f"http://{host}:{port}/healthz")
        assert len(house.blocks.asked) < 40
        body = head.partition(b"\r\n\r\n")[2] + await to_the_end(stream)
    assert len(body) == len(BIG)


async def test_stopping_lets_every_connection_go(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """An event stream, an idle connection, and a viewer who does not read: none holds up the end."""
    cid, _ = house.blocks.file(BIG, BIG_BLOCKS)
    ends: list[Awaitable[bytes]] = []
    async with running(house) as (host, port):
        events = await anyio.connect_tcp(host, port)
        await ask(events, "/api/events")
        await until(events, b"data: ")
        idle = await anyio.connect_tcp(host, port)
        await ask(idle, "/healthz")
        await until(idle, b"ok\n")
        stalled = await anyio.connect_tcp(host, port)
        await ask(stalled, f"/ipfs/{cid}")
        await until(stalled, b"\r\n\r\n")
        ends = [to_the_end(stream) for stream in (events, idle, stalled)]
    last = [await end for end in ends]
    assert last[0].endswith(b"0\r\n\r\n")  # the event stream ended as HTTP ends
    assert last[1] == b""
    assert len(last[2]) < len(BIG)
    for stream in (events, idle, stalled):
        await stream.aclose()
    assert not [task for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]  # it is no failure


async def test_a_response_under_way_is_finished_when_stopping(house: House) -> None:
    cid, _ = house.blocks.file(BIG, BIG_BLOCKS)
    got = b""
    reading: list[asyncio.Task[bytes]] = []
    async with running(house) as (host, port):
        stream = await anyio.connect_tcp(host, port)
        await ask(stream, f"/ipfs/{cid}?filename=a.ts")
        got = await until(stream, b"\r\n\r\n")
        reading.append(asyncio.create_task(to_the_end(stream)))
    got += await reading[0]
    await stream.aclose()
    assert len(got.partition(b"\r\n\r\n")[2]) == len(BIG)


async def test_after_the_end_the_port_is_free_again(house: House) -> None:
    async with running(house) as (host, port):
        pass
    (again,) = await bind(Address(host, port))
    again.close()


async def test_names_travel_as_bytes(house: House) -> None:
    root = house.blocks.tree({"a\nb/ü?.ts": b"odd"})
    async with running(house) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await ask(stream, f"/ipfs/{root}/a%0Ab/%C3%BC%3F.ts", "Connection: close")
        got = await to_the_end(stream)
    assert got.endswith(b"\r\n\r\nodd")
    assert f"x-ipfs-path: /ipfs/{root}/a%0Ab/%C3%BC%3F.ts".encode() in got


async def test_rubbish_on_the_wire_is_a_bad_request(house: House) -> None:
    async with running(house) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await stream.send(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert (await to_the_end(stream)).startswith(b"HTTP/1.1 400")

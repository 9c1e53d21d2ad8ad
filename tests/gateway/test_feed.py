"""Status as JSON and as events: shared, paced, and over at once when the gateway closes."""

import json
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from hlspub.gateway import feed
from hlspub.gateway.app import Gateway
from hlspub.ipld.cid import Cid, Codec
from hlspub.telemetry.clock import SystemClock
from tests.gateway.house import DEADLINE_S, House

pytestmark = pytest.mark.anyio
ROOT = Cid.of_data(Codec.DAG_PB, b"root")


class Listener:
    """One connection to /api/events, at the level of ASGI."""

    def __init__(self, pieces: MemoryObjectReceiveStream[dict[str, object]]) -> None:
        self._pieces = pieces
        self._text = ""
        self.gone = anyio.Event()
        self.ended = False

    async def event(self) -> str:
        """The next block of the event stream."""
        with anyio.fail_after(DEADLINE_S):
            while "\n\n" not in self._text:
                message = await self._pieces.receive()
                self._text += bytes(message.get("body", b"")).decode()  # type: ignore[arg-type]
                self.ended = message["type"] == "http.response.body" and not message.get("more_body")
                if self.ended:
                    return self._text
        event, _, self._text = self._text.partition("\n\n")
        return event

    async def state(self) -> dict[str, object]:
        """The next snapshot."""
        while True:
            event = await self.event()
            assert not self.ended
            for line in event.splitlines():
                if line.startswith("data: "):
                    return json.loads(line.removeprefix("data: "))


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncGenerator[Listener]:
    send, receive = anyio.create_memory_object_stream[dict[str, object]](100)
    listener = Listener(receive)

    async def answer() -> dict[str, object]:
        await listener.gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/events",
        "raw_path": b"/api/events",
        "query_string": b"",
        "headers": [],
    }
    async with send, receive, anyio.create_task_group() as group:
        group.start_soon(gateway, scope, answer, send.send)
        yield listener
        listener.gone.set()


async def test_status_is_the_commands_answer_with_the_gateways_time(house: House) -> None:
    house.streams.state = {
        "streams": [{"name": "main", "state": "running"}],
        "targets": [{"name": "local", "state": "ok"}],
    }
    house.streams.publish("main", ROOT, published_at=5.0)
    house.streams.publish("main", ROOT, published_at=15.0, final=True)
    answer = await house.get("/api/status")
    state = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert state["streams"] == [{"name": "main", "state": "running"}]
    assert state["targets"] == [{"name": "local", "state": "ok"}]
    assert state["at"] > 1_700_000_000
    assert state["recent"]["main"] == {
        "newest": {
            "root": str(ROOT), "entry": "master.m3u8", "seq": 2, "published_at": 15.0, "final": True,
            "session": "20270115T080000Z-1",
        },
        "times": [[2, 15.0], [1, 5.0]],
    }  # fmt: skip


async def test_a_stream_without_a_root_has_no_newest(house: House) -> None:
    house.streams.add("main")
    assert (await house.get("/api/status")).json()["recent"] == {"main": {"newest": None, "times": []}}


async def test_a_listener_gets_the_state_at_once_and_at_every_change(house: House) -> None:
    house.streams.add("main")
    async with listening(house.gateway()) as listener:
        assert (await listener.event()) == "retry: 2000"
        assert (await listener.state())["recent"] == {"main": {"newest": None, "times": []}}
        for seq in (1, 2):
            house.streams.publish("main", ROOT)
            state = await listener.state()
            assert state["recent"]["main"]["newest"]["seq"] == seq  # type: ignore[index]


async def test_a_burst_of_changes_is_one_snapshot_for_all_listeners(house: House) -> None:
    gateway = house.gateway()
    async with listening(gateway) as one, listening(gateway) as two, listening(gateway) as three:
        for listener in (one, two, three):
            await listener.state()
        before = house.streams.made
        for _ in range(50):
            house.streams.publish("main", ROOT)
        for listener in (one, two, three):
            state = await listener.state()
            assert state["recent"]["main"]["newest"]["seq"] == 50  # type: ignore[index]
        assert house.streams.made - before == 1


async def test_a_text_with_line_breaks_stays_one_event(house: House) -> None:
    house.streams.state["streams"] = [{"name": "a\nb\r\ndata: x", "state": "running", "note": "\ud800"}]
    async with listening(house.gateway()) as listener:
        assert (await listener.state())["streams"][0]["name"] == "a\nb\r\ndata: x"  # type: ignore[index]


async def test_a_silent_feed_shows_that_it_lives(house: House) -> None:
    sent: list[bytes] = []
    enough = anyio.Event()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["body"])
        if len(sent) == 5:
            enough.set()

    silent = feed.Feed(house.streams, SystemClock(), keep_alive_s=0.01)
    async with anyio.create_task_group() as group:
        group.start_soon(silent.listen, send)
        with anyio.fail_after(DEADLINE_S):
            await enough.wait()
        group.cancel_scope.cancel()
    assert sent[2:5] == [b": still here\n\n"] * 3
    assert house.streams.made == 1


async def test_closing_ends_every_listener_and_takes_no_new_one(house: House) -> None:
    gateway = house.gateway()
    async with listening(gateway) as one, listening(gateway) as two:
        for listener in (one, two):
            await listener.state()
        gateway.close()
        for listener in (one, two):
            assert (await listener.event()) == ""
            assert listener.ended
    async with listening(gateway) as late:
        assert "stopping" in await late.event()


async def test_a_listener_that_leaves_is_forgotten(house: House) -> None:
    gateway = house.gateway()
    async with listening(gateway) as listener:
        await listener.state()
        assert len(gateway._feed._listeners) == 1
    assert not gateway._feed._listeners


async def test_more_listeners_than_there_is_room_for_are_refused(house: House) -> None:
    gateway = house.gateway()
    gateway._feed._listeners |= {anyio.CancelScope() for _ in range(feed.MAX_LISTENERS)}
    async with listening(gateway) as listener:
        assert "Too many listen here already." in await listener.event()

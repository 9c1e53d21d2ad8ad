import anyio
import pytest

from hlspub.model import FileIdentity, Settled, SettledBy
from hlspub.watch.bell import Bell, Rounds
from hlspub.watch.outbox import ROOM, Outbox

pytestmark = pytest.mark.anyio


def item(path: str, size: int = 1) -> Settled:
    return Settled(path, FileIdentity(1, 1, size, 1, 1), SettledBy.CLOSED, 0.0)


async def test_items_are_delivered_in_order_with_the_newest_state_of_each() -> None:
    outbox = Outbox()
    taken: list[Settled] = []

    async def take(some: Settled) -> None:
        await anyio.lowlevel.checkpoint()
        taken.append(some)

    for some in (item("a"), item("b"), item("c"), item("a", 2)):
        outbox.put(some)
    outbox.drop("b")
    outbox.drop("never was")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.deliver, take)
        with anyio.fail_after(5):
            await outbox.flush()
        assert taken == [item("a", 2), item("c")]
        outbox.put(item("d"))
        with anyio.fail_after(5):
            await outbox.flush()
            await outbox.flush()
        assert taken[2:] == [item("d")]
        tasks.cancel_scope.cancel()


async def test_flush_waits_for_the_item_that_is_being_taken() -> None:
    outbox = Outbox()
    taking, gate = anyio.Event(), anyio.Event()
    events: list[str] = []

    async def take(some: Settled) -> None:
        taking.set()
        await gate.wait()
        events.append(some.path)

    async def flush() -> None:
        await outbox.flush()
        events.append("flushed")

    outbox.put(item("a"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.deliver, take)
        await taking.wait()
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        gate.set()
        with anyio.fail_after(5):
            while len(events) < 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert events == ["a", "flushed"]


async def test_there_is_no_room_while_too_many_wait() -> None:
    outbox = Outbox()

    async def take(_: Settled) -> None:
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        await outbox.room()
    for number in range(ROOM + 1):
        outbox.put(item(str(number)))
    with anyio.move_on_after(0.01) as scope:
        await outbox.room()
    assert scope.cancelled_caught
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.deliver, take)
        with anyio.fail_after(5):
            await outbox.room()
        tasks.cancel_scope.cancel()


async def test_a_bell_that_rang_before_the_wait_is_heard_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    with anyio.fail_after(5):
        await bell.wait()
    with anyio.move_on_after(0.01) as scope:
        await bell.wait()
    assert scope.cancelled_caught
    await bell.wait(0.0)  # its own time-out is no error


async def test_a_round_that_is_under_way_is_not_a_whole_one() -> None:
    rounds = Rounds()
    done: list[str] = []

    async def ask(name: str) -> None:
        await rounds.whole()
        done.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "before")
        await anyio.wait_all_tasks_blocked()
        rounds.begin()
        tasks.start_soon(ask, "meanwhile")
        await anyio.wait_all_tasks_blocked()
        rounds.end()
        await anyio.wait_all_tasks_blocked()
        assert done == ["before"]
        rounds.begin()
        rounds.end()
    assert done == ["before", "meanwhile"]

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from hlspub.errors import TargetError
from hlspub.hooks.message import Message
from hlspub.hooks.signing import read_secret
from hlspub.hooks.webhook import Webhook
from hlspub.targets import http
from hlspub.telemetry.clock import SystemClock
from tests.hooks.receiver import SECRET_TEXT, Receiver, receiving

pytestmark = pytest.mark.anyio


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@asynccontextmanager
async def webhook(url: str) -> AsyncIterator[Webhook]:
    hook = Webhook("ci", url, read_secret(SECRET_TEXT), http.make_client(concurrency=1), SystemClock())
    try:
        yield hook
    finally:
        await hook.aclose()


async def test_a_message_is_posted_signed_and_believed(receiver: Receiver, message: Message) -> None:
    async with webhook(receiver.url) as hook:
        await hook.tell(message)
        await hook.tell(message)
    first, second = receiver.taken
    assert (first.wrong, second.wrong) == (None, None)
    assert first.id == second.id == "main/12"
    assert first.body == second.body == message.body
    assert first.headers["content-type"] == "application/json"
    assert first.path == "/a-path-that-is-a-secret"
    assert first.headers["host"] == f"127.0.0.1:{receiver.server_port}"


async def test_the_urls_path_shows_up_nowhere(
    receiver: Receiver, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.moods = [500]
    async with webhook(receiver.url) as hook:
        with pytest.raises(TargetError) as caught:
            await hook.tell(message)
        await hook.tell(message)
        assert "secret" not in hook.check()
    assert "secret" not in f"{caught.value}{caught.value.hint}"
    assert str(receiver.server_port) in caplog.text  # requests are logged at all
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("status", "asked", "means"),
    [
        (200, "", (None, "")),
        (201, "", (None, "")),
        (300, "", (0.0, "Redirects")),
        (304, "", (0.0, "Redirects")),
        (400, "", (0.0, "log")),
        (401, "9", (9.0, "log")),
        (404, "", (0.0, "log")),
        (408, "", (0.0, "log")),
        (410, "9", (None, "wants no more")),
        (429, "7", (7.0, "log")),
        (429, "", (0.0, "log")),
        (429, "soon", (10.0, "log")),
        (500, "", (0.0, "log")),
        (503, "9999999", (3600.0, "log")),
    ],
)
async def test_what_an_answer_means(
    receiver: Receiver, message: Message, status: int, asked: str, means: tuple[float | None, str]
) -> None:
    receiver.moods = [status]
    receiver.headers = {"Retry-After": asked} if asked else {}
    async with webhook(receiver.url) as hook:
        if status < 300:
            await hook.tell(message)
            return
        with pytest.raises(TargetError, match=f"HTTP {status}") as caught:
            await hook.tell(message)
    retry_s, hint = means
    assert caught.value.retry_s == retry_s
    assert hint in caught.value.hint
    assert "secret" not in str(caught.value)


async def test_a_redirect_leads_nowhere(receiver: Receiver, message: Message) -> None:
    with receiving() as elsewhere:
        receiver.headers = {"Location": elsewhere.url}
        receiver.moods = [301, 302, 303, 307, 308]
        async with webhook(receiver.url) as hook:
            for _ in range(5):
                with pytest.raises(TargetError, match="HTTP 30"):
                    await hook.tell(message)
    assert len(receiver.got) == 5
    assert elsewhere.got == []


async def test_a_connection_that_breaks_is_a_failure_that_is_tried_again(receiver: Receiver, message: Message) -> None:
    receiver.moods = ["reset", "reset"]
    async with webhook(receiver.url) as hook:
        for _ in range(2):
            with pytest.raises(TargetError) as caught:
                await hook.tell(message)
            assert caught.value.retry_s == 0.0
            assert "secret" not in str(caught.value)
        await hook.tell(message)
    assert len(receiver.taken) == 1


async def test_nobody_there(message: Message) -> None:
    with receiving() as receiver:
        url = receiver.url
    async with webhook(url) as hook:
        with pytest.raises(TargetError, match="no connection") as caught:
            await hook.tell(message)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mood", ["hang", "drip"])
async def test_whoever_never_answers_is_left_when_it_is_cancelled(
    receiver: Receiver, message: Message, mood: str
) -> None:
    receiver.moods = [mood]  # type: ignore[list-item]
    async with webhook(receiver.url) as hook:
        with anyio.move_on_after(0.3) as scope:
            await hook.tell(message)
        assert scope.cancelled_caught
        await hook.tell(message)  # nothing is left that the next one would trip over
    assert len(receiver.taken) == 1

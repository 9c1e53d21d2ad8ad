from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from hlspub.errors import ConfigError, TargetError
from hlspub.targets import http


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@gateway.example/ipfs?token=secret#secret", "https://gateway.example/ipfs"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert http.shown(url) == shown


@pytest.mark.parametrize(
    "url", ["ftp://secret@x", "file:///secret", "https://", "secret", "http://[secret", "http://x:secret"]
)
def test_what_is_no_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        http.shown(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.ConnectTimeout("slow"), "no answer in time"),
        (httpx.ConnectError("refused"), "no connection: refused"),
        (httpx.RemoteProtocolError("peer closed"), "peer closed"),
        (httpx.ReadError(""), "ReadError"),
    ],
)
def test_what_breaks_on_the_way_can_be_tried_again(raised: Exception, reason: str) -> None:
    with pytest.raises(TargetError, match=f"https://x: .*{reason}") as caught, http.failures("https://x"):
        raise raised
    assert caught.value.retry_s == http.RETRY_S
    assert caught.value.hint


async def _refused(status: int, headers: dict[str, str], body: str) -> TargetError:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, headers=headers, text=body))
    async with http.make_client(transport=transport) as client, client.stream("GET", "https://x/") as response:
        return await http.refusal(response, "https://x")


@pytest.mark.anyio
async def test_a_refusal_says_what_was_said_and_whether_to_try_again() -> None:
    why = await _refused(503, {"Retry-After": "7"}, "come\n  back   later" + "x" * 1000)
    assert str(why).startswith("https://x: HTTP 503: come back later")
    assert len(str(why)) < 250
    assert why.retry_s == 7
    assert (await _refused(429, {}, "")).retry_s == http.RETRY_S
    assert (await _refused(500, {}, "")).retry_s == http.RETRY_S
    for status in (400, 401, 403, 405, 418, 301):
        why = await _refused(status, {"Retry-After": "7"}, "no")
        assert (why.retry_s, "not help" in why.hint) == (None, True)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        ("999999", 3600, 3600),
        ("", http.RETRY_S, http.RETRY_S),
        ("soon", http.RETRY_S, http.RETRY_S),
        ("-5", http.RETRY_S, http.RETRY_S),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        (format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True), 3600, 3600),
        ("Wed, 21 Oct 2015 07:28:00", http.RETRY_S, http.RETRY_S),
    ],
)
def test_retry_after_is_read_and_held_to_an_hour(given: str, least: float, most: float) -> None:
    assert least <= http.retry_after(httpx.Response(503, headers={"Retry-After": given})) <= most


@pytest.mark.anyio
async def test_a_body_is_read_up_to_its_bound() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=b"x" * 100))
    async with http.make_client(transport=transport) as client:
        async with client.stream("GET", "https://x/") as response:
            assert await http.read_bounded(response, 100, "https://x") == b"x" * 100
        async with client.stream("GET", "https://x/") as response:
            with pytest.raises(TargetError, match="more than 99 bytes"):
                await http.read_bounded(response, 99, "https://x")

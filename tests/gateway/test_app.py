"""The route table: what is where, who may read it, and what is counted."""

import pytest

from hlspub.ipld.cid import Cid, Codec
from tests.gateway.house import House

pytestmark = pytest.mark.anyio


async def test_metrics_are_handed_on(house: House) -> None:
    answer = await house.get("/metrics")
    assert answer.content == b"hlspub_up 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("path", "verdict"), [("/healthz", "well"), ("/readyz", "fit")])
async def test_health_says_why_not(house: House, path: str, verdict: str) -> None:
    assert ((await house.get(path)).status_code, (await house.get(path)).text) == (200, "ok\n")
    setattr(house.health, verdict, (False, ["The journal's thread does not answer.", "main: 12 s behind."]))
    answer = await house.get(path)
    assert answer.status_code == 503
    assert answer.text == "The journal's thread does not answer.\nmain: 12 s behind.\n"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/none.js", "/static/dashboard.html", "/api", "/%69pfs/bafkqaaa", "/static/../app.py"]
)
async def test_what_is_not_there(house: House, path: str) -> None:
    answer = await house.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("There is no")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/ipfs/bafkqaaa", "/live/main/a", "/metrics", "/api/status", "/play/main"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_written(house: House, path: str, method: str) -> None:
    answer = await house.get(path, method=method)
    assert answer.status_code == 405
    assert answer.text == "This address answers GET and HEAD.\n"
    assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))


async def test_operators_pages_are_not_for_other_origins(house: House) -> None:
    for path in ("/", "/api/status", "/metrics", "/play/main"):
        assert "access-control-allow-origin" not in (await house.get(path)).headers


async def test_responses_are_counted_by_route_never_by_path(house: House) -> None:
    absent = Cid.of_data(Codec.RAW, b"absent")
    for path in (
        "/",
        "/play/x",
        "/static/style.css",
        "/ipfs/bafkqaaa",
        f"/ipfs/{absent}",
        "/live/x/y",
        "/api/status",
        "/secret",
    ):
        await house.get(path)
    assert house.responses == [
        (200, "page"), (404, "page"), (200, "page"), (200, "ipfs"), (404, "ipfs"), (404, "live"), (200, "api"), (404, "other"),
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/play/main", "/play/cam/north"])
async def test_a_page_may_load_nothing_from_elsewhere_and_run_nothing_inline(house: House, path: str) -> None:
    house.streams.add("main")
    house.streams.add("cam/north")
    answer = await house.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in answer.text.replace("http-equiv", "")
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    assert "onclick" not in answer.text
    for line in answer.text.splitlines():
        assert "<script" not in line or "src=" in line


async def test_the_player_of_an_unknown_stream_waits_and_says_404(house: House) -> None:
    answer = await house.get("/play/later")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    house.streams.add("later")
    assert (await house.get("/play/later")).status_code == 200
    assert (await house.get("/play/%ff")).status_code == 404


async def test_assets_are_asked_for_again_by_their_tag(house: House) -> None:
    for name, media_type in (
        ("style.css", "text/css"),
        ("common.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        answer = await house.get(f"/static/{name}")
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["cache-control"] == "no-cache"
        again = await house.get(f"/static/{name}", {"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


async def test_head_of_every_page(house: House) -> None:
    house.streams.add("main")
    for path in (
        "/",
        "/play/main",
        "/static/style.css",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/status",
        "/api/events",
    ):
        answer = await house.get(path, method="HEAD")
        assert (answer.status_code, answer.content) == (200, b""), path

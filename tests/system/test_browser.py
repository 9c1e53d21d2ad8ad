"""A real Chromium at a running daemon: it plays live, and the final root to its end; the dashboard shows the stream.

HLSPUB_SHOTS=DIR keeps the screenshots there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.daemon import Daemon
from tests.support.players import chromium
from tests.support.site import Site
from tests.support.transcoder import Ffmpeg

pytestmark = [pytest.mark.browser, pytest.mark.ffmpeg]

SECONDS = 16
PICTURE = (("360p", 640, 360, 500), ("180p", 320, 180, 250))
PATIENCE_MS = 30_000


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("HLSPUB_SHOTS", tmp_path / "shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plays_past(page: Page, seconds: float) -> None:
    """Wait until that much more of the stream was shown."""
    page.wait_for_function("() => document.querySelector('video').currentTime > 0", timeout=PATIENCE_MS)
    begun = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(
        "until => document.querySelector('video').currentTime > until", arg=begun + seconds, timeout=PATIENCE_MS
    )


def _live(browser: Browser, daemon: Daemon, shots: Path) -> None:
    base = daemon.ready()
    page = browser.new_page()
    page.goto(f"{base}/play/main")
    _plays_past(page, 3.2)  # three borders of segments of one second
    assert not daemon.of("session.ending"), "the stream ran all the while"
    shown = page.locator("#address").inner_text()
    assert shown in {f"ipfs://{root['root']}/{root['entry']}" for root in daemon.of("root.published")}
    page.screenshot(path=shots / "player-live.png", full_page=True)

    dashboard = browser.new_page(color_scheme="light")
    dashboard.goto(base)
    expect(dashboard.locator("h1")).to_have_text("main is live")
    dashboard.screenshot(path=shots / "dashboard-light.png", full_page=True)
    phone = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 844})
    phone.goto(base)
    expect(phone.locator("h1")).to_have_text("main is live")
    phone.screenshot(path=shots / "dashboard-phone-dark.png", full_page=True)
    for each in (page, dashboard, phone):
        each.close()


def _recorded(browser: Browser, base: str, root: str, entry: str, shots: Path) -> None:
    page = browser.new_page()
    page.goto(f"{base}/play/main?root={root}&entry={entry}")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0", timeout=PATIENCE_MS)
    video = page.locator("video")
    assert page.evaluate("document.querySelector('video').currentSrc") == f"{base}/ipfs/{root}/{entry}"
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(SECONDS, abs=1)
    video.evaluate("video => { video.playbackRate = 6 }")
    page.wait_for_function("() => document.querySelector('video').ended", timeout=PATIENCE_MS)
    assert page.evaluate("document.querySelector('video').currentTime") == pytest.approx(SECONDS, abs=1)
    page.screenshot(path=shots / "player-final.png", full_page=True)
    page.close()


def test_live_and_afterwards(site: Site, browser: Browser, shots: Path) -> None:
    daemon = site.configure(publish_interval="1s", settle="2s").daemon()
    with Ffmpeg(site.hls, SECONDS, PICTURE) as ffmpeg:
        daemon.wait("root.published", count=4)
        _live(browser, daemon, shots)
        ffmpeg.finish()
        final = daemon.wait("root.published", final=True)
    _recorded(browser, daemon.ready(), final["root"], final["entry"], shots)
    assert daemon.stop() == 0
    assert daemon.troubles() == []

"""Players as judges: ffprobe and Chromium play a finished presentation from its address."""

import json
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [  # of Chromium
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PATIENCE_MS = 30_000
PROBE_S = 60


@dataclass(frozen=True, slots=True)
class Probed:
    """What ffprobe found: seconds, and frames of video."""

    duration_s: float
    frames: int


def probe(address: str) -> Probed:
    """Read a presentation to its end with ffprobe; fails with what it says when it cannot."""
    command = ["ffprobe", "-v", "error", "-allowed_extensions", "ALL", "-select_streams", "v:0", "-count_packets"]
    command += ["-show_entries", "format=duration:stream=nb_read_packets", "-of", "json", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_S)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Probed(float(found["format"].get("duration", "nan")), int(found["streams"][0]["nb_read_packets"]))


def chromium_program() -> str:
    """Where Chromium is; the mark `browser` says that there is one."""
    return next(filter(None, map(shutil.which, CHROMIUMS)))


@contextmanager
def chromium() -> Generator[Browser]:
    """A headless Chromium of the system's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
        yield browser
        browser.close()


def play(browser: Browser, address: str, speed: float = 4.0) -> tuple[float, float]:
    """Play an address to its end in a page of hlspub's gateway's; returns the duration and the time at the end, seconds."""
    page = browser.new_page()
    try:
        page.goto(address)
        return to_the_end(page, speed)
    finally:
        page.close()


def bare(browser: Browser, address: str) -> Page:
    """A page that is nothing but a `<video>` of an address, for gateways that have no player; the caller closes it."""
    page = browser.new_page()
    page.set_content(f'<video src="{address}" autoplay muted></video>')
    return page


def to_the_end(page: Page, speed: float = 1.0, patience_s: float = PATIENCE_MS / 1000) -> tuple[float, float]:
    """Wait until the video of a page has ended; returns its duration and the time at the end, in seconds."""
    page.wait_for_function("() => document.querySelector('video').currentTime > 0", timeout=PATIENCE_MS)
    page.locator("video").evaluate("(video, speed) => { video.playbackRate = speed }", speed)
    page.wait_for_function("() => document.querySelector('video').ended", timeout=patience_s * 1000)
    duration_s, end_s = page.evaluate(
        "(({duration, currentTime}) => [duration, currentTime])(document.querySelector('video'))"
    )
    return float(duration_s), float(end_s)

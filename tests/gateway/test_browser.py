"""The pages in a real Chromium, over the real server: what a viewer and an operator see."""

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from hlspub.ipld.cid import Cid, Codec
from tests.gateway.house import House, running
from tests.support.players import ARGUMENTS, chromium_program

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
SEGMENT_S = 1
SEGMENTS = 9
PATIENCE_S = 60.0
ROOT = Cid.of_data(Codec.DAG_PB, b"a root that is never opened")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A finished HLS stream as ffmpeg makes it: entry, one rendition, `SEGMENTS` segments."""
    folder: Path = tmp_path_factory.mktemp("show")
    source = f"testsrc2=size=320x180:rate=25:duration={SEGMENTS * SEGMENT_S}"
    # Without a bit rate ffmpeg writes a multivariant playlist without variants.
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "300k", "-g", "25", "-pix_fmt", "yuv420p"]
    layout = (
        f"-f hls -hls_time {SEGMENT_S} -hls_list_size 0 -hls_segment_filename seg%03d.ts -master_pl_name master.m3u8"
    )
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *encoder, *layout.split(), "v0.m3u8"]
    subprocess.run(command, cwd=folder, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def part(show: dict[str, bytes], segments: int) -> dict[str, bytes]:
    """The stream as it stood when that many segments were finished."""
    text = show["v0.m3u8"].decode()
    lines = text.replace("#EXT-X-ENDLIST\n", "").splitlines(keepends=True)
    ends = [index for index, line in enumerate(lines) if line.startswith("seg")]
    names = [lines[index].strip() for index in ends[:segments]]
    playlist = "".join(lines[: ends[segments - 1] + 1])
    return {"master.m3u8": show["master.m3u8"], "v0.m3u8": playlist.encode(), **{name: show[name] for name in names}}


class Watched:
    """A page whose requests and complaints are remembered."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )

    async def open(self, path: str) -> Page:
        await self.page.goto(self.base + path)
        return self.page

    def is_well(self) -> bool:
        """Whether the page asked only its own origin and complained of nothing."""
        return not self.complaints and all(url.startswith((self.base, "blob:", "data:")) for url in self.requests)


@asynccontextmanager
async def watching(house: House, browser: Browser, **options: Any) -> AsyncGenerator[Watched]:
    async with running(house, deadline_s=PATIENCE_S) as (host, port):
        context: BrowserContext = await browser.new_context(**options)
        context.set_default_timeout(PATIENCE_S * 1000)
        try:
            yield Watched(await context.new_page(), f"http://{host}:{port}")
        finally:
            await context.close()


async def current_time(page: Page) -> float:
    return float(await page.evaluate("document.querySelector('video').currentTime"))


async def becomes_true(page: Page, expression: str) -> None:
    """Wait for it; playwright's own wait would need `eval`, which the pages forbid."""
    with anyio.fail_after(PATIENCE_S):
        while not await page.evaluate(expression):  # noqa: ASYNC110 -- it happens in another process
            await anyio.sleep(0.05)


async def played_past(page: Page, seconds: float) -> None:
    await becomes_true(page, f"document.querySelector('video').currentTime > {seconds}")


def one_of_everything(house: House) -> None:
    house.streams.publish("main", ROOT, session="20270115T080000Z-1")
    house.streams.publish("old/show", ROOT, final=True)
    house.streams.add("camera")
    house.streams.add("studio")
    house.streams.state = {
        "streams": [
            {"name": "main", "state": "running", "segments": 1203, "pending": 2},
            {"name": "old/show", "state": "ended", "segments": 5400, "pending": 0},
            {"name": "camera", "state": "waiting", "segments": 0, "pending": 0},
            {"name": "studio", "state": "needs_entry", "candidates": ["a.m3u8", "b.m3u8"],
             "refused": [{"path": "c.m3u8", "reason": "this is HTML"}]},
        ],
        "targets": [
            {"name": "local", "kind": "local", "required": False, "state": "ok", "backlog_cars": 0, "backlog_bytes": 0,
             "oldest_pending_seconds": None},
            {"name": "node", "kind": "kubo", "state": "degraded", "backlog_cars": 12, "backlog_bytes": 3 << 20,
             "oldest_pending_seconds": 75, "error": "connection refused", "next_try_in_seconds": 40},
            {"name": "mirror", "kind": "w3up", "state": "catching_up", "backlog_cars": 1, "backlog_bytes": 7,
             "oldest_pending_seconds": 5},
        ],
    }  # fmt: skip
    house.streams.touch()


async def test_the_dashboard_follows_without_a_reload(house: House, browser: Browser) -> None:
    async with watching(house, browser) as watched:
        page = await watched.open("/")
        await expect(page.get_by_role("heading", name="No stream is configured")).to_be_visible()
        await page.evaluate("window.sameDocument = true")
        one_of_everything(house)
        await expect(page.locator("h1")).to_have_text("1 of 4 streams is live")
        main = page.get_by_role("article", name="main")
        await expect(main).to_contain_text("Live")
        await expect(main).to_contain_text("1\u202f203")
        await expect(main.locator("code")).to_have_text(str(ROOT))
        node = page.get_by_role("listitem").filter(has_text="kubo")
        await expect(node).to_contain_text("12 CARs, 3.0 MiB")
        await expect(node).to_contain_text("Connection refused. Next try in ")
        await expect(page.locator("#attention")).to_have_text("Needs attention: studio, node")
        studio = page.get_by_role("article", name="studio")
        await expect(studio).to_contain_text("Several playlists could be the entry: a.m3u8, b.m3u8.")
        await expect(studio).to_contain_text("Refused c.m3u8: This is HTML.")

        house.streams.state["streams"][0]["state"] = "ending"
        del house.streams.state["streams"][3], house.streams.state["targets"][1:]
        house.streams.touch()
        await expect(page.locator("h1")).to_have_text("No stream is live")
        await expect(main).to_contain_text("Ending")
        await expect(page.get_by_role("article")).to_have_count(3)
        await expect(page.locator("#attention")).to_be_hidden()
        assert await page.evaluate("window.sameDocument")
        assert watched.is_well(), (watched.complaints, watched.requests)


async def test_names_are_text_and_never_markup(house: House, browser: Browser) -> None:
    name = '<img src=x onerror="window.hacked=1">'
    house.streams.publish(name, ROOT, entry="<b>.m3u8")
    house.streams.state["streams"] = [{"name": name, "state": "<i>odd</i>"}]
    house.streams.state["targets"] = [{"name": "<u>", "state": "degraded", "error": "<script>window.hacked=1</script>"}]
    async with watching(house, browser) as watched:
        page = await watched.open("/")
        await expect(page.get_by_role("heading", level=3, name=name)).to_be_visible()
        await expect(page.get_by_text("<script>window.hacked=1</script>")).to_be_visible()
        assert await page.evaluate("window.hacked") is None
        await page.get_by_role("link", name="Watch").click()
        await expect(page.locator("#name")).to_have_text(name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_every_page_fits_and_is_legible(house: House, browser: Browser, scheme: Any, width: int) -> None:
    one_of_everything(house)
    files = house.blocks.tree({f"{'long-name-' * 12}{number}.ts": b"x" for number in range(3)})
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 740}, "reduced_motion": "reduce"}
    async with watching(house, browser, **options) as watched:
        for path, landmark in (
            ("/", "Targets"),
            ("/play/camera", "camera"),
            ("/play/main", "main"),
            (f"/ipfs/{files}/", ""),
        ):
            page = await watched.open(path)
            await expect(page.get_by_role("main")).to_be_visible()
            if landmark:
                await expect(page.get_by_role("heading", name=landmark, exact=True)).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert await page.evaluate(FAINT_TEXT) == [], path


async def test_a_lost_connection_is_told_and_mended(house: House, browser: Browser) -> None:
    async with watching(house, browser) as watched:
        page = await watched.open("/")
        await expect(page.locator("#link")).to_have_text("Updates live")
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
        await expect(page.locator("#link")).to_contain_text("Connection lost")
        await page.context.set_offline(False)
        await expect(page.locator("#link")).to_have_text("Updates live")


@pytest.mark.ffmpeg
async def test_the_player_waits_starts_by_itself_and_follows_the_stream(
    house: House, browser: Browser, show: dict[str, bytes]
) -> None:
    house.streams.add("main")
    house.streams.state["streams"] = [{"name": "main", "state": "waiting"}]
    async with watching(house, browser) as watched:
        page = await watched.open("/play/main")
        await expect(page.get_by_text("Waiting for the first root")).to_be_visible()
        assert await current_time(page) == 0
        await page.evaluate("window.sameDocument = true")
        house.streams.state["streams"] = [{"name": "main", "state": "running"}]
        roots: list[Cid] = []
        for segments in range(3, SEGMENTS + 1):
            roots.append(house.blocks.tree(part(show, segments)))
            house.streams.publish("main", roots[-1])
            await expect(page.locator("#root")).to_have_text(str(roots[-1]))
            await played_past(page, 0.3 + 0.6 * (segments - 3))
        final = house.blocks.tree(show)
        house.streams.state["streams"] = [{"name": "main", "state": "ended"}]
        house.streams.publish("main", final, final=True)
        await expect(page.locator("#state")).to_have_text("Ended")
        await expect(page.locator("#seq")).to_have_text(f"number {len(roots) + 1}, final")
        await expect(page.locator("#address")).to_have_text(f"ipfs://{final}/master.m3u8")
        await played_past(page, 3 * SEGMENT_S + 0.5)
        assert len({url for url in watched.requests if url.endswith(".ts")}) >= 3
        assert await page.evaluate("window.sameDocument")
        assert watched.is_well(), watched.complaints


@pytest.mark.ffmpeg
async def test_a_fixed_root_plays_to_its_end(house: House, browser: Browser, show: dict[str, bytes]) -> None:
    root = house.blocks.tree(show)
    house.streams.publish("main", house.blocks.tree(part(show, 2)))
    house.streams.state["streams"] = [
        {"name": "main", "state": "running", "sessions": [{"id": "x", "root": str(root), "entry": "v0.m3u8"}]}
    ]
    async with watching(house, browser) as watched:
        page = await watched.open(f"/play/main?root={root}")
        await expect(page.locator("#root")).to_have_text(str(root))
        await expect(page.locator("#state")).to_have_text("Fixed root")
        await page.evaluate("document.querySelector('video').playbackRate = 4")
        await becomes_true(page, "document.querySelector('video').ended")
        assert await current_time(page) > SEGMENTS * SEGMENT_S - 0.5
        assert f"{watched.base}/ipfs/{root}/v0.m3u8" in watched.requests
        assert not [url for url in watched.requests if "/live/" in url]
        assert watched.is_well(), watched.complaints


async def test_the_address_is_copied(house: House, browser: Browser) -> None:
    one_of_everything(house)
    async with watching(house, browser, permissions=["clipboard-read", "clipboard-write"]) as watched:
        page = await watched.open("/play/main")
        await page.get_by_role("button", name="Copy address").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == f"ipfs://{ROOT}/master.m3u8"


@pytest.mark.parametrize("command", ["true", "false"])
async def test_without_a_clipboard_the_address_is_selected(house: House, browser: Browser, command: str) -> None:
    one_of_everything(house)
    async with watching(house, browser) as watched:
        await watched.page.add_init_script(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
            f"document.execCommand = () => {command};"
        )
        page = await watched.open("/play/main")
        await page.get_by_role("button", name="Copy address").click()
        await expect(page.locator("#copied")).to_have_text("Copied" if command == "true" else "Selected: press Ctrl+C")
        assert await page.evaluate("getSelection().toString()") == f"ipfs://{ROOT}/master.m3u8"


async def test_a_browser_without_hls_is_told_what_to_do(house: House, browser: Browser) -> None:
    one_of_everything(house)
    async with watching(house, browser) as watched:
        await watched.page.add_init_script("HTMLMediaElement.prototype.canPlayType = () => ''")
        page = await watched.open("/play/main")
        await expect(page.get_by_text("This browser does not play HLS by itself")).to_be_visible()
        await expect(page.locator("#curtain code")).to_have_text(f"{watched.base}/live/main/master.m3u8")
        assert not [url for url in watched.requests if "/live/" in url]


async def test_a_stream_that_nobody_knows_is_told_and_may_still_come(house: House, browser: Browser) -> None:
    async with watching(house, browser) as watched:
        page = await watched.open("/play/later")
        await expect(page.get_by_text("There is no stream \u201clater\u201d")).to_be_visible()
        house.streams.add("later")
        house.streams.state["streams"] = [{"name": "later", "state": "waiting"}]
        house.streams.touch()
        await expect(page.get_by_text("Waiting for the first root")).to_be_visible()


# Visible texts whose contrast with what lies under them is below WCAG AA: 4.5, or 3 for large text.
FAINT_TEXT = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => color.slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const under = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("noscript, .skip")) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(style.color)), light(under(node))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${node.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""

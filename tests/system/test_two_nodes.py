"""Two real Kubo nodes: hlspub feeds the first and moves a name; viewers are at the second one's own gateway."""

from collections.abc import Iterator

import pytest

from hlspub.ipns.name import Name
from tests.support.checker import Checker
from tests.support.daemon import until
from tests.support.kubo import KuboDaemon, two_nodes
from tests.support.players import bare, chromium, to_the_end
from tests.support.site import Site
from tests.support.transcoder import SMALL, Ffmpeg

pytestmark = [pytest.mark.slow, pytest.mark.kubo, pytest.mark.browser, pytest.mark.ffmpeg]
SECONDS = 24
SEGMENT_S = 2
ENOUGH = 4  # segments of a live stream, before Chromium begins to play it
BEYOND_S = 30.0  # what a player may need beyond the length of what it plays


@pytest.fixture
def nodes(site: Site) -> Iterator[tuple[KuboDaemon, KuboDaemon]]:
    with two_nodes(site.root / "kubo") as both:
        yield both


def test_a_live_stream_plays_to_its_end_by_name_and_by_root_at_a_node_that_only_heard_of_it(
    site: Site, nodes: tuple[KuboDaemon, KuboDaemon]
) -> None:
    one, two = nodes
    site.configure(publish_interval="1s", settle="2s", name="show")
    with site.config.open("a", encoding="utf-8") as config:
        config.write(
            f'[target.node]\nkind = "kubo"\nurl = "{one.url}"\n[router.node]\nkind = "kubo"\nurl = "{one.url}"\n'
        )
        config.write('[name.show]\nttl = "1s"\ninterval = "1s"\n')
    name = site.hlspub("keys", "new", "show").stdout.split()[0]
    assert str(Name.parse(name)) == name
    daemon = site.daemon()
    seen: set[str] = set()
    with (
        chromium() as browser,
        Checker(two.gateway, site.hls) as checker,
        Ffmpeg(site.hls, SECONDS, SMALL, segment_s=SEGMENT_S) as ffmpeg,
    ):
        daemon.wait("name.sent", count=2)
        playlist = f"/ipns/{name}/a/index.m3u8"
        until(lambda: checker.body(playlist).count(b"#EXTINF") >= ENOUGH, "the name has moved on at the second node")
        viewer = bare(browser, f"{two.gateway}/ipns/{name}/master.m3u8")

        def all_checked() -> bool:
            for event in site.published():
                if event["root"] not in seen:
                    seen.add(event["root"])
                    checker.check(event["root"], event["entry"])
            return bool(daemon.of("root.published", final=True))

        until(all_checked, "every root is walked at the second node", SECONDS + BEYOND_S, every_s=0.1)
        ffmpeg.finish()
        final = daemon.wait("root.published", final=True)
        until(
            lambda: two("name", "resolve", name).decode().strip() == f"/ipfs/{final['root']}",
            "the name leads to the recording",
        )
        _, end_s = to_the_end(viewer, patience_s=SECONDS + BEYOND_S)  # it began live and followed the name
        assert SECONDS - ENOUGH * SEGMENT_S <= end_s <= SECONDS + 1
        for address in (f"/ipns/{name}/master.m3u8", f"/ipfs/{final['root']}/master.m3u8"):
            page = bare(browser, two.gateway + address)
            duration_s, end_s = to_the_end(page, speed=6)
            assert (duration_s, end_s) == (pytest.approx(SECONDS, abs=1), pytest.approx(SECONDS, abs=1))
            page.close()
    assert len(seen) > SECONDS / 4
    assert checker.report.misses == []
    assert daemon.stop() == 0
    assert daemon.troubles() == []
    assert two.pins() == set()

"""One daemon writes a stream into a bucket, gateways that share nothing but the bucket serve it, and each of them may die."""

import json

import pytest

from tests.support.daemon import until
from tests.support.players import chromium, play
from tests.support.site import Site
from tests.support.transcoder import Ffmpeg
from tests.system.bucket_scene import Scene, address, all_there, head

pytestmark = [pytest.mark.s3, pytest.mark.ffmpeg]

SECONDS = 120  # longer than a store takes to come back; then it is stopped


@pytest.mark.slow
def test_whoever_dies_nothing_is_lost_and_every_root_plays_from_both(scene: Scene) -> None:
    daemon = scene.daemon(scene.site)
    first, second = scene.gateway("one"), scene.gateway("two")
    urls = [address(first), address(second)]
    with Ffmpeg(scene.site.hls, SECONDS) as transcoder:
        daemon.wait("head.moved", count=3)
        for url in urls:
            until(lambda url=url: head(url), f"{url} shows the stream")
        first.kill()
        daemon.wait("head.moved", count=6)
        first = scene.gateway("one")
        scene.store.kill()
        daemon.wait("target.degraded")
        scene.store.start()
        daemon.wait("target.recovered")
        daemon.kill()
        daemon = scene.site.daemon()
        daemon.wait("root.published")
        transcoder.stop()
    final = daemon.wait("root.published", 60, final=True)["root"]
    daemon.wait("head.moved", root=final)
    urls[0] = address(first)
    for url in urls:
        until(lambda url=url: head(url) == final, f"{url} shows the end")
    for event in scene.site.published():
        for url in urls:
            assert all_there(scene, event["root"], url), (event, url)
    assert all_there(scene, final, "bucket")
    assert daemon.stop() == 0
    assert first.stop() == 0


def test_a_second_daemon_is_refused_the_head_and_says_so(scene: Scene) -> None:
    daemon = scene.daemon(scene.site)
    other = Site(scene.root / "other")
    other.root.mkdir()
    with Ffmpeg(scene.site.hls, 3), Ffmpeg(other.root / "main", 3):
        daemon.wait("head.moved")
        try:
            rival = scene.daemon(other)
            refused = rival.wait("head.refused")
            assert "another daemon" in refused["reason"]
            assert rival.wait("root.published", final=True)
            status = json.loads(other.hlspub("status", "--json").stdout)
            assert any("another daemon" in why for why in status["streams"][0]["stopped"])
        finally:
            other.close()
    final = daemon.wait("root.published", final=True)["root"]
    daemon.wait("head.moved", root=final)
    assert not daemon.of("head.refused")


@pytest.mark.browser
def test_chromium_plays_from_each_gateway(scene: Scene) -> None:
    daemon = scene.daemon(scene.site)
    gateways = [scene.gateway(name) for name in ("one", "two")]
    urls = [address(each) for each in gateways]
    with chromium() as browser:
        with Ffmpeg(scene.site.hls, 12) as transcoder:
            daemon.wait("head.moved", count=2)
            for url in urls:
                until(lambda url=url: head(url), f"{url} shows the stream")
                page = browser.new_page()
                page.goto(f"{url}/play/main")
                page.wait_for_function("() => document.querySelector('video').currentTime > 1", timeout=30_000)
                page.close()
            transcoder.finish()
        final = daemon.wait("root.published", final=True)["root"]
        daemon.wait("head.moved", root=final)
        for url in urls:
            until(lambda url=url: head(url) == final, f"{url} shows the end")
            duration_s, end_s = play(browser, f"{url}/play/main")
            assert duration_s > 11
            assert end_s > duration_s - 0.5


def test_a_root_is_replicated_into_a_bucket_and_back(scene: Scene) -> None:
    site, away = scene.site, Site(scene.root / "away")
    site.configure()
    with Ffmpeg(site.hls, 4, speed=4) as transcoder:
        transcoder.finish()
    root = json.loads(site.hlspub("publish", str(site.hls), "--json", timeout_s=60).stdout)["root"]
    with site.config.open("a") as config:
        config.write(scene.target())
    said = site.hlspub("replicate", root, "--to", "bucket", "--json", timeout_s=60)
    assert said.returncode == 0, said.stderr
    assert all_there(scene, root, "bucket")
    away.root.mkdir()
    away.configure()
    with away.config.open("a") as config:
        config.write(scene.target())
    back = away.hlspub("verify", root, "--from", "bucket", "--json", timeout_s=60)
    assert back.returncode == 0, back.stderr
    exported = away.hlspub("export", root, "--from", "bucket", "-o", str(away.root / "all.car"), "--json", timeout_s=60)
    assert exported.returncode == 0, exported.stderr

"""Looking after a bucket that is in use: clearing it up, and going on with it when a machine is gone."""

import json
import shutil

import pytest

from hlspub.errors import ExitCode
from tests.support.daemon import until
from tests.support.judges import recording, root_of
from tests.support.site import Site
from tests.support.writer import Writer
from tests.system.bucket_scene import Scene, address, all_there, head

pytestmark = pytest.mark.s3

PAIR = ("a", "b")


@pytest.mark.slow
def test_gc_beside_a_live_stream(scene: Scene) -> None:
    """What the window left goes; what viewers see, and the session's end, stay whole."""
    site = scene.site
    daemon = scene.daemon(site, '[publish]\nkeep_roots = "1s"\n', retention="window")
    url = address(scene.gateway("one"))
    writer = Writer(site.hls, PAIR, window=3, keep=1)
    freed = 0
    for _ in range(4):
        writer.step(2)
        wanted = root_of(files(writer))
        until(lambda wanted=wanted: head(url) == wanted, "the gateway shows it")
        site.hlspub("gc")
        said = site.hlspub("gc", "--target", "bucket", "--remove", "--grace", "1s", "--json")
        assert said.returncode == ExitCode.OK, said.stderr
        freed += json.loads(said.stdout)["cars"]
        assert all_there(scene, wanted, url)
    assert freed > 0
    writer.end()
    final = daemon.wait("root.published", final=True)["root"]
    daemon.wait("head.moved", root=final)
    assert daemon.stop() == 0
    site.hlspub("gc", "--target", "bucket", "--remove", "--grace", "0s")
    assert all_there(scene, final, "bucket")
    assert all_there(scene, final, address(scene.gateway("another")))
    assert daemon.troubles() == []


def files(writer: Writer) -> dict[str, bytes]:
    """What the window lists."""
    shown = {
        f"{one}/{writer.segment_name(number)}" for one in PAIR for number in range(writer.number - 3, writer.number)
    }
    every = writer.files(endlist=False)
    return {path: data for path, data in every.items() if not path.endswith(".ts") or path in shown}


def test_gc_of_a_bucket_says_what_it_needs(scene: Scene) -> None:
    site = scene.site.configure()
    with site.config.open("a") as config:
        config.write(scene.target())
    said = site.hlspub("gc", "--target", "bucket", "--json")
    assert (said.returncode, json.loads(said.stdout)["cars"]) == (ExitCode.OK, 0), said.stderr
    assert site.hlspub("gc", "--target", "local").returncode == ExitCode.CONFIG
    assert site.hlspub("gc", "--remove").returncode == ExitCode.USAGE
    scene.store.kill()
    assert site.hlspub("gc", "--target", "bucket", timeout_s=90).returncode == ExitCode.UNAVAILABLE


@pytest.mark.parametrize("window", [0, 4], ids=["listed to the end", "a window"])
def test_another_machine_goes_on_from_the_bucket_alone(scene: Scene, window: int) -> None:
    """The first one is gone with all its disks; the second has the configuration, and what the transcoder writes there."""
    gone, site = scene.site, Site(scene.root / "second")
    site.root.mkdir()
    daemon = scene.daemon(gone)
    writer = Writer(gone.hls, PAIR, window=window, size=1_300_000)  # two leaves and their node
    for _ in range(6):
        wanted = root_of(writer.step().files(endlist=False))
        daemon.wait("root.published", root=wanted)
    daemon.wait("head.moved", root=wanted)
    daemon.kill()
    last = gone.published()[-1]
    shutil.rmtree(gone.data)
    shutil.rmtree(gone.hls)
    scene.configure(site)
    recovered = site.hlspub("recover", "--from", "bucket", "--json", timeout_s=60)
    assert recovered.returncode == ExitCode.OK, recovered.stderr
    answer = json.loads(recovered.stdout)
    assert (answer["streams"], answer["sessions"], answer["incomplete"]) == (1, 1, [])
    assert answer["files"] == 1 + 2 * (1 + 6)
    assert answer["cars"] == 3, "directories, the multivariant and the (equal) media playlists came, and no media"
    writer.directory = site.hls
    second = site.daemon()
    second.ready()
    assert site.published() == [], "nothing is announced again"
    writer.step(2).end()
    final = second.wait("root.published", 60, final=True)
    assert (final["session"], final["seq"] > last["seq"]) == (last["session"], True)
    expected = writer.files(endlist=True)
    if window:
        expected |= {f"{name}/index.m3u8": recording(writer) for name in PAIR}
    assert final["root"] == root_of(expected)
    second.wait("head.moved", root=final["root"])
    until(lambda: site.spooled() == [], "this machine's own store has it all")
    url = address(scene.gateway("one"))
    until(lambda: head(url) == final["root"], "the gateway shows it")
    for root in (last["root"], final["root"]):
        assert all_there(scene, root, url)
    assert json.loads(site.hlspub("verify", final["root"], "--json").stdout)["missing"] == 0
    assert site.hlspub("gc").returncode == ExitCode.OK
    assert second.troubles() == []
    assert second.stop() == 0
    assert site.journal_faults() == []

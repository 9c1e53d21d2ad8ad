"""A live stream of a real ffmpeg into a real w3up service; the service's own libraries read it back."""

import base64
import signal
from collections.abc import Iterator

import pytest

from hlspub.ucan.principal import Signer
from tests.support.daemon import Daemon, until
from tests.support.site import Site
from tests.support.space import into, rebuilt, secret_file
from tests.support.transcoder import PICTURES, Ffmpeg
from tests.targets.w3up_service import Service, serving

pytestmark = [pytest.mark.ffmpeg, pytest.mark.w3up]


LONG_S = 120.0  # for what waits for a whole stream's uploads
ENDLESS_S = 600.0  # of a stream that is ended when it has served


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as made:
        yield made


def record(site: Site, daemon: Daemon, seconds: float) -> str:
    """A whole stream; its final root."""
    daemon.ready()
    with Ffmpeg(site.hls, seconds, PICTURES, segment_s=2) as ffmpeg:
        ffmpeg.finish()
    return str(daemon.wait("root.published", final=True, timeout_s=LONG_S)["root"])


def test_a_live_stream_is_in_the_list_and_can_be_rebuilt(site: Site, service: Service) -> None:
    space = service.space()
    site.configure(publish_interval="2s")
    into(site, service, space, shard_age="1h")  # but nothing waits longer than a root is due
    daemon = site.daemon()
    daemon.ready()
    with Ffmpeg(site.hls, ENDLESS_S, PICTURES, segment_s=2) as ffmpeg:
        daemon.wait("root.published", LONG_S, count=2, final=False)
        ffmpeg.stop()
    root = str(daemon.wait("root.published", LONG_S, final=True)["root"])
    said = rebuilt(service, space, root, site)
    assert said["wrong"] == []
    files = [path for path in site.hls.rglob("*") if path.is_file()]
    assert said["files"] == len(files) > 3 * 2
    assert said["shards"] == said["indexed"]
    assert len(service.uploads(space["did"])) == 1  # the roots before it are out of the list
    secrets = (service.ready["agent"]["key_multibase"][4:40], space["proof"]["cid_string"][20:60])
    log = (site.root / "life-1.log").read_text()
    assert not any(secret in log for secret in secrets)
    assert daemon.stop() == 0
    assert daemon.troubles() == []


def test_a_kill_at_any_moment_loses_nothing(site: Site, service: Service) -> None:
    space = service.space()
    site.configure(publish_interval="500ms")
    into(site, service, space, shard_age="300ms")
    daemon = site.daemon()
    daemon.ready()
    with Ffmpeg(site.hls, ENDLESS_S, PICTURES, segment_s=1) as ffmpeg:
        for count in (1, 2, 1):
            daemon.wait("root.published", LONG_S, count=count)
            service.fault(at="put", delay_ms=400)
            until(lambda: any(fault["hits"] for fault in service.faults()), "a PUT is under way")
            daemon.kill()
            service.calm()
            daemon = site.daemon()
            daemon.ready()
        ffmpeg.stop()
    root = str(daemon.wait("root.published", LONG_S, final=True)["root"])
    said = rebuilt(service, space, root, site)
    assert said["wrong"] == []
    assert said["shards"] == said["indexed"]
    assert daemon.stop() == 0


def test_a_proof_that_was_revoked_is_replaced_and_a_reload_brings_the_rest(site: Site, service: Service) -> None:
    space = service.space()
    site.configure()
    into(site, service, space, shard_age="300ms")
    daemon = site.daemon()
    daemon.ready()
    with Ffmpeg(site.hls, ENDLESS_S, segment_s=1) as ffmpeg:
        daemon.wait("root.published", LONG_S)
        service.ask("revoke", {"space_key": space["key_multibase"], "cid": space["proof"]["cid"]})
        told = until(lambda: daemon.of("target.refused", "target.degraded"), "it is said")
        assert "revoked" in told[0]["hint"]
        ffmpeg.stop()
    secret_file(site, "space", "proof", "nonsense!")
    daemon.send(signal.SIGHUP)
    assert "neither a CID nor base64" in daemon.wait("config.refused")["reason"]
    assert daemon.of("root.published", final=True) == []
    other = service.space(key=space["key_multibase"], provision=False, name="another")
    secret_file(site, "space", "proof", other["proof"]["cid_string"])
    daemon.send(signal.SIGHUP)
    root = str(daemon.wait("root.published", LONG_S, final=True)["root"])
    assert rebuilt(service, space, root, site)["wrong"] == []
    assert daemon.stop() == 0


def test_tenants_do_not_see_or_slow_one_another(site: Site, service: Service) -> None:
    """Two streams, each into a space of its own; the one's is full."""
    full, roomy = service.space(provision=False), service.space()
    site.configure({"main": {"targets": ["roomy"]}, "other": {"targets": ["full"]}})
    with site.config.open("a", encoding="utf-8") as file:
        file.write('[limits]\ndrain_timeout = "1s"\n')  # what waits for the full one stays queued
    into(site, service, full, "full")
    into(site, service, roomy, "roomy", shard_age="1s")
    daemon = site.daemon()
    daemon.ready()
    with Ffmpeg(site.root / "other", 6, segment_s=1):
        root = record(site, daemon, 6)
        said = daemon.wait("target.degraded", target="full")
    assert rebuilt(service, roomy, root, site)["wrong"] == []
    assert "InsufficientStorage" in said["reason"]
    assert "quota" in said["hint"]
    assert daemon.of("root.published", stream="other") == []
    assert daemon.of("target.degraded", target="roomy") == []
    assert service.registry(full["did"]) == set()
    assert daemon.stop() == 0


def test_tenants_with_services_and_keys_of_their_own_do_not_wait_for_one_another(site: Site, service: Service) -> None:
    """Two streams; the other one's service takes a minute to answer anything."""
    agent = Signer.from_seed(bytes(32))
    with serving() as slow:
        slow.fault(at="ucan", delay_ms=60_000, count=1_000_000)
        quick, late = service.space(), slow.space(audience=agent.did)
        site.configure({"main": {"targets": ["quick"]}, "other": {"targets": ["late"]}})
        with site.config.open("a", encoding="utf-8") as file:
            file.write('[limits]\ndrain_timeout = "1s"\ndelivery_concurrency = 1\n')
        into(site, service, quick, "quick", shard_age="300ms")
        into(site, slow, late, "late", shard_age="300ms", key=base64.b64encode(agent.archive()).decode())
        daemon = site.daemon()
        daemon.ready()
        with Ffmpeg(site.root / "other", 4, segment_s=1):
            until(slow.log, "it is asked")
            root = record(site, daemon, 6)
        assert rebuilt(service, quick, root, site)["wrong"] == []
        assert daemon.of("root.published", stream="other") == []
        assert daemon.stop() == 0

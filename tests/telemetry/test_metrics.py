import re
import time

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hlspub.model import FileKind
from hlspub.telemetry.clock import SystemClock
from hlspub.telemetry.metrics import Metrics


def series(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return series(metrics)[name, frozenset(labels.items())]


def test_a_stream_and_a_target_start_at_zero_in_every_series() -> None:
    metrics = Metrics("1.2.3")
    metrics.add_stream("main")
    metrics.add_target("local")
    for kind in FileKind:
        assert value(metrics, "hlspub_files_total", stream="main", kind=kind.value) == 0
    for result in ("taken", "lost", "refused"):
        assert value(metrics, "hlspub_segments_total", stream="main", result=result) == 0
    for result in ("announced", "failed"):
        assert value(metrics, "hlspub_publications_total", stream="main", result=result) == 0
    for result in ("ok", "retry", "refused"):
        assert value(metrics, "hlspub_target_requests_total", target="local", op="put", result=result) == 0
    assert value(metrics, "hlspub_target_oldest_pending_seconds", target="local") == 0
    assert value(metrics, "hlspub_publish_latency_seconds_count", stream="main") == 0


def test_each_call_moves_its_series() -> None:
    metrics = Metrics("1.2.3")
    metrics.file_taken("main", FileKind.MEDIA, 1000, 0.02)
    metrics.file_taken("main", FileKind.PLAYLIST, 24, 0.001)
    metrics.segment_lost("main")
    metrics.segment_refused("main")
    metrics.target_request("local", "put", "ok", 0.3)
    metrics.set_backlog("local", cars=2, size_bytes=77, oldest_s=4.5)
    metrics.root_published("main", at=1_800_000_000.0, latency_s=1.5)
    metrics.publication_failed("main")
    metrics.spool_is(lambda: 5)
    metrics.watch_overflowed()
    metrics.watch_rescanned()
    metrics.watch_restarted()
    metrics.gateway_responded(206, "ipfs")
    metrics.set_loop_lag(0.01)
    assert value(metrics, "hlspub_ingest_bytes_total", stream="main") == 1024
    assert value(metrics, "hlspub_files_total", stream="main", kind="playlist") == 1
    assert value(metrics, "hlspub_segments_total", stream="main", result="taken") == 1
    assert value(metrics, "hlspub_segments_total", stream="main", result="lost") == 1
    assert value(metrics, "hlspub_segments_total", stream="main", result="refused") == 1
    assert value(metrics, "hlspub_pack_duration_seconds_count") == 2
    assert value(metrics, "hlspub_target_requests_total", target="local", op="put", result="ok") == 1
    assert value(metrics, "hlspub_target_request_duration_seconds_sum", target="local", op="put") == 0.3
    assert value(metrics, "hlspub_target_backlog_cars", target="local") == 2
    assert value(metrics, "hlspub_target_backlog_bytes", target="local") == 77
    assert value(metrics, "hlspub_target_oldest_pending_seconds", target="local") == 4.5
    assert value(metrics, "hlspub_last_publication_timestamp_seconds", stream="main") == 1_800_000_000.0
    assert value(metrics, "hlspub_publish_latency_seconds_bucket", stream="main", le="2.0") == 1
    assert value(metrics, "hlspub_publish_latency_seconds_bucket", stream="main", le="1.0") == 0
    assert value(metrics, "hlspub_publications_total", stream="main", result="failed") == 1
    assert value(metrics, "hlspub_spool_bytes") == 5
    assert value(metrics, "hlspub_watch_overflows_total") == 1
    assert value(metrics, "hlspub_watch_rescans_total") == 1
    assert value(metrics, "hlspub_watch_observer_restarts_total") == 1
    assert value(metrics, "hlspub_gateway_responses_total", code="206", format="ipfs") == 1
    assert value(metrics, "hlspub_loop_lag_seconds") == 0.01


def test_two_instances_share_nothing() -> None:
    one, other = Metrics("1"), Metrics("2")
    one.spool_is(lambda: 9)
    assert value(other, "hlspub_spool_bytes") == 0


def test_names_follow_the_rules() -> None:
    metrics = Metrics("1.2.3")
    metrics.add_stream("main")
    metrics.add_target("local")
    names = {name for name, _ in series(metrics)}
    assert not [name for name in names if name.endswith("_created")]
    assert not [name for name in names if not re.match(r"(hlspub|process)_", name)]
    text = metrics.render().decode()
    for name in re.findall(r"# TYPE (\S+) counter", text):
        assert name.endswith("_total")


@given(st.text(min_size=1))
def test_any_stream_name_survives_as_a_label(name: str) -> None:
    metrics = Metrics("1.2.3")
    metrics.root_published(name, at=1.0, latency_s=0.1)
    assert "hlspub_publications_total" in metrics.render().decode()


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000
    before = time.monotonic()
    assert before <= clock.monotonic() <= time.monotonic()

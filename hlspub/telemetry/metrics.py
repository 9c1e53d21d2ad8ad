"""Metrics: what Prometheus may ask, on a registry of our own.

Rule: names start with `hlspub_`, units are base units and stand in the name, counters end in `_total`, "last" is a
timestamp and not an age. A label is a stream, a target or a word from a fixed list, never a CID, a path or a URL, so
the number of series is bounded by the configuration. `add_stream` and `add_target` create every series of a stream or
target at zero: an alert on a rate needs the zero before the first event.

Callers say what happened; which series that moves is decided here.

Source: prometheus.io/docs/practices/naming and …/instrumentation.
"""

import platform
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hlspub.model import FileKind

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Around the length of a media segment: what is slower than one is late.
LATENCY_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 6, 10, 20, 30, 60)
PACK_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

SEGMENT_RESULTS: Final = ("taken", "lost", "refused")
PUBLICATION_RESULTS: Final = ("announced", "failed")
HOOK_RESULTS: Final = ("ok", "failed")
TARGET_OPS: Final = ("put", "bind")
TARGET_RESULTS: Final = ("ok", "retry", "refused")
TARGET_STATES: Final = ("ok", "catching_up", "degraded")


class Metrics:
    """The process's counters. Every method is cheap and may be called from any thread."""

    def __init__(self, version: str) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        build = Gauge(
            "hlspub_build_info", "Always 1; the labels say what runs.", ["version", "python"], registry=registry
        )
        build.labels(version, platform.python_version()).set(1)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = LATENCY_BUCKETS) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=buckets)

        self._files = counter("hlspub_files_total", "Files taken, by kind.", "stream", "kind")
        self._segments = counter("hlspub_segments_total", "Media files, by what became of them.", "stream", "result")
        self._ingest = counter("hlspub_ingest_bytes_total", "Bytes of the files taken.", "stream")
        self._pack = histogram(
            "hlspub_pack_duration_seconds", "Reading, hashing and spooling one file.", buckets=PACK_BUCKETS
        )
        self._requests = counter(
            "hlspub_target_requests_total", "Requests to a target, by what came back.", "target", "op", "result"
        )
        self._request_time = histogram(
            "hlspub_target_request_duration_seconds", "One request to a target.", "target", "op"
        )
        self._backlog_bytes = gauge("hlspub_target_backlog_bytes", "Bytes a target has not confirmed.", "target")
        self._backlog_cars = gauge("hlspub_target_backlog_cars", "CARs a target has not confirmed.", "target")
        self._oldest = gauge(
            "hlspub_target_oldest_pending_seconds", "Age of the oldest CAR a target has not confirmed.", "target"
        )
        self._states = gauge(
            "hlspub_target_state", "1 for the state that a target is in, 0 for others.", "target", "state"
        )
        self._latency = histogram(
            "hlspub_publish_latency_seconds", "From the newest file of a root to its announcement.", "stream"
        )
        self._publications = counter("hlspub_publications_total", "Roots, by what became of them.", "stream", "result")
        self._last_publication = gauge(
            "hlspub_last_publication_timestamp_seconds", "Unix time of the newest announced root.", "stream"
        )
        self._spool = gauge("hlspub_spool_bytes", "Bytes in the spool.")
        self._overflows = counter("hlspub_watch_overflows_total", "Event queue overflows; a rescan follows each.")
        self._rescans = counter("hlspub_watch_rescans_total", "Directory rescans.")
        self._restarts = counter("hlspub_watch_observer_restarts_total", "Watcher threads that had to be replaced.")
        self._responses = counter("hlspub_gateway_responses_total", "Responses of the gateway.", "code", "format")
        self._name_sent = gauge(
            "hlspub_name_last_sent_timestamp_seconds",
            "Unix time when a router last took a name's record.",
            "name",
            "router",
        )
        self._name_failures = counter(
            "hlspub_name_failures_total", "Records of names that a router did not take.", "name", "router"
        )
        self._hook_pending = gauge("hlspub_hook_pending", "Publications that a hook has not taken.", "hook")
        self._hook_oldest = gauge(
            "hlspub_hook_oldest_pending_seconds", "Age of the oldest publication a hook has not taken.", "hook"
        )
        self._hook_tries = counter(
            "hlspub_hook_tries_total", "Messages to a hook, by whether it took them.", "hook", "result"
        )
        self._hook_skipped = counter(
            "hlspub_hook_skipped_total", "Publications that a hook will never be told of.", "hook"
        )
        self._hook_told = gauge(
            "hlspub_hook_last_told_timestamp_seconds", "Unix time when a hook last took a publication.", "hook"
        )
        self._lag = gauge("hlspub_loop_lag_seconds", "How late the event loop woke up, at the last look.")

    def add_stream(self, stream: str) -> None:
        """A stream is known from now on."""
        for kind in FileKind:
            self._files.labels(stream, kind.value)
        for result in SEGMENT_RESULTS:
            self._segments.labels(stream, result)
        for result in PUBLICATION_RESULTS:
            self._publications.labels(stream, result)
        self._ingest.labels(stream)
        self._latency.labels(stream)
        self._last_publication.labels(stream)

    def add_target(self, target: str) -> None:
        """A target is known from now on."""
        for op in TARGET_OPS:
            self._request_time.labels(target, op)
            for result in TARGET_RESULTS:
                self._requests.labels(target, op, result)
        self.set_backlog(target, cars=0, size_bytes=0, oldest_s=0)
        self.set_target_state(target, TARGET_STATES[0])

    def file_taken(self, stream: str, kind: FileKind, size_bytes: int, took_s: float) -> None:
        """A file lies in the spool and in the journal."""
        self._files.labels(stream, kind.value).inc()
        self._ingest.labels(stream).inc(size_bytes)
        self._pack.observe(took_s)
        if kind is FileKind.MEDIA:
            self._segments.labels(stream, "taken").inc()

    def segment_lost(self, stream: str) -> None:
        """A listed media file will not come any more."""
        self._segments.labels(stream, "lost").inc()

    def segment_refused(self, stream: str) -> None:
        """A media file could not be read, or is not what it claims."""
        self._segments.labels(stream, "refused").inc()

    def target_request(self, target: str, op: str, result: str, took_s: float) -> None:
        """One request to a target is over; `op` of `TARGET_OPS`, `result` of `TARGET_RESULTS`."""
        self._requests.labels(target, op, result).inc()
        self._request_time.labels(target, op).observe(took_s)

    def set_backlog(self, target: str, *, cars: int, size_bytes: int, oldest_s: float) -> None:
        """What a target has yet to confirm; `oldest_s` 0 when that is nothing."""
        self._backlog_cars.labels(target).set(cars)
        self._backlog_bytes.labels(target).set(size_bytes)
        self._oldest.labels(target).set(oldest_s)

    def set_target_state(self, target: str, state: str) -> None:
        """How a target does, a word of `TARGET_STATES`."""
        for other in TARGET_STATES:
            self._states.labels(target, other).set(other == state)

    def root_published(self, stream: str, *, at: float, latency_s: float) -> None:
        """A root was announced at Unix time `at`."""
        self._publications.labels(stream, "announced").inc()
        self._last_publication.labels(stream).set(at)
        self._latency.labels(stream).observe(latency_s)

    def publication_failed(self, stream: str) -> None:
        """A root could not be announced this time; it is tried again."""
        self._publications.labels(stream, "failed").inc()

    def spool_is(self, size_bytes: Callable[[], float]) -> None:
        """Where to ask what the spool holds."""
        self._spool.set_function(size_bytes)

    def watch_overflowed(self) -> None:
        """The kernel dropped file events."""
        self._overflows.inc()

    def watch_rescanned(self) -> None:
        """A directory was walked."""
        self._rescans.inc()

    def watch_restarted(self) -> None:
        """A dead watcher thread was replaced."""
        self._restarts.inc()

    def gateway_responded(self, code: int, form: str) -> None:
        """The gateway answered with this status; `form` is a word of the gateway's route table."""
        self._responses.labels(str(code), form).inc()

    def add_name(self, name: str, router: str) -> None:
        """A name is sent to a router from now on."""
        self._name_failures.labels(name, router)

    def name_sent(self, name: str, router: str, *, at: float) -> None:
        """A router took a name's newest record at Unix time `at`."""
        self._name_sent.labels(name, router).set(at)

    def name_failed(self, name: str, router: str) -> None:
        """A router did not take a name's record; it is tried again."""
        self._name_failures.labels(name, router).inc()

    def add_hook(self, hook: str) -> None:
        """A hook is told from now on."""
        for result in HOOK_RESULTS:
            self._hook_tries.labels(hook, result)
        self._hook_skipped.labels(hook)

    def hook_told(self, hook: str, *, at: float) -> None:
        """A hook took a publication at Unix time `at`."""
        self._hook_tries.labels(hook, "ok").inc()
        self._hook_told.labels(hook).set(at)

    def hook_failed(self, hook: str) -> None:
        """A hook did not take a publication."""
        self._hook_tries.labels(hook, "failed").inc()

    def hook_skipped(self, hook: str, count: int) -> None:
        """So many publications will never be told."""
        self._hook_skipped.labels(hook).inc(count)

    def set_hook_backlog(self, hook: str, *, pending: int, oldest_s: float) -> None:
        """What a hook has yet to take; `oldest_s` 0 when that is nothing."""
        self._hook_pending.labels(hook).set(pending)
        self._hook_oldest.labels(hook).set(oldest_s)

    def set_loop_lag(self, seconds: float) -> None:
        """How late a timer of the event loop fired."""
        self._lag.set(seconds)

    def render(self) -> bytes:
        """Everything, in Prometheus's text format (`CONTENT_TYPE`)."""
        return generate_latest(_Lean(self._registry))


class _Lean(Collector):
    """A registry without the `_created` series: they double the answer and nobody asks for them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric

"""Owns the metrics that Prometheus reads: one registry per application. They never contain text, audio or secrets.

What changes with every burst of audio is counted in plain integers and read at a scrape; the rest are
prometheus-client's own counters and histograms. Queue lengths and the like are not kept twice: `read` registers a
function that reads them from their module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

FIRST_AUDIO_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
WORK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LAG_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

MetricKind = Literal["gauge", "counter"]


class Watched(Collector):
    """One metric that is read when scraped. `read` gives a value for each tuple of label values."""

    def __init__(
        self,
        kind: MetricKind,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._kind = kind
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """The metric without samples: the registry learns its name without calling `read`."""
        yield self._family()

    def collect(self) -> Iterable[Metric]:
        """The metric as it is now."""
        family = self._family()
        for labels, value in self._read().items():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily | CounterMetricFamily:
        family = GaugeMetricFamily if self._kind == "gauge" else CounterMetricFamily
        return family(self._name, self._meaning, labels=self._labels)


class BuildInfo(Collector):
    """Which version runs."""

    def __init__(self, version: str) -> None:
        self._version = version

    def collect(self) -> Iterable[Metric]:
        """`voxwire_build_info{version="…"} 1`."""
        yield InfoMetricFamily("voxwire_build", "What is running.", {"version": self._version})


class Metrics:
    """Counts events and renders the counts. Only `clause_spoken`, `loop_held` and `loop_freed` may be called from other
    threads than the event loop's."""

    def __init__(self, version: str = "") -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(BuildInfo(version))
        ProcessCollector(registry=self.registry)
        self._contexts = 0
        self._frames = 0
        self._bytes = 0
        self._underruns = 0
        self._underrun_seconds = 0.0
        self._holds = 0
        self._hold_seconds = 0.0
        self.read("voxwire_contexts", "Contexts that are open.", lambda: self._contexts)
        self.read("voxwire_audio_frames", "Audio frames sent.", lambda: self._frames, "counter")
        self.read("voxwire_sent_bytes", "Bytes given to sockets.", lambda: self._bytes, "counter")
        self.read(
            "voxwire_underruns", "Times that a stream ran out of audio at playout.", lambda: self._underruns, "counter"
        )
        self._sessions_failed = 0
        self.read(
            "voxwire_sessions_failed",
            "Sessions ended by an error of the server's own.",
            lambda: self._sessions_failed,
            "counter",
        )
        self.read(
            "voxwire_underrun_seconds", "How long playout waited for audio.", lambda: self._underrun_seconds, "counter"
        )
        self.read("voxwire_loop_holds", "Times that the event loop was held.", lambda: self._holds, "counter")
        self.read("voxwire_loop_hold_seconds", "How long it was held.", lambda: self._hold_seconds, "counter")
        self._errors = Counter("voxwire_errors", "Errors sent to clients.", ["code"], registry=self.registry)
        self._resumes = Counter(
            "voxwire_resumes", "Attempts to resume a session, by result.", ["result"], registry=self.registry
        )
        self._refusals = Counter(
            "voxwire_refusals", "Requests and connections turned away.", ["code"], registry=self.registry
        )
        self._sessions_refused = Counter(
            "voxwire_session_refusals",
            "Sessions that were refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._sessions_displaced = Counter(
            "voxwire_sessions_displaced", "Sessions that gave their place to others.", ["use"], registry=self.registry
        )
        self._first_audio = self._histogram(
            "voxwire_ttfa_seconds", "First speakable text to first audio frame.", FIRST_AUDIO_SECONDS, "engine"
        )
        self._queued = self._histogram(
            "voxwire_clause_queue_seconds", "A clause's wait for its first step.", WORK_SECONDS, "engine"
        )
        self._synthesis = self._histogram(
            "voxwire_clause_synthesis_seconds", "A clause's time inside its engine.", WORK_SECONDS, "engine"
        )
        self._lag = self._histogram("voxwire_loop_lag_seconds", "How late the event loop runs a timer.", LAG_SECONDS)

    # -- called by sessions ---------------------------------------------------------------------------------------

    def contexts_changed(self, change: int) -> None:
        """Contexts were opened or closed."""
        self._contexts += change

    def first_audio(self, engine: str, ttfa_seconds: float) -> None:
        """An utterance's first audio frame was sent."""
        self._first_audio.labels(engine).observe(ttfa_seconds)

    def underrun_began(self) -> None:
        """A stream ran out of audio at playout."""
        self._underruns += 1

    def underrun_ended(self, seconds: float) -> None:
        """A stream that had run out of audio plays again after `seconds`."""
        self._underrun_seconds += seconds

    def frames_sent(self, frames: int) -> None:
        """Audio frames were handed to the transport."""
        self._frames += frames

    def bytes_sent(self, count: int) -> None:
        """Bytes were handed to a socket."""
        self._bytes += count

    def error_sent(self, code: str) -> None:
        """An error was sent to a client; `code` is one of the error tree's."""
        self._errors.labels(code).inc()

    def session_failed(self) -> None:
        """A session was ended by an error of the server's own."""
        self._sessions_failed += 1

    def refused(self, code: str) -> None:
        """A request or a connection was turned away; `code` is one of the error tree's."""
        self._refusals.labels(code).inc()

    def session_refused(self, reason: str) -> None:
        """A session was refused: "sessions" (all are open), "share" (its principal has its share), or "rate"."""
        self._sessions_refused.labels(reason).inc()

    def session_displaced(self, use: str) -> None:
        """A session gave its place to another: it was "silent", "away" or "idle"."""
        self._sessions_displaced.labels(use).inc()

    def resumed(self, result: str) -> None:
        """A client tried to resume its session: "resumed", or the reason why it could not."""
        self._resumes.labels(result).inc()

    # -- called by engines and the event loop ---------------------------------------------------------------------

    def clause_spoken(self, engine: str, queue_seconds: float, synth_seconds: float) -> None:
        """A clause is finished. Thread-safe."""
        self._queued.labels(engine).observe(queue_seconds)
        self._synthesis.labels(engine).observe(synth_seconds)

    def loop_late(self, seconds: float) -> None:
        """The event loop ran a timer `seconds` too late."""
        self._lag.observe(seconds)

    # -- called by the watchdog on its own thread -----------------------------------------------------------------

    def loop_held(self) -> None:
        """A callback holds the event loop for longer than is allowed."""
        self._holds += 1

    def loop_freed(self, seconds: float) -> None:
        """The event loop runs again, after `seconds`."""
        self._hold_seconds += seconds

    # -- values read at a scrape ----------------------------------------------------------------------------------

    def read(self, name: str, meaning: str, read: Callable[[], float], kind: MetricKind = "gauge") -> None:
        """Read one value at every scrape. A counter's name gets `_total`."""
        self.read_table(name, meaning, (), lambda: {(): read()}, kind)

    def watch(self, collector: Collector) -> None:
        """Read all that a collector has at every scrape. Its `describe` must give the names without reading."""
        self.registry.register(collector)

    def read_table(
        self,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        read: Callable[[], Mapping[tuple[str, ...], float]],
        kind: MetricKind = "gauge",
    ) -> None:
        """Read a value for each tuple of label values at every scrape."""
        self.registry.register(Watched(kind, name, meaning, labels, read))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the format that an Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)

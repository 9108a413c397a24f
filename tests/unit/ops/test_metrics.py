"""What Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voxwire_server.ops.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_two_applications_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.frames_sent(10)
    assert samples(first)["voxwire_audio_frames_total"] == 10
    assert samples(second)["voxwire_audio_frames_total"] == 0


def test_events_of_sessions_are_counted() -> None:
    metrics = Metrics("1.2.3")
    metrics.contexts_changed(+1)
    metrics.contexts_changed(+1)
    metrics.contexts_changed(-1)
    metrics.frames_sent(50)
    metrics.bytes_sent(4000)
    metrics.underrun_began()
    metrics.underrun_began()
    metrics.underrun_ended(0.5)
    metrics.first_audio("hibari", 0.012)
    metrics.error_sent("client.unknown_voice")
    metrics.refused("client.not_authenticated")
    found = samples(metrics)
    assert found["voxwire_contexts"] == 1
    assert found["voxwire_audio_frames_total"] == 50
    assert found["voxwire_sent_bytes_total"] == 4000
    assert found["voxwire_underruns_total"] == 2
    assert found["voxwire_underrun_seconds_total"] == pytest.approx(0.5)
    assert found["voxwire_ttfa_seconds_count engine=hibari"] == 1
    assert found["voxwire_ttfa_seconds_bucket engine=hibari le=0.02"] == 1
    assert found["voxwire_ttfa_seconds_bucket engine=hibari le=0.01"] == 0
    assert found["voxwire_errors_total code=client.unknown_voice"] == 1
    assert found["voxwire_refusals_total code=client.not_authenticated"] == 1
    assert found["voxwire_build_info version=1.2.3"] == 1


def test_events_of_engines_are_counted_by_engine() -> None:
    metrics = Metrics()
    metrics.clause_spoken("hibari", 0.001, 0.03)
    found = samples(metrics)
    assert found["voxwire_clause_queue_seconds_count engine=hibari"] == 1
    assert found["voxwire_clause_synthesis_seconds_sum engine=hibari"] == pytest.approx(0.03)


def test_registered_values_are_read_at_each_scrape_and_not_before() -> None:
    metrics, reads = Metrics(), []

    def length() -> float:
        reads.append(1)
        return len(reads)

    metrics.read("voxwire_queue", "Waiting.", length)
    assert reads == []
    assert samples(metrics)["voxwire_queue"] == 1
    assert samples(metrics)["voxwire_queue"] == 2


def test_a_table_has_a_sample_for_each_row() -> None:
    metrics = Metrics()
    table: dict[tuple[str, ...], float] = {("hibari", "prepare"): 1.0, ("hibari", "speak"): 2.0}
    metrics.read_table("voxwire_busy_seconds", "Busy.", ("engine", "stage"), lambda: table, "counter")
    found = samples(metrics)
    assert found["voxwire_busy_seconds_total engine=hibari stage=prepare"] == 1
    assert found["voxwire_busy_seconds_total engine=hibari stage=speak"] == 2


def test_openmetrics_is_served_on_request() -> None:
    body, content_type = Metrics().render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_the_lag_of_the_loop_is_measured_up_to_half_a_minute() -> None:
    metrics = Metrics()
    for late in (0.0, 0.08, 8.0, 20.0):
        metrics.loop_late(late)
    found = samples(metrics)
    assert found["voxwire_loop_lag_seconds_bucket le=0.1"] == 2
    assert found["voxwire_loop_lag_seconds_bucket le=10.0"] == 3
    assert found["voxwire_loop_lag_seconds_bucket le=30.0"] == 4


def test_a_held_loop_is_counted_when_it_is_noticed_and_measured_when_it_is_over() -> None:
    metrics = Metrics()
    metrics.loop_held()
    assert samples(metrics)["voxwire_loop_holds_total"] == 1
    assert samples(metrics)["voxwire_loop_hold_seconds_total"] == 0
    metrics.loop_freed(8.5)
    assert samples(metrics)["voxwire_loop_hold_seconds_total"] == 8.5

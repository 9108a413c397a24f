"""What metrics read of the scheduler: padding, batches, and how wrong the learned costs are."""

import pytest

from support.simulation import model_info
from support.works import prepare_all, scheduler, work
from voxwire_server.engines.base import StageInfo
from voxwire_server.engines.work import Row, Verdict
from voxwire_server.ops.metrics import Metrics
from voxwire_server.ops.watch import watch_scheduler

STAGE = {"engine": "model", "stage": "speak"}


def test_batches_padding_and_prediction_errors_are_read_from_the_scheduler():
    info = model_info("model", StageInfo("speak", 8), lane="device", realtime_factor=0.015)
    sched = scheduler(info)
    metrics = Metrics()
    watch_scheduler(metrics, lambda: sched.stats(0.0))
    for owner, chars in (("a", 30), ("b", 10)):
        sched.submit(work(owner, text="x" * chars), 0.0)
    prepare_all(sched)
    batch = sched.pick("device:model", 0.0)
    assert batch.predicted_seconds == pytest.approx(0.04)
    sched.complete(batch, [Row(each, Verdict.FINISHED, each.job) for each in batch.works], 0.05, 0.05)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, STAGE)

    assert value("voxwire_stage_steps_total") == 1
    assert value("voxwire_stage_rows_total") == 2
    assert value("voxwire_stage_units_total") == 40
    assert value("voxwire_stage_padded_units_total") == 60
    assert value("voxwire_stage_busy_seconds_total") == pytest.approx(0.05)
    assert value("voxwire_stage_prediction_error") == pytest.approx(0.2)
    assert value("voxwire_stage_prediction_bias") == pytest.approx(0.2)

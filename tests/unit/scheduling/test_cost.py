import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.scheduling.cost import RealtimeCost, StageCost, StageUse

SECONDS = st.floats(1e-6, 10.0)


def test_a_fixed_cost_and_a_cost_per_unit_are_distinguished():
    cost, source = StageCost(1e-3), random.Random(1)
    for _ in range(300):
        units = source.uniform(10, 200)
        cost.learn(units, (0.01 + 2e-4 * units) * source.uniform(0.9, 1.1))
    assert cost.predict(100) == pytest.approx(0.03, rel=0.05)
    assert cost.fixed == pytest.approx(0.01, rel=0.3)
    assert cost.error < 0.1


def test_before_anything_was_learned_the_guess_holds():
    assert StageCost(1e-3).predict(50) == pytest.approx(0.05)


def test_one_lost_time_slice_hardly_moves_the_prediction():
    cost = StageCost(1e-3)
    for _ in range(100):
        cost.learn(100, 0.05)
    cost.learn(100, 5.0)
    assert cost.predict(100) < 0.055


def test_a_machine_that_stays_slow_is_learned():
    cost = StageCost(1e-3)
    for _ in range(200):
        cost.learn(100, 0.01)
    for _ in range(300):
        cost.learn(100, 0.1)
    assert cost.predict(100) == pytest.approx(0.1, rel=0.1)
    assert cost.bias < 0.5


@given(st.lists(st.tuples(st.floats(0, 1000), SECONDS), max_size=60), st.floats(0, 1000))
def test_predictions_are_never_negative_and_grow_with_the_units(steps, units):
    cost = StageCost(1e-3)
    for step in steps:
        cost.learn(*step)
    assert 0.0 <= cost.predict(units) <= cost.predict(units + 1.0)


def test_the_realtime_factor_moves_from_the_guess_to_what_was_measured():
    use = StageUse()
    realtime = RealtimeCost(0.5, {"speak": use})
    assert realtime.realtime_factor == pytest.approx(0.5)
    for second in range(100):
        use.add(1, 15.0, 0.01)
        realtime.produced(1.0, float(second))
    assert realtime.realtime_factor == pytest.approx(0.03, rel=0.2)
    assert realtime.prior < 0.02


def test_steps_without_audio_count_as_cost():
    use = StageUse()
    realtime = RealtimeCost(0.0, {"speak": use})
    for second in range(1000):
        use.add(1, 15.0, 0.01)
        use.add(1, 15.0, 0.01)
        realtime.produced(1.0, float(second))
    assert realtime.realtime_factor == pytest.approx(0.02, rel=0.05)


def test_a_stage_that_batches_costs_less_per_stream_in_larger_batches():
    use, cost = StageUse(), StageCost(1e-4)
    realtime = RealtimeCost(0.0, {"generate": use})
    for step in range(200):
        units = 50.0 + step % 50
        seconds = 0.01 + 1e-4 * units
        use.add(1, units, seconds)
        cost.learn(units, seconds)
        realtime.produced(1.0, step / 10)
    alone = realtime.stage_factor("generate", cost, 1.0)
    shared = realtime.stage_factor("generate", cost, 10.0)
    assert alone == pytest.approx(0.0175, rel=0.1)
    assert shared == pytest.approx(0.0125, rel=0.1)  # two rows: five of the ten milliseconds each

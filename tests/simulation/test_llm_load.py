"""A thousand sessions that speak answers of language models, with a modelled GPU."""

import pytest

from support.gpu_model import Gpu
from support.llm_load_sim import ConversationLoad
from voxwire_server.scheduling.policy import Order, Policy

LAUNCHES = {"encode": 0.0025, "front": 0.0025, "generate": 0.005}
FAST = Gpu(LAUNCHES, audio_factor=1 / 4500)
SINCE, SECONDS = 4.0, 4.0


def simulate(**policy) -> ConversationLoad:
    load = ConversationLoad(FAST, Policy(**policy), 1000, arriving=8.0, since=SINCE)
    load.run(SINCE + SECONDS)
    return load


@pytest.fixture(scope="module")
def by_deadline():
    return simulate()


def wait_at(load: ConversationLoad, share: float) -> float:
    waits = sorted(load.counter.clause_waits)
    return waits[int(share * len(waits))]


def test_no_stream_underruns_while_a_thousand_sessions_start(by_deadline):
    heard = by_deadline.counter
    assert heard.contexts > 700
    assert heard.minutes > 30
    assert heard.underruns == []
    use = sum(step.seconds for step in by_deadline.counted_steps()) / SECONDS
    assert use > 0.7, "the device is busy"


def test_first_clauses_are_sooner_than_in_the_order_of_arrival(by_deadline):
    by_arrival = simulate(order=Order.ARRIVAL)
    assert wait_at(by_deadline, 0.5) < 0.6 * wait_at(by_arrival, 0.5)
    assert wait_at(by_deadline, 0.95) < 0.85 * wait_at(by_arrival, 0.95)


def test_steps_are_shared_and_their_cost_is_known(by_deadline):
    generate = by_deadline.counted_steps("generate")
    assert sum(step.rows for step in generate) > 2 * len(generate)
    stages = [each for each in by_deadline.scheduler.stats(by_deadline.now).stages if each.stage != "prepare"]
    assert all(each.prediction_error < 0.1 for each in stages)
    for each in stages:
        padding = 1 - each.units / each.padded_units
        assert padding < (0.35 if each.stage == "generate" else 0.6), "short steps may be padded, long ones are not"


def test_every_clause_is_spoken_or_cancelled(by_deadline):
    stats = by_deadline.scheduler.stats(by_deadline.now)
    assert stats.failed == 0
    assert stats.cancelled > 0, "some answers were interrupted"
    assert stats.submitted == stats.completed + stats.cancelled + stats.requests

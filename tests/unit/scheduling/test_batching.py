"""Which requests of other lengths join a batch, and the cost that is predicted for it."""

import pytest

from support.scheduler_harness import context_keys, make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_server.engines.base import StageInfo
from voxwire_server.scheduling.request import StepOutcome, StepStatus

DEVICE = "device:model"
LAUNCH_SECONDS = 0.01
SECONDS_PER_CHAR = 0.0001


def learned_scheduler(rows: int = 16, **policy):
    """A scheduler that has learned that a step of its device costs 10 ms and 0.1 ms per padded character."""
    info = model_info("model", StageInfo("speak", rows, joins_buckets=True), executor="device", realtime_factor=0.001)
    sched = scheduler(info, **policy)
    stage = sched._engines["model"].stages["speak"]
    for chars in (10, 200) * 50:
        stage.cost.learn(chars, LAUNCH_SECONDS + SECONDS_PER_CHAR * chars)
    return sched


def queue(sched, *lengths: int, deadline: float = 5.0, **more):
    """A clause of each length; each length is a bucket of its own. Context keys are
    numbers, in order of their deadlines."""
    numbers = range(len(lengths))
    for number, chars in zip(numbers, lengths, strict=True):
        sched.submit(make_request(number, deadline=deadline + number / 100, text="x" * chars, **more), 0.0)
    prepare_all(sched, buckets=dict(zip(numbers, lengths, strict=True)))


def test_a_request_joins_a_longer_one_when_the_padding_costs_less_than_a_step_of_its_own():
    sched = learned_scheduler()
    queue(sched, 100, 80)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1]


def test_a_request_does_not_join_when_the_padding_would_cost_more_than_it_saves():
    sched = learned_scheduler()
    queue(sched, 100, 20)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0]


def test_a_longer_request_joins_while_padding_all_others_is_cheap():
    sched = learned_scheduler()
    queue(sched, 100, 120)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1]
    sched = learned_scheduler()
    queue(sched, 100, 100, 100, 100, 130)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1, 2, 3]


def test_a_request_with_others_of_its_own_length_waits_for_a_step_with_them():
    sched = learned_scheduler()
    queue(sched, 100, 80, 80, 80, 80, 80, 80)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0]


def test_requests_of_the_same_length_come_first():
    sched = learned_scheduler(rows=2)
    queue(sched, 100, 99, 100)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 2]


def test_the_most_urgent_of_other_lengths_joins_first():
    sched = learned_scheduler(rows=3)
    queue(sched, 100, 90, 95, 92)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1, 2]


def test_a_joined_batch_is_predicted_with_its_padding_and_has_the_largest_bucket():
    sched = learned_scheduler()
    queue(sched, 80, 100)
    batch = sched.pick(DEVICE, 0.0)
    assert batch.bucket == 100
    assert batch.units == pytest.approx(200)
    assert batch.predicted_seconds == pytest.approx(LAUNCH_SECONDS + SECONDS_PER_CHAR * 200)


def test_no_step_grows_beyond_its_greatest_length_by_joining():
    sched = learned_scheduler(step_seconds_max=0.025)
    queue(sched, 100, 90)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0]


def test_bulk_of_another_length_does_not_join_interactive_requests():
    sched = learned_scheduler()
    sched.submit(make_request("interactive", deadline=5.0, text="x" * 100), 0.0)
    sched.submit(make_request("bulk", deadline=5.0, text="x" * 99, bulk=True), 0.0)
    prepare_all(sched, buckets={"interactive": 100, "bulk": 99})
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["interactive"]


@pytest.mark.parametrize("policy", [{"padding_share_max": 0.0}, {"batching": False}])
def test_nothing_joins_when_it_is_switched_off(policy):
    sched = learned_scheduler(**policy)
    queue(sched, 100, 99)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0]


def test_nothing_joins_before_the_cost_of_a_step_is_known():
    info = model_info("model", StageInfo("speak", 8, joins_buckets=True), executor="device", realtime_factor=0.001)
    sched = scheduler(info)
    queue(sched, 100, 99)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0]


def one_due(others: int, **more):
    """A request that is due at 9.0, and others of the same length that can wait."""
    sched = learned_scheduler()
    sched.submit(make_request("due", deadline=9.0, text="x" * 100), 0.0)
    for number in range(others):
        sched.submit(make_request(number, deadline=12.0, text="x" * 100, **more), 0.0)
    prepare_all(sched)
    return sched


def test_requests_that_can_wait_join_while_they_cost_less_than_twice_a_launch():
    assert context_keys(one_due(5).pick(DEVICE, 9.0)) == ["due", 0, 1, 2, 3, 4]


def test_bulk_does_not_delay_a_request_that_is_due():
    assert len(context_keys(one_due(5, bulk=True).pick(DEVICE, 9.0))) <= 2


def test_where_buckets_do_not_join_a_batch_costs_the_sum_of_its_requests():
    info = model_info("model", StageInfo("speak", 8), executor="device", realtime_factor=0.001)
    sched = scheduler(info)
    sched.submit(make_request("a", deadline=5.0, text="x" * 80), 0.0)
    sched.submit(make_request("b", deadline=6.0, text="x" * 100), 0.0)
    prepare_all(sched)
    assert sched.pick(DEVICE, 0.0).units == pytest.approx(180)


def test_padding_is_counted():
    sched = learned_scheduler()
    queue(sched, 80, 100)
    batch = sched.pick(DEVICE, 0.0)
    sched.complete(batch, [StepOutcome(each, StepStatus.FINISHED, each.job) for each in batch.requests], 0.03, 0.1)
    (stage,) = (each for each in sched.stats(0.1).stages if each.stage == "speak")
    assert (stage.units, stage.padded_units) == (180, 200)

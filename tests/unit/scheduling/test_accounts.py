"""Accounts share an executor: one that floods does not delay the others behind all of its own requests; with only one
account, the order is that of deadlines."""

import pytest

from support.scheduler_harness import context_keys, finish, make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_protocol.errors import VoxwireError
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.scheduling.admission import RefusalReason
from voxwire_server.scheduling.queue import DEFICIT_SECONDS_MAX, AccountQueues, AccountUse
from voxwire_server.scheduling.request import StepOutcome, StepStatus

DEVICE = "device:model"
STEADY = {"start_seconds": 0.0}
SHARED = STEADY | {"accounts": 2}
TEN = model_info(realtime_factor=0.09)
"""Ten streams take nine tenths of a worker."""


def gpu(outcomes=1, slots=0, **more):
    return model_info(
        "model", StageInfo("speak", outcomes), executor="device", slots=slots, realtime_factor=0.001, **more
    )


def flood(sched, account, count, *, now=0.0, **more):
    """First clauses of an account that are all due now."""
    for number in range(count):
        context_key = (account, number)
        sched.submit(make_request(context_key, deadline=now, first=True, account=account, **more), now)


def steps_until(sched, executor, context_key, now=0.0, seconds=0.01):
    """Make steps until one has a request of a context. Returns the context keys of all steps made."""
    made = []
    while (batch := sched.pick(executor, now)) is not None:
        made += context_keys(batch)
        if context_key in context_keys(batch):
            finish(sched, batch, seconds, now)
            return made
        now += seconds
        finish(sched, batch, seconds, now)
    raise AssertionError("the context was never stepped")


# -- turns ------------------------------------------------------------------------------------------------------------


def test_a_first_clause_does_not_wait_behind_thousands_of_another_account():
    sched = scheduler(gpu(), context_requests_max=10_000)
    flood(sched, "a", 3200)
    prepare_all(sched)
    sched.submit(make_request("b", deadline=1.0, first=True, account="b"), 1.0)
    assert steps_until(sched, "cpu", "b", 1.0) == ["b"], "it is prepared first"
    assert len(steps_until(sched, DEVICE, "b", 1.0)) <= 2


def test_accounts_take_turns_at_prepare_too():
    sched = scheduler(gpu())
    flood(sched, "a", 1000)
    flood(sched, "b", 3)
    made = steps_until(sched, "cpu", ("b", 2))
    assert len(made) <= 7


def test_with_one_account_the_order_is_that_of_deadlines():
    def order(account):
        sched = scheduler(gpu())
        for number in range(50):
            sched.submit(make_request(number, deadline=number * 7 % 50 / 10, account=account), 0.0)
        prepare_all(sched)
        made = []
        while (batch := sched.pick(DEVICE, 3.0)) is not None:
            made += context_keys(batch)
            finish(sched, batch, 0.01, 3.0)
        return made

    assert order("a") == order("") == sorted(range(50), key=lambda number: number * 7 % 50)


def test_requests_that_can_wait_are_taken_by_deadline_whatever_their_account():
    sched = scheduler(gpu())
    for number in range(20):
        sched.submit(make_request(number, deadline=50.0 + number, account="ab"[number > 4]), 0.0)
    prepare_all(sched)
    made = []
    while (batch := sched.pick(DEVICE, 0.0)) is not None:
        made += context_keys(batch)
        finish(sched, batch, 0.5, 0.0)
    assert made == list(range(20))


def test_accounts_that_are_due_get_the_same_time_whatever_their_number_of_clauses():
    sched = scheduler(gpu(), context_requests_max=10_000)
    for account, count in (("a", 900), ("b", 100), ("c", 50)):
        flood(sched, account, count)
    prepare_all(sched)
    made, now = [], 0.0
    for _ in range(90):
        batch = sched.pick(DEVICE, now)
        made += [context_key[0] for context_key in context_keys(batch)]
        now += 0.01
        finish(sched, batch, 0.01, now)
    assert all(28 <= made.count(account) <= 32 for account in "abc")


def test_an_account_is_served_beside_thirty_that_flood():
    sched = scheduler(gpu(), requests_max=100_000)
    for account in range(30):
        flood(sched, f"flood {account}", 20)
    for account in range(40):
        sched.submit(make_request(account, deadline=500.0, account=f"can wait {account}"), 0.0)
    sched.submit(make_request("late", deadline=1.0, first=True, account="late"), 1.0)
    prepare_all(sched, 1.0)
    assert len(steps_until(sched, DEVICE, "late", 1.0)) <= 60


def test_an_account_that_was_alone_for_long_shares_with_a_new_one_at_once():
    sched = scheduler(gpu())
    now = 0.0
    for number in range(400):
        sched.submit(make_request(number, deadline=now, first=True, account="a"), now)
        prepare_all(sched, now)
        batch = sched.pick(DEVICE, now)
        now += 0.1
        finish(sched, batch, 0.1, now)
    flood(sched, "a", 50, now=now)
    flood(sched, "b", 50, now=now)
    prepare_all(sched, now)
    made = []
    for _ in range(20):
        batch = sched.pick(DEVICE, now)
        made += [context_key[0] for context_key in context_keys(batch)]
        now += 0.1
        finish(sched, batch, 0.1, now)
    assert made.index("a") <= DEFICIT_SECONDS_MAX / 0.1 + 1
    assert made.count("a") >= 6


def test_a_batch_is_filled_by_accounts_in_turn():
    sched = scheduler(gpu(8))
    flood(sched, "a", 100)
    sched.submit(make_request("b", deadline=0.0, first=True, account="b"), 0.0)
    sched.submit(make_request("c", deadline=0.0, first=True, account="c"), 0.0)
    prepare_all(sched)
    batch = sched.pick(DEVICE, 0.0)
    assert {"b", "c"} < set(context_keys(batch))
    assert len(batch.requests) == 8


def test_bulk_takes_turns_between_accounts():
    sched = scheduler(gpu())
    for account, count in (("a", 200), ("b", 2)):
        for number in range(count):
            sched.submit(make_request((account, number), deadline=0.0, bulk=True, account=account), 0.0)
    prepare_all(sched)
    assert len(steps_until(sched, DEVICE, ("b", 1))) <= 5


def test_an_account_gets_no_more_than_its_share_of_slots_while_others_wait():
    sched = scheduler(gpu(outcomes=4, slots=4, unit="codec_frame"))
    flood(sched, "a", 20)
    prepare_all(sched)
    assert sched._engines["model"].slots_by_account == {"a": 4}, "the only account has all slots"
    flood(sched, "b", 20)
    prepare_all(sched)
    for _ in range(6):
        batch = sched.pick(DEVICE, 0.0)
        leaving = batch.requests[0]
        outcomes = [
            StepOutcome(w, StepStatus.FINISHED if w is leaving else StepStatus.NEXT, w.job) for w in batch.requests
        ]
        sched.complete(batch, outcomes, 0.01, 0.0)
    assert min(sched._engines["model"].slots_by_account.values()) >= 1
    assert set(sched._engines["model"].slots_by_account) == {"a", "b"}


def test_accounts_without_recent_use_are_forgotten():
    use = AccountUse()
    for number in range(10_000):
        use.add(f"account {number}", 0.1, number * 1.0)
    assert len(use) < 200


@pytest.mark.parametrize("bulk", [False, True])
def test_one_account_cannot_take_all_unfinished_requests(bulk):
    sched = scheduler(gpu(), requests_max=100, context_requests_max=1000, accounts=2)
    most = 100 if not bulk else 50
    taken = 0
    while len(sched._requests) < most:
        try:
            sched.submit(make_request("a", account="a", bulk=bulk), 0.0)
        except VoxwireError:
            break
        taken += 1
    assert taken == 0.9 * most
    for _ in range(most - taken):
        sched.submit(make_request("b", account="b", bulk=bulk), 0.0)
    with pytest.raises(VoxwireError):
        sched.submit(make_request("b", account="b", bulk=bulk), 0.0)


# -- admission --------------------------------------------------------------------------------------------------------


def fill(sched, account, now=0.0):
    """Admit streams of an account until one is refused. Returns how many."""
    for count in range(1000):
        if sched.admission("model", False, now, account=account) is not None:
            return count
        sched.stream_started((account, now, count), "model", now, account)
    return 1000


def test_what_one_account_may_not_take_is_kept_for_another():
    info = model_info(realtime_factor=0.009)
    sched = scheduler(info, **SHARED)
    assert fill(sched, "a") == 90
    assert fill(sched, "b") == 10
    assert sched.admission("model", False, 0.0, account="c") is not None, "and then there is no capacity left"


def test_admitted_contexts_without_text_do_not_restrict_other_accounts_to_the_reserve():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    started = 0
    while sched.admission("model", False, 0.0, account="a") is None:
        started += 1
    assert started == 90
    assert fill(sched, "b") >= 40, "about its share"
    assert sched.admission("model", False, 0.0, account="a") is not None


def test_a_single_account_gets_the_whole_capacity():
    assert fill(scheduler(model_info(realtime_factor=0.009), **STEADY), "a") == 100


def test_as_streams_end_accounts_approach_their_shares():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    fill(sched, "a")
    present, now = [("a", 0.0, count) for count in range(90)], 0.0
    fill(sched, "b")
    for context_key in present:
        now += 4.0
        sched.stream_ended(context_key, now)
        for account in ("a", "b"):
            if sched.admission("model", False, now, account=account) is None:
                sched.stream_started((account, now), "model", now, account)
    counts = sched._engines["model"].account_streams
    assert abs(counts["a"] - counts["b"]) < 20


def test_pending_retries_of_one_account_do_not_make_the_others_wait():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    fill(sched, "a")
    fill(sched, "b")
    before = sched.admission("model", False, 0.0, account="c").retry_after_ms
    for number in range(1000):
        sched.admission("model", False, 0.0, session_id=f"s{number}", account="a")
    after = sched.admission("model", False, 0.0, account="d").retry_after_ms
    assert after <= 4 * before


def test_a_session_that_asks_all_the_time_has_a_bounded_number_of_pending_retries():
    sched = scheduler(TEN, **STEADY)
    for number in range(10):
        sched.stream_started(number, "model", 0.0)
    for _ in range(1000):
        sched.admission("model", False, 0.0, session_id="impatient")
    assert sched._engines["model"].pending_retries.ahead(0.0) == 32


def test_one_accounts_refusals_do_not_make_the_server_unready_for_others():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    fill(sched, "a")
    for number in range(1000):
        sched.admission("model", False, 0.0, session_id=f"s{number}", account="a")
        sched.refuse_session(0.0, "a")
    assert sched.full(0.0) is None
    assert sched.refuse_session(0.0, "b") is None
    assert sched.refuse_session(0.0, "a") is not None


def test_waiting_first_clauses_of_one_account_refuse_no_stream_of_another():
    sched = scheduler(model_info(realtime_factor=0.01), queue_seconds_max=1.0, **SHARED, context_requests_max=1000)
    sched.stream_started("other", "model", 0.0, "a")
    flood(sched, "a", 300, text="x" * 60)
    assert sched.admission("model", False, 0.0, account="a").reason is RefusalReason.QUEUE
    assert sched.admission("model", False, 0.0, account="b") is None


def deliver_late(sched, account, count=40):
    """Deliver clauses of an account long after their deadlines."""
    for number in range(count):
        request = make_request((account, number), deadline=99.9, account=account)
        sched.submit(request, 95.0)
        batch = sched.pick("cpu", 95.0)
        sched.complete(batch, [StepOutcome(request, StepStatus.NEXT, Job(request.clause, "speak"))], 0.0001, 95.0)
        finish(sched, sched.pick("cpu", 100.0), 0.009, 100.0)


def test_late_clauses_of_an_account_beyond_its_share_refuse_no_stream_of_another():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    for number in range(60):
        sched.stream_started(number, "model", 0.0, "a")
    deliver_late(sched, "a")
    assert sched.admission("model", False, 100.0, account="a").reason is RefusalReason.LATENESS
    assert sched.admission("model", False, 100.0, account="b") is None


def test_late_clauses_of_an_account_within_its_share_refuse_all_streams():
    sched = scheduler(model_info(realtime_factor=0.009), **SHARED)
    for number in range(60):
        sched.stream_started(number, "model", 0.0, "ab"[number % 2])
    deliver_late(sched, "a")
    assert sched.admission("model", False, 100.0, account="b").reason is RefusalReason.LATENESS


def test_bulk_of_one_account_leaves_capacity_for_that_of_another():
    sched = scheduler(model_info(realtime_factor=1.0), bulk_seconds_max=60.0, **SHARED, context_requests_max=1000)
    asked = 0
    while sched.admission("model", True, 0.0, account="a") is None:
        sched.submit(make_request(("a", asked), bulk=True, account="a", text="x" * 15), 0.0)
        asked += 1
    assert 50 <= asked <= 60
    assert sched.admission("model", True, 0.0, account="b") is None


def test_reservations_are_bounded_per_session():
    sched = scheduler(TEN, **STEADY)
    for number in range(500):
        sched.stream_started(number, "model", 0.0)
        sched.stream_ended(number, 0.0, "session")
    assert sched._engines["model"].reservations.count(0.0) == 32
    assert sched._engines["model"].reservations.count(6.0) == 0


def test_where_accounts_share_a_reservation_is_honoured_within_the_capacity_only():
    sched = scheduler(model_info(realtime_factor=0.09), **SHARED)
    for number in range(10):
        sched.stream_started(number, "model", 0.0, "a")
    sched.stream_ended(0, 0.0, "session")
    sched.stream_started("other", "model", 1.0, "b")
    assert sched.admission("model", False, 2.0, session_id="session", account="a") is not None


def test_empty_account_queues_keep_no_request_alive():
    queues = AccountQueues()
    first, second = make_request("a", account="a"), make_request("b", account="b")
    queues.push(first, 2.0)
    queues.push(second, 1.0)
    queues.remove(first)
    assert queues.pop() is second
    assert not queues._heads

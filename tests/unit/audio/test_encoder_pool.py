"""The threads that encode: earliest first, accounts in turn, and none lost for good."""

import queue
import threading

import pytest

from voxwire_server.audio.encoder_pool import EncoderPool, EncodeTask

WAIT_SECONDS = 10.0


class Stream:
    """Encodes a frame into its own name; waits at a gate where it has one, and breaks where it is told to."""

    def __init__(self, bench, name, gate=None, error=None):
        self.bench, self.name, self.gate, self.error = bench, name, gate, error
        self.entered = threading.Event()

    def encode(self, block, start, stop):
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(WAIT_SECONDS)
        if self.error is not None:
            raise self.error
        self.bench.now += 0.001
        self.bench.made.append(self.name)
        return self.name


class Bench:
    def __init__(self, threads=1):
        self.now, self.made, self.done = 100.0, [], {}
        self.calls = queue.Queue()
        self.gate = threading.Event()
        self.pool = EncoderPool(self.calls.put, threads, clock=lambda: self.now)
        self.pool.start()

    def submit(self, name, deadline, account="a", **more):
        stream = Stream(self, name, **more)

        def done(result, error):
            self.done[name] = (result, error)

        self.pool.submit(EncodeTask(stream, None, 0, 10, done, account), deadline)
        return stream

    def hold(self):
        """Keep the only thread busy until the gate opens."""
        assert self.submit("held", 0.0, "other", gate=self.gate).entered.wait(WAIT_SECONDS)

    def until(self, count):
        while len(self.done) < count:
            self.calls.get(timeout=WAIT_SECONDS)()


@pytest.fixture
def bench():
    made = []

    def make(threads=1):
        made.append(Bench(threads))
        return made[-1]

    yield make
    for each in made:
        each.gate.set()
        each.pool.stop()


def test_the_earliest_is_encoded_first(bench):
    b = bench()
    b.hold()
    for name, deadline in (("third", 103.0), ("first", 101.0), ("second", 102.0)):
        b.submit(name, deadline)
    b.gate.set()
    b.until(4)
    assert b.made == ["held", "first", "second", "third"]


def test_a_thousand_contexts_of_one_account_do_not_delay_the_frames_of_another(bench):
    b = bench()
    b.hold()
    for number in range(1000):
        b.submit(f"a{number}", 100.0)
    for number in range(10):
        b.submit(f"b{number}", 100.01, "b")
    b.gate.set()
    b.until(1011)
    assert b.made.index("b9") <= 22


def test_tasks_that_are_not_due_wait_whichever_account_they_are_of(bench):
    b = bench()
    b.hold()
    for number in range(10):
        b.submit(f"a{number}", 101.0 + number)
    b.submit("b", 105.5, "b")
    b.gate.set()
    b.until(12)
    assert b.made.index("b") == 6


@pytest.mark.parametrize("error", [ValueError(), MemoryError(), SystemExit(), KeyboardInterrupt()])
def test_an_error_is_delivered_to_its_own_task(bench, error):
    b = bench()
    b.submit("bad", 1.0, error=error)
    b.submit("good", 2.0)
    b.until(2)
    assert b.done["bad"][1] is not None
    assert b.done["good"] == ("good", None)


def test_a_thread_that_hangs_is_replaced_and_its_task_fails(bench):
    b = bench()
    b.hold()
    b.submit("after", 1.0)
    b.now += 31.0
    b.pool.look_after()
    b.until(2)
    assert isinstance(b.done["held"][1], TimeoutError)
    assert b.done["after"] == ("after", None)
    assert (b.pool.replaced, b.pool.hung) == (1, 1)


def test_a_result_that_cannot_be_delivered_loses_no_other(bench):
    b = bench()
    b.hold()

    def poison(result, error):
        raise RuntimeError

    b.pool.submit(EncodeTask(Stream(b, "poison"), None, 0, 10, poison), 1.0)
    b.submit("good", 2.0)
    b.gate.set()
    b.until(2)
    assert b.done["good"] == ("good", None)

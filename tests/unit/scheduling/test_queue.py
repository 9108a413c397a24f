from hypothesis import given
from hypothesis import strategies as st

from support.scheduler_harness import make_request
from voxwire_server.scheduling.queue import DeadlineQueue

KEYS = st.floats(-1e6, 1e6, allow_nan=False)
OPERATIONS = st.lists(st.tuples(st.sampled_from(["push", "pop", "remove", "move"]), KEYS, st.integers(0, 1000)))


@given(OPERATIONS)
def test_the_queue_gives_what_a_sorted_list_would(operations):
    queue, model, count = DeadlineQueue(), {}, 0
    for name, key, which in operations:
        if name == "push":
            count += 1
            request = make_request(count)
            request.order = count
            queue.push(request, key)
            model[request] = key
        elif model and name == "pop":
            first = min(model, key=lambda request: (model[request], request.order))
            assert queue.head() is first
            assert queue.pop() is first
            del model[first]
        elif model:
            chosen = list(model)[which % len(model)]
            queue.remove(chosen)
            del model[chosen]
            if name == "move":
                queue.push(chosen, key)
                model[chosen] = key
        assert len(queue) == len(model)
        assert set(queue.until(key)) == {request for request, its_key in model.items() if its_key <= key}
    assert len(queue._heap) <= 2 * len(model) + 32 + len(operations)


def test_a_request_that_moves_a_thousand_times_does_not_grow_the_queue():
    queue = DeadlineQueue()
    request = make_request()
    queue.push(request, 0.0)
    for key in range(1000, 0, -1):
        queue.remove(request)
        queue.push(request, float(key))
    assert len(queue._heap) < 100
    assert queue.pop() is request


def test_an_empty_queue_keeps_no_request_alive():
    queue = DeadlineQueue()
    moved, removed = make_request("a"), make_request("b")
    queue.push(moved, 2.0)
    queue.push(removed, 1.0)
    queue.remove(moved)
    queue.push(moved, 3.0)
    queue.remove(removed)
    assert queue.pop() is moved
    assert not queue._heap

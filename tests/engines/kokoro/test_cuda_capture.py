"""How graphs are captured: on which stream, in which memory pool, and after a failure. torch.cuda is a stand-in."""

from __future__ import annotations

import contextlib
import types

import pytest

torch = pytest.importorskip("torch")

from voxwire_server.engines.kokoro.runtime.cuda_capture import CudaCapture  # noqa: E402

MB = 1 << 20
DEVICE = torch.device("cuda:0")


class Cuda:
    """Stands for torch.cuda: one allocator, streams by name, graphs that call what they captured."""

    def __init__(self, monkeypatch) -> None:
        self.current = "main"
        self.capturing: Graph | None = None
        self.pools = 0
        self.free, self.total, self.held, self.peak = 6000 * MB, 8000 * MB, 0, 100 * MB
        self.invalid = False
        self.log: list[str] = []
        for name in (
            "Stream CUDAGraph graph_pool_handle current_stream synchronize stream device empty_cache mem_get_info "
            "memory_reserved memory_allocated max_memory_allocated reset_peak_memory_stats"
        ).split():
            monkeypatch.setattr(torch.cuda, name, getattr(self, f"_{name}"))
        zeros = torch.zeros
        monkeypatch.setattr(torch, "zeros", lambda size, device: zeros(size))

    def _CUDAGraph(self):
        return Graph(self)

    def _Stream(self, device):
        return types.SimpleNamespace(
            name="side", wait_stream=lambda other: self.log.append(f"side waits for {other.name}")
        )

    def _current_stream(self, device):
        return types.SimpleNamespace(
            name=self.current, wait_stream=lambda other: self.log.append(f"main waits for {other.name}")
        )

    @contextlib.contextmanager
    def _stream(self, stream):
        self.current = stream.name
        try:
            yield
        finally:
            self.current = "main"

    @contextlib.contextmanager
    def _device(self, device):
        yield

    def _graph_pool_handle(self):
        self.pools += 1
        return self.pools

    def _synchronize(self, device):
        assert self.capturing is None, "a wait during a capture"

    def _empty_cache(self):
        assert self.capturing is None

    def _mem_get_info(self, device):
        return self.free, self.total

    def _memory_reserved(self, device):
        return self.held

    def _memory_allocated(self, device):
        return 0

    def _max_memory_allocated(self, device):
        return self.peak

    def _reset_peak_memory_stats(self, device):
        pass


class Graph:
    """A graph, which notes down its pool."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda

    def capture_begin(self, pool, capture_error_mode):
        assert self._cuda.current == "side"
        assert self._cuda.capturing is None
        assert capture_error_mode == "thread_local"
        self.pool = pool
        self._cuda.capturing = self

    def capture_end(self):
        self._cuda.capturing = None
        if self._cuda.invalid:
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")

    def replay(self):
        self._cuda.log.append("replay")


@pytest.fixture
def cuda(monkeypatch) -> Cuda:
    return Cuda(monkeypatch)


def test_warm_up_runs_and_the_capture_use_one_stream_of_their_own(cuda: Cuda):
    capture = CudaCapture(DEVICE)
    ran = []
    replay = capture.capture(lambda: ran.append((cuda.current, cuda.capturing is not None)))
    assert ran == [("side", False), ("side", False), ("side", True)]
    assert cuda.log == ["side waits for main", "main waits for side"]
    replay()
    assert cuda.log[-1] == "replay"


def test_all_graphs_share_a_pool_that_a_trivial_graph_keeps(cuda: Cuda):
    capture = CudaCapture(DEVICE)
    pools = []
    for _ in range(3):
        capture.capture(lambda: pools.append(cuda.capturing and cuda.capturing.pool))
    assert set(pools) == {None, 1}
    assert [graph.pool for graph, _ in capture._anchors] == [1]


@pytest.mark.parametrize(
    ("peak", "free"), [(2000, 6000), (1500, 3000)], ids=["more than their share", "others need what is free"]
)
def test_a_capture_without_memory_is_not_begun(cuda: Cuda, peak, free):
    capture = CudaCapture(DEVICE)
    cuda.peak, cuda.free = peak * MB, free * MB
    begun = []
    with pytest.raises(MemoryError, match="no room"):
        capture.capture(lambda: begun.append(cuda.capturing))
    assert begun == [None, None], "there were warm-up runs only"
    cuda.peak = 100 * MB
    capture.capture(lambda: None)


def test_a_warm_up_run_without_memory_is_a_memory_error(cuda: Cuda):
    def run() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    capture = CudaCapture(DEVICE)
    with pytest.raises(MemoryError, match="warm-up"):
        capture.capture(run)
    assert cuda.current == "main"


def test_memory_of_the_pool_is_counted_once_and_used_again(cuda: Cuda):
    capture = CudaCapture(DEVICE)
    cuda.peak = 1400 * MB

    def run() -> None:
        if cuda.capturing:
            cuda.held = 1500 * MB

    capture.capture(run)
    capture.capture(run)
    assert capture.held_bytes == 1500 * MB


@pytest.mark.parametrize("amid", [True, False], ids=["amid it", "at its end"])
def test_after_a_failed_capture_the_stream_is_back_and_the_next_has_another_pool(cuda: Cuda, amid):
    capture = CudaCapture(DEVICE)

    def run() -> None:
        cuda.invalid = cuda.capturing is not None
        if cuda.invalid and amid:
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError):
        capture.capture(run)
    assert cuda.current == "main"
    assert cuda.capturing is None
    cuda.invalid = False
    pools = []
    capture.capture(lambda: pools.append(cuda.capturing and cuda.capturing.pool))
    assert pools[-1] == 2


def test_time_is_taken_with_all_that_was_queued(cuda: Cuda, monkeypatch):
    order = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: order.append("wait"))
    assert CudaCapture(DEVICE).seconds(lambda: order.append("run")) >= 0
    assert order[-3:] == ["wait", "run", "wait"]

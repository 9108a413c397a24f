"""A step waits for its device once, at its end. The device is torch's "meta": no host can read what lies there."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from support.fake_cuda_graph import FakeCapture  # noqa: E402
from support.kokoro_torch import jobs_of, random_ids  # noqa: E402
from voxwire_server.engines.kokoro.model.network import AcousticFeatures, Encoded, Kokoro  # noqa: E402
from voxwire_server.engines.kokoro.options import Graphs  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_graphs import INPUTS, OUTPUTS, CapturedGraph  # noqa: E402
from voxwire_server.engines.kokoro.runtime.graph_buckets import Shape, Stage  # noqa: E402
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps  # noqa: E402
from voxwire_server.engines.kokoro.runtime.transfer import CudaTransfer, HostTransfer  # noqa: E402

META = torch.device("meta")
TOKEN_FRAMES = 2


class MetaTransfer:
    """A transfer to a device that can't be read: notes down what was copied, in order; every duration is two."""

    device = META

    def __init__(self) -> None:
        self.crossed: list[str] = []
        self.open = False

    def to_device(self, tensor):
        assert tensor.device.type == "cpu"
        assert tensor.is_contiguous(), "a copy that isn't dense is staged by the driver, which waits"
        self.crossed.append("in")
        with self._opened():
            return tensor.to(META)

    def to_host(self, parts):
        assert all(part.device == META and part.is_contiguous() for part in parts)
        self.crossed.append("out")
        return [torch.full((part.numel(),), TOKEN_FRAMES, dtype=part.dtype) for part in parts]

    def wait(self) -> None:
        self.crossed.append("wait")

    @contextlib.contextmanager
    def _opened(self):
        self.open = True
        yield
        self.open = False


class DeviceBorder(TorchDispatchMode):
    """Fails at an operation that brings the host's tensors and the device's together anywhere but in the transfer."""

    def __init__(self, transfer: MetaTransfer) -> None:
        super().__init__()
        self._transfer = transfer
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
        kinds = {each.device.type for each in tensors}
        assert len(kinds) < 2 or self._transfer.open, f"{func} crosses the border"
        self.operations += "meta" in kinds
        return out


class MetaSteps:
    """Steps on a device that can't be seen."""

    def __init__(self) -> None:
        self.transfer = MetaTransfer()
        with META:
            self.network = Kokoro().eval()
        self.steps = TorchSteps(self.network, META, transfer=self.transfer)

    def cross(self, stage: str, jobs) -> list[str]:
        """What crossed the border during a step."""
        self.transfer.crossed.clear()
        with DeviceBorder(self.transfer) as border:
            self.last = getattr(self.steps, stage)(jobs)
        assert border.operations > 100, "the network ran"
        return self.transfer.crossed


@pytest.fixture(scope="module")
def crossing() -> MetaSteps:
    return MetaSteps()


@pytest.mark.parametrize("sizes", [(9,), (9, 9), (12, 7, 9)], ids=["one", "even", "unequal"])
def test_a_step_waits_for_its_device_once_and_at_its_end(crossing: MetaSteps, sizes):
    jobs = jobs_of([random_ids(size, size) for size in sizes])
    ends = {"encode": "out", "front": "wait", "generate": "out"}
    for stage, end in ends.items():
        crossed = crossing.cross(stage, jobs)
        assert crossed == ["in"] * (len(crossed) - 1) + [end], stage
    assert [len(part) for part in crossing.last] == [600 * TOKEN_FRAMES * size for size in sizes]


@pytest.mark.parametrize(
    "planted",
    [
        lambda x: x * x.abs().max().item(),
        lambda x: x * bool((x > 0).any()),
        lambda x: x + x[x > 0].sum(),
        lambda x: x + len(x.nonzero()),
        lambda x: x + x.cpu().to(META),
        lambda x: x + torch.ones(x.shape[-1]).to(META),
        lambda x: x[:, torch.arange(x.shape[1])],
        lambda x: x.repeat_interleave(torch.ones(x.shape[1], dtype=torch.int64, device=META), 1),
    ],
    ids=["item", "bool", "mask", "nonzero", "there and back", "new tensor", "index of the host's", "repeat"],
)
def test_an_operation_that_waits_would_be_found(crossing: MetaSteps, monkeypatch, planted):
    forward = crossing.network.bert_encoder.forward
    monkeypatch.setattr(crossing.network.bert_encoder, "forward", lambda x: planted(forward(x)))
    with pytest.raises((NotImplementedError, RuntimeError, AssertionError)):
        crossing.cross("encode", jobs_of([random_ids(9, 1)]))


def test_a_replayed_step_waits_no_more_than_another():
    transfer = MetaTransfer()
    with META:
        network = Kokoro().eval()
    steps = TorchSteps(network, META, Graphs.ON, transfer=transfer, capture=FakeCapture())
    runner, replays = steps._graph_runner, []
    for shape in (Shape(stage, 4, 16 if stage is Stage.ENCODE else 32) for stage in Stage):
        buffers = (
            runner._buffers(shape, specs[shape.stage], are_inputs=specs is INPUTS) for specs in (INPUTS, OUTPUTS)
        )
        runner._graphs[shape] = CapturedGraph(*buffers, replay=lambda: replays.append(1))
    jobs = jobs_of([random_ids(size, size) for size in (12, 14, 16)])
    for stage in Stage:
        transfer.crossed.clear()
        with DeviceBorder(transfer):
            getattr(steps, stage.value)(jobs)
        assert transfer.crossed.count("in") == len(transfer.crossed) - 1
        assert transfer.crossed[-1] in ("out", "wait")
    assert len(replays) == len(Stage)


class TorchCalls:
    """What a transfer to a GPU calls in torch, in order; its pinned memory is ordinary memory."""

    def __init__(self, monkeypatch) -> None:
        self.log: list[str] = []
        self.pinned: list[int] = []
        self._copied = torch.Tensor.copy_
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda own: self._pinned(own))
        monkeypatch.setattr(
            torch.Tensor, "copy_", lambda own, other, non_blocking: self._copy(own, other, non_blocking)
        )
        monkeypatch.setattr(torch.cuda, "Event", self._event)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "stream")

    def _pinned(self, tensor):
        self.log.append("pin")
        tensor = tensor.clone()
        self.pinned.append(tensor.untyped_storage().data_ptr())
        return tensor

    def _copy(self, own, other, non_blocking):
        pinned = own.untyped_storage().data_ptr() in self.pinned
        self.log.append(f"copy{' to pinned' if pinned else ''}{', going on' if non_blocking else ', waiting'}")
        return self._copied(own, other)

    def _event(self, *, blocking):
        assert blocking, "the host sleeps"
        captured = self

        class Event:
            def record(self, stream) -> None:
                captured.log.append(f"record on {stream}")

            def synchronize(self) -> None:
                captured.log.append("synchronise")

        return Event()


def test_results_are_copied_to_pinned_memory_and_waited_for_once(monkeypatch):
    captured = TorchCalls(monkeypatch)
    transfer = CudaTransfer(torch.device("cpu"))
    rows = torch.arange(12.0).view(2, 6)
    landed = transfer.to_host([rows[0, :3], rows[1, :5]])
    copied = ["copy to pinned, going on", "record on stream", "synchronise"]
    assert captured.log == ["pin", *copied]
    assert [part.tolist() for part in landed] == [[0, 1, 2], [6, 7, 8, 9, 10]]
    transfer.to_host([rows[0, :2].long()])
    assert captured.log == ["pin", *copied, *copied], "the buffer is used again"
    transfer.to_host([torch.zeros(100)])
    assert captured.log[len(captured.log) - 4 :] == ["pin", *copied], "and grows"


def test_a_transfer_s_result_is_overwritten_by_the_next(monkeypatch):
    TorchCalls(monkeypatch)
    transfer = CudaTransfer(torch.device("cpu"))
    (first,) = transfer.to_host([torch.ones(4)])
    transfer.to_host([torch.zeros(4)])
    assert first.tolist() == [0, 0, 0, 0], "so steps copy it"


def test_steps_keep_no_memory_of_the_transfer():
    transfer = Overwriting()
    steps = TorchSteps(_Silent(), torch.device("cpu"), transfer=transfer)
    jobs = jobs_of([random_ids(5, 1), random_ids(7, 2)])
    steps.encode(jobs)
    transfer.overwrite()
    assert [job.durations.tolist() for job in jobs] == [[1] * 5, [1] * 7]
    steps.front(jobs)
    samples = steps.generate(jobs)
    transfer.overwrite()
    assert all(np.all(part == 1) for part in samples)


class Overwriting(HostTransfer):
    """Returns memory that is overwritten later, as the pinned buffer is."""

    def to_host(self, parts):
        self.parts = [part.clone() for part in super().to_host(parts)]
        return self.parts

    def overwrite(self) -> None:
        for part in self.parts:
            part.fill_(-1)


class _Silent(torch.nn.Module):
    """A network whose tokens last one frame, and whose samples are all one."""

    def encode(self, tokens, styles, speeds, rows):
        rest = torch.zeros(*tokens.shape, 1)
        return Encoded(rest, rest, torch.ones_like(tokens))

    def front(self, encoded, styles, rows, frames_max):
        return AcousticFeatures(torch.zeros(len(styles), 1, 2 * frames_max), torch.zeros(len(styles), 2 * frames_max))

    def generate(self, features, styles, rows, seeds):
        return torch.ones(len(styles), 300 * features.pitch.shape[1])

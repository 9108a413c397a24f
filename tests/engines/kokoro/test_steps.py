"""The torch steps on a device: its memory, whether CUDA graphs are captured there, the order of a warm-up."""

from __future__ import annotations

import logging
import types

import pytest

torch = pytest.importorskip("torch")

from support.fake_cuda_graph import FakeCapture  # noqa: E402
from voxwire_server.engines.base import DeviceMemory, UsesDevice  # noqa: E402
from voxwire_server.engines.kokoro.engine import KokoroEngine  # noqa: E402
from voxwire_server.engines.kokoro.options import Graphs  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_graphs import CudaGraphRunner  # noqa: E402
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps  # noqa: E402
from voxwire_server.engines.kokoro.runtime.transfer import memory_of  # noqa: E402

CPU = torch.device("cpu")


class Network(torch.nn.Module):
    """Never called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))


def test_the_memory_of_a_gpu_is_its_allocators(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: asked.append(device) or 3)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: asked.append(device) or 5)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(total_memory=8))
    device = torch.device("cuda:1")
    assert memory_of(device) == DeviceMemory("cuda:1", allocated_bytes=3, reserved_bytes=5, total_bytes=8)
    assert asked == [device, device]


def test_a_cpu_has_no_device_memory_and_its_engine_says_so():
    engine = KokoroEngine(TorchSteps(Network(), CPU), None, None)
    assert isinstance(engine, UsesDevice)
    assert engine.device_memory() is None


@pytest.mark.parametrize(("graphs", "only_faster"), [(Graphs.AUTO, True), (Graphs.ON, False)])
def test_graphs_are_captured_on_demand_only(monkeypatch, graphs, only_faster):
    captured = []
    monkeypatch.setattr(CudaGraphRunner, "capture_all", lambda self: captured.append(self._options))
    steps = TorchSteps(Network(), CPU, graphs, capture=FakeCapture())
    assert not captured
    steps.capture_graphs()
    assert [options.only_faster for options in captured] == [only_faster]


def test_no_graphs_are_captured_where_they_are_off(monkeypatch):
    monkeypatch.delattr(CudaGraphRunner, "capture_all")
    TorchSteps(Network(), CPU, Graphs.OFF, capture=FakeCapture()).capture_graphs()


@pytest.mark.parametrize(("graphs", "warnings"), [(Graphs.AUTO, 0), (Graphs.OFF, 0), (Graphs.ON, 1)])
def test_a_cpu_has_no_graphs_and_says_so_if_they_were_asked_for(caplog, graphs, warnings):
    with caplog.at_level(logging.WARNING):
        TorchSteps(Network(), CPU, graphs).capture_graphs()
    assert len(caplog.records) == warnings


def test_the_engine_speaks_once_before_graphs_are_captured():
    done = []
    steps = types.SimpleNamespace(capture_graphs=lambda: done.append("captured"))
    frontend = types.SimpleNamespace(warm_up=lambda engine: done.append("spoken"))
    KokoroEngine(steps, frontend, None).warm_up()
    assert done == ["spoken", "captured"]

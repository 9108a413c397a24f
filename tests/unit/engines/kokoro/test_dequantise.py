"""The int8 export as float parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support import kokoro
from voxwire_server.engines.common.onnx_wire import delimited, fields
from voxwire_server.engines.kokoro.weights.checkpoint import PARAMETERS, parameter_shapes
from voxwire_server.engines.kokoro.weights.dequantise import dequantise

onnx = pytest.importorskip("onnx")

_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER = 7, 1, 5


@pytest.fixture(scope="module")
def export() -> bytes:
    path = kokoro.weights().onnx_path
    if path is None:
        pytest.skip("the weights came from the hub, which has no export")
    return path.read_bytes()


@pytest.fixture(scope="module")
def state(export: bytes):
    return dequantise(export)


@pytest.fixture(scope="module")
def tensors(export: bytes):
    """The export's tensors, read by the onnx package."""
    return {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load_from_string(export).graph.initializer}


def edited(export: bytes, number: int, keep) -> bytes:
    """The export without the graph's nodes or tensors that `keep` says no to."""
    (graph,) = (field.payload for field in fields(export) if field.number == _MODEL_GRAPH)
    parts = [field.whole for field in fields(graph) if field.number != number or keep(field.payload)]
    return delimited(_MODEL_GRAPH, b"".join(parts))


def test_the_layout_has_as_many_parameters_as_kokoro() -> None:
    assert sum(math.prod(shape) for shape in parameter_shapes().values()) == PARAMETERS == 81_140_664


def test_the_export_holds_every_parameter(state) -> None:
    assert {name: value.shape for name, value in state.items()} == dict(parameter_shapes())
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in state.values())


def test_what_was_pulled_is_what_the_export_holds(state) -> None:
    pulled = kokoro.weights().state()
    assert pulled.keys() == state.keys()
    assert all(np.array_equal(pulled[name], state[name]) for name in state)


def test_a_convolution_is_scaled_as_a_whole(state, tensors) -> None:
    quantised = "/decoder/decoder/generator/resblocks.0/Mul_2_output_0"
    # The exporter keeps one of several equal zero points: this is another layer's.
    zero = tensors["/encoder/N.0/Mul_1_output_0_zero_point"]
    expected = (tensors[f"{quantised}_quantized"].astype(np.float32) - zero) * tensors[f"{quantised}_scale"]
    np.testing.assert_array_equal(state["decoder.generator.resblocks.0.convs1.0.weight"], expected)


def test_a_matrix_is_scaled_by_its_outputs(state, tensors) -> None:
    name = "encoder.predictor.text_encoder.lstms.1.fc.weight"
    zero = np.unique(tensors["decoder.decoder.decode.3.norm2.fc.weight_zero_point"])
    expected = (tensors[f"{name}_quantized"].astype(np.float32) - zero) * tensors[f"{name}_scale"]
    np.testing.assert_array_equal(state["predictor.text_encoder.lstms.1.fc.weight"], expected.T)


def test_an_lstm_has_its_gates_in_torchs_order(state, tensors) -> None:
    bias = tensors["onnx::LSTM_6929"]
    for direction, suffix in enumerate(("", "_reverse")):
        entry, exit_, forget, cell = np.split(bias[direction, :1024], 4)
        expected = np.concatenate([entry, forget, cell, exit_])
        np.testing.assert_array_equal(state[f"text_encoder.lstm.bias_ih_l0{suffix}"], expected)


def test_an_export_that_lacks_a_layer_is_refused(export: bytes) -> None:
    with pytest.raises(ValueError, match=r"lacks 1 parameters .* decoder\.generator\.conv_post\.weight"):
        dequantise(edited(export, _GRAPH_NODE, lambda node: b"/conv_post/Conv" not in node))
    with pytest.raises(ValueError, match=r"decoder\.generator\.conv_post\.bias"):
        dequantise(edited(export, _GRAPH_INITIALIZER, lambda tensor: b"conv_post.bias" not in tensor))


def test_a_model_of_another_kind_is_refused() -> None:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="/model/body/Conv")
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1, 1, 1], [1.0])
    other = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight])).SerializeToString()
    with pytest.raises(ValueError, match="no parameter of Kokoro"):
        dequantise(other)
    with pytest.raises(ValueError, match=r"cut short|wire type"):
        dequantise(b"no model")

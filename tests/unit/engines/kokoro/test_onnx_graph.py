"""Our own reading of ONNX files against the onnx package's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from voxwire_server.engines.common.onnx_wire import delimited, varints
from voxwire_server.engines.kokoro.weights.dequantise import read_graph

onnx = pytest.importorskip("onnx")

TYPES = {
    np.dtype("f4"): onnx.TensorProto.FLOAT,
    np.dtype("u1"): onnx.TensorProto.UINT8,
    np.dtype("i1"): onnx.TensorProto.INT8,
    np.dtype("i4"): onnx.TensorProto.INT32,
    np.dtype("i8"): onnx.TensorProto.INT64,
}


def model(*tensors, nodes=None) -> bytes:
    nodes = nodes or [onnx.helper.make_node("Relu", ["x"], ["y"], name="/a/b")]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], tensors)).SerializeToString()


@given(
    values=st.sampled_from(sorted(TYPES, key=str)).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, max_side=4))
    ),
    raw=st.booleans(),
)
def test_a_tensor_is_what_the_onnx_package_reads(values, raw: bool) -> None:
    content = values.tobytes() if raw else values.ravel().tolist()
    written = onnx.helper.make_tensor("t", TYPES[values.dtype], values.shape, content, raw=raw)
    read = read_graph(model(written)).tensors["t"]
    assert (read.dtype, read.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(read, onnx.numpy_helper.to_array(written))


def test_nodes_come_in_order_with_an_empty_name_for_an_input_that_is_left_out() -> None:
    nodes = [
        onnx.helper.make_node("LSTM", ["x", "w", "r", "", "n"], ["y"], name="/a/lstm/LSTM"),
        onnx.helper.make_node("Relu", ["y"], ["z"]),
    ]
    read = read_graph(model(nodes=nodes)).nodes
    assert [(node.name, node.op, node.inputs) for node in read] == [
        ("/a/lstm/LSTM", "LSTM", ("x", "w", "r", "", "n")),
        ("", "Relu", ("y",)),
    ]


@pytest.mark.parametrize("content", [b"", b"no model", bytes(100), model()[:-3], delimited(7, b"")])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut short|wire type|no nodes"):
        read_graph(content)


def test_a_tensor_that_can_not_be_read_is_named() -> None:
    node = delimited(1, delimited(4, b"Relu"))

    def holding(*parts: bytes) -> bytes:
        return delimited(7, node + delimited(5, b"".join(parts) + delimited(8, b"words")))

    with pytest.raises(ValueError, match="'words' is of ONNX type 8"):
        read_graph(holding(varints(2, [8])))
    with pytest.raises(ValueError, match="'words' can't be read"):
        read_graph(holding(varints(1, [3]), varints(2, [1]), delimited(9, bytes(8))))

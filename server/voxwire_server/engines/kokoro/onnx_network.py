"""Kokoro's int8 ONNX export with its durations brought out; nothing of it is written to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from voxwire_server.engines.common.onnx_wire import delimited, fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
_AUDIO, _DURATIONS = "audio", "/encoder/Clip_output_0"
_GAIN = 1 / 1.5
"""The export leaves out the division by the windows' overlapping power, which is 1.5 everywhere but at the edges."""


class OnnxNetwork:
    """The whole network, one piece a call. `run` may be called from any number of threads at once."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the export; each call uses `threads` threads.

        Raises:
            ValueError: the file is not the graph this was written for.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        # The arena keeps what the longest clause needed.
        options.enable_cpu_mem_arena = False
        try:
            model = _with_durations(path.read_bytes())
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path.name} is not the expected graph: {error}") from error

    def run(
        self, ids: Sequence[int], style: NDArray[np.float32], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Samples [600 T] and the frames of each id, [L], of which T is the sum."""
        feeds = {
            "tokens": np.asarray([ids], np.int64),
            "style": style[None],
            "speed": np.asarray([speed], np.float32),
        }
        samples, durations = self._session.run((_AUDIO, _DURATIONS), feeds)
        return samples.reshape(-1) * np.float32(_GAIN), durations.reshape(-1).astype(np.int64)


def _with_durations(model: bytes) -> bytes:
    output = delimited(_GRAPH_OUTPUT, delimited(_VALUE_NAME, _DURATIONS.encode()))
    return b"".join(
        delimited(_MODEL_GRAPH, part.payload + output) if part.number == _MODEL_GRAPH else part.whole
        for part in fields(model)
    )

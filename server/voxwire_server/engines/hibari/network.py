"""hibari's network with its durations brought out; nothing of it is written to disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hibari
import numpy as np
import onnxruntime

from voxwire_server.engines.hibari.graph import prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Tensors of hibari-tts 0.2.1's graph: the five spectra before they are transposed and split, F0 in Hz per spectral
# frame, and the duration of each id (pads included) in pairs of spectral frames.
MODEL = Path(hibari.__file__).parent / "assets" / "hibari.onnx"
_HEAD, _F0, _DURATIONS = "/head/Add_output_0", "f0", "/Clip_output_0"


class Network:
    """One voice's network. `run` may be called from any number of threads at once."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the voice in the package, or the one at `path`.

        Raises:
            ValueError: the file is not the graph this was written for.
        """
        path = path or MODEL
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena keeps what the longest clause needed, for every thread; without it malloc does as well.
        options.enable_cpu_mem_arena = False
        # GELU by tanh: off by 5e-4 at most, a fortieth of the step to which its result is quantised; 2.5 % faster.
        options.add_session_config_entry("optimization.enable_gelu_approximation", "1")
        model = prepared(path.read_bytes(), (_HEAD, _F0, _DURATIONS))
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path.name} is not the expected graph: {error}") from error

    def run(
        self, ids: Sequence[int], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Spectra [frames, 3005], F0 [frames] in Hz, durations [ids]; frames is twice the durations' sum."""
        feeds = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        head, f0, durations = self._session.run((_HEAD, _F0, _DURATIONS), feeds)
        return head[0], f0[0], durations.astype(np.int64)

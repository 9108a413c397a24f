"""Kokoro-82M's weights: where they come from, how they are converted, and the files that the engines read."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.models.manifest import checksum, models_folder, problems, read_manifest
from voxwire_server.models.report import Damaged

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from voxwire_server.models.manifest import Manifest

NAME = "kokoro"
MODEL_FILE = "model.safetensors"
ONNX_FILE = "model.int8.onnx"
VOICES_FILE = "voices.safetensors"
VOCABULARY_FILE = "vocabulary.json"

PULL_COMMAND = f"voxwire models pull {NAME}"


@dataclass(frozen=True, slots=True)
class KokoroWeights:
    """The files of one folder. Reading one compares its checksum first, which takes 0.3 s for the largest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def locate(cls, path: Path | None = None) -> KokoroWeights:
        """The weights in the folder of models `path`; None is the one of `models_folder`.

        Raises:
            EngineUnavailable: they are not there, or files are missing or of the wrong size.
        """
        models = models_folder(path)
        folder = models / NAME
        command = PULL_COMMAND if models == models_folder() else f"{PULL_COMMAND} --path {shlex.quote(str(models))}"
        try:
            manifest = read_manifest(folder)
        except Damaged as error:
            raise EngineUnavailable(error.message, f"{command} --force") from error
        if manifest is None:
            raise EngineUnavailable(f"there are no weights of Kokoro in {folder}", command)
        for name, problem in problems(folder, manifest, sizes_only=True):
            raise EngineUnavailable(f"{folder / name} {problem}", f"{command} --force")
        for name in (MODEL_FILE, VOICES_FILE, VOCABULARY_FILE):
            if name not in manifest.files:
                raise EngineUnavailable(f"{folder} has no {name}", f"{command} --force")
        return cls(folder, manifest)

    def state(self) -> dict[str, NDArray[np.float32]]:
        """The parameters, by the names of `shapes.parameter_shapes`; the caller may change the arrays.

        Raises:
            EngineUnavailable: the file is damaged, or safetensors is not installed.
        """
        return self._arrays(MODEL_FILE)

    def voices(self) -> Mapping[str, NDArray[np.float32]]:
        """Every voice's rows, [rows, 256], by its name.

        Raises:
            EngineUnavailable: as `state`.
        """
        return self._arrays(VOICES_FILE)

    def vocabulary(self) -> dict[str, int]:
        """The token of each symbol. Token 0 begins and ends every sequence.

        Raises:
            EngineUnavailable: the file is damaged.
        """
        vocabulary: dict[str, int] = json.loads(self.checked(VOCABULARY_FILE).read_text("utf-8"))
        return vocabulary

    @property
    def onnx_path(self) -> Path | None:
        """The int8 export; None if the weights came from the hub, which has none.

        Raises:
            EngineUnavailable: the file is damaged.
        """
        return self.checked(ONNX_FILE) if ONNX_FILE in self.manifest.files else None

    def checked(self, name: str) -> Path:
        """The path of a file whose content is what the manifest says.

        Raises:
            EngineUnavailable: it is not, or can't be read.
        """
        file, hint = self.folder / name, f"{PULL_COMMAND} --force"
        try:
            right = checksum(file) == self.manifest.files[name].sha256
        except OSError as error:
            raise EngineUnavailable(f"{file} can't be read: {error.strerror}", hint) from error
        if not right:
            raise EngineUnavailable(f"{file} has another checksum than when it was pulled", hint)
        return file

    def _arrays(self, name: str) -> dict[str, NDArray[np.float32]]:
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load_file
        except ModuleNotFoundError as error:
            raise EngineUnavailable(f"{error.name} is not installed", "pip install 'voxwire[kokoro]'") from error
        file = self.checked(name)
        try:
            arrays: dict[str, NDArray[np.float32]] = load_file(file)
        except SafetensorError as error:
            raise EngineUnavailable(f"{file} can't be read: {error}", f"{PULL_COMMAND} --force") from error
        return arrays

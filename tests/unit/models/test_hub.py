"""The hub, imitated by a server of our own, through `huggingface_hub`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.fake_registries import serving
from voxwire_server.models.download import HttpClient
from voxwire_server.models.hub import Repository
from voxwire_server.models.manifest import Checksum
from voxwire_server.models.report import Damaged, ModelError, Refused, Silent, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from support.fake_registries import Registry

huggingface_hub = pytest.importorskip("huggingface_hub")

REVISION = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = random.Random(2).randbytes(300_000)
NAME = "somebody/something"
HTTP_CLIENT = HttpClient((), lambda seconds: None)


def offer(hub: Registry, files: dict[str, bytes], *, wrong: str = "") -> Repository:
    """Put a repository onto the server; `wrong` is a file whose content is not what the listing says."""
    listing = []
    for path, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        entry = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if not path.endswith(".json"):
            entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        listing.append(entry)
        sent = bytes(len(content)) if path == wrong else content
        headers = {"ETag": f'"{sha256}"', "X-Repo-Commit": REVISION, "X-Linked-Size": str(len(content))}
        hub.put(f"/{NAME}/resolve/{REVISION}/{path}", sent, headers=headers)
    listing.append({"type": "directory", "path": "voices", "oid": "0" * 40, "size": 0})
    hub.put(f"/api/models/{NAME}/tree/{REVISION}", json.dumps(listing).encode(), content_type="application/json")
    return Repository(NAME, REVISION, hub.url)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "")
    with serving() as server:
        yield server


class Told(Silent):
    def __init__(self) -> None:
        self.bytes: list[int] = []

    def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
        self.bytes.append(done_bytes)


def test_files_are_listed_with_their_checksums(hub) -> None:
    files = offer(hub, {"model.pth": WEIGHTS, "config.json": b"{}", "voices/anna.pt": b"anna"}).files(HTTP_CLIENT)
    assert set(files) == {"model.pth", "config.json", "voices/anna.pt"}
    assert files["model.pth"].size_bytes == len(WEIGHTS)
    assert files["model.pth"].expected == Checksum.sha256(hashlib.sha256(WEIGHTS).hexdigest())
    assert files["config.json"].expected is None


def test_a_file_is_fetched_once(hub, tmp_path: Path) -> None:
    repository = offer(hub, {"voices/anna.pt": WEIGHTS})
    file = repository.files(HTTP_CLIENT)["voices/anna.pt"]
    told = Told()
    assert repository.fetch(file, tmp_path, told).read_bytes() == WEIGHTS
    assert told.bytes[-1] == len(WEIGHTS)
    requests = len(hub.seen)
    assert repository.fetch(file, tmp_path, Told()) == tmp_path / "voices" / "anna.pt"
    assert len(hub.seen) == requests


def test_a_broken_fetch_is_resumed(hub, tmp_path: Path) -> None:
    repository = offer(hub, {"model.pth": WEIGHTS})
    file = repository.files(HTTP_CLIENT)["model.pth"]
    path = f"/{NAME}/resolve/{REVISION}/model.pth"

    class Interrupting(Silent):
        def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repository.fetch(file, tmp_path, Interrupting())
    assert not (tmp_path / "model.pth").exists()
    assert repository.fetch(file, tmp_path, Silent()).read_bytes() == WEIGHTS
    assert [each.method for each in hub.seen if each.path == path] == ["HEAD", "GET", "HEAD", "GET"]


def test_another_content_than_the_listing_says_is_refused_and_not_kept(hub, tmp_path: Path) -> None:
    repository = offer(hub, {"model.pth": WEIGHTS}, wrong="model.pth")
    with pytest.raises(Damaged, match=r"model\.pth"):
        repository.fetch(repository.files(HTTP_CLIENT)["model.pth"], tmp_path, Silent())
    assert not (tmp_path / "model.pth").exists()


def test_a_repository_that_is_not_there_is_refused(hub) -> None:
    with pytest.raises(Refused, match="404") as caught:
        Repository(NAME, REVISION, hub.url).files(HTTP_CLIENT)
    assert "HF_ENDPOINT" in caught.value.hint


def test_a_hub_that_fails_is_retryable(hub) -> None:
    repository = offer(hub, {"model.pth": WEIGHTS})
    hub.resources[f"/api/models/{NAME}/tree/{REVISION}"].trouble = [-500] * 20
    with pytest.raises(Unreachable):
        repository.files(HTTP_CLIENT)


def test_without_a_network_the_other_source_is_named() -> None:
    with serving() as gone:
        pass
    with pytest.raises(Unreachable, match="can't be reached") as caught:
        Repository(NAME, REVISION, gone.url).files(HTTP_CLIENT)
    assert "--source packages" in caught.value.hint


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b'[{"type": "file"}]'])
def test_a_hub_with_an_invalid_answer_is_reported(hub, content: bytes) -> None:
    hub.put(f"/api/models/{NAME}/tree/{REVISION}", content)
    with pytest.raises(Unreachable, match="no listing"):
        Repository(NAME, REVISION, hub.url).files(HTTP_CLIENT)


def test_an_offline_hub_is_not_asked(hub, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE"):
        offer(hub, {}).files(HTTP_CLIENT)
    assert hub.seen == []


def test_the_hub_library_needs_no_other_import() -> None:
    with serving() as gone:
        pass
    program = (
        "from voxwire_server.models.hub import Repository\nfrom voxwire_server.models.download import HttpClient\n"
        f"Repository({NAME!r}, {REVISION!r}, {gone.url!r}).files(HttpClient((), lambda seconds: None))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": ""}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert "Unreachable: 127.0.0.1" in ended.stderr.splitlines()[-1]


def test_without_the_library_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="huggingface_hub") as caught:
        Repository(NAME, REVISION).files(HTTP_CLIENT)
    assert "voxwire[kokoro]" in caught.value.hint


def test_a_full_disk_is_not_reported_as_a_network_error(hub, tmp_path: Path, monkeypatch) -> None:
    repository = offer(hub, {"model.pth": WEIGHTS})
    file = repository.files(HTTP_CLIENT)["model.pth"]

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", full)
    with pytest.raises(OSError, match="No space left"):
        repository.fetch(file, tmp_path, Silent())

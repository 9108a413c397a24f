"""A model's folder: whole or not there, one pull at a time, nothing of somebody's own lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voxwire_server.models.manifest import Manifest, describe, models_folder, problems, read_manifest, write_manifest
from voxwire_server.models.pull import check_place, check_room, staging
from voxwire_server.models.report import Silent, Unusable, disk_errors

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from voxwire_server.models.report import Silent
from voxwire_server.models.pull import staging
with staging(Path(sys.argv[1]), "m", Silent()):
    print("held", flush=True)
    sys.stdin.read()
"""


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def fill(models: Path, content: bytes, name: str = "weights.bin") -> Manifest:
    with staging(models, "m", Silent()) as stage:
        stage.clear()
        (stage.parts / "download").write_bytes(b"download")
        (stage.whole / name).write_bytes(content)
        manifest = describe("m", "packages", {"a": "1"}, stage.whole)
        stage.publish(manifest)
    return manifest


def test_a_published_model_is_complete_and_its_downloads_are_gone(tmp_path: Path) -> None:
    manifest = fill(tmp_path / "models", b"weights")
    place = tmp_path / "models" / "m"
    assert read_manifest(place) == manifest
    assert list(problems(place, manifest)) == []
    assert manifest.size_bytes == 7
    assert sorted(each.name for each in place.parent.iterdir()) == [".m.lock", "m"]


def test_a_model_takes_the_place_of_another(tmp_path: Path) -> None:
    fill(tmp_path, b"old", "old.bin")
    fill(tmp_path, b"new", "new.bin")
    assert sorted(each.name for each in (tmp_path / "m").iterdir()) == ["manifest.json", "new.bin"]


def test_nothing_is_in_its_place_before_it_is_published(tmp_path: Path) -> None:
    with staging(tmp_path, "m", Silent()) as stage:
        stage.clear()
        (stage.parts / "download").write_bytes(b"kept")
        (stage.whole / "weights.bin").write_bytes(b"half")
    assert not (tmp_path / "m").exists()
    assert [each.name for each in (tmp_path / ".m.pull").iterdir()] == ["parts"]
    with staging(tmp_path, "m", Silent()) as stage:
        stage.clear()
        assert (stage.parts / "download").read_bytes() == b"kept"
        assert list(stage.whole.iterdir()) == []


def test_a_pull_without_downloads_leaves_nothing(tmp_path: Path) -> None:
    with staging(tmp_path, "m", Silent()) as stage:
        stage.clear()
    assert [each.name for each in tmp_path.iterdir()] == [".m.lock"]


def test_the_second_of_two_processes_waits_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert holder.stdin is not None

        class Waiting(Told):
            def note(self, text: str) -> None:
                super().note(text)
                # Nobody is inside yet: this is what lets the other one end.
                holder.stdin.close()

        told = Waiting()
        with staging(tmp_path, "m", told):
            assert holder.wait(10) == 0
    assert "another process is pulling m" in told.notes[0]


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    told = Told()
    with staging(tmp_path, "m", told):
        assert told.notes == []


# -- what is in the way -------------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    check_place(tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("mine")
    with pytest.raises(Unusable, match=r"README\.md") as caught:
        check_place(tmp_path / "m")
    assert "--path" in caught.value.hint


def test_a_file_beside_a_models_own_is_not_lost(tmp_path: Path) -> None:
    fill(tmp_path, b"weights")
    check_place(tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(Unusable, match=r"notes\.txt"):
        check_place(tmp_path / "m")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_link_is_not_replaced(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "m").write_text("mine")
    else:
        (tmp_path / "m").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unusable, match="is not a folder"):
        check_place(tmp_path / "m")


def test_a_disk_without_room_is_reported_before_anything_is_done(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(Unusable, match="no room left") as caught:
        check_room(tmp_path, 1 << 60)
    assert "--path" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (28, "no room left", "720 MB"),
        (122, "no room left", "--path"),
        (13, "can't be written", "models.path"),
        (5, "m: broken", "--path"),
    ],
)
def test_the_disks_errors_say_what_to_do(tmp_path: Path, number: int, said: str, hint: str) -> None:
    with pytest.raises(Unusable, match=said) as caught, disk_errors(tmp_path, 720_000_000):
        raise OSError(number, "broken", "m")
    assert hint in caught.value.hint


# -- the manifest -------------------------------------------------------------------------------------------------


def test_each_kind_of_damage_is_reported(tmp_path: Path) -> None:
    for name in ("right", "short", "changed", "gone"):
        (tmp_path / name).write_bytes(b"content")
    manifest = describe("m", "hub", {}, tmp_path)
    (tmp_path / "short").write_bytes(b"cont")
    (tmp_path / "changed").write_bytes(b"CONTENT")
    (tmp_path / "gone").unlink()
    assert dict(problems(tmp_path, manifest)) == {
        "short": "has 4 bytes instead of 7",
        "changed": "has the right size and another content",
        "gone": "is missing",
    }
    assert set(dict(problems(tmp_path, manifest, sizes_only=True))) == {"short", "gone"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "model": "m", "source": "s", "versions": {}, "files": {}}',
        '{"format": 1, "model": "m", "source": "s", "versions": {}, "files": {"../x": {"size": 1, "sha256": ""}}}',
        '{"format": 1, "model": "m", "source": "s", "versions": {}, "files": {"x": {}}}',
    ],
)
def test_an_invalid_manifest_is_damaged(tmp_path: Path, text: str) -> None:
    from voxwire_server.models.report import Damaged

    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Damaged, match=r"manifest\.json") as caught:
        read_manifest(tmp_path)
    assert "--force" in caught.value.hint


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    manifest = describe("m", "packages", {"npm a": "1.0"}, tmp_path)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert read_manifest(tmp_path / "nowhere") is None


# -- the place ----------------------------------------------------------------------------------------------------


def test_the_folder_is_the_chosen_one_the_environments_or_the_users_cache(tmp_path: Path) -> None:
    env = {"VOXWIRE_MODELS": "/srv/models", "XDG_CACHE_HOME": "/var/cache"}
    assert str(models_folder("/chosen", env)) == "/chosen"
    assert str(models_folder("", env)) == "/srv/models"
    assert str(models_folder(None, {"XDG_CACHE_HOME": "/var/cache"})) == "/var/cache/voxwire/models"
    assert models_folder(None, {"XDG_CACHE_HOME": "relative"}) == models_folder(None, {})
    assert models_folder("~/models", {}).is_absolute()
    assert "~" not in str(models_folder("~/models", {}))

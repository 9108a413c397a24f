"""One file over a network on which things go wrong."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fake_registries import serving
from voxwire_server.models.download import PAUSES_SECONDS, Artifact, HttpClient, fetch
from voxwire_server.models.manifest import Checksum
from voxwire_server.models.report import Damaged, Refused, Silent, Unreachable

CONTENT = random.Random(1).randbytes(700_000)
PATH = "/weights.bin"


class Pauses(list[float]):
    """Remembers each pause, and takes no time."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bytes: list[int] = []

    def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
        assert done_bytes <= total_bytes
        self.bytes.append(done_bytes)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def server():
    with serving() as registry:
        yield registry


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def http_client(pauses: Pauses) -> HttpClient:
    return HttpClient((), pauses)


def artifact(url: str, content: bytes = CONTENT, **options) -> Artifact:
    expected = Checksum.sha256(hashlib.sha256(content).hexdigest())
    return Artifact("weights.bin", url, len(content), expected, **options)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_download_leaves_the_complete_file_and_nothing_else(server, http_client, tmp_path) -> None:
    told = Told()
    target = fetch(artifact(server.put(PATH, CONTENT)), tmp_path, http_client, told)
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.bin"]
    assert told.bytes == sorted(told.bytes)
    assert told.bytes[-1] == len(CONTENT)


def test_a_complete_file_is_not_downloaded_again(server, http_client, tmp_path) -> None:
    wanted = artifact(server.put(PATH, CONTENT))
    fetch(wanted, tmp_path, http_client, Silent())
    fetch(wanted, tmp_path, http_client, Silent())
    assert len(server.seen) == 1


def test_a_complete_file_with_another_checksum_is_downloaded_again(server, http_client, tmp_path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(len(CONTENT)))
    assert fetch(artifact(server.put(PATH, CONTENT)), tmp_path, http_client, Silent()).read_bytes() == CONTENT


def test_a_broken_download_is_resumed(server, http_client, pauses, tmp_path) -> None:
    url = server.put(PATH, CONTENT, trouble=[300_000, 100_000])
    assert fetch(artifact(url), tmp_path, http_client, Silent()).read_bytes() == CONTENT
    assert server.ranges(PATH) == ["", "bytes=300000-", "bytes=400000-"]
    assert pauses == [PAUSES_SECONDS[0]] * 2


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    breaks=st.lists(st.integers(0, len(CONTENT) - 1), max_size=4),
    kept=st.integers(0, len(CONTENT)),
    ranges=st.booleans(),
)
def test_a_download_broken_anywhere_gives_the_same_content(server, tmp_path, breaks, kept, ranges) -> None:
    (tmp_path / "weights.bin").unlink(missing_ok=True)
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:kept])
    url = server.put(PATH, CONTENT, trouble=list(breaks), ranges=ranges)
    assert fetch(artifact(url), tmp_path, HttpClient((), Pauses()), Silent()).read_bytes() == CONTENT


def test_the_part_of_another_run_is_resumed(server, http_client, tmp_path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:500_000])
    fetch(artifact(server.put(PATH, CONTENT)), tmp_path, http_client, Silent())
    assert server.ranges(PATH) == ["bytes=500000-"]


@pytest.mark.parametrize("left", [b"\0" * 500_000, b"\0" * len(CONTENT), b"\0" * (len(CONTENT) + 9)])
def test_the_part_of_another_run_is_dropped_when_the_checksum_is_wrong(server, http_client, tmp_path, left) -> None:
    (tmp_path / "weights.bin.part").write_bytes(left)
    told = Told()
    assert fetch(artifact(server.put(PATH, CONTENT)), tmp_path, http_client, told).read_bytes() == CONTENT
    assert server.ranges(PATH)[-1] == ""
    assert any("wrong checksum" in note for note in told.notes)


def test_a_server_without_ranges_sends_it_all_again(server, http_client, tmp_path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:500_000])
    url = server.put(PATH, CONTENT, ranges=False)
    assert fetch(artifact(url), tmp_path, http_client, Silent()).read_bytes() == CONTENT


def test_a_server_that_answers_with_another_range_is_asked_for_everything(server, http_client, tmp_path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:500_000])
    wrong = {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}
    url = server.put(PATH, CONTENT, status=206, ranges=False, headers=wrong)
    with pytest.raises(Damaged):
        # It says 206 to a request without a range too, which is taken for what it is: everything.
        fetch(artifact(url, CONTENT + b"!"), tmp_path, http_client, Silent())
    assert server.ranges(PATH)[:2] == ["bytes=500000-", ""]


def test_another_content_is_refused_and_not_kept(server, http_client, tmp_path) -> None:
    url = server.put(PATH, CONTENT[:-1] + b"?")
    with pytest.raises(Damaged, match="another checksum") as caught:
        fetch(artifact(url), tmp_path, http_client, Silent())
    assert "PIP_INDEX_URL" in caught.value.hint
    assert names(tmp_path) == []
    assert len(server.seen) == 1


def test_a_file_that_is_too_short_is_refused(server, http_client, pauses, tmp_path) -> None:
    with pytest.raises(Damaged):
        fetch(artifact(server.put(PATH, CONTENT[:-1])), tmp_path, http_client, Silent())
    assert names(tmp_path) == []


def test_a_file_that_is_too_long_is_read_one_byte_beyond_its_size(server, http_client, tmp_path) -> None:
    told = Told()
    with pytest.raises(Damaged):
        fetch(artifact(server.put(PATH, CONTENT + bytes(5 << 20))), tmp_path, http_client, told)
    assert max(told.bytes) == len(CONTENT)


def test_a_login_page_is_called_one(server, http_client, tmp_path) -> None:
    url = server.put(PATH, b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
    with pytest.raises(Damaged, match="gave a web page") as caught:
        fetch(artifact(url), tmp_path, http_client, Silent())
    assert "login page" in caught.value.hint


@pytest.mark.parametrize(("status", "hint"), [(404, "mirror"), (401, "credentials"), (403, "credentials")])
def test_a_refusal_is_final_and_says_what_to_do(server, http_client, pauses, tmp_path, status, hint) -> None:
    url = server.put(PATH, CONTENT, trouble=[-status] * 9)
    with pytest.raises(Refused, match=str(status)) as caught:
        fetch(artifact(url), tmp_path, http_client, Silent())
    assert hint in caught.value.hint
    assert not caught.value.retryable
    assert pauses == []


def test_a_busy_server_is_asked_again(server, http_client, pauses, tmp_path) -> None:
    url = server.put(PATH, CONTENT, trouble=[-503, -429, -500])
    assert fetch(artifact(url), tmp_path, http_client, Silent()).read_bytes() == CONTENT
    assert pauses == list(PAUSES_SECONDS[:3])


def test_the_part_is_kept_when_the_server_goes_away(server, http_client, pauses, tmp_path) -> None:
    url = server.put(PATH, CONTENT, trouble=[300_000, *[0] * 9])
    told = Told()
    with pytest.raises(Unreachable, match=r"broke off at 0\.3 MB") as caught:
        fetch(artifact(url), tmp_path, http_client, told)
    assert "same command" in caught.value.hint
    assert caught.value.retryable
    assert pauses == [PAUSES_SECONDS[0], *PAUSES_SECONDS[1:]]
    assert (tmp_path / "weights.bin.part").read_bytes() == CONTENT[:300_000]
    assert names(tmp_path) == ["weights.bin.part"]


def test_without_a_network_the_address_is_named(http_client, tmp_path) -> None:
    with serving() as gone:
        url = gone.put(PATH, CONTENT)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+ can't be reached") as caught:
        fetch(artifact(url), tmp_path, http_client, Silent())
    assert "--from-folder" in caught.value.hint


def test_a_server_that_stops_sending_times_out(server, pauses, tmp_path) -> None:
    http_client = HttpClient((), pauses, timeout_seconds=0.05)
    url = server.put(PATH, CONTENT, trouble=["silent"])
    assert fetch(artifact(url), tmp_path, http_client, Silent()).read_bytes() == CONTENT
    assert len(pauses) == 1


def test_a_slow_server_may_take_longer_than_a_silence_may_last(server, pauses, tmp_path) -> None:
    http_client = HttpClient((), pauses, timeout_seconds=0.5)
    url = server.put(PATH, CONTENT, pieces=60, pause_seconds=0.01)
    assert fetch(artifact(url), tmp_path, http_client, Silent()).read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_credentials_do_not_follow_a_redirect_to_another_host(server, http_client, tmp_path) -> None:
    with serving("127.0.0.2") as storage:
        storage.put("/signed", CONTENT)
        url = server.put(PATH, b"", status=302, headers={"Location": f"{storage.url}/signed?token=1"})
        fetch(artifact(url, authorization="Basic c2VjcmV0"), tmp_path, http_client, Silent())
        assert server.seen[0].headers["authorization"] == "Basic c2VjcmV0"
        assert "authorization" not in storage.seen[0].headers


def test_a_file_on_this_machine_is_no_address(http_client, tmp_path) -> None:
    with pytest.raises(Refused, match="no address of a web server"):
        fetch(artifact("file:///etc/passwd"), tmp_path, http_client, Silent())


def test_a_full_disk_is_not_reported_as_a_network_error(server, http_client, tmp_path, monkeypatch) -> None:
    opened = Path.open

    def full(self, *arguments, **options):
        if self.suffix == ".part":
            raise OSError(28, "No space left on device")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(artifact(server.put(PATH, CONTENT)), tmp_path, http_client, Silent())
    assert caught.value.errno == 28

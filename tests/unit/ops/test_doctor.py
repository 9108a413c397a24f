"""What the doctor says of an installation."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from voxwire_server.config import AuthConfig, Config, EnginesConfig, LexiconFile, ServerConfig, TextConfig
from voxwire_server.ops import doctor
from voxwire_server.ops.doctor import Finding, PortState, Requirement, Status

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return doctor.run(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy>=2.0", Requirement("numpy", "server", "2.0")),
        ("opuslib-next-bundled>=0.1.1,<0.2", Requirement("opuslib-next-bundled", "server", "0.1.1")),
        ("hibari-tts==0.2.1", Requirement("hibari-tts", "server", "")),
        ("uvloop>=0.21; sys_platform != 'win32'", Requirement("uvloop", "server", "0.21")),
        ("pkg[extra]>=1", Requirement("pkg", "server", "1")),
    ],
)
def test_requirements_are_read_as_the_project_writes_them(line: str, expected: Requirement) -> None:
    assert doctor.parse_requirement(line, "server") == expected


def test_requirements_come_from_installed_metadata_where_there_is_no_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "CHECKOUT", tmp_path)
    lines = [
        "msgpack>=1.1",
        "numpy>=2.0; extra == 'server'",
        'uvloop>=0.21; sys_platform != "win32" and extra == "server"',
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: lines)
    assert doctor.requirements() == [
        Requirement("msgpack", "", "1.1"),
        Requirement("numpy", "server", "2.0"),
        Requirement("uvloop", "server", "0.21"),
    ]
    assert "install 'voxwire[server,hibari]'" in doctor.install_command("server")


def test_what_is_missing_comes_with_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [
        Requirement("msgpack", "", "1.1"),
        Requirement("no-such-thing", "play", ""),
        Requirement("msgpack", "hibari", "999"),
    ]
    monkeypatch.setattr(doctor, "requirements", lambda: wanted)
    found = {each.name: each for each in doctor.check_packages()}
    assert found["client"].status is Status.OK
    assert found["play"].status is Status.MISSING
    assert "no-such-thing" in found["play"].detail
    assert found["play"].fix == doctor.install_command("play")
    assert sys.executable in found["play"].fix
    assert "older than 999" in found["hibari"].detail


def test_a_client_that_lacks_something_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: [Requirement("no-such-thing", "", "")])
    assert next(iter(doctor.check_packages())).status is Status.PROBLEM


def test_a_client_only_install_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: [Requirement("no-such-thing", "server", "")])
    assert run() == 0
    printed = capsys.readouterr().out
    assert "missing  server" in printed
    assert "engine" not in printed


def test_the_doctor_itself_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import voxwire_server.ops.doctor; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "server")},
    )
    assert done.stdout.strip() == "['voxwire_server']"


def test_libopus_is_tried_not_only_found() -> None:
    assert [each.status for each in doctor.check_libopus()] == [Status.OK]


def test_an_engine_that_is_unknown_is_named_beside_those_there_are() -> None:
    config = Config(engines=EnginesConfig(enabled=("hibarri",), default="hibarri"))
    (finding,) = doctor.check_engines(config)
    assert finding.status is Status.PROBLEM
    assert "hibari" in finding.fix


def test_an_engine_that_lacks_a_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "voxwire_fake_engine", None)
    monkeypatch.setattr(doctor, "engine_entries", lambda: {"hibari": "voxwire_fake_engine:create"})
    (finding,) = doctor.check_engines(Config())
    assert finding.status is Status.PROBLEM
    assert finding.fix == doctor.install_command("hibari")


def test_an_engine_that_cannot_be_made_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unavailable(Exception):
        hint = "get the weights"

    def create() -> None:
        raise Unavailable("no weights")

    monkeypatch.setattr(doctor, "engine_entries", lambda: {"hibari": "voxwire_fake_engine:create"})
    monkeypatch.setattr("importlib.import_module", lambda _: argparse.Namespace(create=create))
    (finding,) = doctor.check_engines(Config())
    assert (finding.detail, finding.fix) == ("no weights", "get the weights")


def test_a_default_voice_that_the_engine_does_not_have_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    info = argparse.Namespace(voices=[argparse.Namespace(name="heart")], sample_rate=24_000)
    engine = argparse.Namespace(info=info)
    monkeypatch.setattr(doctor, "engine_entries", lambda: {"hibari": "voxwire_fake_engine:create"})
    monkeypatch.setattr("importlib.import_module", lambda _: argparse.Namespace(create=lambda: engine))

    def check(default_voice: str) -> Finding:
        (finding,) = doctor.check_engines(Config(engines=EnginesConfig(default_voice=default_voice)))
        return finding

    assert [check(name).status for name in ("", "heart", "hibari/heart")] == [Status.OK] * 3
    assert [check(name).status for name in ("hart", "kokoro/heart")] == [Status.PROBLEM] * 2
    assert "heart" in check("hart").fix


def test_a_free_port_is_free() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    assert doctor.probe_port("127.0.0.1", port) == (PortState.FREE, "")


class _Health(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b'{"status": "ok", "server": "voxwire"}', PortState.OURS),
        (b'{"status": "ok"}', PortState.TAKEN),
        (b"hello", PortState.TAKEN),
    ],
)
def test_a_port_in_use_shows_whether_by_a_voxwire_server(answer: bytes, state: PortState) -> None:
    with HTTPServer(("127.0.0.1", 0), type("Handler", (_Health,), {"answer": answer})) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = doctor.probe_port("127.0.0.1", server.server_port)
        thread.join()
    assert found == (state, "")


def test_an_address_that_is_not_this_machine_s_is_a_problem() -> None:
    # RFC 5737: 192.0.2.0/24 is for documentation.
    (finding,) = doctor.check_port(Config(server=ServerConfig(host="192.0.2.1", insecure=True)))
    assert finding.status is Status.PROBLEM


def test_too_few_open_files_for_the_sessions_is_a_note() -> None:
    found = {each.name: each for each in doctor.check_machine(Config(server=ServerConfig(sessions_max=10**9)))}
    assert found["open files"].status in (Status.NOTE, Status.OK)
    if found["open files"].status is Status.NOTE:
        assert found["open files"].fix == "ulimit -n 1000000064"


def test_a_readable_token_secret_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "voxwire.toml"
    file.touch(0o644)
    config = Config(auth=AuthConfig(token_secret="s" * 32), sources={"auth.token_secret": str(file)})
    (finding,) = doctor.check_secrets(config)
    assert finding.fix == f"chmod 600 {file}"
    file.chmod(0o600)
    assert list(doctor.check_secrets(config)) == []


def test_a_wrong_configuration_is_a_problem_and_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "check", lambda _: [])
    assert run("--json", "--set", "server.prot=1") == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert (finding["status"], finding["name"]) == ("problem", "configuration")
    assert "server.port" in finding["fix"]


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Finding]:
        raise RuntimeError("odd")

    monkeypatch.setattr(doctor, "check_python", broken)
    monkeypatch.setattr(doctor, "requirements", lambda: [Requirement("no-such-thing", "server", "")])
    assert doctor.check(Config())[0] == Finding(Status.PROBLEM, "doctor", "a check failed: RuntimeError: odd")


def test_the_report_aligns_names_and_puts_fixes_below() -> None:
    found = [Finding(Status.OK, "a", "fine"), Finding(Status.MISSING, "longer", "not here", "get it")]
    assert list(doctor.render(found)) == ["ok       a       fine", "missing  longer  not here", " " * 17 + "-> get it"]


def test_lexicons_are_counted_and_their_mistakes_are_found(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text('a = "b"\nc = "d"')
    (tmp_path / "bad.toml").write_text('a = "b"\nc = 3')
    files = (
        LexiconFile("good", str(tmp_path / "good.toml"), default=False),
        LexiconFile("bad", str(tmp_path / "bad.toml")),
    )
    good, bad = doctor.check_lexicons(Config(text=TextConfig(lexicons=files)))
    assert (good.status, good.name) == (Status.OK, "lexicon good")
    assert "2 entries" in good.detail
    assert (bad.status, bad.name) == (Status.PROBLEM, "lexicon bad")
    assert "bad.toml, line 2" in bad.detail

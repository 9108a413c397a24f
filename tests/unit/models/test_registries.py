"""Which registries are asked, with which credentials, and what they answer."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from support.fake_registries import bare, serving
from voxwire_server.models.download import HttpClient, without_secrets
from voxwire_server.models.manifest import Checksum
from voxwire_server.models.registries import (
    NPM,
    PYPI,
    Registry,
    authorities,
    find_in_indexes,
    find_in_npm,
    npm_registry,
    python_indexes,
)
from voxwire_server.models.report import ModelError, Refused, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def server():
    with serving() as registry:
        yield registry


@pytest.fixture
def http_client() -> HttpClient:
    return HttpClient((), lambda seconds: None)


def urls(**env: str) -> list[str]:
    return [index.url for index in python_indexes(bare(**env))]


# -- settings -----------------------------------------------------------------------------------------------------


def test_without_settings_it_is_the_public_registries() -> None:
    assert urls() == [PYPI]
    assert npm_registry(bare()) == Registry(NPM)
    assert authorities(bare()) == ()


def test_the_variables_of_pip_come_before_those_of_uv() -> None:
    env = {"UV_INDEX_URL": "https://c/simple", "UV_DEFAULT_INDEX": "corp=https://b/simple"}
    assert urls(**env) == ["https://b/simple"]
    assert urls(**env, PIP_INDEX_URL="https://a/simple/") == ["https://a/simple"]
    assert urls(UV_INDEX_URL="https://c/simple") == ["https://c/simple"]


def test_extra_indexes_are_asked_after_the_first_and_folders_not_at_all() -> None:
    extra = "file:///opt/wheels https://b/simple https://a/simple"
    assert urls(PIP_INDEX_URL="https://a/simple", PIP_EXTRA_INDEX_URL=extra) == ["https://a/simple", "https://b/simple"]
    with pytest.raises(Refused, match="no web server"):
        urls(PIP_INDEX_URL="file:///opt/wheels")


def test_pip_conf_is_read_and_the_more_important_file_wins(tmp_path: Path) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://user/simple\ncert = /user.pem\n")
    (tmp_path / "chosen.conf").write_text("[global]\nindex_url = https://chosen/simple\n[download]\ntimeout = 9\n")
    env = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": ""}
    assert urls(**env) == ["https://user/simple"]
    assert authorities(bare(**env)) == ("/user.pem",)
    assert urls(**env | {"PIP_CONFIG_FILE": str(tmp_path / "chosen.conf")}) == ["https://chosen/simple"]
    assert urls(**env, PIP_INDEX_URL="https://env/simple") == ["https://env/simple"]


def test_a_broken_pip_conf_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "broken.conf").write_text("index-url = nowhere\n[[[\n")
    assert urls(PIP_CONFIG_FILE=str(tmp_path / "broken.conf")) == [PYPI]


def test_credentials_in_an_address_are_taken_out_of_it() -> None:
    (index,) = python_indexes(bare(PIP_INDEX_URL=f"https://me%40corp:{SECRET}@pypi.corp:8443/simple/"))
    assert index == Registry("https://pypi.corp:8443/simple", basic(f"me@corp:{SECRET}"))
    assert SECRET not in repr(index)
    assert without_secrets(f"https://me:{SECRET}@host/a?signature={SECRET}") == "https://host/a"


def test_credentials_are_found_in_netrc(tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine pypi.corp login me password {SECRET}\n")
    netrc.chmod(0o600)
    (index,) = python_indexes(bare(PIP_INDEX_URL="https://pypi.corp/simple", NETRC=str(netrc)))
    assert index.authorization == basic(f"me:{SECRET}")


def test_credentials_are_for_the_registrys_own_host() -> None:
    index = Registry("https://pypi.corp/simple", "Basic x")
    assert index.authorization_for("https://pypi.corp/files/a.whl") == "Basic x"
    assert index.authorization_for("https://files.pythonhosted.org/a.whl") == ""
    assert index.authorization_for("http://pypi.corp/files/a.whl") == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("//npm.corp/:_authToken=${TOKEN}", f"Bearer {SECRET}"),
        ("//npm.corp/artifactory/npm/:_authToken=${TOKEN}", f"Bearer {SECRET}"),
        ("//npm.corp/artifactory/npm/:_auth=bWU6cw==", "Basic bWU6cw=="),
        ("//npm.corp/:username=me\n//npm.corp/:_password=czNjcmV0", basic(f"me:{SECRET}")),
        ("//other.corp/:_authToken=${TOKEN}", ""),
        ("; //npm.corp/:_authToken=${TOKEN}", ""),
    ],
)
def test_npmrc_has_the_registry_and_its_token(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / ".npmrc").write_text(
        f"# ours\nregistry = https://npm.corp/artifactory/npm/\n{line}\ncafile=/corp.pem\n"
    )
    env = bare(HOME=str(tmp_path), TOKEN=SECRET)
    assert npm_registry(env) == Registry("https://npm.corp/artifactory/npm", expected)
    assert authorities(env) == ("/corp.pem",)
    assert npm_registry(env | {"NPM_CONFIG_REGISTRY": "https://else.corp"}) == Registry("https://else.corp")


def test_every_tools_certificates_are_trusted_once() -> None:
    env = {"PIP_CERT": "/a", "REQUESTS_CA_BUNDLE": "/b", "SSL_CERT_FILE": "/a", "NODE_EXTRA_CA_CERTS": "/c"}
    assert authorities(bare(**env)) == ("/a", "/b", "/c")


def test_certificates_that_are_not_there_are_named() -> None:
    with pytest.raises(ModelError, match=r"/nonexistent\.pem") as caught:
        HttpClient(("/nonexistent.pem",), lambda seconds: None)
    assert "PIP_CERT" in caught.value.hint


# -- a Python index -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("html", [False, True])
def test_a_wheel_is_found_with_its_checksum(server, http_client, html) -> None:
    server.wheel("a-b", "a_b-1.0-py3-none-any.whl", b"wheel", html=html)
    offer = find_in_indexes(
        http_client, [Registry(f"{server.url}/simple", "Basic x")], "a-b", "a_b-1.0-py3-none-any.whl"
    )
    assert offer.url == f"{server.url}/files/a_b-1.0-py3-none-any.whl"
    assert offer.checksum == Checksum.sha256(hashlib.sha256(b"wheel").hexdigest())
    assert offer.authorization == "Basic x"
    assert server.seen[0].headers["authorization"] == "Basic x"
    assert "application/vnd.pypi.simple.v1+json" in server.seen[0].headers["accept"]


def test_the_next_index_is_asked_where_the_first_has_it_not(server, http_client) -> None:
    server.put("/empty/a/", json.dumps({"files": []}).encode(), content_type="application/vnd.pypi.simple.v1+json")
    server.wheel("a", "a-1.whl", b"wheel")
    indexes = [Registry(f"{server.url}/{each}") for each in ("nothing", "empty", "simple")]
    assert find_in_indexes(http_client, indexes, "a", "a-1.whl").url.endswith("/files/a-1.whl")
    with pytest.raises(Refused, match="/nothing/a/ answers 404"):
        find_in_indexes(http_client, indexes[:2], "a", "a-1.whl")


def test_a_version_that_a_mirror_lacks_is_named(server, http_client) -> None:
    server.wheel("a", "a-1.whl", b"wheel")
    with pytest.raises(Refused, match=r"has no a-2\.whl") as caught:
        find_in_indexes(http_client, [Registry(f"{server.url}/simple")], "a", "a-2.whl")
    assert "mirror" in caught.value.hint


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"files": [{}]}', b'{"files": null}'])
def test_an_index_with_an_invalid_answer_differs_from_one_without_the_file(server, http_client, content) -> None:
    server.put("/simple/a/", content, content_type="application/vnd.pypi.simple.v1+json")
    with pytest.raises(Unreachable, match="no index"):
        find_in_indexes(http_client, [Registry(f"{server.url}/simple")], "a", "a-1.whl")


def test_an_index_that_is_busy_is_asked_again(server) -> None:
    server.wheel("a", "a-1.whl", b"wheel")
    server.resources["/simple/a/"].trouble = [-503, -502]
    pauses: list[float] = []
    find_in_indexes(HttpClient((), pauses.append), [Registry(f"{server.url}/simple")], "a", "a-1.whl")
    assert pauses == [1.0, 2.0]


# -- npm ----------------------------------------------------------------------------------------------------------


def test_a_tarball_is_found_with_its_integrity(server, http_client) -> None:
    server.tarball("a", "1.0.0", b"tarball")
    offer = find_in_npm(http_client, Registry(f"{server.url}/npm", "Bearer t"), "a", "1.0.0")
    assert (offer.url, offer.authorization) == (f"{server.url}/npm/a/-/a-1.0.0.tgz", "Bearer t")
    assert offer.checksum is not None
    assert (offer.checksum.algorithm, len(offer.checksum.digits)) == ("sha512", 128)


def test_npms_own_address_in_a_mirrors_metadata_means_the_mirror(server, http_client) -> None:
    server.tarball("a", "1.0.0", b"tarball", host="https://registry.npmjs.org")
    assert (
        find_in_npm(http_client, Registry(f"{server.url}/npm"), "a", "1.0.0").url == f"{server.url}/npm/a/-/a-1.0.0.tgz"
    )


def test_a_version_that_the_registry_lacks_is_named(server, http_client) -> None:
    server.tarball("a", "1.0.0", b"tarball")
    with pytest.raises(Refused, match=r"no version 2\.0\.0"):
        find_in_npm(http_client, Registry(f"{server.url}/npm"), "a", "2.0.0")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"versions": {"1.0.0": {}}}'])
def test_a_registry_with_an_invalid_answer_is_reported(server, http_client, content) -> None:
    server.put("/npm/a", content)
    with pytest.raises(Unreachable, match="no package"):
        find_in_npm(http_client, Registry(f"{server.url}/npm"), "a", "1.0.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sha512-AAEC", Checksum("sha512", "000102")),
        ("sha1-AAAA sha512-AAEC?x", Checksum("sha512", "000102")),
        ("sha1-AAAA", None),
        ("sha512-%%", None),
        ("", None),
    ],
)
def test_integrity_is_read_as_the_specification_writes_it(text: str, expected: Checksum | None) -> None:
    assert Checksum.integrity(text) == expected


# -- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: apt-get install openssl")
def test_a_companys_own_authority_is_trusted_once_it_is_named(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with tls(context) as url:
        with pytest.raises(Refused, match=r"certificate of localhost:\d+ is not trusted") as caught:
            HttpClient((), lambda seconds: None).document(url, "*/*")
        assert "SSL_CERT_FILE" in caught.value.hint
        assert HttpClient((str(certificate),), lambda seconds: None).document(url, "*/*").content == b"hello"


class tls:
    """Answers each connection with "hello", in TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        import socket

        self._context = context
        self._listener = socket.create_server(("localhost", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return f"https://localhost:{self._listener.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(2)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(connection, server_side=True) as stream:
                    stream.recv(4096)
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            except OSError:
                connection.close()

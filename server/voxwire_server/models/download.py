"""Downloads one file: resumes where an attempt was broken off, and accepts only the right checksum.

Requests go through urllib, with the certificates and proxies of the system; failures of the network get hints.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from voxwire_server.models.manifest import checksum
from voxwire_server.models.report import Damaged, ModelError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from voxwire_server.models.manifest import Checksum
    from voxwire_server.models.report import Progress

TIMEOUT_SECONDS = 30.0
"""The longest time without a byte from a server; there is no bound on a whole download."""
DOCUMENT_BYTES_MAX = 64 << 20
_PAUSES_SECONDS = (1.0, 2.0)

_NETWORK_HINT = (
    "Check the network, and HTTPS_PROXY where there is a proxy. A company's mirror is named by PIP_INDEX_URL and "
    "npm_config_registry; without any network: --from-folder."
)
_CERTIFICATE_HINT = "Where a company's proxy signs certificates, name its CA file in SSL_CERT_FILE or PIP_CERT."


class HttpDocument(NamedTuple):
    """A complete response. `url` is the address after redirects."""

    url: str
    content_type: str
    content: bytes


class HttpResponse:
    """A server's answer with status 200 or 206. `url` is the address after redirects."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.url = response.url
        self.status = response.status
        self.headers = response.headers

    def read(self, size_bytes: int) -> bytes:
        """The next bytes, at most so many; none at the end.

        Raises:
            Unreachable: it breaks off.
        """
        with _named(self.url):
            return self._response.read(size_bytes)


class HttpClient:
    """HTTP requests with this machine's certificate authorities and proxies.

    `authorities`: files of certificates that are trusted beside the system's. `pause` sleeps for so many seconds.
    """

    def __init__(
        self, authorities: tuple[str, ...], pause: Callable[[float], None], timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Raises: ModelError: an authority can't be read."""
        self.pause = pause
        self._timeout_seconds = timeout_seconds
        https = urllib.request.HTTPSHandler(context=_trust(authorities))
        self._opener = urllib.request.build_opener(https)

    @contextlib.contextmanager
    def open(self, url: str, headers: Mapping[str, str], authorization: str = "") -> Iterator[HttpResponse]:
        """A server's answer, to be read inside the block.

        Raises:
            Unreachable: the server does not answer, or is busy or broken.
            Refused: its certificate is not trusted, or it does not give what was asked for.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise Refused(
                f"{without_secrets(url)} is no address of a web server", "Name one that begins with https://."
            )
        request = urllib.request.Request(url, headers={"User-Agent": _agent(), **headers})  # noqa: S310 - checked above
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        with _named(url):
            try:
                response = self._opener.open(request, timeout=self._timeout_seconds)
            except urllib.error.HTTPError as error:
                error.close()
                raise _refusal(url, error.code) from error
        with response:
            yield HttpResponse(response)

    def document(self, url: str, accept: str, authorization: str = "") -> HttpDocument:
        """A complete answer; a few attempts are made while the server does not respond.

        Raises:
            Unreachable, Refused: as `open`.
        """
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                return self._document(url, accept, authorization)
            except Unreachable:
                if pause_seconds is None:
                    raise
                self.pause(pause_seconds)
        raise AssertionError("the last attempt returns or raises")

    def _document(self, url: str, accept: str, authorization: str) -> HttpDocument:
        with self.open(url, {"Accept": accept}, authorization) as response:
            content = response.read(DOCUMENT_BYTES_MAX + 1)
            if len(content) > DOCUMENT_BYTES_MAX:
                raise Refused(
                    f"{without_secrets(url)} answers with more than {DOCUMENT_BYTES_MAX >> 20} MiB", _NETWORK_HINT
                )
            return HttpDocument(response.url, response.headers.get_content_type(), content)


class StatusRefused(Refused):
    """A server's answer was `status`."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.status = status


def without_secrets(url: str) -> str:
    """A URL that may be printed: without credentials and without a query, which may hold a signature."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    """Turn the errors of a broken connection into `Unreachable`, those of certificates into `Refused`."""
    try:
        yield
    except ModelError:
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            message = f"the certificate of {_host(url)} is not trusted: {reason.verify_message}"
            raise Refused(message, _CERTIFICATE_HINT) from error
        if isinstance(reason, TimeoutError):
            raise Unreachable(f"{_host(url)} is silent", _NETWORK_HINT) from error
        detail = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise Unreachable(f"{_host(url)} can't be reached: {detail}", _NETWORK_HINT) from error


def _refusal(url: str, status: int) -> ModelError:
    said = f"{without_secrets(url)} answers {status} {http.client.responses.get(status, '')}".rstrip()
    if status in (401, 403, 407):
        hint = "It wants credentials: in the URL of the index, in ~/.netrc, or as _authToken in ~/.npmrc."
        return StatusRefused(status, said, hint)
    if status in (408, 425, 429) or status >= 500:
        return Unreachable(said, "Try again later.")
    return StatusRefused(status, said, "Is the name of the mirror right, and does it hold this package?")


def _trust(authorities: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        # A Python without authorities of its own, such as python.org's for macOS.
        with contextlib.suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    for file in authorities:
        try:
            context.load_verify_locations(**{"capath" if Path(file).is_dir() else "cafile": file})
        except (OSError, ssl.SSLError) as error:
            message = f"the certificates in {file} can't be read: {error.strerror or error}"
            raise ModelError(message, "PIP_CERT, pip.conf, .npmrc or another setting names it.") from error
    return context


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


@functools.cache
def _agent() -> str:
    try:
        return f"voxwire/{version('voxwire')}"
    except PackageNotFoundError:
        return "voxwire"


PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Pauses before further attempts while no byte arrives; an attempt that brings bytes begins them anew."""

_BLOCK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file on a server. `authorization` is the header's value for the server's own host, empty for none."""

    name: str
    url: str
    size_bytes: int
    expected: Checksum
    authorization: str = field(default="", repr=False)


class _Restart(Exception):
    """The download has to begin from the start: the part on disk can't be resumed."""


def fetch(artifact: Artifact, folder: Path, http_client: HttpClient, progress: Progress) -> Path:
    """Have the file in `folder`, downloading what is missing. Until it is complete, it is called `NAME.part`.

    Raises:
        Unreachable: the server can't be reached, or breaks off again and again; what was received is kept.
        Refused: the server refuses to send it.
        Damaged: the file has another checksum, even when downloaded from the start; it is removed.
        OSError: the disk is full or can't be written.
    """
    target, part = folder / artifact.name, folder / f"{artifact.name}.part"
    if target.is_file() and is_whole(target, artifact):
        progress.note(f"{artifact.name}  is there already")
        return target
    kept = _size(part)
    if kept:
        progress.note(f"{artifact.name}  goes on at {kept / 1e6:.1f} MB")
    _receive(artifact, part, http_client, progress)
    if not is_whole(part, artifact) and kept:
        # The part that an earlier attempt left may be what is wrong.
        part.unlink()
        progress.note(f"{artifact.name}  has the wrong checksum; once more from the start")
        _receive(artifact, part, http_client, progress)
    if not is_whole(part, artifact):
        page = _looks_like_a_page(part)
        part.unlink()
        raise _not_it(artifact, page)
    part.replace(target)
    return target


def is_whole(file: Path, artifact: Artifact) -> bool:
    """Whether the file has the size and checksum that it must have."""
    expected = artifact.expected
    return _size(file) == artifact.size_bytes and checksum(file, expected.algorithm) == expected.digits


def _receive(artifact: Artifact, part: Path, http_client: HttpClient, progress: Progress) -> None:
    failures = 0
    while (before := _size(part)) < artifact.size_bytes:
        try:
            _attempt(artifact, part, http_client, progress)
            return
        except _Restart:
            part.unlink(missing_ok=True)
            failures += 1
            if failures > len(PAUSES_SECONDS):
                message = f"{without_secrets(artifact.url)} can't be read from the middle nor from the start"
                raise Refused(message, "Try another mirror.") from None
        except Unreachable as error:
            failures = 0 if _size(part) > before else failures
            if failures == len(PAUSES_SECONDS):
                raise
            pause_seconds = PAUSES_SECONDS[failures]
            progress.note(f"{error.message}; trying again in {pause_seconds:.0f} s")
            http_client.pause(pause_seconds)
            failures += 1


def _attempt(artifact: Artifact, part: Path, http_client: HttpClient, progress: Progress) -> None:
    """Ask for the rest of the file and append what is received.

    Raises:
        Unreachable: it broke off before the end.
    """
    start = _size(part)
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with http_client.open(artifact.url, headers, artifact.authorization) as response:
            at = _first_byte(response, start)
            end = at + int(response.headers.get("Content-Length") or artifact.size_bytes - at)
            with part.open("r+b" if at else "wb") as stream:
                stream.seek(at)
                stream.truncate()
                at = _append(response, stream, at, artifact, progress)
    except StatusRefused as error:
        if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _Restart from error
        raise
    # A server that sent all of Content-Length is not asked again: it has another file, which the checksum will show.
    if at < min(end, artifact.size_bytes):
        raise Unreachable(
            f"{without_secrets(artifact.url)} broke off at {at / 1e6:.1f} MB", "Run the same command to go on."
        )


def _append(response: HttpResponse, stream: BinaryIO, at: int, artifact: Artifact, progress: Progress) -> int:
    """Write the answer from `at` on; returns its end: one byte beyond the file's own end if the server sends more."""
    limit = artifact.size_bytes + 1
    while at < limit and (block := response.read(min(_BLOCK_BYTES, limit - at))):
        at += stream.write(block)
        progress.moved(artifact.name, min(at, artifact.size_bytes), artifact.size_bytes)
    return at


def _first_byte(response: HttpResponse, start: int) -> int:
    """Where the answer's first byte belongs: at `start`, or at 0 where the server sends the whole file."""
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise _Restart
    return start


def _not_it(artifact: Artifact, page: bool) -> Damaged:
    where = without_secrets(artifact.url)
    if page:
        return Damaged(
            f"{where} gave a web page instead of {artifact.name}",
            "It may be the login page of a proxy or of a mirror: open the address in a browser.",
        )
    expected = f"{artifact.expected.algorithm}:{artifact.expected.digits}"
    return Damaged(
        f"{artifact.name} from {where} has another checksum than {expected}",
        "The mirror, or something on the way, changed it. Take another mirror (PIP_INDEX_URL, npm_config_registry).",
    )


def _looks_like_a_page(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

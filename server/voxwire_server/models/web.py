"""An HTTP client for registries and hubs, whose errors say what to do.

Uses the standard library alone, and its proxy settings. Credentials are sent to their own host only: a redirect to a
storage provider is followed without them.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import urllib.error
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from voxwire_server.models.errors import ModelError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TIMEOUT_SECONDS = 30.0
"""The longest time without a byte from a server; there is no bound on a whole download."""
PAGE_BYTES_MAX = 64 << 20
_PAUSES_SECONDS = (1.0, 2.0)

_NETWORK_HINT = (
    "Check the network, and HTTPS_PROXY where there is a proxy. A company's mirror is named by PIP_INDEX_URL and "
    "npm_config_registry; without any network: --from-folder."
)
_CERTIFICATE_HINT = "Where a company's proxy signs certificates, name its CA file in SSL_CERT_FILE or PIP_CERT."


class Page(NamedTuple):
    """A complete answer. `url` is the address after redirects."""

    url: str
    content_type: str
    content: bytes


class Answer:
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


class Web:
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
    def answer(self, url: str, headers: Mapping[str, str], authorization: str = "") -> Iterator[Answer]:
        """A server's answer, to be read inside the block.

        Raises:
            Unreachable: the server does not answer, or is busy or broken.
            Refused: its certificate is not trusted, or it does not give what was asked for.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise Refused(f"{shown(url)} is no address of a web server", "Name one that begins with https://.")
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
            yield Answer(response)

    def page(self, url: str, accept: str, authorization: str = "") -> Page:
        """A complete answer; a few attempts are made while the server does not answer.

        Raises:
            Unreachable, Refused: as `answer`.
        """
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                return self._page(url, accept, authorization)
            except Unreachable:
                if pause_seconds is None:
                    raise
                self.pause(pause_seconds)
        raise AssertionError("the last attempt returns or raises")

    def _page(self, url: str, accept: str, authorization: str) -> Page:
        with self.answer(url, {"Accept": accept}, authorization) as answer:
            content = answer.read(PAGE_BYTES_MAX + 1)
            if len(content) > PAGE_BYTES_MAX:
                raise Refused(f"{shown(url)} answers with more than {PAGE_BYTES_MAX >> 20} MiB", _NETWORK_HINT)
            return Page(answer.url, answer.headers.get_content_type(), content)


class StatusRefused(Refused):
    """A server's answer was `status`."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.status = status


def shown(url: str) -> str:
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
    said = f"{shown(url)} answers {status} {http.client.responses.get(status, '')}".rstrip()
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

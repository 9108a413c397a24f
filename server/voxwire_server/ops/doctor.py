"""`voxwire doctor`: reports what is installed, what is missing, and the exact command that installs it.

Runs in a client-only install: it looks for everything beyond the standard library before it imports it.
"""

from __future__ import annotations

import errno
import http.client
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import socket
import sys
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from voxwire_server.config import Config, ConfigError, add_config_arguments, config_from_arguments, default_voice
from voxwire_server.machine import cores

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

DISTRIBUTION = "voxwire"
CHECKOUT = Path(__file__).parents[3]
ENGINE_GROUP = "voxwire.engines"
FREE_DISK_MIB_MIN = 200
FILES_BESIDE_SESSIONS = 64
"""Open files of a server besides one socket per session: listening sockets, libraries, logs, pipes."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_AT_LEAST = re.compile(r">=\s*([0-9.]+)")


class Status(Enum):
    """What a check found. Only a PROBLEM makes the command fail: extras that are not used may be MISSING."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fix` is a command or what else to do."""

    status: Status
    name: str
    detail: str
    fix: str = ""


class Requirement(NamedTuple):
    """A distribution that an extra needs ("" is the client); `at_least` is a version such as "2.0", or empty."""

    name: str
    extra: str
    at_least: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`voxwire doctor [--json]`, and the flags that choose a configuration."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when something is a problem."""
    config, problem = _configuration(args)
    found = [*check(config), *problem]
    if args.json:
        print(json.dumps([{**_fields(each), "status": each.status.name.lower()} for each in found], indent=2))
    else:
        print("\n".join(render(found)))
    return 1 if any(each.status is Status.PROBLEM for each in found) else 0


def check(config: Config) -> list[Finding]:
    """Every finding; what only a server needs is looked at where one is installed. A failing check is one too."""
    checks: list[Callable[[], Iterable[Finding]]] = [check_python, check_packages]
    if not lacking("server")[1]:
        checks += [
            check_libopus,
            lambda: check_engines(config),
            lambda: check_machine(config),
            lambda: check_port(config),
        ]
    if config.text.lexicons:
        checks.append(lambda: check_lexicons(config))
    found: list[Finding] = []
    for each in checks:
        try:
            found.extend(each())
        except Exception as error:  # a failing check must not hide the others
            found.append(Finding(Status.PROBLEM, "doctor", f"a check failed: {type(error).__name__}: {error}"))
    return found


def render(found: Iterable[Finding]) -> Iterator[str]:
    """The report's lines."""
    found = list(found)
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        yield f"{each.status.value:<8} {each.name:<{width}}  {each.detail}"
        if each.fix:
            yield f"{'':<8} {'':<{width}}  -> {each.fix}"


def _fields(finding: Finding) -> dict[str, str]:
    return {"name": finding.name, "detail": finding.detail, "fix": finding.fix}


def _configuration(args: argparse.Namespace) -> tuple[Config, list[Finding]]:
    try:
        config = config_from_arguments(args, os.environ, Path.cwd())
    except ConfigError as error:
        return Config(), [Finding(Status.PROBLEM, "configuration", error.message, error.hint)]
    given = ", ".join(sorted({source for source in config.sources.values() if source != "flag"})) or "defaults"
    return config, [Finding(Status.OK, "configuration", given), *check_secrets(config)]


# -- what is installed --------------------------------------------------------------------------------------------


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    where = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding(Status.OK, "python", where)


def check_packages() -> Iterator[Finding]:
    """The client, and the extras that a person may want."""
    for extra, purpose in (
        ("", "the client"),
        ("server", "running a server"),
        ("hibari", "the embedded English voice"),
        ("play", "playing audio"),
        ("formats", "MP3, AAC and FLAC for other vendors' clients"),
        ("wyoming", "Home Assistant"),
    ):
        present, lacks = lacking(extra)
        if not lacks:
            yield Finding(Status.OK, extra or "client", f"{purpose}: {', '.join(present)}")
        else:
            status = Status.MISSING if extra else Status.PROBLEM
            yield Finding(status, extra or "client", f"{purpose} lacks {', '.join(lacks)}", install_command(extra))


def lacking(extra: str) -> tuple[list[str], list[str]]:
    """An extra's requirements: those that are installed, and those that are missing or too old."""
    present, lacks = [], []
    for each in requirements():
        if each.extra != extra:
            continue
        version = _version(each.name)
        if version is None:
            lacks.append(each.name)
        elif _older(version, each.at_least):
            lacks.append(f"{each.name} {version} is older than {each.at_least}")
        else:
            present.append(f"{each.name} {version}")
    return present, lacks


def requirements() -> list[Requirement]:
    """The requirements of each extra, from the checkout's pyproject.toml or the installed distribution's metadata."""
    file = CHECKOUT / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text())["project"]
        listed = [(line, "") for line in project["dependencies"]]
        listed += [(line, extra) for extra, lines in project["optional-dependencies"].items() for line in lines]
    else:
        try:
            lines = importlib.metadata.requires(DISTRIBUTION) or []
        except importlib.metadata.PackageNotFoundError:
            lines = []
        listed = [(line, found[1] if (found := _EXTRA.search(line)) else "") for line in lines]
    return [parse_requirement(line, extra) for line, extra in listed if "!= 'win32'" not in line or os.name != "nt"]


def parse_requirement(line: str, extra: str) -> Requirement:
    """A requirement as PEP 508 writes it, as far as this project uses it."""
    found = _REQUIREMENT.match(line)
    assert found is not None, line
    at_least = _AT_LEAST.search(found[2])
    return Requirement(found[1], extra, at_least[1] if at_least else "")


def install_command(extra: str) -> str:
    """The command that installs an extra into this interpreter, from the source that voxwire was installed from."""
    extras = f"[{extra}]" if extra else ""
    if extra == "server":
        extras = "[server,hibari]"
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["uv", "pip"]
    if (CHECKOUT / "pyproject.toml").is_file():
        return shlex.join([*pip, "install", "-e", f"{CHECKOUT}{extras}"])
    return shlex.join([*pip, "install", f"{DISTRIBUTION}{extras}"])


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _older(version: str, at_least: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text)[:3]]

    return bool(at_least) and numbers(version) < numbers(at_least)


def check_libopus() -> Iterator[Finding]:
    """Whether the Opus encoder loads and encodes."""
    try:
        opus = importlib.import_module("opuslib_next")
        packet = opus.Encoder(24_000, 1, "voip").encode(bytes(960), 480)
    except Exception as error:  # a missing or broken shared library may raise anything
        fix = shlex.join([sys.executable, "-m", "pip", "install", "--force-reinstall", "opuslib-next-bundled"])
        yield Finding(Status.PROBLEM, "libopus", f"can't encode: {error}", fix)
    else:
        yield Finding(Status.OK, "libopus", f"encodes (20 ms of silence in {len(packet)} bytes)")


def check_lexicons(config: Config) -> Iterator[Finding]:
    """How many entries each lexicon has, or where its mistake is."""
    from voxwire_server.ops.lexicons import Lexicons

    for file in config.text.lexicons:
        title = f"lexicon {file.name}"
        try:
            count = Lexicons([file]).sizes[file.name]
        except ConfigError as error:
            yield Finding(Status.PROBLEM, title, error.message, error.hint)
        else:
            used = "" if file.default else ", used where a client names it"
            yield Finding(Status.OK, title, f"{file.path}: {count} entries{used}")


# -- engines ------------------------------------------------------------------------------------------------------


def check_engines(config: Config) -> Iterator[Finding]:
    """Whether each enabled engine can be made, and which voices it has."""
    for name in config.engines.enabled:
        yield _check_engine(name, config)


def _check_engine(name: str, config: Config) -> Finding:
    title = f"engine {name}"
    known = engine_entries()
    if name not in known:
        fix = f"enable one of {', '.join(sorted(known))}" if known else install_command("server")
        return Finding(Status.PROBLEM, title, "is not installed", fix)
    from voxwire_server.engines.registry import create_engine

    module, _, attribute = known[name].partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
        info: Any = create_engine(name, factory, config.models.path, config.engines.options_of(name)).info
    except ModuleNotFoundError as error:
        extra = name if any(each.extra == name for each in requirements()) else "server"
        return Finding(Status.PROBLEM, title, f"lacks {error.name}", install_command(extra))
    except Exception as error:  # an engine may fail to load with any error
        return Finding(Status.PROBLEM, title, str(error), getattr(error, "hint", ""))
    voices = [voice.name for voice in info.voices]
    if name == config.engines.default and default_voice(config.engines, voices) is None:
        fix = f"set engines.default_voice to one of {', '.join(voices[:20])}"
        return Finding(Status.PROBLEM, title, f"has no voice {config.engines.default_voice}", fix)
    shown = ", ".join(voices[:8]) + (" …" if len(voices) > 8 else "")
    return Finding(Status.OK, title, f"speaks at {info.sample_rate} Hz as {shown}")


def engine_entries() -> dict[str, str]:
    """Every engine that is installed, `module:attribute` by name; also those of a checkout that is not installed."""
    entries = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENGINE_GROUP)}
    file = CHECKOUT / "pyproject.toml"
    if file.is_file():
        entries = tomllib.loads(file.read_text())["project"]["entry-points"][ENGINE_GROUP] | entries
    return entries


# -- the machine --------------------------------------------------------------------------------------------------


def check_secrets(config: Config) -> Iterator[Finding]:
    """Whether other users can read a file that holds the token secret."""
    source = Path(config.sources.get("auth.token_secret", ""))
    if os.name == "posix" and source.is_file() and source.stat().st_mode & 0o077:
        fix = shlex.join(["chmod", "600", str(source)])
        yield Finding(Status.NOTE, "permissions", f"{source} holds auth.token_secret and others can read it", fix)


def check_machine(config: Config) -> Iterator[Finding]:
    """Cores, disk, and the limit on open files."""
    yield Finding(Status.OK, "cores", f"{cores()} for this process")
    free_mib = shutil.disk_usage(Path.cwd()).free >> 20
    status = Status.OK if free_mib >= FREE_DISK_MIB_MIN else Status.NOTE
    yield Finding(status, "disk", f"{free_mib} MiB free in {Path.cwd()}")
    if importlib.util.find_spec("resource") is None:
        return
    resource: Any = importlib.import_module("resource")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = config.server.sessions_max + FILES_BESIDE_SESSIONS
    if limit != resource.RLIM_INFINITY and limit < needed:
        detail = f"{limit} are allowed; server.sessions_max = {config.server.sessions_max} needs {needed}"
        yield Finding(Status.NOTE, "open files", detail, f"ulimit -n {needed}")
    else:
        yield Finding(Status.OK, "open files", "no limit" if limit == resource.RLIM_INFINITY else f"{limit} allowed")


class PortState(Enum):
    """Who uses the configured address."""

    FREE = "free"
    OURS = "a voxwire server is running there"
    TAKEN = "another program is listening there"
    REFUSED = "can't be listened on"


def check_port(config: Config) -> Iterator[Finding]:
    """Whether a server could listen where it is configured to."""
    host, port = config.server.host, config.server.port
    if port == 0:
        return
    state, reason = probe_port(host, port)
    where = f"{host}:{port}"
    match state:
        case PortState.FREE:
            yield Finding(Status.OK, "port", f"{where} is free")
        case PortState.OURS:
            yield Finding(Status.OK, "port", f"{where}: {state.value}")
        case PortState.TAKEN:
            yield Finding(
                Status.PROBLEM, "port", f"{where}: {state.value}", "voxwire serve --port 0, or another number"
            )
        case PortState.REFUSED:
            yield Finding(
                Status.PROBLEM, "port", f"{where} {state.value}: {reason}", "choose another with --host, --port"
            )
        case _:
            assert_never(state)


def probe_port(host: str, port: int) -> tuple[PortState, str]:
    """Try to listen at an address; where it is in use, ask whether by a voxwire server."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as attempt:
            if os.name == "posix":
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return PortState.REFUSED, error.strerror or str(error)
        return (PortState.OURS if _is_voxwire(host, port) else PortState.TAKEN), ""
    return PortState.FREE, ""


def _is_voxwire(host: str, port: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host.strip("[]"))  # noqa: S104
    connection = http.client.HTTPConnection(reachable, port, timeout=1)
    try:
        connection.request("GET", "/health")
        answer = json.loads(connection.getresponse().read(4096))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("server") == DISTRIBUTION

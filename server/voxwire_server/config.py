"""Owns what can be configured: every key, its default, its range, and the one place that reads and checks it.

A value comes from the first of: a flag, the environment, the TOML file, the default. Nothing here imports more than the
standard library, so that a client-only install can explain a configuration too.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import ipaddress
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, assert_never, get_type_hints
from urllib.parse import urlsplit

CONFIG_FILE = "voxwire.toml"
"""Read from the working directory when neither `--config` nor VOXWIRE_CONFIG names another file."""

ENV_PREFIX = "VOXWIRE_"
ENV_CONFIG_FILE = "VOXWIRE_CONFIG"
ENV_NOT_OURS = frozenset({ENV_CONFIG_FILE, "VOXWIRE_URL", "VOXWIRE_API_KEY"})
"""Variables with our prefix that hold no key: the file's path, and what the client reads."""

HASH_PREFIX = "sha256:"
TOKEN_SECRET_CHARS_MIN = 32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NODE = re.compile(r"[A-Za-z0-9]{0,32}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)(_|$)")
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class ConfigError(Exception):
    """A configuration that can't be used: `key` is the offending key ("" for a whole file), `hint` says what to do."""

    def __init__(self, message: str, key: str = "", hint: str = "") -> None:
        super().__init__(f"{message} {hint}" if hint else message)
        self.message = message
        self.key = key
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may use the server: `name` appears in logs and metrics, `hash` is `sha256:` and 64 hexadecimal digits."""

    name: str
    hash: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a key besides its type and default. `secret` values are never shown.

    `env` is the environment variable where its name is not made of the section's and the key's.
    """

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where the server listens, and for whom."""

    host: Annotated[str, Setting("Address to listen on. Beyond loopback it needs API keys, or `insecure`.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Setting("TCP port; 0 takes a free one.", 0, 65535)] = 8765
    insecure: Annotated[bool, Setting("Listen beyond loopback without API keys.")] = False
    origins: Annotated[
        tuple[str, ...],
        Setting(
            "Origins (`https://app.example.com`) of web pages that may connect beside the server's own; `*` is any."
        ),
    ] = ()
    sessions_max: Annotated[
        int, Setting("Sessions at once; one more is refused with `server.too_many_sessions`.", 1)
    ] = 1000
    unauthenticated_max: Annotated[
        int,
        Setting(
            "Connections that have shown no key yet; one more closes the oldest of them. Never more than half of the "
            "connections for which there are file descriptors.",
            1,
        ),
    ] = 1024
    unauthenticated_by_address_max: Annotated[
        int,
        Setting(
            "How many of them one address (of IPv6: one /64) may have; those of `server.proxies` have no such bound.", 1
        ),
    ] = 256
    drain_seconds: Annotated[float, Setting("How long speech under way may take to finish after SIGTERM.", 0, 3600)] = (
        30.0
    )
    notice_seconds: Annotated[
        float,
        Setting(
            "How long after SIGTERM sessions are still taken while `/ready` answers 503, before draining: a load "
            "balancer's time to see it.",
            0,
            600,
        ),
    ] = 0.0
    node: Annotated[
        str,
        Setting("Begins the name of each session, so that a load balancer finds the node it lives on."),
    ] = ""
    proxies: Annotated[
        tuple[str, ...],
        Setting("Addresses or networks of load balancers, whose `X-Forwarded-For` is believed."),
    ] = ("127.0.0.1", "::1")
    metrics_public: Annotated[bool, Setting("Serve `/metrics` without an API key.")] = False
    page: Annotated[bool, Setting("Serve the page at `/`, where one types a text and hears it.")] = True
    log_level: Annotated[
        str, Setting("The least severe log records that are written.", choices=("debug", "info", "warning", "error"))
    ] = "info"
    watchdog_ms: Annotated[
        int,
        Setting(
            "Milliseconds for which one piece of work may hold the event loop before its stack is logged; 0: never.",
            0,
            60_000,
        ),
    ] = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """API keys, and the short-lived tokens that browsers use in their place."""

    keys: Annotated[
        tuple[ApiKey, ...],
        Setting("API keys, a table of name = hash; `voxwire key NAME` makes one. Without any, this machine is let in."),
    ] = ()
    token_ttl_seconds: Annotated[int, Setting("How long a browser token can open sessions.", 1, 86_400)] = 300
    token_secret: Annotated[
        str,
        Setting(
            f"Signs browser tokens: at least {TOKEN_SECRET_CHARS_MIN} characters, the same on servers that share them. "
            "Empty: a new one at each start.",
            secret=True,
        ),
    ] = ""
    failures_per_minute: Annotated[
        int, Setting("Wrong keys or tokens from one address before they are answered with `client.rate_limited`.", 1)
    ] = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds of one session, and of all that one key or address has open. Characters are Unicode code points."""

    message_bytes_max: Annotated[int, Setting("Longest message.", 1024, 16 << 20)] = 1 << 20
    contexts_max: Annotated[int, Setting("Open contexts.", 1, 65_535)] = 32
    text_chars_max: Annotated[int, Setting("Characters of one `text` message.", 1)] = 20_000
    unspoken_chars_max: Annotated[int, Setting("Characters accepted and not yet spoken, by context.", 1)] = 50_000
    context_chars_max: Annotated[int, Setting("Characters in the whole life of a context.", 1)] = 200_000
    outbox_bytes_max: Annotated[
        int, Setting("Bytes waiting for a slow reader before the session ends with `client.slow_reader`.", 64 << 10)
    ] = 4 << 20
    slow_reader_seconds: Annotated[
        float, Setting("How long a client may leave its socket full before the session ends so too.", 0.1, 600)
    ] = 10.0
    messages_per_second: Annotated[
        float, Setting("Sustained rate of messages; beyond it they are read more slowly.", 1)
    ] = 400.0
    messages_burst: Annotated[int, Setting("Messages that may come at once above that rate.", 1)] = 2000
    bad_messages_max: Annotated[
        int, Setting("Mistaken messages in `bad_messages_seconds` before the session ends with `client.abuse`.", 1)
    ] = 100
    bad_messages_seconds: Annotated[float, Setting("The time over which they are counted.", 0.1)] = 10.0
    heartbeat_ms: Annotated[int, Setting("Longest silence of the server while a context is open.", 100, 60_000)] = 5000
    session_bytes_max: Annotated[
        int,
        Setting(
            "Bytes of memory that one session may hold (text, audio to be sent, what may have to be sent again) before "
            "text is refused with `client.text_buffer_full` and audio is made only as it is sent.",
            1 << 20,
        ),
    ] = 16 << 20
    account_bytes_max: Annotated[
        int,
        Setting(
            "The same for all sessions of one API key; only sessions with more than an equal part of it are refused.",
            1 << 20,
        ),
    ] = 1 << 30
    hold_seconds: Annotated[
        float, Setting("How long a context may be held before it ends with `client.hold_expired`.", 1)
    ] = 300.0
    account_share: Annotated[
        float,
        Setting("Part of `server.sessions_max` that one of several API keys can have while others have none.", 0.01, 1),
    ] = 0.8
    address_share: Annotated[
        float,
        Setting("The same for one address where no keys are configured; this machine's own may have all.", 0.01, 1),
    ] = 0.8
    sessions_per_second: Annotated[
        float,
        Setting("Sessions that one key (or address, without several keys) may open each second, sustained.", 0.1),
    ] = 100.0
    sessions_burst: Annotated[
        int,
        Setting(
            "Sessions that it may open at once above that rate; one more is refused with `client.rate_limited`.", 1
        ),
    ] = 1000
    idle_seconds: Annotated[float, Setting("A session with nothing open and no message for so long is closed.", 1)] = (
        600.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeConfig:
    """What survives a dropped connection."""

    window_seconds: Annotated[
        float, Setting("How long a session waits for its client to come back; 0: not at all.", 0, 3600)
    ] = 30.0
    replay_seconds: Annotated[
        float, Setting("How long what was sent is kept for a client that does not acknowledge it.", 0, 600)
    ] = 30.0
    replay_bytes_max: Annotated[int, Setting("How much of it is kept, by session.", 0, 64 << 20)] = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """How audio is paced and encoded where the client does not say."""

    lead_ms: Annotated[int, Setting("How far sending runs ahead of the listener in realtime pacing.", 0, 30_000)] = 500
    burst_frames: Annotated[
        int, Setting("Audio frames that leave in one write once speech has started; more cost less CPU.", 1, 100)
    ] = 10
    opus_complexity: Annotated[int, Setting("libopus complexity: 10 sounds best, 0 costs a third.", 0, 10)] = 5
    opus_bitrate: Annotated[int, Setting("Opus bits a second.", 6000, 510_000)] = 24_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingConfig:
    """How much speech is taken on."""

    cpu_workers: Annotated[int, Setting("Threads for engines on the CPU; 0 is one for each core.", 0, 1024)] = 0
    utilisation_max: Annotated[
        float,
        Setting(
            "Share of the workers that realtime listeners may need before the next is refused; 100: never.", 0.05, 100
        ),
    ] = 0.9
    queue_seconds_max: Annotated[
        float,
        Setting("Work that may be waiting ahead of a new listener's first clause before it is refused.", 0.01, 60),
    ] = 1.0
    hang_seconds: Annotated[
        float,
        Setting(
            "Seconds after which an engine's step counts as hung and its thread is replaced; never before 20 times the "
            "time predicted for it.",
            0.1,
            3600,
        ),
    ] = 30.0


@dataclass(frozen=True, slots=True)
class EngineOption:
    """What an engine is told beyond the rest: `name` and `value` are the engine's own."""

    engine: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesConfig:
    """Which models speak."""

    enabled: Annotated[tuple[str, ...], Setting("Engines to load, by entry point name.")] = ("hibari",)
    default: Annotated[str, Setting("The engine that speaks when a client names no voice.")] = "hibari"
    default_voice: Annotated[str, Setting("The voice of that engine to use; empty is its first.")] = ""
    options: Annotated[
        tuple[EngineOption, ...],
        Setting(
            "What an engine can be told of its own, a table of engine.option = value; its documentation names them."
        ),
    ] = ()

    def options_of(self, engine: str) -> dict[str, str]:
        """The options of one engine, by name."""
        return {each.name: each.value for each in self.options if each.engine == engine}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """Where the weights of models lie that are not inside a package."""

    path: Annotated[
        str,
        Setting(
            "Folder that `voxwire models pull` fills and engines read; empty is `voxwire/models` in the user's cache, "
            "`~/.cache`.",
            env="VOXWIRE_MODELS",
        ),
    ] = ""


VENDORS = ("elevenlabs", "openai", "cartesia", "deepgram", "gpt-sovits", "cosyvoice")
"""Whose clients are served over HTTP and WebSocket; Wyoming has a port of its own."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a voice or a model. `name` may hold the wildcards `*` and `?`."""

    name: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatConfig:
    """The endpoints of other vendors, for clients that already exist."""

    enabled: Annotated[
        tuple[str, ...],
        Setting(f"Vendors whose endpoints are served: {', '.join(VENDORS)}."),
    ] = VENDORS
    lead_ms: Annotated[
        int,
        Setting(
            "How far audio is sent ahead of the listener on their WebSockets. Generation runs 3 s ahead: beyond that "
            "audio comes in bursts with pauses between, which Pipecat takes for the end after 3 s.",
            0,
            30_000,
        ),
    ] = 3_000
    elevenlabs_alignment: Annotated[
        str,
        Setting(
            "Whether ElevenLabs' character times count from each `chunk` or from the start of the `context`.",
            choices=("chunk", "context"),
        ),
    ] = "chunk"
    wyoming_host: Annotated[str, Setting("Address of the Wyoming protocol (Home Assistant); it has no keys.")] = (
        "127.0.0.1"
    )
    wyoming_port: Annotated[int, Setting("TCP port of the Wyoming protocol, usually 10200; 0: none.", 0, 65535)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasesConfig:
    """Other names for what there is; they come before the built-in ones. `*` stands for every name."""

    voices: Annotated[tuple[Alias, ...], Setting("Voices by another name, a table of alias = voice.")] = ()
    models: Annotated[tuple[Alias, ...], Setting("Engines by a vendor's model name, a table of alias = engine.")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that is configured, checked. `sources` tells where each value that is no default came from, by key."""

    server: ServerConfig = field(default_factory=ServerConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    resume: ResumeConfig = field(default_factory=ResumeConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    scheduling: SchedulingConfig = field(default_factory=SchedulingConfig)
    engines: EnginesConfig = field(default_factory=EnginesConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    compat: CompatConfig = field(default_factory=CompatConfig)
    aliases: AliasesConfig = field(default_factory=AliasesConfig)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


class Kind(Enum):
    """The types a value can have. The value is how the documentation names it."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    SWITCH = "true or false"
    TEXTS = "list"
    KEYS = "table"
    ALIASES = "table of names"
    OPTIONS = "table by engine"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `name` is `section.field`, `env` its environment variable."""

    name: str
    env: str
    kind: Kind
    default: object
    setting: Setting


class _Given(NamedTuple):
    value: object
    source: str


_KINDS: Mapping[object, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.SWITCH,
    tuple[str, ...]: Kind.TEXTS,
    tuple[ApiKey, ...]: Kind.KEYS,
    tuple[Alias, ...]: Kind.ALIASES,
    tuple[EngineOption, ...]: Kind.OPTIONS,
}

SECTIONS: Mapping[str, type[Any]] = {
    "server": ServerConfig,
    "auth": AuthConfig,
    "limits": LimitsConfig,
    "resume": ResumeConfig,
    "audio": AudioConfig,
    "scheduling": SchedulingConfig,
    "engines": EnginesConfig,
    "models": ModelsConfig,
    "compat": CompatConfig,
    "aliases": AliasesConfig,
}


def _keys_of(section: str, owner: type[Any]) -> list[Key]:
    hints = get_type_hints(owner, include_extras=True)
    keys = []
    for each in dataclasses.fields(owner):
        kind, setting = hints[each.name].__origin__, hints[each.name].__metadata__[0]
        env = setting.env or f"{ENV_PREFIX}{section}_{each.name}".upper()
        keys.append(Key(f"{section}.{each.name}", env, _KINDS[kind], each.default, setting))
    return keys


KEYS: Mapping[str, Key] = {key.name: key for section, owner in SECTIONS.items() for key in _keys_of(section, owner)}
"""Every key there is, by name, in the order of the documentation."""


# -- reading ------------------------------------------------------------------------------------------------------


def load_config(
    file: Path | None = None, env: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> Config:
    """Put a configuration together from a TOML file, the environment and flags (by key name; None is not given).

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or is out of range, or values contradict each other.
    """
    given = _from_file(file) if file is not None else {}
    given |= _from_env(env or {})
    given |= _from_flags(flags or {})
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, each in given.items():
        section, _, attribute = name.partition(".")
        values[section][attribute] = _value(KEYS[name], each)
    sources = {name: each.source for name, each in given.items()}
    config = Config(**{name: owner(**values[name]) for name, owner in SECTIONS.items()}, sources=sources)
    _check(config)
    return config


def find_config_file(chosen: str | Path | None, env: Mapping[str, str], directory: Path) -> Path | None:
    """The file to read: the chosen one, the one VOXWIRE_CONFIG names, `voxwire.toml` in `directory`, or none."""
    named = chosen or env.get(ENV_CONFIG_FILE)
    if named:
        return Path(named)
    default = directory / CONFIG_FILE
    return default if default.is_file() else None


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a command the flags that choose and override a configuration; `config_from_arguments` reads them."""
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE", help=f"TOML file (default: ./{CONFIG_FILE} if there is one)")
    group.add_argument("--host", help="address to listen on")
    group.add_argument("--port", help="TCP port to listen on; 0 takes a free one")
    group.add_argument("--insecure", action="store_true", default=None, help="listen beyond loopback without API keys")
    group.add_argument("--log-level", choices=KEYS["server.log_level"].setting.choices)
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any other key, such as limits.contexts_max=8"
    )


def config_from_arguments(args: argparse.Namespace, env: Mapping[str, str], directory: Path) -> Config:
    """The configuration that a command with `add_config_arguments` was asked to use.

    Raises:
        ConfigError: as `load_config`, or `--set` has no `=`.
    """
    flags: dict[str, object] = {}
    for assignment in args.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment} has no value.", name, "Write --set KEY=VALUE.")
        flags[name.strip()] = value.strip()
    named = {"host": args.host, "port": args.port, "insecure": args.insecure, "log_level": args.log_level}
    flags |= {f"server.{name}": value for name, value in named.items() if value is not None}
    return load_config(find_config_file(args.config, env, directory), env, flags)


def _from_file(file: Path) -> dict[str, _Given]:
    try:
        with file.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.", hint="Name another with --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from error
    given = {}
    for section, table in document.items():
        if section not in SECTIONS:
            raise ConfigError(f"{file} has an unknown section [{section}].", section, _nearest(section, SECTIONS))
        if not isinstance(table, dict):
            raise ConfigError(f"{section} in {file} must be a section.", section, f"Write [{section}].")
        for attribute, value in table.items():
            name = f"{section}.{attribute}"
            _known(name, str(file))
            given[name] = _Given(value, str(file))
    return given


def _from_env(env: Mapping[str, str]) -> dict[str, _Given]:
    names = {key.env: key.name for key in KEYS.values()}
    given = {}
    for variable, value in env.items():
        if not variable.startswith(ENV_PREFIX) or variable in ENV_NOT_OURS or _is_service_link(variable, value):
            continue
        if variable not in names:
            raise ConfigError(f"The environment has an unknown key {variable}.", variable, _nearest(variable, names))
        given[names[variable]] = _Given(value, variable)
    return given


def _is_service_link(variable: str, value: str) -> bool:
    """True for what Kubernetes and Docker inject for a service called voxwire-something: VOXWIRE_SERVER_PORT=tcp://…"""
    link = variable.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
    return link or _SERVICE_LINK.search(variable) is not None


def _from_flags(flags: Mapping[str, object]) -> dict[str, _Given]:
    given = {}
    for name, value in flags.items():
        if value is not None:
            _known(name, "flags")
            given[name] = _Given(value, "flag")
    return given


def _known(name: str, source: str) -> None:
    if name not in KEYS:
        raise ConfigError(f"Unknown key {name} ({source}).", name, _nearest_key(name))


def _nearest_key(name: str) -> str:
    """The nearest key by its field, whatever its section."""
    attributes = {known.rpartition(".")[2]: known for known in KEYS}
    near = difflib.get_close_matches(name.rpartition(".")[2], attributes, n=1)
    return f"Did you mean {attributes[near[0]]}?" if near else "See `voxwire config` for every key."


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]}?" if near else "See `voxwire config` for every key."


# -- one value ----------------------------------------------------------------------------------------------------


def _value(key: Key, given: _Given) -> object:
    try:
        value = _convert(key.kind, given.value)
        _check_range(key, value)
    except ValueError as error:
        hidden = key.setting.secret or key.kind is Kind.KEYS
        shown = "" if hidden else f" = {given.value!r}"
        raise ConfigError(f"{key.name}{shown} ({given.source}) {error}.", key.name) from error
    return value


def _convert(kind: Kind, raw: object) -> object:
    match kind:
        case Kind.TEXT:
            if not isinstance(raw, str):
                raise ValueError("must be text")
            return raw.strip()
        case Kind.INTEGER:
            return _integer(raw)
        case Kind.NUMBER:
            return _number(raw)
        case Kind.SWITCH:
            switch = _SWITCHES.get(raw.strip().lower()) if isinstance(raw, str) else raw
            if not isinstance(switch, bool):
                raise ValueError("must be true or false")
            return switch
        case Kind.TEXTS:
            return _texts(raw)
        case Kind.KEYS:
            return _api_keys(raw)
        case Kind.ALIASES:
            return _aliases(raw)
        case Kind.OPTIONS:
            return _options(raw)
        case _:
            assert_never(kind)


def _integer(raw: object) -> int:
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            raise ValueError("must be a whole number") from None
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise ValueError("must be a whole number")
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError("must be a number")
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be finite")
    return number


def _texts(raw: object) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list of texts (in the environment: separated by commas)")
    return tuple(part.strip() for part in parts if part.strip())


def _api_keys(raw: object) -> tuple[ApiKey, ...]:
    if isinstance(raw, tuple) and all(isinstance(each, ApiKey) for each in raw):
        pairs = [(each.name, each.hash) for each in raw]
    elif isinstance(raw, Mapping):
        pairs = list(raw.items())
    elif isinstance(raw, str):
        pairs = [_named(part, "name=hash,name=hash") for part in raw.split(",") if part.strip()]
    else:
        raise ValueError("must be a table of name = hash (in the environment: name=hash,name=hash)")
    for name, digest in pairs:
        _check_api_key(name, digest)
    for column in zip(*pairs, strict=True):
        if len(set(column)) < len(column):
            raise ValueError("has the same name or the same hash twice")
    return tuple(ApiKey(name, digest) for name, digest in pairs)


def _aliases(raw: object) -> tuple[Alias, ...]:
    if isinstance(raw, tuple) and all(isinstance(each, Alias) for each in raw):
        pairs: list[tuple[Any, Any]] = [(each.name, each.target) for each in raw]
    elif isinstance(raw, Mapping):
        pairs = list(raw.items())
    elif isinstance(raw, str):
        pairs = [_named(part, "alias=name,alias=name") for part in raw.split(",") if part.strip()]
    else:
        raise ValueError("must be a table of alias = name (in the environment: alias=name,alias=name)")
    for pair in pairs:
        if not all(isinstance(side, str) and side.strip() for side in pair):
            raise ValueError("must be a table of alias = name, neither of them empty")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("has the same alias twice")
    return tuple(Alias(name, target) for name, target in pairs)


def _options(raw: object) -> tuple[EngineOption, ...]:
    shape = "engine.option=value,engine.option=value"
    if isinstance(raw, tuple) and all(isinstance(each, EngineOption) for each in raw):
        found: list[EngineOption] = list(raw)
    elif isinstance(raw, Mapping):
        found = [EngineOption(*each) for each in _options_in(raw)]
    elif isinstance(raw, str):
        pairs = [_named(part, shape) for part in raw.split(",") if part.strip()]
        found = [EngineOption(*name.rpartition(".")[::2], value) for name, value in pairs]
    else:
        raise ValueError(f"must be a table of engine.option = value (in the environment: {shape})")
    if not all(each.engine and each.name and each.value for each in found):
        raise ValueError("must be a table of engine.option = value, none of them empty")
    if len({(each.engine, each.name) for each in found}) < len(found):
        raise ValueError("has the same option twice")
    return tuple(found)


def _options_in(table: Mapping[str, object]) -> Iterable[tuple[str, str, str]]:
    """Engine, option and value of a table of tables, or of names with a dot in quotes."""
    for name, value in table.items():
        inner = value if isinstance(value, Mapping) else {name.rpartition(".")[2]: value}
        engine = name if isinstance(value, Mapping) else name.rpartition(".")[0]
        for option, chosen in inner.items():
            if isinstance(chosen, bool):
                yield engine, option, "on" if chosen else "off"
            elif isinstance(chosen, str | int | float):
                yield engine, option, str(chosen).strip()
            else:
                raise ValueError(f"has for {engine}.{option} something else than a text, a number, true or false")


def _named(part: str, shape: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals:
        raise ValueError(f"must be {shape}")
    return name.strip(), value.strip()


def _check_api_key(name: object, digest: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("has a name that is not 1 to 64 letters, digits, dots, dashes or underscores")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise ValueError(
            f"has for {name} something else than {HASH_PREFIX} and 64 hexadecimal digits: `voxwire key {name}`"
        )


def _check_range(key: Key, value: object) -> None:
    setting = key.setting
    if setting.choices and value not in setting.choices:
        raise ValueError(f"must be one of {', '.join(setting.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if setting.minimum is not None and value < setting.minimum:
            raise ValueError(f"must be at least {setting.minimum:.10g}")
        if setting.maximum is not None and value > setting.maximum:
            raise ValueError(f"must be at most {setting.maximum:.10g}")


# -- the whole ----------------------------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """True when nobody beyond this machine can reach `host` (a name or an address, IPv6 with or without brackets)."""
    name = host.removeprefix("[").removesuffix("]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def check_config(config: Config) -> None:
    """Check a configuration as a whole.

    Raises:
        ConfigError: values contradict each other.
    """
    _check(config)


def _check(config: Config) -> None:
    server, limits = config.server, config.limits
    if not is_loopback(server.host) and not config.auth.keys and not server.insecure:
        raise ConfigError(
            f"server.host = {server.host!r} is open to other machines, and there are no API keys.",
            "server.host",
            "Make a key with `voxwire key NAME`, or pass --insecure if everybody who can reach this port may use it.",
        )
    for origin in server.origins:
        _check_origin(origin)
    if not _NODE.fullmatch(server.node):
        raise ConfigError(f"server.node = {server.node!r} must be letters and digits, at most 32.", "server.node")
    for proxy in server.proxies:
        _check_proxy(proxy)
    if config.auth.token_secret and len(config.auth.token_secret) < TOKEN_SECRET_CHARS_MIN:
        raise ConfigError(
            f"auth.token_secret must have at least {TOKEN_SECRET_CHARS_MIN} characters.",
            "auth.token_secret",
            "`openssl rand -hex 32` makes one.",
        )
    for smaller, larger in (("text_chars_max", "unspoken_chars_max"), ("unspoken_chars_max", "context_chars_max")):
        if getattr(limits, smaller) > getattr(limits, larger):
            raise ConfigError(f"limits.{larger} must be at least limits.{smaller}.", f"limits.{larger}")
    if limits.outbox_bytes_max < limits.message_bytes_max:
        raise ConfigError(
            "limits.outbox_bytes_max must be at least limits.message_bytes_max.", "limits.outbox_bytes_max"
        )
    _check_engines(config.engines)
    for vendor in config.compat.enabled:
        if vendor not in VENDORS:
            raise ConfigError(f"compat.enabled has {vendor!r}. {_nearest(vendor, VENDORS)}", "compat.enabled")
    if config.compat.wyoming_port and not is_loopback(config.compat.wyoming_host) and not server.insecure:
        raise ConfigError(
            f"compat.wyoming_host = {config.compat.wyoming_host!r} is open to other machines, and Wyoming has no keys.",
            "compat.wyoming_host",
            "Pass --insecure if everybody who can reach that port may use it.",
        )


def _check_engines(engines: EnginesConfig) -> None:
    if not engines.enabled:
        raise ConfigError("engines.enabled is empty: nothing could speak.", "engines.enabled")
    if engines.default not in engines.enabled:
        raise ConfigError(
            f"engines.default = {engines.default!r} is not in engines.enabled.",
            "engines.default",
            f"Enabled are: {', '.join(engines.enabled)}.",
        )
    for option in engines.options:
        if option.engine not in engines.enabled:
            raise ConfigError(
                f"engines.options has {option.engine}.{option.name}, and {option.engine!r} is not in engines.enabled.",
                "engines.options",
                f"Enabled are: {', '.join(engines.enabled)}.",
            )


def _check_origin(origin: str) -> None:
    if origin == "*":
        return
    try:
        parts = urlsplit(origin)
        whole = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ConfigError(
            f"server.origins has {origin!r}, which is no origin.",
            "server.origins",
            "Write scheme, host and port only: https://app.example.com or http://localhost:3000.",
        )


def _check_proxy(proxy: str) -> None:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise ConfigError(
            f"server.proxies has {proxy!r}, which is no address.",
            "server.proxies",
            "Write an address or a network: 10.0.0.5 or 10.0.0.0/24.",
        ) from None


# -- showing ------------------------------------------------------------------------------------------------------


def render_config(config: Config) -> str:
    """The configuration as TOML, each value with where it came from; secrets hidden, key hashes shortened."""
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for key in KEYS.values():
            owner, _, attribute = key.name.partition(".")
            if owner == section:
                value = getattr(getattr(config, section), attribute)
                source = config.sources.get(key.name, "default")
                lines.append(f"{attribute} = {render_value(key, value)}  # {source}")
        lines.append("")
    return "\n".join(lines)


def render_value(key: Key, value: Any) -> str:
    """A value as TOML writes it."""
    match key.kind:
        case Kind.TEXT:
            return '"(hidden)"' if key.setting.secret and value else _quote(value)
        case Kind.INTEGER | Kind.NUMBER:
            return repr(value)
        case Kind.SWITCH:
            return "true" if value else "false"
        case Kind.TEXTS:
            return f"[{', '.join(_quote(each) for each in value)}]"
        case Kind.KEYS:
            shown = [f"{_quote(each.name)} = {_quote(each.hash[:15] + '…')}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case Kind.ALIASES:
            shown = [f"{_quote(each.name)} = {_quote(each.target)}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case Kind.OPTIONS:
            shown = [f"{_quote(f'{each.engine}.{each.name}')} = {_quote(each.value)}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case _:
            assert_never(key.kind)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Owns every configuration key: its type, default, range and meaning. Knows nothing of where values come from."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, get_type_hints

ENV_PREFIX = "VOXWIRE_"
HASH_PREFIX = "sha256:"
TOKEN_SECRET_CHARS_MIN = 32


class ConfigError(Exception):
    """A configuration that can't be used: `key` is the offending key ("" for a whole file), `hint` says what to do."""

    def __init__(self, message: str, key: str = "", hint: str = "") -> None:
        super().__init__(f"{message} {hint}" if hint else message)
        self.message = message
        self.key = key
        self.hint = hint


def nearest_name(name: str, names: Iterable[str]) -> str:
    """A hint for an unknown name: the one of `names` that is most like it, or where all of them are listed."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]}?" if near else "See `voxwire config` for every key."


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: `name` appears in logs and metrics, `hash` is `sha256:` and 64 hexadecimal digits."""

    name: str
    hash: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a key besides its type and default. Values of a `secret` key are never shown.

    `env` is the environment variable, where it is not VOXWIRE_SECTION_KEY.
    """

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where the server listens, which pages and proxies it trusts, and how many connections it takes."""

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
    page: Annotated[bool, Setting("Serve the page at `/`, which speaks the text that is typed into it.")] = True
    log_level: Annotated[
        str, Setting("The least severe log records that are written.", choices=("debug", "info", "warning", "error"))
    ] = "info"
    watchdog_ms: Annotated[
        int,
        Setting(
            "Milliseconds for which one callback may hold the event loop before its stack is logged; 0: never.",
            0,
            60_000,
        ),
    ] = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """API keys, and the short-lived tokens that browsers use in their place."""

    keys: Annotated[
        tuple[ApiKey, ...],
        Setting(
            "API keys, a table of name = hash; `voxwire key NAME` makes one. Without any, only this machine connects."
        ),
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
    """How long a session survives a dropped connection, and how much of it is sent again."""

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

    lead_ms: Annotated[int, Setting("How far sending runs ahead of playout in realtime pacing.", 0, 30_000)] = 500
    burst_frames: Annotated[
        int, Setting("Audio frames that leave in one write once speech has started; more cost less CPU.", 1, 100)
    ] = 10
    opus_complexity: Annotated[int, Setting("libopus complexity: 10 sounds best, 0 costs a third.", 0, 10)] = 5
    opus_bitrate: Annotated[int, Setting("Opus bits a second.", 6000, 510_000)] = 24_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingConfig:
    """How much speech is admitted, and when a worker counts as hung."""

    cpu_workers: Annotated[int, Setting("Threads for engines on the CPU; 0 is one for each core.", 0, 1024)] = 0
    utilisation_max: Annotated[
        float,
        Setting("Share of the workers that active streams may need before the next is refused; 100: never.", 0.05, 100),
    ] = 0.9
    queue_seconds_max: Annotated[
        float,
        Setting("Work that may be waiting ahead of a new stream's first clause before it is refused.", 0.01, 60),
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
    """An option of one engine: the engine defines `name` and `value`."""

    engine: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesConfig:
    """Which engines are loaded, and which one speaks by default."""

    enabled: Annotated[tuple[str, ...], Setting("Engines to load, by entry point name.")] = ("hibari",)
    default: Annotated[str, Setting("The engine that speaks when a client names no voice.")] = "hibari"
    default_voice: Annotated[
        str, Setting("The voice of that engine to use, as `voice` or `engine/voice`; empty is its first.")
    ] = ""
    fallback: Annotated[
        str,
        Setting(
            "Whose voices speak text in a language that a context's voice does not read: no others (`off`: it is left "
            "out with a warning), its `engine`'s, or `any` engine's of the same sample rate and timing.",
            choices=("off", "engine", "any"),
        ),
    ] = "engine"
    options: Annotated[
        tuple[EngineOption, ...],
        Setting("Options of single engines, a table of engine.option = value; each engine's documentation names them."),
    ] = ()

    def options_of(self, engine: str) -> dict[str, str]:
        """The options of one engine, by name."""
        return {each.name: each.value for each in self.options if each.engine == engine}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """The folder of model weights that are not inside a Python package."""

    path: Annotated[
        str,
        Setting(
            "Folder that `voxwire models pull` fills and engines read; empty is `voxwire/models` in the user's cache, "
            "`~/.cache`.",
            env="VOXWIRE_MODELS",
        ),
    ] = ""


BREAKS = ("break", "pause")
"""How pauses may be written in text that is no SSML."""


@dataclass(frozen=True, slots=True)
class LexiconFile:
    """A file of pronunciations. `default`: it is used where a client names no lexicon, too."""

    name: str
    path: str
    default: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """How text is read aloud."""

    breaks: Annotated[
        tuple[str, ...],
        Setting(
            'How pauses may be written in text that is not SSML: `break` is `<break time="2s"/>`, `pause` is '
            "`[pause:1s]`. What is not listed is no pause."
        ),
    ] = BREAKS
    skip: Annotated[
        tuple[str, ...],
        Setting(
            "Names of blocks that are not spoken, a model's reasoning and its calls of tools: `think` is "
            "`<think>…</think>`, `[THINK]…[/THINK]` and `◁think▷…◁/think▷`. One that does not end takes all the rest."
        ),
    ] = ("think", "thinking", "reasoning", "scratchpad", "tool_call", "function_calls")
    lexicons: Annotated[
        tuple[LexiconFile, ...],
        Setting(
            "Files of pronunciations (TOML or PLS); later ones win. Each is a path, relative to the configuration's "
            "file, or a table of `path`, `name` (else the file's name without its ending) and `default` (false: used "
            "only where a client names it)."
        ),
    ] = ()


VENDORS = ("elevenlabs", "openai", "cartesia", "deepgram", "gpt-sovits", "cosyvoice")
"""Vendors whose clients are served over HTTP and WebSocket; Wyoming has a port of its own."""


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
            "How far audio is sent ahead of playout on their WebSockets. Generation runs 3 s ahead: beyond that "
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
    """Other names of voices and engines; they come before the built-in ones. `*` stands for every name."""

    voices: Annotated[tuple[Alias, ...], Setting("Voices by another name, a table of alias = voice.")] = ()
    models: Annotated[tuple[Alias, ...], Setting("Engines by a vendor's model name, a table of alias = engine.")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked. `sources` says where each value that is not a default was given, by key."""

    server: ServerConfig = field(default_factory=ServerConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    resume: ResumeConfig = field(default_factory=ResumeConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    scheduling: SchedulingConfig = field(default_factory=SchedulingConfig)
    engines: EnginesConfig = field(default_factory=EnginesConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    text: TextConfig = field(default_factory=TextConfig)
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
    LEXICONS = "list of files"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `name` is `section.field`, `env` its environment variable."""

    name: str
    env: str
    kind: Kind
    default: object
    setting: Setting


_KINDS: Mapping[object, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.SWITCH,
    tuple[str, ...]: Kind.TEXTS,
    tuple[ApiKey, ...]: Kind.KEYS,
    tuple[Alias, ...]: Kind.ALIASES,
    tuple[EngineOption, ...]: Kind.OPTIONS,
    tuple[LexiconFile, ...]: Kind.LEXICONS,
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
    "text": TextConfig,
    "compat": CompatConfig,
    "aliases": AliasesConfig,
}


def _keys_of(section: str, config_class: type[Any]) -> list[Key]:
    hints = get_type_hints(config_class, include_extras=True)
    keys = []
    for each in dataclasses.fields(config_class):
        kind, setting = hints[each.name].__origin__, hints[each.name].__metadata__[0]
        env = setting.env or f"{ENV_PREFIX}{section}_{each.name}".upper()
        keys.append(Key(f"{section}.{each.name}", env, _KINDS[kind], each.default, setting))
    return keys


KEYS: Mapping[str, Key] = {key.name: key for section, cls in SECTIONS.items() for key in _keys_of(section, cls)}
"""Every key there is, by name, in the order of the documentation."""

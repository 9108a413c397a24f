"""Checks a configuration as a whole: values that contradict each other, addresses and origins that are none."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voxwire_server.config.schema import BREAKS, TOKEN_SECRET_CHARS_MIN, VENDORS, ConfigError, nearest_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.config.schema import CompatConfig, Config, EnginesConfig, LimitsConfig, ServerConfig

_BLOCK = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_NODE = re.compile(r"[A-Za-z0-9]{0,32}")


def is_loopback(host: str) -> bool:
    """True when no other machine can reach `host` (a name or an address, IPv6 with or without brackets)."""
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
        ConfigError: values contradict each other, or one is no address or origin.
    """
    _check_server(config)
    if config.auth.token_secret and len(config.auth.token_secret) < TOKEN_SECRET_CHARS_MIN:
        raise ConfigError(
            f"auth.token_secret must have at least {TOKEN_SECRET_CHARS_MIN} characters.",
            "auth.token_secret",
            "`openssl rand -hex 32` makes one.",
        )
    _check_limits(config.limits)
    _check_engines(config.engines)
    _check_compat(config.compat, config.server)
    for way in config.text.breaks:
        if way not in BREAKS:
            raise ConfigError(f"text.breaks has {way!r}. {nearest_name(way, BREAKS)}", "text.breaks")
    for name in config.text.skip:
        if not _BLOCK.fullmatch(name):
            raise ConfigError(
                f"text.skip has {name!r}, which is no name of a block.", "text.skip", "Write `think` for `<think>`."
            )


def default_voice(engines: EnginesConfig, voices: Sequence[str]) -> str | None:
    """Which of `voices`, the default engine's, `engines.default_voice` names; None where there is no such voice.

    It may be written as `voice` or as `engine/voice`. The first of `voices` stands for none configured.
    """
    if not engines.default_voice:
        return voices[0]
    # A plain name comes first: it may begin like the engine's.
    for name in (engines.default_voice, engines.default_voice.removeprefix(f"{engines.default}/")):
        if name in voices:
            return name
    return None


def _check_server(config: Config) -> None:
    server = config.server
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


def _check_limits(limits: LimitsConfig) -> None:
    for smaller, larger in (("text_chars_max", "unspoken_chars_max"), ("unspoken_chars_max", "context_chars_max")):
        if getattr(limits, smaller) > getattr(limits, larger):
            raise ConfigError(f"limits.{larger} must be at least limits.{smaller}.", f"limits.{larger}")
    if limits.outbox_bytes_max < limits.message_bytes_max:
        raise ConfigError(
            "limits.outbox_bytes_max must be at least limits.message_bytes_max.", "limits.outbox_bytes_max"
        )


def _check_compat(compat: CompatConfig, server: ServerConfig) -> None:
    for vendor in compat.enabled:
        if vendor not in VENDORS:
            raise ConfigError(f"compat.enabled has {vendor!r}. {nearest_name(vendor, VENDORS)}", "compat.enabled")
    if compat.wyoming_port and not is_loopback(compat.wyoming_host) and not server.insecure:
        raise ConfigError(
            f"compat.wyoming_host = {compat.wyoming_host!r} is open to other machines, and Wyoming has no keys.",
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

"""The server's configuration: what can be set, where values come from, what is refused.

Needs the standard library alone, so that a client-only install can show and check a configuration too.
"""

from voxwire_server.config.checks import check_config, default_voice, is_loopback
from voxwire_server.config.loading import (
    add_config_arguments,
    config_from_arguments,
    find_config_file,
    load_config,
    render_config,
    render_value,
)
from voxwire_server.config.schema import (
    HASH_PREFIX,
    KEYS,
    SECTIONS,
    VENDORS,
    Alias,
    ApiKey,
    AudioConfig,
    AuthConfig,
    CompatConfig,
    Config,
    ConfigError,
    EnginesConfig,
    Key,
    LexiconFile,
    LimitsConfig,
    ServerConfig,
    TextConfig,
)

__all__ = [
    "HASH_PREFIX",
    "KEYS",
    "SECTIONS",
    "VENDORS",
    "Alias",
    "ApiKey",
    "AudioConfig",
    "AuthConfig",
    "CompatConfig",
    "Config",
    "ConfigError",
    "EnginesConfig",
    "Key",
    "LexiconFile",
    "LimitsConfig",
    "ServerConfig",
    "TextConfig",
    "add_config_arguments",
    "check_config",
    "config_from_arguments",
    "default_voice",
    "find_config_file",
    "is_loopback",
    "load_config",
    "render_config",
    "render_value",
]

"""Decides which settings can change while the server runs, and catches SIGHUP, which asks for it.

A reloaded configuration is merged into the current one key by key. A key that can't change keeps its value and is
reported.
The result is checked as a whole before it is in force, so removing keys never opens a server to other machines. Only
the standard library is imported, because SIGHUP is caught before anything heavy is loaded.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.config import KEYS, SECTIONS, ConfigError, check_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from voxwire_server.config import Config

CHANGEABLE_SECTIONS = frozenset({"auth", "limits", "resume", "aliases", "text"})
"""Every key of these is read when it is used, or when a session or a connection begins."""

CHANGEABLE_KEYS = frozenset(
    {
        "server.origins",
        "server.sessions_max",
        "server.unauthenticated_max",
        "server.unauthenticated_by_address_max",
        "server.drain_seconds",
        "server.notice_seconds",
        "server.metrics_public",
        "server.log_level",
        "audio.lead_ms",
        "audio.burst_frames",
        "audio.opus_bitrate",
        "compat.lead_ms",
        "compat.elevenlabs_alignment",
    }
)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration after a reload, and the names (never the values) of keys that changed."""

    config: Config
    changed: tuple[str, ...]
    """Configuration keys that are in force with another value now."""
    restart: tuple[str, ...]
    """Configuration keys that have another value and need a restart."""
    added: tuple[str, ...]
    """API keys that are new, or have another hash."""
    revoked: tuple[str, ...]
    """API keys that are gone, or have another hash."""

    def __str__(self) -> str:
        """For the log."""
        parts = [f"changed: {', '.join(self.changed) or 'nothing'}"]
        for word, names in (("keys added", self.added), ("keys revoked", self.revoked)):
            parts += [f"{word}: {', '.join(names)}"] if names else []
        return "; ".join(parts)


def changeable(name: str) -> bool:
    """Whether a key can change while the server runs."""
    return name in CHANGEABLE_KEYS or name.partition(".")[0] in CHANGEABLE_SECTIONS


def reloaded(old: Config, given: Config) -> Reloaded:
    """`old` with everything of `given` that can change.

    Raises:
        ConfigError: the result contradicts itself, or all API keys of a server that has some would be gone.
    """
    if old.auth.keys and not given.auth.keys:
        raise ConfigError(
            "All API keys are gone.", "auth.keys", "A server that asks for keys is opened by a restart alone."
        )
    differing = [name for name in KEYS if _value(old, name) != _value(given, name)]
    changed = tuple(filter(changeable, differing))
    sections = {}
    for section in SECTIONS:
        values = {name.partition(".")[2]: _value(given, name) for name in changed if name.startswith(f"{section}.")}
        sections[section] = dataclasses.replace(getattr(old, section), **values)
    kept = {name: source for name, source in old.sources.items() if not changeable(name)}
    sources = kept | {name: source for name, source in given.sources.items() if changeable(name)}
    config = dataclasses.replace(old, **sections, sources=sources)
    check_config(config)
    before, after = set(old.auth.keys), set(config.auth.keys)
    return Reloaded(
        config,
        changed,
        restart=tuple(name for name in differing if not changeable(name)),
        added=tuple(sorted(key.name for key in after - before)),
        revoked=tuple(sorted(key.name for key in before - after)),
    )


def _value(config: Config, name: str) -> object:
    section, _, attribute = name.partition(".")
    return getattr(getattr(config, section), attribute)


class Hangups:
    """Catches SIGHUP, which does not end the process from `catch` on. A signal before `listen` is kept until then."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None
        self._pending = False

    def catch(self) -> None:
        """Begin, in the main thread, as early as possible. Does nothing on systems without this signal."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self._received)

    def listen(self, callback: Callable[[], None]) -> None:
        """Call `callback`, from the signal handler, at each SIGHUP."""
        self._callback = callback
        if self._pending:
            self._pending = False
            callback()

    def _received(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._callback is None:
            self._pending = True
        else:
            self._callback()

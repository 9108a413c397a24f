"""Owns the directory of voices: which voice a name or an alias stands for, which is the default, and whether its engine
takes one more listener."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.mixing import mix_name, parse_mix
from voxwire_server.ops.aliases import Aliases
from voxwire_server.session.ports import ResolvedVoice

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.admission import Refusal
    from voxwire_server.speech import Voice


class Admission(Protocol):
    """Whether an engine takes one more listener; answers at once."""

    def admission(self, engine: str, *, bulk: bool, session_id: Hashable = None, account: str = "") -> Refusal | None:
        """None, or why not and when to try again."""


class VoiceDirectory:
    """Voices by name, `voice` or `engine/voice`. The default engine's voices win where two engines share a name."""

    def __init__(
        self,
        engines: Mapping[str, EngineInfo],
        default_engine: str,
        default_voice: str,
        admission: Admission,
        aliases: Aliases | None = None,
    ):
        self._engines = engines
        self._admission = admission
        self._voices: dict[str, Voice] = {}
        names = [default_engine, *(name for name in engines if name != default_engine)]
        for name in names:
            for voice in engines[name].voices:
                self._voices.setdefault(voice.name, voice)
                self._voices[f"{name}/{voice.name}"] = voice
        self.default = self._voices.get(default_voice) or engines[default_engine].voices[0]
        self.aliases = aliases or Aliases()
        """May be replaced at any time."""

    def resolve(self, voice: str | None, language: str | None) -> ResolvedVoice:
        """See `voxwire_server.session.ports.Directory`."""
        found = self.default if voice is None else self.find(voice) or self._mixture(voice)
        if found is None:
            known = sorted(name for name in self._voices if "/" not in name)
            raise VoxwireError(
                ErrorCode.UNKNOWN_VOICE,
                f"there is no voice {voice!r}",
                details={"field": "voice", "voices": known[:100]},
            )
        return ResolvedVoice(self._engines[found.engine], found, _language(found, language))

    def find(self, name: str) -> Voice | None:
        """The voice of a name or an alias; None where there is none."""
        voice = self._voices.get(name)
        if voice is None:
            target = self.aliases.target(name)
            if target is not None:
                # A built-in alias stands for whatever speaks by default.
                voice = self._voices.get(target) if target else self.default
        return voice

    def _mixture(self, name: str) -> Voice | None:
        """A voice made of several of one engine, which has the languages of the one that weighs most."""
        try:
            parts = parse_mix(name)
        except ValueError as error:
            raise VoxwireError(ErrorCode.INVALID_FIELD, f"voice: {error}", details={"field": "voice"}) from error
        if parts is None:
            return None
        found = [voice for each, _ in parts if (voice := self.find(each)) is not None]
        if len(found) < len(parts):
            return None
        if len({voice.engine for voice in found}) > 1 or not self._engines[found[0].engine].mixes:
            raise VoxwireError(
                ErrorCode.INVALID_FIELD, f"the voices of {name!r} can't be mixed", details={"field": "voice"}
            )
        shares = [share for _, share in parts]
        heaviest = found[shares.index(max(shares))]
        named = tuple((voice.name, share) for voice, share in zip(found, shares, strict=True))
        return replace(heaviest, name=mix_name(named), description="mixed")

    def admit(
        self,
        engine: str,
        *,
        bulk: bool,
        now: float,  # noqa: ARG002 - see Runner's clock
        session: str,
        account: str,
    ) -> None:
        """See `voxwire_server.session.ports.Directory`."""
        refusal = self._admission.admission(engine, bulk=bulk, session_id=session, account=account)
        if refusal is not None:
            raise VoxwireError(
                ErrorCode.ENGINE_OVERLOADED,
                f"engine {engine} has no room for one more listener: {refusal.reason}",
                retry_after_ms=refusal.retry_after_ms,
            )


def _language(voice: Voice, language: str | None) -> str:
    """The voice's own language, or the one asked for if the voice speaks it; "en" stands for every "en-…"."""
    if language is None:
        return voice.languages[0]
    wanted = language.lower()
    for tag in voice.languages:
        if tag.lower() == wanted or tag.lower().split("-")[0] == wanted or tag.lower() == wanted.split("-")[0]:
            return tag
    raise VoxwireError(
        ErrorCode.UNSUPPORTED_LANGUAGE,
        f"voice {voice.name!r} does not speak {language!r}",
        details={"field": "language", "languages": list(voice.languages)},
    )

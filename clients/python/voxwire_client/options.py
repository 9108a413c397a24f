"""The options of `speak` and `context`, and the `start` and `configure` messages made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict

from voxwire_protocol import messages as m


class SpeakOptions(TypedDict, total=False):
    """How to speak. Everything left out, or None, is the server's choice.

    `audio` sets codec, sample_rate, frame_ms and bitrate at once; one that is given beside it overrides it. `lead_ms`
    goes with `pacing`. `context` names the context (1 to 64 characters); by default each gets a fresh name.

    `format="ssml"`: the text is SSML, in pieces of any size.
    `lexicon` says how words are said ({"kubectl": "kube control", "Nguyen": {"ipa": "wɪn"}}); `lexicons` names
    lexicons of the server.

    `codec="auto"` is PCM, and Opus once the link was measured to be too narrow for PCM: frames are Opus packets then,
    as `Started` says. `adapt` asks for lower bitrates (Opus) and longer leads while audio comes too late.
    """

    voice: str | None
    language: str | None
    speed: float | None
    codec: m.Codec | Literal["auto"] | None
    sample_rate: int | None
    frame_ms: int | None
    bitrate: int | None
    audio: m.AudioRequest | None
    timings: Iterable[m.TimingKind] | None
    pacing: m.PacingRequest | m.PacingMode | None
    lead_ms: int | None
    priority: m.Priority | None
    seed: int | None
    format: m.TextFormat | None
    lexicon: Mapping[str, str | m.Pronunciation | dict[str, Any]] | None
    lexicons: Iterable[str] | None
    context: str | None
    adapt: bool


KNOWN = frozenset(SpeakOptions.__annotations__)


def start(options: SpeakOptions, default_context: str, *, narrow: bool = False) -> m.Start:
    """The `start` that asks for `options`; `narrow` decides for Opus where the codec is "auto".

    Raises:
        TypeError: there is no such option.
        ValueError: a context can't have such a name.
    """
    unknown = sorted(set(options) - KNOWN)
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(sorted(KNOWN))}")
    context = options.get("context") or default_context
    if not 0 < len(context) <= m.CONTEXT_CHARS_MAX or not is_unicode(context):
        raise ValueError(f"a context's name has 1 to {m.CONTEXT_CHARS_MAX} characters")
    timings, lexicons = options.get("timings"), options.get("lexicons")
    return m.Start(
        context=context,
        voice=options.get("voice"),
        language=options.get("language"),
        speed=options.get("speed"),
        audio=_audio(options, narrow),
        timings=None if timings is None else tuple(timings),
        pacing=_pacing(options),
        priority=options.get("priority"),
        seed=options.get("seed"),
        format=options.get("format"),
        lexicon=_lexicon(options),
        lexicons=None if lexicons is None else tuple(lexicons),
    )


def _lexicon(options: SpeakOptions) -> dict[str, str | m.Pronunciation] | None:
    given = options.get("lexicon")
    if given is None:
        return None
    return {word: m.Pronunciation(**said) if isinstance(said, dict) else said for word, said in given.items()}


def _audio(options: SpeakOptions, narrow: bool) -> m.AudioRequest | None:
    whole = options.get("audio") or m.AudioRequest()
    codec = options.get("codec") or whole.codec
    sample_rate = options.get("sample_rate") or whole.sample_rate
    bitrate = options.get("bitrate") or whole.bitrate
    if codec == "auto":
        codec = "opus" if narrow else None
        if sample_rate is not None and narrow:
            sample_rate = min((rate for rate in m.OPUS_RATES if rate >= sample_rate), default=m.OPUS_RATES[-1])
        bitrate = bitrate if narrow else None
    audio = m.AudioRequest(
        codec=codec,
        sample_rate=sample_rate,
        frame_ms=options.get("frame_ms") or whole.frame_ms,
        bitrate=bitrate,
    )
    return None if audio == m.AudioRequest() else audio


def _pacing(options: SpeakOptions) -> m.PacingRequest | None:
    requested, lead_ms = options.get("pacing"), options.get("lead_ms")
    pacing = m.PacingRequest(mode=requested) if isinstance(requested, str) else requested or m.PacingRequest()
    if lead_ms is not None:
        pacing = replace(pacing, lead_ms=lead_ms)
    return None if pacing == m.PacingRequest() else pacing


def configure(
    context: str, *, bitrate: int | None, pacing: m.PacingMode | None, lead_ms: int | None
) -> m.Configure | None:
    """The `configure` that asks for a change; None where none is asked for."""
    audio = None if bitrate is None else m.BitrateRequest(bitrate=bitrate)
    requested = None if pacing is None and lead_ms is None else m.PacingRequest(mode=pacing, lead_ms=lead_ms)
    if audio is None and requested is None:
        return None
    return m.Configure(context=context, audio=audio, pacing=requested)


def configured(start: m.Start, change: m.Configure) -> m.Start:
    """`start` with the changes of a `configure` merged into it."""
    audio, pacing = start.audio, start.pacing
    if change.audio is not None and change.audio.bitrate is not None:
        audio = replace(audio or m.AudioRequest(), bitrate=change.audio.bitrate)
    if change.pacing is not None:
        former = pacing or m.PacingRequest()
        lead_ms = former.lead_ms if change.pacing.lead_ms is None else change.pacing.lead_ms
        pacing = m.PacingRequest(mode=change.pacing.mode or former.mode, lead_ms=lead_ms)
    return replace(start, audio=audio, pacing=pacing)


def same_again(start: m.Start, started: m.Started) -> m.Start:
    """`start` with the voice and format that the server granted, so that another server speaks with the same."""
    granted, requested = started.audio, start.audio or m.AudioRequest()
    audio = m.AudioRequest(
        codec=granted.codec,
        sample_rate=granted.sample_rate,
        frame_ms=granted.frame_ms,
        bitrate=requested.bitrate or granted.bitrate,
    )
    return replace(start, voice=started.voice, audio=audio)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

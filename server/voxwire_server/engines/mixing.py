"""Names of voice mixtures, such as "af_heart:0.6+am_adam:0.4": voices with weights, joined by plus signs."""

from __future__ import annotations

import math

VOICES_MAX = 8
_SHARE_DIGITS = 4


def parse_mix(name: str) -> tuple[tuple[str, float], ...] | None:
    """The voices and their shares, which add up to 1, sorted by name; None if `name` is a single voice's.

    A voice without a weight weighs 1.

    Raises:
        ValueError: a weight is not above 0, a voice comes twice, or there are more than eight.
    """
    if "+" not in name and ":" not in name:
        return None
    weights: dict[str, float] = {}
    for part in name.split("+"):
        voice, colon, weight = part.strip().partition(":")
        voice = voice.strip()
        if not voice or voice in weights:
            raise ValueError(f"{voice or 'an empty name'} can't be in a mixture{' twice' if voice else ''}")
        weights[voice] = _weight(weight) if colon else 1.0
    if len(weights) > VOICES_MAX:
        raise ValueError(f"a mixture has at most {VOICES_MAX} voices")
    total = sum(weights.values())
    return tuple(sorted((voice, weight / total) for voice, weight in weights.items()))


def mix_name(parts: tuple[tuple[str, float], ...]) -> str:
    """The canonical name of a mixture."""
    return "+".join(f"{voice}:{share:.{_SHARE_DIGITS}g}" for voice, share in parts)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"{text.strip() or 'nothing'} is no weight above 0")
    return weight

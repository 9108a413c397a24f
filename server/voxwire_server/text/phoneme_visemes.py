"""Owns which mouth shapes a phoneme has, by its IPA alone. Knows nothing of time or of neighbouring phonemes.

The classes are those of articulatory phonetics (the IPA chart of 2020); which of the fifteen shapes stands for a class
is Oculus LipSync's, the mixtures between shapes are this project's own.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from voxwire_protocol.visemes import AA, CH, DD, FF, KK, NN, PP, RR, SIL, SS, TH, E, I, O, U

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxwire_server.speech import Pose


@dataclass(frozen=True, slots=True)
class PhonemeVisemes:
    """The poses of a phoneme, in order; more than one for diphthongs. No poses: it is not spoken (a mark, a space).

    `share` is the weight of a consonant's pose; the rest is that of the vowel beside it. Vowels and closures have all.
    `closure`: lips, or lip and teeth, meet, whatever comes before or after. `rounded`: the move to it begins early.
    """

    poses: tuple[Pose, ...]
    vowel: bool = False
    closure: bool = False
    rounded: bool = False
    share: float = 1.0
    stressed: bool = False


def blend(parts: Iterable[tuple[Pose, float]]) -> Pose:
    """A mixture of poses, in whole hundredths that add up to 1. The parts' shares add up to 1."""
    mixed: dict[int, float] = {}
    for pose, share in parts:
        for id, weight in pose:
            mixed[id] = mixed.get(id, 0.0) + 100.0 * weight * share
    whole = {id: int(weight + 1e-9) for id, weight in mixed.items()}
    by_remainder = sorted(mixed, key=lambda id: (whole[id] - mixed[id], id))
    for id in by_remainder[: 100 - sum(whole.values())]:
        whole[id] += 1
    return tuple((id, whole[id] / 100) for id in sorted(whole) if whole[id])


@lru_cache(maxsize=4096)
def visemes_of(ipa: str) -> PhonemeVisemes:
    """The visemes of an IPA symbol, or of misaki's and espeak's spellings of one; never fails.

    Stress, length, tone, ties and diacritics may stand in it. Several vowels are a diphthong, several consonants an
    affricate, and a vowel with consonants (a Mandarin final) passes through all of them. An unknown letter is a
    neutral, slightly open mouth.
    """
    stressed = "ˈ" in ipa
    letters = [c for c in unicodedata.normalize("NFD", ipa) if _is_letter(c)]
    if not letters:
        return PhonemeVisemes((_NEUTRAL,), vowel=True) if any(c.isnumeric() for c in ipa) else PhonemeVisemes(())
    if len(letters) == 1 and letters[0] in _MISAKI:
        letters = list(_MISAKI[letters[0]])
    parts = [_letter(c) for c in letters]
    if len(parts) == 1:
        only = parts[0]
        return (
            only
            if not stressed
            else PhonemeVisemes(only.poses, only.vowel, only.closure, only.rounded, only.share, True)
        )
    if any(part.vowel for part in parts):
        poses = [pose for part in parts for pose in part.poses]
        poses = [pose for k, pose in enumerate(poses) if k == 0 or pose != poses[k - 1]]
        return PhonemeVisemes(tuple(poses[:3]), vowel=True, rounded=parts[0].rounded, stressed=stressed)
    return parts[-1]


def _is_letter(character: str) -> bool:
    """Spacing modifiers (Lm: stress, length, aspiration) are none, but for misaki's small schwa."""
    category = unicodedata.category(character)
    return category[0] == "L" and (category != "Lm" or character in _LETTERS)


def _letter(letter: str) -> PhonemeVisemes:
    known = _LETTERS.get(letter) or _LETTERS.get(letter.lower())
    return known if known is not None else PhonemeVisemes((_NEUTRAL,), vowel=True)


def _pose(**weights: int) -> Pose:
    ids = {"sil": SIL, "PP": PP, "FF": FF, "TH": TH, "DD": DD, "kk": KK, "CH": CH, "SS": SS, "nn": NN, "RR": RR}
    ids |= {"aa": AA, "E": E, "I": I, "O": O, "U": U}
    return blend([(((ids[name], 1.0),), weight / 100) for name, weight in weights.items()])


def _spread(table: Mapping[str, PhonemeVisemes]) -> dict[str, PhonemeVisemes]:
    return {letter: each for letters, each in table.items() for letter in letters.split()}


def _vowel(*, rounded: bool = False, **weights: int) -> PhonemeVisemes:
    return PhonemeVisemes((_pose(**weights),), vowel=True, rounded=rounded)


def _consonant(share: float, *, rounded: bool = False, **weights: int) -> PhonemeVisemes:
    return PhonemeVisemes((_pose(**weights),), share=share, rounded=rounded)


_NEUTRAL = _pose(aa=35, E=35, sil=30)
# misaki's English letters that stand for two (https://github.com/hexgrad/misaki/blob/main/EN_PHONES.md).
_MISAKI = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ"}

_LETTERS = _spread(
    {
        "p b m ɓ ʙ": PhonemeVisemes((_pose(PP=100),), closure=True),
        "f v ɱ": PhonemeVisemes((_pose(FF=100),), closure=True),
        # Lips that come near each other without meeting: Japanese f, Spanish b between vowels, Hindi v.
        "ɸ": _consonant(0.8, FF=40, U=60),
        "β": _consonant(0.65, PP=100),
        "ʋ": _consonant(0.7, FF=100),
        "θ ð": _consonant(0.8, TH=100),
        "t d ʈ ɖ ɗ ǀ": _consonant(0.6, DD=100),
        "ɾ ɽ": _consonant(0.4, DD=100),
        "k ɡ g ŋ x ɣ q ɢ χ ɰ ɴ ɠ ħ ʕ ʁ ʀ": _consonant(0.45, kk=100),
        "c ɟ ʝ": _consonant(0.5, kk=60, I=40),
        # Breath and glottal stop do not move the lips.
        "h ɦ ʔ ɧ": _consonant(0.1, kk=100),
        "ʃ ʒ ʂ ʐ ʧ ʤ ꭧ ꭦ": _consonant(0.85, CH=100, rounded=True),
        "ɕ ʑ ʨ ʥ": _consonant(0.8, CH=75, I=25),
        "s z ʦ ʣ": _consonant(0.8, SS=100),
        "n ɳ l ɫ ɭ ɬ ɮ ʟ ɺ": _consonant(0.55, nn=100),
        "ɲ ʎ": _consonant(0.6, nn=70, I=30),
        "ɹ ɻ": _consonant(0.75, RR=100, rounded=True),
        "r": _consonant(0.55, RR=60, DD=40),
        "j": _consonant(0.75, I=100),
        "w ʍ": _consonant(0.9, U=100, rounded=True),
        "ɥ": _consonant(0.85, U=70, I=30, rounded=True),
        "i": _vowel(I=100),
        "ɪ ᵻ ɨ": _vowel(I=70, E=30),
        "e": _vowel(E=70, I=30),
        "ɛ": _vowel(E=100),
        "æ": _vowel(aa=60, E=40),
        "a ɑ": _vowel(aa=100),
        "ɐ ʌ": _vowel(aa=80, E=20),
        "ə ᵊ": _vowel(aa=35, E=35, sil=30),
        "ɘ": _vowel(E=70, sil=30),
        "ɜ": _vowel(E=55, RR=45),
        "ɝ ɚ": _vowel(RR=65, E=35, rounded=True),
        "ɒ ɶ": _vowel(O=55, aa=45, rounded=True),
        "ɔ": _vowel(O=80, aa=20, rounded=True),
        "o": _vowel(O=100, rounded=True),
        "ɤ": _vowel(E=60, O=40),
        "ø ɵ": _vowel(O=60, E=40, rounded=True),
        "œ ɞ": _vowel(O=45, E=55, rounded=True),
        "ʊ": _vowel(U=70, O=30, rounded=True),
        "u": _vowel(U=100, rounded=True),
        "ʉ": _vowel(U=90, I=10, rounded=True),
        "y ʏ": _vowel(U=70, I=30, rounded=True),
        # Japanese u: the lips are compressed, not pushed forward.
        "ɯ": _vowel(I=60, U=40),
    }
)

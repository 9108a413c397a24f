"""Turns phonemes with times into moves of the mouth: co-articulation. One `Articulator` per context. Pure; no clock.

Every phoneme has a pose that is reached at its first sample and kept for a while; the move to the next one begins
before that one does (anticipation). What may not be early is bounded by what was said and sent before:

    phoneme          ð    ə   |    b    |     ɜ      |  ɹ
    pose         ___/ \\__/ \\__/¯¯¯¯¯¯¯¯¯\\___/¯¯¯¯¯¯\\__/
                              reached at b's first sample, left just before its last
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from voxwire_server.speech import CLOSED, Move
from voxwire_server.text.phoneme_visemes import PhonemeVisemes, blend, visemes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.speech import Pose

Timed = tuple[str, int, int]
"""IPA, its first sample and the one after its last, on the context's clock."""

# Seconds. How early the mouth sets out: lips meet quickly, and are rounded well before the sound (Benguerel and Cowan,
# Phonetica 30, 1974: rounding begins with the consonants before the vowel).
ANTICIPATION = 0.08
ANTICIPATION_CLOSURE = 0.06
ANTICIPATION_ROUNDED = 0.12
ANTICIPATION_FROM_REST = 0.1
# A closure opens with its burst, in its last moments and the next sound's first.
RELEASE = 0.015
OPENING = 0.04
# A silence that is shorter is no rest for the mouth; the mouth closes this slowly.
SILENCE = 0.15
CLOSING = 0.12
CLOSING_LEAST = 0.08
# A vowel of this length is fully formed even without stress.
FULL_VOWEL = 0.1
# An aligner counts part of a pause to the phoneme before it: the mouth rests after this long.
LONGEST_VOWEL = 0.45
LONGEST_CONSONANT = 0.25
# Vowels farther away than this do not colour a consonant.
REACH_OF_VOWELS = 0.25


class Articulator:
    """Makes one context's moves, clause after clause. `rate`: samples per second of the context's clock."""

    __slots__ = ("_end", "_free", "_pose", "_rate", "_vowel")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._pose: Pose = CLOSED
        self._vowel: Pose | None = None  # the last vowel of this breath
        self._free = 0  # from here on the pose may be left
        self._end = 0  # of the last phoneme

    def push(
        self, phonemes: Sequence[Timed], start: int, end: int, *, finished: bool, ends_utterance: bool
    ) -> list[Move]:
        """The moves for a chunk of audio, samples [start, end), and the phonemes that came with it.

        Phonemes are in order and may lie beyond the chunk, and the audio before `start` may have been sent: no move
        begins before it. `finished`: it is its clause's last chunk; with `ends_utterance` the mouth closes by `end`.
        """
        self._free = max(self._free, start)
        moves: list[Move] = []
        sounds = [(visemes_of(ipa), first, last) for ipa, first, last in phonemes]
        for k, (each, first, last) in enumerate(sounds):
            if each.poses:
                self._rest(first, moves)
                self._sound(each, first, last, _vowel_after(sounds, k, self._rate), moves)
                self._end = last if each.closure else min(last, first + self._longest(each))
        if finished and ends_utterance:
            self._close(end, moves)
        elif end - self._end >= SILENCE * self._rate:
            self._rest(end, moves)
        return moves

    def _longest(self, each: PhonemeVisemes) -> int:
        return int((LONGEST_VOWEL if each.vowel else LONGEST_CONSONANT) * self._rate)

    def _sound(self, each: PhonemeVisemes, first: int, last: int, vowel_after: Pose | None, moves: list[Move]) -> None:
        rate, length = self._rate, max(0, last - first)
        if each.closure:
            self._move(first, ANTICIPATION_CLOSURE, 0, each.poses[0], moves)
            self._free = max(self._free, last - min(int(RELEASE * rate), length // 5))
            return
        if not each.vowel:
            vowel = vowel_after or self._vowel or CLOSED
            ahead = ANTICIPATION_ROUNDED if each.rounded else ANTICIPATION
            self._move(first, ahead, last, _beside(each.poses[0], each.share, vowel), moves)
            return
        strength = 100 if each.stressed else 70 + min(30, int(30 * length / (FULL_VOWEL * rate)))
        count = len(each.poses) - 1
        ahead = ANTICIPATION_ROUNDED if each.rounded else ANTICIPATION
        self._move(first, ahead, last, _opened(each.poses[0], strength), moves)
        for k, pose in enumerate(each.poses[1:], 1):
            reach = first + length * 3 * k // (4 * count)
            self._move(reach, length / rate / (2 * count), 0, _opened(pose, strength), moves)
        self._vowel = each.poses[-1]

    def _move(self, reach: int, ahead: float, last: int, pose: Pose, moves: list[Move]) -> None:
        """Be in `pose` at `reach`, setting out at most `ahead` seconds before.

        Where hardly any room is left, a sound that lasts until `last` is reached a little after its beginning.
        """
        rate = self._rate
        if self._pose == CLOSED:
            ahead = max(ahead, ANTICIPATION_FROM_REST)
        leave = max(self._free, reach - int(ahead * rate))
        if reach - leave < RELEASE * rate + 1:
            reach = max(reach, leave)
            reach += max(0, min(int(OPENING * rate), 2 * (last - reach) // 5))
        if pose != self._pose:
            moves.append(Move(leave, reach, pose))
            self._pose = pose
        self._free = reach

    def _rest(self, until: int, moves: list[Move]) -> None:
        """Close the mouth in the silence between the last phoneme and `until`, if it is long enough."""
        rate = self._rate
        leave = max(self._free, self._end)
        if until - self._end < SILENCE * rate or until - leave < CLOSING_LEAST * rate:
            return
        self._vowel = None
        if self._pose != CLOSED:
            reach = min(leave + int(CLOSING * rate), (leave + until) // 2)
            moves.append(Move(leave, reach, CLOSED))
            self._pose, self._free = CLOSED, reach

    def _close(self, end: int, moves: list[Move]) -> None:
        """Close the mouth by `end`, after the last phoneme where there is room."""
        rate = self._rate
        self._vowel = None
        if self._pose != CLOSED:
            leave = max(self._free, min(self._end, end - int(CLOSING_LEAST * rate)))
            reach = max(leave, min(end, leave + int(CLOSING * rate)))
            moves.append(Move(leave, reach, CLOSED))
            self._pose, self._free = CLOSED, reach


def _vowel_after(sounds: Sequence[tuple[PhonemeVisemes, int, int]], k: int, rate: int) -> Pose | None:
    """The pose of the vowel that a consonant makes way for: the next one, if it is near."""
    here = sounds[k]
    if here[0].vowel or here[0].closure:
        return None
    near = here[2] + int(REACH_OF_VOWELS * rate)
    for each, first, _ in sounds[k + 1 : k + 4]:
        if first > near:
            return None
        if each.vowel:
            return each.poses[0]
    return None


@lru_cache(maxsize=4096)
def _beside(pose: Pose, share: float, vowel: Pose) -> Pose:
    return blend([(pose, share), (vowel, 1.0 - share)])


@lru_cache(maxsize=4096)
def _opened(pose: Pose, percent: int) -> Pose:
    return pose if percent >= 100 else blend([(pose, percent / 100), (CLOSED, 1.0 - percent / 100)])

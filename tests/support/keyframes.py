"""Owns the golden vectors of viseme keyframes, and the plainest reading of what keyframes mean."""

from __future__ import annotations

from typing import Any

SHAPES = 15
LAST_PTS = (1 << 53) - 1

# Keyframes (id, weight, pts), and the pts at which they are sampled.
KEYFRAMES: list[tuple[str, list[tuple[int, float, int]], list[int]]] = [
    ("before any message the mouth is closed", [], [0, 480, LAST_PTS]),
    (
        "from closed to open and back, straight between keyframes",
        [
            (0, 1, 1200),
            (10, 0, 1200),
            (0, 0, 2400),
            (10, 1, 2400),
            (0, 0, 4800),
            (10, 1, 4800),
            (0, 1, 7200),
            (10, 0, 7200),
        ],
        [0, 1199, 1200, 1201, 1500, 1800, 2399, 2400, 3600, 4800, 5400, 7199, 7200, 7201, 96000],
    ),
    (
        "before its first keyframe a channel is 0 and sil is 1, after its last it stays",
        [(0, 0.25, 480), (4, 0.75, 480)],
        [0, 479, 480, 481, 100000],
    ),
    (
        "of two keyframes at one pts the later counts from there on",
        [
            (0, 0, 0),
            (12, 1, 0),
            (1, 0, 960),
            (1, 1, 960),
            (12, 1, 960),
            (12, 0, 960),
            (1, 1, 1920),
            (1, 0.5, 1920),
            (12, 0, 1920),
            (12, 0.5, 1920),
        ],
        [0, 959, 960, 961, 1440, 1919, 1920, 1921, 5000],
    ),
    (
        "three keyframes at one pts: what is between the first and the last is never seen",
        [
            (0, 1, 0),
            (0, 0.5, 100),
            (0, 0.9, 100),
            (0, 0.25, 100),
            (13, 0, 0),
            (13, 0.5, 100),
            (13, 0.1, 100),
            (13, 0.75, 100),
        ],
        [0, 50, 99, 100, 101, 200],
    ),
    (
        "a closure between two vowels, with the vowels never quite gone",
        [
            (0, 1, 0),
            (10, 0, 0),
            (0, 0, 1680),
            (10, 1, 1680),
            (1, 0, 3000),
            (10, 1, 3000),
            (1, 1, 3600),
            (10, 0, 3600),
            (1, 1, 4560),
            (12, 0, 4560),
            (14, 0, 4560),
            (1, 0, 5520),
            (12, 0.6, 5520),
            (14, 0.4, 5520),
        ],
        [840, 2999, 3000, 3300, 3599, 3600, 4000, 4559, 4560, 5000, 5520, 9000],
    ),
    (
        "two messages, the second begins with what the channels have",
        [
            (0, 1, 0),
            (7, 0, 0),
            (0, 0, 1000),
            (7, 1, 1000),
            (7, 1, 2000),
            (0, 0, 2000),
            (7, 0.5, 2500),
            (0, 0.5, 2500),
            (7, 0.5, 5000),
            (0, 0.5, 5000),
            (7, 0, 6000),
            (0, 1, 6000),
        ],
        [500, 2250, 2500, 3750, 5000, 5500, 6000, 7000],
    ),
    (
        "shapes of a later version are passed over",
        [(0, 0.5, 0), (2, 0.5, 0), (15, 1, 0), (99, 1, 100), (0, 1, 200), (2, 0, 200)],
        [0, 100, 200],
    ),
    (
        "large pts",
        [(0, 1, 9007199254000000), (11, 0, 9007199254000000), (0, 0.5, 9007199254001000), (11, 0.5, 9007199254001000)],
        [9007199253999999, 9007199254000500, 9007199254001000],
    ),
]


def visemes() -> list[dict[str, Any]]:
    """Keyframes as `timing` has them, and the weights of the fifteen shapes, by id, at some pts."""
    return [
        {
            "name": name,
            "visemes": [{"id": id, "weight": weight, "pts": pts} for id, weight, pts in keyframes],
            "samples": [
                {"pts": pts, "weights": [weight_at(keyframes, id, pts) for id in range(SHAPES)]} for pts in sampled
            ],
        }
        for name, keyframes, sampled in KEYFRAMES
    ]


def weight_at(keyframes: list[tuple[int, float, int]], id: int, pts: int) -> float:
    """What the protocol says of one channel at one moment, in so many words; rounded to nine places."""
    own = [(at, weight) for channel, weight, at in keyframes if channel == id]
    before = [each for each in own if each[0] <= pts]
    after = [each for each in own if each[0] > pts]
    if not before:
        return 1.0 if id == 0 else 0.0
    if not after:
        return before[-1][1]
    (start, first), (end, last) = before[-1], after[0]
    return round(first + (last - first) * (pts - start) / (end - start), 9)

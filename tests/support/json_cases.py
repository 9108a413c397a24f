"""JSON to try a reader with, valid and not, the same each time; and what Python needs to judge it as RFC 8259 does."""

from __future__ import annotations

import json
import math
import random
from typing import Any, NoReturn


def refuse(constant: str) -> NoReturn:
    """Python reads NaN and infinities, which JSON has not."""
    raise ValueError(f"JSON has no {constant}")


def whole(digits: str) -> float:
    """Within 64 bits exact, beyond them a float."""
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else float(digits)


def finite(digits: str) -> float:
    """A number that a double holds."""
    return float(digits) if math.isfinite(float(digits)) else refuse(digits)


def valid(count: int) -> list[str]:
    """Values of every kind, written in every way."""
    draw = random.Random(6)
    return [json.dumps(_value(draw, 4), ensure_ascii=bool(draw.getrandbits(1))) for _ in range(count)]


def _value(draw: random.Random, depth: int) -> Any:
    if depth and draw.random() < 0.6:
        values = [_value(draw, depth - 1) for _ in range(draw.randrange(4))]
        return values if draw.getrandbits(1) else {_text(draw): value for value in values}
    return draw.choice(
        [
            None,
            True,
            False,
            draw.randrange(-(2**63), 2**63),
            draw.random() * 10 ** draw.randrange(-20, 20),
            _text(draw),
        ]
    )


def _text(draw: random.Random) -> str:
    return "".join(draw.choices('ab"\\/\n\0é東🎉\u2028', k=draw.randrange(6)))


def spoiled(count: int) -> list[str]:
    """Valid JSON with a few characters changed; some of it is still valid."""
    draw = random.Random(7)
    texts = []
    for text in draw.choices([each for each in valid(300) if len(each) > 3], k=count):
        units = list(text)
        for _ in range(draw.randrange(1, 3)):
            at = draw.randrange(len(units))
            units[at : at + draw.randrange(2)] = draw.choice('{}[],:"\\ 01-.eEtn\tu d8')
        texts.append("".join(units))
    return texts

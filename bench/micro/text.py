"""What reading text costs: microseconds a character, and the longest single call, on real and on hostile text.

    python bench/micro/text.py [--chars 20000]

One thread, process CPU time. Real text comes in pieces of three characters and is taken as it comes, as from a model;
hostile text comes at once, in pieces of three, and in 2,000 messages.
"""

from __future__ import annotations

import argparse
import platform
import time
from typing import TYPE_CHECKING

from voxwire_server.text.intake import Allowance, TextIntake, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PASSES = 5
WORK = 1500.0
PROSE = (
    "Sure! Here's what I found about the U.S. rail network, as of 2024. It carries about 1.5 million people a day, "
    "e.g. on the Northeast Corridor, where trains reach 150 mph; elsewhere they are slower. Dr. Smith wrote that "
    '"nothing else comes close" (see https://example.com/rail?x=1 for more).\n\n'
    "## What to know\n\n- **Tickets** cost $49.50, or more\n- *Seats* can be reserved\n- Bring your own food!\n\n"
    "1. Go to the station.\n2. Show `ticket.pdf` to the staff.\n\nIs there anything else you'd like to know? 😀 "
    "If not, I'd say the trip takes two or three hours, and the view—mostly of the sea—is worth it... Enjoy it, "
    "and don't forget that the last train back leaves at 10:45 p.m. on weekdays, and an hour earlier on Sundays. "
)
UNITS = (
    ".", "!", "…", ">", ", , , , , ", ". . . . . ", "[ [ [ [ [ ", "~~ ~~ ~~ ", "<!-- <!-- ", "a-", "``", "(", "[](",
    "&amp", "http://", "a@", "<a <a", "# ", "- ", "|", "\n", "0 : 0 ", "1.", ". ", "我", "。", "😀", "\u200d",
    "a\u0301", "\u0301", "【†", "【", "<", "< ", "> ", "[", "*", "_", "`", "` ", "\\", "a. A. ", "U.S. ", "a, ", "1 ",
    "the ", "a.", "<a b=", "[a](", "![", "~", "www.", "=", "---\n", "| |\n", "```\n", "- [ ", "a*", "a_", "&#1;", "é",
    "क्", "' ", "\t", "\u00a0", "\u2028", "``` ", "a`", "www.a.", "a/", "e\u0301\u0301\u0301", "<a b=\"c\" ", "<|a",
    "a<!--",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chars", type=int, default=20_000, help="length of hostile texts")
    chars = parser.parse_args().chars
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    text = PROSE * (20_000 // len(PROSE))
    for size, name in ((3, "pieces of three"), (40, "pieces of forty"), (len(text), "at once")):
        seconds = min(_run(_split(text, size))[0] for _ in range(PASSES))
        print(f"real text, {name:16} {seconds / len(text) * 1e6:8.3f} us a character")
    first = min(_timed(lambda: _first(text))[0] for _ in range(PASSES))
    print(f"first clause of {len(text)} characters at once {first * 1e3:8.3f} ms")
    print(f"{'hostile':14} {'at once: all':>12} {'longest':>9} {'threes: all':>12} {'longest':>9} {'2000: all':>12} ms")
    for unit in UNITS:
        whole = (unit * (chars // len(unit) + 1))[:chars]
        figures = [_run(pieces) for pieces in ([whole], _split(whole, 3), [unit] * 2000)]
        (all_1, most_1), (all_3, most_3), (all_m, most_m) = [(1e3 * a, 1e3 * b) for a, b in figures]
        print(f"{unit!r:14} {all_1:12.1f} {most_1:9.2f} {all_3:12.1f} {most_3:9.2f} {all_m:12.1f} {most_m:9.2f}")


def _timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def _split(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _first(text: str) -> None:
    intake = TextIntake()
    intake.feed(text)
    intake.take(Urgency.RELAXED)


def _run(pieces: Sequence[str]) -> tuple[float, float]:
    """Feed and take until nothing is left: seconds in all, and the longest call."""
    allowance = Allowance(rate=WORK, size=WORK, left=WORK)
    intake, spent, longest = TextIntake(allowance=allowance), 0.0, 0.0
    for i in range(len(pieces) + 1):
        if i < len(pieces):
            intake.feed(pieces[i])
        else:
            intake.flush()
        clause: object = True
        while clause or intake.behind:
            seconds, clause = _timed(lambda: (intake.take(Urgency.RELAXED), intake.has_speakable)[0])
            spent += seconds
            longest = max(longest, seconds)
            allowance.renew(allowance.at + 2)
    return (spent, longest)


if __name__ == "__main__":
    main()

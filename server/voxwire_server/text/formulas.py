r"""Finds LaTeX formulas in running text: `$x$`, `$$x$$`, `\(x\)`, `\[x\]`, environments, and commands that stand alone.

Pure. Money ("$5 and $10") is no formula, nor are paths, escaped brackets and prose between dollar signs.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from voxwire_server.text.mathematics_signs import TOKEN
from voxwire_server.text.mathematics_words import ACCENTS, BIG, FONTS, FUNCTIONS, WORDS
from voxwire_server.text.speakable import CJK

DISPLAY_CHARS_MAX = 1000
"""A displayed formula or an environment that does not end within so many characters is text."""
INLINE_CHARS_MAX = 400
"""So is one in a line."""
ARGUMENT_CHARS_MAX = 200
PIECE_SIGNS_MAX = 180
"""So much of a formula is read at once."""

_DOLLARS = re.compile(r"(?:[^$\n\\]|\\[^\n])*")
_GROUP = re.compile(r"\\(?:text\w*|mathrm|mathbf|mathit|operatorname\*?|mbox|hbox|begin|end)\s*\{[^{}]*\}?")
_PROSE = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:sin|cos|tan|cot|log|exp|max|min|lim|sup|inf|det|gcd|mod|arg)(?![A-Za-z]))[A-Za-z]{3,}(?=[^A-Za-z])"
    r"|\s(?:is|of|in|to|it|we|or|on|at|by|an|as|be|he|so|no|my|us|do|go|up|am|me)\s"
)
_FOREIGN = re.compile(r"[^\W\d_A-Za-z\u0370-\u03ff\u1d400-\u1d7ff\u2100-\u214f]")
_MONEY = re.compile(
    r"\d[\d,.]*(?:[kKmMbBtT]n?)?(?:[.!?;:'’\"”)\]]+|(?=[,\s]))(?:,?\s+(?![-+*/=<>^_\\({|\d$≤≥≠≈×·])\S)|\d[\d,.]*/[A-Za-z]{2}"
)
_STRONG = re.compile(r"\\[A-Za-z]|[\^_=<>≤≥≠≈∈∑∫√]")
_SIGN = re.compile(r"[^\W_]")
_LOOSE_END = re.compile(r"[-+/*=<,.;:&|]\Z")
_BEGIN = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")
_NAME = re.compile(r"\\([A-Za-z]{2,20})")
_RUN = re.compile(rf"[^\s{{}}\\$*`\"”’<>&|@#%~{CJK}]+")
_WORD = re.compile(r"[A-Za-z]{3,}")
_BRACES = re.compile(r"[{}\n]")
_DEEPER = frozenset(("{", "(", "[", "\\left", "\\begin"))
_HIGHER = frozenset(("}", ")", "]", "\\right", "\\end"))
_BETWEEN = frozenset((
    "=", "<", ">", "≤", "≥", "≠", "+", "\\\\", "\\le", "\\leq", "\\ge", "\\geq", "\\approx", "\\Rightarrow",
    "\\implies", "\\iff", "\\quad", "\\qquad", "\\to",
))  # fmt: skip
_TRAILING = re.compile(r"[.,;:!?)\]'_^=+/-]+\Z")
_OPERAND = re.compile(r" (?:[A-Za-z](?:[_^][^\s{}\\$]{1,10}|[_^]\{[^{}\n]{1,20}\})*|\d+|\\[A-Za-z]+)(?=[\s.,;:!?)]|\Z)")
_OPERAND_BEGUN = re.compile(r"(?: \S{0,60})?")
_ENVIRONMENTS = frozenset((
    "equation", "align", "aligned", "gather", "gathered", "multline", "split", "cases", "matrix", "pmatrix", "bmatrix",
    "vmatrix", "Bmatrix", "Vmatrix", "array", "eqnarray", "displaymath", "math", "alignat",
))  # fmt: skip
_COMMANDS = (
    frozenset(WORDS) | frozenset(FUNCTIONS) | frozenset(BIG) | frozenset(ACCENTS) | FONTS
    | {"frac", "dfrac", "tfrac", "sqrt", "binom", "text", "operatorname", "left", "lfloor", "lceil"}
) - {
    "deg", "hom", "arg", "star", "check", "grave", "acute", "top", "bot", "mod", "colon", "because", "up", "dot", "bar",
}  # fmt: skip


class Formula(NamedTuple):
    """Where a formula stands in a text: its delimiters take [start, body) and [body_end, end)."""

    start: int
    body: int
    body_end: int
    end: int


def formula_at(text: str, at: int, before: str, limit: int, *, final: bool) -> Formula | Literal[False] | None:
    """The formula that begins at `text[at]`, a dollar sign or a backslash; False where none does.

    None: that depends on what follows the text. `before` is the character before, `limit` the most of `text` that is
    looked at. `final`: nothing follows the text.
    """
    if text.startswith("$$", at):
        return _delimited(text, at, "$$", "$$", min(limit, at + DISPLAY_CHARS_MAX), final)
    if text[at] == "$":
        return _in_dollars(text, at, before, limit, final)
    following = text[at + 1 : at + 2]
    if not following:
        return False if final else None
    if following == "[":
        return _delimited(text, at, "\\[", "\\]", min(limit, at + DISPLAY_CHARS_MAX), final)
    if following == "(":
        return _delimited(text, at, "\\(", "\\)", min(limit, at + INLINE_CHARS_MAX), final)
    if not following.isalpha():
        return False
    if text.startswith("\\begin", at):
        return _environment(text, at, limit, final)
    return _command(text, at, before, limit, final)


def _delimited(
    text: str, at: int, opener: str, closer: str, limit: int, final: bool
) -> Formula | Literal[False] | None:
    body = at + len(opener)
    if len(text) < body:
        return False if final else None
    close = text.find(closer, body, limit)
    if close < 0:
        return False if final or len(text) >= limit else None
    content = text[body:close]
    if not _SIGN.search(content) or not (_STRONG.search(content) or not _is_prose(content)):
        return False
    return Formula(at, body, close, close + len(closer))


def _in_dollars(text: str, at: int, before: str, limit: int, final: bool) -> Formula | Literal[False] | None:
    """After Pandoc's rules: no space inside beside the signs, no digit behind the second."""
    if before.isascii() and before.isalnum():
        return False
    limit = min(limit, at + INLINE_CHARS_MAX)
    found = _DOLLARS.match(text, at + 1, limit)
    close = found.end() if found else at + 1
    content = text[at + 1 : close]
    if content[:1].isspace():
        return False
    if close >= min(limit, len(text)) or (text[close] == "\\" and close + 1 >= len(text)):
        if final or len(text) >= limit or _is_prose(content) or _MONEY.match(content):
            return False
        return None
    if text[close] != "$" or not content or content[-1].isspace():
        return False
    if _is_prose(content + " ") or _MONEY.match(content) or not _SIGN.search(content):
        return False
    if _LOOSE_END.search(content) and not _STRONG.search(content):
        return False
    following = text[close + 1 : close + 2]
    if not following and not final and close + 1 < limit:
        return None
    return False if following.isdigit() else Formula(at, at + 1, close, close + 1)


def _is_prose(content: str) -> bool:
    """Whether there are words in it: then it is none, however it goes on."""
    bare = _GROUP.sub("", content)
    return _PROSE.search(bare) is not None or _FOREIGN.search(bare) is not None


def _environment(text: str, at: int, limit: int, final: bool) -> Formula | Literal[False] | None:
    opened = _BEGIN.match(text, at, limit)
    if opened is None:
        short = not final and len(text) < min(limit, at + 30) and not re.search(r"\s", text[at:])
        return None if short else False
    if opened[1].rstrip("*") not in _ENVIRONMENTS:
        return False
    closer = f"\\end{{{opened[1]}}}"
    limit = min(limit, at + DISPLAY_CHARS_MAX)
    close = text.find(closer, opened.end(), limit)
    if close < 0:
        return False if final or len(text) >= limit else None
    end = close + len(closer)
    return Formula(at, at, end, end)


def _command(text: str, at: int, before: str, limit: int, final: bool) -> Formula | Literal[False] | None:
    """A command outside of delimiters, with its arguments and what is written on to it without a space."""
    name = _NAME.match(text, at, limit)
    if name is None or name[1] not in _COMMANDS:
        return False
    if before in (":", "\\"):
        return False
    if before.isascii() and before.isalpha():
        word = text[at - 2 : at - 1] if at >= 2 else " "
        if not WORDS.get(name[1], "").startswith("=") or word.isalpha() or text[name.end() : name.end() + 1] == "\\":
            return False
    end = _command_end(text, name.end(), limit, final, takes_root=name[1] == "sqrt")
    if end is None:
        return None
    if name[1] in BIG or name[1] in FUNCTIONS:
        if not final and _OPERAND_BEGUN.fullmatch(text, end) and len(text) < limit:
            return None
        operand = _OPERAND.match(text, end, limit)
        if operand is not None:
            end = operand.end()
    end -= _loose(text, name.end(), end)
    return Formula(at, at, end, end)


def _command_end(text: str, at: int, limit: int, final: bool, *, takes_root: bool) -> int | None:
    """Where what belongs to a command ends."""
    limit = min(limit, at + ARGUMENT_CHARS_MAX)
    if takes_root and text.startswith("[", at):
        close = text.find("]", at, limit)
        at = close + 1 if close >= 0 else at
    while at < min(limit, len(text)):
        char = text[at]
        if char == "{":
            close = _brace(text, at, limit)
            if close < 0:
                return at if final or len(text) >= limit or "\n" in text[at:limit] else None
            at = close
        elif char == "\\":
            name = _NAME.match(text, at, limit)
            if name is None or (name[1] not in _COMMANDS and name[1] not in ("right", "cdot", "times")):
                break
            at = name.end()
        else:
            run = _RUN.match(text, at, limit)
            if run is None:
                break
            word = _WORD.search(text, at, run.end())
            if word is not None:
                at = word.start()
                break
            at = run.end()
    return at


def _loose(text: str, start: int, end: int) -> int:
    """How many characters of punctuation at the end of a command belong to the sentence."""
    run = text[start:end]
    found = _TRAILING.search(run)
    if found is None:
        return 0
    kept = found.start()
    while kept < len(run) and run[kept] in ")]'":
        opener = {")": "(", "]": "["}.get(run[kept])
        if opener is not None and run.count(opener, 0, kept) <= run.count(run[kept], 0, kept):
            break
        kept += 1
    return len(run) - kept


def piece_end(text: str, at: int, end: int) -> tuple[int, int]:
    """Up to where the formula `text[at:end]` is read at once, the whole or a part, and how many signs that are."""
    depth = best_count = count = 0
    best = last = at
    for found in TOKEN.finditer(text, at, end):
        sign = found[0]
        if count >= PIECE_SIGNS_MAX:
            return (best, best_count) if best > at else (last, count)
        last = found.start()
        if sign in _DEEPER:
            depth += 1
        elif sign in _HIGHER:
            depth -= 1
        elif depth <= 0 and sign in _BETWEEN and count:
            best, best_count = last, count
        count += 1
    return end, count


def _brace(text: str, at: int, limit: int) -> int:
    """Behind the brace that closes the one at `at`; -1 where none does on this line."""
    depth = 0
    for found in _BRACES.finditer(text, at, limit):
        if found[0] == "\n":
            return -1
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return found.end()
    return -1

"""A token that begins with a sign: money, signed numbers, operators, hashtags, paths, marks of typography. Pure."""

from __future__ import annotations

import re
import unicodedata

from voxwire_server.text.reading.english import amounts, codes, measures, numbers, numerals, phones
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import (
    GREEK,
    OPERATORS,
    SIGNS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    VULGAR,
    word_set,
)

LINK = re.compile(r"\[[^\[\]\n]{1,300}\]\(/[^()\n]{0,300}/\)")
_OPERATOR = re.compile("|".join(re.escape(sign) for sign in sorted(OPERATORS, key=len, reverse=True)))
_DASHES = frozenset("-−–—‐‑‒")
_QUIET = frozenset("\"'“”‘’«»()[]{},.;:!?…-–—‐‑‒‚„‹›¿¡")
"""Marks of typography: left as they are."""
_DIGIT_BEHIND = re.compile(r"\.?\d")
_SIGNED = re.compile(r"[-−–+±](?=\.?\d|[$£€¥₹₩₿])")
_NUMBER_SIGN = re.compile(r"#[ \u00a0]?(?=\d)")
_HASHTAG = re.compile(r"#([^\W\d_]\w{0,80})")
_DIRECTIVES = word_set(
    """
    include define ifdef ifndef endif pragma undef elif else if error region import
    """
)
_MENTION = re.compile(r"@([^\W\d][\w]{0,60})(?:\.([A-Za-z_]\w{0,60}))?")
_DOT_NAME = re.compile(r"\.([A-Za-z][\w-]{0,40})(?:\.([A-Za-z]\w{0,20}))?")
_CLOSING_QUOTE = re.compile(r"'(?!\d)")
_QUARTER = re.compile(r"(?:^|\W)[QH]\d$")
_DECADE = re.compile(r"['’‘]\d0s(?![A-Za-z\d])")
_SHORT_YEAR = re.compile(r"['’‘](\d\d)(?![\w'’])")
_BEFORE_OPERAND = re.compile(r"(?:[\d)\]²³%]|\b[A-Za-z]) ?$|\w$")
_OPERAND = re.compile(r" ?(?:[\d($.√]|-\d|[A-Za-z]\b)|\w")
_PARENTHESISED_PHONE = re.compile(r"\((?=\d{2,5}\))")
_SECTION = re.compile(r"(§{1,2}|¶{1,2})[ \u00a0]?")
_SQUARE_ROOT = re.compile(r"[√∛]")


def sign(scan: Scan, at: int) -> Said:
    """The reading of the token at `at`, which is neither a letter nor a digit."""
    char = scan.text[at]
    rule = _RULES.get(char)
    if rule is not None:
        said = rule(scan, at)
        if said is not None:
            return said
    if char in amounts.CURRENCY_SIGNS:
        return amounts.money(scan, at) or Said(at + 1, _apart(scan, at, at + 1, SIGNS.get(char, "")))
    operator = _OPERATOR.match(scan.text, at)
    if operator is not None:
        said = _operator(scan, at, operator[0])
        if said is not None:
            return said
    if char in _QUIET:
        return Said(at + 1, None)
    if char in VULGAR:
        return numbers.with_unit(scan, at + 1, numerals.fraction(*VULGAR[char], scan.british), True)
    if char in SIGNS:
        return Said(at + 1, _apart(scan, at, at + 1, SIGNS[char]))
    return _other(scan, at, char)


def _apart(scan: Scan, at: int, end: int, words: str) -> str:
    """The words with spaces where the text has none."""
    if not words:
        glued = scan.char(at - 1).isalnum() and scan.char(end).isalnum()
        return " " if glued else ""
    before = scan.char(at - 1)
    after = scan.char(end)
    left = " " if before and not before.isspace() and before not in "([\"'“‘" else ""
    right = " " if after and not after.isspace() and after not in ".,;:!?)]\"'”’" else ""
    return f"{left}{words}{right}"


def _other(scan: Scan, at: int, char: str) -> Said:
    """A character of no table: another form of letters or digits is read as those."""
    if char in SUPERSCRIPTS or char in SUBSCRIPTS:
        if char in SUPERSCRIPTS and scan.char(at - 1) in (")", "]"):
            end, power = measures.exponent(scan, at)
            return Said(end, _apart(scan, at, end, power.strip()))
        digit = SUPERSCRIPTS.get(char) or SUBSCRIPTS[char]
        said = numerals.DIGITS[int(digit)] if digit.isdecimal() else SIGNS.get(digit, digit)
        return Said(at + 1, _apart(scan, at, at + 1, said))
    if char.isascii() or char in GREEK:
        return Said(at + 1, None)
    if char.isalnum() or unicodedata.category(char) in ("So", "No", "Nl"):
        folded = unicodedata.normalize("NFKC", char)
        digits = re.sub(r"\D", "", folded)
        if digits and digits.isascii() and "\u2044" not in folded:
            return Said(at + 1, _apart(scan, at, at + 1, numerals.integer(digits)))
        if numerals.roman(folded.upper()):
            return Said(at + 1, _apart(scan, at, at + 1, numerals.cardinal(numerals.roman(folded.upper()))))
        if char.isnumeric():
            value = unicodedata.numeric(char)
            said = numerals.cardinal(int(value), scan.british) if value == int(value) and abs(value) < 10**15 else ""
            return Said(at + 1, _apart(scan, at, at + 1, said)) if said else Said(at + 1, None)
        if char in "℃℉":
            return Said(at + 1, _apart(scan, at, at + 1, "degrees Celsius" if char == "℃" else "degrees Fahrenheit"))
    return Said(at + 1, None)


# -- by sign ---------------------------------------------------------------------------------------------------------


def _bracket(scan: Scan, at: int) -> Said | None:
    found = LINK.match(scan.text, at)
    if found is not None:
        return Said(found.end(), None)
    return Said(at + 1, " (" if scan.char(at - 1).isalnum() else "(")


def _closing_bracket(_scan: Scan, at: int) -> Said | None:
    """Reads "]" as ")": hibari takes square brackets for part of the word within."""
    return Said(at + 1, ")")


def _parenthesis(scan: Scan, at: int) -> Said | None:
    if _PARENTHESISED_PHONE.match(scan.text, at):
        return phones.phone(scan, at)
    return Said(at + 1, " (") if scan.char(at - 1).isalnum() else None


def _dash(scan: Scan, at: int) -> Said | None:
    """A minus, the dashes of an option, an operator, or a dash of prose."""
    text, char = scan.text, scan.text[at]
    operator = _OPERATOR.match(text, at)
    if operator is not None and operator[0] not in ("--",):
        return _operator(scan, at, operator[0])
    token = scan.starts_token(at)
    if token and _SIGNED.match(text, at) and char in "-−":
        if scan.char(at + 1) in amounts.CURRENCY_SIGNS:
            return amounts.money(scan, at + 1, "minus ")
        phone = phones.phone(scan, at + 1) if char == "-" else None
        return phone or numbers.number(scan, at + 1, "minus ")
    if token and char == "-" and (at == 0 or text[at - 1] not in "—–"):
        said = codes.flag(scan, at)
        if said is not None:
            return said
    if char in "-−" and _minus(scan, at):
        return Said(at + 1, _apart(scan, at, at + 1, "minus"))
    return None


def _minus(scan: Scan, at: int) -> bool:
    """Whether the sign stands between two operands: of numbers, or of an equation."""
    text = scan.text
    spaced = scan.char(at - 1) in (" ", "\u00a0") and scan.char(at + 1) in (" ", "\u00a0")
    before, after = scan.tail(at, 4).rstrip(), text[at + 1 : at + 4].lstrip()
    if not before or not after:
        return False
    if scan.text[at] == "−":
        return True
    if not spaced:
        return bool(
            re.search(r"(?:^|[\s(=])[a-z0-9)²³]$", before) and re.match(r"[a-z0-9](?:[\s)=+*/.,?]|$)", after)
        ) and bool(re.match(r"[^.?!\n]{0,24}?=", text[at + 1 : at + 30]))
    if before[-1].isdecimal() and after.lstrip("-(")[:1].isdecimal():
        return True
    single = re.search(r"(?:^|[\W\d])[a-zA-Z]$|[\d²³)]$", before) and re.match(r"[a-zA-Z](?:\W|$)|[\d(]", after)
    return bool(single)


def _plus(scan: Scan, at: int) -> Said | None:
    text = scan.text
    if text.startswith("+/-", at):
        return Said(at + 3, _apart(scan, at, at + 3, "plus or minus"))
    if scan.starts_token(at) and _SIGNED.match(text, at):
        phone = phones.phone(scan, at)
        if phone is not None:
            return phone
        if scan.char(at + 1) in amounts.CURRENCY_SIGNS:
            return amounts.money(scan, at + 1, "plus ")
        return numbers.number(scan, at + 1, "plus ")
    return None


def _hash(scan: Scan, at: int) -> Said | None:
    text = scan.text
    said = codes.colour(scan, at)
    if said is not None:
        return said
    found = _NUMBER_SIGN.match(text, at)
    if found is not None:
        digits = re.compile(r"\d{1,40}").match(text, found.end())
        assert digits is not None, "a digit is there"
        word = scan.word_before(at).lower()
        label = "" if word == "number" else "number "
        if (
            word in ("order", "ticket", "case", "account", "confirmation", "booking", "tracking")
            and len(digits[0]) > 2
            and not scan.char(digits.end()).isalnum()
        ):
            return Said(digits.end(), label + phones.digits_in_context(digits[0]))
        number = numbers.number(scan, found.end())
        return Said(number.end, label + (number.text or ""))
    tag = _HASHTAG.match(text, at)
    if tag is None:
        return None
    if re.match(r"[A-Za-z]{1,4}-?\d", text[at + 1 : at + 8]):
        code = codes.code(scan, at + 1)
        return None if code is None else Said(code.end, f"number {code.text}")
    if tag[1] in _DIRECTIVES:
        return Said(tag.end(), f"hash {tag[1]}")
    return Said(tag.end(), f"hashtag {codes.identifier_words(tag[1])}")


def _at_sign(scan: Scan, at: int) -> Said | None:
    found = _MENTION.match(scan.text, at)
    if found is None or not scan.starts_token(at):
        return None
    said = f"at {codes.identifier_words(found[1])}"
    if found[2]:
        said += f" dot {codes.identifier_words(found[2])}"
    return Said(found.end(), said)


def _dot(scan: Scan, at: int) -> Said | None:
    text = scan.text
    if scan.char(at - 1).isalnum():
        return None
    if scan.char(at + 1).isdecimal():
        return numbers.number(scan, at) if scan.char(at - 1) != "." else None
    if scan.char(at + 1) == "/" or text.startswith("../", at):
        return codes.path(scan, at) if scan.starts_token(at) else None
    if not scan.starts_token(at):
        return None
    found = _DOT_NAME.match(text, at)
    if found is None:
        return None
    name = found[1]
    if name == "NET":
        said = "net"
    elif name.lower() in codes.EXTENSIONS:
        said = codes.ending(name)
    else:
        said = codes.name_words(name)
    if found[2]:
        said += f" dot {codes.ending(found[2]) if found[2].lower() in codes.EXTENSIONS else codes.name_words(found[2])}"
    return Said(found.end(), f"dot {said}")


def _slash(scan: Scan, at: int) -> Said | None:
    text = scan.text
    if scan.starts_token(at):
        said = codes.path(scan, at)
        if said is not None:
            return said
    operator = _OPERATOR.match(text, at)
    if operator is not None:
        return _operator(scan, at, operator[0])
    before, after = scan.char(at - 1), scan.char(at + 1)
    if before.isspace() and after.isspace():
        if re.search(r"[\d)] $", scan.tail(at, 3)) and re.match(r" [\d(]", text[at + 1 : at + 3]):
            return Said(at + 1, "divided by")
        return Said(at + 1, "slash")
    if before.isdecimal() and after.isalpha() and not scan.char(at + 2).isalnum():
        return Said(at + 1, " over ")
    if before.isalpha() and after.isalpha():
        return Said(at + 1, " ")
    return Said(at + 1, _apart(scan, at, at + 1, "slash"))


def _star(scan: Scan, at: int) -> Said | None:
    text = scan.text
    end = at
    while end < len(text) and text[end] == "*" and end - at < 40:
        end += 1
    operands = _BEFORE_OPERAND.search(scan.tail(at, 5)) and _OPERAND.match(text, end, end + 5)
    if end - at == 1 and operands and scan.char(at - 1).isspace() == scan.char(end).isspace():
        return Said(end, _apart(scan, at, end, "times"))
    if end - at == 2 and re.search(r"[\w)] ?$", scan.tail(at, 3)) and re.match(r" ?[\w(]", text[end : end + 2]):
        return Said(end, _apart(scan, at, end, "to the power of"))
    alone = scan.starts_token(at) and (end == len(text) or text[end].isspace())
    if end - at == 1 and alone and scan.tail(at, 3).strip():
        return Said(end, "asterisk")
    return Said(end, _apart(scan, at, end, ""))


def _tilde(scan: Scan, at: int) -> Said | None:
    if scan.char(at + 1) == "/":
        return codes.path(scan, at) or Said(at + 1, _apart(scan, at, at + 1, "tilde"))
    after = scan.text[at + 1 : at + 3].lstrip()
    if after[:1].isdecimal() or (after[:1] in amounts.CURRENCY_SIGNS and after):
        return Said(at + 1, _apart(scan, at, at + 1, "about"))
    end = at
    while end < len(scan.text) and scan.text[end] == "~" and end - at < 40:
        end += 1
    if end - at > 1 or scan.char(at - 1).isalnum():
        return Said(end, _apart(scan, at, end, ""))
    return Said(end, _apart(scan, at, end, "tilde"))


def _caret(scan: Scan, at: int) -> Said | None:
    end, power = measures.exponent(scan, at)
    if power and scan.char(at - 1) and not scan.char(at - 1).isspace():
        return Said(end, power if scan.char(end).isalnum() is False else f"{power} ")
    if scan.char(at - 1).isalnum() and scan.char(at + 1).isalnum():
        return Said(at + 1, " to the power of ")
    return Said(at + 1, _apart(scan, at, at + 1, "caret"))


def _apostrophe(scan: Scan, at: int) -> Said | None:
    text = scan.text
    quarter = _QUARTER.search(scan.tail(at, 3)) is not None
    if quarter or not scan.char(at - 1).isalnum():
        found = _DECADE.match(text, at)
        if found is not None:
            return Said(found.end(), numerals.decade(int(text[at + 1 : at + 3]), scan.british))
        year = _SHORT_YEAR.match(text, at)
        if year is not None and (
            quarter or not _CLOSING_QUOTE.search(text[year.end() : year.end() + 40].split(".")[0])
        ):
            return Said(
                year.end(), numerals.integer(year[1]) if year[1][0] != "0" else f"oh {numerals.DIGITS[int(year[1][1])]}"
            )
    return Said(at + 1, None)


def _comparison(scan: Scan, at: int) -> Said | None:
    """Reads "<" and ">", also after "is": "less than"."""
    operator = _OPERATOR.match(scan.text, at)
    if operator is not None:
        return _operator(scan, at, operator[0])
    return Said(at + 1, _apart(scan, at, at + 1, SIGNS[scan.text[at]]))


def _not(scan: Scan, at: int) -> Said | None:
    """Reads "!x" of a programming language."""
    if scan.starts_token(at) and scan.char(at + 1).isalpha() and scan.tail(at, 2).strip(" (&|=;{,"):
        return None
    operator = _OPERATOR.match(scan.text, at)
    if operator is None and scan.starts_token(at) and scan.char(at + 1).isalpha():
        return Said(at + 1, "not ")
    return None


def _modulo(scan: Scan, at: int) -> Said | None:
    """Reads "x % 2"."""
    operands = re.search(r"[A-Za-z)] $", scan.tail(at, 3)) and re.match(r" [\w(]", scan.text[at + 1 : at + 3])
    return Said(at + 1, "mod") if operands and _OPERATOR.match(scan.text, at) is None else None


def _section(scan: Scan, at: int) -> Said | None:
    found = _SECTION.match(scan.text, at)
    assert found is not None, "the sign is there"
    word = "section" if found[1][0] == "§" else "paragraph"
    sign_end = at + len(found[1])
    return Said(sign_end, _apart(scan, at, sign_end, word + ("s" if len(found[1]) > 1 else "")))


def _bullet(scan: Scan, at: int) -> Said | None:
    return Said(at + 1, _apart(scan, at, at + 1, ""))


def _mark(scan: Scan, at: int) -> Said | None:
    """Trademarks: said where they stand for themselves, not behind a name."""
    attached = scan.char(at - 1).isalnum()
    return Said(at + 1, _apart(scan, at, at + 1, "" if attached else SIGNS[scan.text[at]]))


def _root(scan: Scan, at: int) -> Said | None:
    return Said(at + 1, _apart(scan, at, at + 1, SIGNS[scan.text[at]]))


def _underscores(scan: Scan, at: int) -> Said | None:
    end = at
    while end < len(scan.text) and scan.text[end] in "_|" and end - at < 200:
        end += 1
    if scan.text.startswith("||", at):
        said = _operator(scan, at, "||")
        if said is not None:
            return said
    if end - at < 3 and scan.text[at] == "_" and scan.char(end).isalpha() and not scan.char(at - 1).isalnum():
        return codes.identifier(scan, at)
    return Said(end, _apart(scan, at, end, ""))


def _operator(scan: Scan, at: int, written: str) -> Said | None:
    """An operator of a programming language between its operands."""
    end = at + len(written)
    if written in ("--", "//", "**", "::", "<<", ">>", "??", "++") and not (
        scan.char(at - 1).isalnum()
        or (scan.char(at - 1) == " " and scan.char(end) == " " and written in ("<<", ">>", "//", "**", "??"))
    ):
        return None
    if written == "--" or (written == "++" and not scan.char(at - 1).isalnum()):
        return None
    return Said(end, _apart(scan, at, end, OPERATORS[written]))


_RULES = {
    "!": _not,
    "%": _modulo,
    "[": _bracket,
    "]": _closing_bracket,
    "(": _parenthesis, "#": _hash, "@": _at_sign, ".": _dot, "/": _slash, "*": _star, "~": _tilde,
    "^": _caret, "'": _apostrophe, "’": _apostrophe, "‘": _apostrophe, "+": _plus, "-": _dash, "−": _dash, "–": _dash,
    "<": _comparison, ">": _comparison, "§": _section, "¶": _section, "™": _mark, "®": _mark,
    "_": _underscores,
    "|": _underscores,
    "√": _root, "∛": _root,
}  # fmt: skip

"""Finds what is written otherwise than it is said, in one language after its tables. Pure; takes linear time.

A master pattern finds where something may begin; what it is, patterns for that place decide, each bounded or atomic.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from voxwire_server.text.reading.european import numbers
from voxwire_server.text.reading.european.numbers import NUMBER, Number, ascii_digits, parse
from voxwire_server.text.reading.european.phrases import Phrases
from voxwire_server.text.reading.european.say_as import is_dated, say_as
from voxwire_server.text.reading.european.shortened import closes_sentence, is_abbreviation, is_spelled
from voxwire_server.text.source_map import Rewrite, rewritten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.text.reading.european.language import Language, Noun

_SPACE = r"[ \u00a0\u202f]"
_FRACTIONS = "¼-¾⅐-⅞↉"
_SCRIPTS = "²³¹⁰⁴-⁹₀-₉①-⑳❶-❿"
_LETTER = rf"(?:[^\W\d_{_FRACTIONS}{_SCRIPTS}]|[\u0300-\u036f\u0900-\u0963\u0971-\u097f])"
_LINK = r"\[[^\[\]\n]{1,300}\]\(/[^/\n]{1,300}/\)"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_TOP_LEVELS = (
    "com|org|net|edu|gov|gob|gouv|info|biz|io|ai|app|dev|es|fr|it|br|pt|in|mx|ar|co|cl|pe|eu|be|ch|ca|us|uk|de|tv|me"
)
_ADDRESS = (
    rf"(?<![\w.@-])(?:[\w.+-]{{1,64}}@(?:{_LABEL}\.){{1,5}}[^\W\d_]{{2,10}}"
    rf"|(?:https?://|www\.)[^\s<>\"]{{1,200}}[^\s<>\".,;:!?)]"
    rf"|(?:{_LABEL}\.){{1,5}}(?:{_TOP_LEVELS})(?![\w@])(?:/[^\s<>\"]{{0,199}}[^\s<>\".,;:!?)])?)"
)
_MONEY = r"US\$|R\$|[€$£¥₹]"
_CODE = re.compile(r"(?<!\w)(?:[A-Z]{1,8}\d{1,8}[A-Z]{1,8}|\d{1,8}[A-Z]{1,8}\d{1,8})[A-Z\d]{0,20}(?!\w)")
_OCLOCK = r"hs?|बजे(?:(?P<by>(?! (?:से|तक|पर|को|के|का|की))))?"
_TIME = re.compile(
    rf"(\d{{1,2}})(?::(\d{{2}})(?::(\d{{2}}))?(?:{_SPACE}?(?:{_OCLOCK})(?!\w)|Z(?!\w))?"
    rf"|{_SPACE}?[hH]{_SPACE}?(?P<half>\d{{2}}(?:min)?)?)(?![\w:])"
)
_POINT_TIME = re.compile(r"(\d{1,2})\.(\d{2})(?![\w:]|[.,]\d)")
_DATE = re.compile(r"(\d{1,2})([/.-])(\d{1,2})([/.-])(\d{4}|\d{2})(?![\w/-])")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:(?![\w/-])|T(?=\d\d:))|(\d{4})/(\d{1,2})/(\d{1,2})(?![\w/-])")
_SLASH = re.compile(r"(\d{1,9})(?:/|(?<=24)[xX](?=7))(\d{1,9})(?![\w/])")
_AND_FRACTION = re.compile(rf"{_SPACE}?([{_FRACTIONS}])|{_SPACE}(\d)/(\d{{1,2}})(?![\w/])")
_RANGE = re.compile(rf"{_SPACE}?[–—-]{_SPACE}?(?=(?:{_MONEY})?\d)")
_CHAIN = re.compile(
    r"\d{1,12}(?:-\d{1,12}){2,8}(?![\w-])|\d{4}(?: \d{4}){2,5}(?: \d{1,3})?(?![\w-])"
    r"|\d{5}-\d{3}(?![\w-])|\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}(?!\w)"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){3,7}(?: ?[A-Z\d]{1,3})?(?!\w)")
_PHONE = re.compile(r"\(\d{2,4}\) ?\d{3,5}[ -]\d{4}")
_WORD_BEHIND = re.compile(rf"{_SPACE}(?:mil{_SPACE})?({_LETTER}{{1,30}})")
_OTHER_END = re.compile(rf"(?:{_SPACE}?[–—-]{_SPACE}?|{_SPACE}(?:o|u|y|a|ou|à|e|et|या|से){_SPACE})\d{{1,9}}(?!\w)")
_WORD_BEFORE = re.compile(rf"({_LETTER}{{1,30}}|[º°])\.?[\s(]*$")


class Place(NamedTuple):
    """What the master pattern found: [start, end) of a text, before which `before` was said."""

    text: str
    start: int
    end: int
    before: str


class EuropeanNormaliser:
    """Reads one language by its tables. Safe for any number of threads: it keeps nothing between calls."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._say = Phrases(language)
        signs = "".join(map(re.escape, language.signs))
        abbreviations = "|".join(
            re.escape(a).replace(r"\ ", _SPACE) for a in sorted(language.abbreviations, key=len, reverse=True)
        )
        self._find = re.compile(
            rf"(?P<link>{_LINK})|(?P<address>{_ADDRESS})"
            rf"|(?P<abbreviation>(?<![^\W\d_])(?<!\.)(?i:{abbreviations})(?![^\W\d_]))"
            rf"|(?P<money>(?:(?<!\w)(?:{'|'.join(self._codes())}){_SPACE}?|(?:{_MONEY}){_SPACE}?)[-−–]?(?=\d))"
            rf"|(?P<number>(?:(?<![\w)%°€])[-−–]|\+|\((?=\d{{1,4}}\)))?\d)"
            rf"|(?P<joint>(?<=[^\W\d_])-(?=\d)|(?<=\d):(?=\d)|(?<=\d){_SPACE}?x{_SPACE}?(?=\d))"
            rf"|(?P<word>{_LETTER}++)"
            rf"|(?P<fraction>[{_FRACTIONS}])|(?P<script>[{_SCRIPTS}])"
            rf"|(?P<hashtag>#(?=\w))|(?P<sign>[{signs}])"
        )
        self._money = re.compile(rf"{_SPACE}?({_MONEY}|(?:{'|'.join(self._codes())})(?!\w))")
        scales = "|".join(sorted(map(re.escape, language.scales), key=len, reverse=True))
        self._scale = re.compile(
            rf"{_SPACE}?({scales})(?:{_SPACE}?({_MONEY}|(?:{'|'.join(self._codes())})(?!\w))|(?!\w))"
        )
        units = "|".join(
            re.escape(unit).replace("°", f"[°º]{_SPACE}?") for unit in sorted(language.units, key=len, reverse=True)
        )
        self._unit = re.compile(rf"{_SPACE}?({units})(?![\w'’²³])")
        self._per_unit = re.compile(rf"/(?:-(?!\d)|({units})(?![\w'’²³])|(?={_LETTER}|\d))")
        secrets = "|".join(language.code_words)
        self._code_before = re.compile(rf"(?<!\w)(?:{secrets})(?: (?:es|est|è|é|है))?[\s:]*$", re.IGNORECASE)
        months = "|".join(language.months)
        self._month = re.compile(rf"{_SPACE}(?:{months})(?!\w)", re.IGNORECASE)

    def _codes(self) -> list[str]:
        """The currencies that are written with letters, as patterns."""
        codes = (code for code in self._language.currencies if not re.fullmatch(_MONEY, code))
        return [re.escape(code) for code in sorted(codes, key=len, reverse=True)]

    def rewrites(self, text: str, before: str) -> Sequence[Rewrite]:
        """What of `text` is said otherwise than it is written."""
        found: list[Rewrite] = []
        at = 0
        while (match := self._find.search(text, at)) is not None:
            start, end = match.span()
            said: str | None = None
            kind = match.lastgroup
            assert kind is not None
            if kind != "link":
                end, said = getattr(self, f"_{kind}_at")(Place(text, start, end, before))
            if said is not None and end > start:
                said = _spaced(text, start, end, said)
                joins = found and found[-1].end == start and found[-1].text.endswith(" ")
                found.append(Rewrite(start, end, (said.lstrip() if joins else said) or " "))
            at = max(end, start + 1)
            if kind in ("number", "money") and said is not None:
                at = self._range(text, at, found)
        return found

    # Each of these has a place where the master pattern matched, and gives the end of what was found there and how that
    # is said, or None where it stays.

    def _address_at(self, place: Place) -> tuple[int, str | None]:
        return place.end, self._say.address(place.text[place.start : place.end])

    def _abbreviation_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, before = place
        written = text[start:end]
        if not is_abbreviation(written, text[start - 2 : start] if start > 1 else text[:start], text[end : end + 2]):
            match = _ANY_WORD.match(text, start)
            return self._word_at(Place(text, start, match.end() if match else end, before))
        key = re.sub(_SPACE, " ", written.lower())
        said = self._language.abbreviations[key]
        closes = written.endswith(".") and (_ends(text, end) or closes_sentence(key, text, end))
        return end, said + "." * closes

    def _money_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        sign = text[start:end].rstrip("-−–").strip()
        minus = f"{self._language.minus} " if text[end - 1] in "-−–" else ""
        written = NUMBER.match(text, end)
        assert written is not None
        number, end = parse(written[0], self._language), written.end()
        currency = self._language.currencies[sign]
        scale = self._scale.match(text, end)
        if scale is not None and not scale[2]:
            return self._per(text, scale.end(), minus + self._say.scaled(number, scale[1], currency))
        return self._per(text, end, minus + self._say.amount(number, currency))

    def _number_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, before = place
        at = end - 1
        special = self._special(text, start, at, before)
        if special is not None:
            return special
        if text[start] == "(":
            return start + 1, None
        sign = {"+": self._language.plus + " "}.get(text[start], "" if start == at else self._language.minus + " ")
        end, said = self._quantity(text, at, before)
        return end, sign + said

    def _special(self, text: str, start: int, at: int, before: str) -> tuple[int, str] | None:
        """What is made of several numbers: telephone numbers, dates, times, fractions; or None."""
        phone = self._language.phone.match(text, start) or _PHONE.match(text, start)
        if phone is not None and not _continues(text, phone.end()) and sum(c.isdecimal() for c in phone[0]) > 6:
            return phone.end(), self._say.phone(phone[0])
        if start < at and text[start] == "(":
            return None
        for pattern, say in ((_CODE, self._code), (_ISO, self._iso), (_DATE, self._written_date), (_TIME, self._time)):
            found = pattern.match(text, at)
            said = say(found) if found is not None else None
            if found is not None and said is not None:
                return found.end(), said
        chain = _CHAIN.match(text, at)
        if chain is not None:
            return chain.end(), self._say.chain(chain[0])
        return self._with_context(text, at, before)

    def _with_context(self, text: str, at: int, before: str) -> tuple[int, str] | None:
        """What the word before it tells apart: "alle 14.30", "el 21/11"; or a fraction; or None."""
        slash = _SLASH.match(text, at)
        point = _POINT_TIME.match(text, at) if self._language.time_words else None
        if slash is None and point is None:
            return None
        word = _word_before(text, at, before)
        if point is not None:
            hour, minute = int(point[1]), int(point[2])
            if word in self._language.time_words and hour < 25 and minute < 60:
                return point.end(), self._language.clock(hour, minute, -1, ":")
        if slash is None:
            return None
        a, b = int(slash[1]), int(slash[2])
        if word in self._language.day_words and 0 < a < 32 and 0 < b < 13:
            return slash.end(), self._language.date(a, b, -1)
        return slash.end(), self._say.fraction(a, b)

    def _quantity(self, text: str, at: int, before: str) -> tuple[int, str]:
        """A number at `at`, with what it is a number of."""
        written = NUMBER.match(text, at)
        assert written is not None
        number, end = parse(written[0], self._language), written.end()
        if number.parts:
            return end, numbers.say(number, self._language)
        for part in (self._with_fraction, self._with_ordinal):
            found = part(text, end, number)
            if found is not None:
                return found
        for part in (self._with_unit, self._with_sign, self._with_scale):
            found = part(text, end, number)
            if found is not None:
                return self._per(text, *found)
        return self._counting(text, at, end, number, before)

    def _with_fraction(self, text: str, end: int, number: Number) -> tuple[int, str] | None:
        behind = _AND_FRACTION.match(text, end)
        if behind is None or not number.is_count:
            return None
        a, b = numbers.vulgar(behind[1]) if behind[1] else (int(behind[2]), int(behind[3]))
        if not 0 < a < b:
            return None
        return behind.end(), f"{numbers.say(number, self._language)} {self._language.and_half} {self._and(a, b)}"

    def _and(self, a: int, b: int) -> str:
        said = self._say.fraction(a, b)
        return self._language.half_behind if (a, b) == (1, 2) else said

    def _with_ordinal(self, text: str, end: int, number: Number) -> tuple[int, str] | None:
        mark = self._language.ordinals.match(text, end)
        if mark is None or not number.is_count or not number.n or text[mark.end() : mark.end() + 1].isalnum():
            return None
        return mark.end(), self._language.ordinal_of(number.n, mark[0])

    def _with_sign(self, text: str, end: int, number: Number) -> tuple[int, str] | None:
        language = self._language
        behind = _PERCENT.match(text, end)
        if behind is not None:
            said = language.percent if behind[1] == "%" else language.per_mille
            return behind.end(), f"{numbers.say(number, language)} {said}"
        money = self._money.match(text, end)
        if money is not None and not text[money.end() : money.end() + 1].isdecimal():
            return money.end(), self._say.amount(number, language.currencies[money[1]])
        degree = _DEGREE.match(text, end)
        return (degree.end(), self._say.counted(number, language.degree)) if degree is not None else None

    def _with_scale(self, text: str, end: int, number: Number) -> tuple[int, str] | None:
        scale = self._scale.match(text, end)
        if scale is None or not scale[2]:
            return None
        return scale.end(), self._say.scaled(number, scale[1], self._language.currencies[scale[2]])

    def _with_unit(self, text: str, end: int, number: Number) -> tuple[int, str] | None:
        unit = self._unit.match(text, end)
        return (unit.end(), self._say.counted(number, self._unit_of(unit[1]))) if unit is not None else None

    def _unit_of(self, written: str) -> Noun:
        return self._language.units[re.sub(_SPACE, "", written.replace("º", "°"))]

    def _counting(self, text: str, at: int, end: int, number: Number, before: str) -> tuple[int, str]:
        """A number before a word, with which it agrees, or before none."""
        language = self._language
        if not number.is_count:
            return end, numbers.say(number, language)
        if len(number.whole) > 2 and self._is_code(text, at, before):
            return end, numbers.digits(number.whole, language)
        if number.n == 1 and language.first_of_month and self._month.match(text, end):
            return end, language.first_of_month
        other = _OTHER_END.match(text, end)
        behind = _WORD_BEHIND.match(text, other.end() if other else end)
        word = _word_before(text, at, before)
        year = language.year(number.n, word, behind[1] if behind else "") if len(number.whole) == 4 else None
        if year is not None:
            return end, year
        agrees = behind is not None and word not in language.counted_words
        counted = 21 if other and number.n == 1 else number.n  # "1 o 2 veces": before a plural
        gender = language.gender(counted, behind[1]) if agrees and behind is not None else ""
        said = language.cardinal(number.n, gender)
        return (behind.start(1) if said.endswith("'") and behind else end), said

    def _per(self, text: str, end: int, said: str) -> tuple[int, str]:
        """What was said, and "per" what: "5 €/kg", "10 €/mes"."""
        per = self._per_unit.match(text, end)
        if per is None:
            return end, said
        if per[0] == "/-":
            return per.end(), said
        unit = self._unit_of(per[1]).one if per[1] else ""
        return per.end(), f"{said} {self._language.per} {unit}".rstrip()

    def _is_code(self, text: str, at: int, before: str) -> bool:
        """Whether the number at `at` is a secret or a code, by the word before it: "PIN 1234"."""
        head = text[max(at - 40, 0) : at]
        return self._code_before.search(head if at > 40 else f"{before[-40:]} {head}") is not None

    def _range(self, text: str, at: int, found: list[Rewrite]) -> int:
        """Say the dash between the two ends of a range; returns where to go on."""
        dash = _RANGE.match(text, at)
        if dash is None or (len(found) > 1 and found[-2].text == f" {self._language.to} "):
            return at
        minus = _EQUATION.match(text, dash.end())
        found.append(Rewrite(at, dash.end(), f" {self._language.minus if minus else self._language.to} "))
        return dash.end()

    def _word_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        word = text[start:end]
        if word in self._language.signs:
            return end, self._language.signs[word]
        if not word[0].isupper():
            version = word == "v" and text[end : end + 1].isdecimal() and not text[max(start - 1, 0) : start].isalnum()
            return end, self._language.version if version else None
        account = _IBAN.match(text, start)
        if account is not None:
            return account.end(), ", ".join(map(self._say.characters, account[0].split(" ")))
        code = _CODE.match(text, start)
        if code is not None:
            return code.end(), self._say.characters(code[0])
        dotted = _DOTTED.match(text, start)
        if dotted is not None:
            closes = "." * _ends(text, dotted.end())
            return dotted.end(), self._say.spell(dotted[0].replace(".", "")) + closes
        return self._capitals(place)

    def _capitals(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        word = text[start:end]
        found = _ROMAN.fullmatch(word)
        n = numbers.roman(found[1]) if found else 0
        if found and n:
            said = self._roman(place, n, found[2])
            if said is not None:
                return end, said
        spelled = word in self._language.spelled or is_spelled(word)
        return end, self._say.spell(word) if spelled and self._language.letters else None

    def _roman(self, place: Place, n: int, mark: str) -> str | None:
        text, start, end, before = place
        language = self._language
        if mark:
            return language.ordinal_of(n, mark) if language.ordinals.fullmatch(mark) else None
        behind = _WORD_BEHIND.match(text, end)
        if behind is not None and behind[1].lower() in _CENTURIES and behind[1].lower() in language.roman_words:
            return language.roman(n, behind[1].lower())
        word = _word_before(text, start, before)
        ranks = behind is not None and (behind[1][0].isupper() or word in _ARTICLES)
        if behind is not None and ranks and n < 11 and word not in language.roman_words and end - start > 1:
            return language.ordinal(n, language.gender(1, behind[1]) or "m")
        if word in language.roman_words or (end - start > 1 and language.letters):
            return language.roman(n, word)
        return None

    def _fraction_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        a, b = numbers.vulgar(text[start])
        return end, self._say.fraction(a, b) if a else self._language.cardinal(0, "")

    def _script_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        return end, self._language.signs.get(text[start]) or self._language.cardinal(
            int(unicodedata.numeric(text[start])), ""
        )

    def _hashtag_at(self, place: Place) -> tuple[int, str | None]:
        text, _, end, _ = place
        return end, self._language.number if text[end].isdecimal() else self._language.number_sign

    def _joint_at(self, place: Place) -> tuple[int, str | None]:
        times = "x" in place.text[place.start : place.end]
        return place.end, self._language.signs["×"] if times else " "

    def _sign_at(self, place: Place) -> tuple[int, str | None]:
        text, start, end, _ = place
        sign = text[start]
        around = text[start - 1 : start], text[end : end + 1]
        if sign in "/_" and all(side.isalpha() for side in around):
            return end, " "
        if sign == "*" and any(side.isdecimal() for side in around):
            sign = "×"
        return end, self._language.signs[sign]

    def _iso(self, found: re.Match[str]) -> str | None:
        year, month, day = (int(part) for part in found.groups() if part)
        return self._say.date(day, month, year)

    def _written_date(self, found: re.Match[str]) -> str | None:
        first, mark, second, other, digits = found.groups()
        if mark != other or (mark == "." and len(digits) == 2):
            return None
        year = int(digits)
        if len(digits) == 2:
            year += 2000 if year < 50 else 1900
        day, month = int(first), int(second)
        return self._say.date(day, month, year) or self._say.date(month, day, year)

    def _time(self, found: re.Match[str]) -> str | None:
        hour, minute = int(found[1]), int(found[2] or (found["half"] or "0").removesuffix("min"))
        second = int(found[3]) if found[3] else -1
        if hour > 24 or minute > 59 or second > 59:
            return None
        marker = ":" if found[2] else "h"
        return self._language.clock(hour, minute, second, marker if found["by"] is None else "बजे")

    def _code(self, found: re.Match[str]) -> str:
        return self._say.characters(found[0])

    def say_as(self, text: str, interpret_as: str, detail: str) -> str | None:
        """`text` as SSML's `say-as` asks; None where that says nothing, or the text is not of that kind."""
        if interpret_as in ("time", "currency", "unit", "fraction"):
            return self._written(text)
        if interpret_as == "date" and not is_dated(text, detail):
            return self._written(text)
        return say_as(self._language, ascii_digits(text.strip()), interpret_as, detail.lower())

    def _written(self, text: str) -> str | None:
        """`text` read as it would be by itself."""
        said = rewritten(text, self.rewrites(text, "")).text
        return None if said == text else said


_PUNCTUATION = frozenset(".,;:!?…·()[]{}\"'«»“”„‘’¡¿—–-।॥")
_ANY_WORD = re.compile(rf"{_LETTER}++")
_PERCENT = re.compile(rf"{_SPACE}?([%‰])")
_DEGREE = re.compile(r"[°º](?![\w])")
_EQUATION = re.compile(r"\d{1,15} ?=")
_DOTTED = re.compile(r"(?:[A-ZÀ-Þ]\.){2,8}(?!\w)")
_ROMAN = re.compile(r"([IVX]+)([a-zèº]{0,3})")
_ARTICLES = frozenset(("", "la", "el", "del", "le", "du", "il", "della", "a", "o", "da", "do", "na", "no"))
_CENTURIES = frozenset(("siècle", "siècles", "secolo", "siglo", "século", "सदी"))


def _continues(text: str, end: int) -> bool:
    """Whether what ends at `end` goes on there as a word or a number."""
    return text[end : end + 1].isalnum() or (
        text[end : end + 1] in tuple(".,-/") and text[end + 1 : end + 2].isdecimal()
    )


def _word_before(text: str, at: int, before: str) -> str:
    """The word before `at`, in lower case; that of `before`, if the text begins there."""
    head = text[max(at - 40, 0) : at]
    if at <= 40 and not head.strip(' ([¿¡«"“'):
        head = f"{before[-40:]} "
    found = _WORD_BEFORE.search(head)
    return found[1].lower() if found else ""


def _spaced(text: str, start: int, end: int, said: str) -> str:
    """What is said, with a space where letters or digits touch it."""
    left = " " if start and not said[:1].isspace() and _touches(text[start - 1]) else ""
    right = " " if end < len(text) and not said.endswith((" ", "'")) and _touches(text[end]) else ""
    return f"{left}{said}{right}"


def _touches(character: str) -> bool:
    return not character.isspace() and character not in _PUNCTUATION


def _ends(text: str, at: int) -> bool:
    """Whether nothing but some space follows."""
    return not text[at : at + 20].strip()

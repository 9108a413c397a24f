"""A form that begins with a letter: abbreviations, Roman numerals, capitals, addresses, names of code. Pure."""

from __future__ import annotations

import re
import unicodedata

from voxwire_server.text.reading.english import abbreviations, amounts, calendar, codes, measures, numerals, roman
from voxwire_server.text.reading.english.scan import LETTER, SENTENCE_START, Said, Scan
from voxwire_server.text.reading.english.tables import (
    ABBREVIATIONS,
    ACRONYMS,
    GREEK,
    MONTH_BY_NAME,
    SPOKEN_CAPITALS,
    STATES,
    STREETS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    TITLES,
    UNITS,
    WEEKDAY_BY_NAME,
    WORD_UNITS,
    word_set,
)

WORD = re.compile(rf"{LETTER}{{1,200}}(?:['’´`‘]{LETTER}{{1,40}}){{0,4}}")


_AND_LETTERS = re.compile(r"([A-Z]{1,4})&([A-Z]{1,4})(?![A-Za-z\d])")
_SLASHED = re.compile(r"[^\W\d_]{1,30}(?:['’][^\W\d_]{1,5})?(?:/[^\W\d_]{1,30}){1,4}(?![\w/])")
_PLUS_NAME = re.compile(r"(?:C\+\+|[CFJ]#|Notepad\+\+|Google\+|Disney\+|c\+\+)(?!\w)")
_APOSTROPHE = re.compile("[’´`‘]")
_INCREMENT = re.compile(r"([A-Za-z_]\w{0,30})(\+\+|--)(?!\w)")
_NAME_PLUS = re.compile(r"\+(?![\w+=])")
_BETWEEN_MEASURES = re.compile(r"\d ?(?:[a-z]{1,3})? $")
_GRADE = re.compile(r"([A-F])([+-])(?=[ .,;:!?)\"'”]|$)")
_POINTS = re.compile(r"\.\d{1,4}(?:\.\d{1,4}){0,3}(?!\w)")
_SHORT_HUMP = re.compile(r"(?:^|[a-z])[A-Z][a-z]?(?=[A-Z])")
_OPERATOR_BEHIND = re.compile(
    r"(?! [+±]\d+%?[ %.])(?! [~<>]\d) ?(?:[!=<>]=|[=<>+*/^×÷≤≥≠≈±²³]|&&|\|\|| [-−] [\w(]"
    r"| (?:squared|cubed|sub|equals)\b| (?:plus|minus|times) (?:\w|\d{1,4})\b)"
)
_OPERATOR_BEFORE = re.compile(r"(?:[=<>+*/×÷≤≥≠≈±(]|&&|\|\|) ?$")
_DIRECTORIES = word_set("src lib bin usr etc var opt tmp node_modules dist build docs assets public static api tests")


_STREET_FORMS = frozenset(("Ave", "Blvd", "Rd", "Ln", "Hwy", "Pkwy", "St"))
_CITY = re.compile(r"\b[A-Z][a-z]{2,20}, $")
_STATE_WORDS = frozenset(("OK", "IN", "ME", "OR", "HI", "OH", "MA", "PA", "LA", "ID", "AL", "CO", "MS", "MD"))
_PORT = re.compile(r":(\d{2,5})(?!\d)")
_FUNCTION_OF = re.compile(r"\(([b-z])\)(?![\w(])")
_STREET_NAME = re.compile(r"(?:\b[A-Z][a-z']+|\d(?:st|nd|rd|th)) $")
_INDEX = re.compile(r"[₀-₉]{1,6}")
_OR_PAIRS = word_set(
    """
    he/she she/he his/her him/her her/his her/him himself/herself yes/no true/false either/or pass/fail his/hers
    mr/mrs s/he he/him and/or
    """
)  # fmt: skip
_SLASH_WORDS = {
    "w/o": "without", "b/c": "because", "n/a": "N [A](/ˈA/)", "c/o": "care of", "and/or": "and or",
    "either/or": "either or",
                "s/he": "she or he", "w/e": "whatever", "i/o": "I O", "a/c": "[A](/ˈA/) C", "a/b": "[A](/ˈA/) B",
                "r/c": "R C",
                "he/him": "he him", "she/her": "she her", "they/them": "they them"}  # fmt: skip
_FUNCTION_CAPITALS = word_set(
    """
    IT US AM WHO AN AS AT BE BY DO GO HE IF IN IS ME MY NO OF ON OR SO TO UP WE AND ARE BUT CAN FOR HAD HAS HER
    HIM HIS ITS NOT OUR OUT SHE THE THEY THIS THAT YOU YOUR WILL WITH WAS WERE WHAT WHEN ALL ANY NOW HOW WHY GET
    LET NEW ONE TWO FROM HAVE JUST
    """
)
_DEPARTMENTS = word_set(
    """
    department dept team support staff manager specialist professional industry services service infrastructure
    director security admin budget
    """
)
_CAPITAL_WORD = re.compile(r"[A-Z]{2,}(?:'[A-Z]+)?")


def word(scan: Scan, at: int) -> Said:
    """The reading of the form at `at`, a letter."""
    text = scan.text
    found = WORD.match(text, at)
    if found is None:  # a letter that is none to the pattern: a mark of another script
        return Said(at + 1, None)
    end, form = found.end(), found[0]
    if scan.continues_number(at):
        unit = measures.unit(scan, at, "", scan.tail(at).split()[-1:] == ["1"], None)
        if unit is not None:
            return Said(unit.end, (unit.text or "").strip())
    if "\u00a0" in scan.text[at : at + 70] or scan.char(at - 1) == "\u00a0":
        part = codes.marked(scan, at)
        if part is not None:
            return part
    follows = text[end : end + 1]
    if follows and follows not in ' ,;!?"”\n\v':
        said = _glued(scan, at, form, end, follows)
        if said is not None:
            return said
    if form.endswith(("'s", "'S")) and form[0].isupper():
        said = _alone(scan, at, form[:-2], end - 2)
        if said is not None and said.end == end - 2 and said.text:
            return Said(end, said.text + "'s")
    said = _alone(scan, at, form, end)
    return said if said is not None else Said(end, _respelled(form))


def _respelled(form: str) -> str | None:
    """A word with the right apostrophe and whole letters, where it has others."""
    if form.isascii() and "`" not in form:
        return None
    spelled = _APOSTROPHE.sub("'", form)
    if not spelled.isascii():
        spelled = "".join(
            unicodedata.normalize("NFKC", char) if "\ufb00" <= char <= "\ufb06" else char for char in spelled
        )
    return spelled if spelled != form.replace("’", "'") else None


# -- with a sign behind it -------------------------------------------------------------------------------------------


def _glued(scan: Scan, at: int, form: str, end: int, follows: str) -> Said | None:
    """A form that goes on with a sign or digit behind its first letters."""
    if follows == ".":
        return _with_stop(scan, at, form, end)
    if follows == "/":
        return codes.relative_path(scan, at) or _slashed(scan, at)
    if follows in "+-":
        chord = codes.keys(scan, at)
        if chord is not None:
            return chord
    if follows == ")" and len(form) == 1 and form.isascii() and scan.starts_token(at) and scan.char(at - 1) != "(":
        return Said(end, codes.letters(form))
    if follows in "-–—":
        return _hyphenated(scan, at, form)
    port = _PORT.match(scan.text, end) if form == "localhost" else None
    if port is not None:
        return Said(port.end(), f"localhost colon {numerals.integer(port[1])}")
    if follows == ":":
        return (
            codes.url(scan, at)
            if form.lower() in ("http", "https")
            else codes.address(scan, at) or (codes.windows_path(scan, at) if len(form) == 1 else None)
        )
    if follows == "@" or follows == "+":
        said = codes.email(scan, at)
        if said is not None:
            return said
    if follows == "_":
        return codes.email(scan, at) or codes.identifier(scan, at)
    if follows == "(":
        if form in "fgh" and (of := _FUNCTION_OF.match(scan.text, end)) is not None:
            return Said(of.end(), f"{form} of {of[1]}")
        called = codes.CALL.match(scan.text, end)
        return None if called is None else Said(called.end(), codes.identifier_words(form))
    if follows == "&":
        both = _AND_LETTERS.match(scan.text, at)
        return None if both is None else Said(both.end(), f"{codes.letters(both[1])} and {codes.letters(both[2])}")
    if follows == "$":
        return amounts.money(scan, at) if form.isupper() else None
    if follows in "+#":
        return _signed_name(scan, at)
    if follows.isdecimal():
        return _with_digits(scan, at, form, end)
    if follows in SUBSCRIPTS or follows in SUPERSCRIPTS or follows == "^" or follows in "⁺⁻":
        return _with_index(scan, at, form, end)
    return None


def _with_index(scan: Scan, at: int, form: str, end: int) -> Said | None:
    said = codes.formula(scan, at)
    if said is not None:
        return said
    name = codes.LETTER_A if form in "aA" else _greek(form) or form
    index = _INDEX.match(scan.text, end)
    if index is not None:
        digits = "".join(SUBSCRIPTS[char] for char in index[0])
        stop, power = measures.exponent(scan, index.end())
        return Said(stop, f"{name} sub {numerals.integer(digits)}{power}")
    if form in UNITS and scan.text[end] in "²³":
        return Said(end + 1, measures.powered(UNITS[form][1], scan.text[end]))
    stop, power = measures.exponent(scan, end)
    return Said(stop, name + power) if power else None


def _signed_name(scan: Scan, at: int) -> Said | None:
    """Reads "C++", "C#", "i++", "Na+"."""
    found = _PLUS_NAME.match(scan.text, at)
    if found is not None:
        name = found[0]
        base = name.rstrip("+#")
        said = codes.letters(base) if len(base) == 1 else base
        return Said(found.end(), said + (" sharp" if name.endswith("#") else " plus" * name.count("+")))
    said_formula = codes.formula(scan, at)
    if said_formula is not None:
        return said_formula
    grade = _GRADE.match(scan.text, at)
    if grade is not None:
        return Said(grade.end(), f"{codes.letters(grade[1])} {'plus' if grade[2] == '+' else 'minus'}")
    step = _INCREMENT.match(scan.text, at)
    if step is not None:
        sign = "plus plus" if step[2] == "++" else "minus minus"
        return Said(step.end(), f"{codes.identifier_words(step[1])} {sign}")
    return None


def _with_digits(scan: Scan, at: int, form: str, end: int) -> Said | None:
    """Reads "USD20", "v2.0", "COVID19", "No7", "CO2", "ISO9001"."""
    text = scan.text
    if form in ("v", "V") and not (scan.word_before(at) and scan.char(at - 1) not in " \u00a0"):
        version = codes.version(scan, end, named=True)
        if version is not None:
            return Said(version.end, f"version {version.text}")
        run = re.compile(r"\d{1,4}(?![\w])").match(text, end)
        if run is not None:
            return Said(run.end(), f"version {numerals.integer(run[0])}")
    money = amounts.money(scan, at)
    if money is not None:
        return money
    for rule in (
        codes.email,
        codes.address,
        codes.formula,
        _dotted_name,
        codes.identifier if "_" in text[at : at + 64].split(" ")[0] else codes.formula,
    ):
        said = rule(scan, at)
        if said is not None:
            return said
    code = codes.code(scan, at)
    return None if code is None else _versioned(scan, code)


def _versioned(scan: Scan, code: Said) -> Said:
    """A code with what a version adds to it: "GPT-3.5"."""
    found = _POINTS.match(scan.text, code.end)
    if found is None or not scan.text[code.end - 1].isdecimal():
        return code
    tail = " ".join(f"point {numerals.integer(part)}" for part in found[0][1:].split("."))
    return Said(found.end(), f"{code.text} {tail}")


def _dotted_name(scan: Scan, at: int) -> Said | None:
    return codes.dotted(scan, at)


def _hyphenated(scan: Scan, at: int, form: str) -> Said | None:
    step = _INCREMENT.match(scan.text, at)
    if step is not None:
        return Said(step.end(), f"{codes.identifier_words(step[1])} minus minus")
    grade = _GRADE.match(scan.text, at)
    if grade is not None and scan.word_before(at).lower() in ("a", "an", "grade", "got", "earned", "rated", "of"):
        return Said(grade.end(), f"{codes.letters(grade[1])} minus")
    if form.lower() in WEEKDAY_BY_NAME and form[0].isupper():
        said = calendar.weekday(scan, at)
        if said is not None:
            return said
    for rule in (codes.email, _dotted_name):
        said = rule(scan, at)
        if said is not None:
            return said
    code = codes.code(scan, at)
    if code is not None:
        return _versioned(scan, code)
    if form.lower() in MONTH_BY_NAME and form[0].isupper():
        return _month_range(scan, at, form)
    return None


def _month_range(scan: Scan, at: int, form: str) -> Said | None:
    found = re.compile(r"([A-Z][a-z]{2,8})\.?[-–—]([A-Z][a-z]{2,8})(?![A-Za-z])").match(scan.text, at)
    if found is None or found[2].lower() not in MONTH_BY_NAME:
        return None
    return Said(found.end(), f"{MONTH_BY_NAME[form.lower()]} to {MONTH_BY_NAME[found[2].lower()]}")


def _slashed(scan: Scan, at: int) -> Said | None:
    """Reads "and/or", "he/she", "km/h", "w/"."""
    text = scan.text
    if text.startswith(("w/ ", "w/\u00a0"), at) or text[at:] == "w/":
        return Said(at + 2, "with")
    found = _SLASHED.match(text, at)
    if found is None:
        return None
    parts = found[0].split("/")
    low = found[0].lower()
    if low in _SLASH_WORDS:
        return Said(found.end(), _SLASH_WORDS[low])
    if low in _OR_PAIRS:
        return Said(found.end(), " or ".join(parts))
    if (
        len(parts) == 2
        and parts[0] in UNITS
        and (parts[1] in UNITS or parts[1] in WORD_UNITS)
        and len(parts[0]) < 5
        and not found[0].isupper()
    ):
        per = WORD_UNITS.get(parts[1]) or UNITS[parts[1]][0]
        return Said(found.end(), f"{UNITS[parts[0]][1]} per {per}")
    if len(found[0]) == 3 and found[0].islower():
        return Said(found.end(), " over ".join(_part(part) if part == "a" else part for part in parts))
    if any(part in _DIRECTORIES for part in parts):
        return Said(found.end(), " slash ".join(parts))
    if len(parts) == 2 and parts[1] in WORD_UNITS and re.search(r"\d ?$", scan.tail(at, 3)):
        return Said(found.end(), f"{parts[0]} per {WORD_UNITS[parts[1]]}")
    if any(part.lower() in WEEKDAY_BY_NAME for part in parts):
        return None
    return Said(found.end(), " ".join(_part(part) for part in parts))


def _part(part: str) -> str:
    return codes.letters(part) if len(part) == 1 else SPOKEN_CAPITALS.get(part, part)


# -- with a full stop ------------------------------------------------------------------------------------------------


def _with_stop(scan: Scan, at: int, form: str, end: int) -> Said | None:
    text = scan.text
    money = amounts.money(scan, at) if form == "Rs" else None
    if money is not None:
        return money
    if form in ("www", "WWW"):
        said = codes.url(scan, at)
        if said is not None:
            return said
    capital = form[0].isupper()
    if capital and form.lower() in MONTH_BY_NAME:
        said = _month_range(scan, at, form) or calendar.month(scan, at)
        if said is not None:
            return said
    if capital and form.lower() in WEEKDAY_BY_NAME:
        said = calendar.weekday(scan, at)
        if said is not None:
            return said
    if text[end + 1 : end + 2].isalnum() or text[end + 1 : end + 2] == "_":
        for rule in (codes.email, codes.dotted):
            said = rule(scan, at)
            if said is not None:
                return said
    return abbreviations.abbreviation(scan, at)


# -- alone -----------------------------------------------------------------------------------------------------------


def _alone(scan: Scan, at: int, form: str, end: int) -> Said | None:
    if form in ("a", "A") and _letter_a(scan, at, form, end):
        return Said(end, codes.LETTER_A)
    greek = _greek(form)
    if greek is not None:
        return Said(end, greek)
    if not form[0].isupper():
        return _lower(scan, at, form, end)
    low = form.lower()
    if low in MONTH_BY_NAME:
        said = calendar.month(scan, at)
        if said is not None:
            return said
    if low in WEEKDAY_BY_NAME:
        said = calendar.weekday(scan, at)
        if said is not None:
            return said
    if form in TITLES and form not in (
        "Rep",
        "Gen",
        "Pt",
        "Ft",
        "Hon",
        "Col",
        "Fr",
        "Det",
        "Pres",
        "Sen",
        "Maj",
        "Rev",
        "Adm",
        "Sr",
    ):
        after = scan.word_after(end)
        if after[:1].isupper() and scan.char(end) in (" ", "\u00a0"):
            if form in STREETS and abbreviations.is_street(scan, at, end):
                return Said(end, ABBREVIATIONS[form])
            return Said(end, TITLES[form])
    numbered = form == "Hwy" and scan.text[end : end + 2].strip().isdecimal()
    if form in _STREET_FORMS and (numbered or _STREET_NAME.search(scan.tail(at, 24))) and not after_name(scan, end):
        return Said(end, ABBREVIATIONS[form])
    if form in abbreviations.COMPASS and scan.char(end) == " ":
        compass = abbreviations.compass(scan, at, end)
        if compass is not None:
            return compass
    if form.isupper():
        return _capitals(scan, at, form, end)
    if form in SPOKEN_CAPITALS:
        return Said(end, SPOKEN_CAPITALS[form])
    if form == "Am" and not SENTENCE_START.search(scan.tail(at, 12)):
        return Said(end, "am")
    if form in ("Jr", "Sr"):
        return Said(end, ABBREVIATIONS[form])
    if form in ("No", "Nos") and scan.text[end : end + 2].strip(" \u00a0").isdecimal() and scan.char(end) == " ":
        return None
    money = amounts.money(scan, at) if form == "Rs" else None
    if any(map(str.isupper, form[1:])):
        formula = codes.formula(scan, at)
        if formula is not None and formula.end == end:
            return formula
    return money or _camel(form, end)


def _greek(form: str) -> str | None:
    """The names of a Greek letter, or of letters in a formula ("πr"); None of a word."""
    if form.isascii() or not any(char in GREEK for char in form) or (len(form) > 1 and not any(map(str.isascii, form))):
        return None
    return " ".join(GREEK.get(char) or codes.letters(char) for char in form if char.isalpha())


def after_name(scan: Scan, end: int) -> bool:
    """Whether a name follows: "St Paul" after another name is a saint."""
    return scan.char(end) in (" ", "\u00a0") and scan.word_after(end)[:1].isupper() and len(scan.word_after(end)) > 2


def _letter_a(scan: Scan, at: int, form: str, end: int) -> bool:
    """Whether a single "a" is the letter: an operand, or a capital within a sentence ("Plan A works")."""
    text = scan.text
    if _OPERATOR_BEHIND.match(text, end) is not None or (
        _OPERATOR_BEFORE.search(scan.tail(at, 4)) is not None and not text[end : end + 2].strip().isalpha()
    ):
        return True
    return (
        form == "A"
        and not SENTENCE_START.search(scan.tail(at, 12))
        and not (scan.char(end) in (" ", "\u00a0") and scan.word_after(end)[:1].isupper())
        and scan.char(end) not in ("-", "'")
    )


def _lower(scan: Scan, at: int, form: str, end: int) -> Said | None:
    if form == "vs":
        return Said(end, "versus")
    if (
        form == "x"
        and _BETWEEN_MEASURES.search(scan.tail(at, 12))
        and (scan.text[end : end + 3].lstrip()[:1].isdecimal() or end == len(scan.text))
    ):
        return Said(end, "by")
    return _camel(form, end)


def _camel(form: str, end: int) -> Said | None:
    """Reads "camelCase" and "HttpRequestHandler" as words; "iPhone" and "JavaScript" are known as they are."""
    if form.islower() or form[1:].islower() or not form.isascii() or "'" in form:
        return None
    found = codes.CAMEL.match(form)
    if found is None or found.end() != len(form):
        return None
    humps = sum(char.isupper() for char in form)
    if form[0].isupper() and (humps < 3 or _SHORT_HUMP.search(form) or form.endswith(("SQL", "AI", "TV"))):
        return None
    return Said(end, codes.identifier_words(form))


def _in_city(scan: Scan, at: int, form: str) -> bool:
    """Whether a state's letters stand behind a city: "Austin, TX"."""
    return form not in _STATE_WORDS and _CITY.search(scan.tail(at, 24)) is not None


def _capitals(scan: Scan, at: int, form: str, end: int) -> Said | None:
    if form in SPOKEN_CAPITALS:
        return Said(end, SPOKEN_CAPITALS[form])
    state = form in STATES and (re.match(r",? \d{5}(?!\d)", scan.text[end : end + 8]) or _in_city(scan, at, form))
    if state:
        return Said(end, STATES[form])
    if len(form) > 2 and scan.text.startswith((" ", "\u00a0"), end):
        money = amounts.money(scan, at)
        if money is not None:
            return money
    said = roman.numeral(scan, at, form, end)
    if said is not None:
        return said
    if form in _FUNCTION_CAPITALS and _among_capitals(scan, at, end):
        return Said(end, form.lower())
    return None


def _among_capitals(scan: Scan, at: int, end: int) -> bool:
    """Whether the words beside are in capitals, too, so that "IT" is "it"."""
    before, after = scan.word_before(at), scan.word_after(end)
    if before.lower() in ("the", "our", "an") and scan.text[at:end] in ("US", "IT", "WHO"):
        return False
    if after.lower() in _DEPARTMENTS and after != after.upper():
        return False
    return any(
        (_CAPITAL_WORD.fullmatch(word) and word not in ACRONYMS and len(word) > 2)
        or (word in _FUNCTION_CAPITALS and word != "IT" and word != "US")
        for word in (before, after)
    )

"""How Japanese is read: dates, times, money, signs and addresses in words. Pure.

Plain numbers keep their digits: engines read them with what they count (3本 さんぼん, 1人 ひとり, 20日 はつか) by their
dictionaries. What is said digit by digit is in katakana. Latin words stay as they are.
"""

from __future__ import annotations

import re

from voxwire_server.text.reading.cjk import (
    DASH,
    HAN,
    JOIN,
    LETTER_OR_ODD,
    MAIL,
    NO_SIGN,
    NUMBER,
    TIMES,
    URL,
    Rule,
    Scanner,
    address,
    behind,
    fraction_of,
    near,
    rule,
    usual_char,
    whole,
)
from voxwire_server.text.reading.cjk_say_as import Words, say_as
from voxwire_server.text.reading.japanese_words import (
    ADDRESS_SIGNS,
    CURRENCY_CODES,
    CURRENCY_SIGNS,
    DIGITS,
    GREEK,
    SIGNS,
    UNITS,
    UNITS_PER_HOUR,
    digits,
)
from voxwire_server.text.source_map import Rewrite, rewritten

__all__ = ["JapaneseNormaliser"]

_FROM, _POINT = "から", "テン"
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_UNIT_PER_HOUR = "|".join(sorted(map(re.escape, UNITS_PER_HOUR), key=len, reverse=True))
_SIGN = "|".join(sorted(map(re.escape, CURRENCY_SIGNS), key=len, reverse=True))
_CODE = "|".join(CURRENCY_CODES)
_NO_LETTER = "(?![A-Za-z])"
_YEAR = r"(?:1[0-9]|20|21)\d\d"
_SCALE = "千万|百万|十万|[万億兆千]"
_SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "million": 10**6, "B": 10**9, "billion": 10**9}

_CODE_WORDS = re.compile(
    r"(?:番号|コード|暗証|パスワード|会員|型番|シリアル|(?<![A-Za-z])(?:ID|PIN)|ナンバー|口座)[はがをのも:\uff1a#\s]{0,3}$"
)
_SCORE_WORDS = re.compile(r"勝|負|敗|引き分け|スコア|得点|リード|試合|結果|下し|破")
_EIGHT = {"個": "ハッコ", "回": "ハッカイ", "階": "ハッカイ", "分": "ハップン"}
"""Where dictionaries have ハチ."""
_DATE_BEHIND = re.compile(r"に|まで|から|は|以降|より|、|締|開|発")
_WEEKDAY = re.compile(r"\s?\([月火水木金土日]")
_EQUATION = re.compile(r"\s?(?:[\d.()]{1,12}\s?[-+×÷*/]?\s?){0,4}=")
_EQUALS = re.compile(r"=\s?[\d.()+×÷*/\s-]{0,12}$")


# -- numbers, fractions, ratios ---------------------------------------------------------------------------------------


def _plain(number: str) -> str:
    return number.replace(",", "")


def _signed(sign: str | None, number: str) -> str:
    return {"-": "マイナス", "+": "プラス", "±": "プラスマイナス"}.get(sign or "", "") + number


def _number(match: re.Match[str]) -> str:
    text = match[0]
    if len(text) >= 4 and text.isdecimal() and near(match, _CODE_WORDS, 12):
        return digits(text)
    return _plain(text)


def _signed_number(match: re.Match[str]) -> str:
    return _signed(match[1], _plain(match[2]))


def _fraction(match: re.Match[str]) -> str | None:
    given, top, bottom = match.groups()
    if whole(bottom) == 0:
        return None
    month, day = int(top), int(bottom)
    if not given and 1 <= month <= 12 and 1 <= day <= 31 and _is_date(match, day):
        return f"{month}月{day}日"
    return _fraction_words(int(given or 0), month, day)


def _is_date(match: re.Match[str], day: int) -> bool:
    text, end = match.string, match.end()
    if day > 12:
        return not text.startswith("の", end)
    return bool(_WEEKDAY.match(text, end) or (day > 4 and _DATE_BEHIND.match(text, end)))


def _fraction_words(given: int, top: int, bottom: int) -> str:
    said = f"{_numeral(bottom)}分の{_numeral(top)}"
    return f"{given}と{said}" if given else said


def _numeral(number: int) -> str:
    """A small number as dictionaries have it within 三分の二."""
    return "零一二三四五六七八"[number] if number <= 8 else str(number)


def _vulgar(match: re.Match[str]) -> str | None:
    parts = fraction_of(match[2])
    return None if parts is None else _fraction_words(int(match[1] or 0), *parts)


def _ratio(match: re.Match[str]) -> str:
    return "対".join(match[0].split(":"))


def _range(match: re.Match[str]) -> str | None:
    low, dash, high = match.groups()
    if dash == "-" and (_EQUATION.match(match.string, match.end()) or near(match, _EQUALS, 14)):
        return None
    if any(len(end) > 1 and end[0] == "0" and end.isdecimal() for end in (low, high)):
        return f"{digits(low)}ノ{digits(high)}"
    falls = float(_plain(low)) > float(_plain(high))
    scored = dash != "~" and low.isdecimal() and high.isdecimal() and max(len(low), len(high)) <= 2
    if scored and (falls or near(match, _SCORE_WORDS, 6, 4)):
        return f"{low}対{high}"
    return f"{_plain(low)}{_FROM}{_plain(high)}"


# -- money, percent, units --------------------------------------------------------------------------------------------


def _money(match: re.Match[str]) -> str:
    minus, sign, low, high, scale = match.groups()
    return _signed(minus and "-", _amount(low, high, scale)) + CURRENCY_SIGNS[sign]


def _money_code(match: re.Match[str]) -> str:
    low, high, scale, code = match.groups()
    return _amount(low, high, scale) + CURRENCY_CODES[code]


def _amount(low: str, high: str | None, scale: str | None) -> str:
    low, high = _plain(low), _plain(high or "")
    if scale in _SCALES and "." not in high:
        head, _, tail = low.partition(".")
        if len(tail) <= 3:
            low = str(int(head + tail) * _SCALES[scale] // 10 ** len(tail))
            scale = None
    if "." in low:
        low = low.rstrip("0").rstrip(".")
    return low + (_FROM + high if high else "") + (scale or "")


def _percent(match: re.Match[str]) -> str:
    sign, low, high, mark = match.groups()
    name = "パーミル" if mark == "‰" else "パーセント"
    return _signed(sign, _plain(low)) + (_FROM + _plain(high) if high else "") + name


def _unit(match: re.Match[str]) -> str:
    sign, low, sign_of_high, high, unit = match.groups()
    said = _signed(sign, _plain(low))
    return said + (_FROM + _signed(sign_of_high, _plain(high)) if high else "") + UNITS[unit]


def _unit_per_hour(match: re.Match[str]) -> str:
    low, high, unit = match.groups()
    return f"時速{_plain(low)}{_FROM + _plain(high) if high else ''}{UNITS_PER_HOUR[unit]}"


# -- dates and times --------------------------------------------------------------------------------------------------


def _date(match: re.Match[str]) -> str | None:
    year, month, day = map(int, match.groups())
    return _date_words(year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _year_month(match: re.Match[str]) -> str:
    return f"{match[1]}年{int(match[2])}月"


def _date_words(year: int, month: int, day: int) -> str:
    return (f"{year}年" if year else "") + (f"{month}月" if month else "") + (f"{day}日" if day else "")


def _clock(match: re.Match[str]) -> str | None:
    hour, minute, second, half = match.groups()
    return _clock_words(int(hour), int(minute), int(second or 0), half) if int(hour) <= 30 else None


def _clock_half(match: re.Match[str]) -> str | None:
    return _clock_words(int(match[1]), 0, 0, match[2]) if int(match[1]) <= 12 else None


def _clock_words(hour: int, minute: int, second: int, half: str | None) -> str:
    said = {"a": "午前", "p": "午後"}.get((half or "").lower(), "") + f"{hour}時"
    said += f"{minute}分" if minute or second else ""
    return said + (f"{second}秒" if second else "")


# -- telephone numbers, codes, addresses ------------------------------------------------------------------------------


def _phone(match: re.Match[str]) -> str:
    plus = "プラス" if match[0].startswith("+") else ""
    return plus + _telephone(re.findall(r"\d+", match[0]))


def _telephone(groups: list[str]) -> str:
    if len(groups[-1]) == 11:
        *groups, last = groups
        groups += [last[:3], last[3:7], last[7:]]
    return "ノ".join(map(digits, groups))


def _postcode(match: re.Match[str]) -> str:
    return "郵便番号" + "ノ".join(map(digits, re.findall(r"\d+", match[0])))


def _version(match: re.Match[str]) -> str:
    first, second, *rest = match[0].split(".")
    if max(len(first), len(second)) > 2:  # an address of a network
        return _POINT.join(map(digits, match[0].split(".")))
    return f"{first}.{second}" + "".join(_POINT + part for part in rest)


def _address(match: re.Match[str]) -> str:
    return address(match[0], ADDRESS_SIGNS, DIGITS)


def _operator(match: re.Match[str]) -> str | None:
    sign = match[1]
    if sign in "-/":
        follows = _EQUATION.match(match.string, match.end(), match.end() + 48) is not None
        if not follows and not near(match, _EQUALS, 14):
            return None
        return "マイナス" if sign == "-" else "わる"
    return SIGNS[sign]


_OPERAND = r"[\w)%²³]"
_UP_TO = rf"\s?{DASH}\s?"
_MONEY = Rule(
    re.compile(
        rf"(?:({NO_SIGN}-)\s?)?({_SIGN})\s?({NUMBER})(?:{_UP_TO}(?:{_SIGN})?({NUMBER}))?"
        rf"(?:\s?({_SCALE}|million\b|billion\b|[kKMB]{_NO_LETTER}))?(?:円(?!高|安))?"
    ),
    _money,
)
_WORD_RULES: list[Rule] = [
    Rule(MAIL, _address),
    Rule(URL, _address),
    _MONEY,
    rule(r"[vV](?:er)?\.?\s?(?=\d{1,4}\.)", "バージョン"),
]
_RULES: list[Rule] = [
    Rule(MAIL, _address),
    Rule(URL, _address),
    rule(rf"(?<![\d.-])({_YEAR})[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?!\d|[-/.]\d)", _date),
    rule(rf"(?<![\d.-])({_YEAR})[-/](0[1-9]|1[0-2])(?!\d|[-/]\d)", _year_month),
    rule(rf"({_YEAR})/(\d\d)(?!\d)(?=\s?(?:シーズン|年度|年))", lambda match: f"{match[1]}{_FROM}{match[2]}"),
    rule(r"(?<![\d/])24/7(?![\d/])", "24時間年中無休"),
    # telephone numbers
    rule(r"〒?\s?\d{3}-\d{4}(?![\d-])(?<=\d{3}-\d{4})", lambda match: _postcode(match) if "〒" in match[0] else None),
    rule(
        r"0[5789]0\d{8}(?!\d)|0\d{1,4}(?:-\d{1,4}-|\(\d{1,4}\))\d{3,4}(?![\d-])|\(0\d{1,4}\) ?\d{1,4}-\d{3,4}(?![\d-])",
        _phone,
    ),
    rule(r"\+\d{1,3}(?:[- ]\d{1,5}){2,5}(?!\d)|\+\d{7,15}(?!\d)", _phone),
    rule(r"(?<!\d)110番", "ヒャクトーバン"),
    # times, ratios
    rule(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([AaPp])\.?[Mm]\b\.?)?", _clock),
    rule(r"(\d{1,2})\s?([AaPp])\.?[Mm]\b\.?", _clock_half),
    rule(r"\d{1,5}(?::\d{1,5}){1,3}(?![\d:])", _ratio),
    # money, percent, units
    _MONEY,
    rule(rf"({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?({_SCALE})?\s?({_CODE}){_NO_LETTER}", _money_code),
    rule(rf"(?:({NO_SIGN}[-+±])\s?)?({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?([%‰])", _percent),
    rule(rf"(?:時速\s?)?({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?({_UNIT_PER_HOUR}){_NO_LETTER}", _unit_per_hour),
    rule(
        rf"(?:({NO_SIGN}[-+±])\s?)?({NUMBER})(?:{_UP_TO}(-?)({NUMBER}))?\s?({_UNIT}){_NO_LETTER}(?![²³\d/])",
        _unit,
    ),
    rule(TIMES, lambda match: "かける".join(filter(None, match.groups()))),
    # fractions, versions, codes
    rule(r"(?<![\d/])(?:(\d{1,3}) )?(\d{1,4})/(\d{1,4})(?![\d/=]|\s?=)", _fraction),
    rule(r"(\d{0,3}) ?([\u00bc-\u00be\u2150-\u215e])", _vulgar),
    rule(r"\d{1,4}(?:\.\d{1,6}){2,5}(?!\d)", _version),
    rule(rf"(?<=[A-Za-z])-({NUMBER})", lambda match: f" {_plain(match[1])}"),
    rule(r"(?<![\d-])\d{1,8}(?:-\d{1,8}){2,6}(?![\d-])", lambda match: _telephone(match[0].split("-"))),
    # ranges, numbers
    rule(rf"{behind('[年月日時分秒週歳人円度℃%個本枚回階話章巻ページ]')}{JOIN}\s?(?=第?[-\d¥$€£])", _FROM),
    rule(rf"{behind(r':[0-5][0-9]')}{JOIN}\s?(?=\d{{1,2}}:)", _FROM),
    rule(rf"{behind(f'[0-9①-⑳{HAN}]')}~\s?(?=[{HAN}0-9①-⑳A-Z\u30a1-\u30fa])", _FROM),
    rule(rf"{behind('[0-9年月日時分秒歳人円度℃%個本枚回]')}~(?=で|です|$|[、。\s)\uff09])", _FROM),
    rule(rf"({NUMBER})\s?({JOIN})\s?({NUMBER})(?!-\d)", _range),
    rule(rf"({NO_SIGN}[-+±])\s?({NUMBER})", _signed_number),
    rule(r"(?<![\d.,])8(個|回|階|分(?!の))", lambda match: _EIGHT[match[1]]),
    rule(NUMBER, _number),
    rule(r"\d{1,400}", lambda match: digits(match[0])),
    # signs
    rule(r"(?<=[0-9万億千百])\+(?![\w(])", "以上"),
    rule(rf"{behind(r'[A-Za-z0-9)%²³]')}([-/<>≥≤≠])\s?(?=[A-Za-z0-9(\-±√])", _operator),
    rule(rf"{behind(_OPERAND)}([+=×÷*])\s?(?=[\w(\-±√])", _operator),
    rule(r"([<>≥≤≈≠±])\s?(?=\d)", _operator),
    rule(rf"{behind(f'[A-Za-z0-9{HAN}]')}&\s?(?=[A-Za-z0-9{HAN}])", "アンド"),
    rule(r"@(?=\w)", "アットマーク"),
    rule(r"#(?=\d)", "ナンバー"),
    rule("²", "の二乗"),
    rule("³", "の三乗"),
    rule("√", "ルート"),
    rule("°", "度"),
    rule("%", "パーセント"),
]
_STARTS = rf"[0-9$€£¥₩₹₽₿฿₫₺₱₴₪+×÷*/=<>@#&%(°\-~〒時]|{LETTER_OR_ODD}"


def _char(char: str) -> str | None:
    if char < "\x80":
        return None
    return GREEK.get(char) or UNITS.get(char) or usual_char(char)


class JapaneseNormaliser:
    """`voxwire_server.text.reading.Normaliser` of Japanese. Keeps no state."""

    def __init__(self) -> None:
        self._scanner = Scanner(_STARTS, _RULES, _WORD_RULES, _char)
        self._words = Words(
            number=_signed,
            ordinal=lambda number: f"{number}番目",
            digits=digits,
            telephone=_telephone,
            date=_date_words,
            time=_clock_words,
            fraction=_fraction_words,
            signs=ADDRESS_SIGNS,
            read=self._read,
            bleep="ピー",
        )

    def rewrites(self, text: str, before: str) -> list[Rewrite]:
        """What of `text` is read otherwise than it is written: in the order of the text, disjoint."""
        return self._scanner.rewrites(text, before)

    def say_as(self, text: str, interpret_as: str, detail: str) -> str | None:
        """`text` as SSML's `say-as` asks; None where that says nothing about it."""
        return say_as(text, interpret_as, detail, self._words)

    def _read(self, text: str) -> str:
        return rewritten(text, self.rewrites(text, "")).text

"""How Mandarin is read: numbers, money, dates, signs and addresses as words, in simplified or traditional text. Pure.

A number is said as it is counted, with 两 before what is measured ("2个", "200") and 二 elsewhere; years, codes and
telephone numbers digit by digit, the last with 幺 for 1. Latin words stay as they are.
"""

from __future__ import annotations

import re

from voxwire_server.text.reading.chinese_words import (
    ADDRESS_SIGNS,
    CURRENCY_CODES,
    CURRENCY_SIGNS,
    GREEK,
    MEASURES,
    SIGNS,
    UNITS,
    UNITS_PER,
    cardinal,
    decimal,
    digits,
)
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
from voxwire_server.text.source_map import Rewrite, rewritten

__all__ = ["MandarinNormaliser"]

_LETTER = re.compile("[A-Za-z]")
_DIGIT_RUN = re.compile("[0-9]{1,16}")
_MEASURE = re.compile(rf"\s?(?:{MEASURES})")
_TO = "到"
_DIGITS = tuple("零一二三四五六七八九")
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_UNIT_PER = "|".join(sorted(map(re.escape, UNITS_PER), key=len, reverse=True))
_SIGN = "|".join(sorted(map(re.escape, CURRENCY_SIGNS), key=len, reverse=True))
_CODE = "|".join(CURRENCY_CODES)
_NO_LETTER = "(?![A-Za-z])"
_NO_DIGIT = r"(?!\d)"
_YEAR = r"(?:1[0-9]|20|21)\d\d"
_OF_YEAR = (
    r"(?=\s?(?:年|[Hh][12](?![A-Za-z\d])|[Qq][1-4](?!\d)|(?:财|財|学|學)年|赛季|賽季|款|版(?!本)|[级級届屆](?!别)))"
)
_SCALE = "万亿|萬億|千万|千萬|百万|百萬|十万|十萬|[万亿萬億兆]"

_PHONE_WORDS = re.compile(
    r"(?:[拨撥打]|致[电電]|[电電][话話]|[热熱][线線]|手[机機]|客服|[报報]警|急救|呼叫)(?:[号號][码碼]?)?[请請是为為:：\s]{0,2}$"
)
_PHONE_BEHIND = re.compile(r"\s?(?:热线|熱線|客服|急救|报警|平台|电话|電話|官网|官網)")
_CODE_WORDS = re.compile(
    r"(?:验证码|驗證碼|校验码|订单|訂單|单号|單號|编号|編號|学号|學號|工号|密码|密碼|尾号|尾號|卡号|卡號|账号|帳號|账户|身份证|"
    r"邮编|郵編|[邮郵]政[编編][码碼]|代码|代碼|房号|房間號|房间号|车牌|(?<![A-Za-z])(?:QQ|qq|PIN|ID)|口令|号码|號碼|代号|批号|型号|序列号|状态码|错误码|"
    r"提取码|取件码|激活码|邀请码|航班|车次|編碼|编码|流水号|合同号|群号|端口)(?:号|號|码|碼)?[为為是:：\s#A-Za-z]{0,6}$"
)
_SCORE_WORDS = re.compile(
    r"比分|[获獲][胜勝]|战胜|戰勝|[击擊][败敗]|领先|領先|落后|落後|[胜勝负負赢贏输輸平]|大胜|险胜|绝杀|逆转"
)
_RATIO_WORDS = re.compile(r"比例|比率|比值|比分|配比|赔率|賠率|之比|[兑兌稀]|比[为為是]|按|概率")
_DURATION_WORDS = re.compile(r"用时|用時|耗时|耗時|时长|時長|历时|歷時|成绩|成績|[时時][间間][为為]")
_DATE_WORDS = re.compile(r"(?:[在于於至到从從自]|截止|日期|[：:])\s?$")
_AGO = re.compile(r"\s?年(?:前(?!后|後)|[历歷]史|来|來|的[历歷]史|以来|之久|多|左右)")
_SPAN_WORDS = re.compile(r"(?:[过過]去|[约約近]|距今|[超]过|有着?|[长長][达達])$")
_EQUATION = re.compile(r"\s?(?:[\d.()]{1,12}\s?[-+×÷*/]?\s?){0,4}=")
_EQUALS = re.compile(r"=\s?[\d.()+×÷*/\s-]{0,12}$")
_ROOM = r"(?=\s?(?:号?房|號?房|[室]|路(?:公交|[车車]|巴士|$|[，。,])|次(?:列[车車]|航班)))"


# -- numbers ----------------------------------------------------------------------------------------------------------


def _measured(match: re.Match[str]) -> bool:
    """Whether the number counts or measures what stands behind it."""
    return not _of_part(match) and _MEASURE.match(match.string, match.end()) is not None


def _of_part(match: re.Match[str]) -> bool:
    """Whether a part of something is named, as in "第3-5页"."""
    return match.start() > 0 and match.string[match.start() - 1] in "第图圖表"


def _number(text: str, measured: bool = False) -> str:
    """A number in digits, that may have commas and decimals; with leading zeros digit by digit."""
    text = text.replace(",", "")
    if "." in text:
        return decimal(text)
    if len(text) > 1 and text[0] == "0":
        return digits(text)
    return cardinal(int(text), measured)


def _signed(sign: str | None, number: str, unit: str = "") -> str:
    if not sign:
        return number
    if sign == "±":
        return f"正负{number}"
    if sign == "+":
        return f"正{number}"
    return f"零下{number}" if unit in _DEGREES else f"负{number}"


_DEGREES = ("摄氏度", "华氏度", "度")


def _plain_number(match: re.Match[str]) -> str:
    text, measured = match[0], _measured(match)
    if text.isdecimal() and not measured and not _LETTER.match(match.string, match.end()):
        if _is_code(match):
            return digits(text)
        if 3 <= len(text) <= 6 and (near(match, _PHONE_WORDS, 8) or _PHONE_BEHIND.match(match.string, match.end())):
            return digits(text, "幺")
    return _number(text, measured)


def _is_code(match: re.Match[str]) -> bool:
    return len(match[0]) > 1 and near(match, _CODE_WORDS, 16)


def _digit_run(match: re.Match[str]) -> str:
    return digits(match[0])


def _signed_number(match: re.Match[str]) -> str:
    unit = "度" if match.string.startswith(("度", " 度"), match.end()) else ""
    return _signed(match[1], _number(match[2], _measured(match)), unit)


# -- percent, fractions, ratios ---------------------------------------------------------------------------------------


def _percent(match: re.Match[str]) -> str:
    sign, low, high, mark = match.groups()
    of = "千分之" if mark == "‰" else "百分之"
    said = of + ("百" if low == "100" else _number(low))
    return _signed(sign, said) + (_TO + _number(high) if high else "")


def _fraction(match: re.Match[str]) -> str | None:
    given, top, bottom = match.groups()
    if whole(bottom) == 0:
        return None
    if given is None and _is_date(match, int(top), int(bottom)):
        return _date_words(0, int(top), int(bottom))
    if (top, bottom) == ("24", "7"):
        return "二十四七"
    return _fraction_words(int(given or 0), int(top), int(bottom))


def _is_date(match: re.Match[str], month: int, day: int) -> bool:
    if not (1 <= month <= 12 and 1 <= day <= 31) or match.string.startswith("的", match.end()):
        return False
    return near(match, _DATE_WORDS, 4) or (day > 12 and month > 1 and day != 100)


def _vulgar(match: re.Match[str]) -> str | None:
    parts = fraction_of(match[2])
    return None if parts is None else _fraction_words(int(match[1] or 0), *parts)


def _ratio(match: re.Match[str]) -> str:
    return "比".join(_number(part) for part in match[0].split(":"))


# -- money and units --------------------------------------------------------------------------------------------------


def _money(match: re.Match[str]) -> str:
    minus, sign, low, high, scale = match.groups()
    name = CURRENCY_SIGNS[sign]
    return _signed(minus, _amount(low, high, scale)) + name


def _money_code(match: re.Match[str]) -> str:
    low, high, scale, code = match.groups()
    return _amount(low, high, scale) + CURRENCY_CODES[code]


def _amount(low: str, high: str | None, scale: str | None) -> str:
    scaled = {"k": 10**3, "K": 10**3, "M": 10**6, "million": 10**6, "B": 10**9, "billion": 10**9}.get(scale or "")
    if scaled:
        low, scale = _times(low, scaled), None
    low = _cents(low)
    said = _number(low, True)
    return said + (_TO + _number(high, True) if high else "") + (scale or "")


def _times(number: str, scale: int) -> str:
    head, _, tail = number.replace(",", "").partition(".")
    if len(tail) > len(str(scale)) - 1:
        return number
    return str(int(head + tail) * scale // 10 ** len(tail))


def _sum(match: re.Match[str]) -> str | None:
    return _number(_cents(match[1]), True) if "." in match[1] else None


def _cents(number: str) -> str:
    """An amount without zeros at its end: "20.50" is 20.5."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _unit(match: re.Match[str]) -> str:
    sign, low, sign_of_high, high, unit = match.groups()
    name = UNITS[unit]
    said = _signed(sign, _number(low, len(name) > 0), name)
    return said + (_TO + _signed(sign_of_high, _number(high, True)) if high else "") + name


def _unit_per(match: re.Match[str]) -> str:
    low, high, unit = match.groups()
    per, name = UNITS_PER[unit]
    return f"每{per}{_number(low, True)}{_TO + _number(high, True) if high else ''}{name}"


# -- dates and times --------------------------------------------------------------------------------------------------


def _date(match: re.Match[str]) -> str | None:
    year, month, day = match[1], int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return _date_words(int(year), month, day)


def _year_month(match: re.Match[str]) -> str | None:
    month = int(match[2])
    return f"{digits(match[1])}年{cardinal(month)}月" if 1 <= month <= 12 else None


def _year(match: re.Match[str]) -> str | None:
    span = _AGO.match(match.string, match.end()) or near(match, _SPAN_WORDS, 3)
    if span and match[0].endswith("00"):
        return None
    return digits(match[0])


def _years(match: re.Match[str]) -> str:
    return digits(match[1]) + _TO + digits(match[2])


def _clock(match: re.Match[str]) -> str | None:
    hour, minute, second, half = match.groups()
    if near(match, _RATIO_WORDS, 5) or (second is None and int(hour) > 24):
        return None
    if second is not None and near(match, _DURATION_WORDS, 6):
        return f"{cardinal(int(hour), True)}小时{_two_digits(minute)}分{_two_digits(second)}秒"
    return _clock_words(int(hour), minute, second, half)


def _clock_words(hour: int, minute: str | None, second: str | None, half: str | None) -> str:
    said = {"a": "上午", "p": "下午"}.get(half.lower(), "") if half else ""
    said += f"{cardinal(hour, hour == 2)}点"
    if int(minute or 0) or second:
        said += f"{_two_digits(minute or '00')}分"
    return said + (f"{_two_digits(second)}秒" if second else "")


def _clock_half(match: re.Match[str]) -> str | None:
    return _clock_words(int(match[1]), None, None, match[2]) if int(match[1]) <= 12 else None


def _two_digits(text: str) -> str:
    return digits(text) if text[0] == "0" and text != "00" else cardinal(int(text))


# -- ranges and scores ------------------------------------------------------------------------------------------------


def _range(match: re.Match[str]) -> str | None:
    low, dash, high = match.groups()
    if dash == "-" and (_EQUATION.match(match.string, match.end()) or near(match, _EQUALS, 14)):
        return None
    padded = any(len(end) > 1 and end[0] == "0" and end.isdecimal() for end in (low, high))
    if padded or near(match, _CODE_WORDS, 16):
        return f"{digits(low)}，{digits(high)}"
    falls = float(low.replace(",", "")) > float(high.replace(",", ""))
    scored = dash != "~" and low.isdecimal() and high.isdecimal() and max(len(low), len(high)) <= 2
    if scored and (falls or near(match, _SCORE_WORDS, 6, 4)) and not _of_part(match):
        return f"{_number(low)}比{_number(high)}"
    measured = _measured(match)
    return _number(low, measured) + _TO + _number(high, measured)


# -- telephone numbers and codes --------------------------------------------------------------------------------------


def _phone(match: re.Match[str]) -> str:
    plus = "加" if match[0].startswith("+") else ""
    return plus + _telephone(re.findall(r"\d+", match[0]))


def _telephone(groups: list[str]) -> str:
    if len(groups[-1]) == 11 and groups[-1][0] == "1":
        *groups, mobile = groups
        groups += [mobile[:3], mobile[3:7], mobile[7:]]
    return "，".join(digits(group, "幺") for group in groups)


def _groups(match: re.Match[str]) -> str:
    return "，".join(digits(group) for group in match[0].split("-"))


def _behind_letter(match: re.Match[str]) -> str:
    text = match[1]
    if "." in text:
        return _version_words(text)
    if (len(text) > 2 and not text.endswith("00")) or near(match, _CODE_WORDS, 16):
        return digits(text)
    return _number(text)


def _room(match: re.Match[str]) -> str:
    return digits(match[0], "幺")


def _version_words(text: str) -> str:
    parts = text.split(".")
    if len(parts) == 2:
        return decimal(text)
    return "点".join(digits(part) if len(part) > 2 or part[0] == "0" else cardinal(int(part)) for part in parts)


def _address(match: re.Match[str]) -> str:
    return address(match[0], ADDRESS_SIGNS, _DIGITS)


# -- signs ------------------------------------------------------------------------------------------------------------


def _operator(match: re.Match[str]) -> str | None:
    sign = match[1]
    if sign in "-/":
        follows = _EQUATION.match(match.string, match.end(), match.end() + 48) is not None
        if not follows and not near(match, _EQUALS, 14):
            return None
        return "减" if sign == "-" else "除以"
    return SIGNS[sign]


_OPERAND = r"[\w)%²³]"
_UP_TO = rf"\s?{DASH}\s?"
_MONEY = Rule(
    re.compile(
        rf"(?:({NO_SIGN}-)\s?)?({_SIGN})\s?({NUMBER})(?:{_UP_TO}(?:{_SIGN})?({NUMBER}))?"
        rf"(?:\s?({_SCALE}|million\b|billion\b|[kKMB]{_NO_LETTER}))?(?:\s?(?:人民币|人民幣|[元圆]))?"
    ),
    _money,
)
_WORD_RULES: list[Rule] = [
    Rule(MAIL, _address),
    Rule(URL, _address),
    _MONEY,
    rule(r"[GDCKTZY]\d{1,4}(?=次)", lambda match: match[0][0] + digits(match[0], "幺")),
]
_RULES: list[Rule] = [
    Rule(MAIL, _address),
    Rule(URL, _address),
    # dates
    rule(rf"(?<![\d.-])({_YEAR})[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?!\d|[-/.]\d)", _date),
    rule(rf"(?<![\d.-])({_YEAR})[-/](0[1-9]|1[0-2])(?!\d|[-/]\d)", _year_month),
    rule(rf"({_YEAR})\s?{JOIN}\s?({_YEAR})(?!\d)(?=\s?年)", _years),
    rule(rf"({_YEAR})/(\d\d)(?!\d)(?=\s?(?:赛季|賽季|[财財学學]年))", _years),
    rule(rf"{_YEAR}(?!\d){_OF_YEAR}", _year),
    rule(r"(?:(?<=公元)|(?<=公元前))\d{1,4}(?=\s?年)", _digit_run),
    rule(r"\d\d(?=年(?:出生|生人|[级級款版届屆]))|[5-9]0(?=、[0-9]0[后後])", _digit_run),
    rule(r"(?:[5-9][05]|0[05])(?=[后後](?![来來天面续期方台边]))", _digit_run),
    # telephone numbers
    rule(r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)", _phone),
    rule(r"\(0\d{2,3}\) ?\d{3,4}[- ]?\d{4}(?!\d)|0\d{2,3}[- ]\d{3,4}[- ]?\d{4}(?!\d)|0\d{2,3}\d{8}(?!\d)", _phone),
    rule(r"[48]00[- ]\d{3,4}[- ]\d{3,4}(?!\d)|[48]00\d{7}(?!\d)", _phone),
    rule(r"\+\d{1,3}(?:[- ]\d{1,5}){2,5}(?!\d)|\+\d{7,15}(?!\d)", _phone),
    # times, ratios
    rule(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([AaPp])\.?[Mm]\b\.?)?", _clock),
    rule(r"(\d{1,2})\s?([AaPp])\.?[Mm]\b\.?", _clock_half),
    rule(r"\d{1,5}(?::\d{1,5}){1,3}(?![\d:])", _ratio),
    # money
    _MONEY,
    rule(rf"({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?({_SCALE})?\s?({_CODE}){_NO_LETTER}", _money_code),
    # percent, units
    rule(rf"(?:({NO_SIGN}[-+±])\s?)?({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?([%‰])", _percent),
    rule(rf"({NUMBER})(?:{_UP_TO}({NUMBER}))?\s?({_UNIT_PER}){_NO_LETTER}", _unit_per),
    rule(
        rf"(?:({NO_SIGN}[-+±])\s?)?({NUMBER})(?:{_UP_TO}(-?)({NUMBER}))?\s?({_UNIT}){_NO_LETTER}(?![²³\d/])",
        _unit,
    ),
    rule(TIMES, lambda match: "乘".join(map(_number, filter(None, match.groups())))),
    rule(rf"({NUMBER})(?=\s?(?:[美欧歐日港加澳]?元|[块塊](?![头頭])))", _sum),
    # fractions
    rule(r"(?<![\d/])(?:(\d{1,3}) )?(\d{1,4})/(\d{1,4})(?![\d/=]|\s?=)", _fraction),
    rule(r"(\d{0,3}) ?([\u00bc-\u00be\u2150-\u215e])", _vulgar),
    # versions, codes
    rule(r"\d{1,4}(?:\.\d{1,6}){2,5}(?!\d)", lambda match: _version_words(match[0])),
    rule(r"(?<=[A-Za-z])-?(\d{1,6}(?:\.\d{1,6}){0,4})(?![\d,])", _behind_letter),
    rule(rf"\d{{3,4}}{_ROOM}", _room),
    rule(r"(?<![\d-])\d{1,8}(?:-\d{1,8}){2,6}(?![\d-])", _groups),
    # ranges, numbers
    rule(rf"{behind('[年月日号號时時點点分秒天周页頁章节層层楼%‰度℃元]')}{JOIN}\s?(?=第?[-\d¥$€£])", _TO),
    rule(rf"{behind(r':[0-5][0-9]')}{JOIN}\s?(?=\d{{1,2}}:)", _TO),
    rule(rf"{behind('[周期][一二三四五六日天]')}{JOIN}\s?(?=周|星期|週)", _TO),
    rule(rf"({NUMBER})\s?({JOIN})\s?({NUMBER})(?!-\d)", _range),
    rule(rf"({NO_SIGN}[-+±])\s?({NUMBER})", _signed_number),
    rule(NUMBER, _plain_number),
    rule(r"\d{1,400}", _digit_run),
    # signs
    rule(r"(?<=[元块塊次个個人克升米度])/(?=[\u4e00-\u9fff])", "每"),
    rule(r"(?<=\d)\+(?=\s?(?:[个個名位家种種人次天年岁歲件款项項台只间間条條]))", "多"),
    rule(r"(?<=[0-9万亿千百萬億])\+(?![\w(])", "以上"),
    rule(rf"{behind(r'[A-Za-z0-9)%²³]')}([-×÷*/<>≥≤≠])\s?(?=[A-Za-z0-9(\-±√])", _operator),
    rule(rf"{behind(_OPERAND)}([+=])\s?(?=[\w(\-±√])", _operator),
    rule(r"([<>≥≤≈≠±])\s?(?=\d)", _operator),
    rule(rf"{behind(f'[A-Za-z0-9{HAN}]')}&\s?(?=[A-Za-z0-9{HAN}])", "和"),
    rule(r"@(?=\w)", "艾特"),
    rule(r"#(?=\d)", "井号"),
    rule("²", "的平方"),
    rule("³", "的立方"),
    rule("√", "根号"),
    rule("°", "度"),
    rule("[%％]", "百分号"),
]


# -- single characters, say-as ----------------------------------------------------------------------------------------


def _char(char: str) -> str | None:
    if char == "〇":
        return "零"
    if char < "\x80":
        return None
    usual = GREEK.get(char) or UNITS.get(char) or usual_char(char)
    return None if usual is None else _DIGIT_RUN.sub(lambda match: cardinal(int(match[0])), usual)


class MandarinNormaliser:
    """`voxwire_server.text.reading.Normaliser` of Chinese, simplified or traditional. Keeps no state."""

    def __init__(self) -> None:
        self._scanner = Scanner(_STARTS, _RULES, _WORD_RULES, _char)
        self._words = Words(
            number=lambda sign, number: _signed(sign, _number(number)),
            ordinal=lambda number: f"第{cardinal(number)}",
            digits=digits,
            telephone=lambda groups: _telephone(groups),
            date=_date_words,
            time=lambda hour, minute, second, half: _clock_words(
                hour, f"{minute:02}", f"{second:02}" if second else None, half
            ),
            fraction=_fraction_words,
            signs=ADDRESS_SIGNS,
            read=self._read,
            bleep="哔",
        )

    def rewrites(self, text: str, before: str) -> list[Rewrite]:
        """What of `text` is read otherwise than it is written: in the order of the text, disjoint."""
        return self._scanner.rewrites(text, before)

    def say_as(self, text: str, interpret_as: str, detail: str) -> str | None:
        """`text` as SSML's `say-as` asks; None where that says nothing about it."""
        return say_as(text, interpret_as, detail, self._words)

    def _read(self, text: str) -> str:
        return rewritten(text, self.rewrites(text, "")).text


_STARTS = rf"[0-9$€£¥₩₹₽₿฿₫₺₱₴₪+×÷*/=<>@#&%(°\-~〇]|{LETTER_OR_ODD}"


def _date_words(year: int, month: int, day: int) -> str:
    said = f"{digits(str(year))}年" if year else ""
    said += f"{cardinal(month)}月" if month else ""
    return said + (f"{cardinal(day)}日" if day else "")


def _fraction_words(given: int, top: int, bottom: int) -> str:
    said = f"{cardinal(bottom)}分之{cardinal(top)}"
    return f"{cardinal(given)}又{said}" if given else said

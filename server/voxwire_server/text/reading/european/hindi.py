"""Hindi: its numbers in lakhs and crores, and its words for signs."""

from __future__ import annotations

import re

from voxwire_server.text.reading.european.language import Currency, Language, Noun, word_list

_BELOW_HUNDRED = word_list(
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस "
    "इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस "
    "छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस "
    "अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ तिरसठ "
    "चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर "
    "अठहत्तर उन्यासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे "
    "बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे"
)
_SCALES = ((10**11, "खरब"), (10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (1000, "हज़ार"), (100, "सौ"))
_MONTHS = word_list("जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर")
_ORDINALS = {1: "पहल", 2: "दूसर", 3: "तीसर", 4: "चौथ", 6: "छठ"}
_YEAR_WORDS = frozenset(word_list("में से के की का तक"))
_BEFORE_YEARS = frozenset(("सन", "सन्", "वर्ष", "साल", *_MONTHS))


def _cardinal(n: int, _gender: str = "") -> str:
    if n == 100:
        return "सौ"
    words = []
    for value, name in _SCALES:
        if n >= value:
            words += [_cardinal(n // value), name]
            n %= value
    if n or not words:
        words.append(_BELOW_HUNDRED[n])
    return " ".join(words)


def _ordinal(n: int, gender: str = "") -> str:
    ending = "ी" if gender == "f" else "ा"
    return _ORDINALS[n] + ending if n in _ORDINALS else f"{_cardinal(n)}व{ending}ँ"


def _ordinal_of(n: int, mark: str) -> str:
    vowel = next((c for c in mark if c in "ाीे"), "ा")
    return _ORDINALS[n] + vowel if n in _ORDINALS else f"{_cardinal(n)}व{vowel}{'ँ' if vowel == 'ा' else 'ं'}"


def _clock(hour: int, minute: int, second: int, marker: str) -> str:
    hours = _cardinal(hour)
    if second >= 0:
        return f"{hours} बजकर {_cardinal(minute)} मिनट {_cardinal(second)} सेकंड"
    said = f"{hours} बजकर {_cardinal(minute)} मिनट" if minute else f"{hours} बजे"
    return said + " पर" * (marker == "बजे" and minute > 0)


def _date(day: int, month: int, year: int) -> str:
    parts = [_cardinal(day)] if day else []
    parts += [_MONTHS[month - 1]] if month else []
    parts += [_year(year)] if year >= 0 else []
    return " ".join(parts)


def _year(n: int) -> str:
    if 1100 <= n < 2000:
        return f"{_cardinal(n // 100)} सौ{' ' + _cardinal(n % 100) if n % 100 else ''}"
    return _cardinal(n)


def _year_in_context(n: int, before: str, behind: str) -> str | None:
    return _year(n) if 1100 <= n < 2000 and (before in _BEFORE_YEARS or behind in _YEAR_WORDS) else None


def _fraction(a: int, b: int) -> str:
    return "आधा" if (a, b) == (1, 2) else f"{_cardinal(a)} बटा {_cardinal(b)}"


def _roman(n: int, _word: str) -> str:
    return _cardinal(n)


_PAISE, _CENT = Noun("पैसा", "पैसे"), Noun("सेंट", "सेंट")
_RUPEE = Currency(Noun("रुपया", "रुपये"), _PAISE)
_DOLLAR = Currency(Noun("डॉलर", "डॉलर"), _CENT)
_EURO = Currency(Noun("यूरो", "यूरो"), _CENT)
_POUND = Currency(Noun("पाउंड", "पाउंड"), Noun("पेंस", "पेंस"))
_YEN = Currency(Noun("येन", "येन"), _CENT)
_LAKH, _CRORE, _THOUSAND = Noun("लाख", "लाख"), Noun("करोड़", "करोड़"), Noun("हज़ार", "हज़ार")
_MILLION, _ARAB = Noun("मिलियन", "मिलियन"), Noun("अरब", "अरब")

LANGUAGE = Language(
    cardinal=_cardinal,
    ordinal=_ordinal,
    gender=lambda *_: "",
    clock=_clock,
    date=_date,
    fraction=_fraction,
    roman=_roman,
    point_is_decimal=True,
    marks={",": "दशमलव", ".": "दशमलव"},
    decimals_as_cardinal_max=0,
    point="पॉइंट",
    minus="माइनस",
    plus="प्लस",
    per="प्रति",
    to="से",
    and_half="सही",
    half_behind="आधा",
    percent="प्रतिशत",
    per_mille="प्रति हज़ार",
    version="वर्ज़न",
    number="नंबर",
    number_sign="हैशटैग",
    at="एट",
    of=lambda name: name,
    and_cents=" ",
    degree=Noun("डिग्री", "डिग्री"),
    currencies={
        "₹": _RUPEE,
        "INR": _RUPEE,
        "Rs.": _RUPEE,
        "Rs": _RUPEE,
        "रु.": _RUPEE,
        "रु": _RUPEE,
        "रू.": _RUPEE,
        "$": _DOLLAR,
        "US$": _DOLLAR,
        "USD": _DOLLAR,
        "€": _EURO,
        "EUR": _EURO,
        "£": _POUND,
        "GBP": _POUND,
        "¥": _YEN,
        "JPY": _YEN,
        "R$": Currency(Noun("रियाल", "रियाल"), _CENT),
    },
    scales={
        spelling: noun
        for key, noun in {
            "लाख": _LAKH,
            "करोड़": _CRORE,
            "हज़ार": _THOUSAND,
            "हजार": _THOUSAND,
            "अरब": _ARAB,
            "मिलियन": _MILLION,
            "L": _LAKH,
            "Cr": _CRORE,
            "M": _MILLION,
            "k": _THOUSAND,
            "K": _THOUSAND,
        }.items()
        for spelling in (key, key.replace("ड\u093c", "\u095c").replace("ज\u093c", "\u095b"))
    },
    scale_values={},
    units={
        unit: Noun(name, name)
        for unit, name in {
            "km": "किलोमीटर",
            "किमी": "किलोमीटर",
            "कि.मी.": "किलोमीटर",
            "m": "मीटर",
            "मी": "मीटर",
            "cm": "सेंटीमीटर",
            "सेमी": "सेंटीमीटर",
            "mm": "मिलीमीटर",
            "kg": "किलो",
            "किग्रा": "किलो",
            "g": "ग्राम",
            "mg": "मिलीग्राम",
            "l": "लीटर",
            "L": "लीटर",
            "ml": "मिलीलीटर",
            "km/h": "किलोमीटर प्रति घंटा",
            "kmph": "किलोमीटर प्रति घंटा",
            "किमी/घंटा": "किलोमीटर प्रति घंटा",
            "m/s": "मीटर प्रति सेकंड",
            "m²": "वर्ग मीटर",
            "km²": "वर्ग किलोमीटर",
            "m³": "घन मीटर",
            "h": "घंटे",
            "min": "मिनट",
            "s": "सेकंड",
            "ms": "मिलीसेकंड",
            "KB": "किलोबाइट",
            "MB": "मेगाबाइट",
            "GB": "गीगाबाइट",
            "TB": "टेराबाइट",
            "W": "वॉट",
            "kW": "किलोवॉट",
            "kWh": "किलोवॉट घंटा",
            "V": "वोल्ट",
            "Hz": "हर्ट्ज़",
            "kHz": "किलोहर्ट्ज़",
            "MHz": "मेगाहर्ट्ज़",
            "GHz": "गीगाहर्ट्ज़",
            "Mbps": "मेगाबिट प्रति सेकंड",
            "mAh": "मिलीएम्पियर घंटा",
            "°C": "डिग्री सेल्सियस",
            "°F": "डिग्री फ़ारेनहाइट",
        }.items()
    },
    months=_MONTHS,
    first_of_month="",
    letters={},
    signs={
        "&": "और",
        "@": "एट",
        "%": "प्रतिशत",
        "‰": "प्रति हज़ार",
        "+": "प्लस",
        "=": "बराबर",
        "<": "से कम",
        ">": "से अधिक",
        "×": "गुणा",
        "÷": "भागा",
        "±": "प्लस माइनस",
        "≈": "लगभग",
        "≤": "से कम या बराबर",
        "≥": "से अधिक या बराबर",
        "≠": "बराबर नहीं",
        "/": "स्लैश",
        "\\": "बैकस्लैश",
        "*": "तारांकन",
        "#": "हैश",
        "_": "अंडरस्कोर",
        "^": "कैरेट",
        "|": "पाइप",
        "~": "लगभग",
        "§": "धारा",
        "²": "वर्ग",
        "³": "घन",
        "©": "कॉपीराइट",
        "®": "पंजीकृत",
        "™": "ट्रेडमार्क",
        "°": "डिग्री",
        "€": "यूरो",
        "$": "डॉलर",
        "£": "पाउंड",
        "¥": "येन",
        "₹": "रुपये",
        "√": "वर्गमूल",
        "∞": "अनंत",
        "µ": "माइक्रो",
        "π": "पाई",
        "Ω": "ओम",
    },
    address_signs={"-": "डैश", "_": "अंडरस्कोर", "/": "स्लैश", "+": "प्लस", ".": "डॉट"},
    abbreviations={
        "डॉ.": "डॉक्टर",
        "डा.": "डॉक्टर",
        "प्रो.": "प्रोफ़ेसर",
        "कि.मी.": "किलोमीटर",
        "सं.": "संख्या",
        "नं.": "नंबर",
        "पृ.": "पृष्ठ",
        "ई.": "ईस्वी",
        "स्व.": "स्वर्गीय",
        "मि.": "मिस्टर",
        "dr.": "डॉक्टर",
        "mr.": "मिस्टर",
        "mrs.": "मिसेज़",
        "ms.": "मिस",
        "no.": "नंबर",
        "etc.": "वगैरह",
        "am": "ए एम",
        "pm": "पी एम",
        "a.m.": "ए एम",
        "p.m.": "पी एम",
        "ई.पू.": "ईसा पूर्व",
    },
    spelled=frozenset(),
    ordinals=re.compile(r"(?:वाँ|वां|वीं|वें|वा|वी|वे|ला|ली|ले|रा|री|रे|था|थी|थे|ठा|ठी|ठे)(?![\u0900-\u0963\w])"),
    ordinal_of=_ordinal_of,
    phone=re.compile(r"\+\d{1,3}(?:[ .-]?\d){7,12}|[6-9]\d{4}[ -]?\d{5}|0\d{2,4}[ -]\d{6,8}|1800(?:[ -]?\d{3,4}){2}"),
    phone_groups=lambda text: (text[:5], text[5:]) if len(text) == 10 else (text,),
    phone_pairs=False,
    day_words=frozenset(("दिनांक", "तारीख")),
    time_words=frozenset(),
    counted_words=frozenset(),
    code_words=frozenset(word_list("otp pin cvv कोड पिन ओटीपी")),
    roman_words=frozenset(word_list("लुई चार्ल्स हेनरी जॉर्ज एलिज़ाबेथ अध्याय सदी पोप किंग विश्वयुद्ध")),
    year=_year_in_context,
)

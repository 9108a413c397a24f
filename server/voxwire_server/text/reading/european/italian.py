"""Italian: its numbers, by num2words with agreement, and its words for signs."""

from __future__ import annotations

import re

from num2words import num2words

from voxwire_server.text.reading.european.language import Currency, Language, Noun, letter_names, word_list

_MONTHS = word_list("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre")
_FRACTIONS = word_list("mezzo terzo quarto quinto sesto settimo ottavo nono decimo")
_FEMININE = re.compile(
    r"\w*(?:a|ione|tà|tù|trice|udine)|notte|mano|foto|moto|auto|radio|parte|classe|chiave|rete|serie|base"
    r"|volte|chiamate|mail|e-mail|email"
    r"|voce|legge|luce|fonte|frase|fase|torre|morte|specie|superficie|moglie|madre|nave|neve|valle"
    r"|ragione|password|app"
)
_MASCULINE = re.compile(
    r"problema|sistema|programma|tema|schema|clima|diploma|dramma|giga|mega|kilogramma|chilogramma|grammo"
    r"|pianeta|poema"
    r"|pigiama|cinema|sofa|boia|milione|rione|lampione|campione|portone|padrone|copione|bastione|arcione"
    r"|testimone"
)
_NOT_NOUNS = frozenset(
    word_list(
        "a da di in con su per tra fra e o ed od la il lo le gli i un una è ha era sarà ma se che non più "
        "meno della dalla alla sulla nella mia tua sua questa quella come dopo prima senza sotto sopra contro "
        "verso fino anche già poi ogni va sta fa dà può vale costa resta"
    )
)


def _cardinal(n: int, gender: str = "") -> str:
    if n == 1 and gender:
        return {"m": "un", "z": "uno", "f": "una", "e": "un'"}[gender]
    words = num2words(n, lang="it").replace(",", "")
    return re.sub(r"(?<=\w)tre\b", "tré", words)


def _ordinal(n: int, gender: str = "") -> str:
    words: str = num2words(n, lang="it", to="ordinal")
    return words[:-1] + "a" if gender in ("f", "e") else words


def _ordinal_of(n: int, mark: str) -> str:
    return _ordinal(n, "f" if mark.endswith("ª") or mark == "a" else "m")


def _gender(n: int, word: str) -> str:
    word = word.lower()
    if n != 1 or word in _NOT_NOUNS:
        return ""
    if _FEMININE.fullmatch(word) and not _MASCULINE.fullmatch(word):
        return "e" if word[0] in "aeiouàèéìòù" else "f"
    return "z" if re.match(r"s[bcdfglmnpqrtv]|z|gn|ps|pn|x|y", word) else "m"


def _clock(hour: int, minute: int, second: int, marker: str) -> str:
    hours = "una" if hour == 1 else _cardinal(hour)
    if second >= 0:
        ora = "un'ora" if hour == 1 else f"{hours} ore"
        return f"{ora} {_counted(minute, 'minut')} e {_counted(second, 'second')}"
    if marker == "h" and not minute:
        return "un'ora" if hour == 1 else f"{hours} ore"
    return f"{hours} e {_cardinal(minute)}" if minute else hours


def _counted(n: int, stem: str) -> str:
    return f"{_cardinal(n, 'm')} {stem}{'o' if n == 1 else 'i'}"


def _date(day: int, month: int, year: int) -> str:
    parts = ["primo" if day == 1 and month else _cardinal(day)] if day else []
    parts += [_MONTHS[month - 1]] if month else []
    parts += [_cardinal(year)] if year >= 0 else []
    return " ".join(parts)


def _fraction(a: int, b: int) -> str:
    if a >= b or b > 9:
        return f"{_cardinal(a)} su {_cardinal(b)}"
    return f"{_cardinal(a, 'm')} {_FRACTIONS[b - 2] if a == 1 else _FRACTIONS[b - 2][:-1] + 'i'}"


def _roman(n: int, word: str) -> str:
    if word in _RULERS or word == "secolo":
        return _ordinal(n, "f" if word in _QUEENS else "m")
    return _cardinal(n)


_QUEENS = frozenset(word_list("elisabetta caterina maria cristina vittoria anna margherita giovanna"))
_RULERS = _QUEENS | frozenset(
    word_list(
        "luigi carlo enrico filippo vittorio emanuele umberto giovanni paolo pio benedetto leone clemente "
        "giorgio pietro napoleone francesco federico guglielmo edoardo riccardo alessandro nicola gregorio "
        "innocenzo urbano giulio sisto bonifacio papa re amedeo ferdinando alfonso giacomo"
    )
)
_CENT = Noun("centesimo", "centesimi")
_EURO = Currency(Noun("euro", "euro"), _CENT)
_DOLLARO = Currency(Noun("dollaro", "dollari"), _CENT)
_STERLINA = Currency(Noun("sterlina", "sterline", "f"), Noun("penny", "pence"))
_YEN = Currency(Noun("yen", "yen", "z"), _CENT)
_RUPIA = Currency(Noun("rupia", "rupie", "f"), Noun("paisa", "paisa"))
_REAL = Currency(Noun("real", "real"), Noun("centavo", "centavos"))
_FRANCO = Currency(Noun("franco", "franchi"), _CENT)
_MILIONE, _MILIARDO, _MILA = Noun("milione", "milioni"), Noun("miliardo", "miliardi"), Noun("mille", "mila")

LANGUAGE = Language(
    cardinal=_cardinal,
    ordinal=_ordinal,
    gender=_gender,
    clock=_clock,
    date=_date,
    fraction=_fraction,
    roman=_roman,
    point_is_decimal=False,
    marks={",": "virgola", ".": "virgola"},
    decimals_as_cardinal_max=2,
    point="punto",
    minus="meno",
    plus="più",
    per="al",
    to="a",
    and_half="e",
    half_behind="mezzo",
    percent="per cento",
    per_mille="per mille",
    version="versione",
    number="numero",
    number_sign="hashtag",
    at="chiocciola",
    of=lambda name: f"di {name}",
    and_cents=" e ",
    degree=Noun("grado", "gradi"),
    currencies={
        "€": _EURO,
        "EUR": _EURO,
        "$": _DOLLARO,
        "US$": _DOLLARO,
        "USD": _DOLLARO,
        "£": _STERLINA,
        "GBP": _STERLINA,
        "¥": _YEN,
        "JPY": _YEN,
        "₹": _RUPIA,
        "INR": _RUPIA,
        "R$": _REAL,
        "BRL": _REAL,
        "CHF": _FRANCO,
    },
    scales={
        "M": _MILIONE,
        "Mln": _MILIONE,
        "mln": _MILIONE,
        "milione": _MILIONE,
        "milioni": _MILIONE,
        "Mld": _MILIARDO,
        "mld": _MILIARDO,
        "miliardo": _MILIARDO,
        "miliardi": _MILIARDO,
        "mila": _MILA,
        "k": _MILA,
        "K": _MILA,
    },
    scale_values={"k": 1000, "K": 1000, "mila": 1000},
    units={
        "km": Noun("chilometro", "chilometri"),
        "m": Noun("metro", "metri"),
        "cm": Noun("centimetro", "centimetri"),
        "mm": Noun("millimetro", "millimetri"),
        "kg": Noun("chilo", "chili"),
        "g": Noun("grammo", "grammi"),
        "gr": Noun("grammo", "grammi"),
        "mg": Noun("milligrammo", "milligrammi"),
        "t": Noun("tonnellata", "tonnellate", "f"),
        "l": Noun("litro", "litri"),
        "ml": Noun("millilitro", "millilitri"),
        "cl": Noun("centilitro", "centilitri"),
        "km/h": Noun("chilometro all'ora", "chilometri all'ora"),
        "m/s": Noun("metro al secondo", "metri al secondo"),
        "m²": Noun("metro quadrato", "metri quadrati"),
        "mq": Noun("metro quadrato", "metri quadrati"),
        "km²": Noun("chilometro quadrato", "chilometri quadrati"),
        "m³": Noun("metro cubo", "metri cubi"),
        "ha": Noun("ettaro", "ettari"),
        "min": Noun("minuto", "minuti"),
        "s": Noun("secondo", "secondi"),
        "ms": Noun("millisecondo", "millisecondi"),
        "KB": Noun("kilobyte", "kilobyte"),
        "MB": Noun("megabyte", "megabyte"),
        "GB": Noun("gigabyte", "gigabyte"),
        "TB": Noun("terabyte", "terabyte"),
        "W": Noun("watt", "watt"),
        "kW": Noun("chilowatt", "chilowatt"),
        "kWh": Noun("chilowattora", "chilowattora"),
        "V": Noun("volt", "volt"),
        "Hz": Noun("hertz", "hertz"),
        "kHz": Noun("chilohertz", "chilohertz"),
        "MHz": Noun("megahertz", "megahertz"),
        "GHz": Noun("gigahertz", "gigahertz"),
        "Mbps": Noun("megabit al secondo", "megabit al secondo"),
        "mAh": Noun("milliamperora", "milliamperora"),
        "°C": Noun("grado Celsius", "gradi Celsius"),
        "°F": Noun("grado Fahrenheit", "gradi Fahrenheit"),
    },
    months=_MONTHS,
    first_of_month="primo",
    letters=letter_names(
        "abcdefghijklmnopqrstuvwxyz",
        "a bi ci di e effe gi acca i i_lunga cappa elle emme enne o pi cu erre esse ti u vu doppia_vu ics ipsilon zeta",
    ),
    signs={
        "&": "e",
        "@": "chiocciola",
        "%": "per cento",
        "‰": "per mille",
        "+": "più",
        "=": "uguale a",
        "<": "minore di",
        ">": "maggiore di",
        "×": "per",
        "÷": "diviso",
        "±": "più o meno",
        "≈": "circa",
        "≤": "minore o uguale a",
        "≥": "maggiore o uguale a",
        "≠": "diverso da",
        "/": "barra",
        "\\": "barra inversa",
        "*": "asterisco",
        "#": "cancelletto",
        "_": "trattino basso",
        "^": "accento circonflesso",
        "|": "barra verticale",
        "~": "circa",
        "§": "paragrafo",
        "²": "al quadrato",
        "³": "al cubo",
        "©": "copyright",
        "®": "marchio registrato",
        "™": "marchio",
        "°": "gradi",
        "€": "euro",
        "$": "dollari",
        "£": "sterline",
        "¥": "yen",
        "₹": "rupie",
        "√": "radice quadrata di",
        "∞": "infinito",
        "µ": "micro",
        "π": "pi greco",
        "Ω": "ohm",
    },
    address_signs={"-": "trattino", "_": "trattino basso", "/": "barra", "+": "più"},
    abbreviations={
        "sig.": "signor",
        "sig.ra": "signora",
        "sig.na": "signorina",
        "sigg.": "signori",
        "dott.": "dottor",
        "dott.ssa": "dottoressa",
        "dr.": "dottor",
        "dr.ssa": "dottoressa",
        "prof.": "professor",
        "prof.ssa": "professoressa",
        "ing.": "ingegner",
        "avv.": "avvocato",
        "arch.": "architetto",
        "geom.": "geometra",
        "rag.": "ragionier",
        "on.": "onorevole",
        "ecc.": "eccetera",
        "p. es.": "per esempio",
        "p.es.": "per esempio",
        "ad es.": "ad esempio",
        "es.": "esempio",
        "n°": "numero",
        "nº": "numero",
        "n.": "numero",
        "pag.": "pagina",
        "pagg.": "pagine",
        "p.": "pagina",
        "tel.": "telefono",
        "cell.": "cellulare",
        "art.": "articolo",
        "cap.": "capitolo",
        "vol.": "volume",
        "s.p.a.": "esse pi a",
        "spa.": "esse pi a",
        "s.r.l.": "esse erre elle",
        "a.c.": "avanti Cristo",
        "a. c.": "avanti Cristo",
        "d.c.": "dopo Cristo",
        "d. c.": "dopo Cristo",
        "v.le": "viale",
        "p.zza": "piazza",
        "p.za": "piazza",
        "c.so": "corso",
        "max.": "massimo",
        "min.": "minimo",
        "ca.": "circa",
        "gent.ma": "gentilissima",
        "gent.mo": "gentilissimo",
        "egr.": "egregio",
        "spett.": "spettabile",
        "e/o": "e o",
        "km/h": "chilometri all'ora",
        "vs.": "contro",
        "st.": "santo",
    },
    spelled=frozenset({"UE", "IA", "UI"}),
    ordinals=re.compile(r"\.?[ºª]|°(?= [a-zà-ù]{4,})|[oa](?= [a-zà-ú]{3,})|(?:mo|ma|esimo|esima)\b"),
    ordinal_of=_ordinal_of,
    phone=re.compile(
        r"(?:\+|00)\d{1,3}(?:[ ./-]?\d){7,12}|3\d{2}[ ./-]?\d{3}[ ./-]?\d{3,4}|0\d{1,3}(?:[ ./-]?\d){5,8}"
        r"|800[ .-]?\d{3}[ .-]?\d{3}"
    ),
    phone_groups=lambda text: (text[:3], text[3:6], text[6:]) if len(text) in (9, 10) else (text,),
    phone_pairs=False,
    day_words=frozenset(word_list("il del al dal entro")),
    time_words=frozenset(word_list("alle ore dalle delle")),
    counted_words=frozenset(
        word_list(
            "numero pagina opzione capitolo passo versione livello linea sala porta il del al piano stanza "
            "articolo tasto codice canale binario prema premi"
        )
    ),
    code_words=frozenset(word_list("codice pin otp cvv")),
    roman_words=_RULERS
    | {"secolo"}
    | frozenset(word_list("capitolo tomo volume atto libro parte titolo livello fase tipo gruppo secoli")),
    year=lambda *_: None,
)

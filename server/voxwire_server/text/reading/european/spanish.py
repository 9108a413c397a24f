"""Spanish: its numbers, by num2words with agreement, and its words for signs."""

from __future__ import annotations

import re

from num2words import num2words

from voxwire_server.text.reading.european.language import Currency, Language, Noun, letter_names, word_list

_ORDINALS = word_list("primero segundo tercero cuarto quinto sexto séptimo octavo noveno")
_TEENS = word_list(
    "décimo undécimo duodécimo decimotercero decimocuarto decimoquinto decimosexto decimoséptimo "
    "decimoctavo decimonoveno"
)
_TENS = word_list("vigésimo trigésimo cuadragésimo quincuagésimo sexagésimo septuagésimo octogésimo nonagésimo")
_MONTHS = word_list("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
_FRACTIONS = word_list("medio tercio cuarto quinto sexto séptimo octavo noveno décimo")

_MASCULINE = re.compile(
    r"(?:d[ií]a|problema|sistema|programa|tema|mapa|idioma|planeta|poema|clima|diploma|esquema|drama"
    r"|aroma|sofá|pijama"
    r"|kilograma|gorila|cometa|dilema|síntoma|fantasma|carisma|plasma)s?"
)
_FEMININE = re.compile(
    r"\w*(?:as|ciones|siones|dades|tades|tudes|umbres|xiones)"
    r"|veces|noches|tardes|clases|llaves|calles|partes|fuentes|leyes|mujeres|flores|imágenes|series|bases"
    r"|claves|torres"
    r"|redes|manos|fotos|motos|frases|fases|muertes|señales|sucursales|superficies|versiones|razones"
    r"|habitaciones|luces|voces"
)
_FEMININE_ONE = re.compile(
    r"\w*(?:a|ción|sión|dad|tad|tud|umbre|xión)"
    r"|vez|noche|tarde|clase|llave|calle|parte|fuente|ley|mujer|flor|imagen|serie|base|clave|torre|red"
    r"|mano|foto|moto"
    r"|frase|fase|muerte|señal|sucursal|superficie|razón|luz|voz"
)
_NOT_NOUNS = frozenset(
    word_list(
        "a al de del y o u e en con que por para hasta contra era esta la las los el lo una un es no se si sí "
        "más menos sin sobre ya cada ni como ha he hay fue ser está entre desde cuando donde pero porque sea "
        "eran son están cuesta será pasa sea para te me nos le les su mi tu vale empieza termina tiene mismas "
        "unas estas esas aquellas nuestra vuestra antes después además mientras apenas abajo arriba aquí "
        "ahora hoy ayer solo también según ante bajo tras durante mediante quizás"
    )
)


def _cardinal(n: int, gender: str = "") -> str:
    words = re.sub(r"veintiuno (?=\w)", "veintiún ", num2words(n, lang="es"))
    words = re.sub(r"\buno (?=\w)", "un ", words)
    if gender == "m":
        words = re.sub(r"uno$", "un", words)
        return re.sub(r"veintiun$", "veintiún", words)
    if gender == "f":
        head, large, tail = words.rpartition("illones") if "illones" in words else words.rpartition("illón")
        return head + large + re.sub(r"uno$", "una", re.sub(r"entos\b", "entas", tail))
    return words


def _ordinal(n: int, gender: str = "") -> str:
    if n < 10:
        words = _ORDINALS[n - 1]
    elif n < 20:
        words = _TEENS[n - 10]
    elif n < 100:
        words = _TENS[n // 10 - 2] + (" " + _ORDINALS[n % 10 - 1] if n % 10 else "")
    elif n == 100:
        words = "centésimo"
    else:
        return _cardinal(n, gender)
    return re.sub(r"o\b", "a", words) if gender == "f" else words


def _ordinal_of(n: int, mark: str) -> str:
    mark = mark.lower().lstrip(".")
    if mark in ("er", "ᵉʳ"):
        return re.sub(r"(primer|tercer)o$", r"\1", _ordinal(n))
    return _ordinal(n, "f" if mark.endswith(("ª", "a")) else "m")


def _gender(n: int, word: str) -> str:
    word = word.lower()
    if word in _NOT_NOUNS or n == 0:
        return ""
    if n == 1:
        if _FEMININE_ONE.fullmatch(word) and not _MASCULINE.fullmatch(word):
            return "f"
        return "m" if not word.endswith("s") else ""
    if _FEMININE.fullmatch(word) and not _MASCULINE.fullmatch(word):
        return "f"
    return "m" if word.endswith("s") else ""


def _clock(hour: int, minute: int, second: int, marker: str) -> str:
    hours = _cardinal(hour, "f")
    if second >= 0:
        one = "hora" if hour == 1 else "horas"
        return f"{hours} {one} {_counted(minute, 'minuto')} {_counted(second, 'segundo')}"
    if minute == 0:
        return f"{hours} hora{'s' * (hour != 1)}" if hour > 12 or hour == 0 or marker == "h" else hours
    return f"{hours} y {_cardinal(minute)}" if minute < 10 else f"{hours} {_cardinal(minute)}"


def _counted(n: int, noun: str) -> str:
    return f"{_cardinal(n, 'm')} {noun}{'' if n == 1 else 's'}"


def _date(day: int, month: int, year: int) -> str:
    parts = [_cardinal(day)] if day else []
    parts += [_MONTHS[month - 1]] if month else []
    parts += [_cardinal(year)] if year >= 0 else []
    return " de ".join(parts)


def _fraction(a: int, b: int) -> str:
    if b == 1 or b > 10:
        return f"{_cardinal(a)} sobre {_cardinal(b)}"
    return f"{_cardinal(a, 'm')} {_FRACTIONS[b - 2]}{'' if a == 1 else 's'}"


def _roman(n: int, word: str) -> str:
    ordinal = n <= 10 and (word in _RULERS or word == "siglo")
    return _ordinal(n, "f" if word in _QUEENS else "m") if ordinal else _cardinal(n)


_QUEENS = frozenset(word_list("isabel catalina maría cristina juana victoria ana margarita beatriz"))
_RULERS = _QUEENS | frozenset(
    word_list(
        "luis felipe carlos alfonso fernando juan pablo pío benedicto enrique jorge pedro napoleón francisco "
        "jaime sancho ramiro guillermo eduardo ricardo alejandro nicolás federico gregorio clemente inocencio "
        "urbano león papa rey"
    )
)
_CENTIMOS = Noun("céntimo", "céntimos")
_CENTAVOS = Noun("centavo", "centavos")
_EURO = Currency(Noun("euro", "euros"), _CENTIMOS)
_DOLAR = Currency(Noun("dólar", "dólares"), _CENTAVOS)
_LIBRA = Currency(Noun("libra", "libras", "f"), Noun("penique", "peniques"))
_YEN = Currency(Noun("yen", "yenes"), _CENTAVOS)
_RUPIA = Currency(Noun("rupia", "rupias", "f"), Noun("paisa", "paisas", "f"))
_REAL = Currency(Noun("real", "reales"), _CENTAVOS)
_PESO = Currency(Noun("peso", "pesos"), _CENTAVOS)
_FRANCO = Currency(Noun("franco", "francos"), _CENTIMOS)
_MILLON = Noun("millón", "millones")

LANGUAGE = Language(
    cardinal=_cardinal,
    ordinal=_ordinal,
    gender=_gender,
    clock=_clock,
    date=_date,
    fraction=_fraction,
    roman=_roman,
    point_is_decimal=False,
    marks={",": "coma", ".": "punto"},
    decimals_as_cardinal_max=2,
    point="punto",
    minus="menos",
    plus="más",
    per="por",
    to="a",
    and_half="y",
    half_behind="medio",
    percent="por ciento",
    per_mille="por mil",
    version="versión",
    number="número",
    number_sign="hashtag",
    at="arroba",
    of=lambda name: f"de {name}",
    and_cents=" con ",
    degree=Noun("grado", "grados"),
    currencies={
        "€": _EURO,
        "EUR": _EURO,
        "$": _DOLAR,
        "US$": _DOLAR,
        "USD": _DOLAR,
        "£": _LIBRA,
        "GBP": _LIBRA,
        "¥": _YEN,
        "JPY": _YEN,
        "₹": _RUPIA,
        "INR": _RUPIA,
        "R$": _REAL,
        "BRL": _REAL,
        "MXN": _PESO,
        "ARS": _PESO,
        "COP": _PESO,
        "CLP": _PESO,
        "CHF": _FRANCO,
    },
    scales={
        "M": _MILLON,
        "millón": _MILLON,
        "millones": _MILLON,
        "mil": Noun("mil", "mil"),
        "k": Noun("mil", "mil"),
        "K": Noun("mil", "mil"),
    },
    scale_values={"k": 1000, "K": 1000, "mil": 1000},
    units={
        "km": Noun("kilómetro", "kilómetros"),
        "m": Noun("metro", "metros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "kg": Noun("kilo", "kilos"),
        "g": Noun("gramo", "gramos"),
        "mg": Noun("miligramo", "miligramos"),
        "t": Noun("tonelada", "toneladas", "f"),
        "l": Noun("litro", "litros"),
        "ml": Noun("mililitro", "mililitros"),
        "cl": Noun("centilitro", "centilitros"),
        "km/h": Noun("kilómetro por hora", "kilómetros por hora"),
        "m/s": Noun("metro por segundo", "metros por segundo"),
        "m²": Noun("metro cuadrado", "metros cuadrados"),
        "km²": Noun("kilómetro cuadrado", "kilómetros cuadrados"),
        "m³": Noun("metro cúbico", "metros cúbicos"),
        "ha": Noun("hectárea", "hectáreas", "f"),
        "h": Noun("hora", "horas", "f"),
        "min": Noun("minuto", "minutos"),
        "s": Noun("segundo", "segundos"),
        "ms": Noun("milisegundo", "milisegundos"),
        "KB": Noun("kilobyte", "kilobytes"),
        "MB": Noun("megabyte", "megabytes"),
        "GB": Noun("gigabyte", "gigabytes"),
        "TB": Noun("terabyte", "terabytes"),
        "Mbps": Noun("megabit por segundo", "megabits por segundo"),
        "W": Noun("vatio", "vatios"),
        "kW": Noun("kilovatio", "kilovatios"),
        "kWh": Noun("kilovatio hora", "kilovatios hora"),
        "V": Noun("voltio", "voltios"),
        "Hz": Noun("hercio", "hercios"),
        "kHz": Noun("kilohercio", "kilohercios"),
        "MHz": Noun("megahercio", "megahercios"),
        "GHz": Noun("gigahercio", "gigahercios"),
        "mAh": Noun("miliamperio hora", "miliamperios hora"),
        "°C": Noun("grado Celsius", "grados Celsius"),
        "°F": Noun("grado Fahrenheit", "grados Fahrenheit"),
    },
    months=_MONTHS,
    first_of_month="",
    letters=letter_names(
        "abcdefghijklmnñopqrstuvwxyz",
        "a be ce de e efe ge hache i jota ka ele eme ene eñe o pe cu erre ese te u uve uve_doble equis ye zeta",
    ),
    signs={
        "&": "y",
        "@": "arroba",
        "%": "por ciento",
        "‰": "por mil",
        "+": "más",
        "=": "igual a",
        "<": "menor que",
        ">": "mayor que",
        "×": "por",
        "÷": "entre",
        "±": "más menos",
        "≈": "aproximadamente",
        "≤": "menor o igual que",
        "≥": "mayor o igual que",
        "≠": "distinto de",
        "/": "barra",
        "\\": "barra invertida",
        "*": "asterisco",
        "#": "almohadilla",
        "_": "guion bajo",
        "^": "circunflejo",
        "|": "barra vertical",
        "~": "aproximadamente",
        "§": "sección",
        "©": "copyright",
        "²": "al cuadrado",
        "³": "al cubo",
        "®": "marca registrada",
        "™": "marca comercial",
        "°": "grados",
        "€": "euros",
        "$": "dólares",
        "£": "libras",
        "¥": "yenes",
        "₹": "rupias",
        "√": "raíz cuadrada de",
        "∞": "infinito",
        "µ": "micro",
        "π": "pi",
        "Ω": "ohmios",
    },
    address_signs={"-": "guion", "_": "guion bajo", "/": "barra", "+": "más"},
    abbreviations={
        "sr.": "señor",
        "sra.": "señora",
        "srta.": "señorita",
        "sres.": "señores",
        "dr.": "doctor",
        "dra.": "doctora",
        "d.": "don",
        "dña.": "doña",
        "prof.": "profesor",
        "profa.": "profesora",
        "ing.": "ingeniero",
        "lic.": "licenciado",
        "ud.": "usted",
        "uds.": "ustedes",
        "vd.": "usted",
        "etc.": "etcétera",
        "p. ej.": "por ejemplo",
        "p.ej.": "por ejemplo",
        "núm.": "número",
        "nº": "número",
        "n.º": "número",
        "n°": "número",
        "pág.": "página",
        "págs.": "páginas",
        "tel.": "teléfono",
        "tfno.": "teléfono",
        "av.": "avenida",
        "avda.": "avenida",
        "c/": "calle",
        "ee. uu.": "Estados Unidos",
        "ee.uu.": "Estados Unidos",
        "eeuu": "Estados Unidos",
        "a. c.": "antes de Cristo",
        "d. c.": "después de Cristo",
        "a. m.": "a eme",
        "p. m.": "pe eme",
        "a.m.": "a eme",
        "p.m.": "pe eme",
        "am": "a eme",
        "pm": "pe eme",
        "aprox.": "aproximadamente",
        "máx.": "máximo",
        "mín.": "mínimo",
        "dpto.": "departamento",
        "depto.": "departamento",
        "gral.": "general",
        "art.": "artículo",
        "cap.": "capítulo",
        "vol.": "volumen",
        "ej.": "ejemplo",
        "s. a.": "ese a",
        "s.a.": "ese a",
        "s.l.": "ese ele",
        "s. l.": "ese ele",
        "vs.": "versus",
        "y/o": "y o",
        "iva inc.": "IVA incluido",
        "admón.": "administración",
        "km/h": "kilómetros por hora",
        "1er": "primer",
        "atte.": "atentamente",
        "pts.": "puntos",
        "min.": "minutos",
        "seg.": "segundos",
        "hab.": "habitantes",
        "izq.": "izquierda",
        "dcha.": "derecha",
        "dto.": "descuento",
    },
    spelled=frozenset({"UE", "IA", "UI", "ESO", "AEAT"}),
    ordinals=re.compile(r"\.?[ºª]|(?:er|ro|ra|do|da|to|ta|mo|ma|vo|va|no|na)\b"),
    ordinal_of=_ordinal_of,
    phone=re.compile(
        r"\+\d{1,3}(?:[ .-]?\d){7,12}|(?:[6789]\d{2}|800)[ .-]?\d{3}[ .-]?\d{3}|[89]\d{2}(?:[ .-]\d{2}){3}"
        r"|[6789]\d{2}(?: \d{2}){3}|9\d \d{3} \d{2} \d{2}|90[0-9](?: \d{2,3}){2,3}"
    ),
    phone_groups=lambda text: (text[:3], text[3:6], text[6:]) if len(text) == 9 else (text,),
    phone_pairs=False,
    day_words=frozenset(word_list("el del al día")),
    time_words=frozenset(word_list("las")),
    counted_words=frozenset(
        word_list(
            "número nº página opción capítulo paso versión nivel línea sala puerta el del al planta mesa "
            "habitación artículo tema punto grupo canal fase pulse marque tecla dígito código"
        )
    ),
    code_words=frozenset(word_list("código pin clave otp cvv contraseña")),
    roman_words=_RULERS
    | {"siglo"}
    | frozenset(word_list("capítulo tomo volumen acto libro siglos parte título nivel fase tipo grupo")),
    year=lambda *_: None,
)

"""Brazilian Portuguese: its numbers, by num2words with agreement, and its words for signs."""

from __future__ import annotations

import re

from num2words import num2words

from voxwire_server.text.reading.european.language import Currency, Language, Noun, letter_names, word_list

_MONTHS = word_list("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro")
_FRACTIONS = word_list("meio terço quarto quinto sexto sétimo oitavo nono décimo")
_FEMININE = re.compile(
    r"\w*(?:a|ção|são|ssão|dade|gem|tude|ice)|vez|noite|tarde|mulher|parte|classe|rede|chave|série|base"
    r"|mão|foto|moto|flor|cor|fase|frase"
    r"|lei|luz|voz|fonte|torre|morte|mãe|manhã|maçã|irmã|superfície|espécie|opção|xícara|colher|senha"
)
_FEMININE_MANY = re.compile(
    r"\w*(?:as|ções|sões|dades|gens|tudes|ices)|vezes|noites|tardes|mulheres|partes|classes|redes|chaves"
    r"|séries|bases|mãos|fotos|motos"
    r"|flores|cores|fases|frases|leis|luzes|vozes|fontes|torres|mortes|mães|manhãs|maçãs|irmãs"
    r"|superfícies|espécies|colheres"
)
_MASCULINE = re.compile(
    r"(?:dia|problema|sistema|programa|tema|mapa|idioma|planeta|poema|clima|diploma|esquema|drama|pijama"
    r"|quilograma|grama"
    r"|cometa|telefonema|sintoma|fantasma|atleta)s?"
)
_NOT_NOUNS = frozenset(
    word_list(
        "a à da na e o de do em com por para até contra era esta está la lhe as os das nas às mas mais menos "
        "uma é não se que já ou cada como foi fica custa vai passa sobre sem sob entre desde toda sua minha "
        "nossa essa aquela agora hoje ainda apenas antes"
    )
)


def _cardinal(n: int, gender: str = "") -> str:
    words: str = num2words(n, lang="pt_BR").replace(",", "")
    if gender != "f":
        return words
    head, large, tail = words.rpartition("ilhões") if "ilhões" in words else words.rpartition("ilhão")
    tail = re.sub(r"entos\b", "entas", re.sub(r"\bdois\b", "duas", re.sub(r"\bum\b", "uma", tail)))
    return head + large + tail


def _ordinal(n: int, gender: str = "") -> str:
    if n > 999:
        return _cardinal(n, gender)
    words: str = num2words(n, lang="pt_BR", to="ordinal")
    return re.sub(r"o\b", "a", words) if gender == "f" else words


def _ordinal_of(n: int, mark: str) -> str:
    return _ordinal(n, "f" if mark.strip(".s") in ("ª", "a") else "m")


def _gender(n: int, word: str) -> str:
    word = word.lower()
    if word in _NOT_NOUNS or _MASCULINE.fullmatch(word):
        return ""
    return "f" if (_FEMININE if n == 1 else _FEMININE_MANY).fullmatch(word) else ""


def _clock(hour: int, minute: int, second: int, _marker: str) -> str:
    hours = _cardinal(hour, "f")
    named = f"{hours} hora{'s' * (hour != 1)}"
    if second >= 0:
        return f"{named} {_counted(minute, 'minuto')} e {_counted(second, 'segundo')}"
    return f"{hours} e {_cardinal(minute)}" if minute else named


def _counted(n: int, noun: str) -> str:
    return f"{_cardinal(n)} {noun}{'s' * (n != 1)}"


def _date(day: int, month: int, year: int) -> str:
    parts = ["primeiro" if day == 1 and month else _cardinal(day)] if day else []
    parts += [_MONTHS[month - 1]] if month else []
    parts += [_cardinal(year)] if year >= 0 else []
    return " de ".join(parts)


def _fraction(a: int, b: int) -> str:
    if a >= b or b > 9:
        return f"{_cardinal(a)} sobre {_cardinal(b)}"
    return f"{_cardinal(a)} {_FRACTIONS[b - 2]}{'s' * (a > 1)}"


def _roman(n: int, word: str) -> str:
    ordinal = n <= 10 and (word in _RULERS or word == "século")
    return _ordinal(n, "f" if word in _QUEENS else "m") if ordinal else _cardinal(n)


_QUEENS = frozenset(word_list("isabel catarina maria cristina vitória ana margarida elizabeth leopoldina"))
_RULERS = _QUEENS | frozenset(
    word_list(
        "luís luiz filipe felipe carlos afonso fernando joão paulo pio bento henrique jorge pedro napoleão "
        "francisco manuel josé sancho guilherme eduardo ricardo alexandre nicolau frederico gregório clemente "
        "inocêncio urbano leão papa rei sebastião"
    )
)
_CENTAVO = Noun("centavo", "centavos")
_EURO = Currency(Noun("euro", "euros"), _CENTAVO)
_DOLAR = Currency(Noun("dólar", "dólares"), _CENTAVO)
_LIBRA = Currency(Noun("libra", "libras", "f"), Noun("pence", "pence"))
_IENE = Currency(Noun("iene", "ienes"), _CENTAVO)
_RUPIA = Currency(Noun("rupia", "rupias", "f"), Noun("paisa", "paisas"))
_REAL = Currency(Noun("real", "reais"), _CENTAVO)
_FRANCO = Currency(Noun("franco", "francos"), _CENTAVO)
_MILHAO, _BILHAO, _MIL = Noun("milhão", "milhões"), Noun("bilhão", "bilhões"), Noun("mil", "mil")

LANGUAGE = Language(
    cardinal=_cardinal,
    ordinal=_ordinal,
    gender=_gender,
    clock=_clock,
    date=_date,
    fraction=_fraction,
    roman=_roman,
    point_is_decimal=False,
    marks={",": "vírgula", ".": "ponto"},
    decimals_as_cardinal_max=2,
    point="ponto",
    minus="menos",
    plus="mais",
    per="por",
    to="a",
    and_half="e",
    half_behind="meio",
    percent="por cento",
    per_mille="por mil",
    version="versão",
    number="número",
    number_sign="hashtag",
    at="arroba",
    of=lambda name: f"de {name}",
    and_cents=" e ",
    degree=Noun("grau", "graus"),
    currencies={
        "R$": _REAL,
        "BRL": _REAL,
        "€": _EURO,
        "EUR": _EURO,
        "$": _DOLAR,
        "US$": _DOLAR,
        "USD": _DOLAR,
        "£": _LIBRA,
        "GBP": _LIBRA,
        "¥": _IENE,
        "JPY": _IENE,
        "₹": _RUPIA,
        "INR": _RUPIA,
        "CHF": _FRANCO,
    },
    scales={
        "M": _MILHAO,
        "mi": _MILHAO,
        "milhão": _MILHAO,
        "milhões": _MILHAO,
        "bi": _BILHAO,
        "bilhão": _BILHAO,
        "bilhões": _BILHAO,
        "mil": _MIL,
        "k": _MIL,
        "K": _MIL,
    },
    scale_values={"k": 1000, "K": 1000, "mil": 1000},
    units={
        "km": Noun("quilômetro", "quilômetros"),
        "m": Noun("metro", "metros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "kg": Noun("quilo", "quilos"),
        "g": Noun("grama", "gramas"),
        "mg": Noun("miligrama", "miligramas"),
        "t": Noun("tonelada", "toneladas", "f"),
        "l": Noun("litro", "litros"),
        "L": Noun("litro", "litros"),
        "ml": Noun("mililitro", "mililitros"),
        "x": Noun("vez", "vezes", "f"),
        "km/h": Noun("quilômetro por hora", "quilômetros por hora"),
        "m/s": Noun("metro por segundo", "metros por segundo"),
        "m²": Noun("metro quadrado", "metros quadrados"),
        "km²": Noun("quilômetro quadrado", "quilômetros quadrados"),
        "m³": Noun("metro cúbico", "metros cúbicos"),
        "ha": Noun("hectare", "hectares"),
        "min": Noun("minuto", "minutos"),
        "s": Noun("segundo", "segundos"),
        "ms": Noun("milissegundo", "milissegundos"),
        "KB": Noun("kilobyte", "kilobytes"),
        "MB": Noun("megabyte", "megabytes"),
        "GB": Noun("gigabyte", "gigabytes"),
        "TB": Noun("terabyte", "terabytes"),
        "W": Noun("watt", "watts"),
        "kW": Noun("quilowatt", "quilowatts"),
        "kWh": Noun("quilowatt hora", "quilowatts hora"),
        "V": Noun("volt", "volts"),
        "Hz": Noun("hertz", "hertz"),
        "kHz": Noun("quilohertz", "quilohertz"),
        "MHz": Noun("megahertz", "megahertz"),
        "GHz": Noun("gigahertz", "gigahertz"),
        "Mbps": Noun("megabit por segundo", "megabits por segundo"),
        "mAh": Noun("miliampere hora", "miliamperes hora"),
        "°C": Noun("grau Celsius", "graus Celsius"),
        "°F": Noun("grau Fahrenheit", "graus Fahrenheit"),
    },
    months=[*_MONTHS, *(f"de {month}" for month in _MONTHS)],
    first_of_month="primeiro",
    letters=letter_names(
        "abcdefghijklmnopqrstuvwxyz",
        "a bê cê dê e efe gê agá i jota cá ele eme ene o pê quê erre esse tê u vê dáblio xis ípsilon zê",
    ),
    signs={
        "&": "e",
        "@": "arroba",
        "%": "por cento",
        "‰": "por mil",
        "+": "mais",
        "=": "igual a",
        "<": "menor que",
        ">": "maior que",
        "×": "vezes",
        "÷": "dividido por",
        "±": "mais ou menos",
        "≈": "aproximadamente",
        "≤": "menor ou igual a",
        "≥": "maior ou igual a",
        "≠": "diferente de",
        "/": "barra",
        "\\": "barra invertida",
        "*": "asterisco",
        "#": "cerquilha",
        "_": "sublinhado",
        "^": "circunflexo",
        "|": "barra vertical",
        "~": "aproximadamente",
        "§": "parágrafo",
        "²": "ao quadrado",
        "³": "ao cubo",
        "©": "copyright",
        "®": "marca registrada",
        "™": "marca",
        "°": "graus",
        "€": "euros",
        "$": "dólares",
        "£": "libras",
        "¥": "ienes",
        "₹": "rúpias",
        "√": "raiz quadrada de",
        "∞": "infinito",
        "µ": "micro",
        "π": "pi",
        "Ω": "ohms",
    },
    address_signs={"-": "hífen", "_": "sublinhado", "/": "barra", "+": "mais"},
    abbreviations={
        "sr.": "senhor",
        "sra.": "senhora",
        "srta.": "senhorita",
        "srs.": "senhores",
        "sras.": "senhoras",
        "dr.": "doutor",
        "dra.": "doutora",
        "d.": "dom",
        "prof.": "professor",
        "profa.": "professora",
        "profª.": "professora",
        "eng.": "engenheiro",
        "etc.": "et cetera",
        "p. ex.": "por exemplo",
        "p.ex.": "por exemplo",
        "ex.": "exemplo",
        "nº": "número",
        "n.º": "número",
        "n°": "número",
        "núm.": "número",
        "pág.": "página",
        "págs.": "páginas",
        "p.": "página",
        "tel.": "telefone",
        "cel.": "celular",
        "av.": "avenida",
        "r.": "rua",
        "al.": "alameda",
        "pça.": "praça",
        "ltda.": "limitada",
        "cia.": "companhia",
        "a.c.": "antes de Cristo",
        "a. c.": "antes de Cristo",
        "d.c.": "depois de Cristo",
        "d. c.": "depois de Cristo",
        "aprox.": "aproximadamente",
        "máx.": "máximo",
        "mín.": "mínimo",
        "art.": "artigo",
        "cap.": "capítulo",
        "vol.": "volume",
        "apto.": "apartamento",
        "ap.": "apartamento",
        "s.a.": "esse a",
        "s/a": "esse a",
        "e/ou": "e ou",
        "km/h": "quilômetros por hora",
        "vs.": "versus",
        "min.": "minutos",
        "hab.": "habitantes",
        "jr.": "júnior",
        "vc": "você",
        "obs.": "observação",
    },
    spelled=frozenset({"UE", "IA", "EUA", "UI"}),
    ordinals=re.compile(r"\.?[ºª]s?|°(?= [a-zà-ú]{4,})|[oa](?= [a-zà-ú]{3,})"),
    ordinal_of=_ordinal_of,
    phone=re.compile(
        r"\+\d{1,3}(?:[ .-]?\(?\d\)?){7,12}|\(\d{2,3}\) ?9?[ .]?\d{4}[ .-]?\d{4}|(?:\d{2} )?9?\d{4}-\d{4}"
        r"|\d{2} 9\d{4}[ -]?\d{4}|0[38]00[ -]?\d{3}[ -]?\d{4}"
    ),
    phone_groups=lambda text: (text[:2], text[2:-4], text[-4:]) if len(text) in (10, 11) else (text,),
    phone_pairs=False,
    day_words=frozenset(word_list("dia em até o do no ao desde")),
    time_words=frozenset(),
    counted_words=frozenset(
        word_list(
            "número página opção capítulo passo versão nível linha sala porta o do ao andar mesa quarto artigo "
            "tecle disque digite código canal tecla"
        )
    ),
    code_words=frozenset(word_list("código pin otp senha cvv token")),
    roman_words=_RULERS
    | {"século"}
    | frozenset(word_list("capítulo tomo volume ato livro parte título nível fase tipo grupo séculos")),
    year=lambda *_: None,
)

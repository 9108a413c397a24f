"""French: its numbers, by num2words with agreement, and its words for signs."""

from __future__ import annotations

import re

from num2words import num2words

from voxwire_server.text.reading.european.language import Currency, Language, Noun, letter_names, word_list

_MONTHS = word_list("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
_FRACTIONS = word_list("demi tiers quart cinquième sixième septième huitième neuvième dixième")
_FEMININE = re.compile(
    r"(?:\w*(?:[ts]ion|xion|ette|esse|ance|ence|ade|ture|sure|euse|trice|ienne|elle)"
    r"|heure|minute|seconde|personne|page|semaine|année|journée|nuit|matinée|soirée|chambre|place|table"
    r"|ligne|pièce|commande"
    r"|tonne|maison|ville|rue|fille|femme|photo|chaîne|note|étape|erreur|réponse|demande|carte|étoile"
    r"|tasse|bouteille"
    r"|boîte|cuillère|tranche|part|partie|porte|pomme|lettre|copie|idée|vie|unité|entité|qualité|quantité"
    r"|possibilité"
    r"|nouveauté|activité|facture|adresse|clé|clef|vidéo|image|école|église|équipe|entreprise|banque"
    r"|livraison|saison"
    r"|raison|leçon|fois|main|dent|mer|fleur|couleur|valeur|candidate|amie|mère|sœur|tante|nièce|voie"
    r"|roue|tâche|alerte"
    r"|classe|course|côte|goutte|feuille|branche|voix|croix|souris|offre|promotion|remise|semelle"
    r"|baguette|bière|ampoule"
    r"|dose|goutte|gélule|nouvelle|grande|petite|autre personne|seule|bonne|mauvaise|dernière|première"
    r"|belle|paire|pile)s?"
)
_MASCULINE = re.compile(
    r"(?:squelette|silence|bastion|stade|grade|modèle|million|camion|lion|avion|pion|espion|scion)s?"
)


def _cardinal(n: int, gender: str = "") -> str:
    words: str = num2words(n, lang="fr")
    return re.sub(r"\bun$", "une", words) if gender == "f" else words


def _ordinal(n: int, gender: str = "") -> str:
    if n == 1:
        return "première" if gender == "f" else "premier"
    words: str = num2words(n, lang="fr", to="ordinal")
    return words


def _ordinal_of(n: int, mark: str) -> str:
    if mark in ("nd", "nde"):
        return "second" + mark[2:]
    return _ordinal(n, "f" if mark in ("re", "ère", "ere", "ª") else "m")


def _gender(n: int, word: str) -> str:
    if n % 10 != 1 or n % 100 in (11, 71, 91):
        return ""
    word = word.lower()
    return "f" if _FEMININE.fullmatch(word) and not _MASCULINE.fullmatch(word) else ""


def _clock(hour: int, minute: int, second: int, _marker: str) -> str:
    said = f"{_cardinal(hour, 'f')} heure{'s' * (hour > 1)}"
    if second >= 0:
        minutes, seconds = (
            f"{_cardinal(n, 'f')} {noun}{'s' * (n > 1)}" for n, noun in ((minute, "minute"), (second, "seconde"))
        )
        return f"{said} {minutes} {seconds}"
    return f"{said} {_cardinal(minute, 'f')}" if minute else said


def _date(day: int, month: int, year: int) -> str:
    parts = ["premier" if day == 1 and month else _cardinal(day)] if day else []
    parts += [_MONTHS[month - 1]] if month else []
    parts += [_cardinal(year)] if year >= 0 else []
    return " ".join(parts)


def _fraction(a: int, b: int) -> str:
    if a >= b or b > 9:
        return f"{_cardinal(a)} sur {_cardinal(b)}"
    return f"{_cardinal(a)} {_FRACTIONS[b - 2]}{'s' * (a > 1 and b != 3)}"


def _roman(n: int, word: str) -> str:
    if word in ("siècle", "siècles"):
        return _ordinal(n)
    return "premier" if n == 1 and word in _RULERS else _cardinal(n)


_RULERS = frozenset(
    word_list(
        "louis françois charles henri napoléon philippe jean paul jean-paul pie benoît léon clément georges "
        "albert léopold baudouin guillaume édouard richard alexandre nicolas frédéric grégoire innocent "
        "urbain pape roi élisabeth catherine marie anne ferdinand alphonse juan carlos felipe"
    )
)
_CENTIME, _CENT = Noun("centime", "centimes"), Noun("cent", "cents")
_EURO = Currency(Noun("euro", "euros"), _CENTIME)
_DOLLAR = Currency(Noun("dollar", "dollars"), _CENT)
_LIVRE = Currency(Noun("livre", "livres", "f"), Noun("penny", "pence"))
_YEN = Currency(Noun("yen", "yens"), Noun("sen", "sen"))
_ROUPIE = Currency(Noun("roupie", "roupies", "f"), Noun("paisa", "paisas"))
_REAL = Currency(Noun("réal", "réals"), Noun("centavo", "centavos"))
_FRANC = Currency(Noun("franc", "francs"), _CENTIME)
_MILLION, _MILLIARD, _MILLE = Noun("million", "millions"), Noun("milliard", "milliards"), Noun("mille", "mille")

LANGUAGE = Language(
    cardinal=_cardinal,
    ordinal=_ordinal,
    gender=_gender,
    clock=_clock,
    date=_date,
    fraction=_fraction,
    roman=_roman,
    point_is_decimal=False,
    marks={",": "virgule", ".": "virgule"},
    decimals_as_cardinal_max=3,
    point="point",
    minus="moins",
    plus="plus",
    per="par",
    to="à",
    and_half="et",
    half_behind="demi",
    percent="pour cent",
    per_mille="pour mille",
    version="version",
    number="numéro",
    number_sign="hashtag",
    at="arobase",
    of=lambda name: f"d'{name}" if name[0] in "aeiou" else f"de {name}",
    and_cents=" et ",
    degree=Noun("degré", "degrés"),
    singular_below_two=True,
    currencies={
        "€": _EURO,
        "EUR": _EURO,
        "$": _DOLLAR,
        "US$": _DOLLAR,
        "USD": _DOLLAR,
        "CAD": _DOLLAR,
        "£": _LIVRE,
        "GBP": _LIVRE,
        "¥": _YEN,
        "JPY": _YEN,
        "₹": _ROUPIE,
        "INR": _ROUPIE,
        "R$": _REAL,
        "BRL": _REAL,
        "CHF": _FRANC,
    },
    scales={
        "M": _MILLION,
        "million": _MILLION,
        "millions": _MILLION,
        "Md": _MILLIARD,
        "Mds": _MILLIARD,
        "milliard": _MILLIARD,
        "milliards": _MILLIARD,
        "mille": _MILLE,
        "k": _MILLE,
        "K": _MILLE,
    },
    scale_values={"k": 1000, "K": 1000, "mille": 1000},
    units={
        "km": Noun("kilomètre", "kilomètres"),
        "m": Noun("mètre", "mètres"),
        "cm": Noun("centimètre", "centimètres"),
        "mm": Noun("millimètre", "millimètres"),
        "kg": Noun("kilo", "kilos"),
        "g": Noun("gramme", "grammes"),
        "mg": Noun("milligramme", "milligrammes"),
        "t": Noun("tonne", "tonnes", "f"),
        "l": Noun("litre", "litres"),
        "L": Noun("litre", "litres"),
        "ml": Noun("millilitre", "millilitres"),
        "cl": Noun("centilitre", "centilitres"),
        "km/h": Noun("kilomètre heure", "kilomètres heure"),
        "m/s": Noun("mètre par seconde", "mètres par seconde"),
        "m²": Noun("mètre carré", "mètres carrés"),
        "km²": Noun("kilomètre carré", "kilomètres carrés"),
        "m³": Noun("mètre cube", "mètres cubes"),
        "ha": Noun("hectare", "hectares"),
        "min": Noun("minute", "minutes", "f"),
        "mn": Noun("minute", "minutes", "f"),
        "s": Noun("seconde", "secondes", "f"),
        "ms": Noun("milliseconde", "millisecondes", "f"),
        "Ko": Noun("kilooctet", "kilooctets"),
        "Mo": Noun("mégaoctet", "mégaoctets"),
        "Go": Noun("gigaoctet", "gigaoctets"),
        "To": Noun("téraoctet", "téraoctets"),
        "KB": Noun("kilooctet", "kilooctets"),
        "MB": Noun("mégaoctet", "mégaoctets"),
        "GB": Noun("gigaoctet", "gigaoctets"),
        "TB": Noun("téraoctet", "téraoctets"),
        "W": Noun("watt", "watts"),
        "kW": Noun("kilowatt", "kilowatts"),
        "kWh": Noun("kilowattheure", "kilowattheures"),
        "V": Noun("volt", "volts"),
        "Hz": Noun("hertz", "hertz"),
        "kHz": Noun("kilohertz", "kilohertz"),
        "MHz": Noun("mégahertz", "mégahertz"),
        "GHz": Noun("gigahertz", "gigahertz"),
        "Mbps": Noun("mégabit par seconde", "mégabits par seconde"),
        "Mbit/s": Noun("mégabit par seconde", "mégabits par seconde"),
        "mAh": Noun("milliampèreheure", "milliampèreheures"),
        "°C": Noun("degré Celsius", "degrés Celsius"),
        "°F": Noun("degré Fahrenheit", "degrés Fahrenheit"),
    },
    months=_MONTHS,
    first_of_month="premier",
    letters=letter_names(
        "abcdefghijklmnopqrstuvwxyz",
        "a bé cé dé e effe gé hache i ji ka elle emme enne o pé cu erre esse té u vé double_vé ixe i_grec zède",
    ),
    signs={
        "&": "et",
        "@": "arobase",
        "%": "pour cent",
        "‰": "pour mille",
        "+": "plus",
        "=": "égale",
        "<": "inférieur à",
        ">": "supérieur à",
        "×": "fois",
        "÷": "divisé par",
        "±": "plus ou moins",
        "≈": "environ",
        "≤": "inférieur ou égal à",
        "≥": "supérieur ou égal à",
        "≠": "différent de",
        "/": "barre oblique",
        "\\": "barre oblique inverse",
        "*": "astérisque",
        "#": "dièse",
        "_": "tiret bas",
        "^": "accent circonflexe",
        "|": "barre verticale",
        "~": "environ",
        "§": "paragraphe",
        "²": "au carré",
        "³": "au cube",
        "©": "copyright",
        "®": "marque déposée",
        "™": "marque",
        "°": "degrés",
        "€": "euros",
        "$": "dollars",
        "£": "livres",
        "¥": "yens",
        "₹": "roupies",
        "√": "racine carrée de",
        "∞": "infini",
        "µ": "micro",
        "π": "pi",
        "Ω": "ohms",
    },
    address_signs={"-": "tiret", "_": "tiret bas", "/": "slash", "+": "plus"},
    abbreviations={
        "m.": "monsieur",
        "mm.": "messieurs",
        "mme": "madame",
        "mmes": "mesdames",
        "mlle": "mademoiselle",
        "mlles": "mesdemoiselles",
        "dr": "docteur",
        "dr.": "docteur",
        "dre": "docteure",
        "pr": "professeur",
        "pr.": "professeur",
        "me": "maître",
        "st": "saint",
        "ste": "sainte",
        "etc.": "et cetera",
        "p. ex.": "par exemple",
        "p.ex.": "par exemple",
        "n°": "numéro",
        "nº": "numéro",
        "cf.": "confer",
        "tél.": "téléphone",
        "av.": "avenue",
        "bd": "boulevard",
        "bd.": "boulevard",
        "env.": "environ",
        "av. j.-c.": "avant Jésus-Christ",
        "apr. j.-c.": "après Jésus-Christ",
        "c.-à-d.": "c'est-à-dire",
        "max.": "maximum",
        "min.": "minimum",
        "art.": "article",
        "chap.": "chapitre",
        "vol.": "volume",
        "éd.": "éditions",
        "p.": "page",
        "pp.": "pages",
        "hab.": "habitants",
        "rdv": "rendez-vous",
        "svp": "s'il vous plaît",
        "s.v.p.": "s'il vous plaît",
        "km/h": "kilomètres heure",
        "resp.": "respectivement",
        "ex.": "exemple",
        "vs.": "contre",
        "et/ou": "et ou",
        "qqch.": "quelque chose",
        "qqn": "quelqu'un",
    },
    spelled=frozenset({"UE", "IA", "USA", "UI", "API", "IRM", "OMS", "ADN"}),
    ordinals=re.compile(r"(?:ère|ere|re|er|nde|nd|ième|ieme|ème|eme|e|º|ᵉʳ|ᵉ)s?(?!\w)|°(?= [a-zà-ÿ]{4,})"),
    ordinal_of=lambda n, mark: _ordinal_of(n, mark.removesuffix("s")),
    phone=re.compile(r"(?:\+|00)\d{1,3}(?:[ .-]?(?:\(0\) ?)?\d){7,12}|0\d(?:[ .-]?\d{2}){4}"),
    phone_groups=lambda text: [text[: len(text) % 2], *(text[i : i + 2] for i in range(len(text) % 2, len(text), 2))][
        not len(text) % 2 :
    ],
    phone_pairs=True,
    day_words=frozenset(word_list("le du au dès")),
    time_words=frozenset(),
    counted_words=frozenset(
        word_list(
            "numéro page option chapitre étape version niveau ligne le la du au tapez touche code canal porte quai voie"
        )
    ),
    code_words=frozenset(word_list("code pin otp cvv")),
    roman_words=_RULERS
    | {"siècle", "siècles"}
    | frozenset(word_list("chapitre tome volume acte livre partie titre niveau phase type groupe")),
    year=lambda *_: None,
)

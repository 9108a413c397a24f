"""What is said sign by sign or part by part: versions, addresses, code, serials, formulas. Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import LETTER, WORD_CHARS_MAX, Said, Scan
from voxwire_server.text.reading.english.tables import (
    ACRONYMS,
    GREEK,
    SPOKEN_CAPITALS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    word_set,
)

LETTER_A = "[A](/ˈA/)"
"""The letter's name, where the word before a number would be read as the article."""

_IP = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)(?::(\d{1,5})(?!\d))?(?:/(\d{1,2})(?!\d))?")
_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,5}(?!\d)(?:-?(alpha|beta|rc|dev|a|b|post)\.?(\d{1,3})?(?!\w))?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w)")
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,64}(?!\w)|0b[01]{1,64}(?!\w)")
_COLOUR = re.compile(r"#(?=[0-9a-fA-F]{0,7}(?:\d|[A-F]{3}))(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})(?!\w)")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?!\w)")
_CODE = re.compile(rf"(?:{LETTER}|\d){{1,{WORD_CHARS_MAX}}}(?:[-‑](?:{LETTER}|\d){{1,40}}){{0,6}}")
_CODE_PART = re.compile(r"\d+|[^\W\d_]+|[-‑]")
_CASES = re.compile(r"[A-Z]{2,}(?=s?(?:[^a-zA-Z]|$))s?|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")
_KEYS = {
    "Ctrl": "control", "ctrl": "control", "Control": "control", "Cmd": "command", "Command": "command", "Alt": "alt",
    "Opt": "option", "Option": "option", "Shift": "shift", "Win": "Windows", "Fn": "function", "Meta": "meta",
    "Super": "super",
}  # fmt: skip
_KEY_CHORD = re.compile(rf"(?:{'|'.join(_KEYS)})(?:[+-](?:[A-Za-z]{{2,9}}|F\d{{1,2}}|[A-Za-z\d])(?![A-Za-z\d])){{1,4}}")
_VOWEL = re.compile(r"[aeiouyAEIOUY]")
_DECADE_BEHIND = re.compile(r"[A-Za-z]{2,12}-\d{1,3}0s")

_SPELLED = frozenset(("utf", "ipv", "usb", "gpu", "cpu", "ip"))
_ELEMENTS = word_set(
    """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb
    Mo Ag Cd Sn Sb Te I Xe Cs Ba W Pt Au Hg Pb Bi U
    """
)
_FORMULA = re.compile(
    r"(?:(?:[A-Z][a-z]?|\((?=[A-Z])|\)(?=[\d₀-₉]))[\d₀-₉]{0,3}){1,12}(?:[⁺⁻]|[²³⁴][⁺⁻]|[+](?![\w+]))?"
)
_FORMULA_PART = re.compile(r"([A-Z][a-z]?|[()])([\d₀-₉]*)")
_FORMULAS = word_set(
    """
    CO2 H2O O2 N2 H2 O3 NO2 N2O SO2 SO3 H2SO4 HNO3 NH3 NH4 CH4 C2H4 C2H6 C2H2 C2H5OH C6H12O6 C6H6 H2O2 H2S HCl NaCl
    NaOH KOH CaCO3 Na2CO3 NaHCO3 Fe2O3 Al2O3 SiO2 TiO2 CaCl2 CuSO4 MgO CaO KCl KNO3 Cl2 F2 Br2 I2 PO4 SO4 CO3 NO3
    H3PO4 CH3OH CH3COOH C3H8 C4H10 C8H18 UF6 SF6 CF4 P2O5 AgNO3 MnO2 KMnO4 LiCoO2 LiPF6 PM2 CO H3O HCO3 OH
    """
)

EXTENSIONS = word_set(
    """
    py js ts jsx tsx html htm css scss json xml csv tsv pdf txt md rst yaml yml toml ini cfg conf sh bash zsh bat
    ps1 exe dll so c h cpp cc hpp cs java kt go rs rb php swift sql db log lock zip tar gz tgz bz2 xz rar iso dmg
    jpg jpeg png gif svg webp bmp ico mp3 mp4 wav flac ogg opus avi mov mkv webm doc docx xls xlsx ppt pptx odt rtf
    epub ipynb env vue lua pl r m wasm onnx pt bin dat proto
    """
)
_SAID_EXTENSIONS = word_set(
    """
    py zip tar log lock conf bash toml env bin dat proto java go swift opus epub vue lua jar so bat ini
    """
)
TLDS = word_set(
    """
    com org net io dev ai edu gov co uk de fr us info biz app me tv ca au eu nl ch jp cn in it es se no fi dk pl ru
    br mil int xyz online site tech store cloud gg ly fm be at nz za kr tw ie pt gr example test local localhost
    """
)
_MARKED = re.compile(r"([\w+-]{1,64})(?:(?=\u00a0(at|dot)\u00a0)|(?![\w\u00a0@-]))")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"]{0,2048}", re.IGNORECASE)
_DOTTED = re.compile(r"[^\W_][\w-]{0,63}(?:\.[A-Za-z_][\w-]{0,63}){1,8}(?![\w@])")
_WEB_PATH = re.compile(r"(?:/[\w~-][\w.~-]{0,60}(?<!\.)){1,8}/?")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w.~+@-]{1,80}){1,20}/?|/")
_EXTENSION = re.compile(r"\.([A-Za-z][A-Za-z0-9]{0,5})(?![\w-]|\.\w)")
_RELATIVE_PATH = re.compile(r"((?:[\w.-]{1,60}/){1,12}[\w-]{1,60})\.([A-Za-z][A-Za-z0-9]{0,5})(?![\w/-]|\.\w)")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:(?:\\[\w. ~+-]{1,60}?(?=[\\.,;:!?\s]|$)){1,20}\\?")
_SNAKE = re.compile(r"_{0,2}[^\W_]{1,60}(?:_{1,2}[^\W_]{1,60}){1,20}_{0,2}|_{1,2}[^\W_]{1,60}_{0,2}")
CAMEL = re.compile(r"(?:[a-z]{2,40}|[A-Z][a-z]{1,40})(?:[A-Z][a-z0-9]{0,40}){1,12}(?![\w])")
CALL = re.compile(r"\(\)")
_FLAG = re.compile(r"(--?)([A-Za-z][\w-]{0,60})(?:=(?=\S))?")


def letters(word: str) -> str:
    """Letter by letter: "Q R", "[A](/ˈA/) P I"."""
    return " ".join(LETTER_A if letter in "aA" else GREEK.get(letter) or letter.upper() for letter in word)


def keys(scan: Scan, at: int) -> Said | None:
    """Reads "Ctrl+C", "Cmd+Shift+P"."""
    found = _KEY_CHORD.match(scan.text, at)
    if found is None:
        return None
    said = []
    for key in re.split("[+-]", found[0]):
        function = key[:1] == "F" and key[1:].isdecimal()
        alone = numerals.integer(key) if key.isdecimal() else letters(key)
        said.append(
            f"F {numerals.integer(key[1:])}"
            if function
            else _KEYS.get(key) or (alone if len(key) == 1 else key.lower())
        )
    return Said(found.end(), " ".join(said))


def marked(scan: Scan, at: int) -> Said | None:
    """A part of an address whose dots were written out before: "john_smith99" of "john_smith99 at example dot com"."""
    found = _MARKED.match(scan.text, at)
    if found is None:
        return None
    last = found[2] is None
    if last and (len(found[1]) != 2 or scan.tail(at, 5) != "\u00a0dot\u00a0" or found[1] in ("me", "so")):
        return None
    if last:
        return Said(found.end(1), letters(found[1]))
    return None if found[1].isalpha() and found[1].islower() else Said(found.end(1), _address_words(found[1]))


def address(scan: Scan, at: int) -> Said | None:
    """An IP address with port and mask, a MAC address, a UUID, a hexadecimal number."""
    text = scan.text
    found = _UUID.match(text, at)
    if found is not None:
        return Said(found.end(), ", ".join(characters(part) for part in found[0].split("-")))
    found = _MAC.match(text, at)
    if found is not None:
        return Said(found.end(), ", ".join(characters(part) for part in found[0].split(":")))
    found = _HEX.match(text, at)
    if found is not None:
        return Said(found.end(), characters(found[0]))
    found = _IP.match(text, at)
    if found is None:
        return None
    stop = found.start(1) - 1 if found[1] else found.start(2) - 1 if found[2] else found.end()
    said = " dot ".join(numerals.integer(p) if len(p) < 3 else numerals.each_digit(p) for p in text[at:stop].split("."))
    said += f" colon {numerals.each_digit(found[1])}" if found[1] else ""
    said += f" slash {numerals.cardinal(int(found[2]))}" if found[2] else ""
    return Said(found.end(), said)


def version(scan: Scan, at: int, named: bool) -> Said | None:
    """Reads "2.0" and "3.11.4"; `named`: whether something says that it is a version."""
    found = _VERSION.match(scan.text, at)
    if found is None:
        return None
    numbers = found[0]
    if found[1]:
        numbers = scan.text[at : found.start(1)].rstrip("-")
    if not named and numbers.count(".") < 2 and not (found[1] and len(found[1]) > 1):
        return None
    end = found.end() if named or not found[1] or len(found[1]) > 1 else at + len(numbers)
    said = " point ".join(numerals.integer(part) for part in numbers.split("."))
    if found[1] and end == found.end():
        stage = {"rc": "R C", "a": "alpha", "b": "beta"}.get(found[1], found[1])
        said += f" {stage}" + (f" {numerals.integer(found[2])}" if found[2] else "")
    return Said(end, said)


def colour(scan: Scan, at: int) -> Said | None:
    """Reads "#FF5733" by characters."""
    found = _COLOUR.match(scan.text, at)
    if found is None or (found[0][1:].isdecimal() and len(found[0]) == 4):
        return None
    return Said(found.end(), f"hash {characters(found[0][1:])}")


def characters(text: str) -> str:
    """Every letter and digit by its name; other signs are left out but for a pause at a dash."""
    said = []
    for char in text:
        if char.isdecimal() and char.isascii():
            said.append(numerals.DIGITS[int(char)])
        elif char.isalpha():
            said.append(letters(char))
    return " ".join(said)


def formula(scan: Scan, at: int) -> Said | None:
    """Reads "CO2", "H₂O", "Na+": letters and numbers apart."""
    found = _FORMULA.match(scan.text, at)
    if found is None or (found[0][-1].isalnum() and scan.char(found.end()).isalnum()):
        return None
    written = found[0]
    ion = written.rstrip("⁺⁻+²³⁴")
    charge = written[len(ion) :]
    plainly = "".join(SUBSCRIPTS.get(char, char) for char in ion)
    has_subscript = plainly != ion
    parts = _FORMULA_PART.findall(ion)
    if not all(part in _ELEMENTS or part in "()" for part, _ in parts):
        return None
    known = plainly in _FORMULAS and (any(map(str.isdecimal, plainly)) or not plainly.isupper())
    charged = (
        charge not in ("", "²", "³", "⁴")
        and (len(ion) <= 2 or plainly in _FORMULAS)
        and ion not in ("A", "I", "C", "B")
    )
    if not has_subscript and not known and not charged:
        return None
    said = []
    for part, count in parts:
        if part not in "()":
            said.append(letters(part))
        if count:
            said.append(numerals.integer("".join(SUBSCRIPTS.get(char, char) for char in count)))
    signs = {"⁺": "plus", "+": "plus", "⁻": "minus"}
    said += [signs.get(char) or numerals.integer(SUPERSCRIPTS[char]) for char in charge]
    return Said(found.end(), " ".join(said))


def code(scan: Scan, at: int) -> Said | None:
    """Letters and digits in one: "A4", "B2B", "COVID-19", "QR4X7", "utf8", "3D"."""
    found = _CODE.match(scan.text, at)
    if found is not None and found[0] == "K-12":
        return Said(found.end(), "K to twelve")
    if found is None or _DECADE_BEHIND.fullmatch(found[0]) is not None:
        return None
    parts = [part for part in _CODE_PART.findall(found[0]) if part not in "-‑"]
    if not any(part[0].isdecimal() for part in parts) or all(part[0].isdecimal() for part in parts):
        return None
    text = found[0]
    hyphen_words = [part for part in re.split("[-‑]", text) if part.isalpha() and part.islower() and len(part) > 2]
    if hyphen_words and text[0].isdecimal():  # "5-year-old", "3D-printed": what stands before the dash is read
        text = re.split("[-‑]", text)[0]
        parts = _CODE_PART.findall(text)
        if len(parts) < 2:
            return None
    return Said(at + len(text), " ".join(_code_part(part, parts) for part in parts))


def _code_part(part: str, parts: list[str]) -> str:
    if not part[0].isdecimal():
        return _code_letters(part, parts)
    if len(parts) > 3 or len(part) > 4:
        return numerals.each_digit(part) if len(part) <= 6 else numerals.digit_groups(part)
    if len(part) == 4:
        year = 1900 <= int(part) <= 2099
        return numerals.year(int(part)) if year or part.endswith("00") else numerals.each_digit(part)
    if len(part) == 3:
        return numerals.pairs(part) if part[0] != "0" else numerals.each_digit(part)
    return numerals.integer(part)


def _code_letters(part: str, parts: list[str]) -> str:
    if part.lower() in ("st", "nd", "rd", "th") and len(parts) == 2:
        return part
    if len(part) == 1:
        return letters(part)
    if part in SPOKEN_CAPITALS:
        return SPOKEN_CAPITALS[part]
    if part == "IPv":
        return "I P V"
    if part.isupper():
        return part if len(part) > 3 and _VOWEL.search(part) and len(parts) == 2 else letters(part)
    if part[0].isupper() and part[1:].islower():
        return part if _VOWEL.search(part) else letters(part)
    if part.islower():
        return part if _VOWEL.search(part) and part not in _SPELLED else letters(part)
    return identifier_words(part)


def identifier_words(name: str) -> str:
    """The words of a name in code: "getUserName" is "get user name", "max_len" is "max len"."""
    said: list[str] = []
    if name.isupper() and "_" in name:
        return " ".join(part if part in ACRONYMS or len(part) < 3 else part.lower() for part in name.split("_") if part)
    for piece in re.split("_+", name):
        for part in _CASES.findall(piece):
            if part.isdecimal():
                said.append(numerals.integer(part))
            elif part.isupper() and len(part) > 1:
                said.append(SPOKEN_CAPITALS.get(part, part))
            elif len(part) == 1:
                said.append(letters(part))
            else:
                said.append(part.lower() if name[0].islower() else part)
    return " ".join(said)


def ending(name: str) -> str:
    """How a file's ending is said: "py", "H T M L"."""
    low = name.lower()
    if low in _SAID_EXTENSIONS:
        return low
    if low == "json":
        return "Jason"
    if low == "txt":
        return "text"
    if low == "jpg" or low == "jpeg":
        return "jay peg"
    return SPOKEN_CAPITALS.get(name.upper()) or (
        name_words(name) if any(c.isdecimal() for c in name) else letters(name)
    )


def name_words(name: str) -> str:
    """A name that may have digits, dashes and underscores."""
    said = []
    for index, piece in enumerate(re.split("(-)", name)):
        if index % 2:
            said.append("dash")
        elif piece:
            said.append(identifier_words(piece) or "underscore")
    return " ".join(said)


def dotted(scan: Scan, at: int) -> Said | None:
    """Reads "example.org", "main.py", "user.name", "os.path.join()"."""
    found = _DOTTED.match(scan.text, at)
    if found is None:
        return None
    parts = found[0].rstrip("-").split(".")
    last = parts[-1]
    is_file = (
        last.lower() in EXTENSIONS and (last.islower() or (len(last) > 1 and len(parts[0]) > 2)) and len(parts[-2]) > 0
    )
    is_file = is_file and not (len(last) == 1 and len(parts[-2]) == 1)
    is_domain = last.lower() in TLDS and last == last.lower()
    end = found.start() + len(found[0].rstrip("-"))
    called_ = CALL.match(scan.text, end)
    if not (is_file or is_domain or called_ or _is_code_path(parts)):
        return None
    said = [name_words(part) for part in parts[:-1]]
    if is_file and not is_domain and not called_:
        said.append(ending(last))
    elif is_domain and len(last) == 2 and last not in ("me", "so"):
        said.append(letters(last))
    else:
        said.append(name_words(last))
    if is_domain and not called_:
        way = _WEB_PATH.match(scan.text, end)
        if way is not None:
            parts = [part for part in way[0].split("/") if part]
            tail = " ".join(f"slash {' dot '.join(name_words(p) for p in part.split('.') if p)}" for part in parts)
            return Said(way.end(), f"{' dot '.join(said)} {tail}".rstrip())
    return Said(called_.end() if called_ else end, " dot ".join(said))


def _is_code_path(parts: list[str]) -> bool:
    """Whether words with dots between them are a name of code, not two sentences without a space."""
    if any(len(part) == 1 for part in parts):
        return False
    return all(part[0].islower() for part in parts[1:]) or any("_" in part for part in parts)


def email(scan: Scan, at: int) -> Said | None:
    """Reads "jane dot doe at example dot com"."""
    found = _EMAIL.match(scan.text, at)
    if found is None:
        return None
    written = found[0].rstrip(".-")
    user, _, host = written.partition("@")
    return Said(at + len(written), f"{_address_words(user)} at {_host_words(host)}")


def _host_words(host: str) -> str:
    parts = host.split(".")
    last = parts[-1]
    end = letters(last) if len(last) == 2 and last not in ("me", "so") else name_words(last)
    return " dot ".join([name_words(part) for part in parts[:-1] if part] + [end])


def _address_words(text: str) -> str:
    signs = {".": "dot", "+": "plus", "_": "underscore", "-": "dash"}
    said = [signs.get(part) or identifier_words(part) for part in re.split(r"([.+_-])", text) if part]
    return " ".join(word for word in said if word)


def url(scan: Scan, at: int) -> Said | None:
    """A web address: its host."""
    found = _URL.match(scan.text, at)
    if found is None:
        return None
    written = found[0].rstrip(".,;:!?)]'\u201d\u2019")
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", written, flags=re.IGNORECASE)
    host = re.split(r"[/?#:\\]", host, maxsplit=1)[0].strip(".")
    if not host or host.lower() in ("www", "http", "https"):
        return Said(found.start() + 4, "W W W dot") if found[0][0] in "wW" else Said(found.end(), "link")
    return Said(at + len(written), _host_words(host))


def path(scan: Scan, at: int) -> Said | None:
    """Reads "/etc/hosts", "~/.bashrc", "./run.sh"."""
    found = _PATH.match(scan.text, at)
    if found is None or found[0] == "/":
        return None
    written = found[0].rstrip(".")
    said: list[str] = []
    for part in re.split(r"(/|\.|~)", written):
        if part in ("/", ".", "~"):
            said.append({"/": "slash", ".": "dot", "~": "tilde"}[part])
        elif part:
            said.append(ending(part) if said and said[-1] == "dot" and part in EXTENSIONS else name_words(part))
    return Said(at + len(written), " ".join(said))


def windows_path(scan: Scan, at: int) -> Said | None:
    """Reads "C:\\Users"."""
    found = _WINDOWS_PATH.match(scan.text, at)
    if found is None:
        return None
    drive, *folders = found[0].split("\\")
    said = [letters(drive[0]), "colon"]
    for folder in folders:
        said.append("backslash")
        if folder:
            said.append(" dot ".join(name_words(part) for part in folder.split(".") if part))
    return Said(found.end(), " ".join(said))


def flag(scan: Scan, at: int) -> Said | None:
    """Reads "--verbose", "-v"."""
    found = _FLAG.match(scan.text, at)
    if found is None:
        return None
    name = found[2].rstrip("-")
    dashes = "dash dash" if found[1] == "--" else "dash"
    equals = found[0].endswith("=")
    end = found.end() if equals else found.start(2) + len(name)
    words = " ".join(identifier_words(part) for part in name.split("-")) if found[1] == "--" else name_words(name)
    return Said(end, f"{dashes} {words}" + (" equals " if equals else ""))


def identifier(scan: Scan, at: int) -> Said | None:
    """Reads "snake_case", "__init__", "camelCase", "foo()"."""
    text = scan.text
    found = _SNAKE.match(text, at) or CAMEL.match(text, at)
    if found is None:
        return None
    end = found.end()
    called_ = CALL.match(text, end)
    name = identifier_words(found[0])
    extension = _EXTENSION.match(text, end)
    if extension is not None and extension[1].lower() in EXTENSIONS:
        return Said(extension.end(), f"{name} dot {ending(extension[1])}")
    return Said(called_.end() if called_ else end, name)


def relative_path(scan: Scan, at: int) -> Said | None:
    """Reads "src/utils/helpers.ts": folders and a file whose ending is known."""
    found = _RELATIVE_PATH.match(scan.text, at)
    if found is None or found[2].lower() not in EXTENSIONS:
        return None
    folders = " slash ".join(" dot ".join(name_words(p) for p in part.split(".") if p) for part in found[1].split("/"))
    return Said(found.end(), f"{folders} dot {ending(found[2])}")

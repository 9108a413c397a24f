"""X-SAMPA as IPA (J. C. Wells, "Computer-coding the IPA", 1995; https://www.phon.ucl.ac.uk/home/sampa/ipasam-x.pdf)."""

from __future__ import annotations

import re

_IPA = {
    # lower case: most stand for themselves
    "b_<": "ɓ", "d`": "ɖ", "d_<": "ɗ", "g": "ɡ", "g_<": "ɠ", "h\\": "ɦ", "j\\": "ʝ", "l`": "ɭ", "l\\": "ɺ", "n`": "ɳ",
    "p\\": "ɸ", "r`": "ɽ", "r\\": "ɹ", "r\\`": "ɻ", "s`": "ʂ", "s\\": "ɕ", "t`": "ʈ", "v\\": "ʋ", "x\\": "ɧ",
    "z`": "ʐ", "z\\": "ʑ",
    "A": "ɑ", "B": "β", "B\\": "ʙ", "C": "ç", "D": "ð", "E": "ɛ", "F": "ɱ", "G": "ɣ", "G\\": "ɢ", "G\\_<": "ʛ",
    "H": "ɥ", "H\\": "ʜ", "I": "ɪ", "I\\": "ᵻ", "J": "ɲ", "J\\": "ɟ", "J\\_<": "ʄ", "K": "ɬ", "K\\": "ɮ", "L": "ʎ",
    "L\\": "ʟ", "M": "ɯ", "M\\": "ɰ", "N": "ŋ", "N\\": "ɴ", "O": "ɔ", "O\\": "ʘ", "P": "ʋ", "Q": "ɒ", "R": "ʁ",
    "R\\": "ʀ", "S": "ʃ", "T": "θ", "U": "ʊ", "U\\": "ᵿ", "V": "ʌ", "W": "ʍ", "X": "χ", "X\\": "ħ", "Y": "ʏ",
    "Z": "ʒ",
    "\"": "ˈ", "%": "ˌ", ".": ".", "'": "ʲ", ":": "ː", ":\\": "ˑ", "@": "ə", "@\\": "ɘ", "@`": "ɚ", "{": "æ",
    "}": "ʉ", "1": "ɨ", "2": "ø", "3": "ɜ", "3\\": "ɞ", "4": "ɾ", "5": "ɫ", "6": "ɐ", "7": "ɤ", "8": "ɵ", "9": "œ",
    "&": "ɶ", "?": "ʔ", "?\\": "ʕ", "<\\": "ʢ", ">\\": "ʡ", "!\\": "ǃ", "|\\": "ǀ", "|\\|\\": "ǁ", "=\\": "ǂ",
    "-\\": "‿", "|": "|", "||": "‖", "!": "ꜜ", "^": "ꜛ", "<R>": "↗", "<F>": "↘", "-": "", "*": "",
    "=": "\u0329", "~": "\u0303", "`": "˞",
    "_\"": "\u0308", "_+": "\u031f", "_-": "\u0320", "_/": "\u030c", "_\\": "\u0302", "_0": "\u0325", "_=": "\u0329",
    "_>": "ʼ", "_?\\": "ˤ", "_^": "\u032f", "_}": "\u031a", "_`": "˞", "_~": "\u0303", "_A": "\u0318", "_a": "\u033a",
    "_B": "\u030f", "_c": "\u031c", "_d": "\u032a", "_e": "\u0334", "_F": "\u0302", "_G": "ˠ", "_H": "\u0301",
    "_h": "ʰ", "_j": "ʲ", "_k": "\u0330", "_L": "\u0300", "_l": "ˡ", "_M": "\u0304", "_m": "\u033b", "_N": "\u033c",
    "_n": "ⁿ", "_O": "\u0339", "_o": "\u031e", "_q": "\u0319", "_R": "\u030c", "_r": "\u031d", "_T": "\u030b",
    "_t": "\u0324", "_v": "\u032c", "_w": "ʷ", "_X": "\u0306", "_x": "\u033d",
}  # fmt: skip
_SYMBOLS = _IPA | {char: char for char in "abcdefhijklmnopqrstuvwxyz "}
_SYMBOL = re.compile("|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True)))


def to_ipa(text: str) -> str:
    """X-SAMPA as IPA.

    Raises:
        ValueError: it has a character that is no symbol of X-SAMPA.
    """
    at, ipa = 0, []
    while at < len(text):
        found = _SYMBOL.match(text, at)
        if found is None:
            raise ValueError(f"{text[at]!r} is no symbol of X-SAMPA")
        ipa.append(_SYMBOLS[found[0]])
        at = found.end()
    return "".join(ipa)

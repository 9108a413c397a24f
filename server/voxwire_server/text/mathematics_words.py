"""How the commands and signs of LaTeX mathematics are called in English. Tables only."""

from __future__ import annotations

NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

DENOMINATORS = {
    "2": "half", "3": "third", "4": "quarter", "5": "fifth", "6": "sixth", "7": "seventh", "8": "eighth", "9": "ninth",
    "10": "tenth", "11": "eleventh", "12": "twelfth", "13": "thirteenth", "14": "fourteenth", "15": "fifteenth",
    "16": "sixteenth", "17": "seventeenth", "18": "eighteenth", "19": "nineteenth", "20": "twentieth",
    "100": "hundredth", "1000": "thousandth",
}  # fmt: skip

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
_GREEK_LETTERS = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK, strict=True))

SIGNS = {
    "+": "plus", "-": "minus", "−": "minus", "–": "minus", "*": "times", "/": "over", "=": "equals",
    "<": "is less than", ">": "is greater than", "≤": "is less than or equal to", "≥": "is greater than or equal to",
    "≠": "is not equal to", "≈": "is approximately", "×": "times", "·": "times", "÷": "divided by",
    "±": "plus or minus", "∞": "infinity", "∈": "in", "→": "to", "⇒": "implies", "∑": "the sum of",
    "∫": "the integral of", "√": "the square root of", "∂": "partial", "∇": "nabla", "∪": "union", "∩": "intersection",
    "°": "degrees", "…": "and so on", "ℝ": "the real numbers", "~": "", '"': "", "$": "", "²": "squared", "³": "cubed",
    **_GREEK_LETTERS,
    **{letter.upper(): name for letter, name in _GREEK_LETTERS.items()},
    "ϵ": "epsilon", "ϕ": "phi", "ς": "sigma",
}  # fmt: skip
"""What single characters are called; "" for what is not said."""

WORDS = {
    **{name: name for name in _GREEK},
    **{name.capitalize(): name for name in _GREEK},
    **{f"var{name}": name for name in ("epsilon", "theta", "pi", "rho", "sigma", "phi", "kappa")},
    "infty": "infinity", "partial": "partial", "nabla": "nabla", "hbar": "h bar", "ell": "l", "imath": "i",
    "jmath": "j", "Re": "the real part of", "Im": "the imaginary part of", "aleph": "aleph",
    "emptyset": "the empty set",
    "varnothing": "the empty set", "angle": "angle", "degree": "degrees", "%": "percent", "$": "dollars",
    "R": "the real numbers", "N": "the natural numbers", "Z": "the integers", "Q": "the rational numbers",
    "C": "the complex numbers", "top": "top", "bot": "bottom", "circ": "=composed with", "prime": "prime",
    # A leading "=": it stands between two things.
    "le": "=is less than or equal to", "leq": "=is less than or equal to", "leqslant": "=is less than or equal to",
    "ge": "=is greater than or equal to", "geq": "=is greater than or equal to",
    "geqslant": "=is greater than or equal to", "lt": "=is less than", "gt": "=is greater than",
    "ne": "=is not equal to", "neq": "=is not equal to", "ll": "=is much less than", "gg": "=is much greater than",
    "approx": "=is approximately", "simeq": "=is approximately", "cong": "=is congruent to", "sim": "=is similar to",
    "equiv": "=is equivalent to", "propto": "=is proportional to", "coloneqq": "=is defined as",
    "in": "=in", "notin": "=not in", "ni": "=contains", "subset": "=is a subset of", "subseteq": "=is a subset of",
    "subsetneq": "=is a proper subset of", "supset": "=is a superset of", "supseteq": "=is a superset of",
    "cup": "=union", "cap": "=intersection", "setminus": "=without", "to": "=to", "rightarrow": "=to",
    "longrightarrow": "=to", "leftarrow": "=from", "gets": "=from", "mapsto": "=maps to", "longmapsto": "=maps to",
    "Rightarrow": "=implies", "Longrightarrow": "=implies", "implies": "=implies", "Leftarrow": "=is implied by",
    "impliedby": "=is implied by", "iff": "=if and only if", "Leftrightarrow": "=if and only if",
    "Longleftrightarrow": "=if and only if", "leftrightarrow": "=corresponds to", "uparrow": "=up",
    "downarrow": "=down",
    "rightleftharpoons": "=in equilibrium with", "xrightarrow": "=to", "hookrightarrow": "=embeds in",
    "cdot": "=times", "times": "=times", "ast": "=times", "star": "=star", "div": "=divided by", "pm": "=plus or minus",
    "mp": "=minus or plus", "oplus": "=direct sum", "otimes": "=tensor", "odot": "=times", "bmod": "=modulo",
    "mod": "=modulo", "land": "=and", "wedge": "=and", "lor": "=or", "vee": "=or", "lnot": "=not", "neg": "=not",
    "forall": "=for all", "exists": "=there exists", "nexists": "=there does not exist", "therefore": "=therefore",
    "because": "=because", "perp": "=is perpendicular to", "parallel": "=is parallel to", "models": "=models",
    "vdash": "=proves", "ldots": "=and so on", "cdots": "=and so on", "dots": "=and so on", "dotsc": "=and so on",
    "vdots": "=and so on", "ddots": "=and so on", "colon": "=:", "backslash": "=without", "divides": "=divides",
    "&": "=and", "#": "=number", "_": "=underscore",
}  # fmt: skip
"""What commands are called."""

FUNCTIONS = {
    "sin": "sine", "cos": "cosine", "tan": "tangent", "cot": "cotangent", "sec": "secant", "csc": "cosecant",
    "arcsin": "arc sine", "arccos": "arc cosine", "arctan": "arc tangent", "sinh": "hyperbolic sine",
    "cosh": "hyperbolic cosine", "tanh": "hyperbolic tangent", "log": "log", "ln": "natural log", "lg": "log",
    "exp": "exp", "det": "the determinant", "dim": "the dimension", "ker": "the kernel", "deg": "the degree",
    "gcd": "the greatest common divisor", "Pr": "the probability", "arg": "the argument", "hom": "hom",
}  # fmt: skip

BIG = {
    "sum": "the sum", "prod": "the product", "coprod": "the coproduct", "int": "the integral",
    "iint": "the double integral", "iiint": "the triple integral", "oint": "the contour integral", "lim": "the limit",
    "limsup": "the upper limit", "liminf": "the lower limit", "max": "the maximum", "min": "the minimum",
    "sup": "the supremum", "inf": "the infimum", "argmax": "the arg max", "argmin": "the arg min",
    "bigcup": "the union", "bigcap": "the intersection", "bigoplus": "the direct sum",
    "bigotimes": "the tensor product",
    "bigvee": "the disjunction", "bigwedge": "the conjunction",
}  # fmt: skip
"""Signs with bounds."""

ACCENTS = {
    "hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde", "widetilde": "tilde",
    "dot": "dot", "ddot": "double dot", "vec": "vector ", "overrightarrow": "vector ", "check": "check",
    "breve": "breve", "acute": "acute", "grave": "grave", "mathring": "ring",
}  # fmt: skip
"""What stands above a letter; said before it with a space at the end."""

FONTS = frozenset((
    "mathbf", "mathrm", "mathit", "mathsf", "mathtt", "mathcal", "mathscr", "mathfrak", "mathbb", "Bbb", "bm",
    "boldsymbol", "pmb", "boxed", "underline", "cancel", "displaystyle", "mathop", "mathrel", "mathbin", "fbox",
))  # fmt: skip

SETS = {
    "R": "the real numbers", "N": "the natural numbers", "Z": "the integers", "Q": "the rational numbers",
    "C": "the complex numbers", "P": "the prime numbers", "H": "the quaternions",
}  # fmt: skip

FENCES = {
    "\\lfloor": "the floor of", "\\lceil": "the ceiling of", "\\{": "the set of", "\\lbrace": "the set of",
}  # fmt: skip

NOTHING = frozenset((
    ",", ";", ":", "!", " ", "\n", ">", "/", "quad", "qquad", "limits", "nolimits", "nonumber", "notag", "displaystyle",
    "textstyle", "scriptstyle", "hfill", "hline", "left", "right", "middle", "small", "large", "allowbreak", "smash",
    "rvert", "rVert", "cr", "thinspace", "enspace", "negthinspace", "centering", "rm", "bf", "it",
))  # fmt: skip
"""Spaces and layout."""

PLAIN_SIGNS = {
    **{name: letter for letter, name in _GREEK_LETTERS.items()},
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "times": "×", "cdot": "·",
    "div": "÷", "pm": "±", "infty": "∞", "in": "∈", "to": "→", "rightarrow": "→", "Rightarrow": "⇒", "implies": "⇒",
    "sum": "∑", "int": "∫", "sqrt": "√", "partial": "∂", "nabla": "∇", "cup": "∪", "cap": "∩", "%": "%", "$": "$",
    "circ": "°", "degree": "°", "ldots": "…", "dots": "…", "cdots": "…", "pi": "π",
}  # fmt: skip
"""Commands as single signs, for languages whose names of them are not known here."""

"""What stands for what in English text: units, currencies, months, abbreviations, signs. Data only.

Units after the SI brochure (BIPM, 9th edition) and IEC 80000-13; currencies after ISO 4217; Greek letters after
Unicode's names.
"""

from __future__ import annotations

import re


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
MONTH_BY_NAME = (
    {name.lower(): name for name in MONTHS} | {name[:3].lower(): name for name in MONTHS} | {"sept": "September"}
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAY_BY_NAME = (
    {name.lower(): name for name in WEEKDAYS}
    | {name[:3].lower(): name for name in WEEKDAYS}
    | {"tues": "Tuesday", "thur": "Thursday", "thurs": "Thursday", "weds": "Wednesday"}
)

ZONES = word_set(
    """
    UTC GMT EST EDT CST CDT MST MDT PST PDT CET CEST BST IST JST ET PT CT MT EET EEST AEST AEDT
    """
)


def _units(lines: str) -> dict[str, tuple[str, str]]:
    """Reads "km kilometer" a line, with a plural where it is not the word with an s."""
    found: dict[str, tuple[str, str]] = {}
    for line in lines.strip().splitlines():
        symbols, one, *many = (part.strip() for part in line.split(":"))
        for symbol in symbols.split():
            found[symbol] = (one, many[0] if many else one + "s")
    return found


UNITS = _units("""
km Km KM : kilometer
m : meter
cm : centimeter
mm : millimeter
dm : decimeter
µm μm um : micrometer
nm : nanometer
in : inch : inches
ft : foot : feet
yd yds : yard
mi : mile
nmi : nautical mile
ly : light-year
au : astronomical unit
kg Kg KG : kilogram
g gm : gram
mg : milligram
µg μg mcg : microgram
t : tonne
lb lbs : pound
oz : ounce
st : stone : stone
l L : liter
ml mL : milliliter
cl cL : centiliter
dl dL : deciliter
cc : C C : C C
gal : gallon
qt : quart
pt : pint
tbsp tbsps : tablespoon
tsp tsps : teaspoon
ha : hectare
sqm : square meter
sqft : square foot : square feet
h hr hrs : hour
min mins : minute
s sec secs : second
ms msec : millisecond
µs μs us : microsecond
ns : nanosecond
yr yrs : year
wk wks : week
mph : mile per hour : miles per hour
kmh kph kmph : kilometer per hour : kilometers per hour
kn kt kts : knot
rpm RPM : R P M : R P M
bpm BPM : beat per minute : beats per minute
fps FPS : frame per second : frames per second
dpi DPI : D P I : D P I
ppi PPI : P P I : P P I
ppm : part per million : parts per million
ppb : part per billion : parts per billion
psi PSI : P S I : P S I
Hz hz : hertz : hertz
kHz KHz : kilohertz : kilohertz
MHz Mhz : megahertz : megahertz
GHz Ghz : gigahertz : gigahertz
THz : terahertz : terahertz
V : volt
mV : millivolt
kV : kilovolt
W : watt
mW : milliwatt
kW KW : kilowatt
MW : megawatt
GW : gigawatt
TW : terawatt
Wh : watt-hour
kWh KWh kwh : kilowatt-hour
MWh : megawatt-hour
GWh : gigawatt-hour
TWh : terawatt-hour
mA : milliamp
A : amp
Ah : amp-hour
mAh : milliamp-hour
Ω ohm : ohm
kΩ : kilohm
MΩ : megohm
F : farad
µF μF : microfarad
nF : nanofarad
pF : picofarad
H : henry
J : joule
kJ : kilojoule
MJ : megajoule
cal : calorie
kcal Kcal : kilocalorie
N : newton
kN : kilonewton
Nm N·m : newton meter
Pa : pascal
hPa : hectopascal
kPa : kilopascal
MPa : megapascal
GPa : gigapascal
mbar : millibar
atm : atmosphere
mmHg : millimeter of mercury : millimeters of mercury
dB : decibel
dBm : D B M : D B M
lm : lumen
lx : lux : lux
cd : candela
mol : mole
mmol : millimole
eV : electronvolt
keV : kiloelectronvolt
MeV : megaelectronvolt
GeV : gigaelectronvolt
TeV : teraelectronvolt
Bq : becquerel
Sv : sievert
mSv : millisievert
µSv μSv : microsievert
B : byte
kB KB kb : kilobyte
MB mb : megabyte
GB gb Gb : gigabyte
TB tb : terabyte
PB : petabyte
EB : exabyte
KiB : kibibyte
MiB : mebibyte
GiB : gibibyte
TiB : tebibyte
bps : bit per second : bits per second
kbps Kbps : kilobit per second : kilobits per second
Mbps mbps : megabit per second : megabits per second
Gbps gbps : gigabit per second : gigabits per second
Tbps : terabit per second : terabits per second
MBps : megabyte per second : megabytes per second
Mb Mbit : megabit
Gbit : gigabit
px : pixel
MP : megapixel
hp HP : horsepower : horsepower
mpg MPG : mile per gallon : miles per gallon
qps QPS : query per second : queries per second
rps RPS : request per second : requests per second
tok : token
doz : dozen
pcs : piece
pct : percent : percent
bp bps. : basis point
""")
SPACED_UNITS_NOT = word_set(
    """
    in us A F H B N st au t MP s g h pt cd doz st bp ly HP hp l
    """
) - frozenset(["g", "h", "l", "hp", "HP"])
"""Units that are words or names of their own when a space stands before them: "5 in total", "room 5 A"."""
ATTACHED_UNITS_NOT = word_set(
    """
    A B F H N T st in au us t MP
    """
) - frozenset(["in"])
"""Units that are no units right behind a digit, where letters name a series: "5A", "1st"."""

WORD_UNITS = {
    # After a slash or "per": the names of what is counted.
    "second": "second", "minute": "minute", "hour": "hour", "day": "day", "week": "week", "month": "month",
    "year": "year", "person": "person", "night": "night", "user": "user", "item": "item", "unit": "unit", "mo": "month",
    "yr": "year", "wk": "week", "hr": "hour", "sec": "second", "min": "minute", "h": "hour", "s": "second",
    "d": "day", "lb": "pound", "kg": "kilogram", "oz": "ounce", "mi": "mile", "km": "kilometer", "gal": "gallon",
    "ea": "each", "token": "token", "call": "call", "request": "request", "seat": "seat", "share": "share",
    "piece": "piece", "head": "head", "mile": "mile", "gallon": "gallon", "pound": "pound", "m": "meter",
    "l": "liter", "L": "liter", "g": "gram", "GB": "gigabyte", "MB": "megabyte", "TB": "terabyte", "image": "image",
    "sqft": "square foot", "kWh": "kilowatt-hour", "cup": "cup", "box": "box", "pp": "person", "wk.": "week",
}  # fmt: skip

_DOLLAR = ("dollar", "dollars", "cent", "cents")
CURRENCIES: dict[str, tuple[str, str, str, str]] = {
    "$": _DOLLAR,
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "CA$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "AU$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "NZ$": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HK$": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "S$": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "R$": ("real", "reais", "centavo", "centavos"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "￥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₿": ("bitcoin", "bitcoin", "satoshi", "satoshi"),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₫": ("dong", "dong", "xu", "xu"),
    "₴": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "฿": ("baht", "baht", "satang", "satang"),
    "₡": ("colon", "colones", "centimo", "centimos"),
    "₲": ("guarani", "guaranies", "centimo", "centimos"),
    "₵": ("cedi", "cedis", "pesewa", "pesewas"),
    "₸": ("tenge", "tenge", "tiyn", "tiyn"),
    "₾": ("lari", "lari", "tetri", "tetri"),
    "USD": ("US dollar", "US dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "sen", "sen"),
    "CNY": ("yuan", "yuan", "fen", "fen"),
    "RMB": ("yuan", "yuan", "fen", "fen"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "Rs": ("rupee", "rupees", "paisa", "paise"),
    "KRW": ("won", "won", "jeon", "jeon"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "SEK": ("Swedish krona", "Swedish kronor", "ore", "ore"),
    "NOK": ("Norwegian krone", "Norwegian kroner", "ore", "ore"),
    "DKK": ("Danish krone", "Danish kroner", "ore", "ore"),
    "PLN": ("zloty", "zlotys", "grosz", "groszy"),
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "BRL": ("Brazilian real", "Brazilian reais", "centavo", "centavos"),
    "RUB": ("ruble", "rubles", "kopek", "kopeks"),
    "TRY": ("Turkish lira", "Turkish lira", "kurus", "kurus"),
    "ZAR": ("rand", "rand", "cent", "cents"),
    "BTC": ("bitcoin", "bitcoin", "satoshi", "satoshi"),
    "ETH": ("ether", "ether", "gwei", "gwei"),
}
NO_CENTS = word_set(
    """
    ¥ ￥ ₩ ₿ ₫ JPY KRW BTC ETH
    """
)
MAGNITUDES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million", "MM": "million",
    "mil": "million", "bn": "billion", "Bn": "billion", "BN": "billion", "b": "billion", "B": "billion",
    "tn": "trillion", "t": "trillion", "T": "trillion", "thousand": "thousand", "million": "million",
    "billion": "billion", "trillion": "trillion", "hundred": "hundred", "grand": "grand",
}  # fmt: skip

TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Gen": "General",
    "Sen": "Senator", "Rep": "Representative", "Gov": "Governor", "Capt": "Captain", "Lt": "Lieutenant",
    "Col": "Colonel", "Sgt": "Sergeant", "Cpl": "Corporal", "Cmdr": "Commander", "Maj": "Major", "Adm": "Admiral",
    "Rev": "Reverend", "Hon": "Honorable", "Pres": "President", "Fr": "Father", "Supt": "Superintendent",
    "Pvt": "Private",
    "Msgr": "Monsignor", "Insp": "Inspector", "Det": "Detective", "St": "Saint", "Mt": "Mount", "Ft": "Fort",
    "Pt": "Point", "Messrs": "Messieurs", "Mme": "Madame", "Mlle": "Mademoiselle", "Sr": "Senior", "Amb": "Ambassador",
}  # fmt: skip
"""Before a name, with or without a full stop."""

ABBREVIATIONS = {
    "e.g": "for example", "i.e": "that is", "etc": "et cetera", "vs": "versus", "v": "versus",
    "approx": "approximately",
    "dept": "department", "Dept": "Department", "est": "established", "Est": "Established", "fig": "figure",
    "figs": "figures", "Fig": "Figure", "Figs": "Figures", "vol": "volume", "vols": "volumes", "Vol": "Volume",
    "Vols": "Volumes", "pp": "pages", "pg": "page", "pgs": "pages", "ver": "version", "Ver": "Version",
    "intl": "international", "ch": "chapter", "Ch": "Chapter", "sec": "section", "Sec": "Section",
    "eq": "equation", "Eq": "Equation", "ed": "edition", "eds": "editors", "Inc": "Incorporated", "Ltd": "Limited",
    "Corp": "Corporation", "Co": "Company", "Bros": "Brothers", "Jr": "Junior", "Sr": "Senior", "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Hwy": "Highway", "Pkwy": "Parkway", "Sq": "Square", "Ct": "Court",
    "St": "Street", "Dr": "Drive", "Pl": "Place", "Apt": "Apartment", "apt": "apartment", "Ste": "Suite",
    "Bldg": "Building",
    "bldg": "building", "Rm": "Room", "Univ": "University", "Assn": "Association", "Govt": "Government",
    "govt": "government", "Intl": "International", "Mfg": "Manufacturing", "misc": "miscellaneous", "max": "maximum",
    "min": "minimum", "avg": "average", "temp": "temperature", "tel": "telephone", "Tel": "Telephone",
    "ext": "extension",
    "Ext": "Extension", "incl": "including", "excl": "excluding", "cont": "continued", "ca": "circa", "c": "circa",
    "cf": "compare", "viz": "namely", "ibid": "ibidem", "al": "al", "assoc": "associate", "asst": "assistant",
    "Asst": "Assistant", "mgr": "manager", "Mgr": "Manager", "hrs": "hours", "mins": "minutes", "secs": "seconds",
    "yrs": "years", "lbs": "pounds", "qty": "quantity", "Qty": "Quantity", "resp": "respectively", "ref": "reference",
    "Ref": "Reference", "no": "number", "No": "Number", "nos": "numbers", "Nos": "Numbers", "p": "page",
    "Ph.D": "P H D", "M.D": "M D", "B.A": "B [A](/ˈA/)", "M.A": "M [A](/ˈA/)", "B.Sc": "B S C", "M.Sc": "M S C",
    "a.k.a": "A.K.A",
    "Esq": "Esquire", "Sat": "Saturday", "appt": "appointment", "ft": "feet", "oz": "ounces", "lb": "pounds",
    "bday": "birthday", "Div": "Division", "Mtn": "Mountain", "Mts": "Mountains", "para": "paragraph",
    "pt": "part", "Pt": "Part", "Art": "Article", "art": "article", "intro": "intro", "bio": "bio",
}  # fmt: skip
"""With a full stop."""
BEFORE_NUMBERS = word_set(
    """
    no No nos Nos p pp v c ch Ch sec Sec eq Eq ed vol vols Vol Vols fig figs Fig Figs pt Pt art Art ca para max
    min temp
    """
)
"""Abbreviations that are words of their own unless a number follows ("No. 7", not "No.")."""
NOT_ALONE = word_set(
    """
    no No nos Nos p pp v c ch Ch sec Sec eq Eq ed pt Pt art Art para max min temp intro bio ft oz lb al est Est St
    Dr Ct Pl Sat fig Fig
    """
)
STREETS = frozenset(["St", "Dr", "Ct", "Pl"])
"""Streets after a name."""
NEVER_ENDS = word_set(
    """
    e.g i.e vs approx dept Dept fig figs Fig Figs vol Vol pp incl excl a.k.a cf viz ca no No nos Nos p
    """
)

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ϑ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi",
    "ο": "omicron", "π": "pi", "ρ": "rho", "σ": "sigma", "ς": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi",
    "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Α": "alpha", "Β": "beta", "Γ": "gamma", "Δ": "delta",
    "Ε": "epsilon", "Ζ": "zeta", "Η": "eta", "Θ": "theta", "Ι": "iota", "Κ": "kappa", "Λ": "lambda", "Μ": "mu",
    "Ν": "nu", "Ξ": "xi", "Ο": "omicron", "Π": "pi", "Ρ": "rho", "Σ": "sigma", "Τ": "tau", "Υ": "upsilon", "Φ": "phi",
    "Χ": "chi", "Ψ": "psi", "Ω": "omega",
}  # fmt: skip

SIGNS = {
    "&": "and", "@": "at", "%": "percent", "‰": "per mille", "+": "plus", "=": "equals", "×": "times",
    "÷": "divided by",
    "−": "minus", "±": "plus or minus", "≈": "approximately", "≠": "not equal to", "≤": "less than or equal to",
    "≥": "greater than or equal to", "<": "less than", ">": "greater than", "√": "square root of", "∛": "cube root of",
    "∞": "infinity", "∑": "sum of", "∏": "product of", "∫": "integral of", "∂": "partial", "∇": "nabla", "∈": "in",
    "∉": "not in", "⊂": "subset of", "⊆": "subset of", "∪": "union", "∩": "intersection", "∀": "for all",
    "∃": "there exists", "∅": "empty set", "¬": "not", "∧": "and", "∨": "or", "⇒": "implies", "⇔": "if and only if",
    "→": "to", "←": "from", "↔": "to and from", "↑": "up", "↓": "down", "➜": "to", "➔": "to", "§": "section",
    "¶": "paragraph", "©": "copyright", "®": "registered", "™": "trademark", "°": "degrees", "^": "to the power of",
    "#": "hash", "~": "about", "*": "times", "/": "slash", "\\": "backslash", "$": "dollars", "£": "pounds",
    "€": "euros", "¥": "yen", "¢": "cents", "₹": "rupees", "₩": "won", "₿": "bitcoin", "№": "number",
    "∝": "proportional to",
    "≡": "equivalent to", "∴": "therefore", "∵": "because", "⋅": "times", "∘": "degrees", "†": "", "‡": "", "•": "",
    "◦": "", "▪": "", "|": "", "_": "", "`": "", "·": "", "‣": "", "●": "", "○": "", "■": "", "□": "",
}  # fmt: skip
OPERATORS = {
    "+/-": "plus or minus",
    "!=": "not equal to", "==": "equals", "===": "strictly equals", "!==": "strictly not equal to", "=>": "arrow",
    "->": "arrow", "<-": "left arrow", "&&": "and", "||": "or", "+=": "plus equals", "-=": "minus equals",
    "*=": "times equals", "/=": "divided by equals", "<=": "less than or equal to", ">=": "greater than or equal to",
    "++": "plus plus", "--": "minus minus", "**": "to the power of", "//": "slash slash", "<<": "left shift",
    ">>": "right shift", "::": "colon colon", ":=": "colon equals", "|>": "pipe", "??": "or",
    "~=": "approximately equals",
    "%=": "percent equals", "<>": "not equal to", "<->": "double arrow", "-->": "arrow", "==>": "arrow",
    "<=>": "double arrow",
}  # fmt: skip
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9),
    "⅒": (1, 10),
}  # fmt: skip

RULERS = word_set(
    """
    King Queen Pope Emperor Tsar Czar Henry Louis Charles George Edward William Richard James John Paul Pius
    Benedict Elizabeth Mary Philip Napoleon Frederick Wilhelm Friedrich Ramses Ramesses Ptolemy Alexander Nicholas
    Peter Catherine Ivan Leo Gregory Innocent Clement Urban Boniface Sixtus Julius Otto Ferdinand Francis Carlos
    Felipe Juan Alfonso Gustav Christian Haakon Olaf Harald Umberto Victor Emmanuel Leopold Albert Baudouin Darius
    Xerxes Cyrus Antiochus Seleucus Mehmed Murad Selim Suleiman Mahmud Abdulhamid Thutmose Amenhotep Seti Robert
    David Alexios Constantine Theodosius Justinian Basil Leopold Joseph Rudolf Maximilian Sigismund Casimir
    Boleslaw Stephen Bela Andrew Ladislaus Matthias Hassan Hussein Abdullah Farouk Fuad Rama Naresuan Pedro Manuel
    Afonso Celestine Martin Callixtus Eugene Adrian Honorius Lucius Anastasius Edmund Michael
    """
)
CHAPTERS = word_set(
    """
    chapter part act section war book volume title article appendix bowl phase stage type class grade level tier
    episode season scene lesson unit module table figure round game edition version mark quest fantasy rocky
    apollo saturn titan gemini column theorem schedule annex olympiad generation canto psalm movement symphony gta
    concerto sonata vatican council division group category paragraph page item step exhibit factor
    """
)
SPOKEN_CAPITALS = {
    "YAML": "yammel", "JSON": "Jason", "TOML": "tommel", "WWI": "World War One", "WWII": "World War Two",
    "WW1": "World War One",
    "WW2": "World War Two", "SCSI": "scuzzy", "SAAS": "sass", "PAAS": "pass", "PaaS": "pass", "JPG": "jay peg",
    "WIFI": "Wi-Fi", "WiFi": "Wi-Fi", "IKEA": "Ikea", "MOMA": "Moma", "MoMA": "Moma", "FERPA": "Ferpa",
    "TOEFL": "toe full",
    "SCADA": "Scada", "CORS": "cores", "OAuth": "O auth", "OAUTH": "O auth", "IEEE": "I triple E", "CUDA": "cooda",
    "WASM": "wazzum", "HEPA": "heppa", "NGINX": "engine X", "nginx": "engine X", "SUDO": "sudo", "AVI": "[A](/ˈA/) V I",
    "GIS": "G I S", "WAV": "wave",
}  # fmt: skip

NUMBER_CONTEXT_CODES = word_set(
    """
    pin pins code codes zip zipcode passcode password otp account confirmation tracking serial isbn ssn ext extension
    """
)
ROOM_CONTEXT = word_set(
    """
    http error status port xbox office rtx gtx rx airbus room rooms flight suite apartment apt gate bus route
    highway interstate hwy locker unit train boeing
    """
)
ORDER_CONTEXT = word_set(
    """
    order ticket case invoice reference booking reservation policy member id
    """
)
CALL_CONTEXT = word_set(
    """
    call calls called calling dial dials dialed dialled dialing ring phone text tel telephone emergency
    """
)
VERSION_CONTEXT = word_set(
    """
    version versions v ver python ios android windows ubuntu java node nodejs gpt chrome firefox macos linux
    kernel php ruby go golang rust django react angular vue tls ssl http usb bluetooth openssl postgres postgresql
    mysql sqlite debian fedora swift kotlin release build update firmware patch typescript javascript es c++ css
    html claude llama gemini mistral cuda pytorch tensorflow numpy pandas redis nginx docker kubernetes git npm
    pip spring rails laravel unity unreal directx opengl qt gcc clang llvm cmake
    """
)
DATE_CONTEXT = word_set(
    """
    on by until till before after from since due of date dated expires through between
    """
)

STATES = dict(
    pair.split(":")
    for pair in re.split(
        r"\s*\n\s*|\|",
        """AL:Alabama|AK:Alaska|AZ:Arizona|AR:Arkansas|CA:California|CO:Colorado|CT:Connecticut|DE:Delaware|FL:Florida
        GA:Georgia|HI:Hawaii|ID:Idaho|IL:Illinois|IN:Indiana|IA:Iowa|KS:Kansas|KY:Kentucky|LA:Louisiana|ME:Maine|MD:Maryland
        MA:Massachusetts|MI:Michigan|MN:Minnesota|MS:Mississippi|MO:Missouri|MT:Montana|NE:Nebraska|NV:Nevada
        NH:New Hampshire|NJ:New Jersey|NM:New Mexico|NY:New York|NC:North Carolina|ND:North Dakota|OH:Ohio|OK:Oklahoma
        OR:Oregon|PA:Pennsylvania|RI:Rhode Island|SC:South Carolina|SD:South Dakota|TN:Tennessee|TX:Texas|UT:Utah
        VT:Vermont|VA:Virginia|WA:Washington|WV:West Virginia|WI:Wisconsin|WY:Wyoming|DC:D C""",
    )
)
"""By the postal service's abbreviation."""
STARTERS = word_set(
    """
    He She It They We I You The This That These Those But And So In On At For When If What Then There Here My His
    Her Our Their Its No Yes A An Why How Who Where Which After Before While Since Although Though However Now Not
    Please Let Do Did Is Are Was Can Could Will Would Some Many Most All Also As By To From With Our Your Once
    Until Because One Two Three
    """
)
"""Words that begin a sentence and seldom a name."""

ACRONYMS = word_set(
    """
    NASA NATO FBI CIA USA USB API IBM CEO CFO CTO UN EU UK HTML CSS SQL HTTP HTTPS JSON XML YAML URL PDF CPU GPU
    RAM ROM OPEC ASAP UNESCO UNICEF AIDS SARS COVID LASER RADAR NAFTA FIFA UEFA IKEA LEGO NASDAQ NYSE IEEE ISO
    ANSI ASCII JPEG GIF PNG BIOS CEOS APIS HIV DNA RNA PIN SIM ATM VIP TV PC HR PR IT QA UI UX AI ML GUI IDE SDK
    AWS GCP IAEA OECD IMF
    """
)
"""Not words, whatever stands beside them."""

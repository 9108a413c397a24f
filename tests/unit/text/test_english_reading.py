"""How English is read: numbers, dates, money, measures, codes, names, capitals and signs as words."""

from __future__ import annotations

import re
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.engines.common.g2p import EnglishReader
from voxwire_server.text.reading import english, read_out
from voxwire_server.text.reading.english import EnglishNormaliser

A = "[A](/ˈA/)"  # the letter's name

READINGS: dict[str, list[tuple[str, str]]] = {
    "cardinal": [
        ("I have 3 cats.", "I have three cats."),
        ("It is 105.", "It is one hundred five."),
        ("1,234,567 people", "one million two hundred thirty-four thousand five hundred sixty-seven people"),
        ("1 000 000 people", "one million people"),
        ("1\u202f000\u202f000 people", "one million people"),
        ("about 10\u00a0000 seats", "about ten thousand seats"),
        ("999999999999999", "nine hundred ninety-nine trillion nine hundred ninety-nine billion nine hundred"
         " ninety-nine million nine hundred ninety-nine thousand nine hundred ninety-nine"),
        ("12345678901234567890.",
        "one two three four, five six seven eight, nine zero one two, three four five six, seven eight nine zero."),
        ("It costs 4821 points.", "It costs four thousand eight hundred twenty-one points."),
        ("lines 02, 03", "lines zero two, zero three"),
        ("agent 007", "agent zero zero seven"),
        ("PIN 0042.", "PIN zero zero four two."),
        ("-40", "minus forty"),
        ("It fell to −5.", "It fell to minus five."),
        ("+5 points", "plus five points"),
        ("0", "zero"),
        ("٣ and ३ and ７", "three and three and seven"),
        ("①, ②", "one, two"),
    ],
    "decimal": [
        ("3.14159", "three point one four one five nine"),
        (".5", "point five"),
        ("It is .5!", "It is point five!"),
        ("0.002 grams", "zero point zero zero two grams"),
        ("12,5 degrees", "twelve point five degrees"),
        ("12,5 km", "twelve point five kilometers"),
        ("items 1,2", "items one,two"),
        ("€1.234,56", "one thousand two hundred thirty-four euros and fifty-six cents"),
    ],
    "ordinal": [
        ("the 1st, 2nd and 3rd", "the first, second and third"),
        ("the 21st.", "the twenty-first."),
        ("her 100th", "her one hundredth"),
        ("the 1,000th", "the one thousandth"),
    ],
    "year": [
        ("90s music", "nineties music"),
        ("the mid-1980s", "the mid-nineteen eighties"),
        ("in 1905", "in nineteen oh five"),
        ("in 1999.", "in nineteen ninety-nine."),
        ("since 2008,", "since two thousand eight,"),
        ("by 2024", "by twenty twenty-four"),
        ("in 2000", "in two thousand"),
        ("in 1900", "in nineteen hundred"),
        ("the 1990s", "the nineteen nineties"),
        ("the '90s", "the nineties"),
        ("the ’90s.", "the nineties."),
        ("in the 90s", "in the nineties"),
        ("the 2000s", "the two thousands"),
        ("1200 BC", "twelve hundred BC"),
        ("1990–1995", "nineteen ninety to nineteen ninety-five"),
        ("2020-21", "twenty twenty to twenty-one"),
    ],
    "range": [
        ("24-70mm", "twenty-four to seventy millimeters"),
        ("3-2-1", "three two one"),
        ("10th–12th", "tenth to twelfth"),
        ("a 50-50 chance", "a fifty fifty chance"),
        ("5-10", "five to ten"),
        ("pages 5 - 10", "pages five to ten"),
        ("a 9-5 job", "a nine to five job"),
        ("won 3-2.", "won three to two."),
        ("5–10 km", "five to ten kilometers"),
        ("5-10%", "five to ten percent"),
        ("5%-10%", "five to ten percent"),
        ("20°-25°C", "twenty to twenty-five degrees Celsius"),
        ("a 10-year-old", "a ten-year-old"),
        ("a 5-km run", "a five kilometer run"),
    ],
    "money": [
        ("a $20 bill", "a twenty dollar bill"),
        ("a $5 million house", "a five million dollar house"),
        ("20-30 €", "twenty to thirty euros"),
        ("$1", "one dollar"),
        ("$20.50", "twenty dollars and fifty cents"),
        ("$0.99.", "ninety-nine cents."),
        ("$1.01", "one dollar and one cent"),
        ("$5bn", "five billion dollars"),
        ("$5 million", "five million dollars"),
        ("$1.5 million,", "one point five million dollars,"),
        ("20 €", "twenty euros"),
        ("20€.", "twenty euros."),
        ("-$5", "minus five dollars"),
        ("$20-$30", "twenty to thirty dollars"),
        ("$5-10 million", "five to ten million dollars"),
        ("3k€", "three thousand euros"),
        ("$10k", "ten thousand dollars"),
        ("$0.002/1K tokens", "zero point zero zero two dollars per one thousand tokens"),
        ("$5/month", "five dollars per month"),
        ("$20/hr", "twenty dollars per hour"),
        ("USD 20", "twenty US dollars"),
        ("20 EUR", "twenty euros"),
        ("US$20", "twenty US dollars"),
        ("C$5", "five Canadian dollars"),
        ("£5.20", "five pounds and twenty pence"),
        ("£0.01", "one penny"),
        ("¥500", "five hundred yen"),
        ("₹1,00,000", "one hundred thousand rupees"),
        ("₩1000", "one thousand won"),
        ("₿0.5", "zero point five bitcoin"),
        ("€12,50", "twelve euros and fifty cents"),
        ("99¢", "ninety-nine cents"),
        ("$1,234.56", "one thousand two hundred thirty-four dollars and fifty-six cents"),
    ],
    "date": [
        ("Jan.–Mar.", "January to March."),
        ("05/06", "May sixth"),
        ("on Nov. 21", "on November twenty-first"),
        ("Nov. 21, 2024", "November twenty-first, twenty twenty-four"),
        ("July 4, 2024", "July fourth, twenty twenty-four"),
        ("the 21st of May", "the twenty-first of May"),
        ("21 November 2024", "the twenty-first of November, twenty twenty-four"),
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("3/4/2024.", "March fourth, twenty twenty-four."),
        ("on 12/25", "on December twenty-fifth"),
        ("Jan 5", "January fifth"),
        ("July 4-6", "July fourth to sixth"),
        ("in Sept. 2024", "in September twenty twenty-four"),
        ("May 2024", "May twenty twenty-four"),
        ("21.11.2024", "November twenty-first, twenty twenty-four"),
        ("Mon-Fri", "Monday to Friday"),
        ("on Mon. at noon", "on Monday at noon"),
        ("Sat–Sun.", "Saturday to Sunday."),
        ("I sat. The sun set.", "I sat. The sun set."),
        ("It may be 5.", "It may be five."),
    ],
    "time": [
        ("in 25:30", "in twenty-five thirty"),
        ("Psalm 23:4", "Psalm twenty-three four"),
        ("5-6pm", "five to six P.M"),
        ("6:30-7 pm", "six thirty to seven P.M"),
        ("at 7:30", "at seven thirty"),
        ("7:05.", "seven oh five."),
        ("12:00", "twelve o'clock"),
        ("Open 9am to 5pm", "Open nine A.M to five P.M"),
        ("at 9 a.m. sharp", "at nine A.M sharp"),
        ("It is 9 a.m.", "It is nine A.M."),
        ("5pm-7pm", "five P.M to seven P.M"),
        ("14:30", "fourteen thirty"),
        ("15:00 UTC", "fifteen hundred UTC"),
        ("1:02:03", "one hour two minutes three seconds"),
        ("at 10:15:30", "at ten fifteen and thirty seconds"),
        ("2h 30m", "two hours thirty minutes"),
        ("a 30s timeout", "a thirty second timeout"),
        ("16:9", "sixteen to nine"),
        ("9:00-17:30", "nine o'clock to seventeen thirty"),
    ],
    "phone": [
        ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
        ("Call 555-123-4567, now", "Call five five five, one two three, four five six seven, now"),
        ("(415) 555-0132", "four one five, five five five, zero one three two"),
        ("415.555.0132", "four one five, five five five, zero one three two"),
        ("+1 415 555 0132", "plus one, four one five, five five five, zero one three two"),
        ("555-0132 ext. 12", "five five five, zero one three two, extension one two"),
        ("020 7946 0958", "zero two zero, seven nine four six, zero nine five eight"),
        ("Call 911!", "Call nine one one!"),
        ("911", "nine one one"),
        ("dial 112", "dial one one two"),
        ("ring 999 now", "ring nine nine nine now"),
        ("123-45-6789", "one two three, four five, six seven eight nine"),
    ],
    "fraction": [
        ("¼ tsp of salt", "one quarter teaspoon of salt"),
        ("4.5/5 stars", "four point five out of five stars"),
        ("It is 3/4.", "It is three quarters."),
        ("1/2", "one half"),
        ("⅓ cup", "one third cup"),
        ("½", "one half"),
        ("1½ cups", "one and a half cups"),
        ("2 1/2 hours", "two and a half hours"),
        ("5/5 stars", "five out of five stars"),
        ("7/10", "seven out of ten"),
        ("50/50 and", "fifty fifty and"),
        ("24/7!", "twenty-four seven!"),
        ("9/11", "nine eleven"),
        ("and/or", "and or"),
        ("he/she", "he or she"),
    ],
    "measure": [
        ("3 ft 6 in", "three feet six inches"),
        ("5'10 tall", "five foot ten tall"),
        ("5 lb. 3 oz.", "five pounds three ounces."),
        ("40° 26′ 46″ N", "forty degrees twenty-six minutes forty-six seconds north"),
        ("120/80 mmHg", "one twenty over eighty millimeters of mercury"),
        ("5 km", "five kilometers"),
        ("1 kg", "one kilogram"),
        ("12 m²", "twelve square meters"),
        ("3 ft^2", "three square feet"),
        ("9.8 m/s²", "nine point eight meters per second squared"),
        ("100 km/h.", "one hundred kilometers per hour."),
        ("km/h", "kilometers per hour"),
        ("25°C", "twenty-five degrees Celsius"),
        ("98.6 °F", "ninety-eight point six degrees Fahrenheit"),
        ("45°", "forty-five degrees"),
        ("6'2\" tall", "six foot two tall"),
        ("5'10\".", "five foot ten."),
        ("a 12\" ruler", "a twelve inch ruler"),
        ("He said “12”.", "He said “twelve”."),
        ("50%", "fifty percent"),
        ("16GB", "sixteen gigabytes"),
        ("2.4 GHz", "two point four gigahertz"),
        ("220V", "two hundred twenty volts"),
        ("5 in total", "five in total"),
        ("5 min. walk", "five minutes walk"),
        ("2x", "two x"),
        ("10x faster", "ten times faster"),
        ("1920x1080", "nineteen twenty by ten eighty"),
        ("10 x 5", "ten by five"),
        ("4 cm x 6 cm", "four centimeters by six centimeters"),
        ("4K", "four K"),
        ("5G", "five G"),
        ("3D", "three D"),
        ("10k users", "ten thousand users"),
        ("5M users", "five million users"),
        ("a 7B model", "a seven B model"),
    ],
    "mathematics": [
        ("x^2 + 3x - 5", "x squared plus three x minus five"),
        ("3 * -2", "three times minus two"),
        ("x/y", "x over y"),
        ("6.02e23", "six point zero two times ten to the power of twenty-three"),
        ("4.5 × 10^8 km", "four point five times ten to the power of eight kilometers"),
        ("+/- 5", "plus or minus five"),
        ("2π", "two pi"),
        ("5 * 3", "five times three"),
        ("5 - 3 = 2", "five minus three equals two"),
        ("5 + 3", "five plus three"),
        ("6 × 7 = 42", "six times seven equals forty-two"),
        ("x^2", "x squared"),
        ("x² + y²", "x squared plus y squared"),
        ("10⁻³", "ten to the power of minus three"),
        ("√9", "square root of nine"),
        ("3 ≤ 4", "three less than or equal to four"),
        ("±5", "plus or minus five"),
        ("π ≈ 3.14", "pi approximately three point one four"),
        ("α and β", "alpha and beta"),
        ("∞", "infinity"),
        ("CO2", "C O two"),
        ("H₂O", "H two O"),
        ("Na+", f"N {A} plus"),
    ],
    "code": [
        ("items[0] is", "items (zero) is"),
        ("Ctrl+C", "control C"),
        ("src/main", "src slash main"),
        ("It is a 404.", "It is a four oh four."),
        ("grades K-12", "grades K to twelve"),
        ("order #A-1234", f"order number {A} one two three four"),
        ("Room 204B", "Room two oh four B"),
        ("401(k)", "four oh one K"),
        ("HTTP 404", "HTTP four oh four"),
        ("GPT-3.5", "G P T three point five"),
        ("3D-printed", "three D-printed"),
        ("version 2.0", "version two point zero"),
        ("Version 3.11.4.", "Version three point eleven point four."),
        ("v3.11.4", "version three point eleven point four"),
        ("Python 3.12", "Python three point twelve"),
        ("192.168.1.1", "one nine two dot one six eight dot one dot one"),
        ("A4 paper", f"{A} four paper"),
        ("B2B", "B two B"),
        ("MP3", "M P three"),
        ("COVID-19", "COVID nineteen"),
        ("F-16", "F sixteen"),
        ("X-ray", "X-ray"),
        ("QR4X7", "Q R four X seven"),
        ("UTF-8", "U T F eight"),
        ("#FF5733", "hash F F five seven three three"),
        ("snake_case", "snake case"),
        ("camelCase", "camel case"),
        ("user.name", "user dot name"),
        ("foo()", "foo"),
        ("--verbose", "dash dash verbose"),
        ("/etc/hosts", "slash etc slash hosts"),
        ("main.py", "main dot py"),
        ("C++ and C#", "C plus plus and C sharp"),
        (".NET", "dot net"),
        ("#include", "hash include"),
        ("@decorator", "at decorator"),
        ("#OpenAI", "hashtag Open AI"),
        ("a != b", f"{A} not equal to b"),
        ("a == b && c", f"{A} equals b and c"),
        ("x += 1", "x plus equals one"),
        ("x -> y", "x arrow y"),
        ("example.org", "example dot org"),
        ("example\u00a0dot\u00a0org", "example dot org"),
        ("jane.doe@example.com.", "jane dot doe at example dot com."),
        ("www.", "W W W dot"),
        ("zip 90210", "zip nine zero two one zero"),
        ("Room 305", "Room three oh five"),
        ("flight 1549", "flight fifteen forty-nine"),
        ("order #4521", "order number four five two one"),
        ("We're #1", "We're number one"),
    ],
    "roman": [
        ("a Type I error", "a Type one error"),
        ("Elizabeth I was", "Elizabeth the first was"),
        ("the year MMXXIV", "the year twenty twenty-four"),
        ("Pope Leo XIV", "Pope Leo the fourteenth"),
        ("the IV drip", "the IV drip"),
        ("King Charles III", "King Charles the third"),
        ("Louis XIV was king.", "Louis the fourteenth was king."),
        ("Elizabeth II's reign", "Elizabeth the second's reign"),
        ("Chapter IV", "Chapter four"),
        ("World War II.", "World War Two."),
        ("Part I", "Part one"),
        ("Super Bowl LVIII", "Super Bowl fifty-eight"),
        ("the XXI century", "the twenty-first century"),
        ("Book Club", "Book Club"),
        ("James Cameron", "James Cameron"),
        ("Malcolm X", "Malcolm X"),
        ("vitamin C", "vitamin C"),
        ("in C major", "in C major"),
        ("so I went", "so I went"),
        ("MIX it", "MIX it"),
        ("the part I like", "the part I like"),
    ],
    "capitals": [
        ("THE US ARMY", "the US ARMY"),
        ("Plan A works.", f"Plan {A} works."),
        ("THIS IS A TEST", "this is A TEST"),
        ("Denver, CO 80202", "Denver, Colorado eight zero two zero two"),
        ("NaCl", f"N {A} C L"),
        ("READ IT.", "READ it."),
        ("TELL US MORE.", "TELL us MORE."),
        ("the IT department", "the IT department"),
        ("in the US", "in the US"),
        ("Pan Am flew", "Pan am flew"),
        ("Am I late?", "Am I late?"),
        ("the FBI", "the FBI"),
        ("IBM's APIs", "IBM's APIs"),
        ("a YAML file", "a yammel file"),
        ("AT&T", f"{A} T and T"),
        ("R&D", "R and D"),
    ],
    "abbreviation": [
        ("123 N Main St.", "one hundred twenty-three North Main Street."),
        ("on 5th Ave and", "on fifth Avenue and"),
        ("W. 4th St.", "West fourth Street."),
        ("est. 2 hrs", "estimated two hours"),
        ("the no. of items", "the number of items"),
        ("At 4 p.m. EST", "At four P.M EST"),
        ("the U.S. Army", "the U.S Army"),
        ("an A+", f"an {A} plus"),
        ("U.S.-based", "U.S-based"),
        ("a.k.a. Bob", "A.K.A Bob"),
        ("Dr. Smith", "Doctor Smith"),
        ("Mr. Smith", "Mister Smith"),
        ("Prof. Lee", "Professor Lee"),
        ("St. Paul", "Saint Paul"),
        ("on Elm St. near", "on Elm Street near"),
        ("No. 7", "Number seven"),
        ("No. I won't.", "No. I won't."),
        ("vol. 3", "volume three"),
        ("p. 12", "page twelve"),
        ("pp. 5–10", "pages five to ten"),
        ("fig. 2", "figure two"),
        ("approx. 5", "approximately five"),
        ("e.g. this", "for example this"),
        ("i.e. that", "that is that"),
        ("apples, etc.", "apples, et cetera."),
        ("us vs. them", "us versus them"),
        ("Apple Inc. is", "Apple Incorporated is"),
        ("King Jr. was", "King Junior was"),
        ("5th Ave.", "fifth Avenue."),
        ("Mt. Everest", "Mount Everest"),
        ("her Ph.D.", "her P H D."),
        ("est. 1990", "established nineteen ninety"),
    ],
    "sign": [
        ("rock & roll", "rock and roll"),
        ("§ 5", "section five"),
        ("© 2024", "copyright twenty twenty-four"),
        ("3 → 4", "three to four"),
        ("~5", "about five"),
        ("I don´t", "I don't"),
        ("I don`t", "I don't"),
        ("Ｆｕｌｌｗｉｄｔｈ", "Fullwidth"),
        ("𝐛𝐨𝐥𝐝", "bold"),
        ("a|b", "a b"),
        ("“hi”", "“hi”"),
    ],
}  # fmt: skip
POSITIONS = ("{}", "So {} then", "Well, {}, yes", "Is that {}?", "(really {})")
ALPHABET = "0123456789 .,:;/-–$€£%°'\"()[]#@&+=<>*_|~^xXkKaAmMIVbBºª½²₂٣३①５é我\n\u00a0"


@pytest.fixture(scope="module")
def reader() -> EnglishReader:
    return EnglishReader()


def phonemes(reader: EnglishReader, text: str) -> str:
    return " | ".join(sentence.symbols for sentence in reader.read(text))


def said(text: str, before: str = "", language: str = "en") -> str:
    return read_out(text, language, before).text


@pytest.mark.parametrize(
    ("text", "reading"), [case for cases in READINGS.values() for case in cases], ids=lambda value: value[:30]
)
def test_a_text_is_read_as_its_reading(reader: EnglishReader, text: str, reading: str) -> None:
    assert phonemes(reader, said(text)) == phonemes(reader, reading)


@pytest.mark.parametrize("kind", READINGS)
def test_a_token_is_read_alike_wherever_it_stands(reader: EnglishReader, kind: str) -> None:
    for text, reading in READINGS[kind]:
        if (
            text.endswith((".", "!", "?", ","))
            or kind in ("capitals", "roman")
            or text.startswith(("I ", "He ", "It ", "So "))
        ):
            continue
        for position in POSITIONS:
            written, right = position.format(text), position.format(reading)
            assert phonemes(reader, said(written)) == phonemes(reader, right), written


@pytest.mark.parametrize(
    ("before", "text", "reading"),
    [
        ("Louis", "XIV was king.", "the fourteenth was king."),
        ("This is version", "2.0 now", "two point zero now"),
        ("Please call", "999", "nine nine nine"),
        ("Go to Room", "0305", "zero three zero five"),
        ("We use Python", "3.12", "three point twelve"),
        ("in", "1905", "nineteen oh five"),
        ("On Nov.", "21 we leave", "twenty-first we leave"),
        ("Wait 30", "sec. and go", "seconds and go"),
        ("Mobile 07700", "900123", "nine zero zero one two three"),
        ("Call +1 (212)", "555-0187", "five five five, zero one eight seven"),
    ],
)
def test_what_was_said_before_decides_the_first_token(before: str, text: str, reading: str) -> None:
    assert said(text, before) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("105", "one hundred and five"),
        ("1,005", "one thousand and five"),
        ("3/4/2024", "the third of April, twenty twenty-four"),
        ("50p", "fifty pence"),
    ],
)
def test_british_readings(text: str, reading: str) -> None:
    assert said(text, language="en-GB") == reading


@pytest.mark.parametrize(
    ("text", "interpret_as", "detail", "reading"),
    [
        ("1,234", "cardinal", "", "one thousand two hundred thirty-four"),
        ("-12.5", "number", "", "minus twelve point five"),
        ("XIV", "cardinal", "", "fourteen"),
        ("21", "ordinal", "", "twenty-first"),
        ("XIV", "ordinal", "", "fourteenth"),
        ("2024", "digits", "", "two zero two four"),
        ("AB1", "characters", "", f"{A} B one"),
        ("a-1", "spell-out", "", f"{A} dash one"),
        ("3/4/2024", "date", "mdy", "March fourth, twenty twenty-four"),
        ("3/4/2024", "date", "dmy", "April third, twenty twenty-four"),
        ("20240304", "date", "ymd", "March fourth, twenty twenty-four"),
        ("3-2024", "date", "my", "March twenty twenty-four"),
        ("12/25", "date", "md", "December twenty-fifth"),
        ("25/12", "date", "dm", "December twenty-fifth"),
        ("2024", "date", "y", "twenty twenty-four"),
        ("3", "date", "m", "March"),
        ("4", "date", "d", "fourth"),
        ("7:05am", "time", "hms12", "seven oh five A.M"),
        ("14:30", "time", "hms24", "fourteen thirty"),
        ("14:30", "time", "hms12", "two thirty"),
        ("4155550132", "telephone", "", "four one five, five five five, zero one three two"),
        ("$20.50", "currency", "", "twenty dollars and fifty cents"),
        ("20.50", "currency", "USD", "twenty US dollars and fifty cents"),
        ("5km", "unit", "", "five kilometers"),
        ("3/4", "fraction", "", "three quarters"),
        ("1 1/2", "fraction", "", "one and a half"),
        ("12 Elm St.", "address", "", "twelve Elm Street."),
        ("damn", "expletive", "", "bleep"),
    ],
)
def test_say_as(text: str, interpret_as: str, detail: str, reading: str) -> None:
    assert EnglishNormaliser().say_as(text, interpret_as, detail) == reading


@pytest.mark.parametrize(
    ("text", "interpret_as"), [("x", "mood"), ("", "cardinal"), ("abc", "cardinal"), ("99/99", "date")]
)
def test_say_as_says_none_where_it_says_nothing(text: str, interpret_as: str) -> None:
    assert EnglishNormaliser().say_as(text, interpret_as, "") is None


def test_a_pronunciation_in_the_text_is_left_alone() -> None:
    assert said("[Nguyen2](/wɪn/) has 2") == "[Nguyen2](/wɪn/) has two"


# -- any text --------------------------------------------------------------------------------------------------------


def assert_sound(text: str) -> None:
    for british in (False, True):
        rewrites = EnglishNormaliser(british).rewrites(text, "")
        at = 0
        for rewrite in rewrites:
            assert at <= rewrite.start < rewrite.end <= len(text)
            at = rewrite.end
    read = said(text)
    left = [char for char in re.sub(r"\[[^\]]*\]\(/[^)]*/\)", "", read) if char.isdigit()]
    assert not left, (text, read)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(alphabet=ALPHABET, max_size=40), st.text(max_size=40)))
def test_any_text_is_read_without_a_digit_left(text: str) -> None:
    assert_sound(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([text for cases in READINGS.values() for text, _ in cases]), max_size=4),
    st.sampled_from(["", " ", "-", "/", "."]),
)
def test_tokens_in_a_row_are_read_without_a_digit_left(tokens: list[str], joint: str) -> None:
    assert_sound(joint.join(tokens))


KINDS = [
    "cardinal",
    "ordinal",
    "digits",
    "characters",
    "date",
    "time",
    "telephone",
    "currency",
    "unit",
    "fraction",
    "address",
]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30), st.sampled_from(KINDS), st.sampled_from(["", "mdy", "y", "hms12", "USD"]))
def test_say_as_never_fails(text: str, interpret_as: str, detail: str) -> None:
    EnglishNormaliser().say_as(text, interpret_as, detail)


UNITS = (
    "1", "1 ", "1.", "1,", "1-", "1/", "1:", "a", "A.", "I ", "$1", "-", "_", "a_", "#1", "a@", "*", "~", "^", "(",
    "[a](",
    "/a", "'", "1'", "½", "x²", "°", "+1 ", "a1", "Nov. ", "www.a", "a.b", "a.", "&", "1 000 ", "1,000", "(1)",
    "5 - ", "\n",
    "٣", "10:10", "5% -", "aB", "III ", "1990s ", "0x", "a'", "v1.", "A&", "[", "http://", "St. ", "1920x", "C+",
)  # fmt: skip


def lines_of_reading(text: str) -> int:
    """How many lines of the package run to read `text`."""
    folder = english.__file__.rpartition("/")[0]
    count = 0

    def line(frame, event, arg):
        nonlocal count
        count += 1
        return line

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: line if frame.f_code.co_filename.startswith(folder) else None)
    try:
        EnglishNormaliser().rewrites(text, "")
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", UNITS)
def test_reading_takes_work_in_proportion_to_the_text(unit: str) -> None:
    works = [lines_of_reading((unit * chars)[:chars]) for chars in (400, 800, 1600)]
    assert all(after <= 2.3 * before + 200 for before, after in pairwise(works)), works

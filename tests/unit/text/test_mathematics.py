"""How formulas are read, and which text is one."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.text.formulas import PIECE_SIGNS_MAX, formula_at, piece_end
from voxwire_server.text.intake import TextIntake, Urgency
from voxwire_server.text.mathematics import spoken, spoken_parts, symbols

READ = [
    # fractions and roots
    (r"\frac{1}{2}", "one half"),
    (r"\frac12", "one half"),
    (r"\frac{3}{4}", "three quarters"),
    (r"1/3", "one third"),
    (r"\frac{22}{7}", "22 over 7"),
    (r"\frac{a}{b}", "a over b"),
    (r"\frac{a+b}{c}", "the fraction a plus b over c"),
    (r"\frac{dy}{dx}", "d y by d x"),
    (r"\frac{\partial f}{\partial x}", "partial f by partial x"),
    (r"\sqrt{x}", "the square root of x"),
    (r"\sqrt[3]{8}", "the cube root of 8"),
    (r"\sqrt[n]{x}", "the nth root of x"),
    # powers and indices
    (r"x^2", "x squared"),
    (r"x^3", "x cubed"),
    (r"x^{n+1}", "x to the power of n plus 1"),
    (r"10^{-3}", "10 to the power of minus 3"),
    (r"x_i^2", "x sub i squared"),
    (r"a_{n+1}", "a sub n plus 1"),
    (r"A^T", "A transpose"),
    (r"f'(x)", "f prime of x"),
    (r"90^\circ", "90 degrees"),
    (r"(a+b)^2", "a plus b, all squared"),
    # sums, integrals, limits
    (r"\sum_{i=1}^{n} x_i", "the sum from i equals 1 to n of x sub i"),
    (r"\int_0^1 x^2\,dx", "the integral from 0 to 1 of x squared d x"),
    (r"\lim_{x \to 0} f(x)", "the limit as x approaches 0 of f of x"),
    (r"\max_{x} f(x)", "the maximum over x of f of x"),
    # relations, sets, arrows
    (r"a \le b", "a is less than or equal to b"),
    (r"a \neq b", "a is not equal to b"),
    (r"\alpha + \beta \geq \gamma", "alpha plus beta is greater than or equal to gamma"),
    (r"x \in \mathbb{R}", "x in the real numbers"),
    (r"\{x \mid x>0\}", "the set of x such that x is greater than 0"),
    (r"A \cup B \subset C", "A union B is a subset of C"),
    (r"x \Rightarrow y", "x implies y"),
    (r"f: A \to B", "f: A to B"),
    # functions
    (r"f(x) = 2x + 1", "f of x equals 2 x plus 1"),
    (r"\sin^2\theta", "sine squared of theta"),
    (r"\log_2 8", "log base 2 of 8"),
    (r"O(n \log n)", "O of n log n"),
    (r"\mathrm{softmax}(x)", "softmax of x"),
    (r"P(A|B)", "P of A given B"),
    (r"n!", "n factorial"),
    (r"\binom{n}{k}", "n choose k"),
    (r"|x|", "the absolute value of x"),
    (r"\left|x\right|", "the absolute value of x"),
    (r"\|v\|", "the norm of v"),
    (r"[0,1]", "the interval from 0 to 1"),
    (r"2(x+1)", "2 times x plus 1"),
    # blocks
    (r"\begin{pmatrix}a & b\\c & d\end{pmatrix}", "a two by two matrix: a, b; c, d"),
    (r"\begin{cases} x & x>0\\ 0 & \text{otherwise}\end{cases}", "x, if x is greater than 0; 0, otherwise"),
    (r"\begin{aligned} a &= b \\ c &= d\end{aligned}", "a equals b, c equals d"),
    (r"\text{if } x>0", "if x is greater than 0"),
    (r"speed = distance", "speed equals distance"),
    (r"e^{i\pi}+1=0", "e to the power of i pi plus 1 equals 0"),
    (
        r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}",
        "x equals the fraction minus b plus or minus the square root of b squared minus 4 a c over 2 a",
    ),
    # broken
    (r"\frac", ""),
    (r"x^", "x"),
    (r"{", ""),
    (r"}a", "a"),
]

FORMULAS = ["$x^2$", "$x$", "$5 + 3$", "$1, 2, 3$", "$(a,b)$", r"$f(x) = \text{if so}$", "$$x$$", r"\(x\)",
            r"\[1 + x\]", r"\begin{align} a &= b \end{align}", r"\frac{a + b}{c}", r"\sum_{i=1}^{n} x_i"]  # fmt: skip
TEXTS = ["$5 and $10", "$5.", "$20/month for $5", "$AAPL for $5", "$1M-$2M", "$ x$", "$x $", "$", "$$ and $$",
         r"\(see note\)", r"\[not math\]", r"\new", "\\", r"\n", "$a and b$", "$5-$10", "$x\n$"]  # fmt: skip
LATEX = st.lists(
    st.sampled_from([*r"ab12{}[]()^_&|!'+-=<>., ", "\\\\", *(rf"\{name} " for name in (
        "frac", "sqrt", "sum", "left", "right", "begin{cases}", "end{cases}", "text{a b}", "alpha", "le", "mathbb{R}",
        "vec", "|", "{", "}", "lim", "sin", "begin{matrix}", "end{matrix}", "operatorname{f}", "quad", "binom", "not",
    ))]), max_size=60,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(("latex", "expected"), READ)
def test_a_formula_is_read(latex: str, expected: str) -> None:
    assert spoken(latex) == expected


@settings(max_examples=300, deadline=None)
@given(LATEX)
def test_whatever_stands_in_a_formula_it_is_read_in_order(latex: str) -> None:
    parts = spoken_parts(latex)
    places = [place for _, place in parts]
    assert all(before <= after for before, after in pairwise(places))
    assert all(0 <= place < len(latex) for place in places)
    assert "\\" not in spoken(latex)
    assert all(place < len(latex) for _, place in symbols(latex))


@settings(max_examples=100, deadline=None)
@given(LATEX)
def test_the_pieces_of_a_long_formula_are_all_of_it(latex: str) -> None:
    text, at = latex * 8, 0
    while at < len(text):
        end, signs = piece_end(text, at, len(text))
        assert at < end
        assert signs <= PIECE_SIGNS_MAX
        at = end


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_ends_where_its_delimiter_is(text: str) -> None:
    found = formula_at(text + " so", 0, " ", 2048, final=True)
    assert found
    assert found.end == len(text)


@pytest.mark.parametrize("text", TEXTS)
def test_money_paths_and_prose_are_no_formulas(text: str) -> None:
    assert formula_at(text, 0, " ", 2048, final=True) is False


def test_what_may_be_a_formula_waits_and_money_does_not() -> None:
    assert formula_at("$5 a", 0, " ", 2048, final=False) is False
    assert formula_at("$x + y", 0, " ", 2048, final=False) is None
    assert formula_at("\\[x" + " " * 1000, 0, " ", 2048, final=False) is False


def said(text: str, language: str = "en") -> list:
    intake = TextIntake(language)
    intake.feed(text)
    intake.flush()
    clauses = []
    while clause := intake.take(Urgency.RELAXED):
        clauses.append(clause)
    return clauses


def test_other_languages_get_signs() -> None:
    assert [each.text for each in said(r"Es gilt $\alpha \le \frac{1}{2}$ und $x^2$.", "de")] == [
        "Es gilt α ≤ 1/2 und x²."
    ]


def test_a_short_formula_is_not_cut_and_has_the_origins_of_its_signs() -> None:
    text = "So we have got here that $x \\le y$ holds."
    (clause,) = said(text)
    at = clause.text.index("is less")
    assert text[clause.origins[at] :].startswith("\\le")
    assert text[clause.origins[clause.text.index("holds")] :].startswith("holds")


def test_a_long_formula_is_cut_between_its_signs() -> None:
    clauses = said("$$" + " + ".join(f"x_{{{i}}}^2" for i in range(60)) + "$$")
    assert len(clauses) > 4
    assert " ".join(each.text for each in clauses) == " plus ".join(f"x sub {i} squared" for i in range(60))

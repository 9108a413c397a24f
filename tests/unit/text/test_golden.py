"""What language models write, and the clauses it becomes; each also fed one character at a time."""

import pytest

from voxwire_server.text.intake import ClauseText, TextIntake, Urgency

GOLDEN = [
    ("Sure! I can help you. What time?", ["Sure!", "I can help you. What time?"]),
    (
        "I can help you book a table for two tonight at seven thirty.",
        ["I can help you book a table for two tonight at seven thirty."],
    ),
    ("Well, of course, I can do that for you.", ["Well, of course,", "I can do that for you."]),
    # numbers, times, abbreviations
    ("Pi is 3.14159, or so. It costs $1,000.50 now.", ["Pi is 3.14159,", "or so. It costs $1,000.50 now."]),
    (
        "The meeting is at 7:30 a.m. on Jan. 5, 2025. Bring $5 million.",
        ["The meeting is at 7:30 a.m. on Jan. 5, 2025.", "Bring $5 million."],
    ),
    ("Dr. Smith lives in the U.S. He is old.", ["Dr. Smith lives in the U.S.", "He is old."]),
    ("The U.S. Army e.g. is big. Mr. J. R. Tolkien wrote.", ["The U.S. Army e.g. is big.", "Mr. J. R. Tolkien wrote."]),
    ("See Fig. 4 or no. 5 on approx. 3 pages. Yes.", ["See Fig. 4 or no. 5 on approx. 3 pages.", "Yes."]),
    ("He left at 5 p.m. Then he slept.", ["He left at 5 p.m.", "Then he slept."]),
    ("She scored 3. Then she left.", ["She scored 3.", "Then she left."]),
    ("v1.2.3 is out. node.js rocks.", ["v1.2.3 is out.", "node.js rocks."]),
    # quotes, brackets, dots, dashes
    ('He said, "I am done." "Okay," she said.', ['He said, "I am done."', '"Okay," she said.']),
    ('"Really?" she asked. (It was late.) Then.', ['"Really?" she asked.', "(It was late.) Then."]),
    ("Wait... what? Hmm… Okay.", ["Wait... what?", "Hmm… Okay."]),
    ("yeah. i can do that now. what time?", ["yeah. i can do that now.", "what time?"]),
    ("Yes—really. No - never.", ["Yes—really.", "No - never."]),
    # Markdown
    ("# Title\n\nBody *text* here.", ["Title.", "Body text here."]),
    ("Title\n=====\n\nSub\n---\nBody", ["Title.", "Sub. Body"]),
    ("Take these:\n\n- **First** one\n- *Second* one\n", ["Take these:", "First one. Second one"]),
    ("1. Preheat the oven.\n2. Mix:\n   - flour\n   - salt\n", ["1. Preheat the oven.", "2. Mix: flour. salt"]),
    ("- [ ] buy milk\n- [x] call Bob\n", ["buy milk.", "call Bob"]),
    ("> quoted text\n> more\n\nplain", ["quoted text.", "more. plain"]),
    ("Run `pip install x.y` or ``a ` b`` now.", ["Run pip install x.y or a ` b now."]),
    ("Look:\n\n```python\nprint('a. b')\n```\n\nThat is it.", ["Look:", "That is it."]),
    ("| Name | Age |\n|------|-----|\n| Bob | 3 |\n", ["Name, Age.", "Bob, 3."]),
    ("Above.\n\n---\n\nBelow.\n\n***\n", ["Above.", "Below."]),
    ("a * b, 2*3, 2**8, a_b, __init__, **bold**, ~~no~~, ~5", ["a * b, 2*3, 2**8,", "a_b, __init__, bold, no, ~5"]),
    ("I use C# and C++, #1 fan, @bob, I <3 you", ["I use C# and C++,", "#1 fan, @bob, I <3 you"]),
    ("\\*not bold\\* and \\(x^2\\) too", ["*not bold* and x squared too"]),
    ("Roses are red\nViolets are blue\nand wrapped", ["Roses are red", "Violets are blue and wrapped"]),
    # links and addresses
    ("See [the docs](https://a.b/c?d=e) now.", ["See the docs now."]),
    ("![a cat](cat.png) and [ref][1] and [no link]", ["a cat and ref and [no link]"]),
    ("The sky is blue.[1][2] Yes [^3].", ["The sky is blue.", "Yes."]),
    ("[Kokoro](/kˈOkəɹO/) is [New York](/nu jɔːk/).", ["[Kokoro](/kˈOkəɹO/) is [New York](/nu jɔːk/)."]),
    ("Go to https://www.Example.com/a/b?c=d#e. Ok?", ["Go to Example dot com.", "Ok?"]),
    ("Go to example.com, or www.x.org.", ["Go to example dot com,", "or x dot org."]),
    ("Mail ann.b@x.co.uk! Or <bob@y.com>.", ["Mail ann dot b at x dot co dot uk!", "Or bob at y dot com."]),
    ("Try http://localhost:8000/x and <https://a.org/b>", ["Try localhost and a dot org"]),
    # HTML
    ("<b>Bold</b> &amp; R&D &lt;3 &nope;x", ["Bold & R&D <3 &nope;x"]),
    ('One<br>Two <a href="x y">three</a><!-- no --> 1 < 2', ["One, Two three 1 < 2"]),
    ("if a<b and c>d <think>hm</think> <|end|>ok", ["if a<b and c>d ok"]),
    # emoji and what cannot be seen
    ("Great news 🎉! I ❤️ it 👨‍👩‍👧 :) 1️⃣ ok", ["Great news!", "I it 1 ok"]),
    ("zero\u200bwidth so\u00adft \x00nul \ufeffbom", ["zerowidth soft nul bom"]),
    # scripts without spaces, and others
    ("我喜欢苹果。你呢？好的！", ["我喜欢苹果。", "你呢？好的！"]),
    (
        "今天天气很好，我们一起出去玩，好不好？见https://a.com/x。",
        ["今天天气很好，我们一起出去玩，", "好不好？见a dot com。"],
    ),
    ("「本当？」と聞いた。はい。", ["「本当？」", "と聞いた。はい。"]),
    ("混合 text with 中文，and English.", ["混合 text with 中文，", "and English."]),
    ("مرحبا بالعالم. كيف حالك؟ بخير.", ["مرحبا بالعالم.", "كيف حالك؟ بخير."]),
    # what is not meant to be heard
    ("<think>Let me see. 2+2</think>\n\nThe answer is 4.", ["The answer is 4."]),
    ("Hi there <think>hm. Well.", ["Hi there"]),
    ("a stray</think> tag is here.", ["a stray tag is here."]),
    ("[THINK]no[/THINK]Yes. ◁think▷no◁/think▷No.", ["Yes.", "No."]),
    ('<tool_call>{"a": 1}</tool_call>\n# Title\nBody.', ["Title.", "Body."]),
    ("Hello<think>x</think>there, <THINKING a='b'>x</thinking>you.", ["Hello there,", "you."]),
    ("Code `<think>` stays, and [brackets] do.", ["Code <think> stays,", "and [brackets] do."]),
    # mathematics and money
    ("The area is $x^2$, so $$E = mc^2$$ holds.", ["The area is x squared,", "so E equals m c squared holds."]),
    ("It costs $5 and $10 today, or $20/month.", ["It costs $5 and $10 today,", "or $20/month."]),
    ("Is $x$ > 3? Price: $3.50, then $4.", ["Is x > 3?", "Price: $3.50, then $4."]),
    ("The $n$th of $1/n$ and $2 + 2 = 4$.", ["The nth of 1 over n and 2 plus 2 equals 4."]),
    ("Buy $AAPL at $5, set $PATH and $HOME.", ["Buy $AAPL at $5,", "set $PATH and $HOME."]),
    ("\\[ \\frac{1}{2} \\] \\[not a link\\] here.", ["one half not a link here."]),
    ("Take \\frac{1}{2} of it, x \\le 5.", ["Take one half of it,", "x is less than or equal to 5."]),
    ("$$\n\\sum_{i=1}^{n} i\n$$\nDone.", ["the sum from i equals 1 to n of i, Done."]),
    ("\\begin{align} a &= b \\\\ c &= d \\end{align} ok.", ["a equals b, c equals d ok."]),
    ("C:\\Users\\pi and C:\\temp\\new stay.", ["C:\\Users\\pi and C:\\temp\\new stay."]),
    ("This $$ never ends.", ["This $$ never ends."]),
    # tables and lists
    ("Name | Age\n--- | ---\nBob | 3\nAnn | 4\n\nAfter a | b.", ["Name, Age.", "Bob, 3. Ann, 4. After a | b."]),
    ("a | b is prose.\nNext line.", ["a | b is prose.", "Next line."]),
    ("a) One\nb) Two\n", ["a) One.", "b) Two"]),
    ("(i) One\n(ii) Two\n", ["(i) One.", "(ii) Two"]),
    ("• One\n• Two", ["One.", "Two"]),
    ("<ul><li>One</li><li>Two</li></ul>", ["One.", "Two."]),
    ("<p>One thing</p><p>Two things</p>", ["One thing.", "Two things."]),
    ("Hello you.\n\nOne<br>Two<br/>three", ["Hello you.", "One, Two, three"]),
    # lines
    (
        "Here it is.\nRoses are red\nViolets are blue\nSugar is sweet",
        ["Here it is.", "Roses are red, Violets are blue, Sugar is sweet"],
    ),
    ("Go there:\n12 Main St\nSpringfield\n12345", ["Go there: 12 Main St", "Springfield, 12345"]),
    # code
    (
        "Use snake_case, camelCase, user.name, a != b, x -> y, foo(), a*b, __init__ and 2 * 3.",
        ["Use snake_case,", "camelCase, user.name, a != b, x -> y, foo(), a*b, __init__ and 2 * 3."],
    ),
    ("Call `__init__(self)` or `a*b*c`.", ["Call __init__(self) or a*b*c."]),
    # emoji between words
    ("Milk🥛eggs, done✅Next", ["Milk eggs,", "done Next"]),
    ("1️⃣2️⃣ go 🇩🇪Germany 👨‍👩‍👧family", ["1 2 go Germany family"]),
    ("我🥛你", ["我你"]),
    # domains
    ("Visit example.org or bbc.co.uk now.", ["Visit example dot org or bbc dot co dot uk now."]),
    ("www. alone, Node.js, e.g. at 3 p.m. for 3.14", ["www. alone,", "Node.js, e.g. at 3 p.m. for 3.14"]),
    ("It is the end.Next sentence. And file.txt too.", ["It is the end.Next sentence.", "And file.txt too."]),
    # nothing to say
    ("", [""]),
    (" \n\n ", [""]),
    ("😀 *** ---", [""]),
    ("```\nonly code\n```", [""]),
]


def all_clauses(pieces: list[str]) -> list[ClauseText]:
    intake = TextIntake()
    clauses = []
    for piece in pieces:
        intake.feed(piece)
        while clause := intake.take(Urgency.RELAXED):
            clauses.append(clause)
    intake.flush()
    while clause := intake.take(Urgency.RELAXED):
        clauses.append(clause)
    return clauses


@pytest.mark.parametrize(("text", "expected"), GOLDEN)
def test_what_models_write_becomes_clauses_that_can_be_spoken(text: str, expected: list[str]) -> None:
    whole = all_clauses([text])
    assert [clause.text for clause in whole] == expected
    assert all_clauses(list(text)) == whole

"""When clauses come out, and what is held back."""

import pytest

from voxwire_server.text.intake import Allowance, Boundary, ClauseLimits, TextIntake, Urgency
from voxwire_server.text.markup import Markup

SENTENCE = "This sentence has about forty characters. "


def fed(*pieces: str) -> TextIntake:
    intake = TextIntake()
    for piece in pieces:
        intake.feed(piece)
    return intake


def text_of(intake: TextIntake, urgency: Urgency = Urgency.RELAXED) -> str | None:
    clause = intake.take(urgency)
    return clause.text if clause else None


def test_the_first_sentence_comes_as_soon_as_the_next_one_begins() -> None:
    intake = fed("Hello there.")
    assert text_of(intake) is None
    intake.feed(" Ho")
    assert text_of(intake) == "Hello there."


def test_a_long_enough_phrase_starts_speech() -> None:
    intake = fed("No, but of course, we")
    assert text_of(intake) == "No, but of course,"


def test_the_first_clause_is_cut_at_a_word_when_no_mark_comes() -> None:
    intake = fed("word " * 30)
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert clause.boundary is Boundary.WORD
    assert len(clause.text) <= ClauseLimits().first_chars_max


def test_later_clauses_grow_with_what_was_said() -> None:
    intake = fed(SENTENCE * 40)
    intake.flush()
    lengths = []
    while clause := intake.take(Urgency.RELAXED):
        lengths.append(len(clause.text))
    assert lengths[0] < 45
    assert lengths[1] <= ClauseLimits().clause_chars_min
    assert max(lengths) <= ClauseLimits().clause_chars_max
    assert lengths[4] > 2 * lengths[1]


def test_each_utterance_starts_short_again() -> None:
    intake = fed(SENTENCE * 8)
    intake.flush()
    intake.feed(SENTENCE * 2)
    intake.flush()
    clauses = []
    while clause := intake.take(Urgency.RELAXED):
        clauses.append(clause)
    ends = [i for i, clause in enumerate(clauses) if clause.ends_utterance]
    assert len(ends) == 2
    assert clauses[ends[0] + 1].text == SENTENCE.strip()


@pytest.mark.parametrize(
    "tail", ["3.", "Dr.", "exam", "$1,", "7:", "https://exa", "**bo", "[link te", "<a href=", "e.g.", "我", "`x", "&am"]
)
@pytest.mark.parametrize("urgency", Urgency)
def test_what_may_still_change_is_held_back(tail: str, urgency: Urgency) -> None:
    intake = fed("Here you are. ", tail)
    assert text_of(intake, urgency) in ("Here you are.", None)
    assert text_of(intake, urgency) is None


@pytest.mark.parametrize("urgency", [Urgency.RELAXED, Urgency.SOON])
def test_words_without_a_mark_are_not_taken_below_dry(urgency: Urgency) -> None:
    assert text_of(fed("one two three "), urgency) is None


def test_soon_takes_a_sentence_whose_follower_is_not_there() -> None:
    intake = fed("Let me look that up. ")
    assert text_of(intake) is None
    assert text_of(intake, Urgency.SOON) == "Let me look that up."


def test_soon_takes_a_phrase_in_a_later_clause() -> None:
    intake = fed("Hello there. Now let me see, if this ")
    assert text_of(intake) == "Hello there."
    assert text_of(intake) is None
    assert text_of(intake, Urgency.SOON) == "Now let me see,"


def test_soon_takes_a_line() -> None:
    assert text_of(fed("A list of things\n"), Urgency.SOON) == "A list of things"


def test_dry_takes_words_but_not_one_alone() -> None:
    assert text_of(fed("Thinking "), Urgency.DRY) is None
    assert text_of(fed("I am thinking abo"), Urgency.DRY) == "I am thinking"


def test_dry_does_not_end_on_a_word_like_the_or_of() -> None:
    assert text_of(fed("I went to see the old house of the "), Urgency.DRY) == "I went to see the old house"


def test_dry_does_not_separate_titles_from_names_and_numbers_from_units() -> None:
    assert text_of(fed("You owe me twelve or 5 "), Urgency.DRY) == "You owe me twelve"
    assert text_of(fed("Please ask Dr. "), Urgency.DRY) == "Please ask"


@pytest.mark.parametrize("text", ["Let me check that.", "Shall I?", 'He said "stop."', "好的，我看看。"])
def test_dry_says_the_end_of_a_sentence_that_nothing_follows(text: str) -> None:
    intake = fed(text)
    clauses = []
    while clause := intake.take(Urgency.DRY):
        clauses.append(clause.text)
    assert "".join(clauses) == text


def test_dry_holds_back_an_abbreviation_or_a_number() -> None:
    assert text_of(fed("I will ask Dr."), Urgency.DRY) == "I will ask"
    assert text_of(fed("It costs about 3."), Urgency.DRY) == "It costs"


@pytest.mark.parametrize(
    ("held", "rest", "said"),
    [
        ("It was on Nov. ", "21 that", ["It was on", "Nov. 21 that"]),
        ("Take bus No. ", "7 now", ["Take bus", "No. 7 now"]),
        ("They ask for $5 ", "bn now", ["They ask", "for $5 bn now"]),
        ("There are about 1 ", "000 000 of", ["There are", "about 1 000 000 of"]),
        ("He came in Jan ", "5 or so", ["He came in", "Jan 5 or so"]),
        ("Here it is the XXI ", "century", ["Here it is", "the XXI century"]),
        ("Tell me if a ", "!= b here", ["Tell me if", "a != b here"]),
        ("We went to St. ", "Louis then", ["We went to", "St. Louis then"]),
    ],
)
def test_words_are_held_back_while_what_follows_may_change_how_they_are_read(held, rest, said) -> None:
    intake = fed(held)
    assert text_of(intake, Urgency.DRY) == said[0]
    assert text_of(intake, Urgency.DRY) is None
    intake.feed(rest)
    intake.flush()
    assert text_of(intake) == said[1]


@pytest.mark.parametrize(
    ("token", "rest", "said"),
    [
        ("visit example.", "org today", "dot org today"),
        ("write to jane.", "doe@example.com", "dot doe at example dot com"),
        ("it is all for you.", " Bye now", "Bye now"),
        ("it is all for you.", "Bye now", "Bye now"),
        ("it is all for you.", "\nbye now", "bye now"),
    ],
)
def test_a_token_that_ends_in_a_full_stop_is_a_word_while_nothing_follows(token: str, rest: str, said: str) -> None:
    intake = fed(token)
    clause = intake.take(Urgency.DRY)
    assert clause is not None
    assert (clause.text, clause.boundary) == (token, Boundary.WORD)
    intake.feed(rest)
    intake.flush()
    assert text_of(intake) == said


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("We met on Nov. 21 or Dec. 5, I think. And", "We met on Nov. 21 or Dec. 5,"),
        ("The best was No. 7 of all. And", "The best was No. 7 of all."),
        ("No. I did not see it. And", "No."),
        ("We rest in Nov. The others do not. And", "We rest in Nov."),
        ("I think 5 - 3 = 2 is right. And", "I think 5 - 3 = 2 is right."),
    ],
)
def test_an_abbreviation_before_a_number_ends_no_sentence(text: str, first: str) -> None:
    assert text_of(fed(text)) == first


def test_a_pause_in_the_middle_neither_cuts_nor_loses_words() -> None:
    intake = fed("The answer to your question is for")
    said = [text_of(intake, Urgency.DRY)]
    assert text_of(intake, Urgency.DRY) is None
    intake.feed("ty-two, I think.")
    intake.flush()
    while (text := text_of(intake)) is not None:
        said.append(text)
    assert " ".join(filter(None, said)) == "The answer to your question is forty-two, I think."


def test_a_flush_is_always_answered() -> None:
    intake = fed()
    intake.flush()
    intake.flush()
    for _ in range(2):
        clause = intake.take(Urgency.RELAXED)
        assert clause is not None
        assert (clause.text, clause.chars, clause.ends_utterance) == ("", (0, 0), True)
    assert intake.take(Urgency.DRY) is None


def test_origins_point_into_the_original() -> None:
    intake = fed("**Hi** [the link](https://a.b/c) all. Done")
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert clause.text == "Hi the link all."
    original = intake.original(0, intake.chars)
    assert [original[origin] for origin in clause.origins] == list(clause.text)
    assert intake.original(*clause.chars) == "**Hi** [the link](https://a.b/c) all."


def test_a_clause_uses_up_the_markup_that_closes_it() -> None:
    intake = fed("See **https://example.com/some/path.** Then go")
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert clause.text == "See example dot com."
    assert intake.original(*clause.chars) == "See **https://example.com/some/path.**"


def test_code_blocks_are_skipped_with_one_warning() -> None:
    intake = fed("Look:\n```py\na = 1.\n\nb\n```\nThen ", "go.")
    intake.flush()
    while intake.take(Urgency.RELAXED):
        pass
    (warning,) = intake.drain_warnings()
    assert warning.code == "text_without_speech"
    assert intake.original(*warning.chars) == "```py\na = 1.\n\nb\n```"
    assert intake.drain_warnings() == []


def test_one_warning_for_all_emoji_of_an_utterance() -> None:
    intake = fed("Hi 😀 there 🎉🎉.")
    intake.flush()
    intake.take(Urgency.RELAXED)
    assert len(intake.drain_warnings()) == 1


def test_a_code_block_that_never_ends_ends_with_its_utterance() -> None:
    intake = fed("Look:\n```\ncode")
    intake.flush()
    intake.feed("Then this.")
    intake.flush()
    said = []
    while (text := text_of(intake)) is not None:
        said.append(text)
    assert said == ["Look:", "Then this."]


def test_skipped_text_is_not_held_in_memory() -> None:
    intake = fed("Look:\n```\n")
    for _ in range(1000):
        intake.feed("x = 1\n")
        intake.take(Urgency.RELAXED)
    assert intake.unspoken_chars < 100
    assert intake.pending_chars > 5000


def test_has_speakable_says_what_dry_would_give() -> None:
    for text in ("", " ", "Hel", "Hello ", "Hello my fri", "Hello.", "😀 ", "```\na b c\n"):
        intake = fed(text)
        expected = intake.has_speakable
        clause = intake.take(Urgency.DRY)
        assert expected == (clause is not None and bool(clause.text)), text


def test_retract_stops_at_what_was_taken() -> None:
    intake = fed("Hello there. How are you today, my friend")
    assert text_of(intake) == "Hello there."
    assert intake.retract(0) == 12
    assert intake.chars == 12
    intake.feed(" Goodbye then.")
    intake.flush()
    assert text_of(intake) == "Goodbye then."


def test_a_flush_outlives_the_text_before_it() -> None:
    intake = fed("Hello")
    intake.flush()
    assert intake.retract(0) == 0
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert (clause.text, clause.ends_utterance) == ("", True)


def test_an_endless_word_is_cut_at_the_limit() -> None:
    intake = fed("x" * 5000)
    intake.flush()
    lengths = []
    while clause := intake.take(Urgency.RELAXED):
        lengths.append(len(clause.text))
    assert sum(lengths) == 5000
    assert max(lengths) <= ClauseLimits().clause_chars_max


def test_languages_without_spaces_get_shorter_clauses() -> None:
    intake = TextIntake("zh-CN")
    intake.feed("今天天气很好我们一起出去玩吧" * 30)
    intake.flush()
    lengths = []
    while clause := intake.take(Urgency.RELAXED):
        lengths.append(len(clause.text))
    assert max(lengths) <= 80


def test_addresses_are_read_in_the_language() -> None:
    intake = TextIntake("de")
    intake.feed("Siehe https://beispiel.de/x bitte")
    intake.flush()
    assert text_of(intake) == "Siehe beispiel Punkt de bitte"


def test_unusual_spaces_do_not_break_the_segmenter() -> None:
    intake = fed("W p.m. 5\u00a0J. R.\u3000\u2028 U.S.\u00a0\u0130x 5. X")
    intake.flush()
    while intake.take(Urgency.RELAXED):
        pass
    assert intake.pending_chars == 0


@pytest.mark.parametrize(
    ("signs", "between"), [("." * 500, " "), (". " * 500, " "), ("-" * 500, ""), ("?!\n\n" * 99, " ")]
)
def test_only_the_beginning_of_a_long_run_of_punctuation_is_kept_and_no_words_are_joined(
    signs: str, between: str
) -> None:
    text = f"Hello there{signs}{between}good friend"
    clauses = []
    intake = fed(text)
    intake.flush()
    while clause := intake.take(Urgency.RELAXED):
        clauses.append(clause)
    said = " ".join(clause.text for clause in clauses)
    assert len(said) < 22 + 2 * 32
    assert said.startswith("Hello there")
    assert said.endswith("good friend")
    assert said[-12] in f"-{between}"
    assert intake.original(*clauses[0].chars).startswith("Hello there")
    assert clauses[-1].chars[1] == len(text)
    assert text[clauses[-1].origins[-11]] == "g"


def test_a_mark_at_the_end_of_a_long_run_of_dots_ends_its_sentence() -> None:
    intake = fed("Hello there", "." * 300, " Next one", " and more.")
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert (clause.boundary, clause.chars) == (Boundary.SENTENCE, (0, 11 + 300))


def test_no_more_is_read_than_the_next_clause_needs() -> None:
    intake = fed("word " * 4000)
    assert intake.take(Urgency.RELAXED) is not None
    assert intake._markup.read_to < 1000


def test_text_beyond_the_allowance_is_read_later() -> None:
    allowance = Allowance(rate=1000.0, size=1000.0, left=1000.0)
    intake = TextIntake(allowance=allowance)
    intake.feed("```\n" + "x\n" * 9000 + "```\nHello there. How are you?")
    turns = 0
    while (clause := intake.take(Urgency.DRY)) is None:
        assert intake.behind
        assert intake.has_speakable, "it may be"
        assert intake.ready_at > allowance.at
        allowance.renew(intake.ready_at)
        turns += 1
    assert clause.text == "Hello there."
    assert turns > 10


def test_a_hasty_cut_comes_after_the_allowance_was_used_up_between_two_urgencies() -> None:
    allowance = Allowance(rate=1000.0, size=1000.0, left=1000.0)
    intake = TextIntake(allowance=allowance)
    intake.feed("hello there my good old friend")
    assert intake.take(Urgency.RELAXED) is None
    allowance.spend(2000.0)
    assert intake.take(Urgency.DRY) is None
    assert intake.behind
    allowance.renew(10.0)
    assert text_of(intake, Urgency.DRY) == "hello there my good old"


def test_nothing_is_behind_once_it_is_known_that_there_is_something_to_speak() -> None:
    allowance = Allowance(rate=1000.0, size=1000.0, left=1000.0)
    intake = TextIntake(allowance=allowance)
    intake.feed(SENTENCE * 40)
    intake.take(Urgency.RELAXED)
    assert intake.has_speakable
    allowance.spend(2000.0)
    assert intake.take(Urgency.RELAXED) is None
    assert intake.behind
    allowance.renew(10.0)
    assert intake.has_speakable
    assert not intake.behind


def test_retracting_reads_no_more_than_a_little_again() -> None:
    intake = fed(SENTENCE * 400)
    for _ in range(60):
        intake.take(Urgency.RELAXED)
    at = intake.taken_chars
    assert at > 5000
    assert intake.retract(at + 10) == at + 10
    assert intake._markup.read_to >= at - 1000
    intake.feed("and that is the end of it.")
    intake.flush()
    rest = []
    while (text := text_of(intake)) is not None:
        rest.append(text)
    assert " ".join(rest).split() == f"{(SENTENCE * 400)[at : at + 10]}and that is the end of it.".split()


@pytest.mark.parametrize("fed_in", [1, 700, 100_000])
def test_retracting_what_was_not_read_keeps_flushes_and_the_text_before(fed_in: int) -> None:
    text = SENTENCE * 60
    intake = fed(*[text[at : at + fed_in] for at in range(0, len(text), fed_in)])
    intake.flush()
    intake.feed("A second one, which is taken back.")
    intake.take(Urgency.RELAXED)
    assert intake.retract(2000) == 2000
    assert intake.original(0, 9999) == text[:2000]
    assert intake.unspoken_chars <= 2000
    said, ended = [], 0
    while clause := intake.take(Urgency.RELAXED):
        said.append(clause.text)
        ended += clause.ends_utterance
    assert (len(" ".join(said).split()), ended) == (len(text[42:2000].split()), 1)


def test_one_warning_for_each_block_that_is_not_meant_to_be_heard() -> None:
    intake = fed("Hi. <think>a\n\nb</think>Yes. <tool_call>c")
    intake.flush()
    while intake.take(Urgency.RELAXED):
        pass
    first, second = intake.drain_warnings()
    assert first.code == second.code == "text_without_speech"
    assert (first.message, first.chars) == ("<think> in the text was skipped", (4, 23))
    assert second.chars == (28, 40)


def test_what_is_skipped_is_not_held_in_memory_however_long_it_is() -> None:
    intake = fed("<think>")
    for _ in range(1000):
        intake.feed("let me see ")
        intake.take(Urgency.RELAXED)
    assert intake.unspoken_chars < 100
    assert intake.pending_chars > 5000


def test_blocks_of_other_names_are_spoken() -> None:
    intake = TextIntake(opening=Markup("en", skip=("plan",)))
    intake.feed("<plan>no</plan><think>yes</think> [PLAN]no[/PLAN]")
    intake.flush()
    assert text_of(intake) == "yes"


def test_a_break_is_a_mark_with_the_origin_of_the_character_before_it() -> None:
    intake = fed("Here.\nRoses are red\nViolets are blue\n\nSugar is sweet.")
    intake.flush()
    assert text_of(intake) == "Here."
    clause = intake.take(Urgency.RELAXED)
    assert clause is not None
    assert clause.text == "Roses are red, Violets are blue. Sugar is sweet."
    at = clause.text.index(",")
    assert clause.origins[at] == clause.origins[at - 1]

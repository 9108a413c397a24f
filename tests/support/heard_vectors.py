"""Owns the golden vectors of what a listener has heard, as a client works it out from what it was told."""

from __future__ import annotations

from typing import Any

from support.vector_scripts import Script, Word, audio


def by_words() -> Script:
    """Two clauses with their words."""
    script = Script("by whole words, where words are told").open("Hello, world. Bye now.", end=True)
    script.clause(0, 14, 0, ("Hello", 0, 5, 80, 480), ("world", 7, 12, 560, 1200))
    script.clause(14, 22, 1600, ("Bye", 14, 17, 1680, 1920), ("now", 18, 21, 2000, 2400)).frames(0, 32, last=True)
    script.done(32, 2500, 22)
    script.reports(0, 1, 80, 81, 479, 480, 481, 560, 561, 1199, 1200, 1599, 1600, 1601, 1680, 1681, 1919, 1920, 1999)
    script.reports(2000, 2001, 2399, 2400, 2499, 2500, 2501, 2560, 9000)
    return script.listener(
        audio=audio((1, 32)),
        clauses=[[0, 14, 0], [14, 22, 1600]],
        words=[
            ["Hello", 0, 5, 80, 480],
            ["world", 7, 12, 560, 1200],
            ["Bye", 14, 17, 1680, 1920],
            ["now", 18, 21, 2000, 2400],
        ],
        done=["completed", 32, 2500, 22],
    )


def end_unknown() -> Script:
    """The last clause while its end is not known: words count, and evenly nothing can be said."""
    script = Script("the last clause before its end is known").open("One two. Three four five.")
    script.clause(0, 9, 0, ("One", 0, 3, 40, 300), ("two", 4, 7, 300, 700)).clause(9, 25, 800).frames(0, 20)
    script.wait("audio", 20).reports(799, 800, 801, 1200, 1600, 1700).end()
    return script.frames(20, 5, last=True).done(25, 2000, 25).reports(799, 800, 801, 1200, 1599, 1600, 1999, 2000)


def words_to_come() -> Script:
    """A clause's words come in parts; what is sounding is only known once it was told."""
    script = Script("words that are told in parts").open("One, two, three.")
    script.clause(0, 16, 0, ("One", 0, 3, 80, 400)).frames(0, 10).wait("audio", 10).reports(100, 400, 500, 800, 900)
    script.flush("now").timing(("two", 5, 8, 480, 800), ("three", 10, 15, 900, 1500)).frames(10, 10, last=True)
    script.wait("audio", 20).reports(100, 400, 500, 800, 900, 901, 1600).end()
    return script.done(20, 1600, 16).reports(500, 1499, 1500, 1599, 1600)


def evenly() -> Script:
    """Without words: the share of the clause's length, rounded down, then back to the last space."""
    script = Script("evenly, where no words are told").open("Interminably monologues one two three four.", end=True)
    script.clause(0, 23, 0).clause(23, 43, 1840).frames(0, 45, last=True).done(45, 3600, 43)
    script.reports(0, 1, 80, 960, 1039, 1040, 1041, 1120, 1839, 1840, 1841, 1927, 1928, 2279, 2280, 2631, 2632)
    return script.reports(3000, 3159, 3160, 3161, 3599, 3600, 3601)


def spaces() -> Script:
    """Every space of Unicode ends a word; a zero width space does not."""
    text = "a\u3000bb\u00a0cc\u2003dd\u0085ee\ufeffff\u200bgg\u180ehh\u202fhh\u2028ii\u205fjj\u1680kk\tll\nmm"
    script = Script("evenly, with all kinds of space").open(text, end=True).clause(0, len(text), 0)
    script.frames(0, len(text), last=True).done(len(text), len(text) * 80, len(text))
    return script.reports(*(char * 80 for char in range(len(text) + 1)))


def control_characters() -> Script:
    """The four separators of ASCII are space, too."""
    text = "a\x1cbb\x1dcc\x1edd\x1fee\x0bff\x0cgg\x08hh\x7fii"
    script = Script("evenly, with control characters", needs=("control characters",)).open(text, end=True)
    script.clause(0, len(text), 0).frames(0, len(text), last=True).done(len(text), len(text) * 80, len(text))
    return script.reports(*(char * 80 for char in range(len(text) + 1)))


def without_spaces() -> Script:
    """Text in which nothing but a clause ends a word."""
    script = Script("evenly, in a script without spaces").open("你好世界。今天天气很好。", end=True)
    script.clause(0, 5, 0).clause(5, 12, 800).frames(0, 22, last=True).done(22, 1760, 12)
    return script.reports(0, 400, 799, 800, 1200, 1759, 1760)


def beyond_the_first_plane() -> Script:
    """Characters that are two units of UTF-16 count as one."""
    text = "🎉 Hi 👩‍🚀 there 🎈! 𝒳𝒴 end"
    words: tuple[Word, ...] = (("Hi", 2, 4, 160, 400), ("there", 9, 14, 480, 960), ("𝒳𝒴", 18, 20, 1120, 1400))
    script = Script("characters beyond the first plane").open(text, end=True).clause(0, 18, 0, *words[:2])
    script.clause(18, 24, 1040, words[2], ("end", 21, 24, 1440, 1560)).frames(0, 20, last=True).done(20, 1600, 24)
    script.reports(0, 160, 161, 400, 480, 481, 960, 1039, 1040, 1121, 1400, 1441, 1560, 1599, 1600)
    return script.listener(done=["completed", 20, 1600, 24])


def evenly_beyond_the_first_plane() -> Script:
    """The same, without words."""
    text = "🎉🎉 🎈🎈 𝒳𝒴 👩‍🚀 x"
    script = Script("evenly, with characters beyond the first plane").open(text, end=True).clause(0, len(text), 0)
    script.frames(0, len(text), last=True).done(len(text), 80 * len(text), len(text))
    return script.reports(*(80 * char for char in range(len(text) + 1)))


def other_order() -> Script:
    """Words may sound in another order than they are written: what was counted stays counted."""
    script = Script("words that sound in another order").open("It is $5 now.", end=True)
    words: tuple[Word, ...] = (("It", 0, 2, 0, 80), ("is", 3, 5, 80, 160), ("five", 7, 8, 160, 320))
    script.clause(0, 13, 0, *words, ("dollars", 6, 7, 320, 640), ("now", 9, 12, 640, 800)).frames(0, 11, last=True)
    return script.done(11, 880, 13).reports(0, 1, 80, 160, 161, 320, 321, 639, 640, 641, 800, 879, 880)


def markup() -> Script:
    """Characters are those of the text that was sent."""
    script = Script("characters count with their markup").open("**Hi** there, [you](http://x).", end=True)
    words: tuple[Word, ...] = (("Hi", 2, 4, 80, 300), ("there", 7, 12, 320, 600), ("you", 15, 18, 720, 900))
    script.clause(0, 30, 0, *words).frames(0, 13, last=True).done(13, 1000, 30)
    return script.reports(80, 300, 320, 600, 601, 721, 900, 999, 1000)


def late_beginning() -> Script:
    """Nothing counts before the first clause begins; a clause's silence counts as nothing of it."""
    script = Script("before the first clause begins").open("Well then. So.").frames(0, 3).wait("audio", 3)
    script.reports(0, 100, 240).flush("f").clause(0, 11, 240, ("Well", 0, 4, 400, 560), ("then", 5, 9, 560, 720))
    script.frames(3, 9, last=True).wait("audio", 12).reports(239, 240, 241, 400, 401, 560, 719, 720, 960).end()
    script.clause(11, 14, 960, ("So", 11, 13, 960, 1200)).frames(12, 4, last=True).done(16, 1240, 14)
    return script.reports(720, 959, 960, 961, 1200, 1239, 1240)


def more_text_than_sounds() -> Script:
    """Text of which no clause is told yet is unheard."""
    script = Script("text that is not spoken yet").open("One two. ").clause(0, 9, 0, ("One", 0, 3, 0, 240))
    script.timing(("two", 4, 7, 240, 480)).frames(0, 6).wait("audio", 6).reports(240, 480)
    return script.more("Three 🎉.", 1).reports(0, 240, 480, 1000)


def retracted() -> Script:
    """What was retracted is neither heard nor unheard."""
    script = Script("after a retract", needs=("retract",)).open("One two. Three 🎉 four.")
    script.clause(0, 9, 0, ("One", 0, 3, 0, 240), ("two", 4, 7, 240, 480)).frames(0, 7).wait("audio", 7)
    script.reports(240, 480).retract(9, 9).say(type="retract", context="a", from_char=9)
    script.come(type="accepted", context="a", chars=9, text_seq=0)
    script.reports(0, 240, 480).more("Six.", 1).reports(240, 480).end().accepted(13, 1)
    script.clause(9, 13, 560, ("Six", 9, 12, 560, 800)).frames(7, 4, last=True).done(11, 880, 13)
    return script.reports(479, 480, 560, 561, 800, 879, 880).listener(done=["completed", 11, 880, 13])


def retracted_too_late() -> Script:
    """The server says how much is left, and that counts."""
    script = Script("after a retract that came too late", needs=("retract",)).open("One two. Three four.")
    script.clause(0, 9, 0).frames(0, 5).wait("audio", 5).retract(4, 9).say(type="retract", context="a", from_char=4)
    script.come(type="accepted", context="a", chars=9, text_seq=0).reports(0, 400)
    return script.end().frames(5, 5, last=True).done(10, 800, 9).reports(399, 400, 711, 712, 799, 800)


def interrupted() -> Script:
    """The server's own report is what counts while it can be asked."""
    report = {
        "heard": {"pts": 500, "chars": 5, "text": "Hello", "word": "world"},
        "unheard": {"chars": 17, "text": ", world. Bye now."},
    }
    script = Script("a barge-in is answered by the server").open("Hello, world. Bye now.", end=True)
    script.clause(0, 14, 0, ("Hello", 0, 5, 80, 400), ("world", 7, 12, 480, 800)).frames(0, 12).wait("audio", 12)
    script.cancel(500, report).say(type="cancel", context="a", played_pts=500)
    script.come(type="cancelled", context="a", sent_seq=14, **report)
    script.done(15, 1200, 22, "cancelled")
    return script.listener(done=["cancelled", 15, 1200, 22])


def interrupted_after_the_end() -> Script:
    """After `done` the server can't be asked: the client works it out."""
    script = Script("a barge-in after done").open("Hello, world.", end=True)
    script.clause(0, 13, 0, ("Hello", 0, 5, 80, 400), ("world", 7, 12, 480, 800)).frames(0, 12, last=True)
    return script.done(12, 900, 13).cancel(500)


def interrupted_across_the_end() -> Script:
    """`done` crosses `cancel` on the wire: there is no report of the server's."""
    script = Script("a barge-in that crosses done").open("Hello, world.", end=True)
    script.clause(0, 13, 0, ("Hello", 0, 5, 80, 400), ("world", 7, 12, 480, 800)).frames(0, 12, last=True)
    script.wait("audio", 12).cancel(500).say(type="cancel", context="a", played_pts=500).done(12, 900, 13)
    missing = {"code": "client.unknown_context", "message": "there is no context 'a'", "retryable": False}
    return script.come(type="error", context="a", **missing)


def interrupted_at_the_end() -> Script:
    """The same, where everything was heard."""
    script = Script("a barge-in when all has been heard", needs=("cancel after the end",)).open(
        "Hello, world.", end=True
    )
    script.clause(0, 13, 0, ("Hello", 0, 5, 80, 400), ("world", 7, 12, 480, 800)).frames(0, 12, last=True)
    return script.done(12, 900, 13).cancel(900)


SCRIPTS = (
    by_words,
    end_unknown,
    words_to_come,
    evenly,
    spaces,
    control_characters,
    without_spaces,
    beyond_the_first_plane,
    evenly_beyond_the_first_plane,
    other_order,
    markup,
    late_beginning,
    more_text_than_sounds,
    retracted,
    retracted_too_late,
    interrupted,
    interrupted_after_the_end,
    interrupted_across_the_end,
    interrupted_at_the_end,
)


def heard() -> list[dict[str, Any]]:
    """Every script."""
    return [script().vector() for script in SCRIPTS]

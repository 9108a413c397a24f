"""Owns the golden vectors of resuming: what is counted, said again, dropped, and spoken anew."""

from __future__ import annotations

from typing import Any

from support.vector_scripts import Script, Word, audio

TEXT = "Hello, world. And bye."
HELLO: tuple[Word, ...] = (("Hello", 0, 5, 80, 400), ("world", 7, 12, 480, 800))


def goes_on() -> Script:
    """Nothing was lost but audio that was under way."""
    script = Script("resumed: audio goes on with the next frame").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 5).wait("audio", 5).drop()
    script.resume("s1", "t1", 9, contexts={"a": 4}, text_seq={"a": 0}).resumed(
        "t1b", 3, a={"next_seq": 5, "text_seq": 0}
    )
    script.frames(5, 5, replayed=True).frames(10, 2).clause(14, 22, 1000, ("And", 14, 17, 1000, 1200))
    script.timing(("bye", 18, 21, 1200, 1500)).frames(12, 8, last=True).done(20, 1600, 22)
    return script.listener(
        audio=audio((1, 20)),
        clauses=[[0, 14, 0], [14, 22, 1000]],
        words=[list(word) for word in HELLO] + [["And", 14, 17, 1000, 1200], ["bye", 18, 21, 1200, 1500]],
        reconnected=[True],
        done=["completed", 20, 1600, 22],
    ).reports(960, 1200, 1600)


def said_again() -> Script:
    """The server has got fewer messages than were said: all from its count on come again, in their order."""
    script = Script("resumed: what the server did not get is said again").open("One. ").clause(0, 5, 0).frames(0, 3)
    script.more("Two. ", 1).accepted(10, 1).wait("audio", 3)
    script.more("Three 🎉. ", 2, lost=True).flush("f", lost=True).end(lost=True).drop()
    script.resume("s1", "t1", 7, contexts={"a": 2}, text_seq={"a": 1}).resumed(
        "t1b", 3, a={"next_seq": 3, "text_seq": 1}
    )
    script.say(type="text", context="a", text="Three 🎉. ", seq=2).say(type="flush", context="a", id="f")
    script.say(type="end", context="a").accepted(19, 2).clause(5, 19, 240).frames(3, 7, last=True)
    script.come(type="flushed", context="a", id="f", seq=9).done(10, 800, 19)
    return script.listener(
        audio=audio((1, 10)), flushed=[["f", 9]], reconnected=[True], done=["completed", 10, 800, 19]
    )


def start_was_lost() -> Script:
    """The whole context never reached the server: that is said again, too."""
    script = Script("resumed: a context that never reached the server").open("One.", "a", end=True)
    script.clause(0, 4, 0).frames(0, 3).wait("audio", 3).write("Two.", "b").say(lost=True, type="start", context="b")
    script.say(lost=True, type="text", context="b", text="Two.", seq=0).drop()
    script.resume("s1", "t1", 6, contexts={"a": 2}, text_seq={"a": 0}).resumed(
        "t1b", 3, a={"next_seq": 3, "text_seq": 0}
    )
    script.say(type="start", context="b").say(type="text", context="b", text="Two.", seq=0)
    script.started("b", 1).accepted(4, 0, "b").end("b").clause(0, 4, 0, context="b")
    script.frames(0, 2, number=1, last=True, context="b", value=101).frames(3, 2, last=True).done(5, 400, 4)
    script.done(2, 160, 4, context="b").listener(audio=audio((1, 5)), done=["completed", 5, 400, 4])
    return script.listener("b", audio=audio((101, 2)), clauses=[[0, 4, 0]], done=["completed", 2, 160, 4])


def twice() -> Script:
    """Counts go on over all connections of the session; each resume has the newest token."""
    script = Script("resumed twice: counts go on, tokens change").open("One two three.", end=True)
    script.clause(0, 14, 0).frames(0, 2).wait("audio", 2).drop()
    script.resume("s1", "t1", 5, contexts={"a": 1}, text_seq={"a": 0}).resumed(
        "t1b", 3, a={"next_seq": 2, "text_seq": 0}
    )
    script.come(type="warning", code="text_without_speech", message="an emoji", context="a")
    script.come(type="state", contexts={"a": "speaking"}, received=3).frames(2, 3).wait("audio", 5).drop()
    script.resume("s1", "t1b", 10, contexts={"a": 4}, text_seq={"a": 0}).resumed("t1c", 3, a={"next_seq": 5})
    return (
        script.frames(5, 1, last=True)
        .done(6, 480, 14)
        .listener(audio=audio((1, 6)), reconnected=[True, True], done=["completed", 6, 480, 14])
    )


def duplicates() -> Script:
    """A frame that came before counts as a message, and is not heard again."""
    script = Script("resumed: a frame that came before is dropped, and counted").open("One two three.", end=True)
    script.clause(0, 14, 0).frames(0, 4).wait("audio", 4).drop()
    script.resume("s1", "t1", 7).resumed("t1b", 3, a={"next_seq": 4, "text_seq": 0})
    script.frames(2, 3, replayed=True, value=53).wait("audio", 5).drop()
    script.resume("s1", "t1b", 10).resumed("t1c", 3, a={"next_seq": 5}).frames(4, 1, value=65).frames(5, 1, last=True)
    return script.done(6, 480, 14).listener(audio=audio((1, 4), (55, 1), (6, 1)), done=["completed", 6, 480, 14])


def before_the_answer() -> Script:
    """What comes on the fresh session before `resume_failed` counts for the fresh one; before `resumed` for none."""
    script = Script("what comes before the answer to a resume counts for the fresh session").open("One two.", end=True)
    script.clause(0, 8, 0).frames(0, 2).wait("audio", 2).drop().connect("s1")
    script.come(type="warning", code="some_later_code", message="something")
    script.say(type="resume", session="s1", token="t1", received=5).resumed("t1b", 3, a={"next_seq": 2})
    script.frames(2, 1).wait("audio", 3).drop().connect("s1")
    script.come(type="warning", code="some_later_code", message="something")
    script.say(type="resume", session="s1", token="t1b", received=6).anew().again("One two.")
    script.accepted(8, 0).clause(0, 8, 0).frames(0, 2, value=101).wait("audio", 5).drop()
    script.resume("s3", "t3", 6, contexts={"a": 1}, text_seq={"a": 0}).resumed("t3b", 3, a={"next_seq": 2}).frames(
        2, 1, last=True, value=103
    )
    return script.done(3, 240, 8).listener(
        audio=audio((1, 3), (101, 3)),
        reconnected=[True, False, True],
        anew=[[240, 0]],
        done=["completed", 6, 480, 8],
    )


def broken_word() -> Script:
    """The session is gone: speech goes on with the first word that did not come whole, on a clock that goes on."""
    script = Script("begun anew: from the first word that did not come whole").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().resume("s1", "t1", 11).anew()
    script.again("world. And bye.").accepted(15, 0).clause(0, 7, 0, ("world", 0, 5, 80, 400))
    script.clause(7, 15, 480, ("And", 7, 10, 480, 640), ("bye", 11, 14, 640, 960)).frames(0, 13, last=True, value=101)
    script.done(13, 1000, 15).reports(0, 400, 480, 559, 560, 561, 640, 641, 960, 1040, 1200, 1520, 1559, 1560, 9999)
    return script.listener(
        audio=audio((1, 7), (101, 13)),
        clauses=[[0, 14, 0], [7, 14, 560], [14, 22, 1040]],
        words=[list(word) for word in HELLO]
        + [["world", 7, 12, 640, 960], ["And", 14, 17, 1040, 1200], ["bye", 18, 21, 1200, 1520]],
        reconnected=[False],
        anew=[[560, 7]],
        done=["completed", 20, 1560, 22],
    )


def untold() -> Script:
    """Words that were told ahead of their audio count no more; nor do clauses."""
    script = Script("begun anew: timings that were told ahead count no more").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).clause(14, 22, 960, ("And", 14, 17, 960, 1200)).frames(0, 3).wait("audio", 3)
    script.drop().resume("s1", "t1", 9).anew(reason="expired").again(TEXT).accepted(22, 0)
    script.clause(0, 14, 0, *HELLO).clause(14, 22, 960, ("And", 14, 17, 960, 1200), ("bye", 18, 21, 1200, 1500))
    script.frames(0, 20, last=True, value=101).done(20, 1600, 22)
    script.reports(0, 239, 240, 320, 321, 640, 721, 1040, 1199, 1200, 1201, 1440, 1740, 1839, 1840)
    return script.listener(
        audio=audio((1, 3), (101, 20)),
        clauses=[[0, 14, 0], [0, 14, 240], [14, 22, 1200]],
        words=[
            ["Hello", 0, 5, 80, 400],
            ["Hello", 0, 5, 320, 640],
            ["world", 7, 12, 720, 1040],
            ["And", 14, 17, 1200, 1440],
            ["bye", 18, 21, 1440, 1740],
        ],
        anew=[[240, 0]],
        done=["completed", 23, 1840, 22],
    )


def from_the_beginning() -> Script:
    """Where nothing was heard yet everything is said again, and clocks begin at 0."""
    script = Script("begun anew: nothing had come").open(TEXT).more("So.", 1).accepted(25, 1).flush("f")
    script.clause(0, 14, 0, *HELLO).frames(0, 1).wait("audio", 1).drop().resume("s1", "t1", 6).anew()
    script.again(TEXT + "So.", end=False).say(type="flush", context="a", id="f").end().accepted(25, 0)
    script.clause(0, 14, 0, *HELLO).frames(0, 20, last=True, value=101)
    script.come(type="flushed", context="a", id="f", seq=19).done(20, 1600, 25)
    return script.listener(
        audio=audio((1, 1), (101, 20)), anew=[[80, 0]], flushed=[["f", 20]], done=["completed", 21, 1680, 25]
    )


def no_frame() -> Script:
    """No audio at all had come, though a clause was told."""
    script = Script("begun anew: no frame had come").open("One two.", end=True).clause(0, 8, 0).drop()
    script.resume("s1", "t1", 3).anew(reason="refused").again("One two.").accepted(8, 0).clause(0, 8, 0)
    return (
        script.frames(0, 4, last=True, value=101)
        .done(4, 320, 8)
        .reports(0, 160, 320)
        .listener(audio=audio((101, 4)), anew=[[0, 0]], clauses=[[0, 8, 0]], done=["completed", 4, 320, 8])
    )


def without_words() -> Script:
    """Where no words are told the clause is spoken anew from its beginning."""
    script = Script("begun anew: without words, from the clause's beginning").open(TEXT, end=True)
    script.clause(0, 14, 0).clause(14, 22, 480).frames(0, 8).wait("audio", 8).drop().resume("s1", "t1", 12).anew()
    script.again("And bye.").accepted(8, 0).clause(0, 8, 0).frames(0, 5, last=True, value=101).done(5, 400, 8)
    return script.reports(0, 400, 480, 560, 639, 640, 740, 1039, 1040).listener(
        audio=audio((1, 8), (101, 5)),
        anew=[[640, 14]],
        clauses=[[0, 14, 0], [14, 22, 480], [14, 22, 640]],
        done=["completed", 13, 1040, 22],
    )


def at_a_boundary() -> Script:
    """Audio came up to exactly where the next clause begins: that clause is spoken anew, and nothing before it."""
    script = Script("begun anew: exactly between two clauses").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).clause(14, 22, 880).frames(0, 11).wait("audio", 11).drop()
    script.resume("s1", "t1", 16).anew().again("And bye.").accepted(8, 0).clause(0, 8, 0)
    script.frames(0, 5, last=True, value=101).done(5, 400, 8).reports(799, 800, 879, 880, 1279, 1280)
    return script.listener(anew=[[880, 14]], done=["completed", 16, 1280, 22])


def whole_utterance() -> Script:
    """An utterance that came to its last frame is not spoken again; its flush is answered by the client."""
    script = Script("begun anew: an utterance had come whole, but not its answer").open("One 🎉. ").flush("one")
    script.more("Two.", 1).flush("two").accepted(11, 1).clause(0, 7, 0).frames(0, 6, last=True).wait("audio", 6).drop()
    script.resume("s1", "t1", 10).anew().again("Two.", end=False).say(type="flush", context="a", id="two").end()
    script.accepted(4, 0).clause(0, 4, 0).frames(0, 3, last=True, value=101)
    script.come(type="flushed", context="a", id="two", seq=2).done(3, 240, 4)
    return script.listener(
        audio=audio((1, 6), (101, 3)),
        anew=[[480, 7]],
        flushed=[["one", 5], ["two", 8]],
        done=["completed", 9, 720, 11],
    )


def silent_flush() -> Script:
    """A flush without audio of its own is answered by the frame before the offset."""
    script = Script("begun anew: a flush without audio").open("One two. ").clause(0, 9, 0).frames(0, 4, last=True)
    script.wait("audio", 4).drop().resume("s1", "t1", 7).anew().say(type="start", context="a").started()
    script.wait("reconnected", 1).flush("f").come(type="flushed", context="a", id="f").more("Three.", 0).end().accepted(
        6, 0
    )
    script.clause(0, 6, 0).frames(0, 2, last=True, value=101).done(2, 160, 6)
    return script.listener(audio=audio((1, 4), (101, 2)), flushed=[["f", 3]], done=["completed", 6, 480, 15])


def all_heard() -> Script:
    """Nothing is left to hear: nothing is said, and the client ends the context by itself."""
    script = Script("begun anew: all had come but the end").open("One two. 🎉", end=True)
    script.clause(0, 10, 0, ("One", 0, 3, 0, 160), ("two", 4, 7, 160, 320)).frames(0, 5, last=True).wait("audio", 5)
    script.drop().resume("s1", "t1", 9).anew().wait("done", 1)
    return script.listener(audio=audio((1, 5)), anew=[[400, 10]], done=["completed", 5, 400, 10])


def nothing_speakable() -> Script:
    """What is left can't be spoken: the whole was speakable all the same."""
    script = Script("begun anew: what is left can't be spoken").open("One two. 🎉 ", end=True)
    script.clause(0, 9, 0, ("One", 0, 3, 0, 160), ("two", 4, 7, 160, 320)).frames(0, 5, last=True).wait("audio", 5)
    script.drop().resume("s1", "t1", 9).anew().again("🎉 ").accepted(2, 0)
    script.done(0, 0, 2, "no_speakable_text")
    return script.listener(audio=audio((1, 5)), anew=[[400, 9]], done=["completed", 5, 400, 11])


def two_restarts() -> Script:
    """Offsets add up."""
    script = (
        Script("begun anew twice").open(TEXT, end=True).clause(0, 14, 0, *HELLO).frames(0, 5).wait("audio", 5).drop()
    )
    script.resume("s1", "t1", 9).anew().again("world. And bye.").accepted(15, 0)
    script.clause(0, 7, 0, ("world", 0, 5, 80, 400)).clause(7, 15, 480, ("And", 7, 10, 480, 640)).frames(
        0, 8, value=101
    )
    script.wait("audio", 13).drop().resume("s2", "t2", 14, contexts={"a": 7}, text_seq={"a": 0}).anew().again(
        " bye."
    ).accepted(5, 0)
    script.clause(0, 5, 0, ("bye", 1, 4, 80, 320)).frames(0, 5, last=True, value=201).pause(450)
    script.done(5, 400, 5)
    script.reports(0, 400, 401, 480, 481, 800, 801, 880, 1039, 1040, 1041, 1120, 1121, 1360, 1439, 1440)
    return script.listener(
        audio=audio((1, 5), (101, 8), (201, 5)),
        anew=[[400, 7], [1040, 17]],
        clauses=[[0, 14, 0], [7, 14, 400], [14, 22, 880], [17, 22, 1040]],
        done=["completed", 18, 1440, 22],
    )


def resumed_then_anew() -> Script:
    """A session that was resumed, then lost: the clock of the context is one all the while."""
    script = Script("resumed, then begun anew").open("One two three.", end=True)
    script.clause(0, 14, 0, ("One", 0, 3, 0, 160), ("two", 4, 7, 160, 400), ("three", 8, 13, 400, 800)).frames(0, 2)
    script.wait("audio", 2).drop().resume("s1", "t1", 6).resumed("t1b", 3, a={"next_seq": 2})
    script.frames(2, 2, replayed=True).wait("audio", 4).drop().resume("s1", "t1b", 8).anew()
    script.again("two three.").accepted(10, 0).clause(0, 10, 0, ("two", 0, 3, 0, 240), ("three", 4, 9, 240, 640))
    script.frames(0, 9, last=True, value=101).done(9, 700, 10).reports(160, 320, 321, 560, 561, 960, 1019, 1020)
    return script.listener(audio=audio((1, 4), (101, 9)), reconnected=[True, False], anew=[[320, 4]])


def goes_on_at(name: str, text: str, words: tuple[Word, ...], frames: int, rest: str) -> Script:
    """One clause, of which so many frames came; `rest` is what the fresh session has to speak."""
    script = Script(f"begun anew: {name}").open(text, end=True).clause(0, len(text), 0, *words)
    script.frames(0, frames).wait("audio", frames).drop().resume("s1", "t1", 4 + frames).anew()
    chars = len(text) - len(rest)
    if not rest.strip():
        script.wait("done", 1)
        done = ["completed", frames, frames * 80, len(text)]
        return script.listener(audio=audio((1, frames)), anew=[[frames * 80, chars]], done=done)
    script.again(rest).accepted(len(rest), 0).clause(0, len(rest), 0).frames(0, 2, last=True, value=101)
    script.done(2, 160, len(rest)).reports(frames * 80, frames * 80 + 80, frames * 80 + 160)
    done = ["completed", frames + 2, (frames + 2) * 80, len(text)]
    return script.listener(audio=audio((1, frames), (101, 2)), anew=[[frames * 80, chars]], done=done)


def places() -> list[Script]:
    """Where speech goes on, in all kinds of text."""
    said: tuple[Word, ...] = (("He", 0, 2, 0, 80), ("said", 3, 7, 80, 320), ("yes", 9, 12, 320, 560))
    chinese: tuple[Word, ...] = (("你好", 0, 2, 0, 160), ("世界", 3, 5, 160, 320), ("今天", 6, 8, 320, 480))
    party: tuple[Word, ...] = (("Hooray", 0, 6, 0, 160), ("𝒳𝒴", 10, 12, 240, 400))
    wide: tuple[Word, ...] = (("東京", 0, 2, 0, 160), ("大阪", 3, 5, 160, 320))
    half: tuple[Word, ...] = (("one", 0, 3, 0, 160),)
    numbers: tuple[Word, ...] = (("x", 0, 1, 0, 160),)
    return [
        goes_on_at("before a word's opening marks", 'He said "yes" then.', said, 5, '"yes" then.'),
        goes_on_at("behind a word's closing marks", 'He said "yes" then.', said, 7, " then."),
        goes_on_at("in the middle of a word", 'He said "yes" then.', said, 3, 'said "yes" then.'),
        goes_on_at("in a word that ends with the audio", 'He said "yes" then.', said, 4, '"yes" then.'),
        goes_on_at("nothing but closing marks and space is left", 'He said "yes"?! ', said, 7, ""),
        goes_on_at("words of a script without spaces", "你好,世界。今天。", chinese, 3, ",世界。今天。"),
        goes_on_at("a full stop of another script closes a word", "你好,世界。今天，好", chinese, 6, "好"),
        goes_on_at("a full stop of another script at the end", "你好,世界。今天。", chinese, 6, ""),
        goes_on_at("an emoji closes a word, as all symbols do", "Hooray🎉! Oh 𝒳𝒴.", party[:1], 2, " Oh 𝒳𝒴."),
        goes_on_at("an emoji opens a word", "Hooray. 🎉𝒳𝒴🎈 x.", (*party[:1], ("𝒳𝒴", 9, 11, 240, 400)), 4, "🎉𝒳𝒴🎈 x."),
        goes_on_at("an ideographic space ends what opens a word", "東京\u3000大阪。", wide, 3, "大阪。"),
        goes_on_at("a dash closes a word", "one\u2014two.", half, 2, "two."),
        goes_on_at("a number is no closing mark", "x²½Ⅷ.", numbers, 2, "²½Ⅷ."),
        goes_on_at("a next line is space", "one.\x85\x85", half, 2, ""),
        goes_on_at("a zero width space is a sign, and none of the spaces", "one.\ufeff\u200b two.", half, 2, " two."),
        goes_on_at("signs close a word", "x+=€€™ y.", numbers, 2, " y."),
    ]


def cancelled_behind() -> Script:
    """The server's report is about its own part; the client puts its own before it."""
    heard = {"pts": 200, "chars": 0, "text": "", "word": "world"}
    script = Script("begun anew, then a barge-in behind the offset").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().resume("s1", "t1", 11).anew()
    script.again("world. And bye.").accepted(15, 0).clause(0, 7, 0, ("world", 0, 5, 80, 400)).frames(0, 5, value=101)
    report = {
        "heard": {"pts": 760, "chars": 7, "text": "Hello, ", "word": "world"},
        "unheard": {"chars": 15, "text": "world. And bye."},
    }
    script.wait("audio", 12).cancel(760, report).say(type="cancel", context="a", played_pts=200)
    unheard = {"chars": 15, "text": "world. And bye."}
    script.come(type="cancelled", context="a", sent_seq=5, heard=heard, unheard=unheard)
    return script.done(6, 480, 15, "cancelled").listener(done=["cancelled", 13, 1040, 22])


def cancelled_before() -> Script:
    """The listener had not come to the offset: the server can't know, and the client works it out."""
    script = Script("begun anew, then a barge-in before the offset").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().resume("s1", "t1", 11).anew()
    script.again("world. And bye.").accepted(15, 0).clause(0, 7, 0, ("world", 0, 5, 80, 400)).frames(0, 5, value=101)
    script.wait("audio", 12).cancel(420).say(type="cancel", context="a", played_pts=0)
    heard = {"pts": 0, "chars": 0, "text": ""}
    unheard = {"chars": 15, "text": "world. And bye."}
    script.come(type="cancelled", context="a", sent_seq=5, heard=heard, unheard=unheard)
    return script.done(6, 480, 15, "cancelled").listener(done=["cancelled", 13, 1040, 22])


def cancelled_away() -> Script:
    """The connection is away: the client works it out at once, and the server is told when it is back."""
    script = Script("a barge-in while the connection is away, then resumed").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().wait("dropped", 1).cancel(420)
    script.write("So.", "b").step_end("b")
    script.resume("s1", "t1", 11).pause(200).resumed("t1b", 3, a={"next_seq": 7, "text_seq": 0})
    script.say(type="cancel", context="a", played_pts=420).spoken_at_last().frames(7, 1, replayed=True)
    script.come(type="cancelled", context="a", sent_seq=7, **script.contexts_received["a"].report(420))
    facts = {"reason": "cancelled", "frames": 8, "samples": 640, "chars": 22}
    script.come(type="done", context="a", **facts).frames(0, 1, number=1, last=True, context="b", value=101)
    script.done(1, 80, 3, context="b").listener(done=["cancelled", 7, 560, 22])
    return script.listener("b", done=["completed", 1, 80, 3])


def cancelled_away_for_good() -> Script:
    """The same, where the session is gone: nothing is spoken anew."""
    script = Script("a barge-in while the connection is away, and the session is gone").open(TEXT, end=True)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().wait("dropped", 1).cancel(420)
    script.write("So.", "b").step_end("b").resume("s1", "t1", 11).pause(200)
    script.come(type="resume_failed", reason="unknown").spoken_at_last()
    script.frames(0, 1, number=1, last=True, context="b", value=101).done(1, 80, 3, context="b")
    script.listener(done=["cancelled", 7, 560, 22])
    return script.listener("b", done=["completed", 1, 80, 3])


def retracted_behind() -> Script:
    """Characters are counted from the context's beginning by the caller, from the offset by the server."""
    script = Script("begun anew, then a retract", needs=("retract",)).open(TEXT)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().resume("s1", "t1", 11).anew()
    script.again("world. And bye.", end=False).accepted(15, 0).retract(14, 14)
    script.say(type="retract", context="a", from_char=7).come(type="accepted", context="a", chars=7, text_seq=0)
    script.more("So.", 1).end().accepted(10, 1).clause(0, 7, 0, ("world", 0, 5, 80, 400)).clause(7, 10, 480)
    script.frames(0, 8, last=True, value=101).done(8, 640, 10).reports(400, 560, 960, 1039, 1040, 1199, 1200)
    return script.listener(done=["completed", 15, 1200, 17])


def retracted_before() -> Script:
    """What lies before the offset is spoken, and stays."""
    script = Script("begun anew, then a retract from before the offset", needs=("retract",)).open(TEXT)
    script.clause(0, 14, 0, *HELLO).frames(0, 7).wait("audio", 7).drop().resume("s1", "t1", 11).anew()
    script.again("world. And bye.", end=False).accepted(15, 0).retract(3, 7)
    script.say(type="retract", context="a", from_char=0).come(type="accepted", context="a", chars=0, text_seq=0)
    script.reports(400, 560).more("So.", 1).end().accepted(3, 1).clause(0, 3, 0, ("So", 0, 2, 80, 240))
    script.frames(0, 4, last=True, value=101).done(4, 320, 3).reports(560, 799, 800, 879, 880)
    return script.listener(done=["completed", 11, 880, 10])


SCRIPTS = (
    goes_on,
    said_again,
    start_was_lost,
    twice,
    duplicates,
    before_the_answer,
    broken_word,
    untold,
    from_the_beginning,
    no_frame,
    without_words,
    at_a_boundary,
    whole_utterance,
    silent_flush,
    all_heard,
    nothing_speakable,
    two_restarts,
    resumed_then_anew,
    cancelled_behind,
    cancelled_before,
    cancelled_away,
    cancelled_away_for_good,
    retracted_behind,
    retracted_before,
)


def resuming() -> list[dict[str, Any]]:
    """Every script."""
    return [script.vector() for script in (*(script() for script in SCRIPTS), *places())]

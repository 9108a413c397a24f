"""ElevenLabs' translators: the messages that they send to the session and to the client."""

from __future__ import annotations

import base64
import json

import pytest

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.elevenlabs.messages import key_in_message
from voxwire_server.compat.elevenlabs.translator import (
    HOLD_SECONDS,
    MultiStreamInputTranslator,
    StreamInputTranslator,
    StreamOptions,
)
from voxwire_server.compat.session import EncodedAudio, OutputFormat
from voxwire_server.compat.translator import Close, Forward, Reply, StartContext

RATE = 8000
OPTIONS = StreamOptions(voice="heart", format=OutputFormat(sample_rate=RATE))
AUTO = StreamOptions(voice="heart", format=OutputFormat(sample_rate=RATE), auto_mode=True)


def sent(translator, *messages, now: float = 0.0) -> list:
    """The actions for the client's messages."""
    return [action for message in messages for action in translator.received(json.dumps(message), now)]


def forwarded(actions) -> list:
    return [action.message for action in actions if isinstance(action, Forward)]


def texts(actions) -> list[str]:
    return [message.text for message in forwarded(actions) if isinstance(message, m.Text)]


def kinds(actions) -> list[type]:
    return [type(message) for message in forwarded(actions)]


def replies(actions) -> list[dict]:
    return [action.payload for action in actions if isinstance(action, Reply)]


def closes(actions) -> list[Close]:
    return [action for action in actions if isinstance(action, Close)]


def contexts_started(actions) -> list[m.Start]:
    return [action.start for action in actions if isinstance(action, StartContext)]


def multi(options: StreamOptions = OPTIONS) -> MultiStreamInputTranslator:
    translator = MultiStreamInputTranslator(options)
    translator.opened(0.0)
    return translator


def single(options: StreamOptions = OPTIONS) -> StreamInputTranslator:
    translator = StreamInputTranslator(options)
    translator.opened(0.0)
    return translator


def in_a(text: str, **more) -> dict:
    return {"text": text, "context_id": "a", **more}


def test_text_is_ssml_where_the_address_says_so():
    options = StreamOptions(voice="heart", format=OutputFormat(sample_rate=RATE), ssml=True)
    assert [start.format for start in contexts_started(sent(multi(options), in_a("Hi. ")))] == ["ssml"]
    assert [start.format for start in contexts_started(sent(multi(), in_a("Hi. ")))] == [None]


CLOSE_A = {"context_id": "a", "close_context": True}
FLUSH_A = {"context_id": "a", "flush": True}


def done(context: str, reason: m.DoneReason = m.DoneReason.COMPLETED) -> m.Done:
    return m.Done(context=context, reason=reason, frames=0, samples=0, chars=0)


def audio(context: str, pts: int, end_pts: int) -> EncodedAudio:
    return EncodedAudio(context, bytes(2 * (end_pts - pts)), pts, end_pts, RATE)


def word(text: str, at: int, pts: int, end_pts: int) -> m.WordTiming:
    return m.WordTiming(text=text, chars=(at, at + len(text)), pts=pts, end_pts=end_pts)


# -- contexts ---------------------------------------------------------------------------------------------------------


def test_the_first_message_of_a_context_opens_it_with_its_settings() -> None:
    actions = sent(multi(), in_a(" ", voice_settings={"speed": 1.1, "stability": 0.5}))
    (start,) = contexts_started(actions)
    assert (start.voice, start.speed, start.timings) == ("heart", 1.1, ("word",))
    assert not forwarded(actions)


def test_the_language_and_seed_of_the_address_apply_to_every_context() -> None:
    options = StreamOptions(voice="heart", format=OutputFormat(), language="en", seed=7)
    starts = contexts_started(sent(multi(options), in_a("One. "), {"text": "Two. ", "context_id": "b"}))
    assert [(start.language, start.seed) for start in starts] == [("en", 7), ("en", 7)]
    assert len({start.context for start in starts}) == 2


@pytest.mark.parametrize("message", [{"text": ""}, {"text": "", "context_id": "a"}, FLUSH_A, CLOSE_A, {}])
def test_a_keepalive_opens_no_context(message) -> None:
    assert sent(multi(), message) == []


def test_text_without_a_context_id_goes_to_a_context_of_its_own() -> None:
    translator = multi()
    (start,) = contexts_started(sent(translator, {"text": "Hello. "}))
    assert texts(sent(translator, {"text": "And more. "})) == ["And more. "]
    (reply,) = replies(translator.audio(audio(start.context, 0, 160), 0.0))
    assert reply["contextId"] == "default"


def test_camel_case_ids_are_accepted() -> None:
    translator = multi()
    sent(translator, in_a("Hello. "))
    assert contexts_started(sent(translator, {"text": "More. ", "contextId": "a"})) == []


def test_a_context_closed_after_an_empty_flush_is_spoken_to_its_end() -> None:
    translator = multi()
    sent(translator, in_a(" "), in_a("Hello there. "))
    actions = sent(translator, FLUSH_A, CLOSE_A)
    assert kinds(actions) == [m.Flush, m.End]
    assert replies(actions) == []


def test_a_close_without_a_flush_before_it_is_an_interruption() -> None:
    translator = multi()
    sent(translator, in_a(" "), in_a("Hello there. "))
    actions = sent(translator, CLOSE_A)
    assert kinds(actions) == [m.Cancel]
    assert replies(actions) == [{"audio": None, "isFinal": True, "contextId": "a"}]


def test_in_auto_mode_the_flush_of_a_sentence_does_not_end_the_text() -> None:
    translator = multi(AUTO)
    sent(translator, in_a(" "), in_a("Hello there. ", flush=True))
    assert kinds(sent(translator, CLOSE_A)) == [m.Cancel]


def test_without_auto_mode_the_flush_of_the_last_text_ends_it() -> None:
    translator = multi()
    sent(translator, in_a("Hello there. ", flush=True))
    assert kinds(sent(translator, CLOSE_A)) == [m.End]


def test_a_second_close_interrupts_what_is_being_spoken_to_its_end() -> None:
    translator = multi()
    sent(translator, in_a("Hello there. "), FLUSH_A, CLOSE_A)
    actions = sent(translator, CLOSE_A)
    assert kinds(actions) == [m.Cancel]
    assert [reply["isFinal"] for reply in replies(actions)] == [True]
    assert sent(translator, CLOSE_A) == []


def test_text_after_a_flush_makes_a_close_an_interruption_again() -> None:
    translator = multi()
    sent(translator, in_a("Hello there. "), FLUSH_A, in_a("And more. "))
    assert kinds(sent(translator, CLOSE_A)) == [m.Cancel]


def test_an_id_can_be_used_again_for_a_new_context() -> None:
    translator = multi()
    (old,) = contexts_started(sent(translator, in_a("Hello. ")))
    sent(translator, CLOSE_A)
    (new,) = contexts_started(sent(translator, in_a("Again. ")))
    assert new.context != old.context
    assert translator.message(done(old.context, m.DoneReason.CANCELLED), 0.0) == ()
    assert translator.audio(audio(old.context, 0, 160), 0.0) == []
    assert replies(translator.audio(audio(new.context, 0, 160), 0.0))[0]["contextId"] == "a"


def test_the_final_message_comes_after_the_close_and_not_after_a_flush() -> None:
    translator = multi()
    (start,) = contexts_started(sent(translator, in_a("Hello. ")))
    sent(translator, FLUSH_A)
    flushed = replies(translator.message(m.Flushed(context=start.context, id="7", seq=3), 0.0))
    assert not any(reply.get("isFinal") for reply in flushed)
    sent(translator, CLOSE_A)
    last = replies(translator.message(done(start.context), 0.0))
    assert last[-1] == {"audio": None, "isFinal": True, "contextId": "a"}


def test_closing_the_socket_speaks_everything_to_the_end_and_then_closes() -> None:
    translator = multi()
    (a,) = contexts_started(sent(translator, in_a("Hello. ")))
    (b,) = contexts_started(sent(translator, {"text": "Other. ", "context_id": "b"}))
    actions = sent(translator, {"close_socket": True})
    assert kinds(actions) == [m.End, m.End]
    assert not closes(translator.message(done(a.context), 0.0))
    assert closes(translator.message(done(b.context), 0.0)) == [Close(1000)]


def test_closing_an_idle_socket_closes_at_once() -> None:
    assert sent(multi(), {"close_socket": True}) == [Close(1000)]


def test_closing_the_socket_twice_does_not_wait() -> None:
    translator = multi()
    sent(translator, in_a("Hello. "), {"close_socket": True})
    assert closes(sent(translator, {"close_socket": True})) == [Close(1000)]


# -- text -------------------------------------------------------------------------------------------------------------


def test_in_auto_mode_each_message_is_spoken_at_once_with_the_missing_space() -> None:
    translator = multi(AUTO)
    actions = sent(translator, in_a(" "), in_a("Hello there."), in_a("How are you? "))
    assert "".join(texts(actions)) == "Hello there. How are you? "
    assert [kind for kind in kinds(actions) if kind is m.Flush] == [m.Flush, m.Flush]


def test_without_auto_mode_tokens_are_joined_without_spaces() -> None:
    translator = multi()
    actions = sent(translator, in_a(" "), in_a("un"), in_a("break"), in_a("able"), in_a(" "), in_a("glass"))
    assert "".join(texts(actions)) == "unbreakable glass"
    assert m.Flush not in kinds(actions)


def test_a_flush_with_nothing_to_speak_is_not_forwarded() -> None:
    translator = multi(AUTO)
    sent(translator, in_a("Hello. ", flush=True))
    assert forwarded(sent(translator, in_a("", flush=True))) == []


def test_a_flush_separates_the_last_word_from_the_next_text() -> None:
    translator = multi()
    assert "".join(texts(sent(translator, in_a("Hello"), FLUSH_A))) == "Hello "


def test_with_a_schedule_text_waits_for_enough_characters() -> None:
    translator = multi()
    config = {"chunk_length_schedule": [10, 20]}
    first = sent(translator, in_a(" ", generation_config=config), in_a("12345"))
    assert texts(first) == []
    assert texts(sent(translator, in_a("67890"))) == ["1234567890"]
    assert texts(sent(translator, in_a("1234567890"))) == []
    assert texts(sent(translator, in_a("1234567890"))) == ["12345678901234567890"]


def test_text_waits_for_its_schedule_only_for_some_seconds() -> None:
    translator = multi()
    sent(translator, in_a(" ", generation_config={"chunk_length_schedule": [120]}))
    sent(translator, in_a("Hello. "), now=5.0)
    sent(translator, in_a("Bye. "), now=6.0)
    assert translator.due == 5.0 + HOLD_SECONDS
    assert texts(translator.tick(translator.due)) == ["Hello. Bye. "]
    assert translator.due > 100


def test_a_client_can_trigger_text_that_waits_for_its_schedule() -> None:
    translator = single()
    sent(translator, {"text": " ", "generation_config": {"chunk_length_schedule": [50]}})
    assert texts(sent(translator, {"text": "Hello ", "try_trigger_generation": True})) == ["Hello "]


def test_waiting_text_is_spoken_at_the_end() -> None:
    translator = single()
    sent(translator, {"text": " ", "generation_config": {"chunk_length_schedule": [50]}}, {"text": "Hello "})
    actions = sent(translator, {"text": ""})
    assert texts(actions) == ["Hello "]
    assert kinds(actions)[-1] is m.End


# -- one stream -------------------------------------------------------------------------------------------------------


def test_an_empty_text_ends_the_stream_and_its_end_closes_the_connection() -> None:
    translator = single()
    (start,) = contexts_started(sent(translator, {"text": " "}, {"text": "Hello. "}))
    assert kinds(sent(translator, {"text": ""})) == [m.End]
    assert sent(translator, {"text": "Too late. "}, {"text": ""}) == []
    actions = translator.message(done(start.context), 0.0)
    assert replies(actions)[-1] == {"audio": None, "isFinal": True}
    assert actions[-1] == Close(1000)


def test_a_stream_without_text_ends_too() -> None:
    translator = single()
    actions = sent(translator, {"text": ""})
    assert len(contexts_started(actions)) == 1
    assert kinds(actions) == [m.End]


def test_an_error_ends_a_stream_with_1008() -> None:
    translator = single()
    (start,) = contexts_started(sent(translator, {"text": "Hello. "}))
    error = VoxwireError(ErrorCode.UNKNOWN_VOICE, "there is no voice 'x'", details={"voices": ["heart"]})
    actions = translator.message(m.error_to_message(error, start.context), 0.0)
    (reply,) = replies(actions)
    assert (reply["error"], reply["code"]) == ("voice_not_found", 1008)
    assert "heart" in reply["message"]
    assert actions[-1].code == 1008
    assert actions[-1].reason.startswith("voice_not_found")


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "[]",
        "1",
        '"a"',
        '{"text": 3}',
        '{"text": "a", "context_id": 7}',
        '{"voice_settings": {"speed": 9}}',
        b"\xff",
    ],
)
def test_an_invalid_message_is_refused(raw) -> None:
    with pytest.raises(VoxwireError):
        multi().received(raw, 0.0)


def test_an_invalid_message_affects_no_context() -> None:
    translator = multi()
    sent(translator, in_a("Hello. "))
    with pytest.raises(VoxwireError) as bad:
        translator.received(json.dumps({"text": 3, "context_id": "b"}), 0.0)
    (reply,) = translator.refused(bad.value, 0.0)
    assert (reply.payload["contextId"], reply.payload["code"]) == ("b", 1008)
    assert texts(sent(translator, in_a("And more. "))) == ["And more. "]


def test_an_error_of_one_context_leaves_the_others() -> None:
    translator = multi()
    (a,) = contexts_started(sent(translator, in_a("Hello. ")))
    sent(translator, {"text": "Other. ", "context_id": "b"})
    failed = m.error_to_message(VoxwireError(ErrorCode.ENGINE_FAILED, "it broke"), a.context)
    actions = translator.message(failed, 0.0)
    error, final = replies(actions)
    assert (error["contextId"], error["error"]) == ("a", "engine_failed")
    assert final == {"audio": None, "isFinal": True, "contextId": "a"}
    assert not closes(actions)
    assert texts(sent(translator, {"text": "More. ", "context_id": "b"})) == ["More. "]


def test_an_error_that_leaves_no_context_closes_the_connection() -> None:
    translator = multi()
    (a,) = contexts_started(sent(translator, in_a("Hello. ")))
    error = m.error_to_message(VoxwireError(ErrorCode.TEXT_BUFFER_FULL, "too much"), a.context)
    _, closing, *_ = translator.message(error, 0.0)
    assert (closing.code, closing.reason) == (1008, "max_character_limit_exceeded: too much")


def test_a_wrong_voice_closes_the_connection_even_with_other_contexts() -> None:
    translator = multi()
    (a,) = contexts_started(sent(translator, in_a("Hello. ")))
    sent(translator, {"text": "Other. ", "context_id": "b"})
    error = m.error_to_message(VoxwireError(ErrorCode.UNKNOWN_VOICE, "there is no such voice"), a.context)
    assert closes(translator.message(error, 0.0))[0].code == 1008


def test_a_refused_client_gets_an_error_and_is_closed() -> None:
    for translator in (multi(), single()):
        reply, closing = translator.refused(VoxwireError(ErrorCode.NOT_AUTHENTICATED, "an API key is needed"), 0.0)
        assert reply.payload["error"] == "invalid_api_key"
        assert closing.code == 1008


# -- time -------------------------------------------------------------------------------------------------------------


def test_an_inactive_connection_is_closed() -> None:
    options = StreamOptions(voice="heart", format=OutputFormat(), inactivity_seconds=20)
    translator = multi(options)
    assert translator.due == 20
    sent(translator, {"text": ""}, now=15.0)
    assert translator.due == 35
    assert not closes(translator.tick(20.0))
    actions = translator.tick(35.0)
    assert replies(actions)[0]["error"] == "input_timeout_exceeded"
    assert closes(actions)[0].code == 1008


def test_speech_keeps_a_connection_alive() -> None:
    options = StreamOptions(voice="heart", format=OutputFormat(sample_rate=RATE), inactivity_seconds=20)
    translator = multi(options)
    (start,) = contexts_started(sent(translator, in_a("Hello. ")))
    translator.audio(audio(start.context, 0, 160), 19.0)
    assert not closes(translator.tick(20.0))
    assert translator.due == 39.0


# -- audio ------------------------------------------------------------------------------------------------------------


def spoken(options: StreamOptions) -> list[dict]:
    """Two sentences with a flush each; the second word starts in the first second, the third after a pause."""
    translator = multi(options)
    (start,) = contexts_started(sent(translator, in_a("Hi you."), in_a("Bye.")))
    name = start.context
    first = (word("Hi", 0, 800, 1600), word("you.", 3, 2400, 6400))
    out = [*translator.message(m.Timing(context=name, words=first), 0.0)]
    out += [*translator.audio(audio(name, 0, 4000), 0.0), *translator.audio(audio(name, 4000, 8000), 0.0)]
    out += translator.message(m.Flushed(context=name, id="8"), 0.0)
    out += translator.message(m.Timing(context=name, words=(word("Bye.", 8, 8800, 12000),)), 0.0)
    out += translator.audio(audio(name, 8000, 12800), 0.0)
    out += translator.message(m.Flushed(context=name, id="13"), 0.0)
    out += translator.message(done(name), 0.0)
    return replies(out)


def test_every_character_is_sent_once_and_in_order() -> None:
    chars = [char for reply in spoken(AUTO) for char in (reply.get("alignment") or {}).get("chars", ())]
    assert "".join(chars) == "Hi you. Bye. "


def test_an_alignment_stands_in_both_fields_of_one_message() -> None:
    for reply in spoken(AUTO)[:-1]:
        assert reply["alignment"] == reply["normalizedAlignment"]


def test_durations_of_chunks_add_up_to_the_position_of_the_audio() -> None:
    clock_ms = 0
    begun = {}
    for reply in spoken(AUTO)[:-1]:
        alignment = reply["alignment"]
        if alignment:
            for char, start in zip(alignment["chars"], alignment["charStartTimesMs"], strict=True):
                begun.setdefault(char, clock_ms + start)
            clock_ms += alignment["charStartTimesMs"][-1] + alignment["charDurationsMs"][-1]
    assert clock_ms == 1600
    assert (begun["H"], begun["y"], begun["B"]) == (100, 300, 1100)


def test_a_flush_of_the_sessions_own_sends_nothing() -> None:
    translator = multi()
    (start,) = contexts_started(sent(translator, in_a("Hi you")))
    translator.message(m.Timing(context=start.context, words=(word("Hi", 0, 0, 800),)), 0.0)
    assert translator.message(m.Flushed(context=start.context), 0.0) == []


def test_times_can_count_from_the_start_of_the_context() -> None:
    options = StreamOptions(voice="heart", format=OutputFormat(sample_rate=RATE), auto_mode=True, cumulative=True)
    starts = [s for reply in spoken(options)[:-1] for s in (reply["alignment"] or {}).get("charStartTimesMs", ())]
    assert starts == sorted(starts)
    assert starts[0] == 100
    assert starts[8] == 1100


def test_audio_is_split_into_messages_that_every_client_accepts() -> None:
    translator = multi()
    (start,) = contexts_started(sent(translator, in_a("Hello. ")))
    samples = 480_000
    out = replies(translator.audio(audio(start.context, 0, samples), 0.0))
    assert sum(len(base64.b64decode(reply["audio"])) for reply in out) == 2 * samples
    assert max(len(json.dumps(reply)) for reply in out) < 128 * 1024
    assert all(len(base64.b64decode(reply["audio"])) % 2 == 0 for reply in out)


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"text": " ", "xi-api-key": "k"}, "k"),
        ({"text": " ", "xi_api_key": " k "}, "k"),
        ({"text": " ", "authorization": "Bearer k"}, "k"),
        ({"text": " ", "authorization": "k"}, "k"),
        ({"text": " "}, None),
        ({"xi-api-key": 7}, None),
        ({"xi-api-key": ""}, None),
    ],
)
def test_a_key_is_found_in_the_first_message(message, key) -> None:
    assert key_in_message(json.dumps(message)) == key


def test_a_first_message_that_is_not_json_has_no_key() -> None:
    assert key_in_message("{") is None
    assert key_in_message("[]") is None


# -- pronunciation dictionaries ---------------------------------------------------------------------------------------


def test_pronunciation_dictionaries_are_lexicons_of_which_the_first_wins() -> None:
    locators = [
        {"pronunciation_dictionary_id": "names", "version_id": "7"},
        {"pronunciation_dictionary_id": "streets", "version_id": None},
    ]
    for translator, message in (
        (single(), {"text": " ", "pronunciation_dictionary_locators": locators}),
        (multi(), in_a(" ", pronunciation_dictionary_locators=locators)),
    ):
        (start,) = contexts_started(sent(translator, message))
        assert start.lexicons == ("streets", "names")
    assert contexts_started(sent(single(), {"text": " ", "pronunciation_dictionary_locators": []}))[0].lexicons is None


@pytest.mark.parametrize("locators", [[{}], ["names"], [{"pronunciation_dictionary_id": ""}], "names"])
def test_locators_of_the_wrong_kind_are_refused(locators) -> None:
    with pytest.raises(VoxwireError) as refused:
        sent(single(), {"text": " ", "pronunciation_dictionary_locators": locators})
    assert "pronunciation_dictionary_locators" in refused.value.details["field"]

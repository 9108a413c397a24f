"""The client's parts without a connection: streams of text, transcript, playout clock, options, files, players."""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_client import options as o
from voxwire_client.dialer import stream_url
from voxwire_client.errors import ConnectionLost
from voxwire_client.options import start
from voxwire_client.player import PlayoutBuffer
from voxwire_client.playout_clock import PlayoutClock
from voxwire_client.session import connect
from voxwire_client.tokens import pieces
from voxwire_client.transcript import Transcript
from voxwire_client.wav import WavWriter, alaw_sample, mulaw_sample
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session.heard import ClauseSpan, HeardLog

# -- streams of text --------------------------------------------------------------------------------------------------


def drawn(tokens, count=None):
    async def run():
        got = []
        stream = pieces(tokens)
        async for piece in stream:
            got.append(piece)
            if len(got) == count:
                break
        await stream.aclose()
        return got

    return asyncio.run(asyncio.wait_for(run(), 10))


async def asynchronous(*texts):
    for text in texts:
        yield text


@pytest.mark.parametrize(
    "tokens",
    [["a", "", None, "b"], ("a", "b"), iter(["a", None, "b"]), (x for x in "ab"), asynchronous("a", None, "b")],
    ids=["list", "tuple", "iterator", "generator", "asynchronous"],
)
def test_every_kind_of_iterable_is_a_stream(tokens):
    assert drawn(tokens) == ["a", "b"]


def test_a_text_is_one_piece():
    assert drawn("Hello there.") == ["Hello there."]
    assert drawn("") == []


@pytest.mark.parametrize("tokens", [[b"bytes"], iter([7]), asynchronous(object())])
def test_pieces_that_are_not_strings_are_refused(tokens):
    with pytest.raises(TypeError, match="pieces of str"):
        drawn(tokens)


def test_an_iterator_that_waits_does_not_stop_the_event_loop():
    go_on = threading.Event()

    def waiting():
        yield "a"
        assert go_on.wait(10)
        yield "b"

    async def run():
        stream = pieces(waiting())
        first = await anext(stream)
        second = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        go_on.set()
        rest = await second
        await stream.aclose()
        return first + rest

    assert asyncio.run(run()) == "ab"


def test_a_generator_in_a_thread_is_closed_when_the_iteration_ends_early():
    closed = threading.Event()

    def forever():
        try:
            while True:
                yield "x"
        finally:
            closed.set()

    assert drawn(forever(), count=3) == ["x"] * 3
    assert closed.wait(10)


def test_an_error_in_a_thread_is_raised_where_it_is_waited_for():
    def broken():
        yield "a"
        raise LookupError("the model is gone")

    with pytest.raises(LookupError, match="the model is gone"):
        drawn(broken())


def test_an_asynchronous_generator_is_closed_when_the_iteration_ends_early():
    closed = []

    async def forever():
        try:
            while True:
                yield "x"
        finally:
            closed.append(True)

    async def run():
        tokens = forever()
        stream = pieces(tokens)
        assert await anext(stream) == "x"
        await stream.aclose()
        # At once, not when the garbage collector or the event loop's end come to it.
        return list(closed)

    assert asyncio.run(run()) == [True]


# -- the transcript ---------------------------------------------------------------------------------------------------


@st.composite
def speeches(draw):
    """A text of clauses of words, and when each sounds; some clauses without word times."""
    text, pts, clauses = "", 0, []
    for _ in range(draw(st.integers(0, 4))):
        first_char, first_pts, words = len(text), pts, []
        for _ in range(draw(st.integers(1, 4))):
            word = draw(st.text("abcäß", min_size=1, max_size=5))
            begin = pts + draw(st.integers(0, 30))
            pts = begin + draw(st.integers(1, 300))
            words.append(m.WordTiming(text=word, chars=(len(text), len(text) + len(word)), pts=begin, end_pts=pts))
            text += word + draw(st.sampled_from([" ", ", ", "\n"]))
        pts += draw(st.integers(1, 100))
        timed = words if draw(st.booleans()) else []
        clauses.append((m.ClauseStarted(context="a", chars=(first_char, len(text)), pts=first_pts), timed, pts))
    return text + draw(st.text("xyz ", max_size=8)), clauses, pts


def transcript_of(speech) -> Transcript:
    text, clauses, _ = speech
    transcript = Transcript()
    for i in range(0, len(text), 3):
        transcript.append(text[i : i + 3])
    for clause, words, _ in clauses:
        transcript.clause(clause)
        transcript.timing(m.Timing(context="a", words=tuple(words)))
    return transcript


@given(speeches(), st.integers(0, 4000))
def test_heard_and_unheard_are_the_text(speech, pts):
    text, _, end_pts = speech
    heard, unheard = transcript_of(speech).heard(pts, end_pts)
    assert heard.text + unheard.text == text
    assert (heard.chars, unheard.chars) == (len(heard.text), len(unheard.text))


@given(speeches(), st.integers(0, 4000), st.integers(0, 4000))
def test_who_listens_longer_hears_no_less(speech, pts, more):
    transcript = transcript_of(speech)
    first, _ = transcript.heard(pts, speech[2])
    then, _ = transcript.heard(pts + more, speech[2])
    assert first.chars <= then.chars


@given(speeches(), st.integers(0, 4000))
def test_the_client_reports_the_same_as_the_server(speech, pts):
    text, clauses, end_pts = speech
    log = HeardLog()
    for clause, words, clause_end in clauses:
        span = ClauseSpan(clause.chars, clause.pts)
        span.words += tuple(words)
        span.end_pts = clause_end
        log.began(span)
    there = log.at(pts, text)
    here, _ = transcript_of(speech).heard(pts, end_pts)
    assert (here.chars, here.word) == (there.chars, there.word)


def test_a_last_clause_without_end_counts_by_its_words():
    transcript = Transcript()
    transcript.append("Hi you.")
    transcript.clause(m.ClauseStarted(context="a", chars=(0, 7), pts=0))
    assert transcript.heard(10_000, None)[0].text == ""
    transcript.timing(m.Timing(context="a", words=(m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=400),)))
    assert transcript.heard(10_000, None)[0].text == "Hi"


# -- the playout clock ------------------------------------------------------------------------------------------------


def test_the_clock_knows_nothing_before_a_player_speaks_and_estimates_all_the_same():
    clock = PlayoutClock(1000)
    assert clock.position(1.0) is None
    assert clock.estimate(1.0) == 0
    clock.received(500, 1.0)
    assert clock.position(1.2) is None
    assert clock.estimate(1.2) == pytest.approx(200, abs=1)


def test_a_player_that_starts_late_is_believed():
    clock = PlayoutClock(1000)
    clock.received(2000, 1.0)
    clock.start(3.0)
    clock.start(9.0)
    assert clock.position(3.5) == 500


def test_a_clock_that_is_paused_before_it_starts_waits():
    clock = PlayoutClock(1000)
    clock.received(1000, 0.0)
    clock.pause(1.0)
    clock.start(2.0)
    assert clock.position(5.0) == 0
    clock.resume(6.0)
    assert clock.position(6.5) == pytest.approx(500, abs=1)


@given(st.lists(st.tuples(st.sampled_from(["receive", "start", "pause", "resume", "wait"]), st.integers(0, 500))))
def test_the_clock_never_runs_backwards_or_ahead_of_what_came(steps):
    clock, now, heard = PlayoutClock(1000), 0.0, 0
    clock.start(now)
    for action, amount in steps:
        match action:
            case "receive":
                clock.received(clock.received_pts + amount, now)
            case "start":
                clock.start(now)
            case "pause":
                clock.pause(now)
            case "resume":
                clock.resume(now)
            case _:
                now += amount / 1000
        position = clock.position(now)
        # A step of one sample is what floating point may take back.
        assert heard - 1 <= position <= clock.received_pts
        heard = position


# -- options, URLs, errors --------------------------------------------------------------------------------------------


def test_no_options_ask_for_nothing():
    assert start({}, "u1") == m.Start(context="u1")
    assert start({"voice": None, "codec": None, "pacing": None}, "u1") == m.Start(context="u1")


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="'pitch'"):
        start({"pitch": 3}, "u1")


@pytest.mark.parametrize("name", ["x" * 65, "\ud83d"])
def test_an_invalid_name_is_refused(name):
    with pytest.raises(ValueError, match="1 to 64"):
        start({"context": name}, "u1")


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("ws://h:1/v1/stream", "ws://h:1/v1/stream"),
        ("ws://h:1", "ws://h:1/v1/stream"),
        ("https://h/", "wss://h/v1/stream"),
        ("http://h/voice/v1/stream?token=x", "ws://h/voice/v1/stream?token=x"),
    ],
)
def test_a_url_may_be_short(given_url, url):
    assert stream_url(given_url) == url


@pytest.mark.parametrize("url", ["localhost:8765", "ftp://h", "", "/v1/stream"])
def test_an_invalid_url_is_refused(url):
    with pytest.raises(ValueError, match="no URL"):
        stream_url(url)


def test_the_environment_names_the_server(monkeypatch):
    monkeypatch.delenv("VOXWIRE_URL", raising=False)
    assert connect().url == "ws://127.0.0.1:8765/v1/stream"
    monkeypatch.setenv("VOXWIRE_URL", "wss://voice.example")
    assert connect().url == "wss://voice.example/v1/stream"
    assert connect("ws://h").url == "ws://h/v1/stream"


def test_an_unknown_encoding_is_named():
    with pytest.raises(ValueError, match="'xml'"):
        connect(encoding="xml")


@pytest.mark.parametrize(
    ("code", "retryable"), [(1000, False), (1006, True), (1008, False), (1012, True), (4401, False)]
)
def test_a_lost_connection_tells_whether_to_try_again(code, retryable):
    assert ConnectionLost(code, "").retryable is retryable


def test_the_servers_error_decides_whether_to_try_again():
    said = VoxwireError(ErrorCode.SLOW_READER, "read faster")
    assert ConnectionLost(1008, "client.slow_reader", said).retryable
    assert "read faster" in str(ConnectionLost(1008, "client.slow_reader", said))


# -- files and players ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decode", "name"), [(mulaw_sample, "ulaw2lin"), (alaw_sample, "alaw2lin")])
def test_companding_agrees_with_the_standard_library(decode, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="gone since Python 3.13")
    expected = memoryview(getattr(audioop, name)(bytes(range(256)), 2)).cast("h").tolist()
    assert [decode(code) for code in range(256)] == expected


@pytest.mark.parametrize(
    ("codec", "payload", "samples"),
    [
        ("pcm_s16le", b"\x01\x00\xff\xff", b"\x01\x00\xff\xff"),
        ("mulaw", b"\x80\xff", (32124).to_bytes(2, "little") + b"\x00\x00"),
        ("alaw", b"\xd5\xaa", b"\x08\x00" + (32256).to_bytes(2, "little")),
    ],
)
def test_a_wav_file_holds_pcm(codec, payload, samples):
    file = io.BytesIO()
    with WavWriter(file, 8000, codec) as wav:
        wav.write(payload)
    file.seek(0)
    with wave.open(file) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (8000, 1, 2)
        assert read.readframes(100) == samples


def test_opus_is_not_written_to_a_wav_file(tmp_path):
    with pytest.raises(ValueError, match="pcm_s16le"):
        WavWriter(tmp_path / "x.wav", 48000, "opus")


def test_a_player_gets_silence_where_audio_is_missing():
    buffer = PlayoutBuffer()
    buffer.write(b"\x01\x00\x02\x00\x03\x00")
    assert buffer.take(2) == b"\x01\x00\x02\x00"
    assert not buffer.drained.is_set()
    assert buffer.take(2) == b"\x03\x00\x00\x00"
    assert (buffer.taken_samples, buffer.waiting_samples) == (3, 0)
    assert buffer.take(1) == b"\x00\x00"
    assert buffer.drained.is_set()
    assert buffer.taken_samples == 3


def test_a_player_counts_from_zero_after_drop():
    buffer = PlayoutBuffer()
    buffer.write(b"\x01\x00" * 10)
    buffer.take(4)
    buffer.drop()
    assert (buffer.taken_samples, buffer.waiting_samples) == (0, 0)
    assert buffer.drained.is_set()


def test_an_automatic_codec_is_opus_where_the_link_is_narrow():
    options = {"codec": "auto", "sample_rate": 22050, "bitrate": 20_000}
    assert o.start(options, "a").audio == m.AudioRequest(sample_rate=22050)
    narrow = o.start(options, "a", narrow=True).audio
    assert narrow == m.AudioRequest(codec="opus", sample_rate=24000, bitrate=20_000)
    assert o.start({"codec": "auto"}, "a").audio is None
    assert o.start({"codec": "auto", "sample_rate": 44100}, "a", narrow=True).audio.sample_rate == 48000


def test_a_fresh_start_asks_for_what_was_configured_and_granted():
    start = o.start({"codec": "opus", "voice": "heart", "pacing": "burst", "seed": 4}, "a")
    start = o.configured(start, m.Configure(context="a", audio=m.BitrateRequest(bitrate=12_000)))
    start = o.configured(start, m.Configure(context="a", pacing=m.PacingRequest(lead_ms=900)))
    info = m.AudioInfo(codec="opus", sample_rate=48000, frame_ms=20, frame_samples=960, bitrate=32_000)
    again = o.same_again(start, m.Started(context="a", number=0, voice="other", engine="tone", audio=info))
    assert again == m.Start(
        context="a",
        voice="other",
        audio=m.AudioRequest(codec="opus", sample_rate=48000, frame_ms=20, bitrate=12_000),
        pacing=m.PacingRequest(mode="burst", lead_ms=900),
        seed=4,
    )

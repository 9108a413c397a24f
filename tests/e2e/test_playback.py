"""Playback in Chromium, by what its AudioContext really put out: against a real server, on every way of playing."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import json
import threading
import urllib.request

import numpy as np
import pytest
import soxr

from support.browser_playback import (
    TIMED,
    account,
    assert_events_in_time,
    built,
    correlation,
    heard,
    lab,
    placed,
    rms,
    say,
    spoken,
    without_gaps,
)
from support.server import serving
from voxwire_server.ops.auth import generate_key, hash_key

__all__ = ["built", "lab"]

TEXT = "The boat put in by the bay. Five pumpkins for my mum, and a pepper for Bob."
SHORT = "The boat put in by the bay."
LONG = "one two three four five six seven eight nine ten " * 6
EVENT_MS_MAX = 50
SILENT_MS_MAX = 100
AT_24K = {"sampleRate": 24000}


# -- every codec, every way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("player", ["worklet", "buffers"])
@pytest.mark.parametrize("voice", ["heart", "tone-low"])
def test_pcm_comes_out_bit_for_bit_and_words_with_it(lab, player, voice):
    options = AT_24K if player == "worklet" else {**AT_24K, "player": "buffers"}
    played = lab(lambda page: heard(page, TEXT, voice=voice, gather=True), speaker=options)
    assert (played.raw["player"], played.raw["decoder"], played.rate) == (player, "pcm", 24000)
    first = played.first_frame(played.pcm)
    start = first - played.tape_start
    found = played.tape[start : start + len(played.pcm)]
    # Buffers start at times, not at frames: the last bit of a floating point number may differ.
    assert np.array_equal(found, played.pcm) if player == "worklet" else np.allclose(found, played.pcm, atol=1e-9)
    assert not played.tape[:start].any()
    # What breaks off dies away within 128 samples.
    assert not played.tape[start + len(played.pcm) + 128 :].any()
    assert_events_in_time(played, first, EVENT_MS_MAX)
    words = [each.detail["text"] for each in played.of("word")]
    assert len(words) == len(TEXT.split())
    assert played.raw["playedPts"] == len(played.pcm)
    assert played.raw["underruns"] == 0


def test_an_audio_context_of_another_rate_hears_the_same(lab, host):
    played = lab(lambda page: heard(page, TEXT, voice="heart", sampleRate=24000, gather=True))
    assert played.rate != 24000
    wanted = soxr.resample(played.pcm, 24000, played.rate, quality="VHQ")
    start = placed(played.tape, wanted)
    found = played.tape[start : start + len(wanted)]
    assert correlation(found, wanted) > 0.999
    # What ends 120 ms after it began would show a drift of a sample.
    size = len(wanted) // 8
    assert placed(played.tape[start + 7 * size :], wanted[7 * size :]) == 0
    assert_events_in_time(played, played.tape_start + start, EVENT_MS_MAX)


@pytest.mark.parametrize(("codec", "decoder"), [("webcodecs", "webcodecs"), ("wasm", "wasm"), ("auto", "webcodecs")])
@pytest.mark.parametrize("rate", [24000, 48000])
def test_opus_comes_out_at_its_place_and_as_loud(lab, host, codec, decoder, rate):
    speaker = {"sampleRate": rate, "opus": codec}
    options = {"voice": "heart", "codec": "opus", "sampleRate": rate, "bitrate": 64000}
    played = lab(lambda page: heard(page, SHORT, gather=True, **options), speaker=speaker)
    assert played.raw["decoder"] == decoder
    assert played.raw["audio"]["lookahead_samples"] > 0
    wanted = spoken(host, SHORT, voice="heart", sample_rate=rate)
    start = placed(played.tape, wanted)
    found = played.tape[start : start + len(wanted)]
    assert correlation(found, wanted) > 0.95
    assert abs(rms(found) / rms(wanted) - 1) < 0.1
    # The first sample of the tape stands at pts 0: nothing of the decoder's delay is left, and nothing more was cut.
    first = played.of("start")[0]
    late_ms = (first.frame - (played.tape_start + start)) / rate * 1000
    assert -EVENT_MS_MAX < late_ms < EVENT_MS_MAX + max(0.0, first.pause_ms - 10)
    assert_events_in_time(played, played.tape_start + start, EVENT_MS_MAX)
    assert played.raw["frames"] * rate // 50 - played.raw["playedPts"] == 0


@pytest.mark.parametrize("codec", ["mulaw", "alaw"])
def test_telephone_codecs_come_out(lab, host, codec):
    played = lab(lambda page: heard(page, SHORT, voice="heart", codec=codec, gather=True), speaker={"sampleRate": 8000})
    assert played.raw["decoder"] == "g711"
    wanted = spoken(host, SHORT, voice="heart", sample_rate=8000)
    start = placed(played.tape, wanted)
    assert correlation(played.tape[start : start + len(wanted)], wanted) > 0.99
    assert_events_in_time(played, played.tape_start + start, EVENT_MS_MAX)


@contextlib.contextmanager
def offering(directory):
    """Serve a folder to pages of other origins."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Access-Control-Allow-Origin", "*")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_worklet_can_be_loaded_from_a_file_of_the_pages_own(lab, built):
    with offering(built) as files:
        options = {**AT_24K, "workletUrl": f"{files}/playback/worklet.js"}
        played = lab(lambda page: heard(page, "Hello.", voice="tone-low"), speaker=options)
    assert played.raw["player"] == "worklet"
    assert without_gaps(played.tape, played.pcm) == len(played.pcm)


def test_a_page_that_forbids_blob_urls_plays_buffers(lab):
    policy = "script-src 'unsafe-inline' http:"
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    played = lab(lambda page: heard(page, "Hello.", voice="tone-low"), head=head, tape=False)
    assert played.raw["player"] == "buffers"
    assert played.raw["playedPts"] == len(played.pcm)


def test_a_page_of_plain_http_plays_opus_without_worklet_and_webcodecs(lab):
    key = generate_key()
    with serving("auth.keys=page=" + hash_key(key)) as other:
        http = f"http://plain.test:{other.port}"

        async def action(page):
            assert not await page.evaluate("isSecureContext")
            return await heard(page, "Hello there.", voice="heart", codec="opus")

        played = lab(action, http=http, tape=False, token=token_of(other, key))
    assert (played.raw["player"], played.raw["decoder"]) == ("buffers", "wasm")
    assert len(played.of("word")) == 2
    assert played.positions == sorted(played.positions)


def token_of(host, key: str) -> str:
    """A token for a page."""
    request = urllib.request.Request(f"{host.http}/v1/tokens", b"", {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["token"]


# -- barge-in ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("player", ["auto", "buffers"])
@pytest.mark.parametrize("pacing", ["realtime", "burst"])
def test_interrupt_is_silent_at_once_and_says_what_was_heard(lab, player, pacing):
    async def action(page):
        await say(page, LONG, voice="tone-low", pacing=pacing)
        await page.evaluate("lab.waitForEvent(each => each.type === 'word' && each.detail.text === 'four')")
        report = await page.evaluate(
            """async () => {
                const { audioContext } = lab.speaker;
                const frame = audioContext.currentTime * audioContext.sampleRate;
                const report = await lab.playback.interrupt();
                const done = await lab.finished();
                await lab.tick(300);
                return { frame, report, done, mouth: [...lab.playback.mouth()], raised: lab.notes.events.length };
            }"""
        )
        return report, await account(page)

    result, played = lab(action, speaker={**AT_24K, "player": player})
    silent = np.flatnonzero(played.tape)[-1] + 1 + played.tape_start
    assert (silent - result["frame"]) / played.rate * 1000 < SILENT_MS_MAX
    assert len(played.tape) + played.tape_start > silent + played.rate * 0.2
    report = result["report"]
    whole = [*report["heard"]["text"].split(), report["heard"].get("word", "")]
    assert whole[:4] == ["one", "two", "three", "four"]
    assert len(whole) < 8
    assert report["heard"]["text"] + report["unheard"]["text"] == LONG
    assert result["done"]["reason"] in ("cancelled", "completed")
    assert result["mouth"] == [1] + [0] * 14
    # What was reported as heard is what was put out, to the sample; it may have ended in a pause.
    put = silent - played.first_frame(played.pcm[:48000])
    assert put - 128 <= report["heard"]["pts"]
    assert not played.pcm[put + 2 : report["heard"]["pts"]].any()
    raised = [each.detail["pts"] for each in played.of(*TIMED)]
    assert max(raised) <= report["heard"]["pts"]


@pytest.mark.parametrize("player", ["auto", "buffers"])
def test_an_interrupt_does_not_click(lab, player):
    async def action(page):
        await say(page, "mmmmmmmmmmmmmmmmmmmmmmmmm", voice="tone-low", timings=["phoneme"])
        await page.evaluate("lab.waitForEvent(each => each.type === 'phoneme' && each.detail.pts > 12000)")
        await page.evaluate(
            "async () => { await lab.playback.interrupt(); await lab.finished(); await lab.tick(200); }"
        )
        return await account(page)

    played = lab(action, speaker={**AT_24K, "player": player})
    assert played.tape.any()
    steps = np.abs(np.diff(played.tape))
    whole = np.abs(np.diff(played.pcm))
    assert np.max(steps) <= np.max(whole) * 1.01


def test_an_interrupt_before_the_first_sound_is_answered(lab):
    async def action(page):
        await say(page, LONG, voice="tone-low")
        report = await page.evaluate("lab.playback.interrupt()")
        await page.evaluate("lab.finished()")
        return report, await account(page)

    report, played = lab(action, speaker=AT_24K)
    assert report["heard"]["text"] == ""
    assert not played.of("word")


def test_hold_is_silent_and_release_loses_nothing(lab):
    async def action(page):
        await say(page, LONG, voice="tone-low")
        await page.evaluate("lab.waitForEvent(each => each.type === 'word' && each.detail.text === 'three')")
        held = await page.evaluate(
            """async () => {
                lab.playback.hold();
                while (lab.playback.output.latest.playing || lab.playback.output.sounding) await lab.tick();
                const before = lab.playback.playedPts;
                const from = lab.speaker.audioContext.currentTime * 24000;
                await lab.tick(700);
                const to = lab.speaker.audioContext.currentTime * 24000;
                const result = { before, after: lab.playback.playedPts, from, to, mouth: [...lab.playback.mouth()] };
                lab.playback.release();
                await lab.waitForEvent(each => each.type === "word" && each.detail.chars[0] > 49);
                void lab.playback.interrupt();
                await lab.finished();
                return result;
            }"""
        )
        return held, await account(page)

    held, played = lab(action, speaker=AT_24K)
    assert held["before"] == held["after"]
    assert held["mouth"][0] == 1
    start = played.tape_start
    assert not played.tape[int(held["from"]) - start : int(held["to"]) - start].any()
    pts = [each.detail["pts"] for each in played.of("word")]
    assert pts == sorted(set(pts))
    assert [each.detail["text"] for each in played.of("word")][:10] == LONG.split()[:10]
    assert played.raw["underruns"] == 0


# -- what goes wrong --------------------------------------------------------------------------------------------------

DAMAGED = """async ([codec, opus]) => {
    const audio = { codec, sample_rate: 24000, frame_ms: 20, frame_samples: 480, lookahead_samples: 156 };
    const payload = Uint8Array.from({ length: 60 }, (_, i) => (i === 0 ? 0xff : 255 - i));
    const cancelled = [];
    const source = {
        started: { audio },
        async *[Symbol.asyncIterator]() {
            yield { type: "started", context: "0", number: 0, voice: "x", engine: "x", audio };
            for (let seq = 0; seq < 10; seq += 1) {
                const pts = seq * 480;
                yield { type: "audio", payload, seq, pts, first: false, last: false, codec, frameSamples: 480 };
            }
            await lab.tick(300);
            yield { type: "done", context: "0", reason: "cancelled", frames: 10, samples: 4800, chars: 0 };
        },
        acknowledge() {}, hold() {}, release() {},
        async cancel(options) { cancelled.push(options); return { type: "cancelled" }; },
    };
    const { Speaker } = await import("/files/dist/playback/index.js");
    const speaker = await Speaker.create({ opus, audioContext: lab.speaker.audioContext });
    const playback = speaker.play(source);
    const reported = [];
    playback.on("error", (error) => reported.push(error.message));
    const error = await playback.finished.then(() => null, (error) => error);
    return { name: error?.name, message: error?.message, hint: error?.hint, reported, cancelled: cancelled.length };
}"""


@pytest.mark.parametrize(
    ("codec", "opus", "says"),
    [
        ("opus", "webcodecs", "WebCodecs"),
        ("opus", "wasm", "opus-decoder"),
        ("flac", "auto", "nothing here decodes flac"),
    ],
)
def test_audio_that_cannot_be_decoded_ends_with_a_clear_error(lab, codec, opus, says):
    result = lab(lambda page: page.evaluate(DAMAGED, [codec, opus]))
    assert result["name"] == "PlaybackError"
    assert says in result["message"]
    assert result["hint"]
    assert result["reported"] == [result["message"]]
    assert result["cancelled"] == 1


def test_a_voice_that_does_not_exist_is_reported_as_the_servers_error(lab):
    async def action(page):
        await say(page, "Hello.", voice="nobody")
        return await page.evaluate("lab.finished().then(() => null, (error) => error.code)")

    assert lab(action, speaker=AT_24K) == "client.unknown_voice"


def test_closing_the_speaker_silences_everything(lab):
    async def action(page):
        await say(page, LONG, voice="tone-low")
        await page.evaluate("lab.waitForEvent(each => each.type === 'word')")
        return await page.evaluate(
            """async () => {
                await lab.speaker.close();
                const done = await lab.finished();
                const state = lab.speaker.audioContext.state;
                lab.speaker = { close() {} };
                return [done.reason, state];
            }"""
        )

    assert lab(action, speaker=AT_24K) == ["cancelled", "closed"]


def test_positions_rise_evenly_while_speech_goes_on(lab):
    """Between two reports of the audio thread the clock goes on by itself."""
    played = lab(lambda page: heard(page, LONG[:98], voice="tone-low"), speaker=AT_24K)
    steps = [after - before for before, after in itertools.pairwise(played.positions) if before > 0]
    moving = [step for step in steps if step > 0]
    assert len(moving) > 0.8 * len(steps)

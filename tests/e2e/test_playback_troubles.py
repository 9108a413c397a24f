"""Playback in Chromium when things go badly: networks that stall and drop, silenced devices, long evenings."""

from __future__ import annotations

import pytest

from support.browser_playback import account, built, far_lab, lab, say, without_gaps
from support.server import serving

__all__ = ["built", "far_lab", "lab"]

LONG = "one two three four five six seven eight nine ten " * 6
AT_24K = {"sampleRate": 24000}


# -- bad networks -----------------------------------------------------------------------------------------------------


def test_a_connection_that_stalls_costs_silence_and_never_a_sample(far_lab, host):
    async def action(page, proxy):
        await say(page, LONG[:98], voice="tone-low", leadMs=200)
        for word in ("two", "five", "eight"):
            await page.evaluate(
                "word => lab.waitForEvent(each => each.type === 'word' && each.detail.text === word)", word
            )
            dry = await page.evaluate("lab.notes.events.filter(each => each.type === 'dry').length")
            proxy.stall()
            await page.wait_for_function(
                "dry => lab.notes.events.filter(each => each.type === 'dry').length > dry", arg=dry, polling=20
            )
            proxy.flow()
        await page.evaluate("lab.finished()")
        return await account(page)

    played = far_lab(host, action, speaker=AT_24K)
    assert without_gaps(played.tape, played.pcm) == len(played.pcm)
    assert played.positions == sorted(played.positions)
    assert played.raw["underruns"] == len(played.of("underrun")) >= 3
    assert [each.detail["text"] for each in played.of("word")] == LONG[:98].split()


def test_more_is_gathered_after_underruns(far_lab, host):
    async def action(page, proxy):
        targets = []
        await say(page, LONG[:98], voice="tone-low", leadMs=200)
        for word in ("two", "five", "eight"):
            await page.evaluate(
                "word => lab.waitForEvent(each => each.type === 'word' && each.detail.text === word)", word
            )
            dry = await page.evaluate("lab.notes.events.filter(each => each.type === 'dry').length")
            proxy.stall()
            await page.wait_for_function(
                "dry => lab.notes.events.filter(each => each.type === 'dry').length > dry", arg=dry, polling=20
            )
            targets.append(await page.evaluate("lab.speaker.jitter.targetMs(20)"))
            proxy.flow()
        await page.evaluate("lab.finished()")
        return targets

    targets = far_lab(host, action, speaker={**AT_24K, "bufferMsMax": 200})
    assert targets[0] > 40
    assert targets == sorted(targets)
    assert targets[-1] <= 200


@pytest.mark.parametrize("codec", ["pcm_s16le", "opus"])
def test_a_connection_that_drops_and_is_not_resumed_goes_on_where_it_was(far_lab, codec):
    async def action(page, proxy):
        await say(page, LONG[:147], voice="tone-low", codec=codec)
        await page.evaluate("lab.waitForEvent(each => each.type === 'word' && each.detail.text === 'seven')")
        proxy.cut()
        await page.evaluate("lab.finished()")
        return await account(page)

    with serving("engines.enabled=hibari,tone", "resume.window_seconds=0") as other:
        played = far_lab(other, action, speaker=AT_24K)
    assert "reconnected" in played.raw["types"]
    assert played.positions == sorted(played.positions)
    if codec == "pcm_s16le":
        assert without_gaps(played.tape, played.pcm) == len(played.pcm)
    assert played.raw["playedPts"] == played.raw["frames"] * 480
    assert [each.detail["text"] for each in played.of("word")][-10:] == LONG[:147].split()[-10:]


def test_text_that_comes_slowly_is_no_underrun(lab):
    async def action(page):
        await page.evaluate(
            """async () => {
                const context = lab.session.context({ voice: "tone-low", timings: ["word"] });
                lab.play(context);
                await context.text("Hello there.", { flush: true });
                await lab.waitForEvent((each) => each.type === "dry");
                await context.text("Good night.");
                await context.end();
                await lab.finished();
            }"""
        )
        return await account(page)

    played = lab(action, speaker=AT_24K)
    assert played.raw["underruns"] == 0
    assert [each.detail["text"] for each in played.of("word")] == ["Hello", "there.", "Good", "night."]
    assert without_gaps(played.tape, played.pcm) == len(played.pcm)


def test_minutes_of_burst_wait_as_they_came(lab):
    async def action(page):
        await say(page, LONG * 6, voice="tone-low", pacing="burst", timings=["word"])
        await page.wait_for_function("lab.notes.types.includes('done')", polling=50)
        waiting = await page.evaluate(
            """async () => {
                const all = [];
                for (let i = 0; i < 60; i += 1) {
                    all.push(lab.playback.output.waiting / lab.speaker.audioContext.sampleRate);
                    await lab.tick(15);
                }
                return { waiting: Math.max(...all), queued: lab.playback.pipeline.queued };
            }"""
        )
        await page.evaluate("lab.playback.interrupt()")
        await page.evaluate("lab.finished()")
        return waiting, await account(page, payloads=False)

    result, played = lab(action, speaker=AT_24K)
    assert result["queued"] * 0.02 > 90
    assert result["waiting"] < 0.6
    assert played.raw["underruns"] == 0


# -- the AudioContext -------------------------------------------------------------------------------------------------


def test_a_suspended_audio_context_stops_the_clock_and_goes_on_without_a_loss(lab):
    async def action(page):
        await say(page, LONG[:98], voice="tone-low")
        await page.evaluate("lab.waitForEvent(each => each.type === 'word' && each.detail.text === 'two')")
        stood = await page.evaluate(
            """async () => {
                const acks = [];
                const { acknowledge } = lab.source;
                lab.source.acknowledge = function (seq, pts) {
                    acks.push(pts);
                    return acknowledge.call(this, seq, pts);
                };
                await lab.speaker.audioContext.suspend();
                await lab.tick(100);
                const before = lab.playback.playedPts;
                acks.length = 0;
                await lab.tick(600);
                const result = { before, after: lab.playback.playedPts, acks: [...acks] };
                await lab.speaker.resume();
                await lab.finished();
                return result;
            }"""
        )
        return stood, await account(page)

    stood, played = lab(action, speaker=AT_24K)
    assert stood["before"] == stood["after"]
    assert set(stood["acks"]) <= {stood["before"]}
    assert without_gaps(played.tape, played.pcm) == len(played.pcm)
    assert [each.detail["text"] for each in played.of("word")] == LONG[:98].split()


def test_utterances_take_turns(lab):
    async def action(page):
        return await page.evaluate(
            """async () => {
                const order = [];
                const all = ["First of all.", "Second.", "Third."].map((text, i) => {
                    const playback = lab.play(lab.session.speak(text, { voice: "tone-low", timings: ["word"] }));
                    playback.on("word", (word) => order.push([i, word.text]));
                    playback.on("end", () => order.push([i, "end"]));
                    return playback;
                });
                const done = await Promise.all(all.map((playback) => playback.finished));
                return { order, reasons: done.map((each) => each.reason) };
            }"""
        )

    result = lab(action, speaker=AT_24K)
    assert result["reasons"] == ["completed"] * 3
    assert [each for each, _ in result["order"]] == [0, 0, 0, 0, 1, 1, 2, 2]


def test_twenty_utterances_leave_nothing_behind(lab):
    async def action(page):
        devtools = await page.context.new_cdp_session(page)

        async def alive(expression: str) -> int:
            prototype = await devtools.send("Runtime.evaluate", {"expression": expression})
            found = await devtools.send(
                "Runtime.queryObjects", {"prototypeObjectId": prototype["result"]["objectId"], "objectGroup": "all"}
            )
            length = await devtools.send(
                "Runtime.callFunctionOn",
                {
                    "objectId": found["objects"]["objectId"],
                    "functionDeclaration": "function () { return this.length; }",
                },
            )
            await devtools.send("Runtime.releaseObjectGroup", {"objectGroup": "all"})
            return int(length["result"]["value"])

        counts = []
        for codec in ["pcm_s16le", "opus"] * 10:
            await say(page, "Yes.", voice="tone-low", codec=codec)
            await page.evaluate("lab.finished()")
            if len(counts) in (1, 19):
                await page.evaluate("lab.tick(200)")
            playbacks = await alive("Object.getPrototypeOf(lab.playback)")
            nodes = await alive("AudioWorkletNode.prototype")
            decoders = await alive("AudioDecoder.prototype")
            counts.append((playbacks, nodes, decoders))
        return counts

    counts = lab(action, speaker=AT_24K)
    # The newest playback is held by the laboratory, and the tape is a node, too; a prototype does not count.
    assert counts[-1][0] <= 2, counts
    assert counts[-1][1] <= 3, counts
    assert counts[-1][2] <= 2, counts

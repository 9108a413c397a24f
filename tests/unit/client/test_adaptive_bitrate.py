"""A session over a link that is too narrow: it asks for a lower bitrate and a longer lead."""

from __future__ import annotations

import pytest

from support.scripted_server import Peer, done, play, scripted
from voxwire_client import Audio, connect, rate_control
from voxwire_protocol import messages as m


@pytest.fixture
def late(monkeypatch):
    """Every frame comes twice as long after the one before as it lasts."""
    times = iter(range(10_000))
    original = rate_control.RateController.frame

    def frame(self, seconds, size, now):
        return original(self, seconds, size, next(times) * 2 * seconds)

    monkeypatch.setattr(rate_control.RateController, "frame", frame)


def listen(script, **options):
    async def action():
        async with scripted(script) as url, connect(url) as session:
            first = [event async for event in session.speak("Hi.", context="a", **options)]
            second = [event async for event in session.speak("Hi.", context="b", **options)]
            return first, second

    return play(action)


@pytest.mark.usefixtures("late")
def test_late_audio_is_answered_by_a_lower_bitrate_and_a_longer_lead():
    asked, starts = [], []

    async def script(peer: Peer):
        for context, number in (("a", 0), ("b", 1)):
            starts.append(await peer.start(number=number, codec="opus", bitrate=24_000))
            await peer.until(m.End)
            await peer.frames(number, 30)
            asked.append(await peer.expect(m.Configure))
            await peer.send(done(context, frames=30))

    listen(script, codec="opus", adapt=True)
    once, twice = m.PacingRequest(lead_ms=750), m.PacingRequest(lead_ms=1250)
    assert asked == [
        m.Configure(context="a", audio=m.BitrateRequest(bitrate=16_000), pacing=once),
        m.Configure(context="b", audio=m.BitrateRequest(bitrate=12_000), pacing=twice),
    ]
    assert starts[0].pacing is None
    assert (starts[1].audio, starts[1].pacing) == (m.AudioRequest(codec="opus", bitrate=16_000), once)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(("wanted", "second"), [("auto", "opus"), ("pcm_s16le", "pcm_s16le")])
def test_an_automatic_codec_turns_to_opus_with_the_next_utterance(wanted, second):
    codecs = []

    async def script(peer: Peer):
        for context, number in (("a", 0), ("b", 1)):
            start = await peer.expect(m.Start)
            codec = "pcm_s16le" if start.audio is None else start.audio.codec
            codecs.append(codec)
            facts = {"codec": codec, "sample_rate": 24000, "frame_ms": 20, "frame_samples": 480}
            await peer.send(
                m.Started(context=context, number=number, voice="heart", engine="tone", audio=m.AudioInfo(**facts))
            )
            await peer.until(m.End)
            await peer.frames(number, 40)
            await peer.send(done(context, frames=40))

    _, events = listen(script, codec=wanted)
    assert codecs == ["pcm_s16le", second]
    assert {event.codec for event in events if isinstance(event, Audio)} == {second}

"""Hundreds of contexts on virtual time: whatever clients do, and whenever, each is sent a valid stream."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.session_sim import Client, Sent, World
from voxwire_protocol import messages as m
from voxwire_server.engines.tone import CHAR_SAMPLES, SAMPLE_RATE
from voxwire_server.scheduling.request import PREPARE
from voxwire_server.session.frame_sender import ANSWERS_MAX
from voxwire_server.session.heard import SPANS_MAX
from voxwire_server.session.settings import SessionSettings

WORDS = (
    "the answer is forty two, and nobody knows why. however; it might be 3.14 or **so** 🙂 "
    "Dr. Smith said: wait! let me think about it for a while\n\nthen we go on - slowly - to the end? yes."
).split(" ")

PLAIN_WORDS = "people look for small paper boats along some river bank where green water turns slowly".split()

SETTINGS = SessionSettings(idle_seconds=3600.0)


def check(client: Client) -> None:
    """Check everything that the protocol promises about what a client is sent."""
    started = {each.number: each for each in client.of(m.Started)}
    ended_numbers: set[int] = set()
    names: dict[str, int] = {}
    for each in client.received:
        match each:
            case m.Started():
                assert each.context not in names, "a name is open once"
                names[each.context] = each.number
            case m.Done():
                ended_numbers.add(names.pop(each.context))
            case Sent():
                assert each.number in started
                assert each.number not in ended_numbers, "nothing follows the end of a context"
            case m.ErrorMessage():
                assert each.code.startswith("client."), each
    assert not names, f"every context ends with a reason: {names}"
    dones = client.of(m.Done)
    for each in started.values():
        frames = client.frames_of(each.number)
        assert [f.seq for f in frames] == list(range(len(frames)))
        assert [f.pts for f in frames] == [i * each.audio.frame_samples for i in range(len(frames))]
        for frame, following in pairwise(frames):
            assert bool(frame.flags & 2) == bool(following.flags & 1), "an utterance follows the end of another"
        if frames:
            assert frames[0].flags & 1
    assert len(dones) == len(started)
    for done, number in zip(dones, _ended_order(client), strict=True):
        frames = client.frames_of(number)
        assert done.frames == len(frames)
        if done.reason is m.DoneReason.COMPLETED and frames:
            assert frames[-1].flags & 2
    for cancelled in client.of(m.Cancelled):
        after = client.received[client.received.index(cancelled) + 1]
        assert isinstance(after, m.Done)
        assert after.reason is m.DoneReason.CANCELLED


def _ended_order(client: Client) -> list[int]:
    open_, ended = {}, []
    for each in client.received:
        if isinstance(each, m.Started):
            open_[each.context] = each.number
        elif isinstance(each, m.Done):
            ended.append(open_.pop(each.context))
    return ended


def script(world: World, client: Client, name: str, rng: random.Random, at: float, *, unruly: bool) -> None:
    """Schedule a context's life: text as a model writes it, and, where `unruly`, what a user may do to it."""
    codec = rng.choice(["pcm_s16le", "pcm_s16le", "mulaw", "opus"])
    rate = {"pcm_s16le": rng.choice([16000, 24000]), "mulaw": 8000, "opus": 24000}[codec]
    start = m.Start(
        context=name,
        audio=m.AudioRequest(codec=codec, sample_rate=rate, frame_ms=rng.choice([20, 40])),
        pacing=m.PacingRequest(mode=rng.choice(["realtime", "realtime", "burst"])),
        priority="bulk" if rng.random() < 0.1 else "interactive",
        seed=rng.randrange(1000),
    )
    world.at(at, lambda: client.send(start))
    now = at
    for _ in range(rng.randrange(3, 40)):
        now += rng.expovariate(rng.choice([4, 12, 40])) + (rng.uniform(0.5, 12) if rng.random() < 0.03 else 0)
        piece = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 4))) + rng.choice([" ", " ", ""])
        action: m.ClientMessage = m.Text(context=name, text=piece, flush=rng.random() < 0.05)
        world.at(now, lambda action=action: client.send(action))
        if not unruly:
            continue
        dice = rng.random()
        if dice < 0.04:
            world.at(now, lambda: client.send(m.Hold(context=name)))
            world.at(now + rng.expovariate(0.5), lambda: client.send(m.Release(context=name)))
        elif dice < 0.07:
            world.at(now, lambda: client.send(m.Retract(context=name, from_char=rng.randrange(200))))
        elif dice < 0.10:
            world.at(now, lambda: client.send(m.Flush(context=name, id="f")))
        elif dice < 0.12:
            world.at(now, lambda: client.send(m.Configure(context=name, pacing=m.PacingRequest(lead_ms=200))))
    if unruly and rng.random() < 0.3:
        world.at(rng.uniform(at, now + 5), lambda: client.send(m.Cancel(context=name)))
    world.at(now + rng.random(), lambda: client.send(m.End(context=name)))
    world.at(now + 1000, lambda: client.send(m.Release(context=name)))


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 30))
def test_200_contexts_get_valid_streams(seed):
    world = World(settings=SETTINGS)
    rng = random.Random(seed)
    clients = [Client(world, f"s{i}") for i in range(50)]
    for i in range(200):
        script(world, clients[i % 50], f"c{i}", rng, world.now + rng.uniform(0, 20), unruly=True)
    world.run(1500)
    for client in clients:
        check(client)
    assert world.counter.contexts == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_no_listener_runs_dry_when_the_engine_is_fast_enough(seed):
    world = World(step_seconds=lambda batch: 0.0005 if batch.stage == PREPARE else 0.003, settings=SETTINGS)
    rng = random.Random(seed)
    clients = [Client(world, f"s{i}") for i in range(200)]
    for i, client in enumerate(clients):
        script(world, client, f"c{i}", rng, world.now + rng.uniform(0, 20), unruly=False)
    world.run(1500)
    for client in clients:
        check(client)
    assert world.counter.underruns == []
    assert len(world.counter.ttfa) >= 150


@pytest.mark.parametrize("listeners", [1, 2])
def test_no_listener_runs_dry_while_a_slow_engine_keeps_up(listeners):
    def seconds(batch):
        spoken = sum(len(request.clause.text) for request in batch.requests) * CHAR_SAMPLES / SAMPLE_RATE
        return 0.001 if batch.stage == PREPARE else 0.35 * spoken

    world = World(seconds, 1, SETTINGS, realtime_factor=0.35)
    clients = [Client(world, f"slow{i}") for i in range(listeners)]
    for i, client in enumerate(clients):
        pick = random.Random(i)
        sentences = (" ".join(pick.choice(PLAIN_WORDS) for _ in range(14)).capitalize() + "." for _ in range(24))
        text = " ".join(sentences)
        world.at(world.now + 7.0 * i, partial(client.send, m.Text(context="c", text=text)))
        world.at(world.now + 7.0 * i, partial(client.send, m.End(context="c")))
    world.run()
    assert all(client.of(m.Done)[0].reason is m.DoneReason.COMPLETED for client in clients)
    assert world.counter.underruns == []


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["text", "text", "text", "flush", "hold", "release", "retract", "cancel", "end", "unwritable"]),
        st.sampled_from([0.0, 0.01, 0.3, 2.0, 40.0]),
        st.sampled_from(
            ["Hello there. ", "one ", "tw", "o three, ", "🙂", "```x", "3.", "14", "\n\n", "Yes! ", "我。"]
        ),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=ACTIONS, slow=st.booleans(), mode=st.sampled_from(["realtime", "burst"]))
def test_any_order_of_messages_gives_a_valid_stream(actions, slow, mode):
    world = World(step_seconds=lambda batch: 0.8 if slow else 0.002, settings=SETTINGS)
    client = Client(world, "s")
    start = m.Start(pacing=m.PacingRequest(mode=mode))
    client.send(start)
    for action, wait, text in actions:
        match action:
            case "text":
                client.send(m.Text(text=text))
            case "flush":
                client.send(m.Flush(id="f"))
            case "hold":
                client.send(m.Hold())
            case "release":
                client.send(m.Release())
            case "retract":
                client.send(m.Retract(from_char=len(text)))
            case "cancel":
                client.send(m.Cancel(played_pts=len(text) * 1000))
            case "end":
                client.send(m.End())
            case "unwritable":
                client.driver.writable(False)
                world.run(1)
                client.driver.writable(True)
        world.run(wait)
    client.send(m.Release())
    client.send(m.End())
    world.run(600)
    check(client)
    assert world.counter.contexts == 0


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_the_same_text_gives_the_same_audio_however_it_is_split_and_however_slow_the_engine(seconds):
    text = " ".join(WORDS) + " And a last sentence, which is a little longer than the others, to be sure. Bye."

    def spoken(step: int, seconds: float, company: int) -> bytes:
        world = World(step_seconds=lambda batch: seconds, workers=1, settings=SETTINGS)
        for i in range(company):
            other = Client(world, f"o{i}")
            other.send(m.Text(text=text, flush=True))
        client = Client(world, "s")
        client.send(m.Start(seed=3))
        for i in range(0, len(text), step):
            client.send(m.Text(text=text[i : i + step]))
        client.send(m.End())
        world.run(600)
        return b"".join(frame.payload for frame in client.of(Sent))

    whole = spoken(len(text), 0.001, 0)
    for step in (1, 3, 7, 50):
        assert spoken(step, seconds, 3) == whole


def test_a_thousand_flushes_that_wait_for_one_frame_are_answered_in_order_and_a_few_at_a_time():
    world = World()
    client = Client(world, "s")
    client.send(m.Start(context="a"))
    client.send(m.Text(context="a", text="hello there. "))
    for number in range(1000):
        client.send(m.Flush(context="a", id=str(number)))
    client.send(m.Text(context="a", text="and good bye. "))
    client.send(m.End(context="a"))
    answered = []
    while not client.of(m.Done):
        before = len(client.of(m.Flushed))
        world.run(0.01)
        answered.append(len(client.of(m.Flushed)) - before)
    assert max(answered) <= 4 * ANSWERS_MAX
    assert [each.id for each in client.of(m.Flushed)] == [str(number) for number in range(1000)]
    first, last = client.of(m.Flushed)[0], client.of(m.Flushed)[-1]
    between = client.received[client.received.index(first) : client.received.index(last)]
    assert not [each for each in between if isinstance(each, Sent)]


def test_what_a_burst_listener_heard_is_right_after_hundreds_of_clauses():
    world = World()
    client = Client(world, "s")
    text = "".join(f"This is sentence number {number} of it. " for number in range(900))
    client.send(m.Start(context="a", pacing=m.PacingRequest(mode="burst")))
    for at in range(0, len(text), 5000):
        client.send(m.Text(context="a", text=text[at : at + 5000]))
    world.run(60)
    assert len(client.of(m.ClauseStarted)) > SPANS_MAX + 10
    words = [word for message in client.of(m.Timing) for word in message.words]
    played = words[40].end_pts
    client.send(m.Cancel(context="a", played_pts=played))
    [cancelled] = client.of(m.Cancelled)
    assert cancelled.heard.chars == words[40].chars[1]
    assert cancelled.heard.text + cancelled.unheard.text == text

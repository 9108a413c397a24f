"""Sessions that speak answers of language models, on virtual time: the server's own, with a modelled GPU.

Each session starts a context, plays an answer that is spoken while it is written, sometimes interrupts it, pauses, and
starts the next one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from support.gpu_model import RATE, Gpu, GpuEngine, Step
from support.scheduler_sim import VirtualRunner
from support.session_sim import Client, Counter, ToneDirectory, World
from voxwire_protocol import messages as m
from voxwire_server.ops.admission import SpeechDirectory
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import RequestOutput
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.ports import SessionServices

FRAME_MS = 60
AUDIO = m.AudioRequest(codec="pcm_s16le", sample_rate=RATE, frame_ms=FRAME_MS)
TOKENS = (20, 400)
TOKENS_PER_SECOND = (20.0, 80.0)
FIRST_TOKEN_SECONDS = (0.2, 0.8)
"""The time from the question to the model's first token."""
PAUSE_SECONDS = (1.0, 6.0)
"""The time that the user speaks, between two answers."""
BARGE_IN_SHARE = 0.2
WORDS = (
    "a an the of to in it is was for on with that this have from one had word but not what all were when your can said"
    " there use each which she how their will other about many then them these some her would make like him into time"
    " has look two more write number people water called first find long down day part every weather possible question"
    " understand tomorrow government important information"
).split()


class LoadCounter(Counter):
    """What sessions met from the time `since` on."""

    def __init__(self, clock, since: float) -> None:
        super().__init__()
        self._clock = clock
        self._since = since
        self.frames = 0
        self.clause_waits: list[float] = []
        """Seconds from a first clause's submission to its audio."""

    @property
    def counts(self) -> bool:
        return self._clock() >= self._since

    def first_audio(self, engine, ttfa_seconds):
        if self.counts:
            self.ttfa.append(ttfa_seconds)

    def underrun_ended(self, seconds):
        if self.counts:
            self.underruns.append(seconds)

    def frames_sent(self, frames):
        if self.counts:
            self.frames += frames

    @property
    def minutes(self) -> float:
        """Minutes of audio sent."""
        return self.frames * FRAME_MS / 60_000


class ConversationLoad(World):
    """Sessions in conversation, which start within `arriving` seconds; nothing is counted before `since`."""

    def __init__(
        self,
        gpu: Gpu,
        policy: Policy,
        sessions: int,
        *,
        arriving: float = 20.0,
        since: float = 26.0,
        admission: bool = False,
    ) -> None:
        super().__init__()
        self.engine = GpuEngine(gpu)
        info = self.engine.info
        self.scheduler = Scheduler({info.name: info}, 4, policy)
        engines = {info.name: self.engine}
        self.runner = VirtualRunner(engines, self.scheduler, self._deliver, self.engine.seconds, self.now)
        self.directory = ToneDirectory(info)
        if admission:
            self.directory = SpeechDirectory(VoiceDirectory({info.name: info}, info.name, ""), self.runner)
        self.counter = LoadCounter(lambda: self.now, self.now + since)
        self.services = SessionServices(self.runner, self, self, self.counter, lambda: self.now)
        self.since = self.now + since
        source = random.Random(11)
        self.clients = [
            ConversingClient(self, f"s{n}", self.now + source.uniform(0.0, arriving), source.random())
            for n in range(sessions)
        ]

    @property
    def refused(self) -> int:
        """How often a start was refused."""
        return sum(client.refused for client in self.clients)

    def counted_steps(self, stage: str | None = None) -> list[Step]:
        """The device's steps since `since`."""
        return [step for step in self.engine.steps if step.at >= self.since and stage in (None, step.stage)]

    def _deliver(self, outputs: list[RequestOutput]) -> None:
        if self.counter.counts:
            first = [output.request for output in outputs if output.finished and output.request.first]
            self.counter.clause_waits += [self.now - request.submitted_at for request in first]
        self.runner.batches.clear()
        self.sessions.deliver(outputs)


@dataclass
class Answer:
    """A language model's answer: its tokens, and the seconds between each and the one before."""

    tokens: Sequence[str]
    gaps: Sequence[float]
    interrupted_after: float | None


def answer(pick: random.Random) -> Answer:
    """An answer of 20 to 400 tokens, their number distributed log-uniformly, at a random rate with jitter."""
    count = round(TOKENS[0] * (TOKENS[1] / TOKENS[0]) ** pick.random())
    rate = pick.uniform(*TOKENS_PER_SECOND)
    gaps = [pick.gammavariate(4.0, 0.25 / rate) for _ in range(count)]
    gaps[0] = pick.uniform(*FIRST_TOKEN_SECONDS)
    interrupted = pick.random() < BARGE_IN_SHARE
    return Answer(_tokens(pick, count), gaps, pick.uniform(0.5, count / 3.5) if interrupted else None)


def _tokens(pick: random.Random, count: int) -> list[str]:
    """Tokens of sentences; long words are two tokens, and a punctuation mark is one."""
    tokens: list[str] = []
    while len(tokens) < count:
        words = pick.randint(4, 22)
        comma = pick.randint(3, words) if words > 8 else 0
        for index in range(words):
            word = pick.choice(WORDS)
            word = word.capitalize() if index == 0 else word
            tokens += [" " + word] if len(word) < 8 else [" " + word[:5], word[5:]]
            if index + 1 == comma < words:
                tokens.append(",")
        tokens.append(pick.choice("...?!"))
    return [*tokens[: count - 1], "."]


class ConversingClient(Client):
    """One session: starts a context, plays the answer, sometimes interrupts it, starts the next. Keeps no audio."""

    def __init__(self, world: ConversationLoad, name: str, begin: float, seed: float) -> None:
        self.random = random.Random(seed)
        self.refused = 0
        self._turn = 0
        self._played_until = 0.0
        super().__init__(world, name)
        world.at(begin, self._ask)

    def message(self, message: m.ServerMessage) -> None:
        match message:
            case m.ErrorMessage():
                assert message.retry_after_ms is not None, message
                self.refused += self.world.counter.counts
                self.world.at(self.world.now + message.retry_after_ms / 1000 * self.random.uniform(1, 1.25), self._ask)
            case m.Started():
                self.world.at(self.world.now, self._begin)
            case m.Done(reason=reason):
                heard = 0.0 if reason is m.DoneReason.CANCELLED else max(0.0, self._played_until - self.world.now)
                self._turn += 1
                self.world.at(self.world.now + heard + self.random.uniform(*PAUSE_SECONDS), self._ask)

    def frames(self, block, start: int, stop: int) -> None:
        now, seconds = self.world.now, (stop - start) * FRAME_MS / 1000
        self._played_until = max(now, self._played_until) + seconds

    def _ask(self) -> None:
        self.send(m.Start(context="c", audio=AUDIO))

    def _begin(self) -> None:
        said = answer(self.random)
        self._write(said, 0, self._turn)
        if said.interrupted_after is not None:
            turn = self._turn
            self.world.at(self.world.now + said.gaps[0] + said.interrupted_after, lambda: self._interrupt(turn))

    def _write(self, said: Answer, index: int, turn: int) -> None:
        def write() -> None:
            if self._turn != turn:
                return
            self.send(m.Text(context="c", text=said.tokens[index]))
            if index + 1 < len(said.tokens):
                self._write(said, index + 1, turn)
            else:
                self.send(m.End(context="c"))

        self.world.at(self.world.now + said.gaps[index], write)

    def _interrupt(self, turn: int) -> None:
        if self._turn == turn:
            self.send(m.Cancel(context="c"))

"""A session core under test: an engine that speaks at once, real audio pipelines, and what the client received."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.framing import FrameBlock, no_prefix
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.audio.samples import silence
from voxwire_server.engines.base import EngineInfo, StageInfo
from voxwire_server.ops.lexicons import Lexicons
from voxwire_server.session import effects as fx
from voxwire_server.session.core import SessionCore
from voxwire_server.session.ports import Identify, ResolvedVoice
from voxwire_server.session.quotas import ClientIdentity, MemoryAccounts
from voxwire_server.session.settings import SessionSettings
from voxwire_server.session.visemes import viseme_track_for
from voxwire_server.speech import Alignment, Voice, WordMark

RATE = 24000
SAMPLES_PER_CHAR = 1600

ENGINE = EngineInfo(
    name="harness",
    sample_rate=RATE,
    voices=(Voice("anna", "harness", ("en-us",)),),
    stages=(StageInfo("speak"),),
    realtime_factor=0.005,
)


@dataclass
class FakeDirectory:
    """One voice; `refusal` is raised instead of admitting; `lexicons` are the server's; `others` stand in for it."""

    refusal: VoxwireError | None = None
    lexicons: Lexicons = field(default_factory=Lexicons)
    others: tuple[ResolvedVoice, ...] = ()
    identify: Identify | None = None

    def speakers(self, beside):
        return [beside, *self.others]

    def reader_of(self, language):
        return next((each.voice for each in self.others if language in each.voice.languages), None)

    def identifier(self):
        if self.identify is None:
            raise VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, "languages can not be told apart")
        return self.identify

    def resolve(self, voice, language):
        if voice not in (None, "anna"):
            raise VoxwireError(ErrorCode.UNKNOWN_VOICE, f"there is no voice {voice!r}")
        return ResolvedVoice(ENGINE, ENGINE.voices[0], language or "en-us")

    def lexicon(self, names):
        return self.lexicons.select(names)

    def admit(self, engine, *, bulk, now, session, account):
        if self.refusal is not None:
            raise self.refusal


def spoken(text: str) -> tuple[np.ndarray, Alignment]:
    """A clause's audio: every character sounds for SAMPLES_PER_CHAR samples; words are what spaces part."""
    samples = np.full(len(text) * SAMPLES_PER_CHAR, 0.25, np.float32)
    words, start = [], 0
    for word in text.split(" "):
        end = start + len(word)
        if word:
            words.append(WordMark(word, start * SAMPLES_PER_CHAR, end * SAMPLES_PER_CHAR, (start, end)))
        start = end + 1
    return samples, Alignment(tuple(words))


@dataclass
class Frame:
    """One audio frame as sent."""

    number: int
    seq: int
    pts: int
    flags: int


@dataclass
class CoreHarness:
    """Drives a core by hand. `auto` lets the engine answer each request at once; else `speak_next` does."""

    auto: bool = True
    settings: SessionSettings = field(default_factory=SessionSettings)
    directory: FakeDirectory = field(default_factory=FakeDirectory)
    now: float = 1000.0
    name: str = "s"
    identity: ClientIdentity | None = None
    memory_accounts: MemoryAccounts | None = None

    def __post_init__(self):
        self.sent: list[m.ServerMessage | Frame] = []
        self.effects: list[fx.Effect] = []
        self.pipelines: dict[int, AudioPipeline] = {}
        self.pending: list[fx.Synthesise] = []
        self.spoken: list[str] = []
        self.closed: tuple[int, str] | None = None
        self.core = SessionCore(
            self.name, "t", self.settings, self.directory, lambda: 7, self.now, self.identity, self.memory_accounts
        )
        self.apply(self.core.open(self.now))

    # -- what happens -------------------------------------------------------------------------------------------

    def send(self, message: m.ClientMessage) -> None:
        self.apply(self.core.receive(message, self.now))

    def text(self, text: str, **fields) -> None:
        self.send(m.Text(text=text, **fields))

    def speak_next(self) -> None:
        """The engine finishes the oldest clause."""
        effect = self.pending.pop(0)
        spec = effect.spec
        self.spoken.append(spec.clause.text)
        samples, alignment = spoken(spec.clause.text)
        pipeline = self.pipelines.get(effect.serial)
        if pipeline is None:
            return
        chunks = pipeline.push(
            spec.index, samples, finished=True, ends_utterance=spec.ends_utterance, alignment=alignment
        )
        self.apply(self.core.produced(effect.serial, spec.index, chunks, self.now))

    def run(self, seconds: float) -> None:
        """Let time pass, ticking whenever the core wants it."""
        end = self.now + seconds
        while True:
            due = self.core.next_due(self.now)
            if due > end or self.core.closed:
                break
            assert due >= self.now - 1e-9 or due <= self.now, "due is a time"
            self.now = max(self.now, due) if due > self.now else self.now + 1e-4
            self.apply(self.core.tick(self.now))
        self.now = end

    def apply(self, effects: list[fx.Effect]) -> None:
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case fx.Send(message):
                    self.sent.append(message)
                case fx.SendFrames(block, start, stop):
                    self.sent += self._frames(block, start, stop)
                case fx.OpenPipeline():
                    track = viseme_track_for(effect.engine, effect.format) if effect.visemes else None
                    self.pipelines[effect.serial] = AudioPipeline(
                        effect.engine.sample_rate, effect.format, effect.number, no_prefix, track
                    )
                case fx.ClosePipeline(serial):
                    del self.pipelines[serial]
                case fx.Synthesise():
                    self.pending.append(effect)
                    if self.auto:
                        self.speak_next()
                case fx.EndUtterance(serial, index):
                    chunks = self.pipelines[serial].skip(index, ends_utterance=True)
                    self.apply(self.core.produced(serial, index, chunks, self.now))
                case fx.Silence(serial, spec):
                    samples = silence(spec.clause.pause_after, ENGINE.sample_rate)
                    chunks = self.pipelines[serial].push(spec.index, samples, finished=True, ends_utterance=False)
                    self.apply(self.core.produced(serial, spec.index, chunks, self.now))
                case fx.CancelSynthesis(serial):
                    self.pending = [each for each in self.pending if each.serial != serial]
                case fx.Close(code, reason):
                    self.closed = (code, reason)

    def _frames(self, block: FrameBlock, start: int, stop: int) -> list[Frame]:
        return [
            Frame(
                block.context_number,
                block.first_seq + i,
                block.first_pts + i * block.frame_samples,
                int(block.flags(i)),
            )
            for i in range(start, stop)
        ]

    # -- what came ------------------------------------------------------------------------------------------------

    def of(self, type_):
        """All messages of a type."""
        return [each for each in self.sent if isinstance(each, type_)]

    def last(self, type_):
        """The newest message of a type."""
        return self.of(type_)[-1]

    @property
    def frames(self) -> list[Frame]:
        return self.of(Frame)

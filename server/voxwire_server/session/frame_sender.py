"""Owns one context's audio until it is sent: has it encoded, sends frames and messages by the playout clock. Pure.

    add --PCM--------------------------> ready --send--> client
     |                                     ^
     +--Opus: raw --Encode--> `encoded` ---+

Messages are sent before the audio that they are about; the answer to a flush follows the utterance's last frame.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol.messages import Flushed
from voxwire_server.session import effects as fx
from voxwire_server.session.resume import message_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_protocol.messages import ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.session.clause_cutter import UtteranceEnd
    from voxwire_server.session.playout import Playout, UnderrunWatch
    from voxwire_server.session.settings import ContextSpec

ANSWERS_MAX = 16
ANSWERS_SECONDS = 0.005
"""At most so many flushes of a context are answered in so much time: tens of thousands can wait for one frame."""

FRAME_BYTES = 32
"""What an audio frame that is ready takes beside its samples: the headers, and its part of the block."""


@dataclass(slots=True)
class PendingMessage:
    """A message that must not be later than the audio at `pts`.

    `ttfa_from` is set for the first message of an utterance: when the text came that is heard from there on.
    """

    pts: int
    message: ServerMessage
    ttfa_from: float | None


@dataclass(slots=True)
class FrameCursor:
    """A block of frames and how many of them have been passed on."""

    block: FrameBlock
    cursor: int = 0

    @property
    def left(self) -> int:
        """Frames not passed on yet."""
        return self.block.count - self.cursor


@dataclass(slots=True, eq=False)
class FrameSender:
    """The frames and messages of one context that are to be sent. Times are in seconds on the clock of `now`."""

    spec: ContextSpec
    burst_frames: int
    playout: Playout
    underruns: UnderrunWatch
    emit: Callable[[fx.Effect], None]
    ready_frames: int = 0
    """Frames that can be sent as they are."""
    complete: bool = False
    """Whether everything has been sent up to the context's end."""
    ttfa_seconds: float | None = None
    """From the context's first text to its first audio; None before that."""
    _raw: deque[FrameCursor] = field(default_factory=deque)
    _ready: deque[FrameCursor] = field(default_factory=deque)
    _encoding: bool = False
    _messages: deque[PendingMessage] = field(default_factory=deque)
    _message_bytes: int = 0
    _ends: deque[tuple[int, UtteranceEnd]] = field(default_factory=deque)
    """Where utterances end (pts) whose flush is not answered."""
    _answers_at: float = -math.inf
    _answers_left: int = ANSWERS_MAX

    # -- what is to be sent -------------------------------------------------------------------------------------

    def add(self, block: FrameBlock, now: float) -> None:
        """Take frames that join on to those before."""
        playout = self.playout
        if playout.ready_pts == playout.sent_pts:
            self.underruns.ready_since = now
        playout.ready_pts += block.count * playout.frame_samples
        if self.spec.format.codec == "opus":
            self._raw.append(FrameCursor(block))
        else:
            self._append_ready(block)

    def encoded(self, block: FrameBlock) -> None:
        """Take the packets that an `Encode` effect asked for."""
        self._encoding = False
        self._append_ready(block)

    def _append_ready(self, block: FrameBlock) -> None:
        self._ready.append(FrameCursor(block))
        self.ready_frames += block.count

    def add_message(self, pending: PendingMessage) -> None:
        """Take a message that goes before its audio."""
        self._messages.append(pending)
        self._message_bytes += message_bytes(pending.message)

    def end_utterance(self, end: UtteranceEnd) -> None:
        """The audio taken so far is an utterance's last."""
        self._ends.append((self.playout.ready_pts, end))

    def clear(self) -> None:
        """Send nothing more."""
        self._ready.clear()
        self._raw.clear()
        self._messages.clear()

    # -- questions ----------------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether no frames wait to be encoded or sent."""
        return not (self._ready or self._raw or self._encoding)

    @property
    def encoding(self) -> bool:
        """Whether frames wait for the encoder."""
        return bool(self._raw) or self._encoding

    @property
    def answers_waiting(self) -> int:
        """Utterances whose audio is all here and whose flush is not answered."""
        return len(self._ends)

    @property
    def held_bytes(self) -> int:
        """What the frames and messages take in memory, about."""
        playout = self.playout
        sample_bytes = 1 if self.spec.format.codec in ("mulaw", "alaw") else 2
        samples = playout.ready_pts - playout.sent_pts
        return samples * sample_bytes + samples // playout.frame_samples * FRAME_BYTES + self._message_bytes

    @property
    def _owes_answers(self) -> bool:
        """Whether flushes are to be answered before anything else is sent."""
        return bool(self._ends) and self._ends[0][0] <= self.playout.sent_pts

    def next_due(self, now: float) -> float:
        """When `send` has something to do, if nothing else happens first; infinity: not before."""
        due = math.inf
        if not self.playout.writable:
            return due
        # Asked of every context at every message: most have nothing to send.
        send_at = self.playout.next_send_at(self.ready_frames) if self.ready_frames else None
        if send_at is not None:
            due = max(send_at, now)
        if self._owes_answers:
            due = min(due, max(now, self._answers_at + ANSWERS_SECONDS))
        return due

    # -- progress -----------------------------------------------------------------------------------------------

    def encode(self, now: float) -> None:
        """Keep two bursts of packets ahead of the sender; a later change of bitrate then takes effect soon."""
        playout = self.playout
        if self._encoding or not self._raw:
            return
        burst = max(1, self.burst_frames)
        if playout.paced and self.ready_frames >= 2 * burst:
            return
        head = self._raw[0]
        limit = burst // 2 if playout.origin is None and not self.ready_frames else 2 * burst
        stop = head.cursor + min(head.left, max(1, limit))
        self._encoding = True
        self.emit(fx.Encode(self.spec.serial, head.block, head.cursor, stop, self._due_at(head, now)))
        head.cursor = stop
        if not head.left:
            self._raw.popleft()

    def _due_at(self, head: FrameCursor, now: float) -> float:
        """When the next frame of a block has to leave."""
        playout = self.playout
        if playout.origin is None or not playout.paced:
            return now
        pts = head.block.first_pts + head.cursor * playout.frame_samples
        return playout.origin + pts / playout.sample_rate - playout.lead_seconds

    def send(self, now: float) -> None:
        """Send the frames that are due, and the messages and answers that belong to them."""
        playout = self.playout
        if not playout.writable:
            return
        pts = playout.sent_pts
        if now - self._answers_at >= ANSWERS_SECONDS:
            self._answers_at, self._answers_left = now, ANSWERS_MAX
        self._answer(pts, now)
        if self._owes_answers:
            return
        count = self._frames_due(now)
        if count:
            self._send_messages(pts + count * playout.frame_samples, now)
            playout.sent(count, now)
            self.underruns.end(now)
            self.ready_frames -= count
            self._send_frames(count, pts, now)
            self.encode(now)
        self._answer(playout.sent_pts, now)

    def _frames_due(self, now: float) -> int:
        """How many frames are sent now; none beyond a flush that can't be answered yet."""
        playout = self.playout
        count = playout.frames_due(now, self.ready_frames)
        if len(self._ends) > self._answers_left:
            count = min(count, (self._ends[self._answers_left][0] - playout.sent_pts) // playout.frame_samples)
        return count

    def _send_frames(self, count: int, pts: int, now: float) -> None:
        """Send `count` frames from `pts` on; the answer to a flush follows its utterance's last frame at once."""
        size = self.playout.frame_samples
        while count:
            head = self._ready[0]
            part = min(count, head.left)
            if self._ends:
                part = min(part, max(1, (self._ends[0][0] - pts) // size))
            self.emit(fx.SendFrames(head.block, head.cursor, head.cursor + part))
            head.cursor += part
            count -= part
            pts += part * size
            if not head.left:
                self._ready.popleft()
            self._answer(pts, now)

    def _answer(self, pts: int, now: float) -> None:
        """Answer the flushes whose utterances have been sent, which end at `pts` or before.

        What is left to say of them comes first: a mark behind the last word is known when the audio may be gone.
        """
        while self._answers_left and self._ends and self._ends[0][0] <= pts:
            self._answers_left -= 1
            end_pts, end = self._ends.popleft()
            self._send_messages(end_pts, now)
            if end.ends:
                self.complete = True
            else:
                seq = end_pts // self.playout.frame_samples - 1
                self.emit(fx.Send(Flushed(context=self.spec.name, id=end.flush_id, seq=seq if seq >= 0 else None)))

    def _send_messages(self, end_pts: int, now: float) -> None:
        """Send the messages about audio before `end_pts`."""
        while self._messages and self._messages[0].pts < end_pts:
            pending = self._messages.popleft()
            self._message_bytes -= message_bytes(pending.message)
            if pending.ttfa_from is not None:
                ttfa = now - pending.ttfa_from
                if self.ttfa_seconds is None:
                    self.ttfa_seconds = ttfa
                self.emit(fx.FirstAudio(self.spec.engine.name, ttfa))
            self.emit(fx.Send(pending.message))

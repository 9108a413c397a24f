"""Opus encoders (libopus, which releases the GIL), and the threads that run them, earliest deadline first.

Calls never wait. Among tasks that are due, accounts take turns: the account that used the threads least lately goes
first, so that an account with hundreds of contexts does not delay the frames of the others.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import logging
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from opuslib_next import APPLICATION_AUDIO, OpusError
from opuslib_next import api as opus_api
from opuslib_next.api import ctl
from opuslib_next.api import encoder as libopus

from voxwire_server.audio.framing import (
    FrameBlock,
    PacketBlock,
    RecordBlock,
    lookahead_samples,
    no_prefix,
    packet_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_protocol.messages import AudioFormat
    from voxwire_server.audio.framing import FrameBlock, Prefix

BITRATE_DEFAULT = 24_000
PACKET_BYTES_MAX = 4000
"""What the libopus manual recommends for one packet; at 60 ms and the highest bitrate it stays below."""


def _opus_encode() -> Any:
    """libopus' own encode function; the wrapper's copies each packet three times through Python objects."""
    function = opus_api.libopus["opus_encode"]
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32)
    function.restype = ctypes.c_int32
    return function


class OpusPackets:
    """A libopus encoder: mono 16-bit PCM in, one packet a frame. One call at a time, from any thread.

    libopus' application is "audio": it chooses CELT where the bitrate allows, at a third of the cost of "voip" and no
    further from the original (decisions/0004). Constrained variable bitrate, no DTX.
    """

    def __init__(self, sample_rate: int, bitrate: int, complexity: int = 5) -> None:
        assert 0 <= complexity <= 10
        self._encode = _opus_encode()
        self._packet = ctypes.create_string_buffer(PACKET_BYTES_MAX)
        self.state = libopus.create_state(sample_rate, 1, APPLICATION_AUDIO)
        weakref.finalize(self, libopus.destroy, self.state)
        self._pointer = ctypes.cast(self.state, ctypes.c_void_p)
        self.set_bitrate(bitrate)
        self._control(ctl.set_complexity, complexity)
        self._control(ctl.set_dtx, 0)
        self.lookahead_samples = int(libopus.encoder_ctl(self.state, ctl.get_lookahead))
        """How many samples the decoded signal lags behind."""

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at another bitrate, in bits a second."""
        self._control(ctl.set_bitrate, bitrate)

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame of little-endian samples.

        Raises:
            OpusError: libopus refused it.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
        return self.encode_at(samples.ctypes.data, len(samples))

    def encode_at(self, address: int, samples: int) -> bytes:
        """The packet of the frame that lies at `address`, in native byte order.

        Raises:
            OpusError: libopus refused it.
        """
        size = self._encode(self._pointer, address, samples, self._packet, PACKET_BYTES_MAX)
        if size < 0:
            raise OpusError(size)
        return ctypes.string_at(self._packet, size)

    def _control(self, request: Any, value: int) -> None:
        libopus.encoder_ctl(self.state, request, value)


class OpusStream:
    """One context's Opus encoder.

    Blocks must come in order, each frame once; one call of `encode` at a time, from any thread. `set_bitrate` may be
    called at any moment. The same frames and bitrates give the same packets.
    """

    def __init__(self, format: AudioFormat, complexity: int = 5, prefix: Prefix = no_prefix) -> None:
        assert format.codec == "opus"
        self._prefix = prefix
        self._frame_samples = int(format.frame_samples)
        self._lookahead_samples = lookahead_samples(format)
        self._bitrate = self._bitrate_wanted = format.bitrate or BITRATE_DEFAULT
        self.packets = OpusPackets(format.sample_rate, self._bitrate, complexity)

    @property
    def lookahead_samples(self) -> int:
        """How many samples the decoded signal lags behind the frames' pts, at the format's rate."""
        return self._lookahead_samples

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at another bitrate, in bits a second, from the next `encode` on."""
        self._bitrate_wanted = bitrate

    def encode(self, block: FrameBlock, start: int, stop: int) -> PacketBlock:
        """Frames [start, stop) of a PCM block as packets, with the same numbers, pts and flags.

        Raises:
            OpusError: libopus refused a frame or a bitrate.
        """
        assert isinstance(block, RecordBlock)
        assert block.codec == "pcm_s16le"
        assert block.frame_samples == self._frame_samples
        wanted = self._bitrate_wanted
        if wanted != self._bitrate:
            self.packets.set_bitrate(wanted)
            self._bitrate = wanted
        pcm = np.ascontiguousarray(block.payloads(start, stop)).view("<i2").astype(np.int16, copy=False)
        address, step = pcm.ctypes.data, pcm.strides[0]
        packets = [self.packets.encode_at(address + i * step, self._frame_samples) for i in range(stop - start)]
        return packet_block(block, start, stop, packets, self._prefix)


logger = logging.getLogger(__name__)

DUE_SECONDS = 0.05
"""A task is due from this many seconds before its first frame is to be sent; a few tasks of 5 ms may run before it."""

USE_HALF_LIFE_SECONDS = 2.0
DEFICIT_SECONDS_MAX = 0.05
"""Use counts half after USE_HALF_LIFE_SECONDS. An account counts as at most DEFICIT_SECONDS_MAX behind another one."""

ACCOUNTS_KEPT, FORGOTTEN_SECONDS = 64, 1e-3
"""With more accounts than ACCOUNTS_KEPT, those that used less than FORGOTTEN_SECONDS lately are forgotten."""

HANG_SECONDS = 30.0
"""A thread that has run one task for this long counts as hung and is replaced; a task takes milliseconds."""

DELIVER_SECONDS = 0.002
"""Results are delivered for about this long in one turn of the event loop."""


@dataclass(slots=True)
class EncodeTask:
    """Encode the frames [start, stop) of a PCM block; `done` gets the packets, or the error, on the loop.

    A stream's next task is submitted only after its last one is done, so a stream is never used by two threads.
    """

    stream: OpusStream
    block: FrameBlock
    start: int
    stop: int
    done: Callable[[FrameBlock | None, Exception | None], None]
    account: str = ""
    result: FrameBlock | None = field(default=None)
    error: Exception | None = field(default=None)


@dataclass(slots=True, eq=False)
class Encoder:
    """One thread, its task, and since when it is at it. `retired`: the thread was replaced, its result is dropped."""

    thread: threading.Thread | None = None
    task: EncodeTask | None = None
    since: float = 0.0
    retired: bool = False


class EncoderPool:
    """A few threads and a queue for each account. Callers bound the queues: each context has one task at a time.

    `look_after` has to be called regularly: it replaces threads that hang or died.
    """

    def __init__(
        self,
        wake: Callable[[Callable[[], None]], None],
        threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = wake
        self._clock = clock
        self._queues: dict[str, list[tuple[float, int, EncodeTask]]] = {}
        self._used: dict[str, tuple[float, float]] = {}
        self._order = itertools.count()
        self._finished: deque[EncodeTask] = deque()
        self._ready = threading.Condition()
        self._waking = False
        self._stopping = False
        self._numbers = itertools.count()
        self._encoders = [self._new_encoder() for _ in range(threads)]
        self.replaced = 0
        """Threads that were replaced so far."""
        self.hung = 0
        """Threads that hang now."""

    def start(self) -> None:
        """Start the threads."""
        for encoder in self._encoders:
            if encoder.thread is not None:
                encoder.thread.start()

    def stop(self) -> None:
        """Stop and join the threads but those that hang; what is queued is dropped."""
        with self._ready:
            self._stopping = True
            self._queues.clear()
            self._ready.notify_all()
            threads = [encoder.thread for encoder in self._encoders]
        for thread in threads:
            if thread is not None and thread.is_alive():
                thread.join()

    def submit(self, task: EncodeTask, deadline: float) -> None:
        """Queue a task; `deadline` is the moment at which its first frame is to be sent."""
        with self._ready:
            queue = self._queues.setdefault(task.account, [])
            heapq.heappush(queue, (deadline, next(self._order), task))
            self._ready.notify()

    def look_after(self) -> None:
        """Replace the threads that hang or died; their tasks fail."""
        with self._ready:
            now = self._clock()
            lost = [] if self._stopping else [each for each in self._encoders if _is_lost(each, now)]
            fresh = [self._replace(encoder) for encoder in lost]
            wake = any(encoder.task is not None for encoder in lost) and self._has_to_wake()
        for encoder in fresh:
            logger.error("an encoder thread hangs or died, and was replaced")
            if encoder.thread is not None:
                encoder.thread.start()
        if wake:
            self._wake(self._deliver)

    def _replace(self, encoder: Encoder) -> Encoder:
        encoder.retired = True
        self.replaced += 1
        if encoder.thread is not None and encoder.thread.is_alive():
            self.hung += 1
        if encoder.task is not None:
            # The thread may still write into its own task.
            task = encoder.task
            self._finished.append(
                EncodeTask(
                    task.stream,
                    task.block,
                    task.start,
                    task.stop,
                    task.done,
                    error=TimeoutError("the encoder does not answer"),
                )
            )
        self._encoders.remove(encoder)
        self._encoders.append(self._new_encoder())
        return self._encoders[-1]

    def _new_encoder(self) -> Encoder:
        encoder = Encoder()
        name = f"voxwire-encode-{next(self._numbers)}"
        encoder.thread = threading.Thread(target=self._work, args=(encoder,), name=name, daemon=True)
        return encoder

    def _work(self, encoder: Encoder) -> None:
        while True:
            with self._ready:
                while not self._queues and not self._stopping:
                    self._ready.wait()
                if self._stopping:
                    return
                encoder.since = self._clock()
                task = encoder.task = self._take(encoder.since)
            try:
                task.result = task.stream.encode(task.block, task.start, task.stop)
            except BaseException as error:
                task.error = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            with self._ready:
                encoder.task = None
                if encoder.retired:
                    self.hung -= 1
                    return
                self._charge(task, self._clock() - encoder.since)
                self._finished.append(task)
                waking = not self._has_to_wake()
            del task  # a thread that waits must not keep a session
            if not waking:
                self._wake(self._deliver)

    def _has_to_wake(self) -> bool:
        waking, self._waking = self._waking, True
        return not waking

    # -- fair use of the threads --------------------------------------------------------------------------------------

    def _take(self, now: float) -> EncodeTask:
        """The next task: the earliest. Where several accounts have due tasks: of the account with the least use."""
        heads = [(queue[0][:2], account) for account, queue in self._queues.items()]
        account = min(heads)[1]
        due = [(rank, each) for rank, each in heads if rank[0] <= now + DUE_SECONDS]
        if len(due) > 1:
            used = {each: self._seconds(each, now) for _, each in due}
            least = max(used.values()) - DEFICIT_SECONDS_MAX
            account = min((max(used[each], least), rank, each) for rank, each in due)[2]
            if used[account] < least:
                self._used[account] = least, now
        queue = self._queues[account]
        task = heapq.heappop(queue)[2]
        if not queue:
            del self._queues[account]
        # Counted in advance, so that several threads do not all take tasks of the same account.
        self._used[account] = self._seconds(account, now) + _guessed_seconds(task), now
        return task

    def _charge(self, task: EncodeTask, seconds: float) -> None:
        """Count the time a task took in place of the guess; forget accounts that used next to nothing lately."""
        now, account = self._clock(), task.account
        self._used[account] = max(0.0, self._seconds(account, now) + seconds - _guessed_seconds(task)), now
        if len(self._used) > ACCOUNTS_KEPT:
            self._used = {
                each: used for each, used in self._used.items() if self._seconds(each, now) > FORGOTTEN_SECONDS
            }

    def _seconds(self, account: str, now: float) -> float:
        seconds, at = self._used.get(account, (0.0, now))
        keep: float = 0.5 ** (max(0.0, now - at) / USE_HALF_LIFE_SECONDS)
        return seconds * keep

    # -- on the loop --------------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        ends_at = self._clock() + DELIVER_SECONDS
        while True:
            with self._ready:
                if not self._finished:
                    self._waking = False
                    return
                task = self._finished.popleft()
            try:
                task.done(task.result, task.error)
            except Exception as error:
                logger.error("a result could not be delivered: %s", type(error).__name__)
            if self._clock() >= ends_at:
                self._wake(self._deliver)
                return


def _is_lost(encoder: Encoder, now: float) -> bool:
    thread = encoder.thread
    died = thread is not None and thread.ident is not None and not thread.is_alive()
    return died or (encoder.task is not None and now - encoder.since > HANG_SECONDS)


def _guessed_seconds(task: EncodeTask) -> float:
    """What a task takes, about: 5 ms a second of audio of 20 ms a frame, at complexity 5."""
    return 1e-4 * (task.stop - task.start)

"""Plays 16-bit PCM through the sound card (extra `play`: miniaudio), and counts the samples that were played."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

BUFFER_MS = 60
DRAIN_GRACE_SECONDS = 5.0
"""How much longer than its audio lasts a sound card may take before it counts as stuck."""


class PlayerUnavailable(Exception):
    """There is no sound card, or the extra is missing."""


class Player:
    """A player of mono audio at `sample_rate`; silence where audio is missing. May be used from several threads.

    As a context manager it plays what is left when the block ends; after an exception it stops at once.

    Raises:
        PlayerUnavailable: there is no sound card, or miniaudio is not installed.
    """

    def __init__(self, sample_rate: int) -> None:
        try:
            import miniaudio
        except ImportError as error:
            raise PlayerUnavailable("to play audio: pip install 'voxwire[play]'") from error
        self.sample_rate = sample_rate
        self.buffer = PlayoutBuffer()
        try:
            self._device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.SIGNED16,
                nchannels=1,
                sample_rate=sample_rate,
                buffersize_msec=BUFFER_MS,
            )
        except miniaudio.MiniaudioError as error:
            raise PlayerUnavailable(f"no sound card: {error}") from error
        source = self._source()
        next(source)
        self._device.start(source)

    def write(self, payload: bytes) -> None:
        """Append samples."""
        self.buffer.write(payload)

    @property
    def played_samples(self) -> int:
        """Samples heard since the player was made or `drop` was called; the sound card's own buffer is subtracted."""
        latency = self.sample_rate * BUFFER_MS // 1000
        taken, waiting = self.buffer.taken_samples, self.buffer.waiting_samples
        return max(0, taken - latency) if waiting else taken

    def drop(self) -> int:
        """Forget what has not been played; returns `played_samples`, and counts from 0 again."""
        played = self.played_samples
        self.buffer.drop()
        return played

    def close(self, *, drain: bool = True) -> None:
        """Play what is left unless `drain` is false, and stop."""
        if drain:
            seconds = self.buffer.waiting_samples / self.sample_rate
            self.buffer.drained.wait(seconds + DRAIN_GRACE_SECONDS)
        self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drain=kind is None)

    def _source(self) -> Generator[bytes, int, None]:
        wanted_samples = yield b""
        while True:
            wanted_samples = yield self.buffer.take(wanted_samples)


class PlayoutBuffer:
    """Samples waiting for the sound card, whose own thread takes them."""

    def __init__(self) -> None:
        self.drained = threading.Event()
        self.drained.set()
        self.taken_samples = 0
        self._bytes = bytearray()
        self._lock = threading.Lock()

    @property
    def waiting_samples(self) -> int:
        """Samples that have not been taken."""
        return len(self._bytes) // 2

    def write(self, payload: bytes) -> None:
        """Append 16-bit samples."""
        with self._lock:
            self._bytes += payload
            if payload:
                self.drained.clear()

    def take(self, samples: int) -> bytes:
        """Exactly so many samples, silence where there are none left."""
        size = samples * 2
        with self._lock:
            part = bytes(self._bytes[:size])
            del self._bytes[:size]
            self.taken_samples += len(part) // 2
            if not part:
                # The call after the last sample was taken: the sound card has played what it had before.
                self.drained.set()
        return part + bytes(size - len(part))

    def drop(self) -> None:
        """Forget everything."""
        with self._lock:
            self._bytes.clear()
            self.taken_samples = 0
            self.drained.set()

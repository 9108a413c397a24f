"""Plays 16-bit PCM through the sound card (extra `play`: miniaudio). Tells what has been played."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

BUFFER_MS = 60


class PlayerUnavailable(Exception):
    """There is no sound card, or the extra is missing."""


class Player:
    """A player at `sample_rate`; silence where audio is missing. `close` waits until all was played."""

    def __init__(self, sample_rate: int) -> None:
        try:
            import miniaudio
        except ImportError as error:
            raise PlayerUnavailable("to play audio: pip install 'voxwire[play]'") from error
        self._samples = bytearray()
        self._lock = threading.Lock()
        self._drained = threading.Event()
        self._ending = False
        self.played_samples = 0
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
        with self._lock:
            self._samples += payload

    def drop(self) -> int:
        """Forget what has not been played; returns how many samples were."""
        with self._lock:
            self._samples.clear()
            return self.played_samples

    def close(self) -> None:
        """Play what is left, and stop."""
        self._ending = True
        self._drained.wait(60)
        self._device.close()

    def _source(self) -> Generator[bytes, int, None]:
        wanted = yield b""
        while True:
            size = wanted * 2
            with self._lock:
                part = bytes(self._samples[:size])
                del self._samples[:size]
            self.played_samples += len(part) // 2
            if self._ending and not part:
                self._drained.set()
            wanted = yield part + bytes(size - len(part))

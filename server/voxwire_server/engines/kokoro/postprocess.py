"""What the network says of a piece, as a chunk: marks at exact samples, silence cut to what its place wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.engines.common.alignment import align
from voxwire_server.engines.common.trimming import pause_samples, trim
from voxwire_server.speech import AudioChunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxwire_server.engines.kokoro.jobs import KokoroJob


def chunk_of(job: KokoroJob, samples: NDArray[np.float32], durations: NDArray[np.int64]) -> AudioChunk:
    """The chunk of the job's piece, which counts as spoken from now on; `durations` are in frames, one an id."""
    alignment = align(job.piece, durations, job.clause.text, job.samples)
    samples, alignment = trim(samples, alignment, job.samples, pause_samples(_text_after(job)))
    job.samples += len(samples)
    job.spoken += 1
    job.forget()
    return AudioChunk(samples, alignment)


def _text_after(job: KokoroJob) -> str:
    """What stands between the last word of the spoken piece and the first of the next, or the clause's end."""
    words = job.piece.words
    start = words[-1][1] if words else 0
    end = len(job.clause.text)
    if job.spoken + 1 < len(job.pieces) and job.pieces[job.spoken + 1].words:
        end = job.pieces[job.spoken + 1].words[0][0]
    return job.clause.text[start:end]

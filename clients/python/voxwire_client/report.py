"""Works out what a listener heard where the server can't tell, or tells only of the last part. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voxwire_client.seam import START, Seam
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from voxwire_client.transcript import Transcript


def own(context: str, transcript: Transcript, pts: int, end_pts: int | None, sent_seq: int | None) -> m.Cancelled:
    """What was heard up to `pts`, by the clauses and words that are known here."""
    heard, unheard = transcript.heard(pts, end_pts)
    return m.Cancelled(context=context, sent_seq=sent_seq, heard=heard, unheard=unheard)


def done(
    context: str,
    frames: int,
    samples: int,
    transcript: Transcript,
    reason: m.DoneReason = m.DoneReason.CANCELLED,
) -> m.Done:
    """The end of a context whose own did not come, with what was received of it."""
    return m.Done(context=context, reason=reason, frames=frames, samples=samples, chars=transcript.chars)


def shifted(message: m.Cancelled, seam: Seam, transcript: Transcript) -> m.Cancelled:
    """What a `cancelled` of a session says of the whole context, of which it had only the part behind the seam."""
    if seam == START:
        return message
    chars, text = seam.chars + message.heard.chars, transcript.text
    return replace(
        message,
        sent_seq=seam.seq - 1 if message.sent_seq is None else seam.seq + message.sent_seq,
        heard=replace(message.heard, pts=seam.pts + message.heard.pts, chars=chars, text=text[:chars]),
        unheard=m.Unheard(chars=len(text) - chars, text=text[chars:]),
    )

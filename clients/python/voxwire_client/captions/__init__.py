"""Captions of speech: what is said, as it stands in the text, in pieces that can be read while it is heard."""

from voxwire_client.captions.cue import Cue, Layout, Segment
from voxwire_client.captions.following import Captions
from voxwire_client.captions.record import SpeechRecord
from voxwire_client.captions.subtitles import SrtFormat, VttFormat

__all__ = ["Captions", "Cue", "Layout", "Segment", "SpeechRecord", "SrtFormat", "VttFormat"]

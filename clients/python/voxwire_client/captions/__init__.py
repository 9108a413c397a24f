"""Captions of speech: the text as it was sent, in cues that are shown while it is heard; subtitle and JSON files."""

from voxwire_client.captions.cue import Cue, Layout, Segment
from voxwire_client.captions.live_captions import Captions
from voxwire_client.captions.speech_record import SpeechRecord
from voxwire_client.captions.subtitles import SrtFormat, VttFormat

__all__ = ["Captions", "Cue", "Layout", "Segment", "SpeechRecord", "SrtFormat", "VttFormat"]

"""What the language model is told in plain text beside the audio tokens; ours, not the paper's.

Features and spans in, lines of text out. The paper's mixture (`mowe.model`) knows nothing of them.
"""

from mowe.hints.activity import SpeechActivity, load_activity
from mowe.hints.lines import spelled
from mowe.hints.subtitles import FORMATS, as_dict
from mowe.hints.transcript import Segment, Transcriber, Transcript, load_transcriber

__all__ = [
    "FORMATS",
    "Segment",
    "SpeechActivity",
    "Transcriber",
    "Transcript",
    "as_dict",
    "load_activity",
    "load_transcriber",
    "spelled",
]

"""What is handed to the language model as plain text beside the audio tokens; ours, not the paper's.

Features and spans in, lines of text out. Every hint can be switched off, and every answer says which
were given. The paper's mixture (`mowe.model`) knows nothing of them.
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

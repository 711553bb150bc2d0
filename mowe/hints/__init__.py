"""What the language model is told in plain text beside the audio tokens; ours, not the paper's.

Features and spans in, lines of text out. The paper's mixture (`mowe.model`) knows nothing of them.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from mowe.config import HintsConfig
from mowe.hints.activity import SpeechActivity, load_activity
from mowe.hints.lines import spelled
from mowe.hints.subtitles import FORMATS, as_dict
from mowe.hints.transcript import Segment, Transcriber, Transcript, load_transcriber

__all__ = [
    "FORMATS",
    "Hints",
    "Segment",
    "SpeechActivity",
    "Transcriber",
    "Transcript",
    "as_dict",
    "build_hints",
    "spelled",
]


class Hints(nn.Module):
    """The components that hear for the language model in words; none of them is trained here."""

    def __init__(self, transcriber: Transcriber | None, activity: SpeechActivity | None) -> None:
        """Take the components; None where the mixture has no such hint."""
        super().__init__()
        self.transcriber, self.activity = transcriber, activity


def build_hints(config: HintsConfig, folders: Mapping[str, Path | None], random_dim: int) -> Hints:
    """The components that a config names.

    Args:
        config: Their sources.
        folders: Where each source lies; one that is missing gets random weights.
        random_dim: Width of the frames that a decoder with random weights hears.

    Raises:
        WeightsError: If a folder is incomplete or does not fit.
    """
    transcript, activity = config.transcript, config.activity
    return Hints(
        load_transcriber(folders.get(transcript), random_dim) if transcript else None,
        load_activity(folders.get(activity)) if activity else None,
    )

"""What the language model is told in plain text beside the audio tokens; ours, not the paper's.

Features and spans in, lines of text out. The paper's mixture (`mowe.model`) knows nothing of them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.config import HintsConfig
from mowe.encoders import AudioEncoder
from mowe.hints.activity import WINDOW, SpeechActivity, load_activity
from mowe.hints.lines import spelled
from mowe.hints.subtitles import FORMATS, as_dict
from mowe.hints.transcript import LONGEST, Segment, Transcriber, Transcript, load_transcriber

_PADDED_SECONDS, _SILENCE_SECONDS = 10.0, 2.0  # s in all at least; s behind the sound at least

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

    def write(
        self,
        base_encoder: AudioEncoder,
        samples: Tensor,
        *,
        language: str = "",
        translate: bool = False,
    ) -> Iterator[Transcript]:
        """Write down a recording; see `Transcriber.write`. Without a transcriber nothing is said.

        The decoder needs silence behind a short sound, which a mixture need not be trained with:
        the base encoder hears the sound once more, padded (decision 0023).

        Args:
            base_encoder: Whose other half the decoder is.
            samples: At its sample rate, `(samples,)`.
            language: English name; empty takes the one that is heard first.
            translate: Into English.

        Raises:
            ValueError: If the language is unknown.
        """
        if self.transcriber is None:
            yield Transcript()
            return
        rate = base_encoder.sample_rate

        @torch.inference_mode()
        def encode(start: float, end: float) -> Tensor:
            part = samples[round(start * rate) : round(end * rate)]
            seconds = max(len(part) / rate + _SILENCE_SECONDS, _PADDED_SECONDS)
            missing = round(min(seconds, LONGEST) * rate) - len(part)
            padded = functional.pad(part, (0, max(missing, 0)))
            lengths = torch.tensor([len(padded)], device=padded.device)
            frames: Tensor = base_encoder(padded[None], lengths).frames
            return frames

        activity = torch.ones(-(-len(samples) // WINDOW))
        if self.activity is not None:
            activity = self.activity(samples).cpu()
        yield from self.transcriber.write(encode, activity, language=language, translate=translate)


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

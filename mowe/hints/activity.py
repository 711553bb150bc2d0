"""When somebody speaks: Silero's voice activity detector, for a whole recording at once.

The network of silero-vad 6 at 16 kHz: magnitudes of a short Fourier transform, four convolutions
and an LSTM over windows of 32 ms. Whisper's decoder writes something whatever it hears, so what is
no speech must be kept from it (decision 0023).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.encoders.loading import load_strictly, read_tensors

SAMPLE_RATE = 16_000  # Hz
WINDOW = 512  # samples a probability is of, 32 ms
WINDOW_SECONDS = WINDOW / SAMPLE_RATE
SPEECH = 0.5  # probability from which a window is speech
_CONTEXT = 64  # samples of the window before that each window is heard with
_FFT, _HOP = 256, 128  # samples
_BINS = _FFT // 2 + 1
_CHANNELS, _STRIDES = (_BINS, 128, 64, 64, 128), (1, 2, 2, 1)


class SpeechActivity(nn.Module):
    """Samples in, the probability of speech in every window of 32 ms out."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        self.transform = nn.Conv1d(1, 2 * _BINS, _FFT, stride=_HOP, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, 3, stride=stride, padding=1)
            for before, after, stride in zip(_CHANNELS[:-1], _CHANNELS[1:], _STRIDES, strict=True)
        )
        self.memory = nn.LSTM(_CHANNELS[-1], _CHANNELS[-1], batch_first=True)
        self.verdict = nn.Linear(_CHANNELS[-1], 1)

    @torch.inference_mode()
    def forward(self, samples: Tensor) -> Tensor:
        """Probabilities `(windows,)`, float32; the last window is filled up with silence.

        Args:
            samples: At 16 kHz, in [-1, 1], `(samples,)`.
        """
        missing = -len(samples) % WINDOW
        padded = functional.pad(samples, (_CONTEXT, missing))
        windows = padded.unfold(0, WINDOW + _CONTEXT, WINDOW).unsqueeze(1)
        windows = functional.pad(windows, (0, _CONTEXT), mode="reflect")
        real, imaginary = self.transform(windows).split(_BINS, dim=1)
        hidden = (real.square() + imaginary.square()).sqrt()  # (windows, bins, 4)
        for convolution in self.convolutions:
            hidden = functional.relu(convolution(hidden))  # (windows, channels, 1) in the end
        states, _ = self.memory(hidden[None, :, :, 0])
        probabilities: Tensor = torch.sigmoid(self.verdict(functional.relu(states[0])))[:, 0]
        return probabilities


def speech_seconds(probabilities: Tensor) -> float:
    """How much of a recording is speech, s."""
    return float((probabilities >= SPEECH).sum()) * WINDOW_SECONDS


def load_activity(folder: Path | None) -> SpeechActivity:
    """The detector, from a component's folder, or one with random weights.

    Raises:
        WeightsError: If the folder is incomplete or its tensors do not fit.
    """
    activity = SpeechActivity()
    if folder is not None:
        tensors = _renamed(read_tensors(folder))
        load_strictly(activity, tensors, "the voice activity detector")
    return activity.requires_grad_(False).eval()


def _renamed(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Silero's names and shapes as ours."""
    names = {"stft_conv": "transform", "final_conv": "verdict"}
    names |= {f"conv{number + 1}": f"convolutions.{number}" for number in range(len(_STRIDES))}
    tensors = {}
    for name, value in stored.items():
        module, _, field = name.partition(".")
        if module == "lstm_cell":
            tensors[f"memory.{field}_l0"] = value
        elif module == "final_conv" and field == "weight":
            tensors["verdict.weight"] = value[:, :, 0]
        else:
            tensors[f"{names.get(module, module)}.{field}"] = value
    return tensors

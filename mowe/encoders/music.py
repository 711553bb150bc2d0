"""What plays: the musiCNN tagger's frame features (Pons and Serra 2019, arXiv 1909.06654)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, frame_mask, zero_outside
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.encoders.mel import MelSettings, mel_spectrogram, reflect_pad
from mowe.errors import WeightsError

FILTERS = 204  # of each timbral shape
TEMPORAL_FILTERS = 51  # of each temporal length
MID_FILTERS = 64  # of each of the three layers behind the front-end
MEL = MelSettings(sample_rate=16_000, fft_size=512, hop=256, mels=96, high_hz=8_000)
_TIMBRAL_BANDS = (38, 67)  # mel bands that a timbral filter spans; it is 7 frames long
_TEMPORAL_FRAMES = (128, 64, 32)  # frames that a temporal filter spans; it is one band high
_EPS = 1e-3  # TensorFlow's batch norm


class MusicEncoder(AudioEncoder):
    """Timbral and temporal convolutions over log mel, then three dense layers; 62.5 Hz.

    A frame holds the front-end (561) and the three layers behind it (64 each), side by side.
    """

    def __init__(
        self,
        name: str,
        filters: int = FILTERS,
        temporal_filters: int = TEMPORAL_FILTERS,
        mid_filters: int = MID_FILTERS,
    ) -> None:
        front = len(_TIMBRAL_BANDS) * filters + len(_TEMPORAL_FRAMES) * temporal_filters
        super().__init__(
            name,
            dim=front + 3 * mid_filters,
            frames_per_second=MEL.sample_rate / MEL.hop,
            sample_rate=MEL.sample_rate,
        )
        self.input_norm = _FixedBatchNorm(1, _EPS)
        self.front = nn.ModuleList(
            [
                *(_FrontLayer(filters, 7, bands) for bands in _TIMBRAL_BANDS),
                *(_FrontLayer(temporal_filters, frames, 1) for frames in _TEMPORAL_FRAMES),
            ]
        )
        self.middle = nn.ModuleList(
            _MidLayer(width, mid_filters) for width in (front, mid_filters, mid_filters)
        )

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Front-end and mid-end features; see `AudioEncoder.encode`."""
        counts = 1 + lengths // MEL.hop
        mel = self._log_mel(waveforms, lengths)  # (batch, frames, bands)
        real = frame_mask(counts, mel.shape[1])
        mel = zero_outside(self.input_norm(mel.to(self.dtype)[:, None])[:, 0], real)
        front = torch.cat([layer(mel[:, None]) for layer in self.front], dim=1)
        first, second, third = self.middle
        one = first(front, real)  # (batch, mid_filters, frames)
        two = one + second(one, real)
        three = two + third(two, real)
        return torch.cat([front, one, two, three], dim=1).transpose(1, 2), counts

    def _log_mel(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        half = MEL.fft_size // 2
        energy = mel_spectrogram(reflect_pad(waveforms, lengths, half, half), MEL)
        return (1e4 * energy + 1.0).log10()


class _FixedBatchNorm(nn.Module):
    """Normalise channels by stored mean and variance; never looks at the batch, never updates."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        """Start as the identity.

        Args:
            channels: Size of axis 1.
            eps: Added to the variance; 1e-5 in PyTorch, 1e-3 in TensorFlow.
        """
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Same shape out as in, `(batch, channels, ...)`."""
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class _FrontLayer(nn.Module):
    """Convolution, ReLU, batch norm, then the maximum over frequency."""

    def __init__(self, filters: int, frames: int, bands: int) -> None:
        super().__init__()
        # an even kernel has one more zero behind than before, as TensorFlow's "same" padding
        self.padding = (0, 0, (frames - 1) // 2, frames // 2)
        self.conv = nn.Conv2d(1, filters, (frames, bands))
        self.norm = _FixedBatchNorm(filters, _EPS)

    def forward(self, mel: Tensor) -> Tensor:
        """`(batch, 1, frames, bands)` to `(batch, filters, frames)`."""
        found = self.norm(self.conv(functional.pad(mel, self.padding)).relu_())
        return found.float().amax(dim=3).to(found.dtype)  # a bf16 maximum is slow on a CPU


class _MidLayer(nn.Module):
    """Convolution over 7 frames and every channel, ReLU, batch norm."""

    def __init__(self, width: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, filters, 7, padding=3)
        self.norm = _FixedBatchNorm(filters, _EPS)

    def forward(self, features: Tensor, real: Tensor) -> Tensor:
        """`(batch, width, frames)` to `(batch, filters, frames)`; zero where not `real`, first."""
        features = features.masked_fill(~real[:, None], 0)
        return self.norm(self.conv(features).relu_())


def build(config: EncoderConfig, folder: Path | None) -> MusicEncoder:
    """A musiCNN encoder from a component folder, or random.

    `architecture` for random weights: {filters, temporal_filters, mid_filters}.

    Raises:
        WeightsError: If the folder's tensors do not fit.
    """
    if folder is None:
        return MusicEncoder(config.name, **config.architecture)
    encoder = built_on_meta(lambda: MusicEncoder(config.name))
    load_strictly(encoder, from_tensorflow(read_tensors(folder), encoder), config.name)
    return encoder


def from_tensorflow(tensors: Mapping[str, Tensor], encoder: MusicEncoder) -> dict[str, Tensor]:
    """TensorFlow's variables under this module's names; TF counts its layers in building order.

    Args:
        tensors: The checkpoint's variables; a kernel is `(frames, bands, in, out)`.
        encoder: Whose names to use.

    Raises:
        WeightsError: If a variable is missing; the message names it.
    """
    convs = [*(f"front.{i}" for i in range(len(encoder.front)))]
    convs += [f"middle.{i}" for i in range(len(encoder.middle))]
    found: dict[str, Tensor] = _batch_norm(tensors, 0, "input_norm")
    for place, ours in enumerate(convs):
        kernel = _variable(tensors, "conv2d", place, "kernel").permute(3, 2, 0, 1)
        if ours.startswith("middle"):
            kernel = kernel[:, 0].transpose(1, 2)  # its one "band" axis holds the channels
        found[f"{ours}.conv.weight"] = kernel.contiguous()
        found[f"{ours}.conv.bias"] = _variable(tensors, "conv2d", place, "bias")
        found |= _batch_norm(tensors, place + 1, f"{ours}.norm")
    return found


def _batch_norm(tensors: Mapping[str, Tensor], place: int, ours: str) -> dict[str, Tensor]:
    names = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    return {
        f"{ours}.{mine}": _variable(tensors, "batch_normalization", place, theirs)
        for mine, theirs in names.items()
    }


def _variable(tensors: Mapping[str, Tensor], layer: str, place: int, part: str) -> Tensor:
    name = f"{layer}_{place}/{part}" if place else f"{layer}/{part}"
    if name not in tensors:
        raise WeightsError(f"weights of musiCNN lack the variable {name!r}")
    return tensors[name]

"""What sounds: the aiSFX convolutional network for sound effects (Ma and Lerch, ISMIR 2022).

It was trained on 44.1 kHz recordings; sound brought up from 16 kHz leaves its upper bands empty.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, frame_mask
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.encoders.mel import MelSettings, mel_spectrogram
from mowe.errors import WeightsError

CHANNELS = (64, 128, 256, 512)  # of the four blocks
_POOLED = 8  # mel frames per output frame: three blocks halve the rate
_EPS = 1e-5  # of the batch norms
_KERNEL = re.compile(r"conv_block(\d)\.conv(\d)\.weight")
_KNOWN = re.compile(_KERNEL.pattern + r"|conv_block\d\.bn\d\.\w+")
_LOG_MEL_SCALE = 9.457798957824707  # highest log-mel value of the training sets
MEL = MelSettings(
    sample_rate=44_100,
    fft_size=2048,
    hop=1024,
    mels=96,
    high_hz=22_050,
    scale="htk",
    norm="sum",
)


class SoundEncoder(AudioEncoder):
    """Four blocks of 3x3 convolutions over log mel; frames at 5.4 Hz, averaged over frequency."""

    def __init__(self, name: str, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__(
            name,
            dim=channels[-1],
            frames_per_second=MEL.sample_rate / MEL.hop / _POOLED,
            sample_rate=MEL.sample_rate,
        )
        self.blocks = nn.ModuleList(_Block(*pair) for pair in pairwise((1, *channels)))

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding map averaged over frequency; see `AudioEncoder.encode`."""
        counts = (1 + lengths // MEL.hop).clamp_min(_POOLED)  # mel frames
        sound = self._log_mel(waveforms, int(counts.max())).to(self.dtype)[:, None]
        for block in self.blocks[:-1]:
            sound = functional.max_pool2d(block(sound, counts), 2)
            counts = counts // 2
        sound = self.blocks[-1](sound, counts)  # (batch, dim, frames, bands)
        return sound.mean(dim=3).transpose(1, 2), counts

    def _log_mel(self, waveforms: Tensor, frames: int) -> Tensor:
        """`(batch, frames, 96)`, each recording scaled to a peak of 1."""
        peak = waveforms.abs().amax(dim=1, keepdim=True)
        scaled = waveforms / torch.where(peak > 0, peak, 1.0)
        half = MEL.fft_size // 2
        samples = (frames - 1) * MEL.hop + half
        padded = functional.pad(scaled, (half, max(0, samples - waveforms.shape[1])))
        energy = mel_spectrogram(padded, MEL)[:, :frames]
        return (1e4 * energy + 1.0).log10() / _LOG_MEL_SCALE


class _Block(nn.Module):
    """Twice: 3x3 convolution (with its batch norm worked in), ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, sound: Tensor, counts: Tensor) -> Tensor:
        """`(batch, channels, frames, bands)`; frames past `counts` are silence to both layers."""
        outside = ~frame_mask(counts, sound.shape[2])[:, None, :, None]
        padded = bool(outside.any())
        for conv in (self.conv1, self.conv2):
            sound = conv(sound.masked_fill(outside, 0) if padded else sound).relu_()
        return sound


def build(config: EncoderConfig, folder: Path | None) -> SoundEncoder:
    """An aiSFX encoder from a component folder, or random with `architecture` {channels: 4 sizes}.

    Raises:
        WeightsError: If the folder's tensors do not fit.
    """
    if folder is None:
        return SoundEncoder(config.name, **config.architecture)
    encoder = built_on_meta(lambda: SoundEncoder(config.name))
    load_strictly(encoder, from_checkpoint(read_tensors(folder)), config.name)
    return encoder


def from_checkpoint(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published checkpoint under this module's names, each batch norm put into its convolution.

    A convolution followed by a batch norm with fixed statistics is one convolution with a bias;
    worked out in single precision it is faster, and more exact in bf16.

    Raises:
        WeightsError: If a batch norm lacks a part; the message names it.
    """
    rest = {key: value for key, value in tensors.items() if not _KNOWN.fullmatch(key)}
    for place in filter(None, map(_KERNEL.fullmatch, tensors)):
        norm = f"conv_block{place[1]}.bn{place[2]}."
        mean, variance = _part(tensors, norm + "running_mean"), _part(tensors, norm + "running_var")
        scale = _part(tensors, norm + "weight") / (variance + _EPS).sqrt()
        ours = f"blocks.{int(place[1]) - 1}.conv{place[2]}"
        rest[f"{ours}.weight"] = tensors[place[0]].float() * scale[:, None, None, None]
        rest[f"{ours}.bias"] = _part(tensors, norm + "bias") - mean * scale
    return rest


def _part(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise WeightsError(f"weights of aiSFX lack {name!r}")
    return tensors[name].float()

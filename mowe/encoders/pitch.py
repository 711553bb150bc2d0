"""How the voice or the melody moves: the FCPE pitch conformer (Luo et al. 2025, arXiv 2509.15140).

It hears prosody and melody. It was not trained on emotion and nothing here calls it that.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, frame_mask, valid_samples, zero_outside
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.encoders.mel import MelSettings, mel_spectrogram, reflect_pad

HIDDEN_DIM = 512
LAYERS = 6
LOWEST_HZ, HIGHEST_HZ = 32.7, 1975.5  # C1 to B6
_BINS = 360  # pitch classes, evenly spaced in cents between the two
_REFERENCE_HZ = 10.0  # where cents are counted from
_GROUPS = 4
_KERNEL = 31  # frames of the depthwise convolution
_FLOOR = 1e-5  # least magnitude before the logarithm
MEL = MelSettings(sample_rate=16_000, fft_size=1024, hop=160, mels=128, high_hz=8_000, power=1)
_PADDING = (MEL.fft_size - MEL.hop) // 2  # frames are not centred: 432 samples at each end


class PitchEncoder(AudioEncoder):
    """Six convolutional conformer layers over 128 log-mel bands; frames at 100 Hz."""

    lora_layers = ("expand", "contract")

    def __init__(self, name: str, hidden_dim: int = HIDDEN_DIM, layers: int = LAYERS) -> None:
        super().__init__(
            name,
            dim=hidden_dim,
            frames_per_second=MEL.sample_rate / MEL.hop,
            sample_rate=MEL.sample_rate,
        )
        self.conv_in = nn.Conv1d(MEL.mels, hidden_dim, 3, padding=1)
        self.group_norm = nn.GroupNorm(_GROUPS, hidden_dim)
        self.conv_hidden = nn.Conv1d(hidden_dim, hidden_dim, 3, padding=1)
        self.layers = nn.ModuleList(_ConformerLayer(hidden_dim) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, _BINS)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames behind the last layer norm; see `AudioEncoder.encode`."""
        counts = 1 + lengths // MEL.hop
        real = frame_mask(counts, int(counts.max()))
        mel = zero_outside(self._log_mel(waveforms, lengths, counts).to(self.dtype), real)
        hidden = self.conv_in(mel.transpose(1, 2))  # (batch, hidden_dim, frames)
        hidden = functional.leaky_relu(masked_group_norm(self.group_norm, hidden, real))
        hidden = self.conv_hidden(hidden.masked_fill(~real[:, None], 0)).transpose(1, 2)
        for layer in self.layers:
            hidden = hidden + layer(hidden, real)
        return self.norm(hidden), counts

    def pitch_hz(self, waveforms: Tensor, lengths: Tensor, threshold: float = 0.006) -> Tensor:
        """The fundamental frequency of each frame.

        The likeliest of 360 pitch classes, refined by the weighted mean in cents of the nine
        classes around it.

        Args:
            waveforms: At 16 kHz, `(batch, samples)`.
            lengths: Valid samples, `(batch,)`.
            threshold: Least probability that counts as a pitch, 0 to 1.

        Returns:
            Hz, `(batch, frames)` float32 at 100 Hz; 0 where there is no pitch.
        """
        waveforms, lengths = valid_samples(waveforms, lengths)
        hidden, counts = self.encode(waveforms, lengths)
        odds = self.head(hidden).float().sigmoid()  # (batch, frames, 360)
        confidence, best = odds.max(dim=-1, keepdim=True)
        around = torch.arange(-4, 5, device=odds.device)
        near = (best + around).clamp(0, _BINS - 1)
        weights = odds.gather(-1, near)
        cents = (_bin_cents(odds.device)[near] * weights).sum(-1) / weights.sum(-1)
        voiced = (confidence[..., 0] > threshold) & frame_mask(counts, odds.shape[1])
        return torch.where(voiced, _REFERENCE_HZ * 2 ** (cents / 1200), 0.0)

    def _log_mel(self, waveforms: Tensor, lengths: Tensor, counts: Tensor) -> Tensor:
        """`(batch, frames, 128)`; the last frame is heard twice, as in training."""
        padded = reflect_pad(waveforms, lengths, _PADDING, _PADDING)
        magnitude = mel_spectrogram(padded, MEL)
        last = (counts - 2).clamp(0, magnitude.shape[1] - 1)
        places = torch.arange(int(counts.max()), device=waveforms.device)
        source = places.minimum(last[:, None])[..., None].expand(-1, -1, MEL.mels)
        return magnitude.gather(1, source).clamp_min(_FLOOR).log()


class _ConformerLayer(nn.Module):
    """Layer norm, expansion with a gate, depthwise convolution in time, contraction."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.depthwise = nn.Conv1d(2 * dim, 2 * dim, _KERNEL, padding=_KERNEL // 2, groups=2 * dim)
        self.contract = nn.Linear(2 * dim, dim)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """`(batch, frames, dim)` in and out; frames that are not `real` count as zeros."""
        gated = zero_outside(functional.glu(self.expand(self.norm(hidden))), real)
        return self.contract(functional.silu(self._mixed_in_time(gated)))

    def _mixed_in_time(self, gated: Tensor) -> Tensor:
        """The depthwise convolution, as a flat image that already lies channels-last in memory.

        On a CPU this needs no copy and is many times faster than the one-dimensional call.
        """
        conv = self.depthwise
        image = gated.transpose(1, 2)[:, :, None]  # (batch, 2 dim, 1, frames)
        mixed = functional.conv2d(
            image, conv.weight[:, :, None], conv.bias, padding=(0, _KERNEL // 2), groups=conv.groups
        )
        return mixed[:, :, 0].transpose(1, 2)


def masked_group_norm(norm: nn.GroupNorm, values: Tensor, real: Tensor) -> Tensor:
    """Group norm whose mean and variance come from the real frames of each example only.

    Args:
        norm: The layer to follow.
        values: `(batch, channels, frames)`.
        real: `(batch, frames)` bool.

    Returns:
        `(batch, channels, frames)`; whatever stands behind the real frames has no meaning.
    """
    groups = values.float().unflatten(1, (norm.num_groups, -1))  # (batch, groups, each, frames)
    weight = real[:, None, None].float()
    heard = weight.sum((2, 3), keepdim=True) * groups.shape[2]
    mean = (groups * weight).sum((2, 3), keepdim=True) / heard
    variance = ((groups - mean).square() * weight).sum((2, 3), keepdim=True) / heard
    scaled = ((groups - mean) / (variance + norm.eps).sqrt()).flatten(1, 2).to(values.dtype)
    return scaled * norm.weight[:, None] + norm.bias[:, None]


def _bin_cents(device: torch.device) -> Tensor:
    edges = 1200 * torch.log2(torch.tensor([LOWEST_HZ, HIGHEST_HZ]) / _REFERENCE_HZ)
    return torch.linspace(float(edges[0]), float(edges[1]), _BINS, device=device)


def build(config: EncoderConfig, folder: Path | None) -> PitchEncoder:
    """An FCPE encoder from a component folder, or random, `architecture` {hidden_dim, layers}.

    Raises:
        WeightsError: If the folder's tensors do not fit.
    """
    if folder is None:
        return PitchEncoder(config.name, **config.architecture)
    encoder = built_on_meta(lambda: PitchEncoder(config.name))
    load_strictly(encoder, from_checkpoint(read_tensors(folder)), config.name)
    return encoder


_NAMES = {
    r"^input_stack\.0\.": "conv_in.",
    r"^input_stack\.1\.": "group_norm.",
    r"^input_stack\.3\.": "conv_hidden.",
    r"^net\.encoder_layers\.(\d+)\.conformer\.net\.0\.": r"layers.\1.norm.",
    r"^net\.encoder_layers\.(\d+)\.conformer\.net\.2\.": r"layers.\1.expand.",
    r"^net\.encoder_layers\.(\d+)\.conformer\.net\.4\.conv\.": r"layers.\1.depthwise.",
    r"^net\.encoder_layers\.(\d+)\.conformer\.net\.6\.": r"layers.\1.contract.",
    r"^output_proj\.": "head.",
}
# the tables are computed here in full precision; the norm belongs to an attention it never had
_UNUSED = re.compile(
    r"^(cent_table|gaussian_blurred_cent_mask|net\.encoder_layers\.\d+\.norm\..*)$"
)


def from_checkpoint(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published checkpoint under this module's names, its weight normalisation worked out."""
    found = {}
    for key, value in tensors.items():
        if _UNUSED.match(key):
            continue
        for theirs, ours in _NAMES.items():
            key = re.sub(theirs, ours, key)
        pointwise = ".expand." in key or ".contract." in key
        found[key] = value.squeeze(-1) if pointwise and value.ndim == 3 else value
    if {"head.weight_g", "head.weight_v"} <= found.keys():
        length, direction = found.pop("head.weight_g").float(), found.pop("head.weight_v").float()
        found["head.weight"] = length * functional.normalize(direction, dim=1)
    return found

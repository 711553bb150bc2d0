"""Mel spectrograms: one float32 front-end, set up differently by each family."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import GriffinLim, InverseMelScale

_NO_ROOT_OF_ZERO = 1e-9  # added to the energy before its root, whose slope at 0 is infinite


@dataclass(frozen=True, kw_only=True)
class MelSettings:
    """One family's spectrogram, as it was trained."""

    sample_rate: int  # Hz
    fft_size: int  # samples; also the length of the periodic Hann window
    hop: int  # samples between frames
    mels: int  # bands
    high_hz: float  # upper edge of the highest band
    low_hz: float = 0.0  # lower edge of the lowest band
    scale: str = "slaney"  # mel formula: `slaney` or `htk`
    norm: str | None = "slaney"  # `slaney`: each filter has unit area in Hz; `sum`: sums to 1
    power: int = 2  # 2 energy, 1 magnitude


def mel_spectrogram(waveforms: Tensor, settings: MelSettings) -> Tensor:
    """Energy (or magnitude) per mel band; windows are not centred, pad before where they should be.

    Args:
        waveforms: float32, at least `fft_size` samples, `(batch, samples)`.
        settings: The family's spectrogram.

    Returns:
        `(batch, frames, mels)` float32 with `1 + (samples - fft_size) // hop` frames.
    """
    spectrum = torch.stft(
        waveforms,
        settings.fft_size,
        settings.hop,
        window=_hann_window(settings.fft_size, waveforms.device),
        center=False,
        return_complex=True,
    )  # (batch, bins, frames)
    energy = torch.view_as_real(spectrum).square().sum(-1)
    if settings.power == 1:
        energy = (energy + _NO_ROOT_OF_ZERO).sqrt()
    return energy.transpose(1, 2) @ mel_filters(settings, waveforms.device)


def reflect_pad(waveforms: Tensor, lengths: Tensor, before: int, after: int) -> Tensor:
    """Mirror each example at its own two ends, whatever the padding of the batch.

    Examples too short to be mirrored that far are extended with zeros first.

    Args:
        waveforms: Zero behind each example's length, `(batch, samples)`.
        lengths: Valid samples, `(batch,)`.
        before: Samples to mirror at the start.
        after: Samples to mirror at each example's own end.

    Returns:
        `(batch, before + samples + after)`, zero behind each example's mirrored end.
    """
    lengths = lengths.clamp_min(max(before, after) + 1)
    samples = max(int(lengths.max()), waveforms.shape[1])
    padded = functional.pad(waveforms, (before, samples - waveforms.shape[1] + after))
    places = torch.arange(-before, samples + after, device=waveforms.device)
    last = lengths[:, None] - 1
    source = last - (places.abs() - last).abs()  # a mirror at 0 and one at each last sample
    beyond = places > last + after
    return padded.gather(1, source.clamp_min(0) + before).masked_fill(beyond, 0)


def band_hertz(settings: MelSettings) -> Tensor:
    """Where each band lies: the centroid of its filter in Hz, `(mels,)` float32, ascending."""
    filters = mel_filters(settings, torch.device("cpu"))  # (bins, mels)
    hertz = torch.linspace(0, settings.sample_rate / 2, len(filters))
    return hertz @ filters / filters.sum(dim=0)


def mel_to_audio(
    energy: Tensor, settings: MelSettings, *, iterations: int = 64, seed: int = 0
) -> Tensor:
    """A sound with about these mel energies; its phase is made up, so it is one of many.

    Args:
        energy: Mel energies (`settings.power` 2), one example, `(frames, mels)`.
        settings: How they would be computed from a sound.
        iterations: Rounds of Griffin and Lim.
        seed: Of the first phase.

    Returns:
        `(frames * hop,)` float32 on the CPU.

    Source:
        Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform",
        through torchaudio, after a least-squares inverse of the filter bank.
    """
    energy = energy.detach().float().cpu()
    energy = torch.cat([energy, energy[-1:]]).T  # the frame around the last sample
    filters = mel_filters(settings, energy.device)
    to_bins = InverseMelScale(*filters.shape, settings.sample_rate)
    to_bins.fb = filters  # those of the way there, whatever their scale and norm
    samples = (energy.shape[1] - 1) * settings.hop
    to_sound = GriffinLim(
        settings.fft_size, iterations, hop_length=settings.hop, power=2.0, length=samples
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        sound: Tensor = to_sound(to_bins(energy))
    return sound


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def mel_filters(settings: MelSettings, device: torch.device) -> Tensor:
    """The filter bank, `(bins, mels)` float32; kept out of the module, whose dtype may be bf16."""
    with torch.device("cpu"):
        filters = melscale_fbanks(
            settings.fft_size // 2 + 1,
            settings.low_hz,
            settings.high_hz,
            settings.mels,
            settings.sample_rate,
            norm="slaney" if settings.norm == "slaney" else None,
            mel_scale=settings.scale,
        )
    if settings.norm == "sum":
        filters = filters / filters.sum(dim=0, keepdim=True)
    return filters.to(device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _hann_window(samples: int, device: torch.device) -> Tensor:
    return torch.hann_window(samples, device=device)

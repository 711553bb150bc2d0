"""Resampling and the mel picture, both through torchaudio."""

import math
from fractions import Fraction

import numpy as np
import torch
from torchaudio import functional, transforms

SAMPLE_RATE = 16_000  # Hz; what the base encoder hears

# Zero crossings on each side of torchaudio's windowed sinc (decision 0002). From 48 to 16 kHz its
# default of 6 takes 1.8 dB off a 7 kHz tone and lets 9 kHz through at -17 dB; 16 takes nothing off,
# lets -46 dB through, and costs the same time.
SINC_WIDTH = 16
SINC_ROLLOFF = 0.99  # of half the smaller rate, where the low-pass begins
BLOCK_SAMPLES = 2**22  # converted at a time: half an hour in one go takes 2 GB more
# torchaudio's kernel has one row per step of the reduced ratio: 16000 rows for 44101 Hz, gigabytes.
# A near ratio moves pitch and time by less than 3e-4, for odd rates only.
MAX_RATIO_STEPS = 2000

MEL_BANDS = 80
MEL_WINDOW = 400  # samples, 25 ms
MEL_HOP = 160  # samples, 10 ms
MEL_RANGE = 8.0  # powers of ten kept below the loudest point


def resample(samples: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """The same sound at another rate, low-passed below half of the smaller of the two.

    Args:
        samples: `(samples,)` float32.
        source_rate: Hz.
        target_rate: Hz.

    Returns:
        `(ceil(samples * target_rate / source_rate),)` float32, a few less or more for odd rates.

    Source:
        J. O. Smith, "Digital Audio Resampling Home Page", through `torchaudio.functional.resample`.
    """
    if source_rate == target_rate:
        return samples
    steps_in, steps_out = tabulated_ratio(source_rate, target_rate)
    # whole steps on each side that the filter reaches into
    context = math.ceil(SINC_WIDTH * max(1.0, steps_in / steps_out) / SINC_ROLLOFF / steps_in)
    block = max(1, BLOCK_SAMPLES // steps_in)
    pieces = []
    for first in range(0, math.ceil(len(samples) / steps_in), block):
        start = max(0, first - context)
        part = samples[start * steps_in : (first + block + context) * steps_in]
        skipped = (first - start) * steps_out
        converted = _convert(part, steps_in, steps_out)
        pieces.append(converted[skipped : skipped + block * steps_out])
    return np.concatenate(pieces)


def log_mel(samples_16k: np.ndarray) -> np.ndarray:
    """A mel spectrogram to look at, scaled as Whisper scales what it hears.

    Args:
        samples_16k: `(samples,)` float32 at 16 kHz, at least one window (25 ms).

    Returns:
        `(mels, frames)` float32, 80 bands at 100 frames a second; no point is more than 2 (8 powers
        of ten) below the loudest.

    Raises:
        ValueError: If `samples_16k` is not one-dimensional or shorter than a window.

    Source:
        Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", 2.2.
    """
    if samples_16k.ndim != 1 or len(samples_16k) < MEL_WINDOW:
        raise ValueError(
            f"samples must be one axis of at least {MEL_WINDOW}, got {samples_16k.shape}"
        )
    to_mel = transforms.MelSpectrogram(
        SAMPLE_RATE,
        n_fft=MEL_WINDOW,
        hop_length=MEL_HOP,
        n_mels=MEL_BANDS,
        norm="slaney",
        mel_scale="slaney",
    )
    power = to_mel(torch.from_numpy(samples_16k))[:, :-1]  # (mels, frames); Whisper drops the last
    levels = power.clamp_min(1e-10).log10()
    levels = levels.clamp_min(levels.max().item() - MEL_RANGE)
    picture: np.ndarray = ((levels + 4) / 4).numpy()
    return picture


def _convert(samples: np.ndarray, steps_in: int, steps_out: int) -> np.ndarray:
    with torch.inference_mode():
        converted = functional.resample(
            torch.from_numpy(samples),
            steps_in,
            steps_out,
            lowpass_filter_width=SINC_WIDTH,
            rolloff=SINC_ROLLOFF,
        )
    result: np.ndarray = converted.numpy()
    return result


def tabulated_ratio(source_rate: int, target_rate: int) -> tuple[int, int]:
    """Samples in and samples out of one step, or the nearest pair that torchaudio can tabulate."""
    ratio = Fraction(target_rate, source_rate)
    if ratio < 1:
        near = ratio.limit_denominator(MAX_RATIO_STEPS)
    else:
        near = 1 / (1 / ratio).limit_denominator(MAX_RATIO_STEPS)
    return near.denominator, near.numerator

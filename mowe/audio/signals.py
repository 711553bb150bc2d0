"""Resampling, and the mel picture; only the picture takes torch along."""

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

SAMPLE_RATE = 16_000  # Hz; what the base encoder hears

# Zero crossings on each side of the windowed sinc (decision 0002). From 48 to 16 kHz 6 of them take
# 1.8 dB off a 7 kHz tone and let 9 kHz through at -17 dB; 16 take nothing off and let -46 dB by.
SINC_WIDTH = 16
SINC_ROLLOFF = 0.99  # of half the smaller rate, where the low-pass begins
# The filter has one row per step of the reduced ratio: 16000 rows for 44101 Hz.
# A near ratio moves pitch and time by less than 3e-4, for odd rates only.
MAX_RATIO_STEPS = 2000
MIN_ROWS = 64  # samples that come out of a step, so that it is worth a matrix product
GROUP_ROWS = 32  # rows that share a product: neighbours reach for nearly the same samples
# Multiplications at a time. The BLAS beneath numpy shares a larger product among threads, whose
# meeting takes longer than the product where the processor is busy.
PRODUCT = 2**18
BLOCK_SAMPLES = 2**16  # taken at a time from what is there as a whole

MEL_BANDS = 80
MEL_WINDOW = 400  # samples, 25 ms
MEL_HOP = 160  # samples, 10 ms
MEL_RANGE = 8.0  # powers of ten kept below the loudest point


class Resampler:
    """Brings a sound to another rate while its blocks come.

    What comes out does not depend on how the sound was cut into blocks.

    Source:
        J. O. Smith, "Digital Audio Resampling Home Page"; the filter is that of
        `torchaudio.functional.resample`.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        """Prepare to go from `source_rate` to `target_rate`, Hz."""
        self._filter = _sinc_filter(source_rate, target_rate)
        steps = PRODUCT // max(rows.weights.size for rows in self._filter.groups)
        self._advance = max(1, steps) * self._filter.steps_in
        self._waiting = np.zeros(self._filter.reach, np.float32)  # silence before the first sample
        self._taken = self._given = 0

    def add(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Take `(samples,)` float32, and yield what is known of the result so far."""
        self._taken += len(samples)
        waiting = np.concatenate([self._waiting, samples])
        block = self._advance + 2 * self._filter.reach
        start = 0
        while len(waiting) - start >= block:
            yield self._convert(waiting[start : start + block])
            start += self._advance
        self._waiting = waiting[start:].copy()

    def finish(self) -> Iterator[np.ndarray]:
        """Yield the rest; silence follows the last sample."""
        rest = self.length(self._taken) - self._given
        if rest > 0:
            silence = np.zeros(self._filter.steps_in + self._filter.reach, np.float32)
            yield self._convert(np.concatenate([self._waiting, silence]))[:rest]

    def length(self, samples: int) -> int:
        """How many samples come out where so many go in."""
        return math.ceil(samples * self._filter.steps_out / self._filter.steps_in)

    def _convert(self, samples: np.ndarray) -> np.ndarray:
        converted = self._filter.apply(samples)
        self._given += len(converted)
        return converted


def resample(samples: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """The same sound at another rate, low-passed below half of the smaller of the two.

    Args:
        samples: `(samples,)` float32.
        source_rate: Hz.
        target_rate: Hz.

    Returns:
        `(ceil(samples * target_rate / source_rate),)` float32, a few less or more for odd rates.
    """
    if source_rate == target_rate:
        return samples
    length = Resampler(source_rate, target_rate).length(len(samples))
    converted = np.empty(length, np.float32)
    filled = 0
    for block in resampled_blocks(samples, source_rate, target_rate):
        converted[filled : filled + len(block)] = block
        filled += len(block)
    return converted


def resampled_blocks(
    samples: np.ndarray, source_rate: int, target_rate: int
) -> Iterator[np.ndarray]:
    """What `resample` returns, block by block."""
    if source_rate == target_rate:
        starts = range(0, len(samples), BLOCK_SAMPLES)
        yield from (samples[start : start + BLOCK_SAMPLES] for start in starts)
        return
    resampler = Resampler(source_rate, target_rate)
    for start in range(0, len(samples), BLOCK_SAMPLES):
        yield from resampler.add(samples[start : start + BLOCK_SAMPLES])
    yield from resampler.finish()


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
    import torch
    from torchaudio import transforms

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


def tabulated_ratio(source_rate: int, target_rate: int) -> tuple[int, int]:
    """Samples in and samples out of one step, or the nearest pair that torchaudio can tabulate."""
    ratio = Fraction(target_rate, source_rate)
    if ratio < 1:
        near = ratio.limit_denominator(MAX_RATIO_STEPS)
    else:
        near = 1 / (1 / ratio).limit_denominator(MAX_RATIO_STEPS)
    return near.denominator, near.numerator


class _Rows(NamedTuple):
    """Neighbouring samples that come out of a step, and what they are made of."""

    first: int  # of the step's samples
    weights: np.ndarray  # (samples, rows) float32


class _Filter(NamedTuple):
    """A windowed sinc, tabulated for one step of the ratio."""

    steps_in: int  # samples
    steps_out: int
    reach: int  # samples that a step needs before its first, and behind its last
    groups: tuple[_Rows, ...]

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """Every whole step in `(samples,)` float32, which begin `reach` before the first step."""
        length = self.steps_in + 2 * self.reach
        windows = np.lib.stride_tricks.sliding_window_view(samples, length)
        steps = windows[:: self.steps_in]  # (steps, length)
        pieces = [
            np.ascontiguousarray(steps[:, rows.first : rows.first + len(rows.weights)])
            @ rows.weights
            for rows in self.groups
        ]
        return np.concatenate(pieces, axis=1).reshape(-1)


@lru_cache(maxsize=16)
def _sinc_filter(source_rate: int, target_rate: int) -> _Filter:
    steps_in, steps_out = tabulated_ratio(source_rate, target_rate)
    many = math.ceil(MIN_ROWS / steps_out)
    steps_in, steps_out = many * steps_in, many * steps_out
    cutoff = SINC_ROLLOFF * min(1.0, steps_out / steps_in)  # in zero crossings a source sample
    reach = math.ceil(SINC_WIDTH / cutoff)
    groups = []
    for row in range(0, steps_out, GROUP_ROWS):
        places = np.arange(row, min(row + GROUP_ROWS, steps_out)) * steps_in / steps_out
        first = math.floor(places[0]) - reach
        samples = np.arange(first, min(math.floor(places[-1]), steps_in - 1) + reach + 1)
        crossings = np.clip((samples[:, None] - places) * cutoff, -SINC_WIDTH, SINC_WIDTH)
        window = np.cos(crossings * np.pi / SINC_WIDTH / 2) ** 2  # Hann
        weights = np.sinc(crossings) * window * cutoff
        groups.append(_Rows(first + reach, weights.astype(np.float32)))
    return _Filter(steps_in, steps_out, reach, tuple(groups))

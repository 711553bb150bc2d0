"""A decoded recording, its windows, and the account of what was done to it."""

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mowe.audio.limits import duration
from mowe.audio.signals import SAMPLE_RATE, resample, resampled_blocks

MIN_SECONDS = 1.0  # s; anything shorter is padded with silence to this
MIN_TAIL_SECONDS = 0.5  # s; a shorter last window shares with the one before it

FULL_SCALE = 2**15  # of 16-bit samples

CHANNEL_NAMES = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Treatment:
    """What a recording was, and what was done to it before a model hears it."""

    source_rate: int  # Hz
    source_channels: int
    source_seconds: float  # s, before padding
    resampled: bool  # to 16 kHz, for the base encoder
    downmixed: bool  # the mean of the channels
    padded_seconds: float  # s of silence added at the end
    peak: float  # largest absolute sample of the mono mix, 1 is full scale
    notes: tuple[str, ...]  # anything else a listener should know

    def sentence(self, windows: int = 1, window_seconds: float = 0.0) -> str:
        """One plain line for people.

        Args:
            windows: How many windows the recording was cut into.
            window_seconds: Their length, s; said only when there are several.
        """
        parts = [f"{self._source()}, {self._conversion()}"]
        if self.padded_seconds >= 0.001:  # less is rounding of odd rates
            whole = duration(self.source_seconds + self.padded_seconds)
            parts.append(f"{duration(self.source_seconds)} padded with silence to {whole}")
        if windows > 1:
            parts.append(f"cut into {windows} windows of {duration(window_seconds)}")
        return "; ".join([*parts, *self.notes]) + "."

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return {**dataclasses.asdict(self), "notes": list(self.notes)}

    def _source(self) -> str:
        channels = CHANNEL_NAMES.get(self.source_channels, f"{self.source_channels} channels")
        return f"{self.source_rate / 1000:g} kHz {channels}"

    def _conversion(self) -> str:
        if self.downmixed:
            mixed = ["mixed to mono"]
        else:
            mixed = ["of which one is used"] if self.source_channels > 1 else []
        converted = [f"resampled to {SAMPLE_RATE / 1000:g} kHz"] if self.resampled else []
        return " and ".join(mixed + converted) or "used as it is"


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono samples of one recording; its arrays are shared, not to be written."""

    name: str  # for people; never a path
    stored: np.ndarray  # (samples,) float32 in [-1, 1], or int16 steps where it is compact
    sample_rate: int  # Hz
    content_hash: str  # what caches are keyed by
    treatment: Treatment
    path: Path | None = None
    step: float = 1.0  # what one unit of `stored` is worth, full scale is 1

    @property
    def samples(self) -> np.ndarray:
        """`(samples,)` float32 in [-1, 1]; made anew from a compact recording."""
        return _as_float(self.stored, self.step)

    @property
    def seconds(self) -> float:
        """Length including padding, s."""
        return len(self.stored) / self.sample_rate

    @property
    def bytes_held(self) -> int:
        """Bytes of all arrays it holds; `at` and `window` never add to them."""
        return self.stored.nbytes

    def compact(self) -> "Recording":
        """The same recording at 16 kHz or less with 16 bits a sample, as a conversation keeps it.

        A step is a power of two fitted to the peak: 16-bit sounds stay what they are, and quiet
        ones keep their resolution. What identifies and describes the recording stays.
        """
        if self.stored.dtype == np.int16 and self.sample_rate <= SAMPLE_RATE:
            return self
        rate = min(self.sample_rate, SAMPLE_RATE)
        samples = self.samples
        step = _fitting_step(samples)
        blocks = resampled_blocks(samples, self.sample_rate, rate)  # the whole would be four times
        stored = np.concatenate([_in_steps(block, step) for block in blocks])  # what is kept
        return dataclasses.replace(self, stored=stored, sample_rate=rate, step=step)

    def at(self, sample_rate: int) -> np.ndarray:
        """The samples at another rate (Hz), `(samples,)` float32; converted at every call."""
        return resample(self.samples, self.sample_rate, sample_rate)

    def window(self, start_seconds: float, end_seconds: float) -> "Recording":
        """The part between two times, padded like any short recording.

        Args:
            start_seconds: From here, s.
            end_seconds: To here, s; the end of the recording when that comes first.

        Raises:
            ValueError: If no sample lies between them.
        """
        start = round(max(start_seconds, 0.0) * self.sample_rate)
        end = min(round(end_seconds * self.sample_rate), len(self.stored))
        if start >= end:
            raise ValueError(
                f"a window of {self.name} must lie within 0 to {self.seconds} s,"
                f" got {start_seconds} to {end_seconds}"
            )
        if (start, end) == (0, len(self.stored)):
            return self
        # a copy: a view would keep the whole recording in memory
        part = _as_float(self.stored[start:end].copy(), self.step)
        samples, padded_seconds = pad_short(part, self.sample_rate)
        return Recording(
            name=self.name,
            stored=samples,
            sample_rate=self.sample_rate,
            content_hash=hash_samples(samples, self.sample_rate),
            treatment=dataclasses.replace(
                self.treatment,
                source_seconds=(end - start) / self.sample_rate,
                padded_seconds=padded_seconds,
            ),
            path=self.path,
        )

    def windows(self, seconds: float) -> list[tuple[float, float]]:
        """Start and end (s) of consecutive windows that together hold every sample.

        Args:
            seconds: Greatest length of a window, above 0.5 s; an encoder may have no positions for
                more. A last window under 0.5 s and the one before it share their time equally.

        Raises:
            ValueError: If `seconds` is 0.5 or less.
        """
        if seconds <= MIN_TAIL_SECONDS:
            raise ValueError(f"windows must be longer than {MIN_TAIL_SECONDS} s, got {seconds}")
        count = max(1, math.ceil(self.seconds / seconds - 1e-9))
        starts = [index * seconds for index in range(count)]
        if count > 1 and self.seconds - starts[-1] < MIN_TAIL_SECONDS:
            starts[-1] = (starts[-2] + self.seconds) / 2
        return list(zip(starts, [*starts[1:], self.seconds], strict=True))


def pad_short(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Samples `(samples,)` followed by silence up to one second, and the seconds of it."""
    missing = round(MIN_SECONDS * sample_rate) - len(samples)
    if missing <= 0:
        return samples, 0.0
    return np.pad(samples, (0, missing)), missing / sample_rate


def hash_samples(samples: np.ndarray, sample_rate: int) -> str:
    """Sha256 (hex) of samples and rate: equal sounds are equal whatever the file was called."""
    digest = hashlib.sha256(f"{sample_rate}:".encode())
    digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


def _as_float(stored: np.ndarray, step: float) -> np.ndarray:
    """Stored samples as float32; those that are need no copy."""
    return stored if stored.dtype == np.float32 else stored.astype(np.float32) * np.float32(step)


def _in_steps(samples: np.ndarray, step: float) -> np.ndarray:
    """`(samples,)` as int16 multiples of `step`."""
    steps = np.rint(samples / np.float32(step))
    return np.clip(steps, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _fitting_step(samples: np.ndarray) -> float:
    """The smallest power of two that brings the peak of `(samples,)` into 16 bits."""
    peak = max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))
    return 2.0 ** max(math.ceil(math.log2(peak)), -100) / FULL_SCALE if peak else 1 / FULL_SCALE

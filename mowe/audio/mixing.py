"""Blocks of any number of channels to one mono sound, mixed and resampled as they come."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mowe.audio.limits import AudioLimits
from mowe.audio.signals import Resampler
from mowe.errors import AudioError

BLOCK_FRAMES = 65_536
# The mean of two channels in opposite phase is silence, that of one speaker and seven silent
# channels lies at -18 dB; equally loud but unrelated ones lose 10 dB only where they are ten.
MIN_MIX = 0.1  # power of the mix over that of the loudest channel, -10 dB
QUIET = 1e-10  # power, -100 dB of full scale: channels this quiet are silence, whatever their mix

Write = Callable[[np.ndarray], object]


@dataclass
class Levels:
    """Sums over everything that was mixed."""

    channels: np.ndarray = field(default_factory=lambda: np.zeros(1))  # (channels,) of squares
    mix: float = 0.0  # of squares
    frames: int = 0
    broken: int = 0  # samples of the mix that are not finite
    peak: float = 0.0  # largest absolute sample of the mix

    def add(self, sound: np.ndarray, mix: np.ndarray) -> None:
        """Take a block `(frames, channels)` and its mix `(frames,)`."""
        powers = np.einsum("fc,fc->c", sound, sound)
        if len(powers) > len(self.channels):
            self.channels = np.pad(self.channels, (0, len(powers) - len(self.channels)))
        self.channels[: len(powers)] += powers
        self.mix += float(mix @ mix)
        self.frames += len(mix)
        self.broken += int(np.count_nonzero(~np.isfinite(mix)))
        self.peak = max(self.peak, float(mix.max(initial=0.0)), -float(mix.min(initial=0.0)))

    def lone_channel(self) -> int | None:
        """The loudest channel, where the mix has lost it."""
        loudest = float(self.channels.max())
        if not loudest > QUIET * self.frames or self.mix >= MIN_MIX * loudest:
            return None
        return int(self.channels.argmax())

    def lost_decibels(self) -> float:
        """How far the mix lies below the loudest channel, dB; infinite for complete silence."""
        with np.errstate(divide="ignore"):
            return float(10 * np.log10(self.channels.max() / np.float64(self.mix)))


class Mixer:
    """Takes a recording block by block, and passes it on as mono at the rate that is kept.

    Args:
        name: What to call the recording in errors.
        limits: What is allowed, and the highest rate that is kept.
        write: Gets blocks `(samples,)` float32; without it everything is only measured.
        channel: Only this one instead of the mean of all.
    """

    def __init__(
        self,
        name: str,
        limits: AudioLimits,
        write: Write | None = None,
        channel: int | None = None,
    ) -> None:
        self.name, self.limits, self.channel = name, limits, channel
        self.source_rate = 0  # Hz, of the first block
        self.channels = 0  # of the first block
        self.levels = Levels()
        self._write = write
        self._rate, self._frames = 0, 0  # Hz, and how many came at this rate
        self._earlier = 0.0  # s, at other rates
        self._samples = 0  # of all channels
        self._resampler: Resampler | None = None
        self._digest = hashlib.sha256()

    @property
    def seconds(self) -> float:
        """Length so far, s."""
        return self._earlier + (self._frames / self._rate if self._rate else 0.0)

    @property
    def kept_rate(self) -> int:
        """Hz, of what is passed on."""
        return min(self.source_rate, self.limits.kept_rate)

    @property
    def content_hash(self) -> str:
        """Sha256 (hex) of the mono mix so far at the rates it came in, before resampling."""
        return self._digest.hexdigest()

    def check_header(self, rate: int, channels: int, seconds: float) -> None:
        """Refuse what a header promises where it is over a limit; 0 is what it does not say.

        Raises:
            AudioError: If it is.
        """
        if rate and channels:
            self.limits.check_format(self.name, rate, channels)
        self.limits.check_length(self.name, seconds)
        self.limits.check_samples(self.name, round(seconds * rate * channels))

    def add(self, block: np.ndarray, rate: int) -> None:
        """Take one more block.

        Args:
            block: `(frames, channels)`, any type that `to_float` takes.
            rate: Hz; it may change on the way.

        Raises:
            AudioError: If the recording is now over a limit.
        """
        self.limits.check_format(self.name, rate, block.shape[1])
        if rate != self._rate:
            self._change_rate(rate, block.shape[1])
        self._frames += len(block)
        self._samples += block.size
        self.limits.check_length(self.name, self.seconds, so_far=True)
        self.limits.check_samples(self.name, self._samples, so_far=True)
        sound = to_float(block)
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused later, by name
            mix = self._mix(sound)
            self.levels.add(sound, mix)
        if self._write is not None:
            self._digest.update(mix.data)
            for converted in self._resampler.add(mix) if self._resampler else (mix,):
                self._write(converted)

    def add_silence(self, seconds: float, rate: int, channels: int) -> None:
        """Take silence as it would have come from the file.

        Raises:
            AudioError: If the recording is now over a limit.
        """
        for start in range(0, count := round(seconds * rate), BLOCK_FRAMES):
            self.add(np.zeros((min(BLOCK_FRAMES, count - start), channels), np.float32), rate)

    def finish(self) -> None:
        """Pass on what is left."""
        if self._write is not None and self._resampler:
            for converted in self._resampler.finish():
                self._write(converted)

    def _change_rate(self, rate: int, channels: int) -> None:
        self.finish()
        self.source_rate, self.channels = self.source_rate or rate, self.channels or channels
        self._earlier, self._rate, self._frames = self.seconds, rate, 0
        self._resampler = Resampler(rate, self.kept_rate) if rate != self.kept_rate else None
        self._digest.update(f"{rate}:".encode())

    def _mix(self, sound: np.ndarray) -> np.ndarray:
        if self.channel is not None and self.channel < sound.shape[1]:
            return np.ascontiguousarray(sound[:, self.channel])
        mix = sound[:, 0].copy()  # channel by channel: numpy's mean of short rows takes ten times
        for channel in range(1, sound.shape[1]):
            mix += sound[:, channel]
        mix /= sound.shape[1]
        return mix


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any usual type as float32, where integers' full scale becomes 1.

    Raises:
        AudioError: If the type is none of float, int16, int32 and uint8.
    """
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, refused later
            return samples.astype(np.float32, copy=False)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype in (np.int16, np.int32):
        return samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    raise AudioError(f"The samples are {samples.dtype}; float, int16, int32 and uint8 are allowed.")

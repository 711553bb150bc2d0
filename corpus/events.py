"""Short single events cut from stored sounds, and the mixing of several into one clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.clips import SOUND_RATE, Waveform
from corpus.sound import convert, read_sound

MOST_SECONDS = 2.0  # of an event
LEAST_SECONDS = 0.1
STEP = 0.01  # s, of the level curve
TRIM_DB = -40.0  # below the loudest step; quieter edges are cut
REST_DB = -25.0  # a burst ends where the level stays below this
SWELL_DB = -20.0  # a burst that falls below this and rises again is two
REST_SECONDS = 0.12  # for this long
LEVEL = 0.1  # root mean square of an event's loudest part
LOUDEST_SECONDS = 0.2  # length of that part
FADE_SECONDS = 0.02
SILENCE = 1e-3  # a clip that never gets louder holds no event
HISS = 1e-4  # a silence that is recorded, not computed


@dataclass(frozen=True)
class Event:
    """Where the sound lies in a stored clip; `single` if it is one burst, such as one bark."""

    audio: str  # relative to the corpus
    start: float  # s
    seconds: float
    single: bool


@dataclass(frozen=True)
class Placed:
    """An event in a new clip."""

    event: Event
    at: float  # s from the beginning of the new clip
    gain: float = 0.0  # dB
    seconds: float | None = None  # cut to this; None keeps all

    @property
    def end(self) -> float:
        """Where the event is over, in seconds from the beginning of the new clip."""
        return self.at + (self.event.seconds if self.seconds is None else self.seconds)


def levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Level of every `STEP` in dB below the loudest, `(steps,)`."""
    step = round(STEP * rate)
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.sqrt(np.mean(np.square(whole), axis=1)) + 1e-9
    return np.asarray(20 * np.log10(power / power.max(initial=1e-9)))


def find_event(audio: str, samples: np.ndarray, rate: int) -> Event | None:
    """The first burst where a sound has pauses, else its first seconds; None if too short.

    Args:
        audio: The file's place, for the event.
        samples: Mono sound, `(samples,)`.
        rate: In Hz.
    """
    if np.abs(samples).max(initial=0.0) < SILENCE:
        return None
    level = levels(samples, rate)
    loud = np.flatnonzero(level > TRIM_DB)
    if not len(loud):
        return None
    start, stop = int(loud[0]), int(loud[-1]) + 1
    end = _burst_end(level[start:stop])
    single = end is not None
    steps = min(end if end is not None else stop - start, round(MOST_SECONDS / STEP))
    if steps * STEP < LEAST_SECONDS:
        return None
    return Event(audio, round(start * STEP, 2), round(steps * STEP, 2), single)


def _burst_end(level: np.ndarray) -> int | None:
    """Steps of the first burst; None if it never rests or is longer than an event may be."""
    rest, first = round(REST_SECONDS / STEP), int(np.argmax(level > REST_DB))
    quiet = np.append(level, np.full(rest, TRIM_DB))[first:] < REST_DB
    runs = np.convolve(quiet, np.ones(rest), "valid") >= rest
    end = first + int(np.argmax(runs)) + 2  # two steps of its fading
    loud = level[first:end] > SWELL_DB
    swells = int(np.count_nonzero(np.diff(np.flatnonzero(loud)) > 4))  # dips over 40 ms
    whole = runs.any() and swells == 0 and end * STEP <= MOST_SECONDS
    return min(end, len(level)) if whole else None


def cut(folder: Path, placed: Placed, rate: int) -> np.ndarray:
    """The event's samples at its gain, `(samples,)`: equal levels before the gain."""
    samples = convert(read_sound(folder / placed.event.audio), rate)
    start = round(placed.event.start * rate)
    seconds = placed.event.seconds if placed.seconds is None else placed.seconds
    piece = samples[start : start + round(seconds * rate)].astype(np.float32)
    fade = min(round(FADE_SECONDS * rate), len(piece) // 2)
    slope = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    piece[len(piece) - fade :] *= slope[::-1]
    return piece * np.float32(10 ** (placed.gain / 20) * LEVEL / _loudest(piece, rate))


def _loudest(piece: np.ndarray, rate: int) -> float:
    window = min(round(LOUDEST_SECONDS * rate), len(piece))
    total = np.concatenate([[0.0], np.cumsum(np.square(piece, dtype=np.float64))])
    return float(np.sqrt(max((total[window:] - total[:-window]).max() / window, 1e-12)))


def mix(folder: Path, parts: Sequence[Placed], seconds: float) -> Waveform:
    """A new sound with every part at its place.

    Returns:
        `(samples,)` float32 and `SOUND_RATE`.
    """
    row = np.zeros(round(seconds * SOUND_RATE), np.float32)
    for part in parts:
        piece = cut(folder, part, SOUND_RATE)
        start = round(part.at * SOUND_RATE)
        stop = min(start + len(piece), len(row))
        row[start:stop] += piece[: stop - start]
    hiss = np.random.default_rng(len(row)).standard_normal(len(row)).astype(np.float32)
    return row + HISS * hiss, SOUND_RATE

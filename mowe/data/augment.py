"""Training sounds heard through worse microphones, rooms and codecs; lengths never change.

Everything is synthesised: no noise or room recordings are read, so an example's variant is a
function of its samples and a seed.
"""

import hashlib
import io
import math
from collections.abc import Callable

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio import functional

from mowe.audio.signals import resample

NOISES = ("white", "pink", "babble")
CODECS = ("mp3", "opus")
TELEPHONE = (300.0, 3400.0)  # Hz
_CODEC_RATE = 16_000  # Hz
_OLD_RATE = 11_025  # Hz, with 8 bits a sample: sound cards and games of the 1990s
_MP3_DELAY = 1105  # samples: LAME's 576, the decoder's 529; libsndfile leaves both in
_TAIL = 1600  # samples of silence after a coded sound, so that its end survives the delay


def augment(samples: np.ndarray, rate: int, seed: int | str, strength: float = 1.0) -> np.ndarray:
    """The same sound after one to three random kinds of damage.

    Args:
        samples: `(samples,)` float32 in [-1, 1].
        rate: Hz.
        seed: Decides all; the same seed and samples give the same result.
        strength: 0 (unchanged) to 1: how far towards the hardest settings draws may reach.

    Returns:
        `(samples,)` float32 in [-1, 1], as long as `samples`.

    Raises:
        ValueError: If `samples` has more axes, or `strength` is out of range.
    """
    if samples.ndim != 1:
        raise ValueError(f"samples must be one axis, got {samples.shape}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be 0 to 1, found {strength}")
    if strength == 0 or not len(samples):
        return samples.copy()
    draw = np.random.default_rng(list(hashlib.sha256(str(seed).encode()).digest()))
    damages = list(_DAMAGES)
    chosen = draw.choice(len(damages), size=draw.integers(1, 4), replace=False)
    sound = samples
    for index in sorted(chosen):  # room before noise before line: the order sound travels
        sound = damages[index](sound, rate, draw, strength)
    return within_range(sound)


def add_noise(
    samples: np.ndarray, rate: int, snr: float, kind: str, draw: np.random.Generator
) -> np.ndarray:
    """Noise beside the sound, `snr` dB below its mean power; silence stays silent.

    Args:
        samples: `(samples,)` float32.
        rate: Hz.
        snr: dB.
        kind: One of `NOISES`; "babble" has the spectrum and the syllable rate of far talkers.
        draw: Where the noise comes from.

    Returns:
        `(samples,)` float32; may pass 1.
    """
    noise = _noise(len(samples), rate, kind, draw)
    power = float(np.mean(np.square(noise)))
    wanted = float(np.mean(np.square(samples))) / 10 ** (snr / 10)
    return samples + noise * np.float32(math.sqrt(wanted / power))


def band_limit(samples: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """Only what lies between two frequencies (Hz), without delay; 0 leaves the low end open."""
    size = _transform_size(len(samples))
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    # raised-cosine slopes a tenth of an edge wide, inside the band: sharper ones ring audibly
    gain = _slope((high - frequencies) / (0.1 * high))
    if low:
        gain *= _slope((frequencies - low) / (0.1 * low))
    spectrum = np.fft.rfft(samples, size) * gain
    return _real(spectrum, size, len(samples))


def code(samples: np.ndarray, rate: int, codec: str, bits_per_second: float) -> np.ndarray:
    """Through a lossy codec at 16 kHz and back, in place.

    Args:
        samples: `(samples,)` float32 in [-1, 1].
        rate: Hz.
        codec: One of `CODECS`.
        bits_per_second: MP3 from 8,000 to 160,000 in LAME's steps, Opus from 6,000 to 256,000.

    Returns:
        `(samples,)` float32, aligned with `samples`.
    """
    narrow = resample(samples, rate, _CODEC_RATE)
    padded = np.concatenate([narrow, np.zeros(_TAIL, np.float32)])
    packed = io.BytesIO()
    if codec == "mp3":
        level = (160_000 - bits_per_second) / 152_000  # libsndfile's scale below 32 kHz
        soundfile.write(
            packed, padded, _CODEC_RATE, format="MP3", subtype="MPEG_LAYER_III",
            compression_level=level, bitrate_mode="CONSTANT",
        )  # fmt: skip
    else:
        level = 1 - (bits_per_second - 6_000) / 250_000
        soundfile.write(
            packed, padded, _CODEC_RATE, format="OGG", subtype="OPUS", compression_level=level
        )
    packed.seek(0)
    decoded, _ = soundfile.read(packed, dtype="float32")
    start = _MP3_DELAY if codec == "mp3" else 0  # Opus files name their delay, and it is cut
    return _fitted(resample(decoded[start : start + len(narrow)], _CODEC_RATE, rate), len(samples))


def crush(samples: np.ndarray, rate: int) -> np.ndarray:
    """8 bits at 11,025 Hz and back, scaled to use every bit."""
    small = resample(samples, rate, min(rate, _OLD_RATE))
    peak = max(float(np.abs(small).max()), 1e-9)
    steps = np.round(small * (127 / peak)) * np.float32(peak / 127)
    return _fitted(resample(steps, min(rate, _OLD_RATE), rate), len(samples))


def reverberate(
    samples: np.ndarray, rate: int, decay: float, direct: float, draw: np.random.Generator
) -> np.ndarray:
    """In a room: the direct sound, then noise that dies away.

    Args:
        samples: `(samples,)` float32.
        rate: Hz.
        decay: RT60, the seconds in which echoes fall by 60 dB.
        direct: Energy of the direct sound over that of all echoes, in dB.
        draw: Where the echoes come from.

    Returns:
        `(samples,)` float32; may pass 1.
    """
    count = max(round(decay * rate), 2)
    echoes = draw.standard_normal(count, dtype=np.float32)
    echoes *= np.exp(np.arange(count, dtype=np.float32) * (math.log(1e-3) / count))
    echoes[: round(rate * draw.uniform(0.001, 0.005))] = 0.0  # walls are further than the mouth
    energy = max(float(np.sum(np.square(echoes))), 1e-9)
    echoes *= math.sqrt(10 ** (-direct / 10) / energy)
    echoes[0] = 1.0
    size = _transform_size(len(samples) + count)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(echoes, size)
    return _real(spectrum, size, len(samples))


def within_range(samples: np.ndarray) -> np.ndarray:
    """Scaled down as a whole if any sample passes 1, so nothing clips."""
    peak = float(np.abs(samples).max(initial=0.0))
    scaled = samples / np.float32(peak) if peak > 1 else samples
    return np.clip(scaled, -1.0, 1.0).astype(np.float32, copy=False)


def spec_augment(
    frames: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    time_masks: int = 2,
    time_share: float = 0.2,
    time_frames: int = 25,
    feature_masks: int = 2,
    feature_share: float = 0.1,
) -> Tensor:
    """Zero stretches of time and blocks of features, drawn for each example by itself.

    Args:
        frames: Encoder frames, `(batch, frames, dim)`; not changed.
        mask: Real frames, bool `(batch, frames)`, real ones first; padding is left alone.
        generator: On the CPU; advances by one draw.
        time_masks: Stretches per example.
        time_share: Longest stretch, as a share of the example's real frames.
        time_frames: Longest stretch, in frames.
        feature_masks: Blocks of features per example.
        feature_share: Widest block, as a share of `dim`.

    Returns:
        `(batch, frames, dim)`.

    Source:
        Park et al. 2019, "SpecAugment", through `torchaudio.functional.mask_along_axis`.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    masked = frames.clone()
    width = max(round(frames.shape[-1] * feature_share), 1)
    # torchaudio draws from the global generator, and takes (..., features, time)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for row, count in enumerate(mask.sum(dim=1).tolist()):
            picture = masked[row, :count].T
            for _ in range(time_masks):
                picture = functional.mask_along_axis(picture, time_frames, 0.0, 1, time_share)
            for _ in range(feature_masks):
                picture = functional.mask_along_axis(picture, width, 0.0, 0)
            masked[row, :count] = picture.T
    return masked


def _noisy(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    snr = draw.uniform(25 - 20 * strength, 25)
    return add_noise(samples, rate, snr, NOISES[draw.integers(len(NOISES))], draw)


def _limited(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    if draw.random() < strength / 3:
        return band_limit(samples, rate, *TELEPHONE)
    return band_limit(samples, rate, 0.0, draw.uniform(5500 - 2700 * strength, 5500))


def _coded(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    sound = within_range(samples)
    if draw.random() < 2 / 3:  # Opus takes five times as long
        return code(sound, rate, "mp3", draw.uniform(32_000 - 16_000 * strength, 32_000))
    return code(sound, rate, "opus", draw.uniform(16_000 - 8_000 * strength, 16_000))


def _crushed(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    return crush(samples, rate)


def _in_a_room(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    decay = draw.uniform(0.1, 0.1 + 0.4 * strength)
    return reverberate(samples, rate, decay, draw.uniform(15 - 12 * strength, 15), draw)


def _louder_or_softer(
    samples: np.ndarray, rate: int, draw: np.random.Generator, strength: float
) -> np.ndarray:
    return samples * np.float32(10 ** (draw.uniform(-12, 6) * strength / 20))


_Damage = Callable[[np.ndarray, int, np.random.Generator, float], np.ndarray]
_DAMAGES: tuple[_Damage, ...] = (
    _in_a_room, _noisy, _louder_or_softer, _limited, _crushed, _coded,
)  # fmt: skip


def _noise(count: int, rate: int, kind: str, draw: np.random.Generator) -> np.ndarray:
    white = draw.standard_normal(count, dtype=np.float32)
    if kind == "white":
        return white
    if kind not in NOISES:
        raise ValueError(f"kind must be one of {NOISES}, found {kind!r}")
    size = _transform_size(count)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    if kind == "pink":
        gain = 1 / np.sqrt(np.maximum(frequencies, 20.0))
    else:  # flat up to 500 Hz, then 9 dB down an octave, as speech on average
        gain = (np.maximum(frequencies, 500.0) / 500) ** -1.5 * (frequencies > 80)
    shaped = _real(np.fft.rfft(white, size) * gain, size, count)
    if kind == "babble":
        times = np.arange(count, dtype=np.float32) / rate
        for _ in range(3):  # syllables
            turn = draw.uniform(2, 6) * times + draw.uniform(0, 1)
            shaped *= 1 + 0.4 * np.sin(2 * np.pi * turn.astype(np.float32))
    return shaped + np.float32(1e-12)  # a handful of samples may have nothing above 80 Hz


def _slope(distance: np.ndarray) -> np.ndarray:
    """0 at and below 0, 1 from 1 on, a raised cosine between."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(distance, 0.0, 1.0))


def _transform_size(count: int) -> int:
    """The least of 2^n and 3 * 2^n that holds `count`: quick to transform."""
    power = 1 << max(count - 1, 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= count else power


def _real(spectrum: np.ndarray, size: int, count: int) -> np.ndarray:
    sound: np.ndarray = np.fft.irfft(spectrum, size)[:count].astype(np.float32, copy=False)
    return sound


def _fitted(samples: np.ndarray, count: int) -> np.ndarray:
    missing = count - len(samples)
    return np.pad(samples, (0, missing)) if missing > 0 else samples[:count]

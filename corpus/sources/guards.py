"""Recordings in which there is nothing to name: silence, noise, and music that nobody announced.

A model must not invent words or sounds there. Silences and noises are computed, music is cut from
whole pieces; a piece is in one split, and so is a package.
"""

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from corpus import wording
from corpus.clips import SOUND_RATE, Ask, Clip, Materials, Source, Waveform
from corpus.download import Package
from corpus.sound import read_g722, read_sound
from corpus.splits import SPLITS, split_of
from corpus.wording import CANNOT_TELL, NO_SPEECH, SOUND

PACKAGES = (
    Package(
        "debian",
        "colobot-common-sounds",
        "0.2.0-2",
        "819e799542eac69c95b072567b5584eb3e0b2bb900de13efa3684915747b1644",
    ),
    Package(
        "debian",
        "asterisk-moh-opsound-g722",
        "2.03-1.1",
        "8d6b39d6f2e8feff54a042c4a25e1b72f3e2478d05ee372c92f77446fa0b1671",
    ),
    Package(
        "debian",
        "glob2-data",
        "0.9.4.4-6",
        "b81a6e0bd79cdaf2b6a7f34a5e8aaea8a0a8dc990710f956d14d7d6cd3ba0ce9",
    ),
)
PIECES = "music/*.ogg", "moh/*.g722", "zik/*.ogg"  # of each package
LICENCES = {
    "colobot-common-sounds": "GPL-3+",
    "asterisk-moh-opsound-g722": "CC BY-SA 3.0",
    "glob2-data": "GPL-3+",
}
ANSWERS: Mapping[str, str] = {
    "silence": "Nothing: the recording is silent.",
    "noise": "Only noise.",
    "music": "Music.",
}
CUTS = 4  # of a piece
SILENT = frozenset({"music010", "music011"})  # pieces that are mostly silence
SECONDS = (1.5, 8.0)
MADE = {"train": 60, "dev": 20, "test": 20}  # silences, and as many noises
LEVELS = (-60.0, -20.0)  # dB of full scale, root mean square of a noise


def _spectral(samples: np.ndarray, slope: float) -> np.ndarray:
    """White noise whose power falls by frequency to this power."""
    spectrum = np.fft.rfft(samples)
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    spectrum[0] = 0.0
    return np.fft.irfft(spectrum, len(samples))


def _hum(samples: np.ndarray) -> np.ndarray:
    """A mains hum with harmonics and a little hiss."""
    time = np.arange(len(samples)) / SOUND_RATE
    base = 50.0 if samples[0] > 0 else 60.0  # Hz
    parts = [np.sin(2 * np.pi * base * n * time) / n for n in (1, 2, 3, 5)]
    return np.sum(parts, axis=0) + 0.02 * samples


def _crackle(samples: np.ndarray) -> np.ndarray:
    """Few strong clicks, as of a bad contact."""
    return np.where(np.abs(samples) > 3.5, samples, 0.01 * samples)


NOISES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "white": lambda samples: samples,
    "pink": lambda samples: _spectral(samples, 1.0),
    "brown": lambda samples: _spectral(samples, 2.0),
    "hum": _hum,
    "crackle": _crackle,
}


def made(kind: str, seed: str) -> Waveform:
    """A silence, or a noise at a random level; `(samples,)` at 44.1 kHz."""
    rng = random.Random(seed)
    count = round(rng.uniform(*SECONDS) * SOUND_RATE)
    if kind == "silence":
        dither = rng.choice((0.0, 1e-5, 1e-4))
        samples = dither * np.random.default_rng(count).standard_normal(count)
        return samples.astype(np.float32), SOUND_RATE
    noise = NOISES[kind](np.random.default_rng(count).standard_normal(count))
    level = 10 ** (rng.uniform(*LEVELS) / 20)
    noise *= level / np.sqrt(np.mean(np.square(noise)))
    return np.clip(noise, -1, 1).astype(np.float32), SOUND_RATE


def _cut(path: Path, number: int) -> Waveform:
    """One of `CUTS` pieces of a piece of music, from a place of its own."""
    samples, rate = read_g722(path) if path.suffix == ".g722" else read_sound(path)
    rng = random.Random(f"{path.stem} {number}")
    length = min(round(rng.uniform(*SECONDS) * rate), len(samples))
    low, high = (round((len(samples) - length) * (number + k) / CUTS) for k in (0, 1))
    start = rng.randint(low, high)
    return np.ascontiguousarray(samples[start : start + length]), rate


def _asks(kind: str, name: str) -> tuple[Ask, ...]:
    rng = random.Random(f"guard {name}")
    spoken = rng.choice((*wording.TRANSCRIBE, *wording.LANGUAGE, *wording.GENDER))
    answer, other = rng.sample(NO_SPEECH, 2)
    return (
        Ask(
            task="guard",
            turns=((rng.choice(SOUND), ANSWERS[kind]),),
            label=kind,
            options=tuple(ANSWERS),
        ),
        Ask(task="unanswerable", turns=((spoken, answer),), label=CANNOT_TELL, accept=(other,)),
    )


def _clip(name: str, kind: str, split: str, load: Callable[[], Waveform], **facts: str) -> Clip:
    return Clip(
        name=name,
        load=load,
        split=split,
        tasks=(),
        recording=facts.get("recording", f"guards-{name}"),
        sample_rate=SOUND_RATE,
        licence=facts.get("licence", "CC0 1.0"),
        asks=_asks(kind, name),
    )


def _read(materials: Materials) -> Iterator[Clip]:
    for split in SPLITS:
        for number in range(MADE[split]):
            for kind in ("silence", list(NOISES)[number % len(NOISES)]):
                name = f"{split}-{kind}-{number:02d}"
                load = functools.partial(made, kind, name)
                yield _clip(name, "silence" if kind == "silence" else "noise", split, load)
    for package, pattern in zip(PACKAGES, PIECES, strict=True):
        split = split_of("guards", package.name)
        pieces = materials.unpacked(package).rglob(pattern)
        for path in sorted(one for one in pieces if one.stem not in SILENT):
            for number in range(CUTS):
                name = f"{package.name}-{path.stem.lower().replace('_', '-')}-{number}"
                load = functools.partial(_cut, path, number)
                about = {"recording": f"{package.name}-{path.stem}"}
                about["licence"] = LICENCES[package.name]
                yield _clip(name, "music", split, load, **about)


SOURCE = Source(
    name="guards",
    title="Computed silences and noises; music of Colobot, Asterisk and Globulation 2",
    licence="CC0 1.0 (computed), GPL-3+ (Colobot, Globulation 2), CC BY-SA 3.0 (Asterisk)",
    attribution=(
        "Daniel Roux, EPSITEC SA and TerranovaTeam; Paul Shuler (Macroform), Manolo Camp and Reno "
        "Project; Stephane Magnenat and Luc-Olivier de Charrière"
    ),
    read=_read,
    packages=PACKAGES,
    seconds=(1.0, 10.0),
)

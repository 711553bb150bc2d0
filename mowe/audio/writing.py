"""Sound into files; each appears whole or not at all."""

from pathlib import Path

import numpy as np
import soundfile


def write_flac(path: Path, samples: np.ndarray, rate: int) -> None:
    """Store `(samples,)` as 16-bit FLAC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    soundfile.write(partial, samples, rate, format="FLAC", subtype="PCM_16")
    partial.replace(path)


def write_opus(path: Path, samples: np.ndarray, rate: int, bits: int) -> None:
    """Store `(samples,)` as Opus.

    Args:
        path: Where it goes.
        samples: `(samples,)` float32.
        rate: 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
        bits: A second, 6,000 to 256,000.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    level = 1 - (bits - 6_000) / 250_000  # libsndfile's scale
    soundfile.write(partial, samples, rate, format="OGG", subtype="OPUS", compression_level=level)
    partial.replace(path)

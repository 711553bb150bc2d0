"""The same length and level with nothing in it: what the model answers without hearing."""

import random

import numpy as np

from mowe.audio import Recording, load_audio


def like_noise(recording: Recording, identity: str) -> Recording:
    """White noise with the length, rate and mean level of a recording.

    Args:
        recording: What it stands in for.
        identity: The noise of one example is the same in every run.
    """
    rng = np.random.default_rng(random.Random(identity).getrandbits(32))
    level = float(np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64))))
    noise = rng.standard_normal(len(recording.samples)) * level
    samples = noise.clip(-1, 1).astype(np.float32)
    return load_audio((samples, recording.sample_rate))

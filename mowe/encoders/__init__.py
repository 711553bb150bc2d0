"""Audio encoders: one interface, one file per family.

Adding a family is one file with a `build(config, folder)` and one line in the table below.
"""

import importlib
from pathlib import Path

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, EncodedAudio
from mowe.encoders.twins import random_twin
from mowe.errors import ConfigError

FAMILIES = ("whisper", "ssl", "speaker", "sound", "music", "pitch")

__all__ = [
    "FAMILIES",
    "AudioEncoder",
    "EncodedAudio",
    "build_encoder",
    "random_twin",
]


def build_encoder(config: EncoderConfig, folder: Path | None = None) -> AudioEncoder:
    """Build one encoder.

    Args:
        config: Name, family, and sizes for random weights.
        folder: Where `model.safetensors` (and `config.json` for the Hugging Face families) lie;
            None gives random weights of the sizes in `config.architecture`, also on `meta`.

    Returns:
        The encoder in inference mode, float32.

    Raises:
        ConfigError: If the family is unknown; the message lists the known ones.
        WeightsError: If the folder's tensors are not exactly the ones the family needs.
    """
    if config.family not in FAMILIES:
        raise ConfigError(f"no encoder family {config.family!r}; there are {', '.join(FAMILIES)}")
    module = importlib.import_module(f"mowe.encoders.{config.family}")
    encoder: AudioEncoder = module.build(config, folder)
    return encoder.eval()

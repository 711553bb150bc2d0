"""Values for components, made the same way on every tab."""

from typing import Any

import gradio as gr
import numpy as np
from gradio import processing_utils, utils

PlayedSound = tuple[int, np.ndarray]  # Hz, (samples,) int16; the page would make float ones louder


def unchanged(group: Any, **values: Any) -> tuple[Any, ...]:
    """A group of components (a named tuple's class) left as they are, but for some values."""
    return tuple(values.get(name, gr.skip()) for name in group._fields)


def played(samples: np.ndarray, rate: int) -> PlayedSound:
    """Samples `(samples,)` at a rate (Hz) as a player takes them."""
    return rate, (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def downloadable(content: bytes, name: str) -> str:
    """Path of a new file in the private temporary folder, where a download may read it."""
    path: str = processing_utils.save_bytes_to_cache(content, name, utils.get_upload_folder())
    return path

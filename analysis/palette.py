"""One colour, hatching and marker per encoder, the same in every figure.

The colours are Okabe and Ito's, told apart with any colour vision; hatching and marker carry the
same meaning without colour.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple


class EncoderStyle(NamedTuple):
    """How one encoder is drawn."""

    color: str  # hex
    pattern: str  # Plotly's name for a bar's hatching
    symbol: str  # Plotly's name for a marker


STYLES = (
    EncoderStyle("#0072B2", "", "circle"),  # blue
    EncoderStyle("#E69F00", "/", "square"),  # orange
    EncoderStyle("#009E73", "x", "diamond"),  # green
    EncoderStyle("#D55E00", "\\", "triangle-up"),  # vermilion
    EncoderStyle("#56B4E9", ".", "x"),  # sky blue
    EncoderStyle("#CC79A7", "-", "star"),  # pink
    EncoderStyle("#8C8C3A", "|", "cross"),  # olive; the original's yellow is lost on white
    EncoderStyle("#7F7F9F", "+", "hexagon"),  # slate; its black is lost on dark pages
)

# Encoders of the shipped presets have their place for good. Others find one by their name.
PLACES = {
    "whisper-tiny.en": 0, "whisper-tiny-1": 0, "whisper-weak": 0,
    "speaker": 1, "whisper-tiny-2": 1,
    "sound": 2, "hubert-base": 2, "whisper-tiny-3": 2,
    "music": 3, "hubert-emotion": 3, "whisper-tiny-4": 3,
    "pitch": 4,
}  # fmt: skip


def encoder_styles(names: Sequence[str]) -> dict[str, EncoderStyle]:
    """A style per encoder; no two of a pool of up to eight look the same.

    Args:
        names: Names of the encoders, in pool order.

    Returns:
        Name to style. A known encoder looks the same in every pool.
    """
    taken = {PLACES[name] for name in names if name in PLACES}
    places: dict[str, int] = {}
    for name in names:
        place = PLACES.get(name)
        if place is None:
            place = _free_place(name, taken)
            taken.add(place)
        places[name] = place
    return {name: STYLES[place] for name, place in places.items()}


def _free_place(name: str, taken: set[int]) -> int:
    first = zlib.crc32(name.encode()) % len(STYLES)
    around = [(first + step) % len(STYLES) for step in range(len(STYLES))]
    return next((place for place in around if place not in taken), first)

"""MoWE-Audio: an audio language model with a routed mixture of weak encoders (arXiv 2409.06635).

    assistant = mowe.load("mini")
    answer = assistant.ask([mowe.load_audio("clip.wav")], "Which sound is this?")

The names below are all that is public; each is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mowe import shipped, torchaudio_guard

torchaudio_guard.install()  # before anything imports transformers, peft or torchaudio

if shipped.CHECKOUT:  # decision 0024: `mowe.analysis` lies at the top of a checkout
    __path__.append(str(shipped.CHECKOUT))

__version__ = "0.2.0"

if TYPE_CHECKING:
    from mowe.assistant import Answer, Assistant, Sampling, Turn, load
    from mowe.audio import Recording, load_audio
    from mowe.checkpoint import MoWE
    from mowe.errors import MoweError
    from mowe.model.control import RoutingControl

__all__ = [
    "Answer",
    "Assistant",
    "MoWE",
    "MoweError",
    "Recording",
    "RoutingControl",
    "Sampling",
    "Turn",
    "load",
    "load_audio",
]

_HOMES = {
    "Answer": "mowe.assistant",
    "Assistant": "mowe.assistant",
    "MoWE": "mowe.checkpoint",
    "MoweError": "mowe.errors",
    "Recording": "mowe.audio",
    "RoutingControl": "mowe.model.control",
    "Sampling": "mowe.assistant",
    "Turn": "mowe.assistant",
    "load": "mowe.assistant",
    "load_audio": "mowe.audio",
}


def __getattr__(name: str) -> Any:
    """A public name, from where it lives: importing `mowe` takes neither torch nor time along."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mowe' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""MoWE-Audio: an audio language model with a routed mixture of weak encoders (arXiv 2409.06635)."""

from pathlib import Path

from mowe import torchaudio_guard

torchaudio_guard.install()  # before anything imports transformers, peft or torchaudio

_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "analysis" / "__init__.py").is_file():  # decision 0024
    __path__.append(str(_CHECKOUT))  # `mowe.analysis` lies at the top of a checkout

__version__ = "0.1.0"

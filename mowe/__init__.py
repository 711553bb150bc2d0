"""MoWE-Audio: an audio language model with a routed mixture of weak encoders (arXiv 2409.06635)."""

from mowe import torchaudio_guard

torchaudio_guard.install()  # before anything imports transformers, peft or torchaudio

__version__ = "0.1.0"

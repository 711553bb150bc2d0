"""Turns fused frames into audio tokens of the language model's width.

Three kinds (decisions 0001 and 0013): `stack` joins neighbouring frames, `conv` uses strided
convolutions, and `naming` adds the names of what it hears, which can be trained before the paper's
loss. All of them zero what lies past an example's end, so padding never leaks into a token.
"""

from torch import nn

from mowe.adapter.frames import (
    AudioTokens,
    ConvAdapter,
    Named,
    SoundEvents,
    StackAdapter,
    stack_frames,
    token_mask,
)
from mowe.adapter.naming import (
    LANGUAGE,
    NONE,
    SOUNDS,
    SPEECH,
    Languages,
    Namer,
    NamingAdapter,
)
from mowe.config import AdapterConfig

__all__ = [
    "LANGUAGE",
    "NONE",
    "SOUNDS",
    "SPEECH",
    "AudioTokens",
    "ConvAdapter",
    "Languages",
    "Named",
    "Namer",
    "NamingAdapter",
    "SoundEvents",
    "StackAdapter",
    "build_adapter",
    "stack_frames",
    "token_mask",
]


def build_adapter(
    config: AdapterConfig, fused_dim: int, llm_dim: int, languages: Languages | None = None
) -> nn.Module:
    """The adapter a config asks for, from `fused_dim` features to `llm_dim`.

    Args:
        config: Its settings.
        fused_dim: Width of fused frames.
        llm_dim: Width of audio tokens.
        languages: What tells the set `language`, where the config says that it is `decoded`.
    """
    if config.kind == "naming":
        return NamingAdapter(fused_dim, llm_dim, config, languages)
    kind = ConvAdapter if config.kind == "conv" else StackAdapter
    return kind(fused_dim, llm_dim, config.frames_per_token, config.hidden_dim)

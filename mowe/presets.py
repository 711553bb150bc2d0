"""The named mixtures: `mini`, `paper-diverse`, `paper-uniform`, `base-only`, `tiny-random`."""

from dataclasses import replace

from mowe.config import (
    EncoderConfig,
    HintsConfig,
    LanguageModelConfig,
    MoWEConfig,
    NamingConfig,
    RoutingConfig,
    StackConfig,
)
from mowe.errors import ConfigError

# Sizes published with each model on its hub page, needed to build without fetching anything.
WHISPER_LARGE_V3 = {
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "num_mel_bins": 128,
}
WHISPER_TINY = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "num_mel_bins": 80,
}
WHISPER_BASE = {
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "num_mel_bins": 80,
}
HUBERT_BASE = {"model_type": "hubert"}  # transformers' defaults are hubert-base's sizes
LLAMA_3_8B = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
SMOLLM2_135M = {
    "model_type": "llama",
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


def _hub_whisper_tiny(name: str) -> EncoderConfig:
    # trained: frozen copies give identical features, so a pool of them would be one encoder. Copies
    # start alike and part because routing sends them different recordings.
    return EncoderConfig(
        name=name,
        family="whisper",
        source="hub:openai/whisper-tiny",
        architecture=WHISPER_TINY,
        train="full",
    )


_PAPER_BASE = EncoderConfig(
    name="whisper-large-v3",
    family="whisper",
    source="hub:openai/whisper-large-v3",
    architecture=WHISPER_LARGE_V3,
    window_seconds=30.0,
)
_PAPER_LLM = LanguageModelConfig(
    source="hub:meta-llama/Meta-Llama-3-8B-Instruct", architecture=LLAMA_3_8B
)

# The published run name reads as 2 Whisper-tiny + HuBERT-base + HuBERT-base tuned for emotion.
PAPER_DIVERSE = MoWEConfig(
    preset="paper-diverse",
    base_encoder=_PAPER_BASE,
    weak_encoders=(
        _hub_whisper_tiny("whisper-tiny-1"),
        _hub_whisper_tiny("whisper-tiny-2"),
        EncoderConfig(
            name="hubert-base",
            family="ssl",
            source="hub:facebook/hubert-base-ls960",
            architecture=HUBERT_BASE,
        ),
        EncoderConfig(
            name="hubert-emotion",
            family="ssl",
            source="hub:superb/hubert-base-superb-er",
            architecture=HUBERT_BASE,
        ),
    ),
    language_model=_PAPER_LLM,
)

PAPER_UNIFORM = replace(
    PAPER_DIVERSE,
    preset="paper-uniform",
    weak_encoders=tuple(_hub_whisper_tiny(f"whisper-tiny-{i}") for i in range(1, 5)),
)

MINI = MoWEConfig(
    preset="mini",
    base_encoder=EncoderConfig(
        name="whisper-base",
        family="whisper",
        source="package:whisper-base",
        architecture=WHISPER_BASE,
    ),
    weak_encoders=(
        EncoderConfig(
            name="whisper-tiny.en",
            family="whisper",
            source="package:whisper-tiny-en",
            architecture=WHISPER_TINY,
        ),
        EncoderConfig(name="speaker", family="speaker", source="package:ge2e"),
        EncoderConfig(name="sound", family="sound", source="package:aisfx"),
        EncoderConfig(name="music", family="music", source="package:musicnn-mtt"),
        EncoderConfig(name="pitch", family="pitch", source="package:fcpe"),
    ),
    weak_dim=128,
    # decision 0010; the shipped checkpoint was trained on smoothed weights, and answers without
    routing=RoutingConfig(loss_weight=0.3, smooth_inference=False),
    adapter=NamingConfig(residual_dim=192),
    hints=HintsConfig(transcript="package:whisper-base-decoder", activity="package:silero-vad"),
    language_model=LanguageModelConfig(
        source="package:smollm2-135m-instruct",
        architecture=SMOLLM2_135M,
        lora_rank=8,  # half the default, so that a checkpoint stays below 30 MB
        lora_alpha=16,
        lora_dropout=0.0,  # drawing its masks takes a CPU a third of every training step
    ),
)

BASE_ONLY = replace(
    MINI, preset="base-only", weak_encoders=(), routing=RoutingConfig(kind="none", top_k=0)
)

TINY_RANDOM = MoWEConfig(
    preset="tiny-random",
    base_encoder=EncoderConfig(
        name="whisper-random",
        family="whisper",
        source="random",
        architecture={
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "num_mel_bins": 80,
        },
    ),
    weak_encoders=(
        EncoderConfig(
            name="whisper-weak",
            family="whisper",
            source="random",
            architecture={
                "d_model": 16,
                "encoder_layers": 1,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 32,
                "num_mel_bins": 80,
            },
        ),
        EncoderConfig(
            name="speaker", family="speaker", source="random", architecture={"hidden_dim": 16}
        ),
        EncoderConfig(
            name="sound", family="sound", source="random", architecture={"channels": [4, 8, 8, 16]}
        ),
    ),
    weak_dim=16,
    adapter=StackConfig(frames_per_token=15, hidden_dim=32),
    language_model=LanguageModelConfig(
        source="random",
        architecture={
            "model_type": "llama",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
        },
        lora_rank=4,
        lora_alpha=8,
    ),
)

PRESETS: dict[str, MoWEConfig] = {
    config.preset: config for config in (MINI, PAPER_DIVERSE, PAPER_UNIFORM, BASE_ONLY, TINY_RANDOM)
}


def preset(name: str) -> MoWEConfig:
    """The named mixture.

    Raises:
        ConfigError: If no preset has this name; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]

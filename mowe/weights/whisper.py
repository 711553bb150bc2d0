"""From CTranslate2's Whisper: the encoder, and what its decoder knows."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mowe.errors import WeightsError
from mowe.weights.converted import Converted, as_half, as_json
from mowe.weights.readers import read_ct2

WHISPER_HEAD_DIM = 64  # width of one attention head, the same in every Whisper

# CTranslate2 names behind `encoder/` and ours, per layer; the fused q, k and v are split apart.
CT2_LAYER = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
CT2_FIELDS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
# CTranslate2 names of a decoder layer and transformers'; fused projections are split into several
CT2_DECODER_LAYER: Mapping[str, tuple[str, ...]] = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
DECODER_LANDMARKS = (
    "embed_tokens.weight", "embed_positions.weight", "layers.0.fc1.weight", "layer_norm.weight",
)  # fmt: skip
CT2_DECODER_TOP = {
    "embeddings/weight": "embed_tokens.weight",
    "position_encodings/encodings": "embed_positions.weight",
}


def convert_whisper(files: Sequence[bytes]) -> Converted:
    """The encoder of a CTranslate2 Whisper, under the names of transformers' `WhisperEncoder`.

    Args:
        files: The parts of one `model.bin`, in order.

    Raises:
        WeightsError: If a tensor is missing, or the key bias that Whisper lacks is not zero.
    """
    stored = read_ct2(b"".join(files))
    tensors: dict[str, np.ndarray] = {}
    for name, values in stored.items():
        if name.startswith("encoder/") and values.ndim:  # a scalar is a setting, not a weight
            tensors.update(_whisper_tensors(name.removeprefix("encoder/"), values))
    return Converted(as_half(tensors), {"config.json": as_json(_whisper_config(tensors, stored))})


def _whisper_tensors(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    if name == "position_encodings/encodings":
        return {"embed_positions.weight": values}
    place, _, field = name.rpartition("/")
    layer = re.fullmatch(r"layer_(\d+)/(.+)", place)
    if layer is None:  # conv1, conv2 and layer_norm keep their names
        return {f"{place}.{CT2_FIELDS[field]}": values}
    prefix, part = f"layers.{layer[1]}.", layer[2]
    if part == "self_attention/linear_0":
        return _split_attention(prefix + "self_attn.", CT2_FIELDS[field], values)
    if part not in CT2_LAYER:
        raise WeightsError(f"unknown Whisper tensor encoder/{name}")
    return {f"{prefix}{CT2_LAYER[part]}.{CT2_FIELDS[field]}": values}


def _split_attention(prefix: str, field: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Fused q, k, v rows, `(3 * dim, ...)`, as three tensors; Whisper's keys have no bias."""
    query, key, value = np.split(values, 3)
    parts = {f"{prefix}q_proj.{field}": query, f"{prefix}v_proj.{field}": value}
    if field == "weight":
        parts[f"{prefix}k_proj.weight"] = key
    elif np.any(key):
        raise WeightsError(f"{prefix}k_proj has a bias that is not zero, Whisper has none")
    return parts


def _whisper_config(
    tensors: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """A `WhisperConfig`, read off the tensors; the decoder's sizes equal the encoder's."""
    needed = ("conv1.weight", "embed_positions.weight", "layers.0.fc1.weight")
    missing = [name for name in needed if name not in tensors]
    if missing or "decoder/embeddings/weight" not in stored:
        raise WeightsError(f"not a whole Whisper model: {missing or 'the decoder'} missing")
    dim, mels, _ = tensors["conv1.weight"].shape
    layers = len({name.split(".")[1] for name in tensors if name.startswith("layers.")})
    heads, ffn_dim = dim // WHISPER_HEAD_DIM, tensors["layers.0.fc1.weight"].shape[0]
    return {
        "architectures": ["WhisperModel"],
        "model_type": "whisper",
        "d_model": dim,
        "num_mel_bins": mels,
        "max_source_positions": tensors["embed_positions.weight"].shape[0],
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": ffn_dim,
        "decoder_layers": layers,
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": ffn_dim,
        "vocab_size": stored["decoder/embeddings/weight"].shape[0],
    }


def convert_whisper_decoder(files: Sequence[bytes]) -> Converted:
    """The text decoder of a CTranslate2 Whisper, with its tokenizer.

    Args:
        files: The parts of one `model.bin`, its `tokenizer.json` and its `config.json`, in any
            order.

    Returns:
        The decoder under the names of transformers' `WhisperDecoder`, `tokenizer.json`,
        `config.json`, and the tokens it never writes in `generation_config.json`.

    Raises:
        WeightsError: If a file or a tensor is missing.
    """
    texts = {_kind_of(one): one for one in files if one.lstrip().startswith(b"{")}
    if texts.keys() != {"tokenizer", "config"}:
        raise WeightsError(
            f"a Whisper decoder needs a tokenizer.json and a config.json, found {sorted(texts)}"
        )
    stored = read_ct2(b"".join(one for one in files if not one.lstrip().startswith(b"{")))
    tensors: dict[str, np.ndarray] = {}
    for name, values in stored.items():
        if name.startswith("decoder/") and values.ndim:
            tensors.update(decoder_tensors(name.removeprefix("decoder/"), values))
    missing = [one for one in DECODER_LANDMARKS if one not in tensors]
    if missing:
        raise WeightsError(f"not a whole Whisper model: the decoder's {missing} are missing")
    settings = json.loads(texts["config"])
    vocabulary, dim = tensors["embed_tokens.weight"].shape
    config = {
        "model_type": "whisper",
        "d_model": dim,
        "decoder_layers": len({name.split(".")[1] for name in tensors if "layers." in name}),
        "decoder_attention_heads": dim // WHISPER_HEAD_DIM,
        "decoder_ffn_dim": len(tensors["layers.0.fc1.weight"]),
        "vocab_size": vocabulary,
    }
    generation = {"suppress_tokens": settings["suppress_ids"]}
    return Converted(
        as_half({f"decoder.{key}": one for key, one in tensors.items()}),
        {
            "config.json": as_json(config),
            "generation_config.json": as_json(generation),
            "tokenizer.json": texts["tokenizer"].decode(),
        },
    )


def _kind_of(text: bytes) -> str:
    return "tokenizer" if "added_tokens" in json.loads(text) else "config"


def decoder_tensors(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """A tensor of a CTranslate2 decoder under the names of transformers' `WhisperDecoder`.

    Args:
        name: What stands behind `decoder/`.
        values: Of keys, queries and values together they are split.

    Raises:
        WeightsError: If the name is unknown.
    """
    place, _, field = name.rpartition("/")
    if name in CT2_DECODER_TOP:
        return {CT2_DECODER_TOP[name]: values}
    layer = re.fullmatch(r"layer_(\d+)/(.+)", place)
    if layer is None:
        return {f"{place}.{CT2_FIELDS[field]}": values}
    if layer[2] not in CT2_DECODER_LAYER:
        raise WeightsError(f"unknown Whisper tensor decoder/{name}")
    parts = CT2_DECODER_LAYER[layer[2]]
    return {
        f"layers.{layer[1]}.{part}.{CT2_FIELDS[field]}": one
        for part, one in zip(parts, np.split(values, len(parts)), strict=True)
        if not (part.endswith("k_proj") and field == "bias")  # Whisper's keys have none
    }

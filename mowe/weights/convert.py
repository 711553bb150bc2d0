"""From the pinned files of a component to named tensors and the texts that go beside them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mowe.errors import WeightsError
from mowe.weights.readers import read_ct2, read_gguf, read_tf_checkpoint, read_torch
from mowe.weights.tokenizer import tokenizer_files

HALF_MAX = 65_504.0  # largest float16
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

GGUF_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GGUF_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}

# The frame part of musiCNN; what follows (batch_normalization_9, dense, ...) is the tag head.
MUSICNN_FRAME_PART = re.compile(
    r"conv2d(_[1-7])?/(kernel|bias)"
    r"|batch_normalization(_[1-8])?/(gamma|beta|moving_mean|moving_variance)"
)
FCPE_TABLES = ("cent_table", "gaussian_blurred_cent_mask")  # cents up to 9151: too fine for halves


class Converted(NamedTuple):
    """What is written to a component's folder."""

    tensors: dict[str, Tensor]
    texts: dict[str, str]  # file name -> content


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
    return Converted(as_half(tensors), {"config.json": _json(_whisper_config(tensors, stored))})


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


def convert_whisper_lens(files: Sequence[bytes]) -> Converted:
    """How a Whisper decoder looks at single encoder frames: a linear map, a norm, its words.

    A decoder layer adds `out(value(frame))` to its state for each frame that it attends to; summed
    over the layers and normalised, a frame can be compared with the words' embeddings by itself.

    Args:
        files: The parts of one `model.bin` and the `tokenizer.json`, in any order.

    Returns:
        `map.weight` `(dim, dim)`, `map.bias`, `norm.weight`, `norm.bias` and `words` `(vocabulary,
        dim)`, beside the tokenizer.

    Raises:
        WeightsError: If there is not one tokenizer, or a tensor is missing.
    """
    spelling = [one for one in files if one.startswith(b"{")]
    if len(spelling) != 1:
        raise WeightsError(f"a lens needs one tokenizer.json, found {len(spelling)}")
    stored = read_ct2(b"".join(one for one in files if one is not spelling[0]))
    attention = re.compile(r"decoder/layer_\d+/attention/linear_1/weight")
    layers = [name.removesuffix("linear_1/weight") for name in stored if attention.fullmatch(name)]
    if not layers:
        raise WeightsError("not a whole Whisper model: the decoder's layers are missing")
    weight, bias = [], []
    for layer in layers:
        value, value_bias = (
            np.split(_lens_tensor(stored, f"{layer}linear_1/{field}"), 2)[1]  # keys, then values
            for field in ("weight", "bias")
        )
        out = _lens_tensor(stored, f"{layer}linear_2/weight")
        weight.append(out @ value)
        bias.append(out @ value_bias + _lens_tensor(stored, f"{layer}linear_2/bias"))
    tensors = {
        "map.weight": np.sum(weight, axis=0),
        "map.bias": np.sum(bias, axis=0),
        "norm.weight": _lens_tensor(stored, "decoder/layer_norm/gamma"),
        "norm.bias": _lens_tensor(stored, "decoder/layer_norm/beta"),
        "words": _lens_tensor(stored, "decoder/embeddings/weight"),
    }
    return Converted(as_half(tensors), {"tokenizer.json": spelling[0].decode()})


def _lens_tensor(stored: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in stored:
        raise WeightsError(f"not a whole Whisper model: {name} is missing")
    return stored[name].astype(np.float32)


def convert_ge2e(files: Sequence[bytes]) -> Converted:
    """The speaker LSTM and its last linear layer, under the checkpoint's own names."""
    state = read_torch(files[0])["model_state"]
    return Converted(as_half(_with_prefix(state, ("lstm.", "linear."))), {})


def convert_aisfx(files: Sequence[bytes]) -> Converted:
    """The sound-effect CNN without its class heads; `embedding_net.` is dropped from the names."""
    state = _with_prefix(read_torch(files[0])[0], ("embedding_net.",))
    return Converted(
        as_half({name.removeprefix("embedding_net."): value for name, value in state.items()}), {}
    )


def convert_fcpe(files: Sequence[bytes]) -> Converted:
    """The pitch conformer, under the checkpoint's own names; its cent table stays float32."""
    return Converted(as_half(read_torch(files[0])["model"], keep=FCPE_TABLES), {})


def convert_musicnn(files: Sequence[bytes]) -> Converted:
    """The frame part of the music tagger, under its TensorFlow variable names.

    Args:
        files: The checkpoint's index and its data file.
    """
    variables = read_tf_checkpoint(*files)
    kept = {name: value for name, value in variables.items() if MUSICNN_FRAME_PART.fullmatch(name)}
    if not kept:
        raise WeightsError("no musiCNN variables in the TensorFlow checkpoint")
    return Converted(as_half(kept), {})


def convert_smollm2(files: Sequence[bytes]) -> Converted:
    """A GGUF Llama under the names of `LlamaForCausalLM`, with its config and its tokenizer.

    Raises:
        WeightsError: If a tensor has a name that no Llama has.
    """
    metadata, stored = read_gguf(files[0])
    heads = {
        "attn_q": metadata["llama.attention.head_count"],
        "attn_k": metadata["llama.attention.head_count_kv"],
    }
    tensors = {}
    for name, values in stored.items():
        layer = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
        if name in GGUF_TOP:
            tensors[GGUF_TOP[name]] = values
        elif layer and layer[2] in GGUF_LAYER:
            if layer[2] in heads:
                values = undo_rope_permutation(values, heads[layer[2]])
            tensors[f"model.layers.{layer[1]}.{GGUF_LAYER[layer[2]]}.weight"] = values
        else:
            raise WeightsError(f"unknown Llama tensor {name}")
    texts = {
        "config.json": _json(_llama_config(metadata)),
        "generation_config.json": _json(_token_ids(metadata)),
        **tokenizer_files(metadata),
    }
    return Converted(as_half(tensors), texts)


def undo_rope_permutation(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a q or k matrix in the order of transformers.

    GGUF interleaves the two halves of every head, for rotary embeddings on neighbouring pairs.
    Left as it is, the model still talks, only worse.

    Args:
        weight: `(heads * head_dim, dim)`.
        heads: Number of heads in the matrix (of the keys: fewer than of the queries).
    """
    rows, dim = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, dim)
    return pairs.swapaxes(1, 2).reshape(rows, dim)


def _llama_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_attention_heads": metadata["llama.attention.head_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "max_position_embeddings": metadata["llama.context_length"],
        "rms_norm_eps": round(metadata["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": metadata["llama.rope.freq_base"],
        },
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "dtype": "float16",
        **_token_ids(metadata),
    }


def _token_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    return {
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
    }


def _with_prefix(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    kept = {name: value for name, value in state.items() if name.startswith(prefixes)}
    if not kept:
        raise WeightsError(f"no tensor starts with {' or '.join(prefixes)}")
    return kept


def as_half(
    tensors: Mapping[str, np.ndarray] | Mapping[str, Tensor], keep: Sequence[str] = ()
) -> dict[str, Tensor]:
    """The tensors in float16; whole numbers, and those named in `keep`, stay as they are.

    Raises:
        WeightsError: If a value is not finite or too large for float16.
    """
    halves = {}
    for name, values in tensors.items():
        tensor = torch.tensor(values) if isinstance(values, np.ndarray) else values.detach()
        if tensor.is_floating_point() and name not in keep:
            if not bool((tensor.abs() <= HALF_MAX).all()):
                raise WeightsError(f"{name} holds a value that float16 cannot, above {HALF_MAX}")
            tensor = tensor.half()
        halves[name] = tensor.contiguous().clone()
    return halves


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


CONVERTERS: dict[str, Callable[[Sequence[bytes]], Converted]] = {
    "whisper": convert_whisper,
    "whisper-lens": convert_whisper_lens,
    "ge2e": convert_ge2e,
    "aisfx": convert_aisfx,
    "musicnn": convert_musicnn,
    "fcpe": convert_fcpe,
    "smollm2": convert_smollm2,
}

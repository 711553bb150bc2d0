"""From the pinned files of a component to named tensors and the texts that go beside them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import safetensors.torch
from torch import Tensor

from mowe.errors import WeightsError
from mowe.weights.converted import Converted, as_half, as_json
from mowe.weights.readers import read_gguf, read_tf_checkpoint, read_torch
from mowe.weights.tokenizer import tokenizer_files
from mowe.weights.whisper import convert_whisper, convert_whisper_decoder

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


def convert_silero(files: Sequence[bytes]) -> Converted:
    """The voice activity detector, under its own names and in full precision."""
    return Converted(safetensors.torch.load(files[0]), {})


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
        "config.json": as_json(_llama_config(metadata)),
        "generation_config.json": as_json(_token_ids(metadata)),
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


CONVERTERS: dict[str, Callable[[Sequence[bytes]], Converted]] = {
    "whisper": convert_whisper,
    "whisper-decoder": convert_whisper_decoder,
    "ge2e": convert_ge2e,
    "aisfx": convert_aisfx,
    "musicnn": convert_musicnn,
    "fcpe": convert_fcpe,
    "silero": convert_silero,
    "smollm2": convert_smollm2,
}

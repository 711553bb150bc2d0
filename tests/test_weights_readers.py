"""Readers and conversions, on tiny files written here byte by byte."""

import json
import struct

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from mowe.errors import WeightsError
from mowe.weights.convert import (
    convert_aisfx,
    convert_ge2e,
    convert_musicnn,
    convert_smollm2,
    undo_rope_permutation,
)
from mowe.weights.converted import as_half
from mowe.weights.readers import read_ct2, read_gguf, read_tf_checkpoint, read_torch
from mowe.weights.whisper import (
    convert_whisper,
    convert_whisper_decoder,
    decoder_tensors,
)

# ---------------------------------------------------------------- CTranslate2


def ct2_text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def ct2_file(tensors: dict[str, np.ndarray], version: int = 6) -> bytes:
    dtypes = {np.dtype(np.float32): 0, np.dtype(np.int16): 2, np.dtype(np.float16): 4}
    parts = [struct.pack("<I", version), ct2_text("WhisperSpec"), struct.pack("<I", 3)]
    parts.append(struct.pack("<I", len(tensors)))
    for name, values in tensors.items():
        parts += [ct2_text(name), struct.pack("<B", values.ndim)]
        parts += [struct.pack("<I", size) for size in values.shape]
        parts += [struct.pack("<BI", dtypes[values.dtype], values.nbytes), values.tobytes()]
    return b"".join(parts)


def ct2_whisper(dim: int = 64, key_bias: float = 0.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)

    def values(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float16)

    fused_bias = values(3 * dim)
    fused_bias[dim : 2 * dim] = key_bias
    shapes = {
        "conv1/weight": (dim, 80, 3), "conv1/bias": (dim,),
        "conv2/weight": (dim, dim, 3), "conv2/bias": (dim,),
        "position_encodings/encodings": (20, dim),
        "layer_norm/gamma": (dim,), "layer_norm/beta": (dim,),
        "layer_0/self_attention/layer_norm/gamma": (dim,),
        "layer_0/self_attention/layer_norm/beta": (dim,),
        "layer_0/self_attention/linear_0/weight": (3 * dim, dim),
        "layer_0/self_attention/linear_1/weight": (dim, dim),
        "layer_0/self_attention/linear_1/bias": (dim,),
        "layer_0/ffn/layer_norm/gamma": (dim,), "layer_0/ffn/layer_norm/beta": (dim,),
        "layer_0/ffn/linear_0/weight": (4 * dim, dim), "layer_0/ffn/linear_0/bias": (4 * dim,),
        "layer_0/ffn/linear_1/weight": (dim, 4 * dim), "layer_0/ffn/linear_1/bias": (dim,),
    }  # fmt: skip
    return {
        **{f"encoder/{name}": values(*shape) for name, shape in shapes.items()},
        "encoder/layer_0/self_attention/linear_0/bias": fused_bias,
        "encoder/num_heads": np.array(1, np.int16),
        "decoder/embeddings/weight": values(30, dim),
    }


def test_ctranslate2_tensors_come_back_with_their_shapes_and_types():
    tensors = {
        "a/weight": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(7, np.int16),
        "c": np.array([0.5, -2], np.float32),
    }
    read = read_ct2(ct2_file(tensors))
    assert list(read) == list(tensors)
    for name, values in tensors.items():
        assert read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize("kept", [3, 20, -1])
def test_a_ctranslate2_file_that_is_cut_off_is_refused(kept):
    with pytest.raises(WeightsError, match="not a whole CTranslate2 file"):
        read_ct2(ct2_file({"a": np.zeros(4, np.float32)})[:kept])


def test_a_ctranslate2_file_of_another_version_is_refused():
    with pytest.raises(WeightsError, match="version 5, need 6"):
        read_ct2(ct2_file({}, version=5))


def test_the_fused_attention_is_split_into_the_names_of_the_hub():
    stored = ct2_whisper(dim=64)
    file = ct2_file(stored)
    tensors, texts = convert_whisper([file[:1000], file[1000:]])  # two parts of one file
    fused = stored["encoder/layer_0/self_attention/linear_0/weight"]
    attention = "layers.0.self_attn."
    np.testing.assert_array_equal(tensors[f"{attention}q_proj.weight"].numpy(), fused[:64])
    np.testing.assert_array_equal(tensors[f"{attention}k_proj.weight"].numpy(), fused[64:128])
    np.testing.assert_array_equal(tensors[f"{attention}v_proj.weight"].numpy(), fused[128:])
    assert f"{attention}k_proj.bias" not in tensors
    assert tensors["embed_positions.weight"].shape == (20, 64)
    assert not [name for name in tensors if "decoder" in name or "heads" in name]
    config = json.loads(texts["config.json"])
    assert (config["d_model"], config["encoder_layers"], config["vocab_size"]) == (64, 1, 30)


def test_a_whisper_whose_keys_have_a_bias_is_refused():
    with pytest.raises(WeightsError, match="k_proj has a bias that is not zero"):
        convert_whisper([ct2_file(ct2_whisper(key_bias=0.5))])


def test_a_whisper_without_its_positions_is_refused():
    stored = ct2_whisper()
    del stored["encoder/position_encodings/encodings"]
    with pytest.raises(WeightsError, match=r"embed_positions\.weight"):
        convert_whisper([ct2_file(stored)])


TOKENIZER = b'{"added_tokens": []}'
SETTINGS = b'{"suppress_ids": [1, 7], "suppress_ids_begin": [3], "lang_ids": [5]}'


def ct2_whole_decoder(dim: int = 64) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(2)
    shapes = {"embeddings/weight": (12, dim), "position_encodings/encodings": (9, dim)}
    shapes |= {f"layer_norm/{one}": (dim,) for one in ("gamma", "beta")}
    linear = {"self_attention/linear_0": 3, "self_attention/linear_1": 1, "attention/linear_0": 1}
    linear |= {"attention/linear_1": 2, "attention/linear_2": 1, "ffn/linear_0": 4}
    for layer in ("layer_0", "layer_1"):
        for part, width in linear.items():
            shapes[f"{layer}/{part}/weight"] = (width * dim, dim)
            shapes[f"{layer}/{part}/bias"] = (width * dim,)
        shapes[f"{layer}/ffn/linear_1/weight"] = (dim, 4 * dim)
        shapes[f"{layer}/ffn/linear_1/bias"] = (dim,)
        for part in ("self_attention", "attention", "ffn"):
            shapes |= {f"{layer}/{part}/layer_norm/{one}": (dim,) for one in ("gamma", "beta")}
    stored = {
        f"decoder/{name}": draw.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    for layer in ("layer_0", "layer_1"):  # Whisper's keys have no bias
        stored[f"decoder/{layer}/self_attention/linear_0/bias"][dim : 2 * dim] = 0.0
        stored[f"decoder/{layer}/attention/linear_1/bias"][:dim] = 0.0
    return stored | {"decoder/num_heads": np.array(1, np.int16)}


def test_a_decoder_fits_transformers_name_for_name():
    stored = ct2_whole_decoder()
    file = ct2_file(stored)
    tensors, texts = convert_whisper_decoder([file[:999], TOKENIZER, SETTINGS, file[999:]])
    config = WhisperConfig(
        **json.loads(texts["config.json"]), max_target_positions=9, pad_token_id=None
    )
    expected = WhisperDecoder(config).state_dict()
    assert {f"decoder.{name}": one.shape for name, one in expected.items()} == {
        name: one.shape for name, one in tensors.items()
    }
    assert json.loads(texts["generation_config.json"]) == {"suppress_tokens": [1, 7]}
    assert texts["tokenizer.json"].encode() == TOKENIZER
    fused = stored["decoder/layer_1/attention/linear_1/weight"].astype(np.float16)
    value = tensors["decoder.layers.1.encoder_attn.v_proj.weight"]
    np.testing.assert_array_equal(value.numpy(), fused[64:])


def test_the_fused_projections_of_a_whisper_decoder_are_taken_apart():
    fused = np.arange(18.0).reshape(9, 2)
    parts = decoder_tensors("layer_1/self_attention/linear_0/weight", fused)
    names = [f"layers.1.self_attn.{one}_proj.weight" for one in "qkv"]
    np.testing.assert_array_equal(np.concatenate([parts[name] for name in names]), fused)
    biases = decoder_tensors("layer_0/attention/linear_1/bias", np.zeros(4))
    assert list(biases) == ["layers.0.encoder_attn.v_proj.bias"]
    with pytest.raises(WeightsError, match="unknown Whisper tensor"):
        decoder_tensors("layer_0/attention/linear_9/weight", fused)


def test_a_decoder_without_its_texts_or_tensors_is_refused():
    file = ct2_file(ct2_whole_decoder())
    with pytest.raises(WeightsError, match=r"needs a tokenizer.json and a config.json, found \[\]"):
        convert_whisper_decoder([file])
    with pytest.raises(WeightsError, match=r"found \['tokenizer'\]"):
        convert_whisper_decoder([file, TOKENIZER])
    with pytest.raises(WeightsError, match="embed_tokens.weight"):
        convert_whisper_decoder([ct2_file({}), TOKENIZER, SETTINGS])


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_text(value)
    if isinstance(value, list):
        items = [gguf_value(item) for item in value]
        return struct.pack("<I", 9) + items[0][:4] + struct.pack("<Q", len(items)) + b"".join(
            item[4:] for item in items
        )  # fmt: skip
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<II", 4, value)


def gguf_file(metadata: dict, tensors: dict[str, tuple[list[int], int, bytes]]) -> bytes:
    """`tensors`: name to shape (slowest axis first), type and raw bytes."""
    parts = [struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(metadata))]
    parts += [gguf_text(key) + gguf_value(value) for key, value in metadata.items()]
    body = b""
    for name, (shape, kind, raw) in tensors.items():
        parts += [gguf_text(name), struct.pack("<I", len(shape))]
        parts += [struct.pack("<Q", size) for size in reversed(shape)]
        parts += [struct.pack("<IQ", kind, len(body))]
        body += raw + b"\0" * (-len(raw) % 32)
    head = b"".join(parts)
    return head + b"\0" * (-len(head) % 32) + body


def test_gguf_metadata_and_plain_tensors_come_back():
    metadata = {"name": "Ünit", "count": 3, "scale": 0.5, "words": ["a", "bc"], "ids": [1, 2]}
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    half = np.array([1.5, -2], np.float16)
    file = gguf_file(
        metadata, {"w": ([2, 3], 0, plain.tobytes()), "h": ([2], 1, half.tobytes())}
    )  # fmt: skip
    read_metadata, tensors = read_gguf(file)
    assert read_metadata == metadata
    np.testing.assert_array_equal(tensors["w"], plain)
    np.testing.assert_array_equal(tensors["h"], half.astype(np.float32))


def test_q8_blocks_are_scale_times_value():
    block = np.float16(0.5).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
    _, tensors = read_gguf(gguf_file({}, {"w": ([1, 32], 8, block)}))
    np.testing.assert_array_equal(tensors["w"], np.arange(-16, 16)[None] * np.float32(0.5))


def test_q4_blocks_hold_two_halves_in_each_byte_and_a_least_value():
    # byte i: value i is i in the low half, value 16 + i is 15 - i in the high half
    packed = bytes(i | (15 - i) << 4 for i in range(16))
    block = np.float16(0.25).tobytes() + np.float16(-1).tobytes() + packed
    _, tensors = read_gguf(gguf_file({}, {"w": ([32], 3, block)}))
    expected = np.concatenate([np.arange(16), 15 - np.arange(16)]) * 0.25 - 1
    np.testing.assert_array_equal(tensors["w"], expected.astype(np.float32))


def test_a_gguf_file_that_is_cut_off_or_of_another_kind_is_refused():
    file = gguf_file({"a": "b"}, {"w": ([8], 0, np.zeros(8, np.float32).tobytes())})
    with pytest.raises(WeightsError, match="not a whole GGUF file"):
        read_gguf(file[:-1])
    with pytest.raises(WeightsError, match="not a GGUF file of version 3"):
        read_gguf(b"GGML" + file[4:])
    with pytest.raises(WeightsError, match="w has GGUF tensor type 12, need F32"):
        read_gguf(gguf_file({}, {"w": ([32], 12, b"\0" * 64)}))


def rope_permutation(weight: np.ndarray, heads: int) -> np.ndarray:
    """What the converter to GGUF does: the two halves of each head's rows are interleaved."""
    mixed = []
    for head in np.split(weight, heads):
        first, second = np.split(head, 2)
        mixed += [row for pair in zip(first, second, strict=True) for row in pair]
    return np.stack(mixed)


def test_the_permutation_of_query_and_key_rows_is_undone_head_by_head():
    weight = np.arange(24, dtype=np.float32).reshape(12, 2)
    assert not np.array_equal(rope_permutation(weight, heads=3), weight)
    np.testing.assert_array_equal(undo_rope_permutation(rope_permutation(weight, 3), 3), weight)


def tiny_llama() -> tuple[dict, dict[str, np.ndarray]]:
    """Metadata and tensors of a one-layer Llama with 2 query heads and 1 key head of 4."""
    random = np.random.default_rng(0)
    shapes = {
        "token_embd": (12, 8), "output_norm": (8,),
        "blk.0.attn_norm": (8,), "blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8),
        "blk.0.attn_v": (4, 8), "blk.0.attn_output": (8, 8), "blk.0.ffn_norm": (8,),
        "blk.0.ffn_gate": (16, 8), "blk.0.ffn_up": (16, 8), "blk.0.ffn_down": (8, 16),
    }  # fmt: skip
    metadata = {
        "llama.block_count": 1, "llama.context_length": 64, "llama.embedding_length": 8,
        "llama.feed_forward_length": 16, "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1, "llama.rope.freq_base": 10000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens":
            ["<pad>", "<s>", "</s>", "h", "i", "Ġ", "hi", "Ġhi", "1", "2", "12", "Ċ"],
        "tokenizer.ggml.token_type": [3, 3, 3] + [1] * 9,
        "tokenizer.ggml.merges": ["h i", "Ġ hi", "1 2"],
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0, "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": "{{ messages }}",
    }  # fmt: skip
    weights = {f"{name}.weight": random.normal(size=shape) for name, shape in shapes.items()}
    return metadata, {name: values.astype(np.float32) for name, values in weights.items()}


def plain_entries(weights: dict[str, np.ndarray]) -> dict[str, tuple[list[int], int, bytes]]:
    return {name: (list(values.shape), 0, values.tobytes()) for name, values in weights.items()}


def test_a_gguf_llama_gets_the_names_config_and_row_order_of_the_hub():
    metadata, weights = tiny_llama()
    stored = {**weights}
    stored["blk.0.attn_q.weight"] = rope_permutation(weights["blk.0.attn_q.weight"], heads=2)
    stored["blk.0.attn_k.weight"] = rope_permutation(weights["blk.0.attn_k.weight"], heads=1)
    tensors, texts = convert_smollm2([gguf_file(metadata, plain_entries(stored))])
    layer = "model.layers.0.self_attn."
    for ours, theirs in (("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v")):
        expected = weights[f"blk.0.{theirs}.weight"].astype(np.float16)
        np.testing.assert_array_equal(tensors[f"{layer}{ours}.weight"].numpy(), expected)
    assert tensors["model.embed_tokens.weight"].shape == (12, 8)
    config = json.loads(texts["config.json"])
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}
    assert config["num_key_value_heads"] == 1
    assert config["rms_norm_eps"] == 1e-5


def test_the_tokenizer_splits_digits_and_keeps_markers_whole():
    metadata, weights = tiny_llama()
    _, texts = convert_smollm2([gguf_file(metadata, plain_entries(weights))])
    tokenizer = Tokenizer.from_str(texts["tokenizer.json"])
    encoded = tokenizer.encode("<s>hi hi12</s>")
    assert encoded.tokens == ["<s>", "hi", "Ġhi", "1", "2", "</s>"]  # never the merge "12"
    assert tokenizer.decode(encoded.ids, skip_special_tokens=True) == "hi hi12"
    assert json.loads(texts["tokenizer_config.json"])["eos_token"] == "</s>"


def test_a_tokenizer_or_tensor_of_another_kind_is_refused():
    metadata, weights = tiny_llama()
    with pytest.raises(WeightsError, match="tokenizer is of kind"):
        convert_smollm2(
            [gguf_file({**metadata, "tokenizer.ggml.pre": "qwen2"}, plain_entries(weights))]
        )
    for name in ("rope_freqs.weight", "blk.0.attn_q.bias"):
        more = {**weights, name: weights["output_norm.weight"]}
        with pytest.raises(WeightsError, match=f"unknown Llama tensor {name}"):
            convert_smollm2([gguf_file(metadata, plain_entries(more))])


# ---------------------------------------------------------------- TensorFlow


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tf_block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A table block; each key leaves out what it shares with the one before."""
    out, before = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)  # one restart point, at the start


def tf_checkpoint(variables: dict[str, np.ndarray], squeezed: bool = False) -> tuple[bytes, bytes]:
    shard, pairs = b"", [(b"", field(1, 1))]  # the header's key is empty
    for name, values in sorted(variables.items()):
        shape = b"".join(field(2, field(1, size)) for size in values.shape)
        kind = 1 if values.dtype == np.float32 else 9  # 9 is int64
        checksum = varint(6 << 3 | 5) + b"\1\2\3\4"  # a fixed-width field to step over
        entry = field(1, kind) + field(2, shape) + field(4, len(shard)) + field(5, values.nbytes)
        pairs.append((name.encode(), entry + checksum))
        shard += values.tobytes()
    trailer = bytes([1 if squeezed else 0]) + b"\0" * 4
    data = tf_block(pairs)
    index_at = len(data) + 5
    index = tf_block([(b"z", varint(0) + varint(len(data)))])
    footer = varint(0) + varint(0) + varint(index_at) + varint(len(index))
    footer = footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return data + trailer + index + b"\0" * 5 + footer, shard


def test_tensorflow_variables_come_back_and_other_types_are_left_out():
    variables = {
        "conv2d/bias": np.array([1.5, -2], np.float32),
        "conv2d/kernel": np.arange(300, dtype=np.float32).reshape(3, 100),
        "scalar": np.array(3, np.float32),
        "step": np.array(7, np.int64),
    }
    read = read_tf_checkpoint(*tf_checkpoint(variables))
    assert sorted(read) == ["conv2d/bias", "conv2d/kernel", "scalar"]
    for name, values in read.items():
        np.testing.assert_array_equal(values, variables[name])


def test_a_broken_tensorflow_checkpoint_is_refused():
    index, shard = tf_checkpoint({"a": np.ones(3, np.float32)})
    with pytest.raises(WeightsError, match="a lies outside"):
        read_tf_checkpoint(index, shard[:-1])
    with pytest.raises(WeightsError, match="not a TensorFlow checkpoint index"):
        read_tf_checkpoint(index[:-1], shard)
    with pytest.raises(WeightsError, match="not a whole TensorFlow checkpoint index"):
        read_tf_checkpoint(index[-48:], shard)
    with pytest.raises(WeightsError, match="compressed"):
        read_tf_checkpoint(*tf_checkpoint({"a": np.ones(3, np.float32)}, squeezed=True))


def test_only_the_frame_part_of_the_music_tagger_is_kept():
    one = np.ones(2, np.float32)
    kept = ["batch_normalization/gamma", "batch_normalization_8/moving_mean", "conv2d_7/kernel"]
    dropped = ["batch_normalization_9/gamma", "conv2d/kernel/Adam", "dense/kernel", "beta1_power"]
    tensors, _ = convert_musicnn(tf_checkpoint(dict.fromkeys(kept + dropped, one)))
    assert sorted(tensors) == kept


# ---------------------------------------------------------------- torch


def torch_file(content, path, zipped: bool = True) -> bytes:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path.read_bytes()


class Harmful:
    """Unpickling this would make a file: a stand-in for any code hidden in a checkpoint."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_gives_its_tensors_and_numpy_numbers(tmp_path, zipped):
    content = {"state": {"w": torch.arange(3.0)}, "score": np.float64(0.5), "step": np.int64(4)}
    read = read_torch(torch_file(content, tmp_path / "model.pt", zipped))
    assert torch.equal(read["state"]["w"], torch.arange(3.0))
    assert (read["score"], read["step"]) == (0.5, 4)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_file_is_refused_and_never_run(tmp_path, zipped):
    victim = tmp_path / "made"
    content = {"state": torch.ones(2), "extra": Harmful(victim)}
    data = torch_file(content, tmp_path / "model.pt", zipped)
    with pytest.raises(WeightsError, match="not a torch checkpoint of plain tensors"):
        read_torch(data)
    assert not victim.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_torch_file_that_is_cut_off_is_refused(tmp_path, zipped, share):
    data = torch_file({"w": torch.ones(100)}, tmp_path / "model.pt", zipped)
    with pytest.raises(WeightsError, match="not a torch checkpoint"):
        read_torch(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 not a zip"])
def test_bytes_that_are_no_torch_file_are_refused(data):
    with pytest.raises(WeightsError, match="not a torch checkpoint"):
        read_torch(data)


def test_the_speaker_and_sound_networks_keep_only_what_is_used(tmp_path):
    one = torch.ones(2)
    speaker = {"model_state": {"lstm.w": one, "linear.b": one, "similarity_bias": one}}
    assert sorted(convert_ge2e([torch_file(speaker, tmp_path / "a.pt")]).tensors) == [
        "linear.b",
        "lstm.w",
    ]
    sound = ({"embedding_net.conv.weight": one, "fc.0.weight": one}, {"names": 1})
    assert sorted(convert_aisfx([torch_file(sound, tmp_path / "b.pt")]).tensors) == ["conv.weight"]


# ---------------------------------------------------------------- halves


def test_halves_keep_whole_numbers_and_named_tables_as_they_are():
    halves = as_half(
        {"w": torch.ones(2), "table": torch.tensor([9151.3]), "steps": torch.tensor(113_832)},
        keep=("table",),
    )
    assert [str(tensor.dtype) for tensor in halves.values()] == [
        "torch.float16",
        "torch.float32",
        "torch.int64",
    ]
    assert halves["steps"] == 113_832


@pytest.mark.parametrize("value", [70_000.0, -70_000.0, float("inf"), float("nan")])
def test_a_value_that_a_half_cannot_hold_is_refused(value):
    with pytest.raises(WeightsError, match="w holds a value that float16 cannot"):
        as_half({"w": torch.tensor([1.0, value])})

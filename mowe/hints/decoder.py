"""Whisper's text decoder for one recording at a time, with a key/value cache.

The network of Radford et al. 2022 (arXiv 2212.04356), lean: one token costs some forty small
products and nothing else. On a CPU its matrices can be held in int8, which makes a token three
times as fast (decision 0023).
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.errors import WeightsError
from mowe.files import read_json
from mowe.hints.vocabulary import REFETCH

_PREFIXES = ("model.decoder.", "decoder.")
# a build of torch without these decodes in float32, three times as slow
_CAN_PACK = hasattr(torch, "quantize_per_channel") and "fbgemm" in (
    torch.backends.quantized.supported_engines
)
POSITIONS = 448  # most tokens that any published Whisper's decoder can write at a time


class Memory(NamedTuple):
    """What the decoder keeps of one recording and of the tokens written so far."""

    heard: list[tuple[Tensor, Tensor]]  # per layer, keys and values (1, heads, frames, head_dim)
    written: list[tuple[Tensor, Tensor]]  # the same of tokens, (1, heads, positions, head_dim)


class _Product(nn.Module):
    """A linear layer whose weight can be held in int8, one scale a row."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.normal_(self.weight, std=0.02)
        self._packed: Any = None  # of fbgemm or oneDNN; no tensor, so no part of the state

    def forward(self, inputs: Tensor) -> Tensor:
        if self._packed is None:
            return functional.linear(inputs, self.weight, self.bias)
        result: Tensor = torch.ops.quantized.linear_dynamic(inputs, self._packed, True)
        return result

    @torch.no_grad()
    def pack(self) -> None:
        """Hold the weight in int8 from now on; the float values are let go."""
        weight = self.weight.float()
        scales = (weight.abs().amax(dim=1) / 127).clamp_min(1e-12)
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():  # torch announces that it will drop these one day
            warnings.simplefilter("ignore", UserWarning)
            rows = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias = None if self.bias is None else self.bias.float()
        self._packed = torch.ops.quantized.linear_prepack(rows, bias)
        self.weight = nn.Parameter(torch.empty(0), requires_grad=False)


class _Attention(nn.Module):
    """Attention of the new tokens to keys and values that are computed once and kept."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = _Product(dim, dim)
        self.k_proj = _Product(dim, dim, bias=False)
        self.v_proj = _Product(dim, dim)
        self.out_proj = _Product(dim, dim)

    def keys_values(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Of `(1, count, dim)`: both `(1, heads, count, head_dim)`."""
        return self._split(self.k_proj(inputs)), self._split(self.v_proj(inputs))

    def forward(self, inputs: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None) -> Tensor:
        query = self._split(self.q_proj(inputs))
        mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=seen)
        attended: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(inputs.shape))
        return attended

    def _split(self, rows: Tensor) -> Tensor:
        return rows.view(1, rows.shape[1], self.heads, -1).transpose(1, 2)


class _Layer(nn.Module):
    """Attention to what was written, to what was heard, and a feed-forward layer; norms first."""

    def __init__(self, dim: int, heads: int, inner_dim: int) -> None:
        super().__init__()
        self.self_attn = _Attention(dim, heads)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.encoder_attn = _Attention(dim, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(dim)
        self.fc1 = _Product(dim, inner_dim)
        self.fc2 = _Product(inner_dim, dim)
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(
        self,
        hidden: Tensor,
        start: int,
        written: tuple[Tensor, Tensor],
        heard: tuple[Tensor, Tensor],
        seen: Tensor | None,
    ) -> Tensor:
        end = start + hidden.shape[1]
        inputs = self.self_attn_layer_norm(hidden)
        for kept, new in zip(written, self.self_attn.keys_values(inputs), strict=True):
            kept[:, :, start:end] = new
        keys, values = (kept[:, :, :end] for kept in written)
        hidden = hidden + self.self_attn(inputs, keys, values, seen)
        hidden = hidden + self.encoder_attn(self.encoder_attn_layer_norm(hidden), *heard, None)
        inner = functional.gelu(self.fc1(self.final_layer_norm(hidden)))
        return hidden + self.fc2(inner)


class WhisperDecoder(nn.Module):
    """Encoder frames and the tokens written so far in, scores of the next token out."""

    def __init__(
        self, *, vocabulary: int, dim: int, layers: int, heads: int, inner_dim: int
    ) -> None:
        """Build with random weights; all sizes are counts."""
        super().__init__()
        self.dim, self.heads = dim, heads
        self.embed_tokens = nn.Embedding(vocabulary, dim)
        self.embed_positions = nn.Embedding(POSITIONS, dim)
        self.layers = nn.ModuleList(_Layer(dim, heads, inner_dim) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(dim)
        self._scores: _Product | None = None  # the tied output layer, once it is packed

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return self.embed_tokens.num_embeddings

    def pack(self) -> "WhisperDecoder":
        """Hold every matrix in int8 where this build of torch and this device can, for CPUs."""
        if not _CAN_PACK:
            return self
        scores = _Product(self.dim, self.vocabulary, bias=False)
        scores.weight = nn.Parameter(self.embed_tokens.weight, requires_grad=False)
        scores.pack()
        self._scores = scores.requires_grad_(False)
        # a row a step is all that is ever looked up
        self.embed_tokens.weight.data = self.embed_tokens.weight.data.half()
        for module in self.layers.modules():
            if isinstance(module, _Product):
                module.pack()
        return self

    @torch.inference_mode()
    def hear(self, frames: Tensor) -> Memory:
        """What is kept of a recording.

        Args:
            frames: Encoder frames with the silence behind the sound, `(1, frames, dim)`.
        """
        frames = frames.to(self.layer_norm.weight)
        heard, written = [], []
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            heard.append(layer.encoder_attn.keys_values(frames))
            room = (1, self.heads, POSITIONS, self.dim // self.heads)
            written.append((frames.new_zeros(room), frames.new_zeros(room)))
        return Memory(heard, written)

    @torch.inference_mode()
    def forward(self, tokens: list[int], start: int, memory: Memory) -> Tensor:
        """Scores (logits) after each of some tokens, `(tokens, vocabulary)` float32.

        Args:
            tokens: The next ones.
            start: How many were written before them.
            memory: From `hear`; what is computed of the tokens is kept in it.
        """
        device, end = self.layer_norm.weight.device, start + len(tokens)
        ids = torch.tensor(tokens, device=device)
        hidden = self.embed_tokens(ids).to(self.layer_norm.weight.dtype)
        hidden = (hidden + self.embed_positions.weight[start:end])[None]  # (1, tokens, dim)
        seen = None
        if len(tokens) > 1:
            seen = torch.ones(len(tokens), end, dtype=torch.bool, device=device).tril(start)
        for layer, written, heard in zip(self.layers, memory.written, memory.heard, strict=True):
            hidden = layer(hidden, start, written, heard, seen)
        hidden = self.layer_norm(hidden)[0]
        if self._scores is not None:
            scores: Tensor = self._scores(hidden)
            return scores
        return functional.linear(hidden, self.embed_tokens.weight).float()


def load_decoder(folder: Path) -> WhisperDecoder:
    """The decoder of a Whisper in hub layout, a folder of tensors and `config.json`.

    Raises:
        WeightsError: If the folder is incomplete or holds no Whisper.
    """
    config = read_json(folder / "config.json", WeightsError, REFETCH)
    try:
        sizes = {
            "vocabulary": config["vocab_size"],
            "dim": config["d_model"],
            "layers": config["decoder_layers"],
            "heads": config["decoder_attention_heads"],
            "inner_dim": config["decoder_ffn_dim"],
        }
    except KeyError as error:
        raise WeightsError(f"config.json of {folder.name} lacks {error}") from error
    decoder = built_on_meta(lambda: WhisperDecoder(**sizes))
    tensors = read_tensors(folder, _PREFIXES, "embed_tokens.weight")
    load_strictly(decoder, tensors, f"the decoder of {folder.name}")
    return decoder.requires_grad_(False).eval()

"""Audio tokens in two parts: what is heard at a fixed rate, then what is read as text.

The first part carries how things sound, in time. The second part has one token for every text piece
that a CTC reader finds in the audio, made of the language model's own embeddings; stretches without
speech add nothing to it, so the language model meets a transcript it can correct rather than a grid
of blanks (decision 0009; dropping blanks after Gaido et al. 2021, arXiv 2102.01578).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.adapter.frames import AudioTokens, ConvAdapter, Reading, token_mask
from mowe.config import AdapterConfig

_STRIDES = (2, 2)  # 50 Hz to 12.5 Hz
_KERNEL = 15  # frames a block's convolution sees
_HEADS = 6


class _Block(nn.Module):
    """Attention, a depthwise convolution and a feed-forward layer, each beside a shortcut.

    After the Conformer (Gulati et al. 2020, arXiv 2005.08100), with layer norms only, for batch
    statistics would let padding and batch mates in.
    """

    def __init__(self, dim: int, heads: int, inner_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.queries = nn.Linear(dim, 3 * dim)
        self.attended = nn.Linear(dim, dim)
        self.near_norm = nn.LayerNorm(dim)
        self.near = nn.Conv1d(dim, dim, _KERNEL, padding=_KERNEL // 2, groups=dim)
        self.inner = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, inner_dim), nn.SiLU(), nn.Linear(inner_dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Map `(batch, frames, dim)`; bool `mask` `(batch, frames)` is True on real frames."""
        batch, frames, dim = hidden.shape
        parts = self.queries(self.attention_norm(hidden)).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        seen = self.attended(seen.transpose(1, 2).reshape(batch, frames, dim))
        hidden = hidden + self.dropout(seen)
        near = self.near((self.near_norm(hidden) * mask.unsqueeze(-1)).transpose(1, 2))
        hidden = hidden + self.dropout(F.silu(near.transpose(1, 2)))
        return hidden + self.dropout(self.inner(hidden))


class _Reader(nn.Module):
    """Fused frames to hidden states at a quarter of their rate."""

    def __init__(self, fused_dim: int, config: AdapterConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        heads = _HEADS if dim % _HEADS == 0 else 1
        self.dropout = nn.Dropout(config.dropout)
        self.entry = nn.Linear(fused_dim, dim)
        self.entry_norm = nn.LayerNorm(dim)
        self.shrink = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel_size=stride + 1, stride=stride) for stride in _STRIDES
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                _Block(dim, heads, round(dim * width), config.dropout) for _ in range(config.layers)
            )
            for width in (8 / 3, 4)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states `(batch, frames / 4, hidden_dim)` and their mask."""
        hidden = self.entry_norm(F.gelu(self.entry(self.dropout(frames))))
        for shrink, blocks in zip(self.shrink, self.blocks, strict=True):
            assert isinstance(shrink, nn.Conv1d)
            assert isinstance(blocks, nn.ModuleList)
            stride = shrink.stride[0]
            hidden = (hidden * mask.unsqueeze(-1)).transpose(1, 2)
            mask = token_mask(mask, stride)
            # Right padding so that every started group of frames gives one.
            hidden = F.pad(hidden, (0, mask.shape[1] * stride - hidden.shape[2] + 1))
            hidden = F.gelu(shrink(hidden)).transpose(1, 2)
            for block in blocks:
                hidden = block(hidden, mask)
        return self.norm(hidden), mask


class ReadingAdapter(nn.Module):
    """Tokens of the sound at a fixed rate, an opening token, and one token per piece read."""

    def __init__(self, fused_dim: int, llm_dim: int, config: AdapterConfig) -> None:
        """Build the layers; `config.vocabulary_size` text pieces can be told apart."""
        super().__init__()
        self.heard = ConvAdapter(fused_dim, llm_dim, config.frames_per_token, config.residual_dim)
        self.reader = _Reader(fused_dim, config)
        self.piece = nn.Linear(config.hidden_dim, llm_dim)
        self.piece_bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        self.gate = nn.Linear(config.hidden_dim, 1)
        self.loudness = nn.Parameter(torch.ones(()))
        self.opening = nn.Parameter(torch.zeros(llm_dim))
        self.residual = nn.Linear(config.hidden_dim, llm_dim)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)
        self.register_buffer("piece_ids", torch.zeros(config.vocabulary_size, dtype=torch.int32))
        self.register_buffer(
            "piece_embeddings", torch.zeros(config.vocabulary_size, llm_dim), persistent=False
        )
        self.piece_ids: Tensor
        self.piece_embeddings: Tensor

    @torch.no_grad()
    def attach(self, embeddings: Tensor) -> None:
        """Take the language model's embeddings `(vocabulary, llm_dim)` of this adapter's pieces."""
        rows = self.piece_ids.long().to(embeddings.device)
        self.piece_embeddings = embeddings[rows].float().to(self.piece_ids.device)

    def read(self, frames: Tensor, mask: Tensor) -> Reading:
        """Read fused frames `(batch, frames, fused_dim)`."""
        hidden, real = self.reader(frames, mask)
        direction = F.normalize(self.piece(hidden).float(), dim=-1)
        known = F.normalize(self.piece_embeddings, dim=-1)
        pieces = self.log_scale.exp() * direction @ known.T + self.piece_bias
        return Reading(pieces, self.gate(hidden).float().squeeze(-1), hidden, real)

    def hear(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """The first part alone: one token per `frames_per_token` fused frames."""
        sounds = self.heard(frames, mask)
        # As long as text embeddings are, so that neither part drowns the other.
        length = self.piece_embeddings.norm(dim=-1).mean() * self.loudness
        return AudioTokens(F.normalize(sounds.tokens.float(), dim=-1) * length, sounds.mask)

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        sounds = self.hear(frames, mask)
        reading = self.read(frames, mask)
        words = self._words(reading)
        opening = self.opening.expand(len(frames), 1, -1)
        return AudioTokens(
            torch.cat([sounds.tokens, opening, words.tokens], dim=1),
            torch.cat([sounds.mask, torch.ones_like(sounds.mask[:, :1]), words.mask], dim=1),
            reading,
        )

    def _words(self, reading: Reading) -> AudioTokens:
        _, said = reading.best()
        counts = said.sum(dim=1).tolist()
        expected = reading.pieces[said].softmax(dim=-1) @ self.piece_embeddings
        rows = (expected + self.residual(reading.hidden[said]).float()).split(counts)
        tokens = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        return AudioTokens(tokens, place < said.sum(dim=1, keepdim=True))


def ignore_columns(adapter: ReadingAdapter, first: int) -> None:
    """Let the reader start deaf to fused features from column `first` on."""
    with torch.no_grad():
        adapter.reader.entry.weight[:, first:] = 0.0

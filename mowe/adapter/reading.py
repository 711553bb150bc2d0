"""Audio tokens in two parts: what is heard at a fixed rate, then what is read as text.

The first part carries how things sound, in time. The second part is the text that a CTC reader
finds in the audio, spelt again in the language model's own tokens; stretches without speech add
nothing to it, so the language model meets a transcript it can correct rather than a grid of blanks
(decisions 0009 and 0011).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.adapter.frames import AudioTokens, ConvAdapter, Reading, prime_factors, token_mask
from mowe.config import AdapterConfig

Respell = Callable[[Sequence[int]], list[int]]  # tokens to the tokens of the text they spell

_KERNEL = 15  # frames a block's convolution sees
_HEADS = 6
_ATTENDING = 1  # last blocks that also attend; Whisper's frames know the whole clip already
_INNER = 8 / 3  # width of a block's feed-forward layer, in widths of the block


class _Block(nn.Module):
    """Attention (in some), a depthwise convolution and a feed-forward layer, beside shortcuts.

    After the Conformer (Gulati et al. 2020, arXiv 2005.08100), with layer norms only, for batch
    statistics would let padding and batch mates in.
    """

    def __init__(self, dim: int, dropout: float, *, attends: bool) -> None:
        super().__init__()
        self.heads = _HEADS if dim % _HEADS == 0 else 1
        self.attends = attends
        if attends:
            self.attention_norm = nn.LayerNorm(dim)
            self.queries = nn.Linear(dim, 3 * dim)
            self.attended = nn.Linear(dim, dim)
        self.near_norm = nn.LayerNorm(dim)
        self.near = nn.Conv1d(dim, dim, _KERNEL, padding=_KERNEL // 2, groups=dim)
        inner_dim = round(dim * _INNER)
        self.inner = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, inner_dim), nn.SiLU(), nn.Linear(inner_dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Map `(batch, frames, dim)`; bool `mask` `(batch, frames)` is True on real frames."""
        if self.attends:
            hidden = hidden + self._attend(hidden, mask)
        near = self.near((self.near_norm(hidden) * mask.unsqueeze(-1)).transpose(1, 2))
        hidden = hidden + F.silu(near.transpose(1, 2))
        return hidden + self.dropout(self.inner(hidden))

    def _attend(self, hidden: Tensor, mask: Tensor) -> Tensor:
        batch, frames, dim = hidden.shape
        parts = self.queries(self.attention_norm(hidden)).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        attended: Tensor = self.attended(seen.transpose(1, 2).reshape(batch, frames, dim))
        return attended


class _Reader(nn.Module):
    """Fused frames to hidden states at the rate of the reading."""

    def __init__(self, fused_dim: int, config: AdapterConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.entry = nn.Linear(fused_dim, dim)
        self.entry_norm = nn.LayerNorm(dim)
        self.shrink = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel_size=stride + 1, stride=stride)
            for stride in prime_factors(config.frames_per_piece)
        )
        self.blocks = nn.ModuleList(
            _Block(dim, config.dropout, attends=config.layers - layer <= _ATTENDING)
            for layer in range(config.layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states `(batch, frames / frames_per_piece, hidden_dim)` and their mask."""
        hidden = self.entry_norm(F.gelu(self.entry(frames)))
        for shrink in self.shrink:
            assert isinstance(shrink, nn.Conv1d)
            stride = shrink.stride[0]
            hidden = (hidden * mask.unsqueeze(-1)).transpose(1, 2)
            mask = token_mask(mask, stride)
            # Right padding so that every started group of frames gives one.
            hidden = F.pad(hidden, (0, mask.shape[1] * stride - hidden.shape[2] + 1))
            hidden = F.gelu(shrink(hidden)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.norm(hidden), mask


class ReadingAdapter(nn.Module):
    """Tokens of the sound at a fixed rate, an opening token, then the tokens of the text read."""

    def __init__(self, fused_dim: int, llm_dim: int, config: AdapterConfig) -> None:
        """Build the layers; `config.vocabulary_size` text pieces can be told apart."""
        super().__init__()
        self.heard = ConvAdapter(fused_dim, llm_dim, config.frames_per_token, config.residual_dim)
        self.reader = _Reader(fused_dim, config)
        self.piece = nn.Linear(config.hidden_dim, config.vocabulary_size)
        self.gate = nn.Linear(config.hidden_dim, 1)
        self.loudness = nn.Parameter(torch.ones(()))
        self.opening = nn.Parameter(torch.zeros(llm_dim))
        self.register_buffer("piece_ids", torch.zeros(config.vocabulary_size, dtype=torch.int32))
        self.register_buffer("text_length", torch.ones(()), persistent=False)
        self.piece_ids: Tensor
        self.text_length: Tensor
        self._text: tuple[nn.Embedding, Respell] | None = None  # a tuple is no submodule

    @torch.no_grad()
    def attach(self, embedding: nn.Embedding, respell: Respell) -> None:
        """Take the language model's input embedding and its way to spell pieces as its tokens.

        Args:
            embedding: `(vocabulary, llm_dim)`.
            respell: From `piece_ids` in the order they are read to ids of the same text.
        """
        self._text = (embedding, respell)
        rows = embedding.weight[self.piece_ids.long().to(embedding.weight.device)].float()
        if len(rows):
            self.text_length = rows.norm(dim=-1).mean().to(self.piece_ids.device)

    def read(self, frames: Tensor, mask: Tensor) -> Reading:
        """Read fused frames `(batch, frames, fused_dim)`."""
        hidden, real = self.reader(frames, mask)
        return Reading(self.piece(hidden).float(), self.gate(hidden).float().squeeze(-1), real)

    def hear(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """The first part alone: one token per `frames_per_token` fused frames."""
        sounds = self.heard(frames, mask)
        # As long as text embeddings are, so that neither part drowns the other.
        length = self.text_length * self.loudness
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

    @torch.no_grad()
    def _words(self, reading: Reading) -> AudioTokens:
        """The greedy reading in the language model's tokens; the choice has no gradient."""
        assert self._text is not None, "attach() comes before the first forward"
        embedding, respell = self._text
        best, said = reading.best()
        device = embedding.weight.device
        rows = []
        for row, kept in zip(best, said, strict=True):
            ids = respell(self.piece_ids[row[kept]].tolist())
            rows.append(embedding(torch.tensor(ids, dtype=torch.long, device=device)).float())
        tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        counts = torch.tensor([len(row) for row in rows], device=tokens.device)
        return AudioTokens(tokens, place < counts.unsqueeze(1))


def ignore_columns(adapter: ReadingAdapter, first: int) -> None:
    """Let the reader start deaf to fused features from column `first` on."""
    with torch.no_grad():
        adapter.reader.entry.weight[:, first:] = 0.0

"""Turns fused frames into audio tokens of the language model's width.

Three kinds (decision 0001): `stack` joins neighbouring frames, `conv` uses strided convolutions,
and `aligned` also reads the audio as text pieces, which CTC can train before the paper's loss. All
of them zero what lies past an example's end, so padding never leaks into a token.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.config import AdapterConfig


class AudioTokens(NamedTuple):
    """Audio as the language model sees it."""

    tokens: Tensor  # (batch, audio_tokens, llm_dim)
    mask: Tensor  # (batch, audio_tokens) bool, True = real


def token_mask(mask: Tensor, frames_per_token: int) -> Tensor:
    """Which tokens hold a real frame, bool `(batch, ceil(frames / frames_per_token))`."""
    tokens = -(-mask.shape[1] // frames_per_token)
    padded = F.pad(mask, (0, tokens * frames_per_token - mask.shape[1]))
    return padded.view(len(mask), tokens, frames_per_token).any(dim=-1)


def stack_frames(frames: Tensor, mask: Tensor, frames_per_token: int) -> Tensor:
    """Join neighbours: `(batch, frames, dim)` to `(batch, tokens, frames_per_token * dim)`."""
    batch, count, dim = frames.shape
    tokens = -(-count // frames_per_token)
    frames = frames * mask.unsqueeze(-1)
    frames = F.pad(frames, (0, 0, 0, tokens * frames_per_token - count))
    return frames.reshape(batch, tokens, frames_per_token * dim)


class StackAdapter(nn.Module):
    """Layer norm, stack, one hidden layer, linear projection: the paper's rate at 15 frames."""

    def __init__(
        self, fused_dim: int, llm_dim: int, frames_per_token: int, hidden_dim: int
    ) -> None:
        """Build the layers; all widths are feature counts."""
        super().__init__()
        self.frames_per_token = frames_per_token
        self.norm = nn.LayerNorm(fused_dim)
        self.hidden = nn.Linear(fused_dim * frames_per_token, hidden_dim)
        self.projection = nn.Linear(hidden_dim, llm_dim)

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        stacked = stack_frames(self.norm(frames), mask, self.frames_per_token)
        real = token_mask(mask, self.frames_per_token)
        tokens = self.projection(F.silu(self.hidden(stacked)))
        return AudioTokens(tokens * real.unsqueeze(-1), real)


class ConvAdapter(nn.Module):
    """Strided convolutions, one per prime factor of the rate, then the linear projection."""

    def __init__(
        self, fused_dim: int, llm_dim: int, frames_per_token: int, hidden_dim: int
    ) -> None:
        """Build the layers; all widths are feature counts."""
        super().__init__()
        self.frames_per_token = frames_per_token
        self.norm = nn.LayerNorm(fused_dim)
        strides = _prime_factors(frames_per_token) or [1]
        widths = [fused_dim] + [hidden_dim] * len(strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel_size=stride + 1 + stride % 2, stride=stride, padding=1)
            for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.projection = nn.Linear(hidden_dim, llm_dim)

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        hidden = (self.norm(frames) * mask.unsqueeze(-1)).transpose(1, 2)
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            stride = convolution.stride[0]
            mask = token_mask(mask, stride)
            # Right padding so that every started group of frames gives a token.
            hidden = F.pad(hidden, (0, mask.shape[1] * stride - hidden.shape[2] + stride))
            hidden = F.gelu(convolution(hidden))[:, :, : mask.shape[1]] * mask.unsqueeze(1)
        tokens = self.projection(hidden.transpose(1, 2))
        return AudioTokens(tokens * mask.unsqueeze(-1), mask)


class AlignedAdapter(nn.Module):
    """Reads each audio token as a text piece, and lets the fused features add what text cannot say.

    A token is `(1 - p_blank) * expected embedding + p_blank * learned vector + residual`: the
    expected embedding mixes the language model's own (frozen) embeddings of the text pieces by
    their probability, and the residual is a zero-initialised path from the fused features. CTC can
    train piece and blank probabilities on transcripts (decision 0007).
    """

    def __init__(self, fused_dim: int, llm_dim: int, config: AdapterConfig) -> None:
        """Build the layers; `config.vocabulary_size` text pieces can be told apart."""
        super().__init__()
        self.frames_per_token = config.frames_per_token
        stacked = fused_dim * config.frames_per_token
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(stacked, config.hidden_dim)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.context = nn.Conv1d(config.hidden_dim, config.hidden_dim, kernel_size=3, padding=1)
        self.piece = nn.Linear(config.hidden_dim, llm_dim)
        self.piece_bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        self.gate = nn.Linear(config.hidden_dim, 1)
        self.blank = nn.Parameter(torch.zeros(llm_dim))
        self.residual = nn.Sequential(
            nn.Linear(stacked, config.residual_dim),
            nn.GELU(),
            nn.Linear(config.residual_dim, llm_dim),
        )
        for parameter in self.residual[2].parameters():
            nn.init.zeros_(parameter)
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

    def read(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Piece logits `(batch, tokens, pieces)` and blank logits `(batch, tokens)`."""
        real = token_mask(mask, self.frames_per_token).unsqueeze(-1)
        stacked = self.dropout(stack_frames(frames, mask, self.frames_per_token))
        hidden = F.gelu(self.hidden(stacked)) * real
        near = self.context((self.norm(hidden) * real).transpose(1, 2)).transpose(1, 2)
        hidden = hidden + F.gelu(near)
        direction = F.normalize(self.piece(hidden).float(), dim=-1)
        known = F.normalize(self.piece_embeddings, dim=-1)
        logits = self.log_scale.exp() * direction @ known.T + self.piece_bias
        return logits, self.gate(hidden).float().squeeze(-1)

    def log_probabilities(self, frames: Tensor, mask: Tensor) -> Tensor:
        """CTC log-probabilities, blank first: `(batch, tokens, 1 + pieces)`, float32."""
        logits, blank = self.read(frames, mask)
        pieces = logits.log_softmax(dim=-1) + F.logsigmoid(-blank).unsqueeze(-1)
        return torch.cat([F.logsigmoid(blank).unsqueeze(-1), pieces], dim=-1)

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        real = token_mask(mask, self.frames_per_token)
        logits, blank = self.read(frames, mask)
        expected = logits.softmax(dim=-1) @ self.piece_embeddings
        silent = blank.sigmoid().unsqueeze(-1)
        residual = self.residual(stack_frames(frames, mask, self.frames_per_token))
        tokens = (1 - silent) * expected + silent * self.blank + residual
        return AudioTokens(tokens * real.unsqueeze(-1), real)


def build_adapter(config: AdapterConfig, fused_dim: int, llm_dim: int) -> nn.Module:
    """The adapter a config asks for, from `fused_dim` features to `llm_dim`."""
    if config.kind == "aligned":
        return AlignedAdapter(fused_dim, llm_dim, config)
    kind = ConvAdapter if config.kind == "conv" else StackAdapter
    return kind(fused_dim, llm_dim, config.frames_per_token, config.hidden_dim)


def _prime_factors(number: int) -> list[int]:
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return factors

"""The first aligned adapter: one token per group of frames, read as text pieces."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.adapter.frames import AudioTokens, stack_frames, token_mask
from mowe.config import AdapterConfig


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

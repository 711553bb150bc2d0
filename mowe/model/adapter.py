"""Turns fused frames into audio tokens at a fixed rate (decision 0001).

`stack` joins neighbouring frames, `conv` uses strided convolutions. Both zero what lies past an
example's end, so padding never leaks into a token.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from mowe.config import AdapterConfig, ConvConfig, StackConfig
from mowe.errors import ConfigError


class AudioTokens(NamedTuple):
    """Audio as the language model sees it."""

    tokens: Tensor  # (batch, audio_tokens, llm_dim)
    mask: Tensor  # (batch, audio_tokens) bool, True = real
    notes: Any = None  # of an adapter that tells more than tokens


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
        strides = prime_factors(frames_per_token) or [1]
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


def prime_factors(number: int) -> list[int]:
    """Prime factors in ascending order; none for 1."""
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return factors


def build_adapter(config: AdapterConfig, fused_dim: int, llm_dim: int) -> nn.Module:
    """The adapter that a config asks for.

    Args:
        config: Its settings.
        fused_dim: Width of fused frames.
        llm_dim: Width of audio tokens.

    Raises:
        ConfigError: If its kind is none of the paper's two.
    """
    if not isinstance(config, StackConfig | ConvConfig):
        raise ConfigError(f"adapter {config.kind!r} is neither 'stack' nor 'conv': hand it in")
    build = StackAdapter if isinstance(config, StackConfig) else ConvAdapter
    return build(fused_dim, llm_dim, config.frames_per_token, config.hidden_dim)

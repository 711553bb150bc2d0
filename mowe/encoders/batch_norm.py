"""Batch normalisation with fixed statistics, as a pretrained network carries it."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FixedBatchNorm(nn.Module):
    """Normalise channels by stored mean and variance; never looks at the batch, never updates."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        """Start as the identity.

        Args:
            channels: Size of axis 1.
            eps: Added to the variance; 1e-5 in PyTorch, 1e-3 in TensorFlow.
        """
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Same shape out as in, `(batch, channels, ...)`."""
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

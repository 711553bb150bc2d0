"""Features of about the same size in every dimension, as seen at the beginning of training."""

import torch
from torch import Tensor, nn

_LEAST = 1e-3  # share of the mean deviation below which a dimension says nothing


class Scaled(nn.Module):
    """Takes the mean away and divides by the deviation, dimension by dimension.

    Frames of pretrained encoders have dimensions whose mean is many times their deviation. A layer
    norm keeps them; what differs from sound to sound is then a small part of what a head sees.
    """

    def __init__(self, dim: int) -> None:
        """Change nothing until `fit`.

        Args:
            dim: Width of the features.
        """
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        self.register_buffer("fitted", torch.zeros(()))
        self.centre: Tensor
        self.spread: Tensor
        self.fitted: Tensor

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take mean and deviation of some features, `(rows, dim)`."""
        spread = rows.float().std(dim=0, unbiased=False)
        self.centre.copy_(rows.float().mean(dim=0))
        self.spread.copy_(spread.clamp_min(_LEAST * float(spread.mean()) + 1e-6))
        self.fitted.fill_(1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Scale `(..., dim)`."""
        return (features - self.centre) / self.spread

"""Brings weak features onto the base frame grid and joins them with the base features."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class WeakFeatures(NamedTuple):
    """What one weak encoder said about the examples that chose it."""

    rows: Tensor  # (chosen,) int64, positions in the batch
    frames: Tensor  # (chosen, weak_frames, encoder_dim)
    mask: Tensor  # (chosen, weak_frames) bool
    frames_per_second: float

    def of(self, rows: Tensor) -> "WeakFeatures":
        """The part of these rows, all of which are here, `(some,)`, ascending."""
        if len(rows) == len(self.rows):
            return self
        places = torch.searchsorted(self.rows, rows)
        return self._replace(rows=rows, frames=self.frames[places], mask=self.mask[places])


class Fusion(nn.Module):
    """`concat([z_base, z_indep, z_dep])` along the feature axis (paper Eqs. 3-6).

    Each weak encoder k has its own P_k: a layer norm without parameters, then one linear layer to
    the common `weak_dim`. The norm is needed because the encoders' feature scales differ by orders.
    """

    def __init__(self, encoder_dims: tuple[int, ...], weak_dim: int, frame_rate: float) -> None:
        """Build one projection per weak encoder.

        Args:
            encoder_dims: Feature width of each weak encoder, in pool order.
            weak_dim: Width they are projected to.
            frame_rate: Frames per second of the base encoder.
        """
        super().__init__()
        self.weak_dim, self.frame_rate = weak_dim, frame_rate
        self.projections = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim, elementwise_affine=False), nn.Linear(dim, weak_dim))
            for dim in encoder_dims
        )

    def forward(
        self, base: Tensor, weak: dict[int, WeakFeatures], weights: tuple[Tensor, ...]
    ) -> Tensor:
        """Weigh, add and concatenate.

        Args:
            base: `(batch, frames, base_dim)`.
            weak: Features by pool position, only for encoders that ran.
            weights: One `(batch, encoders)` per router.

        Returns:
            `(batch, frames, base_dim + routers * weak_dim)`, float32.

        Raises:
            ValueError: If a weight does not fit the batch or the pool.
        """
        batch, frames, _ = base.shape
        for weight in weights:
            if weight.shape != (batch, len(self.projections)):
                raise ValueError(
                    f"weights must be {(batch, len(self.projections))}, got {tuple(weight.shape)}"
                )
        mixed = [base.new_zeros(batch, frames, self.weak_dim, dtype=torch.float32) for _ in weights]
        for position, features in weak.items():
            aligned = self.aligned(position, features, frames)
            for index, weight in enumerate(weights):
                share = weight[features.rows, position].view(-1, 1, 1)
                mixed[index] = mixed[index].index_add(0, features.rows, share * aligned)
        return torch.cat([base.float(), *mixed], dim=-1)

    def aligned(self, position: int, features: WeakFeatures, frames: int) -> Tensor:
        """P_k of one encoder's features on the base frame grid, `(chosen, frames, weak_dim)`."""
        # Projecting first is cheaper: the projection is linear, so it commutes with the resampling.
        projected = self.projections[position](features.frames.float())
        projected = projected * features.mask.unsqueeze(-1)
        return align_frames(
            projected, features.mask.sum(dim=1), features.frames_per_second, self.frame_rate, frames
        )


def align_frames(
    frames: Tensor, counts: Tensor, rate: float, target_rate: float, target_frames: int
) -> Tensor:
    """Resample frame sequences in time onto another frame grid.

    A faster sequence is averaged over each target frame's interval; a slower one is interpolated
    linearly between frame centres and held at both ends. Only an example's own real frames count.

    Args:
        frames: `(batch, n, dim)`, float32.
        counts: Real frames of each example, `(batch,)`; at least 1.
        rate: Frames per second of `frames`.
        target_rate: Frames per second of the result.
        target_frames: Length of the result.

    Returns:
        `(batch, target_frames, dim)`.
    """
    ratio = rate / target_rate
    if ratio == 1.0:
        missing = target_frames - frames.shape[1]
        padded = nn.functional.pad(frames, (0, 0, 0, max(missing, 0)))
        return padded[:, :target_frames]
    grid = torch.arange(target_frames, device=frames.device, dtype=torch.float64)
    last = counts.to(torch.float64).unsqueeze(1)  # (batch, 1)
    if ratio < 1.0:
        centres = ((grid + 0.5) * ratio - 0.5).clamp_min(0.0).unsqueeze(0)
        return _between(frames, torch.minimum(centres, last - 1.0))
    start = torch.minimum(grid.unsqueeze(0) * ratio, last - 1.0)
    stop = torch.minimum((grid.unsqueeze(0) + 1.0) * ratio, last)
    # The integral of a piecewise constant sequence is piecewise linear: read it at both ends.
    integral = nn.functional.pad(frames.double().cumsum(dim=1), (0, 0, 1, 0))
    width = (stop - start).clamp_min(1e-6).unsqueeze(-1)
    return ((_between(integral, stop) - _between(integral, start)) / width).to(frames.dtype)


def _between(frames: Tensor, positions: Tensor) -> Tensor:
    """`(batch, n, dim)` interpolated at fractional positions `(batch, m)` in [0, n - 1]."""
    positions = positions.expand(frames.shape[0], -1)
    low = positions.floor().long().clamp(0, frames.shape[1] - 1)
    high = (low + 1).clamp_max(frames.shape[1] - 1)
    share = (positions - low).unsqueeze(-1).to(frames.dtype)
    pick = low.unsqueeze(-1).expand(-1, -1, frames.shape[2])
    below = frames.gather(1, pick)
    above = frames.gather(1, high.unsqueeze(-1).expand_as(pick))
    return below + share * (above - below)

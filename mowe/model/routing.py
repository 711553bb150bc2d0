"""Two routers pick weak encoders: one from a learned vector, one from the base embedding.

Paper: arXiv 2409.06635, Eqs. 5-9. The losses are free functions, shared by training
and analysis.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class RoutingControl:
    """What a person may change about routing for one call; the default changes nothing."""

    force: tuple[str, ...] = ()  # run exactly these encoders, sharing the weight the router gave
    mask: tuple[str, ...] = ()  # never run these encoders
    dense: bool = False  # run every encoder with its full probability
    no_weak: bool = False  # run no weak encoder at all

    def __post_init__(self) -> None:
        asked = (bool(self.force), bool(self.mask), self.dense, self.no_weak)
        if sum(asked) > 1:
            raise ValueError("force, mask, dense and no_weak exclude one another; pick one")


class Routing(NamedTuple):
    """One routing decision per example; a router that does not exist has None."""

    independent: Tensor | None  # (batch, encoders) probabilities, the same row for every example
    dependent: Tensor | None  # (batch, encoders) probabilities
    independent_weights: (
        Tensor | None
    )  # (batch, encoders) what multiplies the features; 0 = not run
    dependent_weights: Tensor | None  # (batch, encoders)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Weights of the routers that exist, data-independent first."""
        both = (self.independent_weights, self.dependent_weights)
        return tuple(one for one in both if one is not None)

    @property
    def chosen(self) -> Tensor:
        """Which encoders run for which example, bool `(batch, encoders)`."""
        if not self.weights:
            raise ValueError("a mixture without routers chooses nothing")
        return torch.stack([weights > 0 for weights in self.weights]).any(dim=0)


class Router(nn.Module):
    """Both routers of the paper over one pool; either can be left out."""

    def __init__(
        self,
        names: tuple[str, ...],
        base_dim: int,
        *,
        kind: str = "both",
        top_k: int = 1,
        hidden_dim: int = 0,
        smoothing: str = "as-printed",
        smoothing_amount: float = 0.1,
    ) -> None:
        """Build the routers.

        Args:
            names: Names of the weak encoders, in pool order.
            base_dim: Width of the base encoder's frames.
            kind: `both`, `dependent`, `independent` or `none`.
            top_k: Encoders each router picks, 1 to the pool size; 0 picks all.
            hidden_dim: Hidden units of the data-dependent router; 0 makes it linear.
            smoothing: `as-printed`, `uniform` or `off`; see `smooth`.
            smoothing_amount: Share of the uniform weight, 0 to 1.
        """
        super().__init__()
        self.names = names
        self.top_k = top_k or len(names)
        self.smoothing, self.smoothing_amount = smoothing, smoothing_amount
        self.independent_logits = (
            nn.Parameter(torch.zeros(len(names))) if kind in ("both", "independent") else None
        )
        self.dependent = (
            _dependent_router(base_dim, len(names), hidden_dim)
            if kind in ("both", "dependent")
            else None
        )

    def forward(
        self, frames: Tensor, mask: Tensor, control: RoutingControl | None = None
    ) -> Routing:
        """Decide which weak encoders run (Eqs. 5 and 6).

        Args:
            frames: Base encoder frames, `(batch, frames, base_dim)`.
            mask: True on real frames, bool `(batch, frames)`.
            control: Overrides for this call.

        Raises:
            ValueError: If an axis is missing or `control` names an unknown encoder.
        """
        control = control or RoutingControl()
        self._check(control)
        pooled = pool_frames(frames, mask)  # (batch, base_dim)
        independent = dependent = None
        if self.independent_logits is not None:
            rows = self.independent_logits.expand(len(pooled), -1)
            independent = self._probabilities(rows, control)
        if self.dependent is not None:
            dependent = self._probabilities(self.dependent(pooled), control)
        return Routing(
            independent,
            dependent,
            None if independent is None else self._weights(independent, control),
            None if dependent is None else self._weights(self._smoothed(dependent), control),
        )

    def _check(self, control: RoutingControl) -> None:
        unknown = sorted({*control.force, *control.mask} - set(self.names))
        if unknown:
            raise ValueError(f"no weak encoder named {unknown}; there are {list(self.names)}")
        if len(set(control.mask)) == len(self.names) and self.names:
            raise ValueError("every weak encoder is masked; use no_weak to run none")

    def _probabilities(self, logits: Tensor, control: RoutingControl) -> Tensor:
        logits = logits.float()
        for name in control.mask:
            hidden = torch.zeros_like(logits, dtype=torch.bool)
            hidden[:, self.names.index(name)] = True
            logits = logits.masked_fill(hidden, float("-inf"))
        return logits.softmax(dim=-1)

    def _smoothed(self, weights: Tensor) -> Tensor:
        if not self.training or self.smoothing == "off":
            return weights
        return smooth(weights, self.smoothing_amount, as_printed=self.smoothing == "as-printed")

    def _weights(self, probabilities: Tensor, control: RoutingControl) -> Tensor:
        if control.no_weak:
            return torch.zeros_like(probabilities)
        if control.dense:
            return probabilities
        learned = keep_top_k(probabilities, self.top_k)
        if not control.force:
            return learned
        forced = torch.zeros_like(probabilities)
        share = learned.sum(dim=-1) / len(control.force)  # (batch,)
        for name in control.force:
            forced[:, self.names.index(name)] = share
        return forced


def _dependent_router(base_dim: int, encoders: int, hidden_dim: int) -> nn.Module:
    # The norm keeps one loud base feature from deciding every routing.
    if not hidden_dim:
        return nn.Sequential(nn.LayerNorm(base_dim), nn.Linear(base_dim, encoders))
    return nn.Sequential(
        nn.LayerNorm(base_dim),
        nn.Linear(base_dim, hidden_dim),
        nn.GELU(),
        nn.Linear(hidden_dim, encoders),
    )


def pool_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Mean of the real frames: what the data-dependent router and the maps see.

    Args:
        frames: `(batch, frames, dim)`.
        mask: True on real frames, bool `(batch, frames)`.

    Returns:
        `(batch, dim)`, float32.

    Raises:
        ValueError: If `frames` is not 3-D or the mask does not fit.
    """
    if frames.ndim != 3 or mask.shape != frames.shape[:2]:
        raise ValueError(
            f"need frames (batch, frames, dim) and mask (batch, frames), "
            f"got {tuple(frames.shape)} and {tuple(mask.shape)}"
        )
    kept = frames.float() * mask.unsqueeze(-1)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)


def keep_top_k(probabilities: Tensor, top_k: int) -> Tensor:
    """Zero all but the `top_k` largest weights of each row, `(batch, encoders)`, unrescaled."""
    if top_k >= probabilities.shape[-1]:
        return probabilities
    kept = torch.zeros_like(probabilities, dtype=torch.bool)
    kept.scatter_(-1, probabilities.topk(top_k, dim=-1).indices, True)
    return probabilities.masked_fill(~kept, 0.0)


def smooth(weights: Tensor, amount: float, *, as_printed: bool) -> Tensor:
    """Mix a little of every encoder into the training weights (paper, below Eq. 9).

    As printed, `(1 - amount) * r + amount * epsilon` with `epsilon = amount / M`, a row sums to
    0.91 for an amount of 0.1; with `epsilon = 1 / M` it sums to 1. Decision 0003.

    Args:
        weights: `(batch, encoders)`.
        amount: Share given to all encoders alike, 0 to 1.
        as_printed: Use the paper's epsilon rather than 1 / M.
    """
    encoders = weights.shape[-1]
    epsilon = amount / encoders if as_printed else 1.0 / encoders
    return (1.0 - amount) * weights + amount * epsilon


def routing_entropy(weights: Tensor) -> Tensor:
    """Mean entropy of routing weights, in nats (Eqs. 7 and 8); low means confident.

    Args:
        weights: Probabilities that sum to 1 over the pool, `(batch, encoders)`.

    Returns:
        Scalar, between 0 and log(encoders).

    Raises:
        ValueError: If `weights` is not 2-D.
    """
    if weights.ndim != 2:
        raise ValueError(f"weights must be (batch, encoders), got {tuple(weights.shape)}")
    # clamp: 0 * log(0) is 0 in the limit but NaN in floating point
    return -(weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()


class StepRouting(NamedTuple):
    """What a whole optimizer step chose: over all its micro-batches, on all processes."""

    average: Tensor  # (encoders,) mean probabilities of the data-dependent router, no gradient
    examples: int  # N, how many examples it is the mean of


def routing_diversity(weights: Tensor, step: StepRouting | None = None) -> Tensor:
    """Entropy of the mean weights, in nats (Eq. 9); high means the pool is shared.

    With p the mean over all N examples of an optimizer step, held constant, the share of n of them
    is `sum_i weights_i * (-log p - 1) / N + n / N`: the shares of all micro-batches add up to the
    entropy of p, and their gradients to its gradient. The mean of the micro-batches' own entropies
    would be another quantity.

    Args:
        weights: Probabilities of the data-dependent router, `(batch, encoders)`.
        step: What the batch is a part of; by default it is the whole.

    Returns:
        Scalar: between 0 and log(encoders) for the whole.

    Raises:
        ValueError: If `weights` is not 2-D.
    """
    if weights.ndim != 2:
        raise ValueError(f"weights must be (batch, encoders), got {tuple(weights.shape)}")
    step = step or StepRouting(weights.detach().mean(dim=0), len(weights))
    slope = -step.average.clamp_min(1e-12).log() - 1.0  # of the entropy, at p
    return ((weights * slope).sum() + weights.detach().sum()) / step.examples


class RoutingLoss(NamedTuple):
    """L_MoWE and its parts, scalars in nats."""

    total: Tensor
    independent_entropy: Tensor
    dependent_entropy: Tensor
    diversity: Tensor


def routing_loss(routing: Routing, step: StepRouting | None = None) -> RoutingLoss:
    """L_MoWE: both entropies minus the diversity; a missing router adds nothing.

    Args:
        routing: Of a batch.
        step: What the batch is a part of; its share then, so that shares add up. By default it is
            the whole.

    Raises:
        ValueError: If there is no router at all.
    """
    present = routing.dependent if routing.dependent is not None else routing.independent
    if present is None:
        raise ValueError("a mixture without routers has no routing loss")
    share = len(present) / step.examples if step else 1.0
    zero = present.new_zeros(())
    independent, dependent, diversity = zero, zero, zero
    if routing.independent is not None:
        independent = share * routing_entropy(routing.independent)
    if routing.dependent is not None:
        dependent = share * routing_entropy(routing.dependent)
        diversity = routing_diversity(routing.dependent, step)
    return RoutingLoss(independent + dependent - diversity, independent, dependent, diversity)

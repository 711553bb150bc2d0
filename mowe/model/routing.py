"""Two routers pick weak encoders: one from a learned vector, one from the base embedding.

Paper: arXiv 2409.06635, Eqs. 5-9. The losses are free functions, shared by training
and analysis.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

# Standard deviation of the data-independent router's first logits. Where all are equal, its entropy
# has no gradient, and its pick could only move through the pool in index order.
INDEPENDENT_STD = 0.02


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

    def chosen_rows(self) -> dict[int, Tensor]:
        """Batch rows `(chosen,)` of each encoder that at least one example chose, by position."""
        if not self.weights:
            return {}
        rows = {place: column.nonzero().squeeze(1) for place, column in enumerate(self.chosen.T)}
        return {place: some for place, some in rows.items() if len(some)}


NO_ROUTING = Routing(None, None, None, None)


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
        smooth_inference: bool = True,
        full_weight: bool = False,
    ) -> None:
        """Build the routers.

        Args:
            names: Names of the weak encoders, in pool order.
            base_dim: Width of the base encoder's frames.
            kind: `both`, `dependent`, `independent` or `none`.
            top_k: Encoders each router picks, 1 to the pool size; 0 picks all.
            hidden_dim: Hidden units of the data-dependent router; 0 makes it linear.
            smoothing: Of the data-dependent router: `as-printed`, `explore` or `off`.
            smoothing_amount: See `smooth` and `explore`, 0 to 1.
            smooth_inference: Smooth as printed outside training too, so that the scale is the same.
            full_weight: Picks of a router weigh 1 together; of what it picks, it then learns
                nothing through the features.
        """
        super().__init__()
        self.names = names
        self.top_k = top_k or len(names)
        self.smoothing, self.smoothing_amount = smoothing, smoothing_amount
        self.smooth_inference, self.full_weight = smooth_inference, full_weight
        self.dependent = (
            _dependent_router(base_dim, len(names), hidden_dim)
            if kind in ("both", "dependent")
            else None
        )
        self.independent_logits = (
            nn.Parameter(torch.empty(len(names)).normal_(std=INDEPENDENT_STD))
            if kind in ("both", "independent")
            else None
        )

    def forward(self, frames: Tensor, mask: Tensor) -> Routing:
        """Decide which weak encoders run (Eqs. 5 and 6).

        Args:
            frames: Base encoder frames, `(batch, frames, base_dim)`.
            mask: True on real frames, bool `(batch, frames)`.

        Raises:
            ValueError: If an axis is missing.
        """
        return self.choose(*self.logits(frames, mask))

    def logits(self, frames: Tensor, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Of both routers, `(batch, encoders)` float32 each, None for one that does not exist."""
        pooled = pool_frames(frames, mask)  # (batch, base_dim)
        independent = dependent = None
        if self.independent_logits is not None:
            independent = self.independent_logits.expand(len(pooled), -1).float()
        if self.dependent is not None:
            dependent = self.dependent(pooled).float()
        return independent, dependent

    def choose(self, independent: Tensor | None, dependent: Tensor | None) -> Routing:
        """Logits to probabilities and `top_k` picks; only what the data decides is smoothed."""
        first = second = None
        if independent is not None:
            independent = independent.softmax(dim=-1)  # r_indep
            first = self._weighed(keep_top_k(independent, self.top_k))
        if dependent is not None:
            dependent = dependent.softmax(dim=-1)  # r_dep
            second = self._weighed(keep_top_k(self.smoothed(dependent), self.top_k))
            if self.smoothing == "explore" and self.training:
                second = explore(dependent, second, self.smoothing_amount, self.top_k)
        return Routing(independent, dependent, first, second)

    def _weighed(self, picked: Tensor) -> Tensor:
        """What multiplies the features of picks, `(batch, encoders)`."""
        return picked / picked.sum(dim=-1, keepdim=True) if self.full_weight else picked

    def smoothed(self, dependent: Tensor) -> Tensor:
        """Weights of every encoder, before the pick, `(batch, encoders)`."""
        if self.smoothing == "as-printed" and (self.training or self.smooth_inference):
            return smooth(dependent, self.smoothing_amount)
        return dependent


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
    return probabilities.masked_fill(~_largest(probabilities, top_k), 0.0)


def _largest(values: Tensor, count: int) -> Tensor:
    """Where the `count` largest values of each row are, bool `(batch, encoders)`."""
    found = torch.zeros_like(values, dtype=torch.bool)
    return found.scatter_(-1, values.topk(count, dim=-1).indices, True)


def smooth(weights: Tensor, amount: float) -> Tensor:
    """`(1 - amount) * r + amount * epsilon`, `epsilon = amount / M`, as printed below Eq. 9.

    A row sums to 0.91 for an amount of 0.1. Decision 0003.

    Args:
        weights: `(batch, encoders)`.
        amount: 0 to 1.
    """
    return (1.0 - amount) * weights + amount * amount / weights.shape[-1]


def explore(probabilities: Tensor, weights: Tensor, amount: float, top_k: int) -> Tensor:
    """Let some examples use encoders drawn evenly from the pool, at full weight; while training.

    Without it an encoder that is never picked learns nothing and is never worth picking. An
    explored pick weighs 1 whatever its probability, and passes the probability's gradient on to the
    router, which so learns about encoders it does not pick. Drawn from torch's generator. Decision
    0003.

    Args:
        probabilities: Of the router, `(batch, encoders)`.
        weights: Of its own picks, `(batch, encoders)`.
        amount: Probability that an example explores, 0 to 1.
        top_k: Encoders that are drawn for it; they share the weight of 1.

    Returns:
        Weights, `(batch, encoders)`.
    """
    explores = torch.rand_like(probabilities[:, :1]) < amount
    drawn = _largest(torch.rand_like(probabilities), top_k)
    full = 1.0 / top_k + (probabilities - probabilities.detach())
    return torch.where(explores, full.masked_fill(~drawn, 0.0), weights)


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

"""What a person may override about routing for one call; applied around the routers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mowe.model.routing import Router, Routing


@dataclass(frozen=True, kw_only=True)
class Override:
    """What is changed about a router's pick; the default changes nothing."""

    force: tuple[str, ...] = ()  # run exactly these encoders, sharing the weight of the pick
    mask: tuple[str, ...] = ()  # never run these encoders
    dense: bool = False  # run every encoder with its full probability
    no_weak: bool = False  # run no weak encoder at all

    def __post_init__(self) -> None:
        asked = (bool(self.force), bool(self.mask), self.dense, self.no_weak)
        if sum(asked) > 1:
            raise ValueError("force, mask, dense and no_weak exclude one another; pick one")


@dataclass(frozen=True, kw_only=True)
class RoutingControl(Override):
    """An override of both routers alike, or one for each router that is named."""

    independent: Override | None = None
    dependent: Override | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        both = Override(force=self.force, mask=self.mask, dense=self.dense, no_weak=self.no_weak)
        if self._apart and both != Override():
            raise ValueError(
                "an override of both routers and one of a single router exclude one another"
            )

    @property
    def _apart(self) -> bool:
        return self.independent is not None or self.dependent is not None

    def of(self, router: str) -> Override:
        """The override of the `independent` or the `dependent` router."""
        if not self._apart:
            return self
        alone = {"independent": self.independent, "dependent": self.dependent}[router]
        return alone or Override()


def controlled(
    router: Router, frames: Tensor, mask: Tensor, control: RoutingControl | None = None
) -> Routing:
    """The routers' decision, changed as asked.

    Args:
        router: The routers.
        frames: Base encoder frames, `(batch, frames, base_dim)`.
        mask: True on real frames, bool `(batch, frames)`.
        control: The overrides; None changes nothing.

    Raises:
        ValueError: If an override names an unknown encoder, masks every encoder, or is for a router
            that does not exist.
    """
    if control is None:
        learned: Routing = router(frames, mask)
        return learned
    names = router.names
    for_independent, for_dependent = control.of("independent"), control.of("dependent")
    _check(router, control)
    independent, dependent = router.logits(frames, mask)
    independent = _masked(independent, for_independent, names)
    dependent = _masked(dependent, for_dependent, names)
    independent, dependent, first, second = router.choose(independent, dependent)
    every = None if dependent is None else router.smoothed(dependent)
    first = _overridden(first, independent, for_independent, names)
    second = _overridden(second, every, for_dependent, names)
    return Routing(independent, dependent, first, second)


def _check(router: Router, control: RoutingControl) -> None:
    exists = {"independent": router.independent_logits, "dependent": router.dependent}
    for kind, own in (("independent", control.independent), ("dependent", control.dependent)):
        if own is not None and exists[kind] is None:
            raise ValueError(f"this mixture has no data-{kind} router to override")
    for override in (control.of(kind) for kind in exists):
        unknown = sorted({*override.force, *override.mask} - set(router.names))
        if unknown:
            raise ValueError(f"no weak encoder named {unknown}; there are {list(router.names)}")
        if set(override.mask) == set(router.names):
            raise ValueError("every weak encoder is masked; use no_weak to run none")


def _named(names: Sequence[str], some: Sequence[str], like: Tensor) -> Tensor:
    """Which encoders are among `some`, bool `(encoders,)`."""
    return torch.tensor([name in some for name in names], device=like.device)


def _masked(logits: Tensor | None, override: Override, names: Sequence[str]) -> Tensor | None:
    """Logits `(batch, encoders)` under which nothing masked is ever likely."""
    if logits is None or not override.mask:
        return logits
    return logits.masked_fill(_named(names, override.mask, logits), float("-inf"))


def _overridden(
    weights: Tensor | None, dense: Tensor | None, override: Override, names: Sequence[str]
) -> Tensor | None:
    """Weights `(batch, encoders)` after an override; `dense` are those of every encoder."""
    if weights is None or override.dense:
        return dense
    if override.no_weak:
        return torch.zeros_like(weights)
    if override.force:
        forced = _named(names, override.force, weights)
        return forced * weights.sum(dim=-1, keepdim=True) / forced.sum()
    # smoothing gives masked encoders a weight as well
    return weights.masked_fill(_named(names, override.mask, weights), 0.0)

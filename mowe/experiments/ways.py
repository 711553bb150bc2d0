"""How routers learn: each way is the loss of one step.

The paper's recipe gives a router the gradient of its pick's weight. The others compute what each
encoder alone would give in one slot, the other slot at its pick, and teach the routers that.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mowe.experiments.probe import Probe, ProbeBatch
from mowe.model.control import RoutingControl
from mowe.model.routing import Routing, routing_diversity, routing_loss

Way = Callable[[Probe, ProbeBatch, float], Tensor]  # the last is the share of training done

_WARM = 0.5  # share of training that a warm-up takes
_TAUGHT = 0.75  # share of training after which worth becomes the routers' target
_SHARPNESS = 4.0  # of that target, in 1 / nats


def paper(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """Cross-entropy plus L_MoWE under the learned routing."""
    if probe.router is None:
        return probe.losses(batch, probe.always(batch)).mean()
    return _routed(probe, batch, probe.route(batch))


def _routed(probe: Probe, batch: ProbeBatch, routing: Routing) -> Tensor:
    found = probe.losses(batch, probe.weights(batch, routing)).mean()
    return found + weighted(probe, batch, routing)


def weighted(probe: Probe, batch: ProbeBatch, routing: Routing) -> Tensor:
    """L_MoWE as the arm weighs it."""
    arm, parts = probe.arm, routing_loss(routing)
    diversity = parts.diversity
    if arm.micro_batches > 1 and routing.dependent is not None:
        # as batches sorted by length are: by task
        order = batch.allowed.float().argmax(dim=1).argsort(stable=True)
        pieces = routing.dependent[order].chunk(arm.micro_batches)
        diversity = torch.stack([routing_diversity(one) for one in pieces]).mean()
    entropies = parts.independent_entropy + parts.dependent_entropy
    return arm.loss_weight * (arm.entropy * entropies - arm.diversity * diversity)


def uniform(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """Every pick is drawn evenly; the routers learn nothing."""
    size, encoders = len(batch.rows), len(probe.arm.pool)
    slots = 2 if probe.arm.routers == "both" else 1
    drawn = [F.one_hot(torch.randint(encoders, (size,)), encoders).float() for _ in range(slots)]
    return probe.losses(batch, drawn).mean()


def dense_warm_up(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """All encoders at their probabilities, then the paper's recipe."""
    if share >= _WARM:
        return paper(probe, batch, share)
    dense = probe.route(batch, RoutingControl(dense=True))
    return probe.losses(batch, dense.weights).mean()


def uniform_warm_up(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """Even picks, then the paper's recipe."""
    return (uniform if share < _WARM else paper)(probe, batch, share)


def expected(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """The expected loss over the pool (Jacobs et al. 1991), entropy coming in with time."""
    routing = probe.route(batch)
    found = [
        (chances * losses).sum(dim=1).mean() for chances, losses in _alone(probe, batch, routing)
    ]
    return torch.stack(found).mean() + share * weighted(probe, batch, routing)


def expected_evenly(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """The same, but what is no router learns from every encoder evenly."""
    routing = probe.route(batch)
    found = [
        (chances * losses.detach()).sum(dim=1).mean() + losses.mean()
        for chances, losses in _alone(probe, batch, routing)
    ]
    return torch.stack(found).mean() + share * weighted(probe, batch, routing)


def log_sum(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """`-log sum_k r_k exp(-L_k)`: the likelihood of a mixture of the single encoders."""
    routing = probe.route(batch)
    found = [
        -torch.logsumexp(chances.clamp_min(1e-9).log() - losses, dim=1).mean()
        for chances, losses in _alone(probe, batch, routing)
    ]
    return torch.stack(found).mean() + share * weighted(probe, batch, routing)


def worth(probe: Probe, batch: ProbeBatch, share: float) -> Tensor:
    """Even picks; at the end the routers are taught which encoder gave the smallest loss."""
    found = uniform(probe, batch, share)
    if share < _TAUGHT:
        return found
    routing = probe.route(batch)
    for chances, losses in _alone(probe, batch, routing):
        target = (-_SHARPNESS * losses.detach()).softmax(dim=1)
        found = found - (target * chances.clamp_min(1e-9).log()).sum(dim=1).mean()
    return found


def _alone(probe: Probe, batch: ProbeBatch, routing: Routing) -> list[tuple[Tensor, Tensor]]:
    """Of each router: its probabilities, and the loss with each single encoder in its slot.

    Both `(batch, encoders)`; the other slot stays at its pick.
    """
    picks = list(probe.weights(batch, routing))
    chances = [one for one in (routing.independent, routing.dependent) if one is not None]
    encoders, found = len(probe.arm.pool), []
    for slot, probabilities in enumerate(chances):
        losses = []
        for position in range(encoders):
            alone = torch.zeros_like(probabilities)
            alone[:, position] = 1.0
            losses.append(probe.losses(batch, [*picks[:slot], alone, *picks[slot + 1 :]]))
        found.append((probabilities, torch.stack(losses, dim=1)))
    return found


WAYS: Mapping[str, Way] = {
    "paper": paper,
    "uniform": uniform,
    "dense warm-up": dense_warm_up,
    "uniform warm-up": uniform_warm_up,
    "expected": expected,
    "expected evenly": expected_evenly,
    "log-sum": log_sum,
    "worth": worth,
}

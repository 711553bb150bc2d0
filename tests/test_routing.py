"""Routers and their losses, against values worked out by hand."""

import math

import pytest
import torch

from mowe.model.routing import (
    Router,
    Routing,
    RoutingControl,
    keep_top_k,
    pool_frames,
    routing_diversity,
    routing_entropy,
    routing_loss,
    smooth,
)

NAMES = ("a", "b", "c")


def make_router(**settings: object) -> Router:
    torch.manual_seed(0)
    router = Router(NAMES, 4, **settings).eval()
    torch.nn.init.normal_(
        router.independent_logits
    ) if router.independent_logits is not None else None
    return router


def frames(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(batch, 7, 4), torch.ones(batch, 7, dtype=torch.bool)


def test_entropy_of_uniform_weights_is_log_of_the_pool_size():
    assert routing_entropy(torch.full((2, 5), 0.2)).item() == pytest.approx(math.log(5))


def test_entropy_of_a_certain_choice_is_zero_and_finite():
    assert routing_entropy(torch.tensor([[1.0, 0.0, 0.0]])).item() == pytest.approx(0.0, abs=1e-9)


def test_entropy_by_hand():
    # -(0.5 ln 0.5 + 2 * 0.25 ln 0.25) = 1.5 ln 2
    assert routing_entropy(torch.tensor([[0.5, 0.25, 0.25]])).item() == pytest.approx(
        1.5 * math.log(2)
    )


def test_diversity_is_the_entropy_of_the_batch_mean():
    certain_but_different = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert routing_entropy(certain_but_different).item() == pytest.approx(0.0, abs=1e-9)
    assert routing_diversity(certain_but_different).item() == pytest.approx(math.log(2))


def test_routing_loss_by_hand():
    independent = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    dependent = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = routing_loss(Routing(independent, dependent, independent, dependent))
    assert loss.independent_entropy.item() == pytest.approx(math.log(2))
    assert loss.dependent_entropy.item() == pytest.approx(0.0, abs=1e-9)
    assert loss.total.item() == pytest.approx(math.log(2) + 0.0 - math.log(2), abs=1e-6)


def test_a_collapsed_router_has_a_higher_loss_than_a_shared_one():
    collapsed = torch.tensor([[0.98, 0.02], [0.98, 0.02]])
    shared = torch.tensor([[0.98, 0.02], [0.02, 0.98]])
    losses = [routing_loss(Routing(None, one, None, one)).total for one in (collapsed, shared)]
    assert losses[0] > losses[1]


def test_smoothing_as_printed_sums_to_091_and_the_uniform_one_to_1():
    weights = torch.tensor([[0.6, 0.4]])
    assert smooth(weights, 0.1, as_printed=True)[0].tolist() == pytest.approx([0.545, 0.365])
    assert smooth(weights, 0.1, as_printed=False)[0].tolist() == pytest.approx([0.59, 0.41])


def test_losses_refuse_a_missing_batch_axis():
    for loss in (routing_entropy, routing_diversity):
        with pytest.raises(ValueError, match=r"\(batch, encoders\)"):
            loss(torch.ones(3) / 3)


def test_pooling_ignores_padding():
    values, mask = frames(1)
    mask[0, 3:] = False
    changed = values.clone()
    changed[0, 3:] = 99.0
    assert torch.equal(pool_frames(values, mask), pool_frames(changed, mask))
    assert torch.allclose(pool_frames(values, mask)[0], values[0, :3].mean(dim=0))


@pytest.mark.parametrize(
    ("kind", "present"),
    [("both", (True, True)), ("dependent", (False, True)), ("independent", (True, False))],
)
def test_each_kind_has_its_routers(kind, present):
    routing = make_router(kind=kind)(*frames())
    assert (routing.independent is not None, routing.dependent is not None) == present
    assert len(routing.weights) == sum(present)


def test_top_1_keeps_one_weight_at_its_probability():
    routing = make_router(top_k=1)(*frames())
    assert (routing.dependent_weights > 0).sum(dim=1).tolist() == [1, 1, 1]
    assert torch.equal(routing.dependent_weights.amax(1), routing.dependent.amax(1))


def test_top_2_and_dense():
    assert (make_router(top_k=2)(*frames()).dependent_weights > 0).sum(1).tolist() == [2, 2, 2]
    assert bool((make_router(top_k=0)(*frames()).dependent_weights > 0).all())
    control = RoutingControl(dense=True)
    assert bool((make_router(top_k=1)(*frames(), control).dependent_weights > 0).all())


def test_keep_top_k_breaks_no_gradient():
    logits = torch.tensor([[0.3, 0.2, 0.1]], requires_grad=True)
    keep_top_k(logits.softmax(-1), 1).sum().backward()
    assert logits.grad.abs().sum() > 0


def test_the_independent_router_gives_every_example_the_same_row():
    routing = make_router()(*frames())
    assert torch.equal(routing.independent[0], routing.independent[2])
    assert not torch.equal(routing.dependent[0], routing.dependent[2])


def test_forcing_gives_the_named_encoder_the_weight_the_learned_choice_had():
    router = make_router()
    learned, forced = router(*frames()), router(*frames(), RoutingControl(force=("b",)))
    assert forced.chosen.tolist() == [[False, True, False]] * 3
    assert torch.allclose(forced.dependent_weights[:, 1], learned.dependent_weights.sum(1))


def test_masking_never_picks_the_named_encoder_and_renormalises():
    routing = make_router()(*frames(), RoutingControl(mask=("a", "c")))
    assert routing.dependent[:, 1].tolist() == pytest.approx([1.0] * 3)
    assert routing.chosen[:, [0, 2]].sum() == 0


def test_no_weak_chooses_nothing():
    assert make_router()(*frames(), RoutingControl(no_weak=True)).chosen.sum() == 0


def test_unknown_names_and_masking_all_are_refused():
    with pytest.raises(ValueError, match="no weak encoder named"):
        make_router()(*frames(), RoutingControl(force=("x",)))
    with pytest.raises(ValueError, match="every weak encoder is masked"):
        make_router()(*frames(), RoutingControl(mask=NAMES))
    with pytest.raises(ValueError, match="exclude one another"):
        RoutingControl(force=("a",), dense=True)


def test_smoothing_applies_only_while_training():
    router = make_router(kind="dependent", top_k=0)
    calm = router(*frames()).dependent_weights
    router.train()
    assert router(*frames()).dependent_weights.sum(1).tolist() == pytest.approx([0.91] * 3)
    assert calm.sum(1).tolist() == pytest.approx([1.0] * 3)

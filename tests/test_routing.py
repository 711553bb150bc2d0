"""Routers and their losses, against values worked out by hand."""

import math

import pytest
import torch

from mowe.model.routing import (
    Router,
    Routing,
    explore,
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
    if router.independent_logits is not None:  # far from even
        torch.nn.init.normal_(router.independent_logits)
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


def test_smoothing_as_printed_by_hand():
    # 0.9 * 0.6 + 0.1 * (0.1 / 2), and the same for 0.4: together 0.91
    assert smooth(torch.tensor([[0.6, 0.4]]), 0.1)[0].tolist() == pytest.approx([0.545, 0.365])


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
    routing = make_router(top_k=1, smoothing="off")(*frames())
    assert (routing.dependent_weights > 0).sum(dim=1).tolist() == [1, 1, 1]
    assert torch.equal(routing.dependent_weights.amax(1), routing.dependent.amax(1))


def test_top_2_and_dense():
    assert (make_router(top_k=2)(*frames()).dependent_weights > 0).sum(1).tolist() == [2, 2, 2]
    assert bool((make_router(top_k=0)(*frames()).dependent_weights > 0).all())


def test_keep_top_k_breaks_no_gradient():
    logits = torch.tensor([[0.3, 0.2, 0.1]], requires_grad=True)
    keep_top_k(logits.softmax(-1), 1).sum().backward()
    assert logits.grad.abs().sum() > 0


def test_the_independent_router_gives_every_example_the_same_row():
    routing = make_router()(*frames())
    assert torch.equal(routing.independent[0], routing.independent[2])
    assert not torch.equal(routing.dependent[0], routing.dependent[2])


def test_smoothing_as_printed_holds_in_training_and_at_inference():
    router = make_router(kind="dependent", top_k=0)
    for mode in (True, False):
        weights = router.train(mode)(*frames()).dependent_weights
        assert weights.sum(1).tolist() == pytest.approx([0.91] * 3)


def test_what_was_trained_before_is_smoothed_only_while_training():
    router = make_router(kind="dependent", top_k=0, smooth_inference=False)
    assert router(*frames()).dependent_weights.sum(1).tolist() == pytest.approx([1.0] * 3)
    router.train()
    assert router(*frames()).dependent_weights.sum(1).tolist() == pytest.approx([0.91] * 3)


def test_without_smoothing_training_changes_no_weight():
    router = make_router(smoothing="off")
    calm = router(*frames()).dependent_weights
    assert torch.equal(router.train()(*frames()).dependent_weights, calm)
    assert torch.equal(calm.amax(1), router(*frames()).dependent.amax(1))


def test_exploring_gives_some_examples_an_evenly_drawn_encoder_at_full_weight():
    probabilities = torch.tensor([[0.6, 0.3, 0.1]]).expand(6000, -1)
    weights = explore(probabilities, keep_top_k(probabilities, 1), 0.1, 1)
    explored = weights.amax(1) == 1.0  # the router's own pick weighs 0.6
    assert explored.float().mean().item() == pytest.approx(0.1, abs=0.015)
    assert torch.equal(weights[~explored], keep_top_k(probabilities, 1)[~explored])
    shares = (weights[explored] == 1.0).float().mean(0)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.07)
    assert (weights > 0).sum(1).eq(1).all()


def test_two_explored_encoders_share_the_full_weight():
    weights = explore(torch.full((50, 3), 1 / 3), torch.zeros(50, 3), 1.0, 2)
    assert sorted(weights[0].tolist()) == [0.0, 0.5, 0.5]
    assert len(weights.unique(dim=0)) == 3


def test_an_explored_pick_passes_its_probabilitys_gradient_on():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).requires_grad_()
    weights = explore(logits.softmax(-1), torch.zeros(1, 3), 1.0, 1)
    picked = int(weights.argmax())
    weights.sum().backward()
    share = [0.5, 0.3, 0.2]
    wanted = [share[picked] * ((k == picked) - share[k]) for k in range(3)]  # d r_picked / d logits
    assert logits.grad[0].tolist() == pytest.approx(wanted)


def test_exploration_is_fixed_by_the_seed_and_only_while_training():
    router = make_router(smoothing="explore", smoothing_amount=0.5)
    values, mask = torch.randn(40, 7, 4), torch.ones(40, 7, dtype=torch.bool)
    calm = router(values, mask)
    router.train()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(router(values, mask))
    assert torch.equal(drawn[0].dependent_weights, drawn[1].dependent_weights)
    assert not torch.equal(drawn[0].dependent_weights, drawn[2].dependent_weights)
    assert not torch.equal(drawn[0].dependent_weights, calm.dependent_weights)
    assert torch.equal(drawn[0].independent_weights, calm.independent_weights)
    assert torch.equal(router.eval()(values, mask).dependent_weights, calm.dependent_weights)


@pytest.mark.parametrize("smoothing", ["as-printed", "explore"])
def test_the_data_independent_router_is_never_smoothed(smoothing):
    router = make_router(smoothing=smoothing, smoothing_amount=1.0)
    calm = router(*frames()).independent_weights
    assert torch.equal(router.train()(*frames()).independent_weights, calm)
    assert torch.equal(calm, keep_top_k(router(*frames()).independent, 1))


def test_at_full_weight_picks_weigh_one_together():
    torch.manual_seed(0)
    router = Router(NAMES, 4, top_k=2, full_weight=True).train()
    frames, mask = torch.randn(3, 5, 4), torch.ones(3, 5, dtype=torch.bool)
    routing = router(frames, mask)
    for weights, probabilities in zip(
        routing.weights, (routing.independent, routing.dependent), strict=True
    ):
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
        assert (weights > 0).sum(dim=1).tolist() == [2, 2, 2]
        assert torch.equal(weights.argmax(dim=1), probabilities.argmax(dim=1))
    one = Router(NAMES, 4, full_weight=True).eval()(frames, mask)
    assert {*one.dependent_weights.flatten().tolist()} == {0.0, 1.0}

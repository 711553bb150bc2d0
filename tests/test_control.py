"""Overrides of routing: of both routers, of one alone, and what is refused."""

import pytest
import torch
from test_routing import NAMES, frames, make_router

from mowe.model.control import Override, RoutingControl, controlled


def test_no_control_and_an_empty_one_leave_the_learned_routing():
    router = make_router()
    learned = router(*frames())
    for control in (None, RoutingControl()):
        for one, other in zip(controlled(router, *frames(), control), learned, strict=True):
            assert torch.equal(one, other)


def test_forcing_gives_the_named_encoder_the_weight_the_learned_choice_had():
    router = make_router()
    learned, forced = (
        controlled(router, *frames(), control) for control in (None, RoutingControl(force=("b",)))
    )
    assert forced.chosen.tolist() == [[False, True, False]] * 3
    assert torch.equal(forced.dependent_weights[:, 1], learned.dependent_weights.sum(1))
    assert torch.equal(forced.independent_weights[:, 1], learned.independent_weights.sum(1))
    assert torch.equal(forced.dependent, learned.dependent)


def test_several_forced_encoders_share_the_weight():
    router = make_router()
    learned = router(*frames())
    forced = controlled(router, *frames(), RoutingControl(force=("c", "a", "c")))
    share = learned.dependent_weights.sum(1) / 2
    assert torch.allclose(forced.dependent_weights[:, [0, 2]], share[:, None].expand(-1, 2))


def test_masking_never_picks_the_named_encoder_and_renormalises():
    routing = controlled(make_router(), *frames(), RoutingControl(mask=("a", "c")))
    assert routing.dependent[:, 1].tolist() == pytest.approx([1.0] * 3)
    assert routing.chosen[:, [0, 2]].sum() == 0
    router = make_router(top_k=0)  # smoothing would give the masked one a little
    masked = controlled(router, *frames(), RoutingControl(mask=("a",)))
    learned = router(*frames()).dependent
    assert (masked.dependent_weights > 0).tolist() == [[False, True, True]] * 3
    assert torch.allclose(masked.dependent[:, 1:], learned[:, 1:] / learned[:, 1:].sum(1)[:, None])


def test_masking_a_router_that_is_certain_gives_no_nan():
    router = make_router()
    with torch.no_grad():
        router.independent_logits.copy_(torch.tensor([500.0, 0.0, 0.0]))
    masked = controlled(router, *frames(), RoutingControl(mask=("a",)))
    assert masked.independent[0].tolist() == pytest.approx([0.0, 0.5, 0.5])


def test_dense_runs_every_encoder_at_the_scale_of_training_and_inference():
    router = make_router()
    routing = controlled(router, *frames(), RoutingControl(dense=True))
    assert routing.independent_weights.sum(1).tolist() == pytest.approx([1.0] * 3)
    assert routing.dependent_weights.sum(1).tolist() == pytest.approx([0.91] * 3)
    assert bool((routing.dependent_weights > 0).all())


def test_no_weak_chooses_nothing():
    assert controlled(make_router(), *frames(), RoutingControl(no_weak=True)).chosen.sum() == 0


@pytest.mark.parametrize(
    ("override", "may_run"),
    [
        (Override(force=("c",)), {2}),
        (Override(mask=("b",)), {0, 2}),
        (Override(no_weak=True), set()),
    ],
)
@pytest.mark.parametrize("kind", ["independent", "dependent"])
def test_an_override_of_one_router_leaves_the_other_alone(kind, override, may_run):
    router = make_router()  # b is the pick of the one, c, a and b are those of the other
    learned = router(*frames())._asdict()
    routing = controlled(router, *frames(), RoutingControl(**{kind: override}))._asdict()
    other = {"independent": "dependent", "dependent": "independent"}[kind]
    for part in (other, f"{other}_weights"):
        assert torch.equal(routing[part], learned[part])
    weights = routing[f"{kind}_weights"]
    assert set(weights.nonzero()[:, 1].tolist()) <= may_run
    assert bool((weights.sum(1) > 0).all()) == bool(may_run)


def test_each_router_can_have_an_override_of_its_own():
    control = RoutingControl(independent=Override(dense=True), dependent=Override(force=("c",)))
    routing = controlled(make_router(), *frames(), control)
    assert (routing.independent_weights > 0).all()
    assert (routing.dependent_weights > 0).tolist() == [[False, False, True]] * 3


@pytest.mark.parametrize("names", [{"force": ("x",)}, {"mask": ("x",)}])
def test_unknown_names_are_refused_for_either_router(names):
    for control in (RoutingControl(**names), RoutingControl(dependent=Override(**names))):
        with pytest.raises(ValueError, match=r"no weak encoder named \['x'\]; there are \['a'"):
            controlled(make_router(), *frames(), control)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="every weak encoder is masked; use no_weak"):
        controlled(make_router(), *frames(), RoutingControl(mask=NAMES))
    with pytest.raises(ValueError, match="exclude one another; pick one"):
        RoutingControl(force=("a",), dense=True)
    with pytest.raises(ValueError, match="both routers and one of a single router"):
        RoutingControl(force=("a",), dependent=Override(dense=True))
    alone, control = make_router(kind="dependent"), RoutingControl(independent=Override())
    with pytest.raises(ValueError, match="no data-independent router to override"):
        controlled(alone, *frames(), control)

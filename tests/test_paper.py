"""MoWE-Audio (arXiv 2409.06635) on a toy worked out by hand; our reading of its equations.

Two recordings of opposite sign, two weak encoders. In every frame

    base encoder  says (3, 1) of the first recording and (1, 3) of the second,
    weak encoder a says (5, 1) of both, weak encoder b (1, 5).

Layer norms make (1, -1) of (3, 1) and (5, 1), and (-1, 1) of (1, 3) and (1, 5). P_a and P_b are the
identity behind theirs. The dependent router's linear layer is (ln 3 / 2, -ln 3 / 2) for a and
(0, 0) for b; the independent router's logits are (0, ln 4). So

    r_dep   = (3/4, 1/4) for the first recording, (1/4, 3/4) for the second
    r_indep = (1/5, 4/5) for both

and at top-1 the dependent router picks a, then b, and the independent one b.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mowe.config import EncoderConfig, MoWEConfig, RoutingConfig, StackConfig
from mowe.encoders.base import AudioEncoder
from mowe.model import AudioBatch, Features, Heard, MoWEModel
from mowe.model.control import RoutingControl
from mowe.model.language_model import AUDIO_MARK, LanguageModel, Message
from mowe.model.routing import Router, StepRouting, pool_frames, routing_loss
from mowe.presets import TINY_RANDOM

SAYS = {"base": ((3.0, 1.0), (1.0, 3.0)), "a": ((5.0, 1.0),) * 2, "b": ((1.0, 5.0),) * 2}
SMOOTHED = 0.9 * 3 / 4 + 0.1 * 0.1 / 2  # 0.68
RATE, FRAME = 16_000, 320  # Hz, samples


class Known(AudioEncoder):
    """Says one thing of a positive recording and another of a negative one, in every frame."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config.name, dim=2, frames_per_second=RATE / FRAME, sample_rate=RATE)
        self.says = torch.nn.Parameter(torch.tensor(SAYS[config.name]))
        self.heard: list[list[float]] = []  # signs of the recordings in each call

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        self.heard.append(waveforms[:, 0].sign().tolist())
        frames = self.says[(waveforms[:, 0] < 0).long()]
        counts = lengths // FRAME
        return frames[:, None].expand(-1, int(counts.max()), -1), counts


def toy(**routing: object) -> MoWEConfig:
    base, a, b = (EncoderConfig(name=one, family="whisper", source="random") for one in SAYS)
    return replace(
        TINY_RANDOM,
        base_encoder=base,
        weak_encoders=(a, b),
        weak_dim=2,
        routing=RoutingConfig(**routing),
        adapter=StackConfig(frames_per_token=2, hidden_dim=8),
    )


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    """A random one, built once: no test trains it."""
    torch.manual_seed(0)
    model = LanguageModel(TINY_RANDOM.language_model)
    # spread: with small embeddings it would hardly hear anything
    torch.nn.init.normal_(model.embedding.weight)
    return model


@pytest.fixture
def build(monkeypatch, language_model):
    """Builds the toy with the given routing settings, in training mode."""
    monkeypatch.setattr("mowe.model.mixture.build_encoder", lambda config, _: Known(config))
    monkeypatch.setattr("mowe.model.mixture.LanguageModel", lambda *_: language_model)

    def build(**routing: object) -> MoWEModel:
        model = MoWEModel(toy(**routing)).train()
        with torch.no_grad():
            if model.router.independent_logits is not None:
                model.router.independent_logits.copy_(torch.tensor([0.0, math.log(4)]))
            if model.router.dependent is not None:
                half = math.log(3) / 2
                model.router.dependent[1].weight.copy_(torch.tensor([[half, -half], [0.0, 0.0]]))
                model.router.dependent[1].bias.zero_()
            for projection in model.fusion.projections:
                projection[1].weight.copy_(torch.eye(2))
                projection[1].bias.zero_()
        return model

    return build


def recordings(frames: tuple[int, ...] = (4, 4), signs: tuple[int, ...] = (1, -1)) -> AudioBatch:
    lengths = torch.tensor(frames) * FRAME
    waveforms = torch.zeros(len(frames), int(lengths.max()))
    for row, (length, sign) in enumerate(zip(lengths.tolist(), signs, strict=True)):
        waveforms[row, :length] = 0.5 * sign
    return AudioBatch({RATE: waveforms}, {RATE: lengths})


def encode(model: MoWEModel, audio: AudioBatch) -> Features:
    features, _ = model.encode(audio)
    return features


def next_token_loss(model: MoWEModel, heard: Heard) -> Tensor:
    replies = ("a dog", "rain", "a bell")
    prompts = [
        model.language_model.prompt(
            [Message("user", f"{AUDIO_MARK}What is it?"), Message("assistant", reply)],
            [count],
            reply=False,
        )
        for count, reply in zip(heard.mask.sum(1).tolist(), replies[: len(heard.mask)], strict=True)
    ]
    return model(heard, prompts)


# Routing: what each router decides, and what it weighs


def test_both_routers_decide_as_worked_out(build):
    routing = encode(build(), recordings()).routing
    assert routing.dependent.flatten().tolist() == pytest.approx(
        [3 / 4, 1 / 4, 1 / 4, 3 / 4], abs=1e-4
    )
    assert routing.independent.flatten().tolist() == pytest.approx([1 / 5, 4 / 5] * 2)


def test_a_pick_weighs_its_own_probability_and_is_not_rescaled(build):
    routing = encode(build(smoothing="off"), recordings()).routing
    assert routing.dependent_weights.flatten().tolist() == pytest.approx(
        [3 / 4, 0, 0, 3 / 4], abs=1e-4
    )
    assert routing.independent_weights.flatten().tolist() == pytest.approx([0, 4 / 5] * 2)


@pytest.mark.parametrize("training", [True, False])
def test_smoothing_as_printed_scales_the_dependent_pick_in_training_and_at_inference(
    build, training
):
    routing = encode(build().train(training), recordings()).routing
    assert routing.dependent_weights.flatten().tolist() == pytest.approx(
        [SMOOTHED, 0, 0, SMOOTHED], abs=1e-4
    )
    assert routing.independent_weights.flatten().tolist() == pytest.approx([0, 4 / 5] * 2)


def test_the_dependent_router_sees_the_mean_of_the_real_frames_only(build):
    features = encode(
        build(), recordings(frames=(4, 1))
    )  # three frames of padding behind the second
    pooled = pool_frames(features.base.frames, features.base.mask)
    assert pooled.tolist() == [[3, 1], [1, 3]]
    alone = encode(build(), recordings(frames=(1,), signs=(-1,)))
    assert torch.allclose(features.routing.dependent[1], alone.routing.dependent[0])


def test_only_the_picked_encoders_listen_each_once(build):
    model = build()
    encode(model, recordings(signs=(-1, 1)))
    a, b = model.pool
    assert a.heard == [[1]]  # the dependent router's pick for the second
    assert b.heard == [[-1, 1]]  # that for the first, and the independent router's for both
    alone = build(kind="dependent")
    encode(alone, recordings(signs=(1, 1)))
    assert [one.heard for one in alone.pool] == [[[1, 1]], []]


# Fusion: z_indep and z_dep beside z_base, in this order


def test_fused_frames_are_base_then_independent_then_dependent(build):
    model = build()
    fused = model.fuse(encode(model, recordings()))
    assert fused.shape == (2, 4, 2 + 2 + 2)
    b = 4 / 5
    first = [3, 1, -b, b, SMOOTHED, -SMOOTHED]
    second = [1, 3, -b, b, -SMOOTHED, SMOOTHED]
    for frame in range(4):
        assert fused[0, frame].tolist() == pytest.approx(first, abs=1e-3)
        assert fused[1, frame].tolist() == pytest.approx(second, abs=1e-3)


def test_two_encoders_at_top_2_are_added(build):
    model = build(top_k=2, smoothing="off", kind="dependent")
    fused = model.fuse(encode(model, recordings()))
    # 3/4 (1, -1) + 1/4 (-1, 1) = (1/2, -1/2)
    assert fused[0, 0].tolist() == pytest.approx([3, 1, 0.5, -0.5], abs=1e-3)


# Gradients: the weight multiplies, so each router learns from what it picked


def test_a_weight_passes_the_gradient_of_its_softmax(build):
    model = build()
    fused = model.fuse(encode(model, recordings()))
    logits = (model.router.independent_logits, model.router.dependent[1].bias)
    independent, dependent = torch.autograd.grad(fused[0, 0, 4], logits, retain_graph=True)
    slope = 0.9 * (3 / 4) * (1 / 4)  # of 0.9 r_a + 0.005
    assert dependent.tolist() == pytest.approx([slope, -slope], abs=1e-3)
    assert independent.tolist() == [0, 0]
    independent, dependent = torch.autograd.grad(fused[0, 0, 3], logits)
    slope = (4 / 5) * (1 / 5)  # of r_b
    assert independent.tolist() == pytest.approx([-slope, slope], abs=1e-3)
    assert dependent.tolist() == [0, 0]


@pytest.mark.parametrize("smoothing", ["as-printed", "explore", "off"])
@pytest.mark.parametrize("kind", ["both", "independent", "dependent"])
def test_the_next_token_loss_alone_moves_each_router(build, kind, smoothing):
    model = build(kind=kind, smoothing=smoothing)
    next_token_loss(model, model.listen(recordings())).next_token.backward()
    if kind != "dependent":
        assert model.router.independent_logits.grad.abs().max() > 1e-6
    if kind != "independent":
        assert model.router.dependent[1].weight.grad.abs().max() > 1e-6


def test_an_encoder_that_nobody_picked_gets_no_gradient(build):
    model = build(kind="dependent")
    next_token_loss(model, model.listen(recordings(signs=(1, 1)))).next_token.backward()
    a, b = (projection[1].weight.grad for projection in model.fusion.projections)
    assert a.abs().max() > 1e-6
    assert b is None


# Exploration: ours, in place of smoothing


def test_exploration_uses_evenly_drawn_encoders_at_full_weight_while_training(build):
    model = build(kind="dependent", smoothing="explore", smoothing_amount=0.5)
    audio = recordings(frames=(1,) * 400, signs=(1,) * 400)
    weights = encode(model, audio).routing.dependent_weights
    own, tried = weights.max(1).values < 1, weights.max(1).values == 1
    assert weights[own].unique(dim=0).flatten().tolist() == pytest.approx([3 / 4, 0], abs=1e-4)
    assert tried.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert weights[tried, 1].mean().item() == pytest.approx(0.5, abs=0.15)
    calm = encode(model.eval(), audio).routing.dependent_weights
    assert calm.unique(dim=0).flatten().tolist() == pytest.approx([3 / 4, 0], abs=1e-4)


def test_an_explored_encoder_and_its_router_learn_from_the_next_token_loss(build):
    model = build(kind="dependent", smoothing="explore", smoothing_amount=1.0)
    torch.manual_seed(1)
    heard = model.listen(recordings(signs=(1, 1)))
    assert (heard.routing.dependent_weights == 1).sum() == 2
    assert bool(heard.routing.chosen[:, 1].any())  # b, which the router would never pick
    next_token_loss(model, heard).next_token.backward()
    assert model.fusion.projections[1][1].weight.grad.abs().max() > 1e-6
    assert model.router.dependent[1].bias.grad.abs().max() > 1e-7


# Losses: Eqs. 7, 8, 9


def test_the_routing_losses_are_as_worked_out(build):
    loss = routing_loss(encode(build(), recordings()).routing)
    independent = math.log(5) / 5 + math.log(5 / 4) * 4 / 5  # Eq. 7
    dependent = math.log(4 / 3) * 3 / 4 + math.log(4) / 4  # Eq. 8, alike for both
    diversity = math.log(2)  # Eq. 9: the mean of the batch is (1/2, 1/2)
    assert loss.independent_entropy.item() == pytest.approx(independent, abs=1e-4)
    assert loss.dependent_entropy.item() == pytest.approx(dependent, abs=1e-4)
    assert loss.diversity.item() == pytest.approx(diversity, abs=1e-4)
    assert loss.total.item() == pytest.approx(independent + dependent - diversity, abs=1e-4)


def test_diversity_falls_where_all_recordings_are_routed_alike(build):
    loss = routing_loss(encode(build(), recordings(signs=(1, 1))).routing)
    assert loss.diversity.item() == pytest.approx(loss.dependent_entropy.item(), abs=1e-5)


def test_the_losses_of_micro_batches_add_up_to_those_of_the_whole_step(build):
    model = build()
    whole = encode(model, recordings()).routing
    step = StepRouting(whole.dependent.detach().mean(dim=0), 2)
    parts = [
        routing_loss(encode(model, recordings(frames=(4,), signs=(sign,))).routing, step)
        for sign in (1, -1)
    ]
    # each recording alone has a diversity of 0.56, the two of them ln 2
    assert sum(part.diversity for part in parts).item() == pytest.approx(math.log(2), abs=1e-4)
    together = routing_loss(whole)
    for name in together._fields:
        added = sum(getattr(part, name) for part in parts)
        assert added.item() == pytest.approx(getattr(together, name).item(), abs=1e-5)
    router = list(model.router.parameters())
    added = torch.autograd.grad(sum(part.total for part in parts), router)
    for one, other in zip(added, torch.autograd.grad(together.total, router), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_loss_is_next_token_loss_plus_a_tenth_of_the_routing_loss(build):
    model = build()
    losses = next_token_loss(model, model.listen(recordings()))
    routing = math.log(5) / 5 + math.log(5 / 4) * 4 / 5
    routing += math.log(4 / 3) * 3 / 4 + math.log(4) / 4 - math.log(2)
    assert (losses.total - losses.next_token).item() == pytest.approx(0.1 * routing, abs=1e-4)


def test_the_losses_see_the_probabilities_and_neither_picks_nor_smoothing(build):
    printed, off = (
        routing_loss(encode(build(smoothing=one), recordings()).routing)
        for one in ("as-printed", "off")
    )
    assert printed == off


# The independent router's start


def test_the_independent_router_starts_off_the_stationary_point_of_its_entropy():
    picks = set()
    for seed in range(20):
        torch.manual_seed(seed)
        router = Router(("a", "b"), 2, kind="independent").train()
        routing = router(torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool))
        routing_loss(routing).total.backward()
        assert router.independent_logits.grad.abs().min() > 0
        picks.add(int(routing.independent.argmax()))
    assert picks == {0, 1}


def test_the_independent_router_leaves_a_pick_that_does_not_help_at_top_1(build):
    """With the paper's recipe; b's features stand for what the language model would want."""
    model = build()
    with torch.no_grad():
        model.router.independent_logits.copy_(torch.tensor([0.02, -0.02]))  # picks a
    features, _ = model.encode(recordings(), RoutingControl(dense=True))
    optimizer = torch.optim.AdamW(model.router.parameters(), lr=0.05)
    wanted, picks = torch.tensor([-1.0, 1.0]), []
    for _ in range(40):
        routing = model.route(features.base)
        picks.append("ab"[int(routing.independent_weights[0].argmax())])
        z_independent = model.fuse(features._replace(routing=routing))[..., 2:4]
        loss = (z_independent - wanted).square().mean() + 0.1 * routing_loss(routing).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (picks[0], picks[-1]) == ("a", "b")
    assert model.route(features.base).independent[0, 1] > 0.8


# Copies of one frozen encoder


def pool_of_copies(train: str) -> MoWEConfig:
    base, a, b = (EncoderConfig(name=one, family="whisper", source="random") for one in SAYS)
    copies = tuple(replace(one, source="package:one", train=train) for one in (a, b))
    return replace(toy(), base_encoder=base, weak_encoders=copies)


def test_copies_of_a_frozen_encoder_listen_once_and_are_warned_of(build):
    with pytest.warns(UserWarning, match=r"frozen copies are one encoder \(b of a\); train them"):
        model = MoWEModel(pool_of_copies("none"))
    with torch.no_grad():
        model.router.independent_logits.copy_(torch.tensor([0.0, 9.0]))  # b for all
        model.router.dependent[1].bias.copy_(torch.tensor([9.0, 0.0]))  # a for all
    features = encode(model, recordings())
    a, b = model.pool
    assert (a.heard, b.heard) == ([[1, -1]], [])
    assert sorted(features.weak) == [0, 1]
    assert torch.equal(features.weak[0].frames, features.weak[1].frames)


def test_each_copy_gets_the_rows_that_chose_it(build):
    with pytest.warns(UserWarning, match="one encoder"):
        model = MoWEModel(pool_of_copies("none"))
    rows = {0: torch.tensor([0, 2]), 1: torch.tensor([1, 2])}
    found = model.encode_pool(recordings((4, 1, 2), (1, -1, 1)), rows)
    assert model.pool[0].heard == [[1, -1, 1]]
    for position, some in rows.items():
        assert found[position].rows.tolist() == some.tolist()
        counts = found[position].mask.sum(1).tolist()
        assert counts == [(4, 1, 2)[row] for row in some.tolist()]


@pytest.mark.filterwarnings("error")
def test_trained_copies_each_listen_for_themselves(build):
    model = MoWEModel(pool_of_copies("full"))
    rows = torch.tensor([0, 1])
    model.encode_pool(recordings(), {0: rows, 1: rows})
    assert [one.heard for one in model.pool] == [[[1, -1]]] * 2


@pytest.mark.filterwarnings("error")
def test_random_encoders_are_no_copies():
    assert toy().first_copies == (0, 1)

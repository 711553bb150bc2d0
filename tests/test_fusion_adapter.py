"""Time alignment, concatenation and the adapters."""

import pytest
import torch

from mowe.config import ConvConfig, StackConfig
from mowe.model.adapter import build_adapter, stack_frames, token_mask
from mowe.model.fusion import Fusion, WeakFeatures, align_frames


def ramp(count: int) -> torch.Tensor:
    return torch.arange(float(count)).view(1, count, 1)


def test_a_faster_encoder_is_averaged_over_each_base_frame():
    aligned = align_frames(ramp(10), torch.tensor([10]), 100.0, 50.0, 5)
    assert aligned.flatten().tolist() == pytest.approx([0.5, 2.5, 4.5, 6.5, 8.5])


def test_a_fractional_rate_averages_partial_frames():
    # 62.5 Hz to 50 Hz: base frame 0 covers weak frame 0 and a quarter of frame 1
    aligned = align_frames(ramp(10), torch.tensor([10]), 62.5, 50.0, 8)
    assert aligned.flatten().tolist()[:2] == pytest.approx([0.2, 1.4])


def test_a_slower_encoder_is_interpolated_and_held_at_the_ends():
    aligned = align_frames(ramp(3), torch.tensor([3]), 25.0, 50.0, 6)
    assert aligned.flatten().tolist() == pytest.approx([0.0, 0.25, 0.75, 1.25, 1.75, 2.0])


@pytest.mark.parametrize("rate", [5.38, 25.0, 50.0, 62.5, 100.0])
def test_alignment_ignores_what_lies_past_the_end(rate):
    torch.manual_seed(0)
    frames = torch.randn(1, 20, 3)
    padded = torch.cat([frames, torch.full((1, 9, 3), 7.0 if rate != 50.0 else 0.0)], dim=1)
    alone = align_frames(frames, torch.tensor([20]), rate, 50.0, 40)
    beside = align_frames(padded, torch.tensor([20]), rate, 50.0, 40)
    assert torch.allclose(alone, beside, atol=1e-6)


def test_fusion_weighs_adds_and_concatenates():
    fusion = Fusion((2, 2), weak_dim=2, frame_rate=50.0)
    for projection in fusion.projections:
        torch.nn.init.eye_(projection[1].weight)
        torch.nn.init.zeros_(projection[1].bias)
    frames = torch.tensor([[[3.0, 1.0]] * 4])  # layer norm makes it (1, -1)
    weak = {1: WeakFeatures(torch.tensor([1]), frames, torch.ones(1, 4, dtype=torch.bool), 50.0)}
    weights = (torch.tensor([[0.0, 0.0], [0.0, 0.5]]), torch.tensor([[0.0, 0.0], [0.0, 0.25]]))
    fused = fusion(torch.zeros(2, 4, 3), weak, weights)
    assert fused.shape == (2, 4, 3 + 2 + 2)
    assert fused[0].abs().sum() == 0
    assert fused[1, 2].tolist() == pytest.approx([0, 0, 0, 0.5, -0.5, 0.25, -0.25], abs=1e-3)


def test_nothing_sounds_behind_the_last_frame_of_a_weak_encoder():
    fusion = Fusion((2,), weak_dim=2, frame_rate=50.0)
    torch.nn.init.ones_(fusion.projections[0][1].bias)
    mask = torch.tensor([[True, True, False]])  # a batch mate has a third frame
    weak = {0: WeakFeatures(torch.tensor([0]), torch.zeros(1, 3, 2), mask, 50.0)}
    fused = fusion(torch.zeros(1, 4, 1), weak, (torch.ones(1, 1),))
    assert fused[0, :, 1].tolist() == [1, 1, 0, 0]


def test_fusion_refuses_weights_of_another_pool():
    with pytest.raises(ValueError, match="weights must be"):
        Fusion((2,), 2, 50.0)(torch.zeros(1, 4, 3), {}, (torch.ones(1, 3),))


def test_thirty_seconds_are_a_hundred_tokens_at_the_default():
    adapter = build_adapter(StackConfig(hidden_dim=8), 4, 6)
    tokens, mask, *_ = adapter(torch.randn(1, 1500, 4), torch.ones(1, 1500, dtype=torch.bool))
    assert tokens.shape == (1, 100, 6)
    assert mask.all()


def test_stacking_by_hand():
    stacked = stack_frames(ramp(5), torch.tensor([[1, 1, 1, 1, 0]]).bool(), 2)
    assert stacked.tolist() == [[[0.0, 1.0], [2.0, 3.0], [0.0, 0.0]]]
    assert token_mask(torch.tensor([[1, 1, 1, 1, 0]]).bool(), 2).tolist() == [[True, True, False]]


@pytest.mark.parametrize("kind", [StackConfig, ConvConfig])
@pytest.mark.parametrize("frames_per_token", [1, 7, 8, 15])
def test_tokens_do_not_depend_on_padding_or_batch_mates(kind, frames_per_token):
    torch.manual_seed(0)
    config = kind(frames_per_token=frames_per_token, hidden_dim=12)
    adapter = build_adapter(config, 6, 10).eval()
    frames, mask = torch.randn(2, 150, 6), torch.ones(2, 150, dtype=torch.bool)
    mask[1, 77:] = False
    together, alone = adapter(frames, mask), adapter(frames[1:, :77], mask[1:, :77])
    count = alone.tokens.shape[1]
    assert count == -(-77 // frames_per_token)
    assert together.mask[1].sum() == count
    assert torch.allclose(together.tokens[1, :count], alone.tokens[0], atol=1e-5)
    assert together.tokens[1, count:].abs().sum() == 0

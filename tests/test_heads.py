"""Heads on fused frames: padding, batch mates, calibration, and a label that is not sure."""

import pytest
import torch

from mowe.config import HintsConfig
from mowe.errors import ConfigError
from mowe.hints.heads import Heads, UtteranceHeads, fit_temperature, frame_statistics, sure_label
from mowe.hints.scaling import Scaled

CONFIG = HintsConfig(
    sounds={"a dog barking": "animal", "rain falling": "water"},
    labels={"gender": ("man", "woman"), "content": ("speech", "music", "sound")},
)


@pytest.fixture
def heads():
    torch.manual_seed(0)
    return Heads(6, 50.0, CONFIG).eval()


def test_padding_and_batch_mates_change_nothing(heads):
    frames = torch.randn(2, 40, 6)
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[0, 23:] = False
    alone = heads(frames[:1, :23], mask[:1, :23])
    together = heads(frames, mask)
    steps = int(alone.events.mask.sum())
    assert steps == int(together.events.mask[0].sum()) == 5  # of 23 frames, 5 a step
    torch.testing.assert_close(together.events.names[0, :steps], alone.events.names[0, :steps])
    for name in CONFIG.labels:
        torch.testing.assert_close(together.labels[name][0], alone.labels[name][0])


def test_statistics_by_hand_with_a_gradient_where_nothing_deviates():
    frames = torch.tensor([[[1.0], [3.0], [99.0]]], requires_grad=True)
    found = frame_statistics(frames, torch.tensor([[True, True, False]]))
    assert found.tolist() == [[2.0, 1.0]]
    alike = torch.ones(1, 4, 2, requires_grad=True)
    frame_statistics(alike, torch.ones(1, 4, dtype=torch.bool)).sum().backward()
    assert alike.grad.isfinite().all()


def test_a_temperature_makes_shares_as_sure_as_they_are_right():
    torch.manual_seed(1)
    truth = torch.randint(0, 2, (4000,))
    logits = torch.zeros(4000, 2)
    right = torch.rand(4000) < 0.8  # right in four of five, however sure it looks
    logits[torch.arange(4000), torch.where(right, truth, 1 - truth)] = 8.0
    temperature = fit_temperature(logits, truth)
    share = (logits / temperature).softmax(dim=1).max(dim=1).values.mean()
    assert float(share) == pytest.approx(0.8, abs=0.02)


def test_temperatures_are_part_of_what_is_saved(heads):
    heads.labels.temperatures[0] = 2.0
    frames, mask = torch.randn(1, 10, 6), torch.ones(1, 10, dtype=torch.bool)
    warm = heads(frames, mask).labels["gender"]
    again = UtteranceHeads(6, CONFIG.labels)
    again.load_state_dict(heads.labels.state_dict())
    torch.testing.assert_close(again(frames, mask)["gender"], warm)
    heads.labels.temperatures[0] = 1.0
    torch.testing.assert_close(heads(frames, mask).labels["gender"], 2 * warm)


def test_what_is_large_in_every_recording_is_taken_away():
    torch.manual_seed(0)
    scaled = Scaled(3)
    rows = torch.randn(500, 3) * torch.tensor([1.0, 0.01, 0.0]) + torch.tensor([0.0, 50.0, 7.0])
    assert torch.equal(scaled(rows), rows)
    scaled.fit(rows)
    found = scaled(rows)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(found[:, :2].std(dim=0), torch.ones(2), atol=0.01, rtol=0)
    assert not found[:, 2].any()  # a dimension that is always the same says nothing


def test_heads_see_how_large_the_frames_of_real_recordings_are(heads):
    frames = 30 + torch.randn(4, 20, 6)
    mask = torch.ones(4, 20, dtype=torch.bool)
    mask[0, 8:] = False
    assert not heads.fitted
    heads.fit(torch.where(mask.unsqueeze(-1), frames, 1e6), mask)
    assert heads.fitted
    torch.testing.assert_close(
        heads.detector.scaled.centre, torch.full((6,), 30.0), atol=0.5, rtol=0
    )


@pytest.mark.parametrize(("share", "label"), [(0.79, ""), (0.81, "woman")])
def test_what_is_not_likely_enough_is_not_told(share, label):
    logits = torch.tensor([1 - share, share]).log()
    assert sure_label(logits, ("man", "woman"), 0.8) == label


def test_a_set_of_one_label_tells_nothing():
    with pytest.raises(ConfigError, match="two labels or more"):
        HintsConfig(labels={"gender": ("man", "man")})

"""Sound events: decoding worked out by hand, padding that changes nothing, and the line of text."""

import numpy as np
import pytest
import torch

from mowe.hints.events import (
    EventDetector,
    SoundEvent,
    decode_events,
    describe_events,
    matched,
    pool_steps,
    step_levels,
)

RATE = 1000
NAMES, KINDS = ("a dog barking", "rain falling"), ("animal", "water", "tool", "vehicle")


def decode(shares, levels, kinds=None):
    """Events from probabilities `(steps, names)` and an amplitude for every step."""
    steps = len(shares)
    samples = np.repeat(np.asarray(levels, float), RATE // 10)
    of_kinds = torch.tensor(kinds or [[0.25] * 4] * steps)
    levels = step_levels(samples, RATE)
    return decode_events(NAMES, KINDS, torch.tensor(shares), of_kinds, levels)


def test_an_event_begins_where_it_is_likely_and_lasts_as_long_as_it_may_be():
    dog = [0.1, 0.3, 0.6, 0.3, 0.1, 0.3, 0.4, 0.1]
    (event,) = decode([[one, 0.0] for one in dog], [0.1] * 4 + [0.0] * 4)
    assert (event.name, event.start, event.end) == ("a dog barking", 0.1, 0.4)
    assert event.share == pytest.approx(0.6)
    assert event.level == pytest.approx(-20.0)


@pytest.mark.parametrize(("gap", "count"), [(1, 1), (2, 2)])
def test_one_step_of_doubt_parts_no_event_two_do(gap, count):
    shares = [0.9, 0.9, *[0.0] * gap, 0.9]
    found = decode([[one, 0.0] for one in shares], [0.1] * len(shares))
    assert [one.name for one in found] == ["a dog barking"] * count


def test_two_names_of_one_sound_are_one_event_and_sounds_that_overlap_are_two():
    alike = decode([[0.9, 0.6]] * 5, [0.1] * 5)
    assert [one.name for one in alike] == ["a dog barking"]
    rain_longer = decode([[0.9, 0.6]] * 2 + [[0.0, 0.6]] * 8, [0.1] * 10)
    assert {one.name for one in rain_longer} == set(NAMES)


def test_what_sounds_without_a_name_is_unknown_with_its_three_likeliest_kinds():
    kinds = [[0.1, 0.0, 0.6, 0.3]] * 6
    (event,) = decode([[0.2, 0.1]] * 6, [0.1] * 4 + [0.0] * 2, kinds)
    assert (event.name, event.start, event.end) == ("", 0.0, 0.4)
    assert event.kinds == (("tool", 0.6), ("vehicle", 0.3), ("animal", 0.1))


@pytest.mark.parametrize("levels", [[0.0] * 8, [1e-4] * 8])
def test_silence_is_no_sound(levels):
    assert decode([[0.2, 0.1]] * 8, levels) == []


def test_the_fading_of_a_named_sound_is_not_an_unknown_one():
    shares = [[0.9, 0.0]] * 3 + [[0.1, 0.0]] * 5
    found = decode(shares, [0.1] * 3 + [0.004] * 5)  # 28 dB softer
    assert [one.name for one in found] == ["a dog barking"]


def test_levels_are_those_of_a_sine_and_of_nothing():
    sine = np.sin(2 * np.pi * 50 * np.arange(RATE // 10) / RATE)
    levels = step_levels(np.append(sine, np.zeros(30)), RATE)
    assert levels == pytest.approx([-3.01, -120.0], abs=0.01)


def test_steps_are_means_of_real_frames_alone():
    frames = torch.tensor([[[1.0], [3.0], [5.0], [99.0]]])
    mask = torch.tensor([[True, True, True, False]])
    steps, real = pool_steps(frames, mask, 2)
    assert steps.flatten().tolist() == [2.0, 5.0]
    assert real.tolist() == [[True, True]]


def test_padding_changes_nothing():
    detector = EventDetector(6, {"a": "x", "b": "y"}, hidden_dim=8).eval()
    frames, mask = torch.randn(1, 20, 6), torch.ones(1, 20, dtype=torch.bool)
    alone = detector(*pool_steps(frames, mask, 5))
    padded = torch.cat([frames, torch.randn(1, 17, 6)], dim=1)
    longer = detector(*pool_steps(padded, torch.cat([mask, mask[:, :17] & False], dim=1), 5))
    assert longer.mask.sum() == 4
    torch.testing.assert_close(longer.names[:, :4], alone.names)
    torch.testing.assert_close(longer.kinds[:, :4], alone.kinds)


def test_the_line_names_times_and_levels_beside_the_loudest():
    dog = SoundEvent("a dog barking", 4.2, 4.9, -12.0, 0.9)
    rain = SoundEvent("rain falling", 0.0, 5.0, -24.2, 0.8)
    unknown = SoundEvent("", 1.0, 2.0, -12.0, 0.0, (("tool", 0.6), ("animal", 0.25)))
    assert describe_events([rain, unknown, dog]) == (
        "Sounds: rain falling 0.0-5.0 s, 12 dB softer; an unknown sound (tool 60%, animal 25%) "
        "1.0-2.0 s, loudest; a dog barking 4.2-4.9 s, loudest."
    )
    assert describe_events([dog]) == "Sounds: a dog barking 4.2-4.9 s."
    assert describe_events([]) == ""


def test_an_event_is_found_by_name_and_beginning_and_counts_once():
    found = [SoundEvent("a dog", start, start + 1, -20.0, 0.9) for start in (0.0, 0.15, 3.0)]
    assert matched(found, [("a dog", 0.1)]) == 1
    assert matched(found, [("a dog", 0.1), ("a dog", 0.1), ("a dog", 0.1)]) == 2
    assert matched(found, [("a dog", 3.3), ("a cat", 0.0)]) == 0
    assert matched(found, [("a dog", 3.2)]) == 1

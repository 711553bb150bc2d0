"""What heads shall hear, worked out by hand from the facts of manifest lines."""

import numpy as np
import pytest
import torch

from mowe.config import HintsConfig
from mowe.data.manifest import Example
from mowe.training.targets import ONE_SOUND, label_sets, targets_of

CONFIG = HintsConfig(
    sounds={"a dog barking": "animal", "rain falling": "water", "a cat": "animal"},
    labels={"gender": ("man", "woman"), "language": ("English", "French")},
)


def example(**metadata):
    turns = (("user", "What?"), ("assistant", "It."))
    return Example(audio=None, task="sound", messages=turns, metadata=metadata)


def test_sounds_whose_times_are_known_are_on_between_them():
    heard = [["a dog barking", "animal", 0.12, 0.31], ["rain falling", "water", 0.0, 0.5]]
    found = targets_of(example(heard=heard), CONFIG, np.full(6, -20.0)).events
    assert found.names.T.tolist() == [[0, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0], [0] * 6]
    assert found.kinds.T.tolist() == [[0, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]  # animal, water
    assert found.names_known.all()
    assert found.kinds_known.all()


def test_the_shortest_sound_lasts_a_step():
    found = targets_of(example(heard=[["a cat", "animal", 0.30, 0.32]]), CONFIG, np.zeros(5)).events
    assert found.names[:, 2].tolist() == [0, 0, 0, 1, 0]


def test_of_a_sound_at_unknown_times_loud_steps_teach_and_doubtful_ones_do_not():
    levels = np.array([-10.0, -29.0, -31.0, -44.0, -46.0, -120.0])
    heard = [["a dog barking", "animal", None, None]]
    found = targets_of(example(heard=heard), CONFIG, levels).events
    assert found.names[:, 0].tolist() == [1, 1, 0, 0, 0, 0]
    assert found.names_known[:, 0].tolist() == [True, True, False, False, True, True]
    assert found.names_known[:, 1:].all()  # what else there is no doubt about


def test_in_silence_nothing_is_on():
    heard = [["a dog barking", "animal", None, None]]
    found = targets_of(example(heard=heard), CONFIG, np.full(4, -80.0)).events
    assert not found.names.any()
    assert targets_of(example(heard=[]), CONFIG, np.full(4, -80.0)).events.names_known.all()


def test_of_a_name_that_is_not_told_the_kind_is_still_taught():
    found = targets_of(example(heard=[["a fox", "animal", 0.0, 0.2]]), CONFIG, np.zeros(2)).events
    assert not found.names.any()
    assert found.kinds.T.tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("metadata", "labels"),
    [
        ({"gender": "woman", "language": "French"}, {"gender": 1, "language": 1}),
        ({"gender": "", "language": "Czech"}, {}),
        ({"heard": [["a cat", "animal", None, None]]}, {ONE_SOUND: 2}),
        ({"heard": [["a cat", "animal", 0, 1], ["a cat", "animal", 2, 3]]}, {ONE_SOUND: 2}),
        ({"heard": [["a cat", "animal", 0, 1], ["rain falling", "water", 2, 3]]}, {}),
    ],
)
def test_labels_that_are_known(metadata, labels):
    assert targets_of(example(**metadata), CONFIG, np.zeros(40)).labels == labels


def test_where_not_all_is_known_sounds_teach_nothing():
    assert targets_of(example(gender="man"), CONFIG, np.zeros(3)).events is None


def test_label_sets_are_those_of_the_heads_and_the_names():
    assert label_sets(CONFIG)[ONE_SOUND] == tuple(CONFIG.sounds)
    assert label_sets(HintsConfig()) == {}
    assert torch.is_tensor(targets_of(example(heard=[]), CONFIG, np.zeros(1)).events.names)

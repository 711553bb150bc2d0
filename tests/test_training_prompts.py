"""Manifest lines as the language model reads them while it learns."""

import pytest
import torch

from mowe.checkpoint import MoWE
from mowe.data.manifest import Example
from mowe.model.language_model import AUDIO_ID, IGNORED
from mowe.training.prompts import prompt_of


@pytest.fixture(scope="module")
def model():
    return MoWE.from_preset("tiny-random")


def read(model, prompt):
    return model.language_model.tokenizer.decode(prompt.ids[prompt.ids >= 0])


def test_hints_of_a_line_without_audio_stand_where_recordings_would(model):
    turns = (("user", "<audio> <audio> Which is longer?"), ("assistant", "The second."))
    told = ["Length: 1.0 s.\nNothing is heard.", "Length: 2.0 s.\nSounds: a fan 0.0-2.0 s."]
    example = Example(audio=None, task="lesson", messages=turns, metadata={"hints": told})
    prompt = prompt_of(model, example)
    assert not (prompt.ids == AUDIO_ID).any()
    first, second = (f"<speech>{one}</speech>\n" for one in told)
    assert f"{first}{second}Which is longer?" in read(model, prompt)
    learned = prompt.ids[prompt.labels != IGNORED]
    assert model.language_model.tokenizer.decode(learned).startswith("The second.")


def test_a_second_recording_stands_in_the_turn_that_marks_it(model):
    turns = (
        ("user", "<audio> What is it?"),
        ("assistant", "A fan."),
        ("user", "<audio> And this?"),
        ("assistant", "A dog."),
    )
    told = ["Sounds: a fan 0.0-1.0 s.", "Sounds: a dog 0.0-1.0 s."]
    example = Example(audio=None, task="lesson", messages=turns, metadata={"hints": told})
    text = read(model, prompt_of(model, example))
    assert f"<speech>{told[0]}</speech>\nWhat is it?" in text
    assert f"<speech>{told[1]}</speech>\nAnd this?" in text


def test_text_without_hints_has_no_place_for_audio(model):
    turns = (("user", "Hello."), ("assistant", "Hi."))
    prompt = prompt_of(model, Example(audio=None, task="chat", messages=turns))
    assert "<speech>" not in read(model, prompt)
    assert torch.equal(prompt.ids, prompt.ids.clamp_min(0))

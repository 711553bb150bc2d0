"""Manifest lines as the language model reads them while it learns."""

from dataclasses import replace

import pytest
import torch
from trainings import HEARING, settings, write_corpus

from mowe.assistant import Assistant, Turn
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.config import HintsConfig
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import Sound
from mowe.errors import ConfigError
from mowe.model.language_model import AUDIO_ID, IGNORED
from mowe.training.prompts import asked, prompt_of


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


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    """A mixture with heads, a store and six recordings."""
    folder = tmp_path_factory.mktemp("hearing")
    kinds = {"a bell": "alarm", "rain": "water"}
    told = HintsConfig(heads=True, sounds=kinds, labels={"gender": ("man", "woman")})
    model = MoWE.from_config(replace(HEARING, hints=told))
    return model, FeatureStore(model, folder / "features"), read_manifest(write_corpus(folder))


def lines(model, prompt):
    """What stands between audio token and question."""
    return read(model, prompt).split("<speech>")[1].split("</speech>")[0]


def test_training_tells_the_very_lines_that_answers_are_given(hearing):
    model, store, examples = hearing
    recording = load_audio(examples[4].audio)
    training = lines(model, asked(model, store, Sound(examples[4])))
    assistant = Assistant(model)
    *_, answer = assistant.stream([Turn("user", "What is it?", (recording,))])
    assert training.startswith("Length: 1.1 s.")
    assert answer.hints == (training,)


def test_a_recording_may_be_told_of_not_at_all_or_wrongly(hearing):
    model, store, examples = hearing
    own, other = examples[3], examples[5]
    assert lines(model, asked(model, store, Sound(own, told=False))) == ""
    wrong = asked(model, store, Sound(own, told_of=other))
    assert lines(model, wrong) == lines(model, asked(model, store, Sound(other)))
    assert read(model, wrong).endswith(f"{own.answer}<|im_end|>\n")  # the true answer


def test_shares_of_recordings_that_exceed_all_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="together at most 1, found 1.2"):
        settings(write_corpus(tmp_path), tuning={"without_hints": 0.9, "wrong_hints": 0.3})

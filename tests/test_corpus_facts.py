"""What manifest lines tell of a clip beside its questions."""

import pytest

from corpus.clips import Ask, Clip, TimedSound
from corpus.facts import KIND, facts_of
from corpus.sounds import SOUNDS
from corpus.sources.definitions import without_sound


def clip(**known):
    given = {"name": "a", "load": without_sound, "split": "train", "tasks": (), "recording": "r"}
    return Clip(**given | known)


def guard(label):
    return (Ask(task="guard", turns=(("What is it?", "It."),), label=label),)


def test_every_sound_has_a_kind():
    assert KIND.keys() == SOUNDS.keys()


@pytest.mark.parametrize(
    ("known", "heard", "content"),
    [
        ({"label": "dog bark"}, [["a dog barking", "animal", None, None]], "sound"),
        ({"label": "piano"}, [["a piano", "music", None, None]], "music"),
        ({"label": "choir"}, [["a choir", "music", None, None]], "singing"),
        ({"text": "Hello."}, [["somebody speaking", "human", None, None]], "speech"),
        ({"asks": guard("silence")}, [], None),
        ({"asks": guard("noise")}, [["noise", "nature", None, None]], "sound"),
        ({"asks": guard("music")}, [["music", "music", None, None]], "music"),
        (
            {"events": (TimedSound("rain", 0.2, 1.0), TimedSound("speech", 0.5, 2.0))},
            [["rain falling", "water", 0.2, 1.0], ["somebody speaking", "human", 0.5, 2.0]],
            None,
        ),
        ({"notes": {"labels": "rain | bird"}}, None, None),  # mixed, and nobody knows when
        ({}, None, None),
    ],
)
def test_facts(known, heard, content):
    facts = facts_of(clip(**known))
    assert (facts.get("heard"), facts.get("content")) == (heard, content)


def test_whose_voice_it_is_is_told_where_it_is_known():
    assert facts_of(clip(text="Hello.", gender="woman"))["gender"] == "woman"
    assert "gender" not in facts_of(clip(text="Hello."))

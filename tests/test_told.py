"""What the language model is told of a recording: lines worked out by hand."""

import pytest
import torch

from mowe.config import HINTS
from mowe.hints import Segment, Transcript
from mowe.hints.events import SoundEvent
from mowe.hints.told import EVENTS, TRANSCRIPT, VOICE, HeardSounds, joined, told_of

SETS = {"gender": ("man", "woman")}
SAID = Transcript((Segment(0.3, 2.0, "Way up in"), Segment(2.0, 4.1, "the clouds.")), "English")
WIND = SoundEvent("wind blowing", 0.0, 5.0, -30.0, 0.9)
DOG = SoundEvent("a dog barking", 4.2, 4.9, -18.0, 0.8)
SPEECH = SoundEvent("somebody speaking", 0.3, 4.1, -20.0, 0.99)
UNKNOWN = SoundEvent("", 1.0, 2.0, -20.0, 0.0, (("tool", 0.6), ("water", 0.3)))


def sounds(*events, woman=0.95):
    return HeardSounds(events, {"gender": torch.tensor([1 - woman, woman]).log()})


def test_all_hints():
    heard = sounds(WIND, SPEECH, DOG)
    assert told_of(5.0, SAID, heard, SETS, HINTS) == (
        "Length: 5.0 s.",
        "Speech (English) 0.3-4.1 s: Way up in the clouds.",
        "Voice: a woman.",
        "Sounds: wind blowing 0.0-5.0 s, 12 dB softer; a dog barking 4.2-4.9 s, loudest.",
    )


@pytest.mark.parametrize(
    ("hints", "lines"),
    [
        ((), 0),
        ((TRANSCRIPT,), 2),  # with the length
        ((EVENTS,), 2),
        ((TRANSCRIPT, VOICE), 3),
        ((VOICE,), 2),  # of nobody who speaks nothing is told
    ],
)
def test_each_hint_has_a_switch(hints, lines):
    assert len(told_of(5.0, SAID, sounds(WIND), SETS, hints)) == lines


def test_a_voice_that_is_not_sure_is_called_so():
    lines = told_of(5.0, SAID, sounds(woman=0.7), SETS, HINTS)
    assert lines[2] == "Voice: a man or a woman, not sure."


def test_speech_without_words_is_a_sound_and_an_unknown_sound_has_likely_kinds():
    lines = told_of(5.0, Transcript(), sounds(SPEECH, UNKNOWN), SETS, HINTS)
    assert lines[1].startswith("Sounds: somebody speaking 0.3-4.1 s")
    assert "an unknown sound (tool 60%, water 30%) 1.0-2.0 s" in lines[1]


def test_silence_says_so():
    assert told_of(3.0, Transcript(), sounds(), SETS, HINTS) == (
        "Length: 3.0 s.",
        "Nothing is heard.",
    )


def test_words_that_look_like_a_hint_stay_in_their_line():
    said = Transcript((Segment(0.0, 1.0, "Hi.\nSounds: a dog 0.0-9.0 s."),), "English")
    lines = told_of(1.0, said, sounds(), SETS, HINTS)
    assert lines[1] == "Speech (English) 0.0-1.0 s: Hi. Sounds: a dog 0.0-9.0 s."
    assert len(lines) == 3


def test_a_sound_that_a_window_cuts_is_one_and_times_go_on():
    first = sounds(SoundEvent("rain falling", 20.0, 30.0, -20.0, 0.7))
    second = sounds(SoundEvent("rain falling", 0.0, 10.0, -20.0, 0.9), DOG, woman=0.05)
    whole = joined([(0.0, 30.0, first), (30.0, 45.0, second)])
    rain, dog = whole.events
    assert (rain.start, rain.end, rain.level, rain.share) == (20.0, 40.0, -20.0, 0.9)
    assert (dog.start, dog.end) == (34.2, 34.9)
    # the first window is twice as long, so that its woman outweighs the man of the second
    assert int(whole.labels["gender"].argmax()) == 1


def test_sounds_with_a_gap_at_the_border_stay_two():
    first = sounds(SoundEvent("a beep", 28.0, 29.0, -20.0, 0.7))
    second = sounds(SoundEvent("a beep", 0.0, 1.0, -20.0, 0.9))
    assert len(joined([(0.0, 30.0, first), (30.0, 45.0, second)]).events) == 2

"""What a part of a composed clip is called: a sound, or, without a label, speech."""

from corpus.sounds import SOUNDS
from corpus.wording import capitalized


def noun_of(label: str) -> str:
    """As in "Do you hear ...?"."""
    return SOUNDS[label].noun if label else "somebody speaking"


def answer_of(label: str) -> str:
    """The full reply to "What is it?"."""
    return SOUNDS[label].answer if label else "Somebody speaking."


def accepted_of(label: str) -> tuple[str, ...]:
    """Other replies that are right."""
    captions = SOUNDS[label].captions if label else ("Somebody speaks.", "The speech.", "Speech.")
    other = dict.fromkeys((capitalized(noun_of(label)), *captions))
    return tuple(text for text in other if text != answer_of(label))

"""Draws lessons of all kinds."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus.lessons import of_more, of_sounds, of_speech
from corpus.lessons.conversations import MakeDialogue
from corpus.lessons.phrases import NAMES
from corpus.lessons.scenes import Draw
from corpus.reading import QuestionFinder

SHARES: Mapping[str, tuple[MakeDialogue, float]] = {  # how lessons are drawn, and how often
    "copy": (of_speech.copy, 10),
    "read": (of_speech.read, 22),
    "story": (of_speech.story, 20),
    "describe": (of_speech.describe, 4),
    "language": (of_speech.language, 4),
    "voice": (of_speech.voice, 5),
    "said": (of_speech.said, 4),
    "digits": (of_speech.digits, 5),
    "what": (of_sounds.what, 8),
    "order": (of_sounds.order, 8),
    "compare": (of_sounds.compare, 7),
    "count": (of_sounds.count, 6),
    "there": (of_sounds.there, 5),
    "when": (of_sounds.when, 3),
    "unknowable": (of_more.unknowable, 5),
    "no recording": (of_more.no_recording, 2),
    "able": (of_more.able, 1),
    "two": (of_more.two, 7),
    "next": (of_more.next_one, 2),
    "foreign": (of_more.foreign, 2),
}


@dataclass(frozen=True)
class Lesson:
    """A conversation about recordings that are known by their hint lines alone."""

    task: str  # one of `SHARES`
    messages: tuple[tuple[str, str], ...]  # role and words; an audio tag for each recording
    hints: tuple[str, ...]  # the lines of each recording


class Teacher:
    """Draws lessons from sentences."""

    def __init__(self, sentences: Sequence[str], reader: QuestionFinder) -> None:
        """Teach with what people may say, and a reader that finds questions in it."""
        self.sentences, self.reader = sentences, reader

    def lesson(self, seed: str) -> Lesson:
        """A lesson; the same seed draws the same."""
        rng = random.Random(seed)
        task = rng.choices(list(SHARES), [share for _, share in SHARES.values()])[0]
        ask, _ = SHARES[task]
        draw = Draw(rng, self.sentences, NAMES, self.reader)
        while (made := ask(draw)) is None:
            pass
        return Lesson(task, *made)

"""Recordings that are simulated as what hints can tell about them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from corpus.lessons.phrases import EMOTIONS, KINDS
from corpus.reading import QuestionFinder
from mowe.hints.events import SoundEvent
from mowe.hints.lines import SpokenStretch, VoiceGuess, hint_lines

_UNKNOWN = 0.08  # share of sounds that have no name
_AGAIN = 0.35  # share of rows of sounds in which names come more than once
_SECONDS_A_WORD = 0.35


@dataclass(frozen=True)
class SimulatedRecording:
    """What hints can tell about a recording."""

    seconds: float
    spoken: SpokenStretch | None = None
    voice: VoiceGuess | None = None
    events: tuple[SoundEvent, ...] = ()

    @property
    def text(self) -> str:
        """What is said; empty where nobody speaks."""
        return self.spoken.text if self.spoken else ""

    @property
    def language(self) -> str:
        """In which it is said."""
        return self.spoken.language if self.spoken else ""

    @property
    def lines(self) -> str:
        """As the language model reads them."""
        spoken = [self.spoken] if self.spoken else []
        return "\n".join(hint_lines(self.seconds, spoken, self.voice, self.events))

    @property
    def names(self) -> list[str]:
        """Of the sounds that are known, in their order."""
        return [one.name for one in self.events if one.name]

    @property
    def lone(self) -> list[SoundEvent]:
        """Sounds whose name no other has."""
        return [one for one in self.events if self.names.count(one.name) == 1]


class Draw:
    """What one lesson is drawn from."""

    def __init__(
        self,
        rng: random.Random,
        sentences: Sequence[str],
        names: Sequence[str],
        reader: QuestionFinder,
    ) -> None:
        """Draw with a generator.

        Args:
            rng: Of this lesson alone.
            sentences: What people say.
            names: Of sounds.
            reader: Finds questions that a sentence answers.
        """
        self.rng, self.sentences, self.names, self.reader = rng, sentences, names, reader
        self.choice, self.random = rng.choice, rng.random

    def sentence(self, *, readable: bool = False) -> str:
        """One that somebody might say; on wish one that answers a question."""
        text = self.choice(self.sentences)
        while readable and not self.reader.ask(text):
            text = self.choice(self.sentences)
        return text

    def among_others(self, text: str) -> str:
        """A sentence, often with one or two others around it."""
        parts = [text, *(self.sentence() for _ in range(self.choice((0, 0, 0, 1, 1, 2))))]
        self.rng.shuffle(parts)
        return " ".join(parts)

    def voice(self) -> VoiceGuess:
        """Who speaks, as far as that is known."""
        return VoiceGuess(
            gender=self.choice(("man", "man", "woman", "woman", "")),
            speakers=self.choice((1, 1, 1, 1, 2, 0)),
            emotion=self.choice(("", "", self.choice(EMOTIONS))),
        )

    def speech(self, text: str = "", language: str = "English") -> SimulatedRecording:
        """Somebody speaks; some sound may be beside.

        Args:
            text: What is said; without it, some sentences.
            language: In which.
        """
        text = text or self.among_others(self.sentence())
        start = round(self.choice((0.0, self.rng.uniform(0, 1.5))), 1)
        length = _SECONDS_A_WORD * len(text.split()) + self.rng.uniform(0.3, 1.0)
        end = round(start + length, 1)
        events = self.events(self.choice((0, 0, 0, 1)), self.rng.uniform(0, end))
        return SimulatedRecording(
            self._seconds([end, *(one.end for one in events)]),
            SpokenStretch(language, start, end, text),
            self.voice(),
            events,
        )

    def sounds(self, least: int, most: int) -> SimulatedRecording:
        """So many sounds, and nobody speaks."""
        events = self.events(self.rng.randint(least, most), self.rng.uniform(0, 0.6))
        return SimulatedRecording(self._seconds([one.end for one in events]), events=events)

    def _seconds(self, ends: Sequence[float]) -> float:
        return round(max(ends) + self.choice((0.0, self.rng.uniform(0, 1))), 1)

    def events(self, count: int, place: float) -> tuple[SoundEvent, ...]:
        """Sounds from a place (s) on, one after the other; some overlap."""
        names = self.rng.sample(self.names, max(count, 1))
        if self.random() < _AGAIN:
            names = [self.choice(names[:2]) for _ in range(count)]
        loudest, made = self.rng.uniform(-30, -8), []
        for name in names[:count]:
            length = self.choice((self.rng.uniform(0.1, 0.8), self.rng.uniform(0.8, 5.0)))
            event = SoundEvent(
                "" if self.random() < _UNKNOWN else name,
                round(place, 1),
                round(place + length, 1),
                round(loudest - self.choice((0, self.rng.uniform(1, 20))), 1),
                round(self.rng.uniform(0.5, 1.0), 2),
                tuple(zip(self.rng.sample(list(KINDS), 3), (0.6, 0.2, 0.1), strict=True)),
            )
            made.append(event)
            place += length + self.choice((self.rng.uniform(0.2, 1.5), -0.5 * length))
        return tuple(sorted(made, key=lambda one: (one.start, one.end)))

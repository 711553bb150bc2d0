"""Conversations about simulated recordings, as lessons hold them."""

from collections.abc import Callable
from typing import NamedTuple

from corpus.lessons.scenes import Draw, SimulatedRecording
from mowe.data.manifest import AUDIO_TAG


class Exchange(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


class Dialogue(NamedTuple):
    """Questions and answers; recordings stand in the questions as `AUDIO_TAG`."""

    messages: tuple[tuple[str, str], ...]  # role and words
    hints: tuple[str, ...]  # the lines of each recording


MakeDialogue = Callable[
    [Draw], Dialogue | None
]  # nothing where what was drawn leaves nothing to ask


def about(scene: SimulatedRecording, *turns: Exchange) -> Dialogue:
    """Questions about one recording, one after the other."""
    (question, answer), *later = turns
    messages = [("user", f"{AUDIO_TAG} {question}"), ("assistant", answer)]
    for one in later:
        messages += [("user", one.question), ("assistant", one.answer)]
    return Dialogue(tuple(messages), (scene.lines,))


def about_both(first: SimulatedRecording, second: SimulatedRecording, turn: Exchange) -> Dialogue:
    """A question about two recordings."""
    asked = ("user", f"{AUDIO_TAG} {AUDIO_TAG} {turn.question}")
    return Dialogue((asked, ("assistant", turn.answer)), (first.lines, second.lines))


def without_recording(turn: Exchange) -> Dialogue:
    """A question that comes with no recording."""
    return Dialogue((("user", turn.question), ("assistant", turn.answer)), ())

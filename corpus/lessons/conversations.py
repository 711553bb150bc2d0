"""Conversations about simulated recordings, as lessons hold them."""

from collections.abc import Callable
from typing import NamedTuple

from corpus.lessons.scenes import Draw, Scene
from mowe.data.manifest import AUDIO_TAG


class Turn(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


class Conversation(NamedTuple):
    """Questions and answers; recordings stand in the questions as `AUDIO_TAG`."""

    messages: tuple[tuple[str, str], ...]  # role and words
    hints: tuple[str, ...]  # the lines of each recording


Ask = Callable[[Draw], Conversation | None]  # nothing where what was drawn leaves nothing to ask


def about(scene: Scene, *turns: Turn) -> Conversation:
    """Questions about one recording, one after the other."""
    (question, answer), *later = turns
    messages = [("user", f"{AUDIO_TAG} {question}"), ("assistant", answer)]
    for one in later:
        messages += [("user", one.question), ("assistant", one.answer)]
    return Conversation(tuple(messages), (scene.lines,))


def about_both(first: Scene, second: Scene, turn: Turn) -> Conversation:
    """A question about two recordings."""
    asked = ("user", f"{AUDIO_TAG} {AUDIO_TAG} {turn.question}")
    return Conversation((asked, ("assistant", turn.answer)), (first.lines, second.lines))


def without_recording(turn: Turn) -> Conversation:
    """A question that comes with no recording."""
    return Conversation((("user", turn.question), ("assistant", turn.answer)), ())

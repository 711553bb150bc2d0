"""One visitor's conversation as a value: every change is a new one, with the same memory."""

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mowe.assistant import Answer, HeardMemory, Sampling
from mowe.errors import AudioError
from mowe.ui.ask.kept_audio import Kept, KeptRecording

MAX_SECONDS = 3600.0  # s of audio kept for one visitor
# The chat inserts text as HTML. Only what could be markup is escaped, so that copies stay clean.
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_ESCAPES = {"<": "&lt;", "&": "&amp;"}
LISTENING = "Listening …"
NO_WORDS = "(no words)"


@dataclass(frozen=True)
class KeptTurn:
    """A turn, with recordings that may be let go."""

    role: str  # "user" or "assistant"
    text: str
    recordings: tuple[KeptRecording, ...] = ()


@dataclass(frozen=True)
class Reply:
    """An answer and the settings it was asked for with."""

    answer: Answer
    sampling: Sampling
    routing: str  # a value of the routing control
    hints: tuple[str, ...] = ()  # what the language model was told in text


class Cleared:
    """Whether Clear was pressed: one for all states of a conversation, read by its late answers."""

    happened = False


@dataclass(frozen=True)
class Conversation:
    """Turns, oldest first, and one reply per assistant turn."""

    turns: tuple[KeptTurn, ...] = ()
    replies: tuple[Reply, ...] = ()
    number: int = 0  # counts a visitor's conversations; Clear starts the next
    memory: HeardMemory = field(default_factory=HeardMemory, compare=False, repr=False)
    cleared: Cleared = field(default_factory=Cleared, compare=False, repr=False)

    @property
    def waiting(self) -> bool:
        """Whether the last question has no reply yet."""
        return bool(self.turns) and self.turns[-1].role == "user"

    @property
    def recordings(self) -> tuple[KeptRecording, ...]:
        """Every recording, in the order in which answers count them."""
        return tuple(recording for turn in self.turns for recording in turn.recordings)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What it keeps, in the order in which it can best be spared."""
        return (self.memory, *self.recordings)

    def current(self, number: int) -> "Conversation":
        """This conversation, or a new one when a late word brought a cleared one back.

        Args:
            number: Of the conversation that the visitor is in.
        """
        return self if self.number == number else Conversation(number=number)

    def check_room(self, seconds: float) -> None:
        """Refuse further recordings of so many seconds where that is more than a visitor may keep.

        Raises:
            AudioError: If the conversation would hold more.
        """
        seconds += sum(one.seconds for one in self.recordings)
        if seconds > MAX_SECONDS:
            raise AudioError(
                f"This conversation would hold {seconds / 60:.0f} minutes of audio; at most"
                f" {MAX_SECONDS / 60:.0f} are allowed, so press Clear to start a new one."
            )

    def asked(self, question: str, recordings: tuple[KeptRecording, ...]) -> "Conversation":
        """With one more question.

        Raises:
            AudioError: If the conversation would hold more audio than is kept for a visitor.
        """
        self.check_room(sum(one.seconds for one in recordings))
        return replace(self, turns=(*self.turns, KeptTurn("user", question, recordings)))

    def answered(self, reply: Reply) -> "Conversation":
        """With the reply to the last question, in place of an earlier state of it."""
        before = self if self.waiting else self.retracted()
        turn = KeptTurn("assistant", reply.answer.text)
        return replace(before, turns=(*before.turns, turn), replies=(*before.replies, reply))

    def retracted(self) -> "Conversation":
        """Without the last reply; the question is waiting again."""
        if self.waiting or not self.turns:
            return self
        return replace(self, turns=self.turns[:-1], replies=self.replies[:-1])

    def settled(self) -> "Conversation":
        """Without a last question that got no words: it failed or was stopped."""
        last = self.replies[-1].answer if self.replies and not self.waiting else None
        silent = last is not None and not last.text and not last.finished
        before = self.retracted() if silent else self
        return replace(before, turns=before.turns[:-1]) if before.waiting else before

    def messages(self) -> list[dict[str, Any]]:
        """What the chat shows: a player per recording, then the words."""
        messages = [{"role": turn.role, "content": _content(turn)} for turn in self.turns]
        if self.replies and not self.waiting and not self.turns[-1].text:
            messages[-1]["content"] = NO_WORDS if self.replies[-1].answer.finished else LISTENING
        return messages

    def to_dict(self) -> dict[str, Any]:
        """The whole conversation as plain JSON types, with everything known about each answer."""
        turns: list[dict[str, Any]] = []
        replies = iter(self.replies)
        for turn in self.turns:
            plain: dict[str, Any] = {"role": turn.role, "text": turn.text}
            if turn.role == "user":
                plain["recordings"] = [_describe(recording) for recording in turn.recordings]
            else:
                reply = next(replies)
                plain["answer"] = reply.answer.to_dict()
                plain["sampling"] = asdict(reply.sampling)
                plain["routing"] = reply.routing
                plain["hints"] = list(reply.hints)
            turns.append(plain)
        return {"format": "mowe-conversation-1", "turns": turns}


def _content(turn: KeptTurn) -> list[dict[str, Any]]:
    players = [
        {"path": str(recording.path), "alt_text": recording.name}
        for recording in turn.recordings
        if recording.path is not None
    ]
    words = {"type": "text", "text": as_text(turn.text)}
    return [*players, words]


def as_text(words: str) -> str:
    """Words for the chat, shown as they are: no tag in them is drawn, fetched or run."""
    return _MARKUP.sub(lambda found: _ESCAPES[found[0]], words)


def _describe(recording: KeptRecording) -> dict[str, Any]:
    return {
        "name": recording.name,
        "seconds": round(recording.seconds, 3),
        "content_hash": recording.content_hash,
        "treatment": recording.treatment.to_dict(),
    }

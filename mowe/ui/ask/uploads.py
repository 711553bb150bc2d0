"""Recordings on their way from uploads into conversations, and from there to the model."""

from collections.abc import Sequence
from pathlib import Path

from mowe.assistant import Turn
from mowe.audio import AudioLimits, Recording, load_audio
from mowe.errors import AudioError
from mowe.ui.ask.conversation import Conversation
from mowe.ui.ask.kept_audio import AudioBudget, KeptRecording, require


class Uploads:
    """Reads what visitors upload, and keeps it within what is allowed."""

    def __init__(self, limits: AudioLimits, budget: AudioBudget) -> None:
        self.limits, self.budget = limits, budget

    def load(self, path: str | Path) -> Recording:
        """Read an upload in full.

        Raises:
            AudioError: If it cannot be used.
        """
        return load_audio(path, limits=self.limits)

    def keep(self, conversation: Conversation, paths: Sequence[str]) -> tuple[KeptRecording, ...]:
        """Read a question's uploads; one that the conversation had and let go takes its old place.

        Returns:
            Those that are new.

        Raises:
            AudioError: If one cannot be used, the conversation would hold too much, or something
                that it needs was let go and is not among them.
        """
        self.budget.use(conversation.kept)
        new: list[KeptRecording] = []
        for path in paths:  # one by one: their sum may be far more than is allowed
            recording = self.load(path)
            gone = [
                one
                for one in conversation.recordings
                if one.compact is None and one.content_hash == recording.content_hash
            ]
            for one in gone:
                self.budget.restore(one, recording)
            if not gone:
                conversation.check_room(sum(one.seconds for one in new) + recording.seconds)
                new.append(self.budget.keep(recording))
        require(conversation.recordings)
        return tuple(new)

    def turns(self, conversation: Conversation) -> list[Turn]:
        """What the model hears: the question's recordings as uploaded, earlier ones as kept.

        What waits for its turn is kept compact as well, so that a full queue holds little.

        Raises:
            AudioError: If something was let go.
        """
        *earlier, question = conversation.turns
        turns = [Turn(one.role, one.text, require(one.recordings)) for one in earlier]
        asked = tuple(self._uploaded(one) or require([one])[0] for one in question.recordings)
        return [*turns, Turn(question.role, question.text, asked)]

    def audio(self, conversation: Conversation, number: int) -> Recording | None:
        """One recording to look at: as kept, else as uploaded; None where both are gone."""
        if not 0 <= number < len(conversation.recordings):
            return None
        kept = conversation.recordings[number]
        return kept.compact or self._uploaded(kept)

    def _uploaded(self, kept: KeptRecording) -> Recording | None:
        try:
            return self.load(kept.path) if kept.path else None
        except AudioError:  # its file was removed
            return None

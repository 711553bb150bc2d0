"""An example's conversation as the language model reads it."""

from dataclasses import replace

import torch

from mowe.data.features import FeatureStore
from mowe.data.manifest import AUDIO_TAG, Example
from mowe.data.sampling import Sound
from mowe.data.tasks import TRANSCRIBE
from mowe.model import MoWEModel
from mowe.model.language_model import AUDIO_ID, AUDIO_MARK, IGNORED, Message, Prompt


def prompt_of(model: MoWEModel, example: Example, said: str = "") -> Prompt:
    """Ids and labels; a recording is one placeholder, which `with_tokens` makes as many as needed.

    Args:
        model: Its tokenizer renders the conversation.
        example: The example.
        said: What is said in its recording, as the language model is told.
    """
    marks = int(example.audio is not None)
    messages = conversation(copied(example, said))
    return model.language_model.prompt(messages, [1] * marks, reply=False, texts=[said] * marks)


def asked(model: MoWEModel, store: FeatureStore, sound: Sound) -> Prompt:
    """An example's prompt, told what is said in its recording."""
    said = store.texts([sound]) if sound.example.audio is not None else [""]
    return prompt_of(model, sound.example, *said)


def with_tokens(prompt: Prompt, count: int) -> Prompt:
    """The prompt with `count` placeholders in the place of its recording."""
    times = torch.where(prompt.ids == AUDIO_ID, count, 1)
    return Prompt(prompt.ids.repeat_interleave(times), prompt.labels.repeat_interleave(times))


def label_tokens(prompt: Prompt) -> int:
    """How many next tokens are learned."""
    return int((prompt.labels[1:] != IGNORED).sum())


def copied(example: Example, said: str = "") -> Example:
    """An example that asks for the transcript, answered by the one that is told.

    A transcript is the decoder's; a language model that learns to mend it learns to make things up.
    """
    if example.task != TRANSCRIBE or not said:
        return example
    answer = str(example.metadata.get("text") or example.answer)
    turns = [
        (role, said if role == "assistant" and content == answer else content)
        for role, content in example.messages
    ]
    return replace(example, messages=tuple(turns))


def conversation(example: Example) -> list[Message]:
    """An example's turns as the language model takes them, the recording marked."""
    (role, first), *later = example.messages
    if example.audio is not None and AUDIO_TAG not in first:
        first = f"{AUDIO_TAG} {first}"
    opened = first.replace(f"{AUDIO_TAG} ", AUDIO_MARK).replace(AUDIO_TAG, AUDIO_MARK)
    return [Message(role, opened), *(Message(*turn) for turn in later)]

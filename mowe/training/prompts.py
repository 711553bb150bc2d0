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
    messages, hints = conversation(copied(example, said)), example.hints
    if example.audio is None:
        told = [tuple(one.splitlines()) for one in hints]
        return model.language_model.prompt(messages, [0] * len(told), reply=False, told=told)
    return model.language_model.prompt(messages, [1], reply=False, told=[(said,)])


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
    """An example's turns as the language model takes them, recordings marked."""
    turns = list(example.messages)
    role, first = turns[0]
    if example.audio is not None and not any(AUDIO_TAG in words for _, words in turns):
        turns[0] = role, f"{AUDIO_TAG} {first}"
    return [Message(role, _marked(words)) for role, words in turns]


def _marked(words: str) -> str:
    return words.replace(f"{AUDIO_TAG} ", AUDIO_MARK).replace(AUDIO_TAG, AUDIO_MARK)

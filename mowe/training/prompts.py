"""An example's conversation as the language model reads it."""

from dataclasses import replace

import torch

from mowe.checkpoint import MoWE
from mowe.config import HINTS
from mowe.data.features import FeatureStore
from mowe.data.manifest import AUDIO_TAG, Example
from mowe.data.sampling import Sound
from mowe.data.tasks import TRANSCRIBE
from mowe.hints import Transcript, spelled
from mowe.hints.told import heard_sounds, told_of
from mowe.model import MoWEModel
from mowe.model.language_model import AUDIO_ID, AUDIO_MARK, IGNORED, Message, Prompt


def prompt_of(
    model: MoWEModel, example: Example, said: str = "", told: tuple[str, ...] = ()
) -> Prompt:
    """Ids and labels; a recording is one placeholder, which `with_tokens` makes as many as needed.

    Args:
        model: Its tokenizer renders the conversation.
        example: The example.
        said: What is said in its recording, as the language model is told.
        told: All that it is told of the recording, in lines.
    """
    messages, hints = conversation(copied(example, said)), example.hints
    if example.audio is None:
        lines = [tuple(one.splitlines()) for one in hints]
        return model.language_model.prompt(messages, [0] * len(lines), reply=False, told=lines)
    return model.language_model.prompt(messages, [1], reply=False, told=[told])


@torch.no_grad()
def asked(model: MoWE, store: FeatureStore, sound: Sound) -> Prompt:
    """An example's prompt; the language model is told of its recording, of another or of none."""
    if sound.example.audio is None or not sound.told:
        return prompt_of(model, sound.example)
    about = Sound(sound.told_of) if sound.told_of is not None else sound
    said = store.transcript(about)
    right = spelled(said.text) if about is sound else ""
    return prompt_of(model, sound.example, right, lines_about(model, store, about, said))


def lines_about(
    model: MoWE, store: FeatureStore, sound: Sound, said: Transcript
) -> tuple[str, ...]:
    """All that the language model is told of a recording, under the routing as it is now.

    Args:
        model: The mixture; its heads hear the recording by itself, without batch mates.
        store: Where its features come from.
        sound: The recording.
        said: What is said in it.
    """
    heard, seconds = None, 0.0
    if model.heads is not None:
        features = store.features([sound])
        frames, mask = model.fuse(features), features.base.mask
        seconds = float(mask.sum()) / model.base_encoder.frames_per_second
        heard = heard_sounds(model.heads, model.heads(frames, mask), store.levels(sound))
    return told_of(seconds, said, heard, model.config.hints.labels, HINTS)


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

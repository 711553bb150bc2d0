"""What one step computes, in one forward pass that can be wrapped for many processes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mowe.data.augment import spec_augment
from mowe.data.manifest import AUDIO_TAG, Example
from mowe.hints.naming import Named, NamingAdapter
from mowe.model import Distort, Features, Heard, Losses, MoWEModel
from mowe.model.language_model import AUDIO_MARK, Message, Prompt
from mowe.model.routing import RoutingLoss, routing_loss
from mowe.training.align import Label, label_of, naming_loss

TRANSCRIBE = "transcribe"  # the task whose answers are what is said


class AlignLoss(NamedTuple):
    """An alignment step's loss and its parts, scalars in nats."""

    total: Tensor
    naming: Tensor
    routing: RoutingLoss | None


class StepLoss(NamedTuple):
    """A mixture step's loss and its parts, scalars in nats."""

    total: Tensor
    parts: Losses
    naming: Tensor
    heard: Heard
    tokens: int  # of the prompts, audio tokens among them


class AlignStep(nn.Module):
    """Name sounds and labels, without the language model."""

    def __init__(self, model: MoWEModel, mask_share: float) -> None:
        """Wrap a mixture with a naming adapter.

        Args:
            model: The mixture.
            mask_share: Of SpecAugment; 0 masks nothing.
        """
        super().__init__()
        self.model, self.mask_share = model, mask_share

    def forward(self, features: Features, examples: Sequence[Example], seed: int) -> AlignLoss:
        """Losses of one step.

        Args:
            features: Of the recordings to name.
            examples: Those recordings.
            seed: Of the masks that SpecAugment draws.
        """
        heard = self.model.adapt(features, masking(self.mask_share, seed))
        naming = naming_loss(*_named(self.model, heard, examples))
        if self.model.router is None:
            return AlignLoss(naming, naming, None)
        routing = routing_loss(features.routing)
        total = naming + self.model.config.routing.loss_weight * routing.total
        return AlignLoss(total, naming, routing)


class MixtureStep(nn.Module):
    """The paper's step: next-token and routing loss, a share of the naming loss beside them."""

    def __init__(self, model: MoWEModel, naming_weight: float, mask_share: float) -> None:
        """Wrap a mixture.

        Args:
            model: The mixture.
            naming_weight: The share of the naming loss that is kept.
            mask_share: Of SpecAugment; 0 masks nothing.
        """
        super().__init__()
        self.model, self.naming_weight, self.mask_share = model, naming_weight, mask_share

    def forward(
        self,
        features: Features,
        examples: Sequence[Example],
        silent: Sequence[Example] = (),
        seed: int = 0,
        texts: Sequence[str] = (),
    ) -> StepLoss:
        """Fuse, adapt, and score the assistant's words.

        Args:
            features: Of the examples with a recording.
            examples: Those examples.
            silent: Examples without a recording.
            seed: Of the masks that SpecAugment draws.
            texts: What is said in each recording; none by default.
        """
        heard = self.model.adapt(features, masking(self.mask_share, seed))
        asked = prompts(self.model, examples, heard, texts)
        unheard = prompts(self.model, silent, None)
        parts = self.model(heard, asked, unheard)
        naming = parts.total.new_zeros(())
        if self.naming_weight and heard.notes is not None:
            naming = naming_loss(*_named(self.model, heard, examples))
        tokens = sum(len(prompt.ids) for prompt in (*asked, *unheard))
        return StepLoss(parts.total + self.naming_weight * naming, parts, naming, heard, tokens)


def _named(
    model: MoWEModel, heard: Heard, examples: Sequence[Example]
) -> tuple[Named, list[Label]]:
    """What was named, and what the manifest says about it."""
    assert isinstance(model.adapter, NamingAdapter)
    assert heard.notes is not None
    return heard.notes, [label_of(one, model.adapter.namer) for one in examples]


def masking(share: float, seed: int) -> Distort:
    """SpecAugment with masks of up to `share` of a clip, drawn by seed; nothing where 0."""
    if not share:
        return lambda frames, _: frames
    draw = torch.Generator().manual_seed(seed)
    return lambda frames, mask: spec_augment(frames, mask, draw, time_share=share)


def prompts(
    model: MoWEModel,
    examples: Sequence[Example],
    heard: Heard | None,
    texts: Sequence[str] = (),
) -> list[Prompt]:
    """Each example's conversation as ids and labels, with places for its audio tokens.

    Args:
        model: Its tokenizer renders the conversation.
        examples: The examples.
        heard: Their audio tokens; None if they have no recording.
        texts: What is said in each recording, as the language model is told; none by default.
    """
    counts: list[list[int]] = [[] for _ in examples]
    if heard is not None:
        counts = [[count] for count in heard.mask.sum(dim=1).tolist()]
    said = [[text] for text in texts] or [[] for _ in examples]
    return [
        model.language_model.prompt(
            conversation(copied(example, *text)), count, reply=False, texts=text
        )
        for example, count, text in zip(examples, counts, said, strict=True)
    ]


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

"""What one step computes, in one forward pass that can be wrapped for many processes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mowe.adapter import ReadingAdapter
from mowe.encoders import EncodedAudio
from mowe.language_model import AUDIO_MARK, Message, Prompt
from mowe.model import Distort, Features, Heard, Losses, MoWEModel
from mowe.routing import RoutingLoss, routing_loss
from mowe.training.align import alignment_loss, base_as_fused, label_of, naming_loss
from mowe.training.augment import spec_augment
from mowe.training.manifest import AUDIO_TAG, Example


class AlignLoss(NamedTuple):
    """An alignment step's loss and its parts, scalars in nats."""

    total: Tensor
    ctc: Tensor
    naming: Tensor
    routing: RoutingLoss | None


class StepLoss(NamedTuple):
    """A mixture step's loss and its parts, scalars in nats."""

    total: Tensor
    parts: Losses
    alignment: Tensor
    heard: Heard
    tokens: int  # of the prompts, audio tokens among them


class AlignStep(nn.Module):
    """Read transcripts by CTC and name sounds and labels, without the language model."""

    def __init__(self, model: MoWEModel, mask_share: float) -> None:
        """Wrap a mixture with a reading adapter.

        Args:
            model: The mixture.
            mask_share: Of SpecAugment; 0 masks nothing.
        """
        super().__init__()
        self.model, self.mask_share = model, mask_share

    def forward(
        self,
        base: EncodedAudio | None,
        targets: Sequence[Sequence[int] | None],
        features: Features | None,
        named: Sequence[Example],
        seed: int,
    ) -> AlignLoss:
        """Losses of one step.

        Args:
            base: Base frames of the recordings to read, None without any.
            targets: Their piece positions; empty where nothing is said.
            features: Of the recordings to name, None without any.
            named: Their examples.
            seed: Of the masks that SpecAugment draws.
        """
        adapter, distort = self.model.adapter, masking(self.mask_share, seed)
        assert isinstance(adapter, ReadingAdapter)
        ctc = naming = adapter.opening.new_zeros(())
        if base is not None:
            fused_dim = adapter.reader.entry.in_features
            frames = distort(base_as_fused(base, fused_dim), base.mask)
            ctc = alignment_loss(adapter.read(frames, base.mask), targets)
        if features is None:
            return AlignLoss(ctc, ctc, naming, None)
        mask = features.base.mask
        _, found = adapter.hear(distort(self.model.fuse(features), mask), mask)
        naming = naming_loss(found, [label_of(one, adapter.namer) for one in named])
        total, routing = ctc + naming, None
        if self.model.router is not None:
            routing = routing_loss(features.routing)
            total = total + self.model.config.routing.loss_weight * routing.total
        return AlignLoss(total, ctc, naming, routing)


class MixtureStep(nn.Module):
    """The paper's step: next-token and routing loss, a share of the alignment's beside them."""

    def __init__(self, model: MoWEModel, ctc_weight: float, mask_share: float) -> None:
        """Wrap a mixture.

        Args:
            model: The mixture.
            ctc_weight: The share of the alignment loss that is kept.
            mask_share: Of SpecAugment; 0 masks nothing.
        """
        super().__init__()
        self.model, self.ctc_weight, self.mask_share = model, ctc_weight, mask_share

    def forward(
        self,
        features: Features,
        examples: Sequence[Example],
        targets: Sequence[Sequence[int] | None],
        silent: Sequence[Example] = (),
        seed: int = 0,
    ) -> StepLoss:
        """Fuse, adapt, and score the assistant's words.

        Args:
            features: Of the examples with a recording.
            examples: Those examples.
            targets: Piece positions of those that are transcripts, else None.
            silent: Examples without a recording.
            seed: Of the masks that SpecAugment draws.
        """
        heard = self.model.adapt(features, masking(self.mask_share, seed))
        asked, unheard = prompts(self.model, examples, heard), prompts(self.model, silent, None)
        parts = self.model(heard, asked, unheard)
        alignment = parts.total.new_zeros(())
        if self.ctc_weight and heard.reading is not None:
            alignment = alignment_loss(heard.reading, targets)
        if self.ctc_weight and heard.named is not None:
            adapter = self.model.adapter
            assert isinstance(adapter, ReadingAdapter)
            known = [label_of(one, adapter.namer) for one in examples]
            alignment = alignment + naming_loss(heard.named, known)
        tokens = sum(len(prompt.ids) for prompt in (*asked, *unheard))
        return StepLoss(parts.total + self.ctc_weight * alignment, parts, alignment, heard, tokens)


def masking(share: float, seed: int) -> Distort:
    """SpecAugment with masks of up to `share` of a clip, drawn by seed; nothing where 0."""
    if not share:
        return lambda frames, _: frames
    draw = torch.Generator().manual_seed(seed)
    return lambda frames, mask: spec_augment(frames, mask, draw, time_share=share)


def prompts(model: MoWEModel, examples: Sequence[Example], heard: Heard | None) -> list[Prompt]:
    """Each example's conversation as ids and labels, with places for its audio tokens.

    Args:
        model: Its tokenizer renders the conversation.
        examples: The examples.
        heard: Their audio tokens; None if they have no recording.
    """
    counts: list[list[int]] = [[] for _ in examples]
    if heard is not None:
        counts = [[count] for count in heard.mask.sum(dim=1).tolist()]
    return [
        model.language_model.prompt(conversation(example), count, reply=False)
        for example, count in zip(examples, counts, strict=True)
    ]


def conversation(example: Example) -> list[Message]:
    """An example's turns as the language model takes them, the recording marked."""
    (role, first), *later = example.messages
    if example.audio is not None and AUDIO_TAG not in first:
        first = f"{AUDIO_TAG} {first}"
    opened = first.replace(f"{AUDIO_TAG} ", AUDIO_MARK).replace(AUDIO_TAG, AUDIO_MARK)
    return [Message(role, opened), *(Message(*turn) for turn in later)]

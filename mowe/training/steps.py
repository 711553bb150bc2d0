"""What a micro-batch adds to the loss of its optimizer step, in one forward pass for any wrapper.

Every mean of the loss is over the whole step: all micro-batches of all processes. A first pass,
without gradient, counts and routes (`prepare`); the second then gives each micro-batch's share, and
shares add up to the same loss and gradients however a step is split.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mowe.checkpoint import MoWE
from mowe.config import NamingConfig
from mowe.data.augment import spec_augment
from mowe.data.features import FeatureStore
from mowe.data.sampling import Sound
from mowe.encoders import EncodedAudio
from mowe.model import Distort, Heard
from mowe.model.control import RoutingControl
from mowe.model.language_model import Prompt
from mowe.model.routing import RoutingLoss, StepRouting, routing_loss
from mowe.training.align import Label, NamingCounts, label_of, naming_counts, naming_loss
from mowe.training.prompts import asked, label_tokens, with_tokens


class MicroBatch(NamedTuple):
    """What the first pass finds out about a micro-batch."""

    sounds: list[Sound]  # the examples with a recording
    prompts: list[Prompt]  # of these, then of text alone; none without a language model
    known: list[Label]  # what the manifest says about the recordings; none where nothing is named
    base: EncodedAudio | None  # None where the second pass has to encode with gradient
    sums: Tensor  # what `Whole` is made of, float64


class Whole(NamedTuple):
    """A whole optimizer step: what its losses are means over."""

    routing: StepRouting
    label_tokens: float
    naming: NamingCounts

    @classmethod
    def of(cls, sums: Tensor) -> "Whole":
        """From the sums of all micro-batches."""
        examples, tokens, labels, events = sums[:4].tolist()
        average = (sums[4:] / max(examples, 1)).float()
        return cls(StepRouting(average, int(examples)), tokens, NamingCounts(labels, events))


class StepLoss(NamedTuple):
    """A micro-batch's share of the loss and its parts, scalars in nats; shares add up."""

    total: Tensor
    next_token: Tensor | None  # without a language model
    naming: Tensor
    routing: RoutingLoss | None  # without routers
    tokens: int  # that the language model reads, audio tokens among them

    def parts(self) -> dict[str, Tensor]:
        """The loss and its parts by the name they are logged under, without gradient."""
        found = {"loss": self.total, "next_token": self.next_token, "naming": self.naming}
        if self.routing is not None:
            named = self.routing._asdict()
            found |= {"routing": named.pop("total"), **named}
        return {name: one.detach().float() for name, one in found.items() if one is not None}


class Step(nn.Module):
    """Next-token loss and routing loss, the paper's, and beside them what the adapter names."""

    def __init__(
        self,
        model: MoWE,
        store: FeatureStore,
        reads: bool,
        names: NamingConfig | None,
        naming_weight: float,
        mask_share: float,
    ) -> None:
        """Wrap a mixture.

        Args:
            model: The mixture.
            store: Where its features come from.
            reads: The language model takes part; without it only names are learned.
            names: What the adapter learns to name; None of an adapter that names nothing.
            naming_weight: Factor of the naming loss; 0 leaves it out.
            mask_share: Of SpecAugment; 0 masks nothing.
        """
        super().__init__()
        self.model, self.store, self.mask_share = model, store, mask_share
        self.reads, self.names = reads, names if naming_weight else None
        self.naming_weight = naming_weight

    @torch.no_grad()
    def prepare(self, sounds: Sequence[Sound], *, alone: bool) -> MicroBatch:
        """The first pass: everything but the losses.

        Args:
            sounds: The micro-batch, text-only examples among them.
            alone: This process has no other micro-batch in this step, so that base features may
                keep their graph; of several they would fill the memory, and are encoded again.
        """
        sounds = sorted(sounds, key=lambda one: one.example.audio is None)  # text alone comes last
        prompts = [asked(self.model, self.store, one) for one in sounds] if self.reads else []
        heard = [one for one in sounds if one.example.audio is not None]
        known = [label_of(one.example, self.names) for one in heard] if self.names else []
        counts = [len(heard), sum(map(label_tokens, prompts)), *naming_counts(known)]
        base, routed = None, torch.zeros(self.model.config.pool_size, dtype=torch.float64)
        if heard:
            with torch.set_grad_enabled(alone):
                base = self.store.base(heard)
            routing = self.model.route(base)
            if routing.dependent is not None:
                routed = routing.dependent.double().sum(dim=0)
        sums = torch.cat([torch.tensor(counts, dtype=torch.float64).to(routed.device), routed])
        kept = base if alone or not self.model.base_encoder.trained else None
        return MicroBatch(heard, prompts, known, kept, sums)

    def whole(self, sums: Tensor) -> Whole:
        """What the losses are means over, from the sums of all micro-batches."""
        return Whole.of(sums)

    def forward(
        self, batch: MicroBatch, whole: Whole, control: RoutingControl | None, seed: int
    ) -> StepLoss:
        """The second pass: fuse, adapt, and score the assistant's words and the names.

        Args:
            batch: From `prepare`.
            whole: The optimizer step that it is a part of.
            control: Routing overrides.
            seed: Of the masks that SpecAugment draws.
        """
        heard, zero = None, torch.zeros((), device=self.model.device)
        routing = RoutingLoss(zero, zero, zero, zero) if self.model.router is not None else None
        next_token, named, tokens = (zero if self.reads else None), zero, 0
        if batch.sounds:
            features = self.store.features(batch.sounds, control, batch.base)
            heard = self.model.adapt(features, masking(self.mask_share, seed))
            if self.model.router is not None:
                routing = routing_loss(features.routing, whole.routing)
            if self.names:
                named = naming_loss(heard.notes, batch.known, whole.naming)
        total = self.naming_weight * named
        if routing is not None:
            total = total + self.model.config.routing.loss_weight * routing.total
        if batch.prompts:
            next_token, tokens = self._next_token(batch.prompts, heard)
            next_token = next_token / whole.label_tokens
            total = total + next_token
        return StepLoss(total, next_token, named, routing, tokens)

    def _next_token(self, prompts: Sequence[Prompt], heard: Heard | None) -> tuple[Tensor, int]:
        """Sum of the next-token losses, and how many tokens are read."""
        audio = heard.audio_tokens() if heard is not None else []
        nothing = torch.zeros(0, self.model.language_model.dim, device=self.model.device)
        audio += [nothing] * (len(prompts) - len(audio))
        placed = [with_tokens(*one) for one in zip(prompts, map(len, audio), strict=True)]
        mean = self.model.language_model.loss(placed, audio)
        return mean * sum(map(label_tokens, placed)), sum(len(one.ids) for one in placed)


def masking(share: float, seed: int) -> Distort:
    """SpecAugment with masks of up to `share` of a clip, drawn by seed; nothing where 0."""
    if not share:
        return lambda frames, _: frames
    draw = torch.Generator().manual_seed(seed)
    return lambda frames, mask: spec_augment(frames, mask, draw, time_share=share)

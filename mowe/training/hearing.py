"""The first stage of mixtures whose heads hear for the hints, without the language model.

Heads, adapter, projections and routers learn together: heads to name what sounds and whose voice it
is, the adapter to give tokens near the embeddings of the words for it. Routers learn by the
expected loss (Jacobs et al. 1991): every encoder is tried in a router's slot, the other slot at its
pick; what is no router learns from all of them evenly (docs/PAPER.md, the arm "expected loss
evenly"). The routers take turns, a step each: trying both in every step costs twice as much.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.checkpoint import MoWE
from mowe.data.features import FeatureStore
from mowe.data.sampling import Sound
from mowe.encoders import EncodedAudio
from mowe.hints.heads import FrameSummary, HeadLogits, side_by_side
from mowe.model.control import RoutingControl
from mowe.model.routing import RoutingLoss, StepRouting, pool_frames, routing_loss
from mowe.training.targets import EventTargets, Targets, label_sets, targets_of

_SCALE = 10.0  # of scores, whose label embeddings have length 1
_PRESENT = 2.0  # weight of a sound that is there beside one that is not


FITTED = 64  # recordings that tell how large features are


@torch.no_grad()
def fit_heads(model: MoWE, store: FeatureStore, sounds: Iterable[Sound]) -> None:
    """Let heads that have learnt nothing see how large fused frames are, under every encoder.

    Args:
        model: The mixture.
        store: Where features come from.
        sounds: Training recordings.
    """
    assert model.heads is not None, "a mixture without heads is not trained to hear"
    heard = list(sounds)
    base = store.base(heard)
    alone = [RoutingControl(force=(name,)) for name in model.encoder_names]
    controls: list[RoutingControl | None] = [*alone] or [None]
    fused = [model.fuse(store.features(heard, one, base)) for one in controls]
    model.heads.fit(torch.cat(fused), base.mask.repeat(len(fused), 1))


class HearingBatch(NamedTuple):
    """What the first pass finds out about a micro-batch."""

    sounds: list[Sound]
    targets: list[Targets]
    base: EncodedAudio
    sums: Tensor  # examples, steps, labels; then the probabilities of the data-dependent router


class HearingWhole(NamedTuple):
    """A whole optimizer step: what its losses are means over."""

    routing: StepRouting
    steps: float  # of the detector, of recordings all of whose sounds are known
    labels: float


class HearingLoss(NamedTuple):
    """A micro-batch's share of the loss and its parts, scalars in nats; shares add up."""

    total: Tensor
    events: Tensor
    labels: Tensor
    words: Tensor
    expected: Tensor  # what teaches the routers
    routing: RoutingLoss | None  # without routers
    tokens: int = 0  # that a language model reads

    def parts(self) -> dict[str, Tensor]:
        """The loss and its parts by the name they are logged under, without gradient."""
        found = self._asdict()
        del found["tokens"]
        routing = found.pop("routing")
        if routing is not None:
            named = routing._asdict()
            found |= {"routing": named.pop("total"), **named}
        return {name: one.detach().float() for name, one in found.items()}


def event_losses(found: HeadLogits, targets: Sequence[EventTargets | None]) -> Tensor:
    """Sum of the cross-entropies of all names and kinds over the steps of each recording.

    Args:
        found: Of a batch.
        targets: Of its recordings.

    Returns:
        `(batch,)`, nats.
    """
    rows = []
    for row, target in enumerate(targets):
        if target is None:
            rows.append(found.events.names.new_zeros(()))
            continue
        steps = min(int(found.events.mask[row].sum()), len(target.names))
        parts = (
            (found.events.names, target.names, target.names_known, _PRESENT),
            (found.events.kinds, target.kinds, target.kinds_known, 1.0),
        )
        lost = [
            F.binary_cross_entropy_with_logits(
                logits[row, :steps],
                wanted[:steps].to(logits.device),
                weight=known[:steps].to(logits.device).float(),
                pos_weight=torch.tensor(present, device=logits.device),
                reduction="sum",
            )
            for logits, wanted, known, present in parts
        ]
        rows.append(torch.stack(lost).sum())
    return torch.stack(rows)


def label_losses(logits: dict[str, Tensor], labels: Sequence[dict[str, int]]) -> Tensor:
    """Sum of the cross-entropies of the labels known of each recording, `(batch,)` nats.

    Args:
        logits: Of a batch, `(batch, labels)` by set.
        labels: Places of the labels known of its recordings.
    """
    rows = []
    for row, known in enumerate(labels):
        lost = [
            F.cross_entropy(scores[row], torch.tensor(known[name], device=scores.device))
            for name, scores in logits.items()
            if name in known
        ]
        nothing = next(iter(logits.values())).new_zeros(()) if logits else torch.zeros(())
        rows.append(torch.stack(lost).sum() if lost else nothing)
    return torch.stack(rows)


class Slot(NamedTuple):
    """Features that stand beside others in fused frames, `(batch, frames, dim)`."""

    frames: Tensor
    summary: FrameSummary  # for the heads; made once, however often the slot is tried


class HearingStep(nn.Module):
    """Losses of the first stage; the same two passes as `Step`."""

    def __init__(self, model: MoWE, store: FeatureStore, steps: int, parts: int) -> None:
        """Wrap a mixture with heads.

        Args:
            model: The mixture.
            store: Where its features come from.
            steps: Of the stage; the routing loss comes in until its end.
            parts: Micro-batches of a step, of all processes.
        """
        super().__init__()
        self.model, self.store, self.steps, self.parts = model, store, steps, parts
        self.sets = label_sets(model.config.hints)

    @torch.no_grad()
    def prepare(self, sounds: Sequence[Sound], *, alone: bool) -> HearingBatch:
        """The first pass: features of the base encoder, targets, counts, probabilities.

        Args:
            sounds: The micro-batch.
            alone: Without meaning here; encoders are frozen in this stage.
        """
        config = self.model.config
        heard = [one for one in sounds if one.example.audio is not None]
        targets = [targets_of(one.example, config.hints, self.store.levels(one)) for one in heard]
        base = self.store.base(heard)
        routing = self.model.route(base)
        steps = sum(len(one.events.names) for one in targets if one.events is not None)
        counts = [len(heard), steps, sum(len(one.labels) for one in targets)]
        routed = torch.zeros(config.pool_size, dtype=torch.float64)
        if routing.dependent is not None:
            routed = routing.dependent.double().sum(dim=0).cpu()
        sums = torch.cat([torch.tensor(counts, dtype=torch.float64), routed])
        return HearingBatch(heard, targets, base, sums.to(self.model.device))

    def whole(self, sums: Tensor) -> HearingWhole:
        """What the losses are means over, from the sums of all micro-batches."""
        examples, steps, labels = sums[:3].tolist()
        average = (sums[3:] / max(examples, 1)).float()
        return HearingWhole(StepRouting(average, int(examples)), max(steps, 1), max(labels, 1))

    def forward(
        self, batch: HearingBatch, whole: HearingWhole, control: RoutingControl | None, index: int
    ) -> HearingLoss:
        """The second pass: the losses with every encoder in one router's slot.

        Args:
            batch: From `prepare`.
            whole: The optimizer step that it is a part of.
            control: Without meaning here: every encoder runs.
            index: Number of the micro-batch in the stage.
        """
        model = self.model
        base = self._slot(batch.base.frames.float(), batch.base.mask)
        if model.router is None:
            events, labels, words = (one.sum() for one in self._losses(batch, whole, [base]))
            zero, total = events.new_zeros(()), events + labels + words
            return HearingLoss(total, events, labels, words, zero, None)
        features = self.store.features(batch.sounds, RoutingControl(dense=True), batch.base)
        learned = model.route(batch.base)
        count = batch.base.frames.shape[1]
        heard = torch.stack(
            [
                model.fusion.aligned(place, features.weak[place], count)
                for place in range(len(model.pool))
            ],
            dim=1,
        )  # (batch, encoders, frames, weak_dim)
        chances = [one for one in (learned.independent, learned.dependent) if one is not None]
        mixed = [_mixed(heard, one.detach()) for one in learned.weights]
        picks = [self._slot(one, batch.base.mask) for one in mixed]
        slot = (index // self.parts) % len(picks)  # of the router whose turn it is
        tried = [
            self._losses(batch, whole, [base, *picks[:slot], one, *picks[slot + 1 :]])
            for one in (self._slot(frames, batch.base.mask) for frames in heard.unbind(dim=1))
        ]
        kinds = zip(*tried, strict=True)
        events, labels, words = (torch.stack(kind).mean(dim=0).sum() for kind in kinds)
        alone = torch.stack([torch.stack(one).sum(dim=0) for one in tried]).detach()
        expected = (chances[slot] * alone.T).sum()  # alone is (encoders, batch)
        routing = routing_loss(learned, whole.routing)
        weight = model.config.routing.loss_weight * (index // self.parts) / self.steps
        total = events + labels + words + expected + weight * routing.total
        return HearingLoss(total, events, labels, words, expected.detach(), routing)

    def _slot(self, frames: Tensor, mask: Tensor) -> Slot:
        assert self.model.heads is not None, "a mixture without heads is not trained to hear"
        return Slot(frames, self.model.heads.summary(frames, mask))

    def _losses(
        self, batch: HearingBatch, whole: HearingWhole, slots: Sequence[Slot]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each recording, `(batch,)` each: events, labels and words, as shares of a mean."""
        assert self.model.heads is not None, "a mixture without heads is not trained to hear"
        found = self.model.heads.hear(side_by_side([one.summary for one in slots]))
        fused = torch.cat([one.frames for one in slots], dim=-1)
        words = self._said(fused, batch.base.mask)
        labels = [one.labels for one in batch.targets]
        return (
            event_losses(found, [one.events for one in batch.targets]) / whole.steps,
            label_losses(found.labels, labels) / whole.labels,
            label_losses(words, labels) / whole.labels,
        )

    def tell(self, fused: Tensor, mask: Tensor) -> tuple[HeadLogits, dict[str, Tensor]]:
        """What heads and tokens say of a batch.

        Args:
            fused: `(batch, frames, fused_dim)`.
            mask: True on real frames, bool `(batch, frames)`.

        Returns:
            Logits of the heads, and scores of every label's words, `(batch, labels)` by set.
        """
        heads = self.model.heads
        assert heads is not None, "a mixture without heads is not trained to hear"
        return heads(fused, mask), self._said(fused, mask)

    def _said(self, fused: Tensor, mask: Tensor) -> dict[str, Tensor]:
        audio = self.model.adapter(fused, mask)
        pooled = pool_frames(audio.tokens, audio.mask)
        return {name: _SCALE * pooled @ self._words(some).T for name, some in self.sets.items()}

    def _words(self, labels: Sequence[str]) -> Tensor:
        """Embeddings of labels, of length 1, `(labels, llm_dim)`."""
        return F.normalize(self.model.language_model.words(labels), dim=1)


def _mixed(heard: Tensor, weights: Tensor) -> Tensor:
    """What a router's picks give, `(batch, frames, weak_dim)`."""
    return (heard * weights[:, :, None, None]).sum(dim=1)

"""What the label heads of a mixture say of a line's label, without its language model."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from mowe.checkpoint import MoWE
from mowe.data.manifest import Example
from mowe.hints.naming import SOUNDS, Named, NamingAdapter, SoundEvents


def label_score(model: MoWE, example: Example, heard: Sequence[Named | None]) -> float | None:
    """Log-likelihood of a line's label among the labels of its task, by the head that tells them.

    Args:
        model: The mixture.
        example: The line, its label among its metadata.
        heard: What the heads say of each window, a batch of one.

    Returns:
        Nats, mean over the windows; None where no head tells this label.
    """
    label = str(example.metadata.get("label") or "")
    named = [one for one in heard if one is not None]
    if len(named) < len(heard):
        return None
    namer = cast(NamingAdapter, model.adapter).namer  # no other adapter names what it hears
    labels = namer.sets.get(example.task, ())[1:]  # the first is `none`
    if label in labels:
        scores = [one.labels[example.task][0, 1:] for one in named]
    elif example.task == SOUNDS and label in namer.events:
        labels, scores = namer.events, [_alone(one.events) for one in named]
    else:
        return None
    told = torch.stack(scores).log_softmax(dim=-1).mean(dim=0)  # (labels,)
    return float(told[labels.index(label)])


def _alone(events: SoundEvents) -> Tensor:
    """CTC log-likelihood of each sound as the only one of a recording, `(sounds,)`."""
    told = events.log_probabilities()[0][events.mask[0]].cpu()  # (audio_tokens, 1 + sounds)
    count = told.shape[1] - 1
    return -F.ctc_loss(
        told[:, None].expand(-1, count, -1),
        torch.arange(1, count + 1)[:, None],  # 0 is the pause
        torch.full((count,), len(told)),
        torch.ones(count, dtype=torch.long),
        reduction="none",
    )

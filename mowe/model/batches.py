"""What goes into the mixture and what comes out of it, a batch at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mowe.encoders import EncodedAudio
from mowe.model.fusion import WeakFeatures
from mowe.model.routing import Routing, RoutingLoss


class AudioBatch(NamedTuple):
    """Recordings as every encoder wants them, padded with zeros on the right."""

    waveforms: dict[int, Tensor]  # Hz -> (batch, samples) float32
    lengths: dict[int, Tensor]  # Hz -> (batch,) int64

    def to(self, device: torch.device) -> "AudioBatch":
        """The same on another device."""
        moved = ({rate: one.to(device) for rate, one in part.items()} for part in self)
        return AudioBatch(*moved)


class Features(NamedTuple):
    """What the encoders say; that of frozen encoders can be cached."""

    base: EncodedAudio
    routing: Routing
    weak: dict[int, WeakFeatures]


class Heard(NamedTuple):
    """A batch of recordings as audio tokens, with the routing that led there."""

    tokens: Tensor  # (batch, audio_tokens, llm_dim)
    mask: Tensor  # (batch, audio_tokens) bool
    routing: Routing
    pooled: Tensor  # (batch, base_dim) float32, mean of the base frames
    seconds: dict[str, float]  # wall time of `base_encoder`, `weak_encoders`, `adapter`
    fused: EncodedAudio  # frames of base and weak encoders together, on the base's grid
    notes: Any = None  # of an adapter that tells more than tokens

    def audio_tokens(self) -> list[Tensor]:
        """The real tokens of each example, `(audio_tokens, llm_dim)`."""
        return [tokens[real] for tokens, real in zip(self.tokens, self.mask, strict=True)]


class Losses(NamedTuple):
    """A training step's loss and its parts, scalars in nats."""

    total: Tensor
    next_token: Tensor
    routing: RoutingLoss | None


def make_batch(recordings: Sequence[Mapping[int, Tensor]]) -> AudioBatch:
    """Pad recordings, each given as Hz -> `(samples,)`, into one batch."""
    rates = recordings[0].keys()
    pad = nn.utils.rnn.pad_sequence
    return AudioBatch(
        {rate: pad([one[rate] for one in recordings], batch_first=True) for rate in rates},
        {rate: torch.tensor([len(one[rate]) for one in recordings]) for rate in rates},
    )

"""The one interface of every audio encoder: waveforms in, frames and a mask of real ones out."""

from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


class EncodedAudio(NamedTuple):
    """What an encoder heard; frames past an example's end are zero."""

    frames: Tensor  # (batch, frames, dim), in the dtype of the encoder's parameters
    mask: Tensor  # (batch, frames) bool, True where the frame covers real audio


class AudioEncoder(nn.Module, ABC):
    """A pretrained audio encoder whose output for one example never depends on its batch mates.

    Dropout and layer drop stay off in a frozen encoder, also while a mixture trains; batch
    statistics stay fixed in every one. Gradients flow through for whoever wants to tune one.

    Attributes:
        name: What people see in charts and tables.
        dim: Width of one frame.
        frames_per_second: Frame rate of the output, in Hz.
        sample_rate: Rate the waveforms must have, in Hz.
        lora_layers: Names of the linear layers that LoRA may sit on; none where there are none.
        trained: Names of the parameters that a mixture trains; none in a frozen encoder.
    """

    lora_layers: tuple[str, ...] = ()
    trained: frozenset[str] = frozenset()
    name: str
    dim: int
    frames_per_second: float
    sample_rate: int

    def __init__(self, name: str, *, dim: int, frames_per_second: float, sample_rate: int) -> None:
        super().__init__()
        self.name = name
        self.dim = dim
        self.frames_per_second = frames_per_second
        self.sample_rate = sample_rate

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters, and so of the frames."""
        return next(self.parameters()).dtype

    def forward(self, waveforms: Tensor, lengths: Tensor) -> EncodedAudio:
        """Encode a batch of recordings.

        Args:
            waveforms: Sound at `sample_rate`, in [-1, 1], `(batch, samples)`; whatever lies behind
                an example's length is ignored.
            lengths: Valid samples of each example, at least 1, `(batch,)` int64.

        Returns:
            Frames `(batch, frames, dim)` and their mask `(batch, frames)`; `frames` is the count of
            the longest example.

        Raises:
            ValueError: If the axes do not fit, or a length is not within 1 and `samples`.
        """
        waveforms, lengths = valid_samples(waveforms, lengths)
        frames, counts = self.encode(waveforms, lengths)
        frames = frames[:, : int(counts.max())]
        mask = frame_mask(counts, frames.shape[1])
        return EncodedAudio(zero_outside(frames, mask), mask)

    @abstractmethod
    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The family's own work, on checked input.

        Args:
            waveforms: float32, zero behind each example's length, `(batch, samples)`.
            lengths: Valid samples, `(batch,)`.

        Returns:
            Frames `(batch, frames, dim)` and the count of real ones in each example, `(batch,)`.
        """

    def train(self, mode: bool = True) -> Self:
        """Switch training mode of a trained encoder; a frozen one stays in inference mode."""
        return super().train(mode and bool(self.trained))


def valid_samples(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The batch in float32, cut to its longest example and zero behind each example's end.

    Args:
        waveforms: `(batch, samples)`.
        lengths: Valid samples of each example, `(batch,)`.

    Returns:
        Waveforms `(batch, longest)`, and the lengths on the same device.

    Raises:
        ValueError: If the axes do not fit, or a length is not within 1 and `samples`.
    """
    if waveforms.ndim != 2 or lengths.shape != waveforms.shape[:1]:
        raise ValueError(
            "waveforms must be (batch, samples) and lengths (batch,), "
            f"got {tuple(waveforms.shape)} and {tuple(lengths.shape)}"
        )
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < 1 or longest > waveforms.shape[1]:
        raise ValueError(
            f"lengths must be 1 to {waveforms.shape[1]} samples, got {shortest} to {longest}"
        )
    lengths = lengths.to(waveforms.device)
    waveforms = waveforms[:, :longest].float()
    return zero_outside(waveforms, frame_mask(lengths, longest)), lengths


def frame_mask(counts: Tensor, frames: int) -> Tensor:
    """True for the first `counts` places of each row: `(batch,)` to `(batch, frames)` bool."""
    return torch.arange(frames, device=counts.device) < counts[:, None]


def zero_outside(values: Tensor, mask: Tensor) -> Tensor:
    """Zero where the mask is False; `(batch, frames)` or `(batch, frames, dim)` with its mask."""
    if bool(mask.all()):
        return values
    outside = ~mask if values.ndim == 2 else ~mask[..., None]
    return values.masked_fill(outside, 0)


def ceil_divide(counts: Tensor, divisor: int) -> Tensor:
    """How many strides of `divisor` it takes to cover each count, elementwise."""
    return (counts + divisor - 1) // divisor

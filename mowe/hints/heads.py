"""Heads on fused frames that hear for the hints: sounds along time, labels of a whole recording.

They sit behind the weak encoders and their routers, which get gradient from them; the language
model reads what they say as text.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.config import HintsConfig
from mowe.hints.events import EventDetector, EventLogits, pool_steps
from mowe.hints.scaling import Scaled


class FrameSummary(NamedTuple):
    """All that the heads look at of frames; each feature by itself, so that parts can be joined."""

    steps: Tensor  # (batch, steps, dim), means of frames
    real: Tensor  # (batch, steps) bool
    means: Tensor  # (batch, dim), over all real frames
    deviations: Tensor  # (batch, dim)

    @property
    def statistics(self) -> Tensor:
        """`(batch, 2 * dim)`, the means first."""
        return torch.cat([self.means, self.deviations], dim=1)


def side_by_side(parts: Sequence[FrameSummary]) -> FrameSummary:
    """The summary of frames that stand side by side, from those of their parts."""
    return FrameSummary(
        torch.cat([one.steps for one in parts], dim=-1),
        parts[0].real,
        torch.cat([one.means for one in parts], dim=-1),
        torch.cat([one.deviations for one in parts], dim=-1),
    )


class HeadLogits(NamedTuple):
    """What the heads make of a batch."""

    events: EventLogits
    labels: dict[str, Tensor]  # set -> (batch, labels) float32, calibrated


class Heads(nn.Module):
    """A detector of sounds, and one classifier for each set of labels."""

    def __init__(self, fused_dim: int, frame_rate: float, config: HintsConfig) -> None:
        """Build heads that have learnt nothing.

        Args:
            fused_dim: Width of fused frames.
            frame_rate: Frames a second.
            config: Names of sounds and labels.
        """
        super().__init__()
        self.detector = EventDetector(fused_dim, config.sounds)
        self.frames_per_step = round(frame_rate * EventDetector.step_seconds)
        self.labels = UtteranceHeads(fused_dim, config.labels)

    @property
    def fitted(self) -> bool:
        """Whether they know how large features are."""
        return bool(self.labels.scaled.fitted)

    @torch.no_grad()
    def fit(self, frames: Tensor, mask: Tensor) -> None:
        """Learn from a batch how large features are; see `forward` for its form."""
        found = self.summary(frames, mask)
        self.detector.scaled.fit(found.steps[found.real])
        self.labels.scaled.fit(found.statistics)

    def summary(self, frames: Tensor, mask: Tensor) -> FrameSummary:
        """What `hear` takes, of frames `(batch, frames, dim)` or of some of their features."""
        steps, real = pool_steps(frames, mask, self.frames_per_step)
        means, deviations = frame_statistics(frames, mask).chunk(2, dim=1)
        return FrameSummary(steps, real, means, deviations)

    def hear(self, found: FrameSummary) -> HeadLogits:
        """Hear a batch by its summary."""
        return HeadLogits(
            self.detector(found.steps, found.real), self.labels.told(found.statistics)
        )

    def forward(self, frames: Tensor, mask: Tensor) -> HeadLogits:
        """Hear a batch; padding changes nothing.

        Args:
            frames: Fused frames, `(batch, frames, fused_dim)`.
            mask: True on real frames, bool `(batch, frames)`.
        """
        return self.hear(self.summary(frames, mask))


class UtteranceHeads(nn.Module):
    """Labels of a whole recording by mean and deviation of its frames.

    Statistics pooling: Snyder et al. 2018, doi 10.1109/ICASSP.2018.8461375.
    """

    def __init__(
        self, fused_dim: int, sets: Mapping[str, Sequence[str]], hidden_dim: int = 128
    ) -> None:
        """Build a hidden layer, and an output for each set.

        Args:
            fused_dim: Width of fused frames.
            sets: Labels by set.
            hidden_dim: Units of the hidden layer.
        """
        super().__init__()
        self.sets = {name: tuple(labels) for name, labels in sets.items()}
        self.scaled = Scaled(2 * fused_dim)
        self.hidden = nn.Linear(2 * fused_dim, hidden_dim)
        self.outputs = nn.ModuleDict(
            {name: nn.Linear(hidden_dim, len(labels)) for name, labels in self.sets.items()}
        )
        # fitted on held-out recordings when training is over (`fit_temperature`)
        self.register_buffer("temperatures", torch.ones(len(self.sets)))
        self.temperatures: Tensor

    def forward(self, frames: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Logits of each set, `(batch, labels)` float32, divided by their temperature."""
        return self.told(frame_statistics(frames, mask))

    def told(self, statistics: Tensor) -> dict[str, Tensor]:
        """The same, from `frame_statistics`."""
        hidden = F.gelu(self.hidden(self.scaled(statistics)))
        return {
            name: self.outputs[name](hidden).float() / temperature
            for name, temperature in zip(self.sets, self.temperatures, strict=True)
        }


def frame_statistics(frames: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the real frames.

    Args:
        frames: `(batch, frames, dim)`.
        mask: True on real frames, bool `(batch, frames)`.

    Returns:
        `(batch, 2 * dim)`, float32, the means first.
    """
    real = mask.unsqueeze(-1)
    count = mask.sum(dim=1, keepdim=True).clamp_min(1)
    frames = frames.float()
    mean = (frames * real).sum(dim=1) / count
    centred = (frames - mean.unsqueeze(1)) * real
    # A norm has a gradient where nothing deviates, a square root has not.
    return torch.cat([mean, torch.linalg.vector_norm(centred, dim=1) / count.sqrt()], dim=1)


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature under which held-out labels are likeliest, 0.25 to 8.

    Guo et al. 2017, arXiv 1706.04599.

    Args:
        logits: `(recordings, labels)`.
        targets: `(recordings,)` int64.
    """
    grid = torch.logspace(-2, 3, 101, base=2.0)
    losses = torch.stack([F.cross_entropy(logits / one, targets) for one in grid])
    return float(grid[losses.argmin()])


def sure_label(logits: Tensor, labels: Sequence[str], least: float) -> str:
    """The likeliest label of one recording; empty where its share is below `least`.

    Args:
        logits: `(labels,)`.
        labels: Of the set.
        least: 0 to 1.
    """
    share, place = logits.softmax(dim=-1).max(dim=-1)
    return labels[int(place)] if float(share) >= least else ""

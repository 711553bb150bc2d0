"""Sound events: what sounds from when to when, how loud, and what is only half known.

A multi-label detector on the fused frames, ten decisions a second, as in the sound-event detection
of the field (Mesaros et al. 2021, doi 10.1109/MSP.2021.3090678). What sounds and has no name above
the threshold is an unknown sound of a coarse kind, never a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.hints.scaling import Scaled

STEP = 0.1  # s between decisions
_CONTEXT = 5  # steps that a decision sees
_ON, _OFF = 0.5, 0.25  # probability that begins an event, and below which it is over
_REST = 2  # steps of silence between two events of one name
_SAME = 0.6  # of their times that two names of one sound share
_SILENT_DB = -60.0  # dB of full scale; what is softer is no event
_UNKNOWN_DB = 25.0  # below the loudest step; what is softer is the end of something else
_SHORTEST_UNKNOWN = 3  # steps
_KINDS_TOLD = 3
_COLLAR = 0.2 + 1e-6  # s; Mesaros et al. 2016, doi 10.3390/app6060162


class EventLogits(NamedTuple):
    """What sounds at each step."""

    names: Tensor  # (batch, steps, names) float32
    kinds: Tensor  # (batch, steps, kinds) float32, of the coarse kinds
    mask: Tensor  # (batch, steps) bool, True = real


@dataclass(frozen=True)
class SoundEvent:
    """One sound; times in seconds from the beginning of what was heard."""

    name: str  # empty: unknown
    start: float
    end: float
    level: float  # dB of full scale, root mean square over the event
    share: float  # probability of the name, the highest over the event
    kinds: tuple[tuple[str, float], ...] = ()  # of an unknown sound: the likeliest, with shares


class EventDetector(nn.Module):
    """Logits of every name and coarse kind, ten times a second."""

    step_seconds = STEP

    def __init__(self, fused_dim: int, kinds: Mapping[str, str], hidden_dim: int = 256) -> None:
        """Build a detector that has learnt nothing.

        Args:
            fused_dim: Width of fused frames.
            kinds: Coarse kind by name.
            hidden_dim: Units of both hidden layers.
        """
        super().__init__()
        self.names = tuple(kinds)
        self.kinds = tuple(sorted(set(kinds.values())))
        self.scaled = Scaled(fused_dim)
        self.project = nn.Linear(fused_dim, hidden_dim)
        self.around = nn.Conv1d(hidden_dim, hidden_dim, _CONTEXT, padding=_CONTEXT // 2)
        self.name = nn.Linear(hidden_dim, len(self.names))
        self.kind = nn.Linear(hidden_dim, len(self.kinds))

    def forward(self, pooled: Tensor, real: Tensor) -> EventLogits:
        """Detect events in a batch; padding changes nothing.

        Args:
            pooled: Means of fused frames, `(batch, steps, fused_dim)`; see `pool_steps`.
            real: True on real steps, bool `(batch, steps)`.
        """
        hidden = F.gelu(self.project(self.scaled(pooled))) * real.unsqueeze(-1)
        around = self.around(hidden.transpose(1, 2)).transpose(1, 2)
        hidden = hidden + F.gelu(around)
        return EventLogits(self.name(hidden).float(), self.kind(hidden).float(), real)


def pool_steps(frames: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean of every `size` frames: `(batch, steps, dim)`, and which steps have a real frame."""
    missing = -frames.shape[1] % size
    frames, mask = F.pad(frames, (0, 0, 0, missing)), F.pad(mask, (0, missing))
    real = mask.unflatten(1, (-1, size))  # (batch, steps, size)
    count = real.sum(dim=2)
    total = (frames * mask.unsqueeze(-1)).unflatten(1, (-1, size)).sum(dim=2)
    return total / count.clamp_min(1).unsqueeze(-1), count > 0


def decode_events(
    names: Sequence[str],
    kinds: Sequence[str],
    shares: Tensor,
    kind_shares: Tensor,
    levels: np.ndarray,
) -> list[SoundEvent]:
    """The events of one recording, in the order they begin.

    Args:
        names: Of the detector.
        kinds: Of the detector.
        shares: Probability of each name, `(steps, names)`.
        kind_shares: Probability of each kind, `(steps, kinds)`.
        levels: Of every step, dB of full scale, `(steps,)`; see `step_levels`.
    """
    found = [
        _event(names[place], start, end, shares[start:end, place].max(), levels)
        for place in (shares >= _ON).any(dim=0).nonzero().flatten().tolist()
        for start, end in _runs(shares[:, place].numpy())
    ]
    named = _likelier(found)
    covered = np.zeros(len(shares), bool)
    for one in named:
        covered[max(round(one.start / STEP) - 1, 0) : round(one.end / STEP) + 1] = True
    audible = levels > max(_SILENT_DB, levels.max(initial=_SILENT_DB) - _UNKNOWN_DB)
    unknown = [
        _unknown(kinds, kind_shares[start:end], start, end, levels)
        for start, end in _spans(audible & ~covered)
        if end - start >= _SHORTEST_UNKNOWN
    ]
    return sorted([*named, *unknown], key=lambda one: (one.start, one.end))


def matched(found: Sequence[SoundEvent], true: Sequence[tuple[str, float]]) -> int:
    """How many events are found: of the same name, and begun within 200 ms; each counts once.

    Args:
        found: What was decoded.
        true: Names and when they begin, in s.
    """
    left, hits = list(found), 0
    for name, start in true:
        near = [one for one in left if one.name == name and abs(one.start - start) <= _COLLAR]
        if near:
            left.remove(min(near, key=lambda one: abs(one.start - start)))
            hits += 1
    return hits


def step_levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Level of every step in dB of full scale, `(steps,)`; silence has -120.

    Args:
        samples: In [-1, 1], `(samples,)`; behind them is silence until a step is whole.
        rate: Of the samples, Hz.
    """
    size = round(STEP * rate)
    whole = np.pad(samples, (0, -len(samples) % size)).astype(np.float64).reshape(-1, size)
    return np.asarray(10 * np.log10((whole**2).mean(axis=1) + 1e-12))


def _spans(on: np.ndarray) -> list[tuple[int, int]]:
    """First step and end of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _runs(shares: np.ndarray) -> list[tuple[int, int]]:
    """Where a name is heard: it begins where it is likely, and lasts as long as it may be."""
    kept = [span for span in _spans(shares >= _OFF) if shares[slice(*span)].max() >= _ON]
    joined: list[tuple[int, int]] = []
    for start, end in kept:
        if joined and start - joined[-1][1] < _REST:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _event(name: str, start: int, end: int, share: Tensor, levels: np.ndarray) -> SoundEvent:
    power = float(np.mean(10 ** (levels[start:end] / 10)))
    level = round(10 * float(np.log10(power)), 1)
    return SoundEvent(name, round(start * STEP, 1), round(end * STEP, 1), level, float(share))


def _likelier(events: Sequence[SoundEvent]) -> list[SoundEvent]:
    """Of events that are one sound with two names, the likelier."""
    kept: list[SoundEvent] = []
    for one in sorted(events, key=lambda event: -event.share):
        if all(_shared(one, other) < _SAME for other in kept):
            kept.append(one)
    return kept


def _shared(one: SoundEvent, other: SoundEvent) -> float:
    """Intersection over union of their times."""
    both = min(one.end, other.end) - max(one.start, other.start)
    return max(both, 0.0) / (max(one.end, other.end) - min(one.start, other.start))


def _unknown(
    kinds: Sequence[str], shares: Tensor, start: int, end: int, levels: np.ndarray
) -> SoundEvent:
    mean = shares.mean(dim=0)
    share = mean / mean.sum()
    best = share.topk(min(_KINDS_TOLD, len(kinds)))
    told = tuple(
        (kinds[place], round(value, 2))
        for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
    event = _event("", start, end, share.new_zeros(()), levels)
    return replace(event, kinds=told)


def describe_events(events: Sequence[SoundEvent]) -> str:
    """One line for a language model; empty without events.

    Such as `Sounds: rain falling 0.0-5.0 s, 12 dB softer; a dog barking 4.2-4.9 s, loudest.`
    """
    if not events:
        return ""
    loudest = max(one.level for one in events)
    told = [f"{_what(one)} {one.start:.1f}-{one.end:.1f} s{_level(one, loudest)}" for one in events]
    if len(events) == 1:
        told = [told[0].rsplit(",", 1)[0]]
    return f"Sounds: {'; '.join(told)}."


def _level(event: SoundEvent, loudest: float) -> str:
    softer = round(loudest - event.level)
    return f", {softer} dB softer" if softer else ", loudest"


def _what(event: SoundEvent) -> str:
    if event.name:
        return event.name
    likely = ", ".join(f"{name} {share:.0%}" for name, share in event.kinds)
    return f"an unknown sound ({likely})"

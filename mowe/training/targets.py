"""What heads and adapter shall hear in a recording, from the facts of its manifest line.

`heard` lists everything that sounds, in rows of name, coarse kind, start and end (s). Start and end
are null where a recording holds one sound and nobody says when: its loud steps are the sound, its
soft ones are not, and what lies between teaches nothing about it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mowe.config import HintsConfig
from mowe.data.manifest import Example
from mowe.errors import ConfigError
from mowe.hints.events import STEP

_LOUD_DB, _SOFT_DB = 20.0, 35.0  # below the loudest step
_SILENT_DB = -55.0  # of full scale; no sound of unknown time is softer
SETS = ("gender", "content", "language")  # fields whose values are labels of a whole recording
ONE_SOUND = "sound"  # the set of label words whose labels are the names of sounds


class EventTargets(NamedTuple):
    """What sounds at each step of a recording."""

    names: Tensor  # (steps, names) 0 or 1, float32
    names_known: Tensor  # (steps, names) bool
    kinds: Tensor  # (steps, kinds) 0 or 1, float32
    kinds_known: Tensor  # (steps, kinds) bool


class Targets(NamedTuple):
    """Of one recording."""

    events: EventTargets | None  # None where not all that sounds is known
    labels: dict[str, int]  # set -> place of its label, `ONE_SOUND` among them


def known_hints(
    groups: Mapping[str, Sequence[Example]], config: HintsConfig, least: int
) -> HintsConfig:
    """Hints with everything that enough training recordings let the heads learn.

    Args:
        groups: Training examples by task.
        config: Of the mixture.
        least: Recordings of a name or a label.

    Raises:
        ConfigError: If no line says what is heard.
    """
    clips = {one.clip: one for group in groups.values() for one in group if one.audio is not None}
    counts: Counter[tuple[str, str]] = Counter()
    sets: dict[str, Counter[str]] = {name: Counter() for name in SETS}
    for one in clips.values():
        counts.update({(name, kind) for name, kind, *_ in one.metadata.get("heard") or ()})
        for name, labels in sets.items():
            labels.update([str(one.metadata.get(name) or "")])
    sounds = {name: kind for (name, kind), count in sorted(counts.items()) if count >= least}
    known = {
        name: tuple(sorted(one for one, count in found.items() if one and count >= least))
        for name, found in sets.items()
    }
    told = {name: some for name, some in known.items() if len(some) > 1}
    if not sounds and not told:
        raise ConfigError(
            f"the heads of the hints need training lines with `heard` or {', '.join(SETS)}, each "
            f"name or label in {least} recordings; found none (mowe corpus writes them)"
        )
    return replace(config, sounds=sounds, labels=told)


def label_sets(config: HintsConfig) -> dict[str, tuple[str, ...]]:
    """Sets of label words: those of the heads, and the names of sounds."""
    sounds = {ONE_SOUND: tuple(config.sounds)} if config.sounds else {}
    return sounds | dict(config.labels)


def targets_of(example: Example, config: HintsConfig, levels: np.ndarray) -> Targets:
    """What a recording teaches.

    Args:
        example: Its line.
        config: Names of sounds and labels.
        levels: dB of full scale of every step, `(steps,)`.
    """
    about = example.metadata
    sets = label_sets(config)
    known = {name: str(about.get(name) or "") for name in config.labels}
    heard = about.get("heard")
    if heard and len({name for name, *_ in heard}) == 1:
        known[ONE_SOUND] = heard[0][0]
    labels = {
        name: sets[name].index(label)
        for name, label in known.items()
        if name in sets and label in sets[name]
    }
    events = None if heard is None else _events(heard, config.sounds, levels)
    return Targets(events, labels)


def _events(
    heard: Sequence[Sequence], sounds: Mapping[str, str], levels: np.ndarray
) -> EventTargets:
    names, kinds = list(sounds), sorted(set(sounds.values()))
    found = EventTargets(
        torch.zeros(len(levels), len(names)),
        torch.ones(len(levels), len(names), dtype=torch.bool),
        torch.zeros(len(levels), len(kinds)),
        torch.ones(len(levels), len(kinds), dtype=torch.bool),
    )
    for name, kind, start, end in heard:
        on, off = _when(start, end, levels)
        if name in sounds:
            _mark(found.names, found.names_known, names.index(name), on, off)
        if kind in kinds:
            _mark(found.kinds, found.kinds_known, kinds.index(kind), on, off)
    return found


def _mark(target: Tensor, known: Tensor, place: int, on: np.ndarray, off: np.ndarray) -> None:
    target[torch.from_numpy(on), place] = 1.0
    known[torch.from_numpy(~on & ~off), place] = False


def _when(
    start: float | None, end: float | None, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """At which steps a sound is on, and at which it is surely off; bool `(steps,)` each."""
    if start is None or end is None:
        peak = levels.max(initial=_SILENT_DB)
        on = levels > max(_SILENT_DB, peak - _LOUD_DB)
        return on, levels < peak - _SOFT_DB
    first = round(start / STEP)
    places = np.arange(len(levels))
    on = (places >= first) & (places < max(round(end / STEP), first + 1))
    return on, ~on

"""Trained routers and the clips that they are asked about: what `drivers` looks into."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mowe.analysis.worth.perturbation import CHANGES, CHANNELS, UNCHANGED, perturb
from mowe.audio import Recording
from mowe.experiments import fast, judge
from mowe.experiments.arms import EXPECTED_EVENLY, PAPER, POOL, Arm
from mowe.experiments.bank import Bank, fill_bank, loudest_part
from mowe.experiments.choices import COLLAPSED
from mowe.experiments.fast import Data
from mowe.experiments.judge import Difference, Rows, short
from mowe.experiments.labelled import Labelled
from mowe.experiments.probe import Probe
from mowe.experiments.results import Held
from mowe.experiments.runs import Place
from mowe.statistics import effective_number

ARMS = (PAPER, EXPECTED_EVENLY)
SEEDS = 3
CLIPS = 15  # of a task: changed, and asked about again


class Answers(NamedTuple):
    """What the routers of an arm say of some clips."""

    shares: np.ndarray  # (seeds, clips, encoders) probabilities of the data-dependent router
    right: np.ndarray  # (seeds, clips) bool, under the learned routing

    @property
    def choice(self) -> np.ndarray:
        """The likeliest encoder, `(seeds, clips)`."""
        found: np.ndarray = self.shares.argmax(axis=-1)
        return found


@dataclass(frozen=True)
class StudiedArm:
    """One arm, trained with several seeds."""

    arm: Arm
    probes: Sequence[Probe]
    held_out: Answers  # about all development clips
    changed: Mapping[str, Answers]  # about some of them by change, `UNCHANGED` among them

    @property
    def spread(self) -> list[int]:
        """Seeds whose router has not collapsed."""
        return [seed for seed, one in enumerate(self.effective) if one >= COLLAPSED]

    @property
    def effective(self) -> list[float]:
        """Effective encoders among the choices of each seed."""
        encoders = len(self.arm.pool)
        counts = [np.bincount(one, minlength=encoders) for one in self.held_out.choice]
        return [effective_number(list(one)) for one in counts]


@dataclass(frozen=True)
class Study:
    """What is asked, and who."""

    data: Data
    held: Held  # all development clips
    some: np.ndarray  # places among them of the clips that were changed
    arms: Sequence[StudiedArm]

    def rows(self, kept: np.ndarray | None = None) -> Rows:
        """The changed clips as comparisons see them, or those of a bool mask over them."""
        some = self.some if kept is None else self.some[kept]
        return Rows(
            self.held.rows.tasks[some], self.held.rows.groups[some], self.held.rows.strata[some]
        )

    def beside(self, *, same: Sequence[str] = (), other: Sequence[str] = ()) -> np.ndarray:
        """Which development clips stand beside each changed one, bool `(changed, clips)`.

        Args:
            same: Fields of `Labelled` that are equal.
            other: Fields that differ; the recording itself always does.
        """
        clips = self.held.clips

        def fits(one: Labelled, another: Labelled) -> bool:
            return (
                one.example.clip != another.example.clip
                and all(getattr(one, name) == getattr(another, name) for name in same)
                and all(getattr(one, name) != getattr(another, name) for name in other)
            )

        return np.array([[fits(clips[place], one) for one in clips] for place in self.some])


def study(place: Place, seeds: int = SEEDS, clips: int = CLIPS) -> Study:
    """Train the arms, change some clips, and ask.

    Args:
        place: Where the data is; features of changed clips are kept there.
        seeds: Of each arm.
        clips: Of each task that are changed.

    Raises:
        MoweError: As `Place.data` and `fast.train`.
    """
    data = place.data(ARMS)
    held, dev = Held.of(data.clips, "dev"), data.rows("dev")
    first = [
        [n for n, one in enumerate(held.clips) if one.task == task][:clips] for task in data.tasks
    ]
    some = np.array([n for places in first for n in places])
    banks = {
        name: _changed(name, [held.clips[n] for n in some], place.folder / "changed")
        for name in (*CHANGES, *CHANNELS)
    }
    arms = []
    for arm in ARMS:
        probes = [fast.train(arm, seed, data)[0] for seed in range(seeds)]
        held_out = _ask(probes, data, dev)
        unchanged = Answers(held_out.shares[:, some], held_out.right[:, some])
        changed = {name: _ask(probes, data, dev[some], bank) for name, bank in banks.items()}
        arms.append(StudiedArm(arm, probes, held_out, {UNCHANGED: unchanged, **changed}))
    return Study(data, held, some, arms)


def heard_changed(name: str, clip: Labelled) -> Recording:
    """What is heard of a clip after a change; its noise is its own."""
    heard = loudest_part(clip)
    return perturb(heard, name, seed=int(heard.content_hash[:8], 16))[0]


def _changed(name: str, clips: Sequence[Labelled], folder: Path) -> Bank:
    plain = "".join(one if one.isalnum() else "-" for one in name)
    return fill_bank(clips, POOL, folder / plain, heard=partial(heard_changed, name))


@torch.inference_mode()
def _ask(
    probes: Sequence[Probe], data: Data, rows: torch.Tensor, bank: Bank | None = None
) -> Answers:
    """About clips of the data, or of a bank that has just these."""
    shares, right = [], []
    places = rows if bank is None else torch.arange(len(rows))
    for probe in probes:
        asked = copy(probe)
        asked.bank = bank or probe.bank
        batch = asked.batch(places, data.task_of[rows], data.targets[rows])
        routing = asked.route(batch)
        assert routing.dependent is not None
        shares.append(routing.dependent.numpy())
        scores = asked.scores(batch, asked.weights(batch, routing))
        right.append((scores.argmax(dim=1) == batch.targets).numpy())
    return Answers(np.stack(shares), np.stack(right))


def among(values: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Mean over the clips beside each, `(seeds, changed)`; NaN where there is none.

    Args:
        values: `(seeds, changed, clips)`.
        beside: bool `(changed, clips)`.
    """
    counts = beside.sum(axis=1)
    found: np.ndarray = (values * beside).sum(axis=2) / np.where(counts > 0, counts, np.nan)
    return found


def point(
    arm: str, name: str, values: np.ndarray, rows: Rows, *, control: bool = False
) -> dict[str, Any]:
    """A mean over clips and seeds with its 95 % interval; `values` is `(seeds, clips)`."""
    found = judge.compare(values, np.zeros_like(values), rows)
    return {
        "arm": arm,
        "name": name,
        "value": short(found.difference),
        "low": short(found.low),
        "high": short(found.high),
        "control": control,
    }


def told(found: Difference, form: Callable[[float], str]) -> str:
    """A difference with its interval, in words."""
    return f"{form(found.difference)} (95 %: {form(found.low)} to {form(found.high)})"


def signed(value: float) -> str:
    """A difference of shares or probabilities."""
    return f"{value:+.3f}"


def which(found: Difference, above: str, below: str, between: str) -> str:
    """One of three sentences: by the side of zero on which the whole interval lies, as printed."""
    if round(found.low, 3) > 0:
        return above
    return below if round(found.high, 3) < 0 else between

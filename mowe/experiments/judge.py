"""Whether one arm is better than another: paired by clip and seed, honest about chance.

Clips of one person or recording go together in every resampling, and seeds are resampled with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MARGIN = 0.02  # of mean accuracy: smaller differences are called equal
LEVEL = 0.05
DRAWS = 2000  # of the bootstrap
FLIPS = 10_000  # of the permutation test
_POWER = 1.96 + 0.84  # standard errors of an effect that would be seen four times in five
DIGITS = 4  # of numbers in result files
BETTER, WORSE, EQUAL, UNDECIDED = "better", "worse", "equal", "undecided"


@dataclass(frozen=True)
class Rows:
    """What the clips of a comparison are."""

    tasks: np.ndarray  # (clips,) int, all tasks count alike
    groups: np.ndarray  # (clips,) int, person or recording
    strata: np.ndarray  # (clips,) int, groups are exchanged within one source


class Difference(NamedTuple):
    """A difference of mean accuracy over tasks, first arm less second."""

    difference: float
    low: float  # of the 95 % interval
    high: float
    p: float  # two-sided, of a permutation of signs
    detectable: float  # the effect that would have been seen with a chance of 0.8


def accuracy(right: np.ndarray, rows: Rows) -> float:
    """Mean over tasks of the share of right answers.

    Args:
        right: `(seeds, clips)` bool.
        rows: What the clips are.
    """
    return float(np.mean(list(by_task(right, rows).values())))


def by_task(right: np.ndarray, rows: Rows) -> dict[int, float]:
    """Share of right answers of each task; `right` is `(seeds, clips)`."""
    return {int(one): float(right[:, rows.tasks == one].mean()) for one in np.unique(rows.tasks)}


def compare(first: np.ndarray, second: np.ndarray, rows: Rows, seed: int = 0) -> Difference:
    """Compare two arms on the same clips and seeds.

    Args:
        first: `(seeds, clips)` bool.
        second: The same shape.
        rows: What the clips are.
        seed: Of the resampling.

    Raises:
        ValueError: If the shapes differ.
    """
    if first.shape != second.shape or first.shape[1] != len(rows.tasks):
        raise ValueError(f"arms of {first.shape} and {second.shape}, {len(rows.tasks)} clips")
    sums, counts, strata = _by_group(first.astype(float) - second.astype(float), rows)
    draw = np.random.default_rng(seed)
    found = _mean(sums.mean(axis=0), counts)
    drawn = _resampled(sums, counts, strata, draw)
    low, high = np.nanquantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    signs = draw.choice([-1.0, 1.0], size=(FLIPS, len(counts)))
    total = counts.sum(axis=0)  # (tasks,)
    by_chance = ((signs @ sums.mean(axis=0)) / total).mean(axis=1)
    # equal up to rounding counts as reached
    reached = int((np.abs(by_chance) >= abs(found) - 1e-12).sum())
    return Difference(
        float(found),
        float(low),
        float(high),
        (1 + reached) / (1 + FLIPS),
        float(_POWER * np.nanstd(drawn)),
    )


def _by_group(difference: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums `(seeds, groups, tasks)`, counts `(groups, tasks)`, and the stratum of each group."""
    groups, first, place = np.unique(rows.groups, return_index=True, return_inverse=True)
    tasks, task = np.unique(rows.tasks, return_inverse=True)
    sums = np.zeros((len(difference), len(groups), len(tasks)))
    counts = np.zeros((len(groups), len(tasks)))
    np.add.at(counts, (place, task), 1)
    for one, of_seed in zip(sums, difference, strict=True):
        np.add.at(one, (place, task), of_seed)
    return sums, counts, rows.strata[first]


def _mean(sums: np.ndarray, counts: np.ndarray) -> float:
    total = counts.sum(axis=0)
    return float(np.nanmean(np.where(total > 0, sums.sum(axis=0) / np.maximum(total, 1), np.nan)))


def _resampled(
    sums: np.ndarray, counts: np.ndarray, strata: np.ndarray, draw: np.random.Generator
) -> np.ndarray:
    """The difference in every draw of seeds, and of groups within their stratum, `(DRAWS,)`."""
    seeds, groups, tasks = sums.shape
    times = np.zeros((DRAWS, groups))
    for one in np.unique(strata):
        inside = strata == one
        size = int(inside.sum())
        times[:, inside] = draw.multinomial(size, np.full(size, 1 / size), size=DRAWS)
    of_seeds = draw.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds
    drawn = (of_seeds @ sums.reshape(seeds, -1)).reshape(DRAWS, groups, tasks)
    total = times @ counts  # (DRAWS, tasks)
    found = np.einsum("dg,dgt->dt", times, drawn)
    return np.nanmean(np.where(total > 0, found / np.maximum(total, 1), np.nan), axis=1)


def corrected(values: Sequence[float]) -> list[float]:
    """P values after Holm's correction for their number, in their order."""
    order = np.argsort(values)
    found, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        found[int(place)] = highest
    return found


def verdict(found: Difference, p: float) -> str:
    """What a comparison says of the first arm.

    Args:
        found: The comparison.
        p: Its p value after correction.

    Returns:
        `EQUAL` where the interval lies within the margin, `BETTER` or `WORSE` where p is small and
        the interval is on one side of zero, else `UNDECIDED`.
    """
    if found.low > -MARGIN and found.high < MARGIN:
        return EQUAL
    if p < LEVEL and found.low > 0:
        return BETTER
    if p < LEVEL and found.high < 0:
        return WORSE
    return UNDECIDED


def short(value: float) -> float:
    """As result files hold numbers."""
    return round(float(value), DIGITS)

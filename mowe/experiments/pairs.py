"""Does a pair of tasks that pulls the same way help one another?"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from mowe.experiments.judge import corrected

PARTS = ("router", "projections", "adapter")


class Together(NamedTuple):
    """Two tasks learnt at once, each beside itself alone, of as many clips."""

    tasks: tuple[str, str]
    changes: tuple[float, float]  # of accuracy
    cosines: Mapping[str, float]  # between the gradients of both, by part of the model

    @property
    def change(self) -> float:
        """The mean of both changes."""
        return sum(self.changes) / 2


class RankCorrelation(NamedTuple):
    """Whether help goes with the cosine of gradients in one part of the model."""

    part: str
    rank_correlation: float
    p: float  # two-sided, exact


def pairs_of(found: Mapping[str, Any]) -> list[Together]:
    """The pairs of a result file; none where its arms are no pairs of tasks."""
    cosines = {arm["name"]: arm["pair_cosine"] for arm in found["arms"] if "pair_cosine" in arm}
    made = []
    for name, of_parts in cosines.items():
        both = [one for one in found["comparisons"] if one["arm"] == name and one["task"]]
        if len(both) == 2:
            tasks, changes = zip(*((one["task"], one["difference"]) for one in both), strict=True)
            made.append(Together(tasks, changes, of_parts))
    return made


def agreements(pairs: Sequence[Together]) -> list[RankCorrelation]:
    """Spearman's rank correlation of change and cosine, by part.

    Pairs share tasks, so the tasks of one side exchange their names in every permutation (Mantel's
    test); p values are corrected for the number of parts after Holm.

    Args:
        pairs: Every pair of some tasks, once.
    """
    tasks = sorted({task for one in pairs for task in one.tasks})
    places = np.array([[tasks.index(task) for task in one.tasks] for one in pairs])
    names = np.array(list(permutations(range(len(tasks)))))
    change = _standard([one.change for one in pairs])
    found, p = [], []
    for part in PARTS:
        square = np.zeros((len(tasks), len(tasks)))
        square[places[:, 0], places[:, 1]] = _standard([one.cosines[part] for one in pairs])
        square += square.T
        dealt = square[names[:, places[:, 0]], names[:, places[:, 1]]]  # (permutations, pairs)
        correlations = dealt @ change / len(pairs)
        found.append(float(correlations[0]))  # every task has its own name in the first
        p.append(float((np.abs(correlations) >= abs(correlations[0]) - 1e-12).mean()))
    return [RankCorrelation(*one) for one in zip(PARTS, found, corrected(p), strict=True)]


def _standard(values: Sequence[float]) -> np.ndarray:
    """Ranks of mean 0 and deviation 1."""
    ranks: np.ndarray = rankdata(values)
    return (ranks - ranks.mean()) / max(float(ranks.std()), 1e-12)

"""Who is chosen for what: shares of encoders, collapse, and what a choice tells of its clip."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mowe.experiments.arms import Arm
from mowe.experiments.judge import LEVEL, Rows
from mowe.experiments.labelled import Labelled
from mowe.statistics import effective_number

COLLAPSED = 1.5  # effective encoders below which a router has collapsed
PERMUTATIONS = 300  # of labels, for what a choice tells by chance
_DIGITS = 4


def coded(clips: Sequence[Labelled], name: str) -> np.ndarray:
    """An attribute of clips as whole numbers from 0, in alphabetical order, `(clips,)`."""
    places: np.ndarray = np.unique([getattr(one, name) for one in clips], return_inverse=True)[1]
    return places


def routing_of(
    arm: Arm, chosen: Sequence[Mapping[str, str]], clips: Sequence[Labelled], rows: Rows
) -> dict[str, Any]:
    """What each router of an arm chose, over its seeds.

    Args:
        arm: The arm.
        chosen: By seed, then by router: a place in the pool for each clip, a digit or letter each.
        clips: What was chosen for.
        rows: The same clips, as comparisons see them.
    """
    tasks, told = sorted({one.task for one in clips}), {}
    within = rows.strata * len(tasks) + rows.tasks  # labels are compared inside a task of a source
    labels = coded(clips, "label")
    for router in chosen[0]:
        picks = np.array([[int(one, 16) for one in seed[router]] for seed in chosen])
        shares = [_shares(one, rows.tasks, len(arm.pool)) for one in picks]
        effective = [effective_number(list(one.mean(axis=0))) for one in shares]
        told[router] = {
            "effective_encoders": [_short(one) for one in effective],
            "collapsed": _short(float(np.mean([one < COLLAPSED for one in effective]))),
            "shares": {
                task: {name: _short(float(one)) for name, one in zip(arm.pool, row, strict=True)}
                for task, row in zip(tasks, np.mean(shares, axis=0), strict=True)
            },
        }
        if router == "dependent":  # the other has one choice for all clips
            told[router]["information"] = {
                "tasks": information(picks, rows.tasks, rows.strata),
                "labels": information(picks, labels, within),
            }
    return told


def information(
    picks: np.ndarray, labels: np.ndarray, strata: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """What choices tell about labels inside strata, beside what they would tell by chance.

    Args:
        picks: Who was chosen, by seed of training, `(seeds, clips)` int.
        labels: `(clips,)` int.
        strata: `(clips,)` int; labels are exchanged inside a stratum alone.
        seed: Of the permutations.

    Returns:
        The conditional mutual information I(label; choice | stratum) in nats, mean over the seeds
        of training: as `found`, and of what it is under `PERMUTATIONS` of the labels the mean
        `by_chance` and the 95 % quantile `by_chance_high`.
    """
    _, kinds, kind = np.unique(
        np.stack([strata, labels]), axis=1, return_index=True, return_inverse=True
    )
    kind, strata_of_kinds = kind.reshape(-1), strata[kinds]
    draw, grouped = np.random.default_rng(seed), np.argsort(strata, kind="stable")

    by_chance = []
    for _ in range(PERMUTATIONS):
        dealt = np.empty_like(kind)
        dealt[grouped] = kind[np.lexsort((draw.random(len(kind)), strata))]
        by_chance.append(_conditional(picks, dealt, strata_of_kinds))
    return {
        "found": _short(_conditional(picks, kind, strata_of_kinds)),
        "by_chance": _short(float(np.mean(by_chance))),
        "by_chance_high": _short(float(np.quantile(by_chance, 1 - LEVEL))),
    }


def _conditional(picks: np.ndarray, kind: np.ndarray, strata_of_kinds: np.ndarray) -> float:
    """I(kind; choice | stratum) in nats, mean over seeds; a kind lies in one stratum alone.

    Args:
        picks: `(seeds, clips)`.
        kind: `(clips,)`.
        strata_of_kinds: The stratum of each kind, `(kinds,)`.
    """
    shape = len(strata_of_kinds), len(picks), int(picks.max()) + 1
    cells = (kind * shape[1] + np.arange(len(picks))[:, None]) * shape[2] + picks
    joint = np.bincount(cells.ravel(), minlength=int(np.prod(shape))).reshape(shape)
    by_stratum = np.zeros((int(strata_of_kinds.max()) + 1, *shape[1:]))
    np.add.at(by_stratum, strata_of_kinds, joint)
    here = by_stratum[strata_of_kinds]  # (kinds, seeds, choices)
    apart = joint.sum(axis=2, keepdims=True) * here / here.sum(axis=2, keepdims=True)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / apart[some])).sum() / picks.size)


def _shares(picks: np.ndarray, tasks: np.ndarray, encoders: int) -> np.ndarray:
    """Share of each encoder among a task's picks, `(tasks, encoders)`."""
    picked = np.eye(encoders)[picks]
    return np.stack([picked[tasks == one].mean(axis=0) for one in np.unique(tasks)])


def _short(value: float) -> float:
    return round(float(value), _DIGITS)

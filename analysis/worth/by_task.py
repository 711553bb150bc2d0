"""Rows of `mowe worth` as a table of tasks and encoders, and whether routing follows worth."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mowe.data.ledger import Row

NO_ENCODER = "no weak encoder"
KINDS = ("forced", "masked", "twin")  # what is done to an encoder
RESAMPLES = 2000  # of the bootstrap
PERMUTATIONS = 2000


def worth_by_task(rows: Sequence[Row], encoders: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """The mean worth of each encoder for each task, with 95 % bootstrap intervals over recordings.

    Args:
        rows: As `WorthTable` describes them.
        encoders: In pool order.
        seed: Of the bootstrap.

    Returns:
        A row per task and encoder, and one per task for `NO_ENCODER`: `task`, `encoder`, `lines`,
        `recordings`, `chosen` (share of the lines whose routing chose it), and each of `KINDS`
        (mean change of the log-likelihood, nats), each with `_low` and `_high`. `forced` of
        `NO_ENCODER` is the change where none runs; its other columns are NaN, as are twins that
        were not measured.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["task"]].append(row)
    made = []
    for task, some in sorted(groups.items()):
        units = np.unique([row["recording"] for row in some], return_inverse=True)[1]
        about = {"task": task, "lines": len(some), "recordings": int(units.max()) + 1}
        values = np.array([_values(row, encoders) for row in some])
        low, high = _interval(values, units, seed)
        names, mean = [*encoders, NO_ENCODER], values.mean(axis=0)
        for place, name in enumerate(names):
            line = about | {"encoder": name, "chosen": np.nan}
            if name != NO_ENCODER:
                line["chosen"] = sum(name in row["chosen"] for row in some) / len(some)
            for kind, column in zip(KINDS, range(place, 3 * len(names), len(names)), strict=True):
                line |= {
                    kind: mean[column],
                    f"{kind}_low": low[column],
                    f"{kind}_high": high[column],
                }
            made.append(line)
    return pd.DataFrame(made)


class Agreement(NamedTuple):
    """How often the routing chooses the encoder that is worth most when it is forced."""

    share: float  # of the lines
    by_chance: float  # the same, were choices dealt out anew over the recordings
    p: float  # how often that reaches the share
    encoders: dict[str, tuple[int, int, float]]  # chosen where worth most, worth most, by chance


def routing_agreement(rows: Sequence[Row], encoders: Sequence[str], *, seed: int = 0) -> Agreement:
    """Compare what the routing chose with what is worth most, line by line.

    Choices are exchanged between recordings as a whole, so a mixture that sends everything to one
    encoder, however good that one is, agrees no more often than by chance.

    Args:
        rows: As `WorthTable` describes them.
        encoders: In pool order.
        seed: Of the permutations.
    """
    best = np.array([int(np.argmax([row["forced"][name] for name in encoders])) for row in rows])
    chosen = np.array([[name in row["chosen"] for name in encoders] for row in rows])
    hits = chosen[np.arange(len(rows)), best]
    _, first, clip = np.unique(
        [row["audio"] for row in rows], return_index=True, return_inverse=True
    )
    draw, of_clip = np.random.default_rng(seed), chosen[first]
    dealt = np.array(
        [of_clip[draw.permutation(len(of_clip))][clip, best].mean() for _ in range(PERMUTATIONS)]
    )
    rates = of_clip.mean(axis=0)
    counts = {
        name: (int(hits[best == place].sum()), int((best == place).sum()), float(rates[place]))
        for place, name in enumerate(encoders)
    }
    # equal up to rounding counts as reached
    reached = int((dealt >= hits.mean() - 1e-12).sum())
    p = (1 + reached) / (1 + PERMUTATIONS)
    return Agreement(float(hits.mean()), float(rates[best].mean()), p, counts)


def of_heads(rows: Sequence[Row]) -> list[Row]:
    """The lines whose label a head tells, its changes in place of the answer's."""
    return [{**row, **row["head"]} for row in rows if row.get("head")]


def _values(row: Row, encoders: Sequence[str]) -> list[float]:
    forced, masked, twin = (
        [row.get(kind, {}).get(name, np.nan) for name in encoders] for kind in KINDS
    )
    return [*forced, row["no_weak"], *masked, np.nan, *twin, np.nan]


def _interval(values: np.ndarray, units: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """2.5 and 97.5 % of the means `(columns,)` of resampled units; `values` `(lines, columns)`.

    NaN for a single unit: it says nothing about others.
    """
    count = int(units.max()) + 1
    if count < 2:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    sums, lines = np.zeros((count, values.shape[1])), np.bincount(units)
    np.add.at(sums, units, values)
    # how often each unit is drawn
    times = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=RESAMPLES)
    means = (times @ sums) / (times @ lines)[:, None]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high

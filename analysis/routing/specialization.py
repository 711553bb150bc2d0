"""Which encoder is chosen for what, how sure that is, and how far it could be chance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from mowe.analysis.records import CHOICE, Records
from mowe.statistics import effective_number, mutual_information

MIN_UNITS = 2  # speakers or recordings below which an interval means nothing


@dataclass(frozen=True)
class Specialization:
    """Who is chosen for the values of one label."""

    by: str
    shares: pd.DataFrame  # value, encoder, share, low, high, recordings, units
    information: dict[str, float]  # nats, by_chance, p, permutations
    unit: str  # what the bootstrap draws: "speaker" or "recording"


def specialization(
    records: Records, by: str, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> Specialization:
    """Share of each encoder among the choices for every value of a label.

    Intervals are percentiles of a bootstrap that draws whole speakers where all are known, else
    whole recordings: windows and questions of one recording say the same thing twice.

    Args:
        records: From `read_records`.
        by: A label column, for example `task`, `dataset`, `speaker` or `language`.
        draws: Of the bootstrap.
        level: Of the intervals, between 0 and 1.
        seed: Of bootstrap and permutations.

    Raises:
        RecordsError: If nothing has this label.
    """
    rows = records.labelled(by)
    unit = "speaker" if by != "speaker" and rows["speaker"].notna().all() else "recording"
    names = _clips(rows) if unit == "recording" else rows["speaker"]
    found = []
    for value, part in rows.groupby(by, sort=True):
        counts = _counts(part, names.loc[part.index], records.encoders)
        low, high = _interval(counts, draws, level, seed)
        shares = counts.sum(axis=0) / counts.sum()
        for place, encoder in enumerate(records.encoders):
            found.append(
                {
                    "value": value,
                    "encoder": encoder,
                    "share": float(shares[place]),
                    "low": float(low[place]),
                    "high": float(high[place]),
                    "recordings": _clips(part).nunique(),
                    "units": len(counts),
                }
            )
    clips = _clips(rows)
    choice = dict(zip(clips, rows[CHOICE], strict=True))  # the last window speaks for a recording
    information = mutual_information(list(rows[by]), list(clips), choice, seed)
    return Specialization(by, pd.DataFrame(found), information, unit)


def usage(records: Records) -> pd.DataFrame:
    """How much each encoder is used, one row per encoder.

    Returns:
        Columns `encoder`, `chosen` (share of rows whose likeliest encoder it is), and for each
        router that exists its mean probability.
    """
    table = pd.DataFrame({"encoder": records.encoders})
    chosen = records.table[CHOICE].value_counts(normalize=True)
    table["chosen"] = [float(chosen.get(name, 0.0)) for name in records.encoders]
    for router in _routers(records):
        table[router] = records.probabilities(router).mean(axis=0)
    return table


def effective_encoders(records: Records) -> dict[str, float]:
    """Exponential of the entropy of the mean probability, by router, and of the `chosen`."""
    table = usage(records).drop(columns="encoder")
    return {name: effective_number(list(table[name])) for name in table}


def router_agreement(records: Records) -> dict[str, float]:
    """How often both routers prefer the same encoder.

    Returns:
        `share` of rows, and Cohen's `kappa`, which is 0 at chance; empty where one is missing. The
        data-independent router prefers the same encoder everywhere, so kappa is then 0.
    """
    if len(_routers(records)) < 2:
        return {}
    both = [records.probabilities(router).argmax(axis=1) for router in _routers(records)]
    share = float((both[0] == both[1]).mean())
    labels = list(range(len(records.encoders)))
    kappa = 1.0 if len(np.unique(both)) == 1 else float(cohen_kappa_score(*both, labels=labels))
    return {"share": share, "kappa": kappa}


def _routers(records: Records) -> list[str]:
    first = records.table.iloc[0]
    return [router for router in ("independent", "dependent") if len(first[router])]


def _clips(rows: pd.DataFrame) -> pd.Series:
    """What tells recordings apart: the file's content and the part of it."""
    ends = rows["clip_end"].fillna(-1).astype(str)
    return rows["sha256"] + "|" + rows["clip_start"].astype(str) + "|" + ends


def _counts(rows: pd.DataFrame, units: pd.Series, encoders: tuple[str, ...]) -> np.ndarray:
    """How often each unit's rows chose each encoder, `(units, encoders)`."""
    crossed = pd.crosstab(units, rows[CHOICE]).reindex(columns=list(encoders), fill_value=0)
    counts: np.ndarray = crossed.to_numpy()
    return counts


def _interval(
    counts: np.ndarray, draws: int, level: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the shares, `(encoders,)` each; 0 to 1 where there is one unit."""
    encoders = counts.shape[1]
    if len(counts) < MIN_UNITS:
        return np.zeros(encoders), np.ones(encoders)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
    drawn = weights @ counts  # (draws, encoders)
    shares = drawn / drawn.sum(axis=1, keepdims=True)
    edge = (1 - level) / 2
    low, high = np.quantile(shares, [edge, 1 - edge], axis=0)
    return low, high

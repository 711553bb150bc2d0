"""Signs that a mixture fails, each as a check with a threshold.

After the paper: all recordings to one encoder, different results for similar recordings (see
`analysis.worth.perturbation`), loss spikes in training, and too much memory or too many active
encoders. Ours: encoders that are not chosen where they are worth most.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mowe.analysis.health.training_log import LoggedRun
from mowe.analysis.records import CHOICE, Records
from mowe.analysis.routing.specialization import effective_encoders
from mowe.analysis.worth.by_task import routing_agreement
from mowe.analysis.worth.measure import WorthTable
from mowe.analysis.worth.perturbation import Compared
from mowe.errors import ConfigError
from mowe.model import MoWEModel, count_parameters

LOAD_RECORDS = "Load a records file, written by `python -m mowe route ... --out records.parquet`."
LOAD_LOG = "Load the metrics.jsonl of a training run."
LOAD_WORTH = "Measure it with `python -m mowe worth MANIFEST --out worth.jsonl`."
LOAD_CLIP = "Record or upload a clip and compare its changes."
MIN_BEFORE = 5  # losses of a stage before a spike can be told
MIN_SCATTER = 0.02  # of the running median; steadier losses than that are all alike
MIN_LINES = 8  # of a stretch before its memory can grow
MEMORY = {"memory_mb": "memory", "gpu_memory_mb": "GPU memory"}
_RANGES = {
    "min_effective": (1, 1000), "max_share": (0, 1), "min_same_choice": (0, 1),
    "min_same_answer": (0, 1), "large_divergence": (0, 1), "spike_scatters": (0, 1000),
    "spike_window": (MIN_BEFORE, 1000), "spikes_allowed": (0, 1_000_000), "max_growth": (0, 1000),
    "max_active_share": (0, 1), "most_encoders": (0, 1000), "max_luck": (0, 1),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What is still healthy."""

    min_effective: float = 1.5  # effective number of encoders, 1 to the pool size
    max_share: float = 0.9  # of the choices that one encoder may have
    min_same_choice: float = 0.8  # share of the changes that keep the encoder
    min_same_answer: float = 0.8  # share of the changes that keep the words
    large_divergence: float = 0.1  # nats, 0 to log 2; counted, not judged
    spike_scatters: float = 8.0  # median absolute deviations above the running median
    spike_window: int = 20  # logged losses before a step that it is compared with
    spikes_allowed: int = 0
    max_growth: float = 0.1  # of the memory, over the second half of a stretch
    max_active_share: float = 0.8  # of the pool's parameters, for one recording
    most_encoders: int = 2  # distinct ones that run for one window
    max_luck: float = 0.05  # p value above which a match of routing and worth may be luck

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                words = name.replace("_", " ")
                raise ConfigError(f"{words} must be a number from {low} to {high}, found {value}")


STANDARD = Thresholds()


@dataclass(frozen=True)
class Check:
    """One question about a mixture, and its answer."""

    name: str
    passed: bool | None  # None: could not be judged
    value: float | None
    threshold: float
    sentence: str  # what was found, or what to load

    @property
    def verdict(self) -> str:
        """The answer as a word."""
        return {True: "passes", False: "fails", None: "not checked"}[self.passed]


def collapse_checks(records: Records | None, limits: Thresholds = STANDARD) -> list[Check]:
    """Do all recordings go to one encoder?

    Judged for the data-dependent router: the other prefers the same encoder for all by design.
    """
    names = ("Spread of the choices", "Spread of the probabilities")
    bounds = {**dict.fromkeys(names, limits.min_effective), "Largest share": limits.max_share}
    problem = _collapse_problem(records)
    if records is None or problem:
        return [Check(name, None, None, bound, problem) for name, bound in bounds.items()]
    effective = effective_encoders(records)
    found, pool = f"over {len(records)} windows", len(records.encoders)
    checks = [
        Check(
            name,
            effective[kind] >= limits.min_effective,
            effective[kind],
            limits.min_effective,
            f"{effective[kind]:.2f} of {pool} encoders {what} {found}, "
            f"at least {limits.min_effective:g} asked.",
        )
        for name, kind, what in (
            (names[0], "chosen", "share the choices"),
            (names[1], "dependent", "share the mean probability"),
        )
    ]
    shares = records.table[CHOICE].value_counts(normalize=True)
    name, share = str(shares.index[0]), float(shares.iloc[0])
    sentence = f"{name} has {share:.0%} of the choices, at most {limits.max_share:.0%} allowed."
    passed = share <= limits.max_share
    return [*checks, Check("Largest share", passed, share, limits.max_share, sentence)]


def _collapse_problem(records: Records | None) -> str:
    if records is None:
        return LOAD_RECORDS
    if not len(records.table.iloc[0]["dependent"]):
        return f"{records.preset} has no data-dependent router, so nothing can collapse."
    if len(records) < 2:
        return "One window says nothing about a collapse; route more recordings."
    return ""


def consistency_checks(compared: Sequence[Compared], limits: Thresholds = STANDARD) -> list[Check]:
    """Do small changes of a recording leave its routing and its answer as they are?

    Args:
        compared: From `perturbation.compare`, the unchanged recording first.
        limits: Of the shares that stay the same.
    """
    changed = compared[1:]
    if not changed:
        return [Check("Same choice", None, None, limits.min_same_choice, LOAD_CLIP)]
    kept = [one.same_choice for one in changed]
    large = sum(one.divergence > limits.large_divergence for one in changed)
    checks = [
        _share_check(
            "Same choice", kept, limits.min_same_choice,
            f"keep the choice of {compared[0].choice}",
            f" The probabilities move by more than {limits.large_divergence:g} nats in {large}.",
        )
    ]  # fmt: skip
    answers = [one.same_answer for one in changed if one.same_answer is not None]
    if answers:
        about = "keep the words of the answer"
        checks.append(_share_check("Same answer", answers, limits.min_same_answer, about))
    return checks


def _share_check(
    name: str, same: Sequence[bool], least: float, about: str, more: str = ""
) -> Check:
    share = sum(same) / len(same)
    sentence = (
        f"{sum(same)} of {len(same)} changes ({share:.0%}) {about}, at least {least:.0%} asked."
    )
    return Check(name, share >= least, share, least, sentence + more)


def find_spikes(run: LoggedRun, limits: Thresholds = STANDARD) -> pd.DataFrame:
    """Mark the steps whose loss leaves what came before it.

    Returns:
        The run's steps with `bound`, the running median plus `spike_scatters` running median
        absolute deviations of the previous `spike_window` losses of the stage, NaN for its first
        few; and `spike`, true above the bound and where the loss is not finite.
    """
    parts = []
    for stage in run.stages:
        rows = run.stage(stage)
        losses = rows["loss"].where(np.isfinite(rows["loss"]))
        window = losses.rolling(int(limits.spike_window), min_periods=MIN_BEFORE)
        middle = window.median().shift(1)
        scatter = window.apply(_scatter, raw=True).shift(1)
        scatter = scatter.clip(lower=MIN_SCATTER * middle.abs())
        bound = middle + limits.spike_scatters * scatter
        spike = losses.isna() | (losses > bound)
        parts.append(rows.assign(bound=bound, spike=spike))
    return pd.concat(parts, ignore_index=True)


def _scatter(values: np.ndarray) -> float:
    """Median absolute deviation of a window that may lack some losses."""
    values = values[~np.isnan(values)]
    return float(np.median(np.abs(values - np.median(values))))


def loss_checks(run: LoggedRun | None, limits: Thresholds = STANDARD) -> list[Check]:
    """Is the loss a finite number at every step, and does it come down without spikes?"""
    names, bounds = ("Finite loss", "Loss spikes"), (0, limits.spikes_allowed)
    if run is None:
        return [
            Check(name, None, None, bound, LOAD_LOG)
            for name, bound in zip(names, bounds, strict=True)
        ]
    steps = find_spikes(run, limits)
    finite = np.isfinite(steps["loss"])
    broken, spikes = steps[~finite], steps[finite & steps["spike"]]
    whole = f"The loss is a finite number at all {len(steps)} logged steps."
    if len(broken):
        whole = f"The loss is not finite at {len(broken)} of {len(steps)} logged steps"
        whole += f", first {_place(broken)}."
    judged = int(steps["bound"].notna().sum())
    if not judged:
        found = f"No stage has more than {MIN_BEFORE} logged losses, too few to tell a spike."
        return [
            Check(names[0], not len(broken), float(len(broken)), 0, whole),
            Check(names[1], None, None, limits.spikes_allowed, found),
        ]
    found = f"{len(spikes)} {'spike' if len(spikes) == 1 else 'spikes'} in {judged} judged steps"
    found += f", first {_place(spikes)}" if len(spikes) else ""
    found += f"; {limits.spikes_allowed:g} allowed."
    passed = len(spikes) <= limits.spikes_allowed
    return [
        Check(names[0], not len(broken), float(len(broken)), 0, whole),
        Check(names[1], passed, float(len(spikes)), limits.spikes_allowed, found),
    ]


def _place(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"at step {first['step']} of the stage {first['stage']}"


def memory_check(run: LoggedRun | None, limits: Thresholds = STANDARD) -> Check:
    """Does memory still grow when a training should have settled?

    Logged is the peak so far, which only a new process lowers; so every stretch of a stage without
    a drop is judged by itself, from its middle to its end.
    """
    name, bound = "Memory growth", limits.max_growth
    if run is None:
        return Check(name, None, None, bound, LOAD_LOG)
    stretches = [
        (memory, stage, values)
        for memory in MEMORY
        for stage in run.stages
        for values in _stretches(run.stage(stage)[memory].dropna().to_numpy())
    ]
    if not stretches:
        found = f"No {MIN_LINES} logged steps in a row say how much memory was used."
        return Check(name, None, None, bound, found)
    memory, stage, values = max(stretches, key=lambda one: _growth(one[2]))
    growth = _growth(values)
    sentence = (
        f"Peak {MEMORY[memory]} grew by {growth:.0%} over the second half of a stretch of the "
        f"stage {stage}, to {values[-1]:.0f} MB; at most {bound:.0%} allowed."
    )
    return Check(name, growth <= bound, growth, bound, sentence)


def _stretches(values: np.ndarray) -> list[np.ndarray]:
    """Parts between two drops that are long enough to judge and hold a reading above zero."""
    parts = np.split(values, np.flatnonzero(np.diff(values) < 0) + 1)
    return [part for part in parts if len(part) >= MIN_LINES and part[len(part) // 2] > 0]


def _growth(values: np.ndarray) -> float:
    return float(values[-1] / values[len(values) // 2] - 1)


class Pool(NamedTuple):
    """Sizes of a mixture, in parameters."""

    encoders: dict[str, int]  # by weak encoder
    active: int  # of the encoders, the most that one window can pass through
    most: int  # encoders that can run for one window
    total: int  # of the whole mixture


def measure_pool(model: MoWEModel) -> Pool:
    """Count what a loaded mixture holds, and how much of it one window can use."""
    sizes = {
        name: sum(one.numel() for one in encoder.parameters())
        for name, encoder in zip(model.encoder_names, model.pool, strict=True)
    }
    counts = count_parameters(model)
    total = counts.trained + counts.frozen
    top_k = model.config.routing.top_k or len(sizes)
    active = counts.active - (total - sum(sizes.values()))
    return Pool(sizes, active, min(top_k * model.routers, len(sizes)), total)


def active_checks(
    pool: Pool | None, records: Records | None = None, limits: Thresholds = STANDARD
) -> list[Check]:
    """Do few encoders, and few of the pool's parameters, run for one recording?"""
    return [_active_share(pool, limits), _encoders_per_window(records, limits)]


def _active_share(pool: Pool | None, limits: Thresholds) -> Check:
    name, bound = "Active share of the pool", limits.max_active_share
    if pool is None:
        return Check(
            name, None, None, bound, "Load a mixture; a page shows the one it answers with."
        )
    if not pool.encoders:
        return Check(name, None, None, bound, "This mixture has no weak encoders.")
    whole = sum(pool.encoders.values())
    share = pool.active / whole
    sentence = (
        f"At most {pool.most} of {len(pool.encoders)} encoders run, {pool.active / 1e6:.1f} of "
        f"{whole / 1e6:.1f} million parameters ({share:.0%}); at most {bound:.0%} allowed."
    )
    return Check(name, share <= bound, share, bound, sentence)


def _encoders_per_window(records: Records | None, limits: Thresholds) -> Check:
    name, bound = "Encoders per window", limits.most_encoders
    if records is None:
        return Check(name, None, None, bound, LOAD_RECORDS)
    counts = Counter(len(set(chosen)) for chosen in records.table["chosen"])
    spread = ", ".join(
        f"{number} run in {times / len(records):.0%}" for number, times in sorted(counts.items())
    )
    most = max(counts)
    sentence = f"{spread} of {len(records)} windows; at most {bound:g} allowed."
    return Check(name, most <= bound, float(most), bound, sentence)


def worth_check(worth: WorthTable | None, limits: Thresholds = STANDARD) -> Check:
    """Does the routing choose, line by line, the encoder that is worth most when it is forced?

    Judged against choices dealt out anew over the recordings: who sends everything to the encoder
    that is best on the whole gives no encoder a kind of its own.
    """
    name = "Each encoder gets its own kind"
    problem = _worth_problem(worth)
    if worth is None or problem:
        return Check(name, None, None, limits.max_luck, problem)
    found = routing_agreement(worth.rows, worth.encoders)
    each = ", ".join(
        f"{encoder} in {hits} of {most} ({chance:.0%} by chance)"
        for encoder, (hits, most, chance) in found.encoders.items()
        if most
    )
    sentence = (
        f"The encoder that is worth most is chosen in {found.share:.0%} of {len(worth.rows)} "
        f"lines, {found.by_chance:.0%} by chance (p = {found.p:.3g}, at most {limits.max_luck:g} "
        f"asked): {each}."
    )
    return Check(name, found.p <= limits.max_luck, found.p, limits.max_luck, sentence)


def _worth_problem(worth: WorthTable | None) -> str:
    if worth is None:
        return LOAD_WORTH
    if len(worth.encoders) < 2:
        return f"{worth.preset} has one weak encoder, so there is nothing to choose."
    if len({row["audio"] for row in worth.rows}) < 2:
        return "One recording says nothing about kinds; measure more lines."
    return ""


def health_checks(
    records: Records | None,
    run: LoggedRun | None,
    limits: Thresholds = STANDARD,
    worth: WorthTable | None = None,
) -> list[Check]:
    """Every check that records, a training log and worth can answer; any may be missing."""
    return [
        *collapse_checks(records, limits),
        _encoders_per_window(records, limits),
        *loss_checks(run, limits),
        memory_check(run, limits),
        worth_check(worth, limits),
    ]

"""From runs to one file an experiment: accuracies, comparisons, and what they say of the claim."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mowe.data.origin import machine
from mowe.errors import ExperimentError
from mowe.experiments import answers, fast, judge
from mowe.experiments.arms import PAPER, UNIFORM, Arm
from mowe.experiments.choices import coded, routing_of
from mowe.experiments.claims import Experiment, Pair, without_name
from mowe.experiments.fast import LEFT_OUT, text_to_bits
from mowe.experiments.judge import Difference, Rows
from mowe.experiments.labelled import Labelled, left_out
from mowe.experiments.runs import Runs
from mowe.files import file_sha256, write_json

HOLDS, FAILS, UNDECIDED = "holds at this scale", "does not hold at this scale", "undecided"
_DIGITS = 4
_BUDGETS: Mapping[str, dict[str, Any]] = {
    "fast": {
        "batch": fast.BATCH,
        "learning_rate": fast.LEARNING_RATE,
        "independent_rate": fast.INDEPENDENT_RATE,
    },
    "lm": {
        "batch": answers.BATCH,
        "steps": answers.STEPS,
        "steps_from_nothing": answers.STEPS_FROM_NOTHING,
        "lora_rate": answers.LORA_RATE,
        "warm_rate": answers.WARM_RATE,
        "cold_rate": answers.COLD_RATE,
    },
}


@dataclass(frozen=True)
class Held:
    """The clips of one split as comparisons see them."""

    clips: Sequence[Labelled]
    rows: Rows

    @classmethod
    def of(cls, clips: Sequence[Labelled], split: str) -> "Held":
        """A split's clips."""
        return cls.these([one for one in clips if one.split == split])

    @classmethod
    def these(cls, clips: Sequence[Labelled]) -> "Held":
        """Some clips, whatever their split."""
        return cls(clips, Rows(*(coded(clips, name) for name in ("task", "group", "source"))))

    @property
    def tasks(self) -> list[str]:
        """Their names, in the order of their codes."""
        return sorted({one.task for one in self.clips})


def summarize(
    experiment: Experiment, runs: Runs, clips: Sequence[Labelled], split: str = "dev"
) -> dict[str, Any]:
    """Everything a page says about an experiment.

    Args:
        experiment: The claim and its arms.
        runs: Where its runs are.
        clips: Of the suite.
        split: What it is judged on: dev, or test for the one last look.

    Raises:
        ExperimentError: If a run is missing.
    """
    experiment = experiment.at(runs.place.scale)
    held = Held.of(clips, split)
    right = {arm.name: _right(arm, experiment.seeds, runs, held, split) for arm in experiment.arms}
    arms = [
        _arm(arm, experiment.seeds, runs, held, split, right[arm.name]) for arm in experiment.arms
    ]
    pairs = list(dict.fromkeys([*experiment.compared, *experiment.all_against]))
    found = [
        _compare_left_out(pair, experiment, runs, clips)
        if pair.left_out
        else _compare(pair, right, held)
        for pair in pairs
    ]
    p = judge.corrected([one.p for one in found])
    comparisons = [
        {**_compared(pair, one, value), "judged": pair in experiment.compared}
        for pair, one, value in zip(pairs, found, p, strict=True)
    ]
    return {
        "experiment": experiment.name,
        "claim": experiment.claim,
        "published": experiment.published,
        "scale": runs.place.scale,
        "split": split,
        "verdict": _verdict(experiment, comparisons),
        "expects": experiment.expects,
        "data": _data(runs, clips),
        "budget": {**_BUDGETS[runs.place.scale], "seeds": experiment.seeds},
        "arms": arms,
        "comparisons": comparisons,
        "code": _codes(experiment, runs),
        "machine": machine(),
    }


def write(experiment: Experiment, runs: Runs, folder: Path, split: str = "dev") -> dict[str, Any]:
    """Summarize and write the result file; returns what it holds."""
    found = summarize(experiment, runs, runs.place.clips(), split)
    scale = [] if runs.place.scale == "fast" else [runs.place.scale]
    name = "-".join([experiment.name, *scale, *(["test"] if split == "test" else [])])
    write_json(folder / f"{name}.json", found)
    return found


def settings_of(arm: Arm) -> dict[str, Any]:
    """How an arm differs from the paper's recipe, as plain JSON types."""
    plain, usual = (json.loads(json.dumps(dataclasses.asdict(one))) for one in (arm, Arm(name="")))
    return {name: one for name, one in plain.items() if name != "name" and one != usual[name]}


def _run(arm: Arm, seed: int, runs: Runs) -> Mapping[str, Any]:
    found = runs.find(arm, seed)
    if found is None:
        raise ExperimentError(
            f"{arm.name} has no run of seed {seed}; run the experiment (mowe experiments run)"
        )
    return found


def _right(arm: Arm, seeds: int, runs: Runs, held: Held, split: str) -> np.ndarray:
    """Right answers by the learned routing, `(seeds, clips)`."""
    return np.stack(
        [
            text_to_bits(_run(arm, seed, runs)["right"]["learned"][split], len(held.clips))
            for seed in range(seeds)
        ]
    )


def _arm(
    arm: Arm, seeds: int, runs: Runs, held: Held, split: str, right: np.ndarray
) -> dict[str, Any]:
    found = [_run(arm, seed, runs) for seed in range(seeds)]
    tasks = judge.by_task(right, held.rows)
    by_seed = [judge.accuracy(right[[seed]], held.rows) for seed in range(seeds)]
    about = {
        "name": arm.name,
        "settings": settings_of(arm),
        "accuracy": _short(judge.accuracy(right, held.rows)),
        "deviation": _short(float(np.std(by_seed, ddof=1)) if seeds > 1 else 0.0),
        "by_seed": [_short(one) for one in by_seed],
        "by_task": {name: _short(tasks[place]) for place, name in enumerate(held.tasks)},
        "cpu_seconds": _short(float(np.mean([one["cpu_seconds"] for one in found]))),
    }
    if arm.routers == "none":
        return about
    if "gradients" in found[0]:
        about |= _cosines(arm, [one["gradients"] for one in found], held)
    if split in found[0]["right"]["no weak"]:
        off = [text_to_bits(one["right"]["no weak"][split], right.shape[1]) for one in found]
        about["without_weak"] = _short(judge.accuracy(np.stack(off), held.rows))
    chosen = [one["chosen"][split] for one in found]
    about["routing"] = routing_of(arm, chosen, held.clips, held.rows)
    regret = _regret(arm, seeds, runs, held, split, right)
    return about if regret is None else {**about, "regret": _short(regret)}


def _cosines(arm: Arm, found: Sequence[Mapping[str, Any]], held: Held) -> dict[str, Any]:
    """Mean over seeds of the cosines between gradients of tasks, by part of the model.

    Of the paper's arm between all tasks, of one that learns two tasks at once between these.
    """
    mean = {part: np.mean([one[part] for one in found], axis=0) for part in found[0]}
    if arm.name == PAPER.name:
        return {
            "gradient_cosines": {name: one.round(_DIGITS).tolist() for name, one in mean.items()}
        }
    order = list(dict.fromkeys(one.task for one in held.clips))  # of the matrices
    if len(arm.stretches) > 1 or len(arm.stretches[0].tasks) != 2:
        return {}
    first, second = map(order.index, arm.stretches[0].tasks)
    return {"pair_cosine": {name: _short(one[first, second]) for name, one in mean.items()}}


def _regret(
    arm: Arm, seeds: int, runs: Runs, held: Held, split: str, right: np.ndarray
) -> float | None:
    """Accuracy under the best forced encoders of each task less that of the learned routing.

    The rivals come from uniform sampling over the same pool and data, of the same seed. Which pair
    of encoders is best is chosen on one half of the groups and scored on the other, and the other
    way round: the plain maximum of noisy arms would be too high.
    """
    same = {name: getattr(arm, name) for name in ("pool", "data", "without", "stretches")}
    rival = dataclasses.replace(UNIFORM, **same)
    if arm.routers != "both" or runs.find(rival, 0) is None or len(set(arm.pool)) < 2:
        return None
    regrets = []
    for seed in range(seeds):
        forced = {
            name: text_to_bits(bits[split], right.shape[1])
            for name, bits in _run(rival, seed, runs)["right"].items()
            if " | " in name
        }
        for half in (0, 1):
            choosing = held.rows.groups % 2 == half
            regrets.append(_half_regret(forced, right[seed], held.rows.tasks, choosing))
    return float(np.mean(regrets))


def _half_regret(
    forced: Mapping[str, np.ndarray], learned: np.ndarray, tasks: np.ndarray, choosing: np.ndarray
) -> float:
    lost = []
    for task in np.unique(tasks):
        here, there = choosing & (tasks == task), ~choosing & (tasks == task)
        if not here.any() or not there.any():
            continue
        best = max(forced, key=lambda name: float(forced[name][here].mean()))
        lost.append(forced[best][there].mean() - learned[there].mean())
    return float(np.mean(lost)) if lost else 0.0


def _compare(pair: Pair, right: Mapping[str, np.ndarray], held: Held) -> Difference:
    kept = np.array([_concerns(pair, one) for one in held.clips])
    if not kept.any():
        raise ExperimentError(f"nothing held out is of {pair.task or 'any task'}, {pair.source}")
    rows = Rows(held.rows.tasks[kept], held.rows.groups[kept], held.rows.strata[kept])
    return judge.compare(right[pair.first][:, kept], right[pair.second][:, kept], rows)


def _compare_left_out(
    pair: Pair, experiment: Experiment, runs: Runs, clips: Sequence[Labelled]
) -> Difference:
    """Clips of each origin, heard by the arms that did without it, put together."""
    arms = {arm.name: arm for arm in experiment.arms}
    parts = {one: Held.these([clips[n] for n in left_out(clips, one)]) for one in pair.left_out}
    right = {
        name: np.concatenate(
            [
                _right(arms[without_name(name, one)], experiment.seeds, runs, part, LEFT_OUT)
                for one, part in parts.items()
            ],
            axis=1,
        )
        for name in (pair.first, pair.second)
    }
    whole = Held.these([one for part in parts.values() for one in part.clips])
    return _compare(Pair(pair.first, pair.second, pair.task), right, whole)


def _concerns(pair: Pair, clip: Labelled) -> bool:
    return pair.task in ("", clip.task) and pair.source in ("", clip.source)


def _compared(pair: Pair, found: Difference, p: float) -> dict[str, Any]:
    return {
        "arm": pair.first,
        "against": pair.second,
        "task": pair.task,
        "source": pair.about,
        "difference": _short(found.difference),
        "low": _short(found.low),
        "high": _short(found.high),
        "p": _short(found.p),
        "p_corrected": _short(p),
        "detectable": _short(found.detectable),
        "says": judge.verdict(found, p),
    }


def _verdict(experiment: Experiment, comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Of the claim: it fails where one comparison says another thing than it expects."""
    said = [one["says"] for one in comparisons if one["judged"]]
    if all(one == experiment.expects for one in said):
        return HOLDS
    contrary = [one for one in said if one not in (experiment.expects, judge.UNDECIDED)]
    return FAILS if contrary else UNDECIDED


def _data(runs: Runs, clips: Sequence[Labelled]) -> dict[str, Any]:
    counts = Counter((one.task, one.split) for one in clips)
    groups = {(one.task, one.split, one.group) for one in clips}
    told: dict[str, Any] = {"manifest": file_sha256(runs.place.manifest), "tasks": {}}
    for (task, split), count in counts.items():
        inside = sum((task, split) == one[:2] for one in groups)
        told["tasks"].setdefault(task, {})[split] = {"clips": count, "groups": inside}
    for task, about in told["tasks"].items():
        about["labels"] = len({one.label for one in clips if one.task == task})
    return told


def _codes(experiment: Experiment, runs: Runs) -> list[dict[str, Any]]:
    """The commits that its runs are of; more than one is said."""
    found = [
        _run(arm, seed, runs)["code"] for arm in experiment.arms for seed in range(experiment.seeds)
    ]
    return [one for place, one in enumerate(found) if one and one not in found[:place]]


def _short(value: float) -> float:
    return round(float(value), _DIGITS)

"""What drives routing: four questions to trained routers, each with a number and a control."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mowe.analysis.worth.perturbation import CHANGES, CHANNELS, UNCHANGED, divergence
from mowe.data.origin import code_version, machine
from mowe.experiments import judge
from mowe.experiments.driving_inputs import preferred_inputs, spectrogram
from mowe.experiments.runs import Place
from mowe.experiments.study import (
    CLIPS,
    SEEDS,
    StudiedArm,
    Study,
    among,
    point,
    short,
    signed,
    study,
    told,
    which,
)
from mowe.files import file_sha256, write_json
from mowe.statistics import stratified_information

PERMUTATIONS = 200
# what else a clip may go through, of the small changes
_CHANNELS = ("to 8 kHz and back", "in a small room", "pink noise, 10 dB", "12 dB softer", *CHANNELS)
_SAME_FOR_ALL = 0.9  # share of pairs of clips with one choice, above which a choice says little


def measure(place: Place, seeds: int = SEEDS, clips: int = CLIPS) -> dict[str, Any]:
    """Ask all four questions; errors as `study`."""
    started, code = time.process_time(), code_version()
    found = study(place, seeds, clips)
    questions: list[Callable[[Study], dict[str, Any]]] = [
        small_changes, channels, lambda some: spectrogram(some, place.folder),
        lambda some: preferred_inputs(some, place.folder),
    ]  # fmt: skip
    answers = [ask(found) for ask in questions]
    return {
        "questions": answers,
        "arms": [
            {"name": one.arm.name, "effective_encoders": [short(value) for value in one.effective]}
            for one in found.arms
        ],
        "data": {
            "manifest": file_sha256(place.manifest),
            "split": "dev",
            "clips": len(found.held.clips),
            "changed": len(found.some),
        },
        "budget": {"seeds": seeds, "cpu_seconds": round(time.process_time() - started)},
        "code": [code] if code else [],
        "machine": machine(),
    }


def write(place: Place, path: Path, seeds: int = SEEDS, clips: int = CLIPS) -> dict[str, Any]:
    """Measure, and write the result file; returns what it holds."""
    found = measure(place, seeds, clips)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    return found


def small_changes(some: Study) -> dict[str, Any]:
    """Whether a small change moves the choice: beside another clip of the task."""
    points, answers, rows = [], [], some.rows()
    columns = ["Arm", "Change", "Choice stays", "Divergence, nats", "Accuracy"]
    details = []
    of_task, of_source = some.beside(same=("task",)), some.beside(other=("source",))
    for asked in some.arms:
        name, before = asked.arm.name, asked.changed[UNCHANGED]
        stays = {change: asked.changed[change].choice == before.choice for change in CHANGES}
        alike = before.choice[:, :, None] == asked.held_out.choice[:, None, :]
        task, source = among(alike, of_task), among(alike, of_source)
        mean = np.mean(list(stays.values()), axis=0)
        points += [
            *(point(name, change, values, rows) for change, values in stays.items()),
            point(name, "mean of the changes", mean, rows),
            point(name, "another clip of the task", task, rows, control=True),
            point(name, "a clip of another source", source, rows, control=True),
        ]
        details += [
            _changed_row(asked, change, rows) for change in (UNCHANGED, *CHANGES, *CHANNELS)
        ]
        right = np.mean([asked.changed[change].right for change in CHANGES], axis=0)
        answers.append(
            _of_changes(name, mean, task, source, judge.compare(right, before.right, rows), rows)
        )
    return {
        "name": "changes",
        "question": "Does a small change move the choice?",
        "unit": "share of clips with the same choice",
        "answers": answers,
        "points": points,
        "details": {"columns": columns, "rows": details},
    }


def _of_changes(
    arm: str,
    stays: np.ndarray,
    task: np.ndarray,
    source: np.ndarray,
    accuracy: judge.Difference,
    rows: judge.Rows,
) -> dict[str, Any]:
    found = judge.compare(stays, task, rows)
    says = which(
        found,
        "No: a changed clip keeps its encoder more often than another clip of its task shares it",
        "Yes: another clip of its task shares a clip's encoder more often than a changed one keeps "
        "it",
        "Not told apart: a changed clip keeps its encoder about as often as another clip of its "
        "task shares it",
    )
    sentence = (
        f"{says}, {stays.mean():.1%} against {task.mean():.1%}, {told(found, signed)}; accuracy "
        f"moves by {told(accuracy, signed)}."
    )
    if source.mean() > _SAME_FOR_ALL:
        sentence += (
            f" It says little: clips of different sources share the choice in {source.mean():.1%}."
        )
    return {"arm": arm, "sentence": sentence}


def _changed_row(asked: StudiedArm, change: str, rows: judge.Rows) -> list[Any]:
    before, after = asked.changed[UNCHANGED], asked.changed[change]
    return [
        asked.arm.name,
        change,
        short(float((after.choice == before.choice).mean())),
        short(float(divergence(before.shares, after.shares).mean())),
        short(judge.accuracy(after.right, rows)),
    ]


def channels(some: Study) -> dict[str, Any]:
    """Whether the routing follows the content or the channel, and the task or the data set."""
    points, answers, details = [], [], []
    content = some.beside(same=("task", "source"), other=("label",))
    source = some.beside(other=("source",))
    kept: np.ndarray = np.logical_and(content.any(axis=1), source.any(axis=1))
    rows = some.rows(kept)
    for asked in some.arms:
        name, before = asked.arm.name, asked.changed[UNCHANGED].shares
        moved = {
            channel: divergence(before, asked.changed[channel].shares)[:, kept]
            for channel in _CHANNELS
        }
        apart = divergence(before[:, :, None], asked.held_out.shares[:, None])
        others = {
            "another label of its source": among(apart, content)[:, kept],
            "a clip of another source": among(apart, source)[:, kept],
        }
        mean = np.mean(list(moved.values()), axis=0)
        points += [
            *(point(name, channel, values, rows) for channel, values in moved.items()),
            point(name, "mean of the channels", mean, rows),
            *(point(name, one, values, rows, control=True) for one, values in others.items()),
        ]
        informed = _information(some, asked)
        details += [[name, *one] for one in informed]
        answers.append(_of_channels(name, (mean, *others.values()), informed, rows))
    return {
        "name": "channels",
        "question": "Is it what is heard, or the channel?",
        "unit": "divergence of the routing, nats (at most 0.69)",
        "answers": answers,
        "points": points,
        "details": {
            "columns": ["Arm", "Information of choice and", "nats", "by chance", "p"],
            "rows": details,
        },
    }


def _of_channels(
    arm: str,
    apart: tuple[np.ndarray, ...],
    informed: Sequence[Sequence[Any]],
    rows: judge.Rows,
) -> dict[str, Any]:
    channel, content, source = apart
    found = judge.compare(channel, content, rows)
    says = which(
        found,
        "The channel: it moves the routing further than other content of the same source does",
        "The content: other content of the same source is routed further away than the same content"
        " through another channel",
        "Not told apart: another channel moves the routing about as far as other content of the "
        "same source",
    )
    labels, nats, chance, p = informed[0]
    return {
        "arm": arm,
        "sentence": (
            f"{says}, {channel.mean():.3f} against {content.mean():.3f} nats, "
            f"{told(found, signed)}; clips of other sources lie at {source.mean():.3f}. "
            f"Of {labels} the choice tells {nats:.3f} nats, {chance:.3f} by chance (p = {p:.3f})."
        ),
    }


def _information(some: Study, asked: StudiedArm) -> list[list[Any]]:
    """What the choice tells of labels, sources and tasks, each within what it depends on."""
    clips = some.held.clips
    kinds = {
        "labels within task and source": ("label", ("task", "source")),
        "sources within task": ("source", ("task",)),
        "tasks within source": ("task", ("source",)),
    }
    found = []
    for name, (what, within) in kinds.items():
        labels = np.array([getattr(one, what) for one in clips])
        strata = np.array(["|".join(getattr(one, part) for part in within) for one in clips])
        found.append([name, *informed(labels, asked.held_out.choice, strata)])
    return found


def informed(
    labels: np.ndarray, choice: np.ndarray, strata: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Information of labels and choice within strata, mean over seeds, and what chance gives.

    Args:
        labels: `(clips,)`.
        choice: `(seeds, clips)`.
        strata: `(clips,)`; labels change places within one.
        seed: Of the permutations.

    Returns:
        Nats, nats by chance, and the share of permutations that reach as many.
    """

    def mean(some: np.ndarray) -> float:
        return float(np.mean([stratified_information(some, one, strata) for one in choice]))

    draw, found = np.random.default_rng(seed), mean(labels)
    insides = [np.flatnonzero(strata == one) for one in np.unique(strata)]
    by_chance = []
    for _ in range(PERMUTATIONS):
        shuffled = labels.copy()
        for inside in insides:
            shuffled[inside] = draw.permutation(labels[inside])
        by_chance.append(mean(shuffled))
    # equal up to rounding counts as reached
    reached = sum(one >= found - 1e-12 for one in by_chance)
    p = (1 + reached) / (1 + PERMUTATIONS)
    return short(found), short(float(np.mean(by_chance))), short(p)

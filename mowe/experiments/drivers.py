"""What drives routing: four questions to trained routers, each with a number and a control."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mowe.analysis.worth.perturbation import CHANGES, CHANNELS, UNCHANGED, divergence
from mowe.data.origin import code_version, machine
from mowe.experiments import judge
from mowe.experiments.choices import coded, information
from mowe.experiments.driving_inputs import preferred_inputs, spectrogram
from mowe.experiments.judge import short
from mowe.experiments.runs import Place
from mowe.experiments.study import (
    CLIPS,
    SEEDS,
    StudiedArm,
    Study,
    among,
    point,
    signed,
    study,
    told,
    which,
)
from mowe.files import file_sha256, write_json

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
            "columns": [
                "Arm",
                "Information of choice and",
                "nats",
                "by chance",
                "95 % of chance below",
            ],
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
    labels, nats, chance, most = informed[0]
    return {
        "arm": arm,
        "sentence": (
            f"{says}, {channel.mean():.3f} against {content.mean():.3f} nats, "
            f"{told(found, signed)}; clips of other sources lie at {source.mean():.3f}. "
            f"Of {labels} the choice tells {nats:.3f} nats, by chance {chance:.3f} (95 % "
            f"below {most:.3f})."
        ),
    }


def _information(some: Study, asked: StudiedArm) -> list[list[Any]]:
    """What the choice tells of labels, sources and tasks, each within what it depends on."""
    rows, clips = some.held.rows, some.held.clips
    within = rows.strata * len(some.held.tasks) + rows.tasks
    kinds = {
        "labels within task and source": (coded(clips, "label"), within),
        "sources within task": (rows.strata, rows.tasks),
        "tasks within source": (rows.tasks, rows.strata),
    }
    return [
        [name, *information(asked.held_out.choice, labels, strata).values()]
        for name, (labels, strata) in kinds.items()
    ]

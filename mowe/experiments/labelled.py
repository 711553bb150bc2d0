"""Clips with a label each: what the experiments train on and are judged by.

A suite takes its tasks from the lines of a manifest. Splits go by person, fold or package: what a
suite names as its test is neither trained on nor looked at while arms are chosen.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from mowe.data.manifest import AUDIO_TAG, Example, read_manifest
from mowe.errors import ConfigError

SPLITS = ("train", "dev", "test")
LEAST_OF_A_LABEL = 4  # training clips; a rarer label is left out of its task


@dataclass(frozen=True, kw_only=True)
class ProbeTask:
    """One task: which lines of a manifest it takes."""

    name: str  # in tables
    task: str  # of the manifest
    question: str  # what a language model is asked
    sources: tuple[str, ...] = ()  # of the manifest; empty takes all


@dataclass(frozen=True, kw_only=True)
class ProbeSuite:
    """The tasks of a comparison and how many clips of each."""

    name: str
    tasks: tuple[ProbeTask, ...]
    dev: str  # pattern over "SPEAKER ID" of a line: held out beside what the manifest holds out
    test: str  # pattern over "SPEAKER ID" of a line: what is kept for the one last look
    train_clips: int  # most of a task
    held_out_clips: int  # most of a task, in dev and in test
    least_held_out: int  # fewest of a task in dev


class Labelled(NamedTuple):
    """One clip of one task."""

    example: Example
    task: str  # of the suite
    label: str
    split: str
    source: str
    group: str  # person or recording: what a bootstrap draws together

    @property
    def question(self) -> str:
        """What the line asks, without the mark of the recording."""
        return self.example.messages[0][1].replace(AUDIO_TAG, "").strip()

    @property
    def origin(self) -> str:
        """The line's identity, which begins with its source and what the source is made of."""
        return str(self.example.metadata.get("id") or self.source)


FAST = ProbeSuite(
    name="fast",
    tasks=(
        ProbeTask(name="emotion", question="Which emotion?", task="emotion", sources=("ravdess",)),
        ProbeTask(name="gender", question="A man or a woman?", task="gender"),
        ProbeTask(name="word", question="Kids or dogs?", task="mention", sources=("ravdess",)),
        ProbeTask(name="digit", question="Which digit?", task="digit"),
        ProbeTask(name="sound", question="Which sound?", task="sound", sources=("esc10",)),
        ProbeTask(name="instrument", question="Which instrument?", task="sound", sources=("midi",)),
        ProbeTask(
            name="effect",
            question="Which effect?",
            task="sound",
            sources=("game-effects", "more-effects", "named-sounds"),
        ),
    ),
    dev=r" game-effects/ufoai",  # one game
    # actors 15 to 17, one speaker of digits, fold 3, every second melody of the soundfont that is
    # held out, another game
    test=(
        r"^ravdess-1[567] |^fsdd-nicolas |^amazon-queen-[a-f]| esc10/3-| midi/dev-.*[13579]/"
        r"| more-effects/wesnoth"
    ),
    train_clips=230,
    held_out_clips=90,
    least_held_out=60,
)


def read_suite(manifest: Path, suite: ProbeSuite = FAST, seed: int = 0) -> list[Labelled]:
    """The clips of a suite, tasks one after the other, always in the same order.

    Args:
        manifest: As `mowe corpus` writes it.
        suite: Its tasks.
        seed: Of the draw, evenly over labels and groups.

    Raises:
        ManifestError: If the manifest cannot be used.
        ConfigError: If a task has too few clips, or one label only.
    """
    lines = [one for one in read_manifest(manifest) if one.audio is not None]
    return [one for task in suite.tasks for one in _of_task(lines, task, suite, seed)]


def left_out(clips: Sequence[Labelled], without: str) -> list[int]:
    """Places of the training clips of some origin whose labels others teach as well.

    Args:
        clips: Of a suite.
        without: How the origin of what is left out begins.
    """
    train = [place for place, one in enumerate(clips) if one.split == "train"]
    out = {place for place in train if clips[place].origin.startswith(without)}
    taught = Counter(clips[place][1:3] for place in train if place not in out)
    known = {pair for pair, count in taught.items() if count >= LEAST_OF_A_LABEL}
    return [place for place in train if place in out and clips[place][1:3] in known]


def labels_of_tasks(clips: Iterable[Labelled]) -> dict[str, tuple[str, ...]]:
    """The labels of every task, sorted, tasks in the order of the clips."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in clips:
        found[one.task].add(one.label)
    return {task: tuple(sorted(labels)) for task, labels in found.items()}


def _of_task(
    lines: Sequence[Example], task: ProbeTask, suite: ProbeSuite, seed: int
) -> list[Labelled]:
    clips = _split(lines, task, suite)
    counts = Counter(one.label for one in clips if one.split == "train")
    known = {label for label, count in counts.items() if count >= LEAST_OF_A_LABEL}
    if len(known) < 2:
        raise ConfigError(
            f"the task {task.name} ({task.task} of {', '.join(task.sources) or 'any source'}) needs"
            f" two labels with {LEAST_OF_A_LABEL} training clips each, found {dict(counts)}"
        )
    most = {"train": suite.train_clips, "dev": suite.held_out_clips, "test": suite.held_out_clips}
    drawn: list[Labelled] = []
    for split in SPLITS:
        some = [one for one in clips if one.split == split and one.label in known]
        drawn += _evenly(some, most[split], random.Random(f"{seed}:{task.name}:{split}"))
    held_out = sum(one.split == "dev" for one in drawn)
    if held_out < suite.least_held_out:
        raise ConfigError(
            f"the task {task.name} has {held_out} held-out clips, needs {suite.least_held_out}: "
            "build a larger corpus (mowe corpus)"
        )
    return drawn


def _split(lines: Sequence[Example], task: ProbeTask, suite: ProbeSuite) -> list[Labelled]:
    """Every clip of a task once, with its split."""
    found: dict[tuple[str, float, float | None], Labelled] = {}
    for one in lines:
        about = one.metadata
        source = str(about.get("source") or "")
        if one.task != task.task or (task.sources and source not in task.sources):
            continue
        speaker, name = str(about.get("speaker") or ""), str(about.get("id") or one.clip)
        group = speaker or str(about.get("recording") or one.audio)
        split = str(about.get("split") or "train")
        for held_out, pattern in (("dev", suite.dev), ("test", suite.test)):
            split = held_out if re.search(pattern, f"{speaker} {name}") else split
        label = str(about.get("label") or one.answer.rstrip("."))
        found.setdefault(one.clip, Labelled(one, task.name, label, split, source, group))
    return list(found.values())


def _evenly(clips: Sequence[Labelled], most: int, draw: random.Random) -> list[Labelled]:
    """At most so many clips: a label's turn, of it a group's turn."""
    labels: dict[str, dict[str, list[Labelled]]] = defaultdict(lambda: defaultdict(list))
    for one in draw.sample(list(clips), len(clips)):
        labels[one.label][one.group].append(one)
    queues = [_in_turn(groups.values()) for _, groups in sorted(labels.items())]
    return _in_turn(queues)[:most]


def _in_turn(queues: Iterable[Sequence[Labelled]]) -> list[Labelled]:
    turns = zip_longest(*queues)
    return [one for turn in turns for one in turn if one is not None]

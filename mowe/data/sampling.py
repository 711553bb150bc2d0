"""Which examples an optimizer step holds: a function of the seed and the step alone.

All micro-batches of all processes are drawn together, so that tasks are mixed in every step and a
step holds the same examples however it is split; only then are they dealt out by length.
"""

import random
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from mowe.data.manifest import AUDIO_TAG, Example
from mowe.errors import ConfigError

_TOKENS_PER_SECOND, _SIGNS_PER_TOKEN, _TURN_TOKENS = 4.0, 4.0, 6.0  # rough, only to sort by
ClipKey = tuple[str, float, float | None]  # as `Example.clip`


class Sound(NamedTuple):
    """An example with one version of its clip."""

    example: Example
    version: int = 0  # 0 is the clip itself, the others are augmented
    told: bool = True  # whether the language model is told of it in text
    told_of: Example | None = None  # another recording, of which it is told instead


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How often the text about a recording is left out, or is about another one.

    Text that is always there and always right is all that a language model would read.
    """

    without: float = 0.0  # share of the recordings, 0 to 1
    wrong: float = 0.0  # share of the recordings, 0 to 1
    always: Collection[str] = ()  # tasks of which it is always told rightly

    def of(self, sound: Sound, group: Sequence[Example], draw: random.Random) -> Sound:
        """The same sound, with what is told of it.

        Args:
            sound: An example with a recording.
            group: Examples of its task, one of which may lend its text.
            draw: Where chances come from.
        """
        example = sound.example
        chance = draw.random()
        if example.task in self.always or chance >= self.without + self.wrong:
            return sound
        if chance < self.without:
            return sound._replace(told=False)
        other = draw.choice(group)
        if other.audio is None or other.clip == example.clip:
            return sound
        return sound._replace(told_of=other)


@dataclass(frozen=True, kw_only=True)
class StepSampler:
    """Draws steps: tasks by weight, examples evenly within a task."""

    groups: Mapping[str, Sequence[Example]]  # by task
    weights: Mapping[str, float] = field(default_factory=dict)  # by task; 1 by default
    size: int  # examples of a step, of all micro-batches and processes
    seed: int = 0
    siblings: Mapping[ClipKey, Sequence[Example]] = field(default_factory=dict)  # by clip
    follow_ups: int = 0  # most further questions about the same clip in one conversation
    versions: int = 1  # of every clip
    fixed_version_sources: Collection[str] = ()  # their clips exist in one version each
    telling: Telling = Telling()

    def step(self, number: int) -> list[Sound]:
        """Everything that step `number` hears and asks."""
        draw = random.Random(f"{self.seed}:{number}")
        shares = [self.weights.get(task, 1.0) for task in self.groups]
        tasks = draw.choices(list(self.groups), shares, k=self.size)
        sounds = [self._sound(draw.choice(self.groups[task]), draw) for task in tasks]
        return [
            one if one.example.audio is None else self.telling.of(one, self.groups[task], draw)
            for task, one in zip(tasks, sounds, strict=True)
        ]

    def _sound(self, example: Example, draw: random.Random) -> Sound:
        version = draw.randrange(self.versions)
        if example.metadata.get("source") in self.fixed_version_sources:
            version = zlib.crc32(str(example.clip).encode()) % self.versions
        return Sound(with_follow_ups(example, self.siblings, self.follow_ups, draw), version)


def micro_batches(sounds: Sequence[Sound], count: int) -> list[list[Sound]]:
    """A step's examples dealt to `count` micro-batches by length, so that little is padding.

    Text without a recording is dealt out evenly: it is short, and would else fill whole batches.
    """
    ordered = sorted(sounds, key=lambda sound: _length(sound.example))
    silent = [one for one in ordered if one.example.audio is None]
    heard = iter([one for one in ordered if one.example.audio is not None])
    dealt = [silent[number::count] for number in range(count)]
    size = -(-len(sounds) // count)
    return [[*islice(heard, size - len(few)), *few] for few in dealt]


def seconds(example: Example) -> float:
    """Length of an example's sound as far as its line says, else 0."""
    if example.end is not None:
        return example.end - example.start
    return float(example.metadata.get("duration") or 0.0)


def by_task(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Examples grouped by task, tasks in alphabetical order."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.task].append(example)
    return dict(sorted(groups.items()))


def by_clip(examples: Iterable[Example]) -> dict[ClipKey, list[Example]]:
    """Examples grouped by their recording; text-only ones are left out."""
    groups: dict[ClipKey, list[Example]] = defaultdict(list)
    for example in examples:
        if example.audio is not None:
            groups[example.clip].append(example)
    return dict(groups)


def with_follow_ups(
    example: Example, siblings: Mapping[ClipKey, Sequence[Example]], most: int, draw: random.Random
) -> Example:
    """The example with up to `most` other questions about its clip as turns before its own.

    Its own question stays the last, so that `answer` is what its task asks for.
    """
    asked = {example.messages[0]}
    others = [one for one in siblings.get(example.clip, ()) if one.messages[0] not in asked]
    drawn = draw.sample(others, min(most, len(others)))
    if not drawn:
        return example
    turns = [
        (role, text.replace(f"{AUDIO_TAG} ", "").replace(AUDIO_TAG, ""))
        for one in (*drawn, example)
        for role, text in one.messages
    ]
    turns[0] = (turns[0][0], f"{AUDIO_TAG} {turns[0][1]}")
    return replace(example, messages=tuple(turns))


def upsampled(examples: Sequence[Example], times: Mapping[str, float]) -> list[Example]:
    """Every example as often as its source says, once where it says nothing.

    Of a source that is asked for 2.3 times, three tenths of the examples come a third time: always
    the same ones, drawn by their names.

    Raises:
        ConfigError: If a source has no example.
    """
    sources = [str(one.metadata.get("source") or "") for one in examples]
    if unknown := sorted(times.keys() - set(sources)):
        raise ConfigError(
            f"data.upsampling names {unknown}; the examples are of {sorted(set(sources))}"
        )
    return [
        one
        for one, source in zip(examples, sources, strict=True)
        for _ in range(_whole(times.get(source, 1.0), one))
    ]


def _whole(times: float, example: Example) -> int:
    name = str(example.metadata.get("id") or example.clip)
    return int(times) + (random.Random(name).random() < times % 1)


def limited(
    groups: Mapping[str, Sequence[Example]], most: int, seed: int
) -> dict[str, list[Example]]:
    """At most `most` examples of each task, drawn by seed; 0 keeps all."""
    kept = {}
    for task, examples in groups.items():
        order = list(examples)
        random.Random(f"{seed}:{task}").shuffle(order)
        kept[task] = order[:most] if most else order
    return kept


def check_task_weights(
    groups: Mapping[str, Sequence[Example]], weights: Mapping[str, float]
) -> None:
    """Refuse weights for tasks that do not occur, or that leave nothing to draw.

    Raises:
        ConfigError: Naming the task.
    """
    unknown = sorted(weights.keys() - groups.keys())
    if unknown:
        raise ConfigError(f"data.task_weights names {unknown}; the manifest has {sorted(groups)}")
    if any(weight < 0 for weight in weights.values()):
        raise ConfigError(f"data.task_weights must be 0 or more, found {dict(weights)}")
    if not any(weights.get(task, 1.0) > 0 for task in groups):
        raise ConfigError("data.task_weights gives every task 0; nothing is left to train on")


def _length(example: Example) -> float:
    """About how many tokens a language model reads: of the sound, of the turns and around them."""
    turns = sum(len(text) / _SIGNS_PER_TOKEN + _TURN_TOKENS for _, text in example.messages)
    return seconds(example) * _TOKENS_PER_SECOND + turns

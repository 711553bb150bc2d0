"""Which examples a step sees: a function of the seed and the step alone, so resuming is exact."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from mowe.data.manifest import AUDIO_TAG, Example
from mowe.errors import ConfigError

_TOKENS_PER_SECOND, _SIGNS_PER_TOKEN, _TURN_TOKENS = 4.0, 4.0, 6.0  # rough, only to sort by
ClipKey = tuple[str, float, float | None]  # as `Example.clip`


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


def repeated(examples: Sequence[Example], times: Mapping[str, float]) -> list[Example]:
    """Every example as often as its source says, once where it says nothing.

    Of a source that is asked for 2.3 times, three tenths of the examples come a third time: always
    the same ones, drawn by their names.

    Raises:
        ConfigError: If a source has no example.
    """
    sources = [str(one.metadata.get("source") or "") for one in examples]
    if unknown := sorted(times.keys() - set(sources)):
        raise ConfigError(f"repeats names {unknown}; the examples are of {sorted(set(sources))}")
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
        raise ConfigError(f"task_weights names {unknown}; the manifest has {sorted(groups)}")
    if any(weight < 0 for weight in weights.values()):
        raise ConfigError(f"task weights must be 0 or more, found {dict(weights)}")
    if not any(weights.get(task, 1.0) > 0 for task in groups):
        raise ConfigError("every task has weight 0; nothing is left to train on")


def mixed_batch(
    groups: Mapping[str, Sequence[Example]],
    weights: Mapping[str, float],
    size: int,
    seed: int,
    index: int,
    bucket: int = 1,
    follow: Callable[[Example, random.Random], Example] = lambda example, _: example,
) -> list[Example]:
    """The batch of micro-step `index`: tasks drawn by weight, examples evenly within a task.

    `bucket` batches are drawn together and cut by length, so that little of a batch is padding;
    `follow` may add to an example what belongs to it.
    """
    draw = random.Random(f"{seed}:{index // bucket}")
    tasks = list(groups)
    shares = [weights.get(task, 1.0) for task in tasks]
    chosen = draw.choices(tasks, shares, k=size * bucket)
    drawn = [follow(draw.choice(groups[task]), draw) for task in chosen]
    return _by_length(drawn, size, index, draw, _length)


def _by_length(
    drawn: list[Example],
    size: int,
    index: int,
    draw: random.Random,
    length: Callable[[Example], float],
) -> list[Example]:
    """Batch `index` of the batches that `drawn` makes when it is sorted by length.

    Text without a recording is dealt out evenly: it is short, and would else fill whole batches, in
    which nothing is heard and no router learns.
    """
    batches = max(len(drawn) // size, 1)
    if batches == 1:
        return drawn
    ordered = sorted(drawn, key=length)
    silent = [one for one in ordered if one.audio is None]
    heard = [one for one in ordered if one.audio is not None]
    places = list(range(batches))
    draw.shuffle(places)
    place = places[index % batches]
    dealt = [silent[number::batches] for number in range(batches)]
    start = sum(size - len(one) for one in dealt[:place])
    return heard[start : start + size - len(dealt[place])] + dealt[place]


def _length(example: Example) -> float:
    """About how many tokens a language model reads: of the sound, of the turns and around them."""
    turns = sum(len(text) / _SIGNS_PER_TOKEN + _TURN_TOKENS for _, text in example.messages)
    return seconds(example) * _TOKENS_PER_SECOND + turns

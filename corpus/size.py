"""A small corpus for trying things out: a few clips of each label or speaker."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from corpus.clips import Clip, CorpusSettings

SMALL: Mapping[str, int] = {
    "train": 40,
    "dev": 12,
    "test": 12,
}  # most clips of a group in a small corpus
SMALL_SOURCE = 400  # most clips of a source in a small corpus


def thinned(
    clips: Iterable[Clip], settings: CorpusSettings, key: Callable[[Clip], object]
) -> list[Clip]:
    """The clips of a small corpus, in their order; a full corpus keeps all.

    Args:
        clips: Clips of one source.
        settings: Says the size.
        key: Group of a clip, such as its label or its speaker; at most `SMALL` clips of a group
            and split are kept, always the same ones.
    """
    found = list(clips)
    if settings.size == "full":
        return found
    groups: dict[tuple[object, str], list[Clip]] = defaultdict(list)
    for clip in found:
        groups[key(clip), clip.split].append(clip)
    kept: set[str] = set()
    for (_, split), group in groups.items():
        kept.update(clip.name for clip in sorted(group, key=_draw)[: SMALL[split]])
    return [clip for clip in found if clip.name in kept]


def few(clips: Iterable[Clip], settings: CorpusSettings) -> list[Clip]:
    """At most `SMALL_SOURCE` clips of one source in a small corpus, held-out clips first."""
    found = list(clips)
    if settings.size == "full" or len(found) <= SMALL_SOURCE:
        return found
    drawn = sorted(found, key=lambda clip: (clip.split == "train", _draw(clip)))
    kept = {clip.name for clip in drawn[:SMALL_SOURCE]}
    return [clip for clip in found if clip.name in kept]


def _draw(clip: Clip) -> float:
    return random.Random(clip.name).random()

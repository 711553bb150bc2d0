"""From rendered clips to manifest lines: tasks, splits that share nothing, balanced labels."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mowe.training.corpus.clips import Clip, Source, sentence_key
from mowe.training.corpus.download import CorpusError
from mowe.training.corpus.wording import TASKS

Line = dict[str, Any]

# most lines of one label and split; a label's lines are drawn evenly from its speakers
CAPS: Mapping[str, int] = {"gender": 750, "language": 560}
ANYONE = "unnamed"  # ends the name of a speaker that stands for several people


@dataclass(frozen=True)
class Rendered:
    """A clip that lies on disk."""

    clip: Clip
    source: Source
    audio: str  # relative to the manifest
    seconds: float


def without_shared_sentences(
    clips: Iterable[tuple[Source, Clip]],
) -> list[tuple[Source, Clip]]:
    """Drop training clips whose sentence also occurs in dev."""
    pairs = list(clips)
    held_out = {sentence_key(clip.text) for _, clip in pairs if clip.split == "dev" and clip.text}
    return [
        (source, clip)
        for source, clip in pairs
        if clip.split == "dev" or not clip.text or sentence_key(clip.text) not in held_out
    ]


def lines_of(rendered: Rendered) -> list[Line]:
    """One line a task, and again for each crop."""
    clip = rendered.clip
    spans: list[tuple[float, float] | None] = [None, *clip.crops]
    return [
        _line(rendered, task, number, span)
        for number, span in enumerate(spans)
        for task in clip.tasks
    ]


def _line(rendered: Rendered, task: str, number: int, span: tuple[float, float] | None) -> Line:
    clip, source = rendered.clip, rendered.source
    identifier = f"{source.name}/{clip.name}/{task}" + (f"/{number}" if number else "")
    rng = random.Random(identifier)
    line: Line = {"id": identifier, "audio": rendered.audio}
    seconds = rendered.seconds
    if span is not None:
        start, end = span[0], min(span[1], seconds)
        line |= {"start": start, "end": end}
        seconds = end - start
    line |= {
        "duration": round(seconds, 3),
        "task": task,
        "messages": TASKS[task].messages(clip, rng),
        "split": clip.split,
        "source": source.name,
        "speaker": clip.speaker,
        "language": clip.language,
        "licence": clip.licence or source.licence,
        "recording": clip.recording,
        "text": clip.text,
        "label": TASKS[task].label(clip),
    }
    return line | dict(clip.notes)


def balanced(lines: Sequence[Line]) -> list[Line]:
    """Keep at most `CAPS` lines of a label in a split, drawn evenly from its speakers."""
    kept: list[Line] = []
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["task"] in CAPS:
            groups[line["task"], line["split"], line["label"]].append(line)
        else:
            kept.append(line)
    for (task, *_), group in groups.items():
        kept += _evenly(group, CAPS[task])
    return sorted(kept, key=lambda line: line["id"])


def _evenly(lines: Sequence[Line], count: int) -> list[Line]:
    by_speaker: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_speaker[line["speaker"]].append(line)
    for queue in by_speaker.values():
        random.Random(queue[0]["id"]).shuffle(queue)
    kept: list[Line] = []
    while len(kept) < count and any(by_speaker.values()):
        kept += [queue.pop() for queue in by_speaker.values() if queue]
    return kept[:count]


def check_splits(lines: Iterable[Line]) -> None:
    """Refuse lines whose speaker, recording or sentence occurs in two splits.

    Raises:
        CorpusError: Naming the first that does.
    """
    first: dict[tuple[str, str], str] = {}
    for line in lines:
        shared = {"recording": line["recording"], "sentence": sentence_key(line["text"])}
        if not line["speaker"].endswith(ANYONE):
            shared["speaker"] = line["speaker"]
        for kind, value in shared.items():
            if value and first.setdefault((kind, value), line["split"]) != line["split"]:
                raise CorpusError(f"{line['id']}: the {kind} {value!r} is in two splits")

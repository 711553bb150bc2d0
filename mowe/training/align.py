"""The alignment stage: without the language model, the adapter learns to name what it hears.

Ours, not the paper's (decisions 0007 and 0013): through the language model alone, alignment takes
tens of thousands of examples; a step without it costs a tenth.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mowe.config import NamingConfig
from mowe.data.manifest import Example
from mowe.errors import ConfigError
from mowe.hints.naming import LANGUAGE, NONE, SPEECH, Named, SoundEvents

_SILENT_SOUNDS = 10  # sounds that a recording without any counts for in the mean loss

SOUND, CAPTION, COUNT = "sound", "caption", "count"
SOUND_TASKS = (SOUND, CAPTION, COUNT, "order", "compare")  # about sounds; a voice may be beside
SPOKEN_SETS = ("emotion", "gender", LANGUAGE)  # tasks whose answer is one label of a voice
NUMBERS = {
    **{word: place for place, word in enumerate(("one", "two", "three", "four", "five"), start=1)},
    **{str(number): number for number in range(1, 6)},
}


class Label(NamedTuple):
    """What is known of a recording, as positions in the lists of names; None where it is not."""

    events: list[int] | None  # sounds in the order they are heard
    labels: dict[str, int]  # set -> 0 for none, else 1 + position


class NamingCounts(NamedTuple):
    """What a naming loss is a mean over."""

    labels: float
    events: float  # sounds in their order, and `_SILENT_SOUNDS` for each recording without any


def naming_counts(known: Sequence[Label]) -> NamingCounts:
    """How much is known of some recordings."""
    events = [one.events for one in known if one.events is not None]
    return NamingCounts(
        sum(len(one.labels) for one in known), sum(len(row) or _SILENT_SOUNDS for row in events)
    )


def naming_loss(named: Named, known: Sequence[Label], whole: NamingCounts) -> Tensor:
    """Mean cross-entropy of the labels known, plus mean CTC loss per sound, in nats.

    Args:
        named: What the adapter names in a batch.
        known: What is known of it.
        whole: Of the optimizer step that the batch is a part of.
    """
    losses = [
        F.cross_entropy(logits[row], torch.tensor(one.labels[name], device=logits.device))
        for name, logits in named.labels.items()
        for row, one in enumerate(known)
        if name in one.labels
    ]
    total = _order_loss(named.events, [one.events for one in known], whole.events)
    return total + torch.stack(losses).sum() / whole.labels if losses else total


def _order_loss(
    heard: SoundEvents, targets: Sequence[Sequence[int] | None], count: float
) -> Tensor:
    """CTC loss of the sounds in their order, in nats, divided by a number of sounds."""
    known = {
        row: torch.tensor(target, dtype=torch.long) + 1  # 0 is the pause
        for row, target in enumerate(targets)
        if target is not None
    }
    if not known:
        return heard.pause.new_zeros(())
    kept = SoundEvents(*(part[list(known)] for part in heard))
    total = F.ctc_loss(
        kept.log_probabilities().transpose(0, 1),
        torch.cat(list(known.values())).to(kept.pause.device),
        kept.mask.sum(dim=1),
        torch.tensor([len(target) for target in known.values()], device=kept.pause.device),
        reduction="sum",
        zero_infinity=True,  # more sounds than tokens teach nothing
    )
    return total / count


def label_of(example: Example, names: NamingConfig) -> Label:
    """What the manifest says about a recording, of what an adapter names."""
    events, known = events_of(example), labels_of(example)
    places = {name: place for place, name in enumerate(names.events)}
    sets = {name: (NONE, *labels) for name, labels in names.names.items()}
    return Label(
        None if events is None else [places[one] for one in events if one in places],
        {name: sets[name].index(one) for name, one in known.items() if one in sets.get(name, ())},
    )


def labels_of(example: Example) -> dict[str, str]:
    """Labels known of a whole recording, by set; `none` of every set where nobody speaks."""
    about = example.metadata
    if example.task in SOUND_TASKS and not about.get("speaker") and not about.get("language"):
        return dict.fromkeys(SPOKEN_SETS, NONE)
    known = {LANGUAGE: str(about.get("language") or "")}
    if example.task in SPOKEN_SETS:
        known[example.task] = str(about["label"])
    return {name: label for name, label in known.items() if label}


def events_of(example: Example) -> list[str] | None:
    """Sounds that a recording holds, in order; None where the manifest does not say."""
    about = example.metadata
    label, parts = str(about.get("label") or ""), str(about.get("labels") or "")
    if parts and about.get("speaker"):
        return None  # somebody speaks beside the sounds, who knows when
    if parts:
        sounds = parts.split(" | ")
        if example.task == COUNT:
            # one may be how many different sounds there are, however often it is heard
            times = NUMBERS.get(label, 0)
            return sounds * times if len(sounds) == 1 and times > 1 else None
        return sounds if len(sounds) > 1 else None
    if example.task in (SOUND, CAPTION) and label:
        return label.split(", ")
    return [SPEECH] if about.get("language") else None


def known_names(
    groups: Mapping[str, Sequence[Example]], tasks: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Every sound and every label that occurs in the examples of some tasks.

    Returns:
        Sounds in alphabetical order, and labels by set.

    Raises:
        ConfigError: If a task does not occur, or an example of a set has no label.
    """
    events: set[str] = set()
    for task in tasks:
        if not groups.get(task):
            raise ConfigError(f"task {task!r} cannot be named: the manifest has no example of it")
        events.update(one for example in groups[task] for one in events_of(example) or ())
    sets = {}
    for task in (task for task in SPOKEN_SETS if task in tasks):
        labels = {str(example.metadata.get("label") or "") for example in groups[task]}
        if "" in labels:
            raise ConfigError(f"task {task!r} cannot be named: examples need a label each")
        sets[task] = tuple(sorted(labels))
    return tuple(sorted(events)), sets

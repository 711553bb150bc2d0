"""What the heads of a mixture hear by themselves: names and kinds of sounds, events in time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mowe.assistant import Assistant
from mowe.audio import SAMPLE_RATE
from mowe.checkpoint import MoWE
from mowe.data.ledger import Row
from mowe.data.manifest import Example
from mowe.evaluation.asking import hear
from mowe.hints.events import SoundEvent, matched, step_levels
from mowe.hints.heads import HeadLogits
from mowe.hints.told import heard_sounds
from mowe.model import make_batch

_AMONG = 3  # likeliest names that a sound is looked for among


@torch.inference_mode()
def heard_rows(assistant: Assistant, examples: Iterable[Example]) -> list[Row]:
    """A row for each recording of which it is known all that sounds; none without heads.

    Args:
        assistant: Its heads hear under the learned routing.
        examples: Held-out lines; a recording counts once.

    Raises:
        AudioError: If a recording cannot be used.
    """
    model = assistant.model
    if model.heads is None:
        return []
    once = {
        one.clip: one for one in examples if one.audio is not None and one.metadata.get("heard")
    }
    rows = []
    for example in tqdm(once.values(), desc="heads", mininterval=2):
        recording = hear(example)
        if recording.seconds > model.config.window_seconds:
            continue
        parts = {rate: torch.from_numpy(recording.at(rate)) for rate in model.sample_rates}
        logits = model.heads(*model.listen(make_batch([parts]).to(model.device)).fused)
        levels = step_levels(recording.at(SAMPLE_RATE), SAMPLE_RATE)
        sounds = heard_sounds(model.heads, logits, levels)
        true = example.metadata["heard"]
        about = {"source": str(example.metadata.get("source") or ""), "clip": str(example.clip[0])}
        if all(start is not None for _, _, start, _ in true):
            rows.append(about | _scene(sounds.events, true))
        elif len({name for name, *_ in true}) == 1:
            name, kind, *_ = true[0]
            rows.append(about | _single(model, logits, name, kind))
    return rows


def _single(model: MoWE, logits: HeadLogits, name: str, kind: str) -> Row:
    """Of a recording of one sound: whether its name and its kind are the likeliest."""
    assert model.heads is not None
    detector, events = model.heads.detector, logits.events
    names, kinds = (one[0][events.mask[0]].amax(dim=0) for one in (events.names, events.kinds))
    likeliest = [detector.names[place] for place in names.topk(min(_AMONG, len(names))).indices]
    return {
        "known": name in detector.names,
        "name": likeliest[0] == name,
        "among_three": name in likeliest,
        "kind": detector.kinds[int(kinds.argmax())] == kind,
    }


def _scene(found: Sequence[SoundEvent], true: Sequence[Sequence[Any]]) -> Row:
    """Of a composed recording: events of the same name begun within 200 ms, number and order."""
    wanted = [(name, start) for name, _, start, _ in sorted(true, key=lambda one: one[2])]
    named = [one for one in found if one.name]
    return {
        "hits": matched(named, wanted),
        "found": len(named),
        "true": len(wanted),
        "count": len(found) == len(wanted),
        "order": [one.name for one in found] == [name for name, _ in wanted],
    }


def summarize_hearing(rows: Sequence[Row]) -> list[Row]:
    """By source: shares of single sounds, and F1, number and order of scenes."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["source"]].append(row)
    lines = []
    for source, some in sorted(groups.items()):
        singles, scenes = ([row for row in some if key in row] for key in ("among_three", "hits"))
        if singles:
            shares = ("known", "name", "among_three", "kind")
            line = {"source": source, "recordings": len(singles)}
            lines.append(line | {name: _share(singles, name) for name in shares})
        if scenes:
            hits, found, true = (
                sum(row[name] for row in scenes) for name in ("hits", "found", "true")
            )
            line = {"source": source, "recordings": len(scenes)}
            line |= {"event_f1": round(2 * hits / max(found + true, 1), 4)}
            lines.append(line | {name: _share(scenes, name) for name in ("count", "order")})
    return lines


def _share(rows: Sequence[Row], name: str) -> float:
    return round(float(np.mean([row[name] for row in rows])), 4)

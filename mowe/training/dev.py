"""How a run does on the dev split while it trains: early, cheap looks, not the evaluation."""

from typing import Any

import torch
import torchaudio.functional as AF

from mowe.adapter import ReadingAdapter
from mowe.training.align import base_as_fused, label_of, read_aloud, spoken_form
from mowe.training.run import TRANSCRIBE, Run
from mowe.training.steps import prompts


def dev_reading(run: Run) -> dict[str, Any]:
    """Word error rate of the adapter's own greedy reading of the dev transcripts."""
    speech = [example for example in run.dev if example.task == TRANSCRIBE]
    if not speech or run.pieces is None:
        return {}
    adapter = run.model.adapter
    assert isinstance(adapter, ReadingAdapter)
    base = run.store.base(speech)
    run.model.eval()
    with torch.no_grad(), run.accelerator.autocast():
        fused = base_as_fused(base, adapter.reader.entry.in_features)
        heard = read_aloud(adapter.read(fused, base.mask), run.pieces)
    wanted = [spoken_form(example.answer).split() for example in speech]
    wrong = sum(AF.edit_distance(a.split(), b) for a, b in zip(heard, wanted, strict=True))
    rate = wrong / max(sum(map(len, wanted)), 1)
    return {"dev_reading_wer": rate, "heard": heard[0], "wanted": " ".join(wanted[0])}


def dev_naming(run: Run) -> dict[str, float]:
    """How much of the dev labels is named right under the learned routing.

    Returns:
        By task the share of recordings; of tasks about sounds, those whose whole sequence is right.
    """
    adapter = run.model.adapter
    if not run.config.name_batch:
        return {}
    assert isinstance(adapter, ReadingAdapter)
    run.model.eval()
    found = {}
    for task in run.config.name_tasks:
        batch = [one for one in run.dev if one.task == task]
        known = [label_of(one, adapter.namer) for one in batch]
        if not batch:
            continue
        with torch.no_grad(), run.accelerator.autocast():
            features = run.store.features(batch, None)
            _, named = adapter.hear(run.model.fuse(features), features.base.mask)
        wanted: list[Any] = [one.labels.get(task) for one in known]
        if task in adapter.namer.sets:
            heard: list[Any] = named.labels[task].argmax(dim=-1).tolist()
        else:
            wanted = [one.events for one in known]
            best, said = named.events.best()
            heard = [row[kept].tolist() for row, kept in zip(best, said, strict=True)]
        right = [a == b for a, b in zip(heard, wanted, strict=True) if b is not None]
        if right:
            found[f"dev_named_{task}"] = sum(right) / len(right)
    return found


@torch.no_grad()
def dev_losses(run: Run) -> dict[str, float]:
    """Next-token loss of each task on the dev examples, in nats, under the learned routing."""
    run.model.eval()
    found: dict[str, float] = {}
    for task in sorted({example.task for example in run.dev if example.audio is not None}):
        batch = [example for example in run.dev if example.task == task][: run.config.batch]
        with run.accelerator.autocast():
            heard = run.model.adapt(run.store.features(batch, None))
            loss = run.model(heard, prompts(run.model, batch, heard)).next_token
        found[f"dev_{task}"] = loss.item()
    return found

"""How a run does on the dev split while it trains: early, cheap looks, not the evaluation."""

from typing import Any

import torch

from mowe.hints.naming import NamingAdapter
from mowe.training.align import label_of
from mowe.training.prompts import prompt_of, with_tokens
from mowe.training.run import Run


def dev_naming(run: Run) -> dict[str, float]:
    """How much of the dev labels is named right under the learned routing.

    Returns:
        By task the share of recordings; of tasks about sounds, those whose whole sequence is right.
    """
    adapter = run.model.adapter
    assert isinstance(adapter, NamingAdapter)
    run.model.eval()
    found = {}
    for task in run.config.pretraining.tasks:
        batch = [one for one in run.dev if one.example.task == task]
        known = [label_of(one.example, adapter.namer) for one in batch]
        if not batch:
            continue
        with torch.no_grad(), run.accelerator.autocast():
            named = run.model.adapt(run.store.features(batch)).notes
        assert named is not None
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
    for task in sorted({sound.example.task for sound in run.dev}):
        batch = [one for one in run.dev if one.example.task == task][: run.config.tuning.batch]
        with run.accelerator.autocast():
            heard = run.model.adapt(run.store.features(batch))
            counts = heard.mask.sum(dim=1).tolist()
            asked = [
                with_tokens(prompt_of(run.model, sound.example, said), count)
                for sound, said, count in zip(batch, run.store.texts(batch), counts, strict=True)
            ]
            loss = run.model.language_model.loss(asked, heard.audio_tokens())
        found[f"dev_{task}"] = loss.item()
    return found

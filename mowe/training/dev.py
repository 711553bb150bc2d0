"""How a run does on the dev split while it trains: early, cheap looks, not the evaluation."""

from typing import Any

import torch

from mowe.training.align import label_of
from mowe.training.prompts import asked, with_tokens
from mowe.training.run import Run


@torch.no_grad()
def dev_naming(run: Run) -> dict[str, float]:
    """How much of the dev labels is named right under the learned routing.

    Returns:
        By task the share of recordings; of tasks about sounds, those whose whole sequence is right.
    """
    names, found = run.names, {}
    assert names is not None, "a run whose adapter names nothing is refused"
    run.model.eval()
    for task in run.config.pretraining.tasks:
        batch = [one for one in run.dev if one.example.task == task]
        if not batch:
            continue
        known = [label_of(one.example, names) for one in batch]
        with run.accelerator.autocast():
            named = run.model.adapt(run.store.features(batch)).notes
        wanted: list[Any] = [one.labels.get(task) for one in known]
        if task in names.names:
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
            audio = run.model.adapt(run.store.features(batch)).audio_tokens()
            prompts = [
                with_tokens(asked(run.model, run.store, sound), len(tokens))
                for sound, tokens in zip(batch, audio, strict=True)
            ]
            loss = run.model.language_model.loss(prompts, audio)
        found[f"dev_{task}"] = loss.item()
    return found

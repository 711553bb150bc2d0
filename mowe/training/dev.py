"""How a run does on the dev split while it trains: early, cheap looks, not the evaluation."""

from collections import defaultdict
from typing import Any

import torch

from mowe.hints.events import matched
from mowe.hints.heads import fit_temperature
from mowe.hints.told import heard_sounds
from mowe.training.align import label_of
from mowe.training.hearing import HearingStep
from mowe.training.prompts import asked, with_tokens
from mowe.training.run import Run

_LEAST_TO_CALIBRATE = 20  # recordings of a set


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
def dev_hearing(run: Run) -> dict[str, float]:
    """Shares of the dev labels that heads and tokens tell right, by set, under learned routing.

    Of sounds whose times are known, the F1 of events.
    """
    model, step = run.model, HearingStep(run.model, run.store, steps=1, parts=1)
    assert model.heads is not None, "a mixture without heads hears nothing for hints"
    model.eval()
    right: dict[str, list[bool]] = defaultdict(list)
    hits = told = there = 0
    for sound in run.dev:
        batch = step.prepare([sound], alone=True)
        fused = model.fuse(run.store.features([sound], None, batch.base))
        found, words = step.tell(fused, batch.base.mask)
        for name, place in batch.targets[0].labels.items():
            scores = {"word": words, "head": found.labels}
            for kind, logits in scores.items():
                if name in logits:
                    likeliest = int(logits[name][0].argmax())
                    right[f"dev_{kind}_{name}"].append(likeliest == place)
        rows = sound.example.metadata.get("heard") or ()
        true = [(name, start) for name, _, start, _ in rows if start is not None]
        if true:
            sounds = heard_sounds(model.heads, found, run.store.levels(sound))
            events = [one for one in sounds.events if one.name]
            hits += matched(events, true)
            told, there = told + len(events), there + len(true)
    f1 = {"dev_event_f1": 2 * hits / (told + there)} if there else {}
    return {name: sum(some) / len(some) for name, some in sorted(right.items())} | f1


@torch.no_grad()
def calibrate(run: Run) -> None:
    """Make the heads as sure of labels as they are right on the dev split; 20 of a set at least."""
    model, step = run.model, HearingStep(run.model, run.store, steps=1, parts=1)
    assert model.heads is not None, "a mixture without heads hears nothing for hints"
    model.eval()
    utterance = model.heads.labels
    utterance.temperatures.fill_(1.0)
    told: dict[str, list[tuple[torch.Tensor, int]]] = defaultdict(list)
    for sound in run.dev:
        batch = step.prepare([sound], alone=True)
        fused = model.fuse(run.store.features([sound], None, batch.base))
        for name, logits in utterance(fused, batch.base.mask).items():
            if name in batch.targets[0].labels:
                told[name].append((logits[0], batch.targets[0].labels[name]))
    for place, name in enumerate(utterance.sets):
        if len(told[name]) >= _LEAST_TO_CALIBRATE:
            logits, places = zip(*told[name], strict=True)
            found = fit_temperature(torch.stack(logits).cpu(), torch.tensor(places))
            utterance.temperatures[place] = found


@torch.no_grad()
def dev_losses(run: Run) -> dict[str, float]:
    """Next-token loss of each task on the dev examples, in nats, under the learned routing.

    `dev_TASK` is told of its recordings in text, `dev_untold_TASK` has the audio tokens alone; of a
    mixture that tells nothing there is the first alone.
    """
    run.model.eval()
    forms = [("dev", True)]
    forms += [("dev_untold", False)] if run.model.config.hints.given else []
    found: dict[str, float] = {}
    for task in sorted({sound.example.task for sound in run.dev}):
        batch = [one for one in run.dev if one.example.task == task][: run.config.tuning.batch]
        with run.accelerator.autocast():
            audio = run.model.adapt(run.store.features(batch)).audio_tokens()
            for name, told in forms:
                prompts = [
                    with_tokens(asked(run.model, run.store, sound._replace(told=told)), len(tokens))
                    for sound, tokens in zip(batch, audio, strict=True)
                ]
                loss = run.model.language_model.loss(prompts, audio)
                found[f"{name}_{task}"] = loss.item()
    return found

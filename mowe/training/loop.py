"""Trains a mixture: pretraining (optional, ours), then the paper's loss.

Each step is a function of the seed and its number, so a run that was killed continues exactly.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mowe.data.sampling import Sound
from mowe.training.config import TrainingConfig
from mowe.training.hearing import HearingLoss, HearingWhole
from mowe.training.optimizer import set_rate
from mowe.training.run import Run, build_run
from mowe.training.stages import Stage, build_stage
from mowe.training.state import (
    PRETRAINING,
    TUNING,
    Progress,
    load_optimizer,
    load_progress,
    save_progress,
)
from mowe.training.steps import StepLoss, Whole

AnyLoss = StepLoss | HearingLoss


def train(config: TrainingConfig) -> Path:
    """Run, or continue, a training; returns the folder of the finished checkpoint.

    Raises:
        ManifestError: If the manifest is wrong.
        ConfigError: If settings and manifest do not fit.
        WeightsError: If a component cannot be fetched.
        AudioError: If a recording of the manifest cannot be used.
        CheckpointError: If the run's own checkpoint is damaged.
    """
    run = build_run(config)
    progress = load_progress(run.checkpoint, run.model) or Progress()
    if progress.stage == PRETRAINING:
        if run.config.pretraining.steps:
            run_stage(run, build_stage(run, PRETRAINING), progress.step, Progress(TUNING))
        progress = Progress(TUNING)
    if run.config.tuning.steps:
        end = Progress(TUNING, run.config.tuning.steps)
        run_stage(run, build_stage(run, TUNING), progress.step, end)
    run.model.eval()
    final = config.output / "final"
    if run.accelerator.is_main_process:
        run.model.save_pretrained(final)
    return final


def run_stage(run: Run, stage: Stage, start: int, end: Progress) -> None:
    """Train a stage from step `start` on; a checkpoint says `end` when it is through."""
    report, optimizer, steps = run.config.report, stage.optimizer, stage.settings.steps
    fill(run, stage, start)
    if start:
        load_optimizer(run.checkpoint, optimizer)
    module = run.accelerator.prepare(stage.step)
    logged = saved = time.monotonic()
    for number in range(start, steps):
        set_rate(optimizer, number, steps, run.config.optimizer.warmup)
        found, tokens = backward(run, stage, module, number)
        _descend(run, optimizer)
        if number % report.log_every == 0:
            fields = summed(run, found)
            if tokens:
                fields["tokens"] = tokens * (report.log_every if number else 1)
            run.log(stage.name, number, **fields, seconds=time.monotonic() - logged)
            logged = time.monotonic()
        if report.dev_every and (number + 1) % report.dev_every == 0:
            run.log(stage.name, number, **stage.look(run))
        if time.monotonic() - saved >= 60 * report.save_minutes:
            saved = time.monotonic()
            _save(run, optimizer, Progress(stage.name, number + 1))
    stage.finish(run)
    _save(run, optimizer, end)


def fill(run: Run, stage: Stage, start: int) -> None:
    """Compute the features of what the steps from `start` on draw, each process its share.

    Past the dense steps few encoders are chosen: what those need is computed when it is needed.
    """

    def drawn(end: int) -> Iterator[Sound]:
        return (one for number in range(start, end) for one in stage.sampler.step(number))

    dev, steps = run.dev if run.config.report.dev_every else [], stage.settings.steps
    _fill(run, chain(dev, drawn(steps)), weak=False)
    _fill(run, drawn(min(stage.dense_steps, steps)), weak=True)


def _fill(run: Run, sounds: Iterable[Sound], *, weak: bool) -> None:
    heard = (one for one in sounds if one.example.audio is not None)
    once = list({(one.example.clip, one.version): one for one in heard}.values())
    run.store.fill(once[run.accelerator.process_index :: run.accelerator.num_processes], weak=weak)
    run.accelerator.wait_for_everyone()


def backward(
    run: Run, stage: Stage, module: nn.Module, number: int
) -> tuple[dict[str, Tensor], int]:
    """Add up the gradients of a step.

    Returns:
        Its loss by part, and how many tokens this process read.
    """
    accelerator, control = run.accelerator, stage.control(number)
    dealt = stage.micro_batches(run, number)
    if not run.model.training:  # it has a thousand modules, so it is left on between steps
        run.model.train()
    batches = []
    for index, sounds in dealt:
        with seeded(run.config.seed, index), accelerator.autocast():
            batches.append(stage.step.prepare(sounds, alone=len(dealt) == 1))
    sums = torch.stack([batch.sums for batch in batches]).sum(dim=0)
    whole = stage.step.whole(accelerator.reduce(sums, "sum"))
    losses: list[AnyLoss] = []
    for (index, _), batch in zip(dealt, batches, strict=True):
        last = batch is batches[-1]  # gradients meet once a step
        with nullcontext() if last else accelerator.no_sync(module):
            with seeded(run.config.seed, index), accelerator.autocast():
                loss: AnyLoss = module(batch, whole, control, index)
            # processes average their gradients, and shares are to be added
            accelerator.backward(loss.total * accelerator.num_processes)
        losses.append(loss)
    return _added(losses, whole), sum(loss.tokens for loss in losses)


def _added(losses: Sequence[AnyLoss], whole: Whole | HearingWhole) -> dict[str, Tensor]:
    """The loss of a step by part, shares of this process; with what all processes chose."""
    parts = [loss.parts() for loss in losses]
    found = {name: torch.stack([one[name] for one in parts]).sum() for name in parts[0]}
    return found | ({"usage": whole.routing.average} if len(whole.routing.average) else {})


def summed(run: Run, found: dict[str, Tensor]) -> dict[str, Any]:
    """Shares of all processes as numbers."""
    usage = {"usage": found.pop("usage").tolist()} if "usage" in found else {}
    total = run.accelerator.reduce(torch.stack(list(found.values())), "sum")
    return dict(zip(found, total.tolist(), strict=True)) | usage


def _save(run: Run, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    if run.accelerator.is_main_process:
        save_progress(run.checkpoint, run.model, optimizer, progress)


def _descend(run: Run, optimizer: torch.optim.Optimizer) -> None:
    trained = [one for group in optimizer.param_groups for one in group["params"]]
    run.accelerator.clip_grad_norm_(trained, run.config.optimizer.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@contextmanager
def seeded(seed: int, index: int) -> Iterator[None]:
    """Random numbers drawn from a micro-batch's own number, whatever ran before."""
    number = seed * 1_000_003 + index
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(number)  # `manual_seed` looks for every kind of device
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(number)
        yield

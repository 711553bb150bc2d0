"""Two stages: alignment (optional), then the paper's loss with routers, adapter and LoRA.

Each step is a function of the seed and its number, so a run that was killed continues exactly.
"""

import math
import random
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mowe.data.features import Sound
from mowe.data.manifest import Example
from mowe.data.sampling import limited, mixed_batch, with_follow_ups
from mowe.model import Features, MoWEModel
from mowe.model.control import RoutingControl
from mowe.model.routing import Routing, RoutingLoss
from mowe.training.config import TrainingConfig
from mowe.training.dev import dev_losses, dev_naming
from mowe.training.run import (
    Progress,
    Run,
    build_run,
    load_optimizer,
    load_progress,
    save_progress,
)
from mowe.training.steps import AlignLoss, AlignStep, MixtureStep, StepLoss


def train(config: TrainingConfig) -> Path:
    """Run, or continue, a training; returns the folder of the finished checkpoint.

    Raises:
        ManifestError: If the manifest is wrong.
        ConfigError: If settings and manifest do not fit.
        WeightsError: If a component cannot be fetched.
        AudioError: If a recording of the manifest cannot be used.
    """
    run = build_run(config)
    progress = load_progress(run)
    if progress.stage == "align":
        align(run, progress)
        progress = Progress(stage="mixture")
    if config.steps:
        mix(run, progress)
    run.model.eval()
    final = config.output / "final"
    if run.accelerator.is_main_process:
        run.model.save_pretrained(final)
    return final


def align(run: Run, progress: Progress) -> None:
    """Teach the adapter to name sounds and labels."""
    config = run.config
    optimizer = _optimizer(run, _groups(_align_rooms(run)), progress)
    module = run.accelerator.prepare(AlignStep(run.model, config.mask_share))
    clock = _Clock(config.save_minutes)
    for step in range(progress.step, config.align_steps):
        _set_rate(optimizer, step, config.align_steps, config.warmup)
        control = RoutingControl(dense=True) if step < config.dense_steps else None
        for part in range(config.accumulate):
            losses, features = _align_step(run, module, step * config.accumulate + part, control)
            run.accelerator.backward(losses.total / config.accumulate)
        _descend(run, optimizer)
        if step % config.log_every == 0:
            parts = {"loss": losses.total, "naming": losses.naming}
            report = _report(parts, losses.routing, features.routing)
            run.log("align", step, **report, seconds=clock.lap())
        if config.dev_every and (step + 1) % config.dev_every == 0:
            run.log("align", step, **dev_naming(run))
        if clock.due():
            save_progress(run, optimizer, Progress("align", step + 1))
    save_progress(run, optimizer, Progress("mixture", 0))


def _align_rooms(run: Run) -> list[tuple[nn.Module | None, float]]:
    """What an alignment trains, each with its peak rate; base features are computed ahead."""
    config, model = run.config, run.model
    named = [one for task in config.name_tasks for one in run.groups[task]]
    # What the routers choose is computed when it is chosen.
    _fill(run, _all_versions(config, named), weak=False)
    return [
        (model.adapter, config.align_rate),
        (model.fusion, config.align_rate),
        (model.router, config.router_rate),
    ]


def _align_step(
    run: Run, module: nn.Module, micro_step: int, control: RoutingControl | None
) -> tuple[AlignLoss, Features]:
    config, index = run.config, _index(run, micro_step)
    groups = {task: run.groups[task] for task in config.name_tasks}
    weights = {task: config.task_weights.get(task, 1.0) for task in groups}
    # Not by length: a batch of one length is a batch of one task, and diversity needs all of them.
    batch = mixed_batch(groups, weights, config.name_batch, config.seed + 1, index)
    _training(run.model)
    with _step_seed(config.seed, index), run.accelerator.autocast():
        features = run.store.features(batch, control, _versions(config, batch, index))
        losses: AlignLoss = module(features, batch, index)
    return losses, features


def _index(run: Run, micro_step: int) -> int:
    """Number of a batch among those of all processes, so that together they see each one once."""
    return micro_step * run.accelerator.num_processes + run.accelerator.process_index


def _fill(run: Run, sounds: Sequence[Sound], *, weak: bool) -> None:
    """Compute missing features, each process its share."""
    once = list({(one.example.clip, one.version): one for one in sounds}.values())
    run.store.fill(once[run.accelerator.process_index :: run.accelerator.num_processes], weak=weak)
    run.accelerator.wait_for_everyone()


def mix(run: Run, progress: Progress) -> None:
    """The paper's stage: next-token loss on the assistant's words plus the routing loss."""
    config, model = run.config, run.model
    tasks = limited(run.groups, config.examples_per_task, config.seed)
    dense_steps = 0 if config.align_steps else config.dense_steps
    _fill_mixture(run, tasks, range(progress.step, config.steps), dense_steps)
    lora = [one for name, one in model.named_parameters() if ".lora_" in name]
    rooms = [(model.fusion, config.rate), (model.adapter, config.rate)]
    rooms += [(model.router, config.router_rate)] if model.router is not None else []
    groups = [*_groups(rooms), {"params": lora, "peak": config.lora_rate}]
    for parameter in lora:
        parameter.requires_grad_(True)
    optimizer = _optimizer(run, groups, progress)
    module = run.accelerator.prepare(MixtureStep(model, config.naming_weight, config.mask_share))
    clock = _Clock(config.save_minutes)
    for step in range(progress.step, config.steps):
        _set_rate(optimizer, step, config.steps, config.warmup)
        dense = model.router is not None and step < dense_steps
        control = RoutingControl(dense=True) if dense else None
        for part in range(config.accumulate):
            losses = _mixture_step(run, module, tasks, step * config.accumulate + part, control)
            run.accelerator.backward(losses.total / config.accumulate)
        _descend(run, optimizer)
        if step % config.log_every == 0:
            parts = {"loss": losses.total, "next_token": losses.parts.next_token}
            parts["naming"] = losses.naming
            report = _report(parts, losses.parts.routing, losses.heard.routing)
            tokens = losses.tokens * config.accumulate * (config.log_every if step else 1)
            run.log("mixture", step, **report, tokens=tokens, seconds=clock.lap())
        if config.dev_every and (step + 1) % config.dev_every == 0:
            run.log("mixture", step, **dev_losses(run))
        if clock.due():
            save_progress(run, optimizer, Progress("mixture", step + 1))
    save_progress(run, optimizer, Progress("mixture", config.steps))


def _fill_mixture(
    run: Run, tasks: dict[str, list[Example]], steps: range, dense_steps: int
) -> None:
    """Compute the features of the clips that these steps will draw, and of no others.

    Past the dense steps few encoders are chosen: what those need is computed when it is needed.
    """
    config, each = run.config, run.config.accumulate * run.accelerator.num_processes
    sounds: list[list[Sound]] = []
    for index in range(steps.start * each, steps.stop * each):
        batch = [one for one in _mixed(run, tasks, index) if one.audio is not None]
        sounds.append(
            [Sound(*pair) for pair in zip(batch, _versions(config, batch, index), strict=True)]
        )
    dense = sounds[: max(dense_steps - steps.start, 0) * each]
    dev = _all_versions(config, run.dev) if config.dev_every else []
    _fill(run, [*dev, *(sound for batch in sounds for sound in batch)], weak=False)
    if dense:
        _fill(run, [sound for batch in dense for sound in batch], weak=True)


def _mixed(run: Run, tasks: dict[str, list[Example]], index: int) -> list[Example]:
    """Batch `index` of the mixture stage, of all processes' batches."""
    config = run.config

    def follow(example: Example, draw: random.Random) -> Example:
        return with_follow_ups(example, run.siblings, config.follow_ups, draw)

    weights, bucket = config.task_weights, config.bucket
    return mixed_batch(tasks, weights, config.batch, config.seed, index, bucket, follow)


def _mixture_step(
    run: Run,
    module: nn.Module,
    tasks: dict[str, list[Example]],
    micro_step: int,
    control: RoutingControl | None,
) -> StepLoss:
    config, accelerator, index = run.config, run.accelerator, _index(run, micro_step)
    drawn = _mixed(run, tasks, index)
    batch = [example for example in drawn if example.audio is not None]
    silent = [example for example in drawn if example.audio is None]
    _training(run.model)
    with _step_seed(config.seed, index), accelerator.autocast():
        versions = _versions(config, batch, index)
        features = run.store.features(batch, control, versions)
        texts = run.store.texts(batch, versions)
        losses: StepLoss = module(features, batch, silent, index, texts)
    return losses


def _own_version(config: TrainingConfig, example: Example) -> int:
    return zlib.crc32(str(example.clip).encode()) % config.versions


def _is_fixed(config: TrainingConfig, example: Example) -> bool:
    return example.metadata.get("source") in config.fixed_version_sources


def _all_versions(config: TrainingConfig, examples: Sequence[Example]) -> list[Sound]:
    sounds = []
    for example in examples:
        if example.audio is None:
            continue
        if example.metadata.get("split") == "dev":
            versions: Sequence[int] = [0]
        elif _is_fixed(config, example):
            versions = [_own_version(config, example)]
        else:
            versions = range(config.versions)
        sounds += [Sound(example, version) for version in versions]
    return sounds


def _versions(config: TrainingConfig, batch: Sequence[Example], index: int) -> list[int]:
    """The version of each example that a step hears."""
    draw = random.Random(f"{config.seed}:versions:{index}")
    return [
        _own_version(config, one) if _is_fixed(config, one) else draw.randrange(config.versions)
        for one in batch
    ]


def _report(
    parts: dict[str, Tensor], losses: RoutingLoss | None, routing: Routing | None
) -> dict[str, Any]:
    found: dict[str, Any] = {name: value.detach().item() for name, value in parts.items()}
    if losses is not None:
        named = losses._asdict()
        found["routing"] = named.pop("total").item()
        found |= {name: value.item() for name, value in named.items()}
    if routing is not None and routing.dependent is not None:
        found["usage"] = routing.dependent.detach().mean(dim=0).tolist()
    return found


def _groups(rooms: Sequence[tuple[nn.Module | None, float]]) -> list[dict[str, Any]]:
    groups = []
    for room, peak in rooms:
        parameters = [] if room is None else list(room.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        groups.append({"params": parameters, "peak": peak})
    return groups


def _optimizer(run: Run, groups: list[dict[str, Any]], progress: Progress) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=run.config.weight_decay)
    if progress.step:
        load_optimizer(run, optimizer)
    return optimizer


def _set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, warmup: float) -> None:
    """Linear warm-up, then a cosine to a twentieth of the peak."""
    rising = max(round(steps * warmup), 1)
    if step < rising:
        share = (step + 1) / rising
    else:
        share = 0.05 + 0.95 * 0.5 * (
            1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1))
        )
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _descend(run: Run, optimizer: torch.optim.Optimizer) -> None:
    trained = [one for group in optimizer.param_groups for one in group["params"]]
    run.accelerator.clip_grad_norm_(trained, run.config.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@contextmanager
def _step_seed(seed: int, step: int) -> Iterator[None]:
    """Dropout drawn from the step's own number, whatever ran before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed * 1_000_003 + step)
        yield


def _training(model: MoWEModel) -> None:
    """Training mode; a mixture has a thousand modules, so it is left on between steps."""
    if not model.training:
        model.train()


class _Clock:
    """Seconds between log lines, and when a checkpoint is due."""

    def __init__(self, save_minutes: float) -> None:
        self.save_seconds = save_minutes * 60
        self.lapped = self.saved = time.monotonic()

    def lap(self) -> float:
        before, self.lapped = self.lapped, time.monotonic()
        return self.lapped - before

    def due(self) -> bool:
        if time.monotonic() - self.saved < self.save_seconds:
            return False
        self.saved = time.monotonic()
        return True

"""Two stages: alignment by CTC (optional), then the paper's loss with routers, adapter and LoRA.

Each step is a function of the seed and its number, so a run that was killed continues exactly.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from mowe.adapter import AlignedAdapter, token_mask
from mowe.language_model import AUDIO_MARK, Message, Prompt
from mowe.model import Features, Losses, MoWEModel
from mowe.routing import RoutingControl
from mowe.training.align import alignment_loss, base_as_fused, read_aloud, spoken_form
from mowe.training.config import TrainingConfig
from mowe.training.manifest import AUDIO_TAG, Example
from mowe.training.run import (
    TRANSCRIBE,
    Progress,
    Run,
    build_run,
    load_optimizer,
    load_progress,
    save_progress,
)
from mowe.training.sampling import epoch_batch, limited, mixed_batch


class StepLoss(NamedTuple):
    """One step's loss and what it is made of."""

    total: Tensor
    parts: Losses
    alignment: Tensor


class MixtureStep(nn.Module):
    """All that a step trains, in one forward pass that can be wrapped for many processes."""

    def __init__(self, model: MoWEModel, ctc_weight: float) -> None:
        """Wrap a mixture; `ctc_weight` is the share of the alignment loss that is kept."""
        super().__init__()
        self.model, self.ctc_weight = model, ctc_weight

    def forward(
        self, features: Features, prompts: Sequence[Prompt], targets: Sequence[Sequence[int]]
    ) -> StepLoss:
        """Fuse, adapt, and score the assistant's words."""
        heard = self.model.adapt(features)
        parts = self.model(heard, prompts)
        alignment = parts.total.new_zeros(())
        if self.ctc_weight and any(targets) and isinstance(self.model.adapter, AlignedAdapter):
            fused = self.model.fuse(features)
            mask = features.base.mask
            alignment = alignment_loss(self.model.adapter, fused, mask, targets)
        return StepLoss(parts.total + self.ctc_weight * alignment, parts, alignment)


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
    mix(run, progress)
    final = config.output / "final"
    if run.accelerator.is_main_process:
        run.model.save_pretrained(final)
    return final


def align(run: Run, progress: Progress) -> None:
    """Teach the aligned adapter to read base features as text pieces."""
    config, adapter = run.config, run.model.adapter
    assert isinstance(adapter, AlignedAdapter)
    assert run.pieces is not None
    speech = run.groups[TRANSCRIBE]
    run.store.fill(speech, weak=False)
    trained = [one for name, one in adapter.named_parameters() if not name.startswith("residual")]
    groups = [{"params": trained, "peak": config.align_rate}]
    optimizer = _optimizer(run, groups, progress)
    fused_dim = run.model.base_encoder.dim + run.model.routers * run.model.config.weak_dim
    clock = _Clock(config.save_minutes)
    for step in range(progress.step, config.align_steps):
        _set_rate(optimizer, step, config.align_steps, config.warmup)
        batch = epoch_batch(speech, config.align_batch, config.seed, step)
        with _step_seed(config.seed, step), _training(run.model), run.accelerator.autocast():
            base = run.store.base(batch)
            targets = [run.pieces.encode(example.answer) for example in batch]
            loss = alignment_loss(adapter, base_as_fused(base, fused_dim), base.mask, targets)
        _descend(run, optimizer, loss, trained)
        if step % config.log_every == 0:
            run.log(stage="align", step=step, loss=loss.item(), seconds=clock.lap())
        if config.dev_every and (step + 1) % config.dev_every == 0:
            run.log(stage="align", step=step, **dev_reading(run, fused_dim))
        if clock.due():
            save_progress(run, optimizer, Progress("align", step + 1))
    save_progress(run, optimizer, Progress("mixture", 0))


def dev_reading(run: Run, fused_dim: int) -> dict[str, Any]:
    """Word error rate of the adapter's own greedy reading of the dev transcripts."""
    speech = [example for example in run.dev if example.task == TRANSCRIBE]
    if not speech or run.pieces is None:
        return {}
    assert isinstance(run.model.adapter, AlignedAdapter)
    base = run.store.base(speech)
    run.model.eval()
    heard = read_aloud(run.model.adapter, base_as_fused(base, fused_dim), base.mask, run.pieces)
    wanted = [spoken_form(example.answer).split() for example in speech]
    wrong = sum(AF.edit_distance(a.split(), b) for a, b in zip(heard, wanted, strict=True))
    rate = wrong / max(sum(map(len, wanted)), 1)
    return {"dev_reading_wer": rate, "heard": heard[0], "wanted": " ".join(wanted[0])}


def mix(run: Run, progress: Progress) -> None:
    """The paper's stage: next-token loss on the assistant's words plus the routing loss."""
    config = run.config
    groups_by_task = limited(run.groups, config.examples_per_task, config.seed)
    seen = [one for group in groups_by_task.values() for one in group]
    # Past the dense steps few encoders are chosen: what those need is computed when it is needed.
    run.store.fill([*seen, *run.dev], weak=progress.step < config.dense_steps)
    lora = [one for name, one in run.model.named_parameters() if ".lora_" in name]
    rooms = [run.model.router, run.model.fusion, run.model.adapter]
    own = [one for room in rooms if room is not None for one in room.parameters()]
    for parameter in (*lora, *own):
        parameter.requires_grad_(True)
    groups = [{"params": own, "peak": config.rate}, {"params": lora, "peak": config.lora_rate}]
    optimizer = _optimizer(run, groups, progress)
    step_module = run.accelerator.prepare(MixtureStep(run.model, config.ctc_weight))
    clock = _Clock(config.save_minutes)
    for step in range(progress.step, config.steps):
        _set_rate(optimizer, step, config.steps, config.warmup)
        control = RoutingControl(dense=True) if _is_dense(run, step) else None
        for part in range(config.accumulate):
            losses = _mixture_step(run, step_module, groups_by_task, step, part, control)
            run.accelerator.backward(losses.total / config.accumulate)
        run.accelerator.clip_grad_norm_([*own, *lora], config.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % config.log_every == 0:
            run.log(stage="mixture", step=step, **_report(losses), seconds=clock.lap())
        if config.dev_every and (step + 1) % config.dev_every == 0:
            run.log(stage="mixture", step=step, **dev_losses(run))
        if clock.due():
            save_progress(run, optimizer, Progress("mixture", step + 1))
    save_progress(run, optimizer, Progress("mixture", config.steps))


def _mixture_step(
    run: Run,
    module: nn.Module,
    groups: dict[str, list[Example]],
    step: int,
    part: int,
    control: RoutingControl | None,
) -> StepLoss:
    config, accelerator = run.config, run.accelerator
    index = (step * config.accumulate + part) * accelerator.num_processes
    index += accelerator.process_index
    batch = mixed_batch(groups, config.task_weights, config.batch, config.seed, index)
    with _step_seed(config.seed, index), _training(run.model), accelerator.autocast():
        features = run.store.features(batch, control)
        asked = prompts(run.model, batch, features.base.mask)
        losses: StepLoss = module(features, asked, _targets(run, batch))
    return losses


def prompts(model: MoWEModel, batch: Sequence[Example], base_mask: Tensor) -> list[Prompt]:
    """Each example's conversation as ids and labels, with places for its audio tokens.

    Args:
        model: Its adapter says how many base frames make a token.
        batch: The examples.
        base_mask: Real base frames, bool `(batch, frames)`.
    """
    counts = token_mask(base_mask, model.config.adapter.frames_per_token).sum(dim=1).tolist()
    return [
        model.language_model.prompt(_messages(example), [count], reply=False)
        for example, count in zip(batch, counts, strict=True)
    ]


def _messages(example: Example) -> list[Message]:
    (role, first), *later = example.messages
    if AUDIO_TAG not in first:
        first = f"{AUDIO_TAG} {first}"
    opened = first.replace(f"{AUDIO_TAG} ", AUDIO_MARK).replace(AUDIO_TAG, AUDIO_MARK)
    return [Message(role, opened), *(Message(*turn) for turn in later)]


def _targets(run: Run, batch: Sequence[Example]) -> list[list[int]]:
    if run.pieces is None:
        return [[] for _ in batch]
    return [run.pieces.encode(one.answer) if one.task == TRANSCRIBE else [] for one in batch]


@torch.no_grad()
def dev_losses(run: Run) -> dict[str, float]:
    """Next-token loss of each task on the dev examples, in nats, under the learned routing."""
    run.model.eval()
    found: dict[str, float] = {}
    for task in sorted({example.task for example in run.dev}):
        batch = [example for example in run.dev if example.task == task][: run.config.batch]
        with run.accelerator.autocast():
            features = run.store.features(batch, None)
            asked = prompts(run.model, batch, features.base.mask)
            loss = run.model(run.model.adapt(features), asked).next_token
        found[f"dev_{task}"] = loss.item()
    return found


def _report(losses: StepLoss) -> dict[str, float]:
    parts = {"loss": losses.total, "next_token": losses.parts.next_token, "ctc": losses.alignment}
    if losses.parts.routing is not None:
        parts |= losses.parts.routing._asdict() | {"routing": losses.parts.routing.total}
        del parts["total"]
    return {name: value.detach().item() for name, value in parts.items()}


def _is_dense(run: Run, step: int) -> bool:
    return run.model.router is not None and step < run.config.dense_steps


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


def _descend(
    run: Run, optimizer: torch.optim.Optimizer, loss: Tensor, trained: list[nn.Parameter]
) -> None:
    run.accelerator.backward(loss)
    run.accelerator.clip_grad_norm_(trained, run.config.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@contextmanager
def _step_seed(seed: int, step: int) -> Iterator[None]:
    """Dropout drawn from the step's own number, whatever ran before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed * 1_000_003 + step)
        yield


@contextmanager
def _training(model: MoWEModel) -> Iterator[None]:
    model.train()
    yield
    model.eval()


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

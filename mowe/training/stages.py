"""The two stages of a run: what each draws, what it trains at which rates, how it is looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, islice

import torch

from mowe.data.manifest import Example
from mowe.data.sampling import Sound, StepSampler, Telling, by_clip, limited, micro_batches
from mowe.model.control import RoutingControl
from mowe.training.config import PretrainingConfig, TuningConfig
from mowe.training.dev import calibrate, dev_hearing, dev_losses, dev_naming
from mowe.training.hearing import FITTED, HearingStep, fit_heads
from mowe.training.optimizer import build_optimizer
from mowe.training.run import Run
from mowe.training.state import PRETRAINING, TUNING
from mowe.training.steps import Step

StageConfig = PretrainingConfig | TuningConfig


@dataclass(frozen=True)
class Stage:
    """A stretch of a run with one loss."""

    name: str
    settings: StageConfig
    dense_steps: int  # first steps, in which every weak encoder runs
    sampler: StepSampler
    step: Step | HearingStep
    optimizer: torch.optim.Optimizer
    look: Callable[[Run], dict[str, float]]  # at the development split
    finish: Callable[[Run], None] = lambda _: None  # before the last checkpoint of the stage

    def control(self, number: int) -> RoutingControl | None:
        """Routing overrides of a step."""
        return RoutingControl(dense=True) if number < self.dense_steps else None

    def micro_batches(self, run: Run, number: int) -> list[tuple[int, list[Sound]]]:
        """This process's micro-batches of a step, each with its number among all of the stage."""
        processes = run.accelerator.num_processes
        count = self.settings.accumulate * processes
        dealt = micro_batches(self.sampler.step(number), count)
        own = range(run.accelerator.process_index, count, processes)  # neighbours in length
        return [(number * count + place, dealt[place]) for place in own]


def build_stage(run: Run, name: str) -> Stage:
    """A stage by its name."""
    return {PRETRAINING: _pretraining, TUNING: _tuning}[name](run)


def _pretraining(run: Run) -> Stage:
    """Without the language model: heads learn to hear, or an adapter to name."""
    config, own = run.config, run.config.pretraining
    named = {task: [one for one in run.groups[task] if one.audio is not None] for task in own.tasks}
    if run.model.heads is not None:
        parts = own.accumulate * run.accelerator.num_processes
        sampler = _sampler(run, own, named, config.seed + 1)
        if not run.model.heads.fitted:  # else a run is taken up again
            fit_heads(run.model, run.store, islice(drawn(sampler), FITTED))
        return Stage(
            name=PRETRAINING,
            settings=own,
            dense_steps=own.steps,  # every encoder is tried
            sampler=sampler,
            step=HearingStep(run.model, run.store, own.steps, parts),
            optimizer=_optimizer(run, own.rate, heads=own.rate),
            look=dev_hearing,
            finish=calibrate,
        )
    return Stage(
        name=PRETRAINING,
        settings=own,
        dense_steps=config.dense_steps,
        sampler=_sampler(run, own, named, config.seed + 1),
        step=_step(run, reads=False, naming_weight=1.0),
        optimizer=_optimizer(run, own.rate),
        look=dev_naming,
    )


def _tuning(run: Run) -> Stage:
    """The paper's loss: the next token of the assistant's words, plus the routing loss."""
    config, own = run.config, run.config.tuning
    weights = config.data.task_weights
    drawn = chain(*(group for task, group in run.groups.items() if weights.get(task, 1.0) > 0))
    groups = limited(run.groups, own.examples_per_task, config.seed)
    sampler = _sampler(run, own, groups, config.seed)
    return Stage(
        name=TUNING,
        settings=own,
        dense_steps=0 if config.pretraining.steps else config.dense_steps,
        sampler=replace(
            sampler,
            siblings=by_clip(drawn),
            follow_ups=own.follow_ups,
            telling=Telling(
                without=own.without_hints, wrong=own.wrong_hints, always=own.hinted_tasks
            ),
        ),
        step=_step(run, reads=True, naming_weight=own.naming_weight),
        optimizer=_optimizer(run, config.optimizer.rate, lora=config.optimizer.lora_rate),
        look=dev_losses,
    )


def drawn(sampler: StepSampler) -> Iterator[Sound]:
    """Everything that is drawn, from the first step on."""
    return (sound for number in count() for sound in sampler.step(number))


def _sampler(
    run: Run, own: StageConfig, groups: dict[str, list[Example]], seed: int
) -> StepSampler:
    data = run.config.data
    return StepSampler(
        groups=groups,
        weights=data.task_weights,
        size=own.batch * own.accumulate * run.accelerator.num_processes,
        seed=seed,
        versions=data.versions,
        fixed_version_sources=data.fixed_version_sources,
    )


def _step(run: Run, *, reads: bool, naming_weight: float) -> Step:
    share, names = run.config.data.mask_share, run.names
    return Step(run.model, run.store, reads, names, naming_weight, mask_share=share)


def _optimizer(run: Run, rate: float, **more: float) -> torch.optim.Optimizer:
    rates = run.config.optimizer
    peaks = {"fusion": rate, "adapter": rate, **more}
    peaks |= {"router": rates.router_rate, "independent": rates.independent_rate}
    peaks["encoders"] = rates.encoder_rate
    return build_optimizer(run.model, run.config.train, peaks, rates.weight_decay)

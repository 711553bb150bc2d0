"""What a training run is made of, and how it is written to disk and taken up again."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env
from safetensors.torch import load_file, save_file

from mowe.checkpoint import MoWE, fast_dtype, load_trained, read_config, read_trained
from mowe.config import MoWEConfig, from_dict
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import by_clip, by_task, check_task_weights, limited, repeated
from mowe.errors import CheckpointError, ConfigError
from mowe.hints.naming import NamingAdapter
from mowe.presets import preset
from mowe.training.align import known_names
from mowe.training.config import TrainingConfig, config_to_json, without_missing
from mowe.training.logs import TrainingLog

TRANSCRIBE = "transcribe"
_PROGRESS, _WEIGHTS, _OPTIMIZER = "progress.json", "trained.safetensors", "optimizer.pt"
_NEEDED_BYTES = 2_000_000_000  # room for checkpoints and the first features


@dataclass(frozen=True)
class Progress:
    """How far a run is; `step` counts optimizer steps of its stage."""

    stage: str = "align"  # "align" or "mixture"
    step: int = 0


@dataclass(frozen=True)
class Run:
    """A built run."""

    config: TrainingConfig
    accelerator: Accelerator
    model: MoWE
    store: FeatureStore
    groups: dict[str, list[Example]]
    siblings: dict[Any, list[Example]]  # training examples with a task weight, by clip
    dev: list[Example]
    reports: TrainingLog

    @property
    def checkpoint(self) -> Path:
        """Folder of the latest checkpoint."""
        return self.config.output / "checkpoint"

    def log(self, stage: str, step: int, **scalars: Any) -> None:
        """Report a step; main process only."""
        if self.accelerator.is_main_process:
            self.reports.write(stage, step, **scalars)


def build_run(config: TrainingConfig) -> Run:
    """Read the manifest, build the mixture, open the feature store.

    Raises:
        ManifestError: If the manifest is wrong.
        ConfigError: If settings and manifest do not fit, or the disk is too full.
        WeightsError: If a component cannot be fetched.
    """
    examples = read_manifest(config.manifest, split="train")
    groups = by_task(examples)
    if missing := [task for task in config.optional_tasks if task not in groups]:
        print(f"no example of {', '.join(missing)}: left out of this run", file=sys.stderr)
        config = without_missing(config, groups)
    if config.repeats:
        groups[TRANSCRIBE] = repeated(groups.get(TRANSCRIBE, []), config.repeats)
    check_task_weights(groups, config.task_weights)
    config.output.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(config.output).free
    if free < _NEEDED_BYTES:
        raise ConfigError(f"{config.output} has {free / 1e9:.1f} GB free, needs at least 2 GB")
    accelerator = Accelerator(
        mixed_precision=_precision(config.mixed_precision, _device()),
        gradient_accumulation_steps=config.accumulate,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    mixture = _mixture(config, groups)
    if config.align_steps and mixture.adapter.kind != "naming":
        raise ConfigError(f"preset {config.preset!r} has no naming adapter: set align_steps to 0")
    model = MoWE.from_config(mixture, device=str(accelerator.device))
    if config.start is not None:
        load_trained(model, read_trained(config.start))
    elif isinstance(model.adapter, NamingAdapter):
        rows = model.language_model.embedding.weight.detach().float()
        model.adapter.text_length.copy_(rows.norm(dim=-1).mean())
    (config.output / "config.json").write_text(config_to_json(config), encoding="utf-8")
    store = FeatureStore(model, config.feature_folder)
    reports = TrainingLog(config.output, model.encoder_names)
    drawn = (one for one in examples if config.task_weights.get(one.task, 1.0) > 0)
    siblings = by_clip(drawn) if config.follow_ups else {}
    dev = _dev(config)
    return Run(config, accelerator, model, store, groups, siblings, dev, reports)


def _device() -> str:
    """The kind of device that accelerate will choose; its own state must not be made before it."""
    cuda = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    return "cuda" if cuda else "cpu"


def _precision(asked: str, device: str) -> str:
    """What is asked for; float32, with a line, where the hardware only imitates bfloat16."""
    if asked != "bf16" or fast_dtype(device) == torch.bfloat16:
        return asked
    print(
        f"this {device} only imitates bfloat16, many times slower than float32: "
        "training in float32 instead",
        file=sys.stderr,
    )
    return "no"


def read_mixture(name: str) -> MoWEConfig:
    """A preset by name, or a mixture of one's own from a `.json` file.

    Raises:
        ConfigError: If there is no such preset, or the file is no mixture.
    """
    if not name.endswith(".json"):
        return preset(name)
    try:
        return from_dict(json.loads(Path(name).read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{Path(name).name} is not a mixture config: {error}") from error


def _mixture(config: TrainingConfig, groups: dict[str, list[Example]]) -> MoWEConfig:
    mixture = read_mixture(config.preset)
    if mixture.adapter.kind != "naming":
        return mixture
    if config.start is not None:
        return _started(config.start, mixture)
    events, names = known_names(groups, config.name_tasks)
    adapter = replace(
        mixture.adapter,
        events=tuple(events),
        names={name: tuple(labels) for name, labels in names.items()},
    )
    return replace(mixture, adapter=adapter)


def _started(start: Path, mixture: MoWEConfig) -> MoWEConfig:
    """The mixture of the checkpoint that a run starts from, with what it learnt to tell apart."""
    found = read_config(start)
    fresh = replace(found.adapter, events=(), names={}, statistics=(), decoded=False)
    if replace(found, adapter=fresh) != mixture:
        raise ConfigError(f"{start} holds another mixture ({found.preset!r}) than this run's")
    return found


def _dev(config: TrainingConfig) -> list[Example]:
    """A fixed draw from the dev split, every task alike."""
    lines = read_manifest(config.manifest)
    dev = [one for one in lines if one.metadata.get("split") == "dev" and one.audio is not None]
    per_task = max(config.dev_examples // max(len(by_task(dev)), 1), 1)
    drawn = limited(by_task(dev), per_task, config.seed)
    return [example for group in drawn.values() for example in group]


def save_progress(run: Run, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write a checkpoint that `load_progress` continues exactly, replacing the one before."""
    if not run.accelerator.is_main_process:
        return
    partial = run.checkpoint.with_suffix(f".{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    trained = run.model.trained_state()
    state = {name: one.detach().cpu().contiguous() for name, one in trained.items()}
    save_file(state, partial / _WEIGHTS)
    torch.save(optimizer.state_dict(), partial / _OPTIMIZER)
    (partial / _PROGRESS).write_text(json.dumps(vars(progress)), encoding="utf-8")
    old = run.checkpoint.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if run.checkpoint.is_dir():
        run.checkpoint.rename(old)
    partial.rename(run.checkpoint)
    shutil.rmtree(old, ignore_errors=True)


def load_progress(run: Run) -> Progress:
    """Take up the latest checkpoint's weights; a run without one starts at the beginning.

    Raises:
        CheckpointError: If the checkpoint does not fit this run.
    """
    folder = run.checkpoint if run.checkpoint.is_dir() else run.checkpoint.with_suffix(".old")
    if not folder.is_dir():
        return Progress(stage="align" if run.config.align_steps else "mixture")
    load_trained(run.model, load_file(folder / _WEIGHTS))
    return Progress(**json.loads((folder / _PROGRESS).read_text(encoding="utf-8")))


def load_optimizer(run: Run, optimizer: torch.optim.Optimizer) -> None:
    """Take up the latest checkpoint's optimizer state.

    Raises:
        CheckpointError: If it belongs to other parameters.
    """
    folder = run.checkpoint if run.checkpoint.is_dir() else run.checkpoint.with_suffix(".old")
    state = torch.load(folder / _OPTIMIZER, weights_only=True, map_location="cpu")
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f"the optimizer state does not fit this run: {error}") from error

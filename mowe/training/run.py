"""What a training run is made of."""

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env

from mowe.checkpoint import HEADS, MoWE, fast_dtype, load_trained, read_config, read_trained
from mowe.config import HintsConfig, MoWEConfig, NamingConfig, from_dict
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import Sound, by_task, check_task_weights, limited, upsampled
from mowe.data.tasks import TRANSCRIBE
from mowe.errors import ConfigError
from mowe.files import read_json
from mowe.presets import preset
from mowe.training.align import known_names
from mowe.training.config import TrainingConfig, config_to_json, without_missing
from mowe.training.logs import TrainingLog
from mowe.training.targets import known_hints

_NEEDED_BYTES = 2_000_000_000  # room for checkpoints and the first features


@dataclass(frozen=True)
class Run:
    """A built run."""

    config: TrainingConfig
    accelerator: Accelerator
    model: MoWE
    store: FeatureStore
    groups: dict[str, list[Example]]  # training examples by task
    dev: list[Sound]
    reports: TrainingLog

    @property
    def names(self) -> NamingConfig | None:
        """What the adapter learns to name; None of an adapter that names nothing."""
        adapter = self.model.config.adapter
        return adapter if isinstance(adapter, NamingConfig) else None

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
        ManifestError: If the manifest is wrong, or a clip longer than the base encoder takes.
        ConfigError: If settings and manifest do not fit, or the disk is too full.
        WeightsError: If a component cannot be fetched.
    """
    mixture = read_mixture(config.preset)
    examples = read_manifest(config.data.manifest, max_seconds=mixture.window_seconds)
    groups = by_task([one for one in examples if one.metadata.get("split", "train") == "train"])
    if not groups:
        raise ConfigError(f"{config.data.manifest.name} holds no example of the split 'train'")
    if missing := [task for task in config.data.optional_tasks if task not in groups]:
        print(f"no example of {', '.join(missing)}: left out of this run", file=sys.stderr)
        config = without_missing(config, groups)
    if config.data.upsampling:
        groups[TRANSCRIBE] = upsampled(groups.get(TRANSCRIBE, []), config.data.upsampling)
    check_task_weights(groups, config.data.task_weights)
    named = isinstance(mixture.adapter, NamingConfig)
    if config.pretraining.steps and not named and not mixture.hints.heads:
        raise ConfigError(
            f"preset {config.preset!r} has neither a naming adapter nor heads: set "
            "pretraining.steps to 0"
        )
    accelerator = Accelerator(
        mixed_precision=_precision(config.mixed_precision, _device()),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    model = _model(config, _with_names(mixture, config, groups), str(accelerator.device))
    _open_folder(config)
    store = FeatureStore(model, config.features)
    reports = TrainingLog(config.output, model.encoder_names)
    return Run(config, accelerator, model, store, groups, _dev(config, examples), reports)


def _model(config: TrainingConfig, mixture: MoWEConfig, device: str) -> MoWE:
    model = MoWE.from_config(mixture, device=device)
    if config.start is not None:
        state = read_trained(config.start)
        if model.heads is None:  # they taught the routers, and are left behind
            state = {name: one for name, one in state.items() if not name.startswith(HEADS)}
        load_trained(model, state)
    elif isinstance(mixture.adapter, NamingConfig):
        rows = model.language_model.embedding.weight.detach().float()
        model.adapter.get_buffer("text_length").copy_(rows.norm(dim=-1).mean())
    return model


def _open_folder(config: TrainingConfig) -> None:
    config.output.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(config.output).free
    if free < _NEEDED_BYTES:
        raise ConfigError(f"{config.output} has {free / 1e9:.1f} GB free, needs at least 2 GB")
    (config.output / "config.json").write_text(config_to_json(config), encoding="utf-8")


def _device() -> str:
    """The kind of device that accelerate will choose; its own state must not be made before it."""
    cuda = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    return "cuda" if cuda else "cpu"


def _precision(asked: str, device: str) -> str:
    """What is asked for; float32, with a line, where the hardware only emulates bfloat16."""
    if asked != "bf16" or fast_dtype(device) == torch.bfloat16:
        return asked
    print(
        f"this {device} only emulates bfloat16, many times slower than float32: "
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
    return from_dict(read_json(Path(name), ConfigError, "the config of a mixture is needed"))


def _with_names(
    mixture: MoWEConfig, config: TrainingConfig, groups: dict[str, list[Example]]
) -> MoWEConfig:
    """The mixture with what its adapter shall name, or its heads shall hear."""
    if config.start is not None:
        return _started(config.start, mixture)
    if not isinstance(mixture.adapter, NamingConfig) and not mixture.hints.heads:
        return mixture
    if not isinstance(mixture.adapter, NamingConfig):
        return replace(mixture, hints=known_hints(groups, mixture.hints, config.pretraining.least))
    events, names = known_names(groups, config.pretraining.tasks)
    return replace(mixture, adapter=replace(mixture.adapter, events=events, names=names))


def _started(start: Path, mixture: MoWEConfig) -> MoWEConfig:
    """The mixture of the checkpoint that a run starts from, with what it learnt to tell apart.

    One that tells nothing in text may start from one that does: what its heads taught the routers
    and the projections is kept, the heads are not.
    """
    found = read_config(start)
    if mixture.hints == HintsConfig():
        found = replace(found, preset=mixture.preset, hints=mixture.hints)
    fresh = found.adapter
    if isinstance(fresh, NamingConfig):
        fresh = replace(fresh, events=(), names={}, statistics=(), decoded=False)
    hints = replace(found.hints, sounds={}, labels={})
    if replace(found, adapter=fresh, hints=hints) != mixture:
        raise ConfigError(f"{start} holds another mixture ({found.preset!r}) than this run's")
    return found


def _dev(config: TrainingConfig, examples: list[Example]) -> list[Sound]:
    """A fixed draw from the development split, every task alike."""
    found = by_task([one for one in examples if one.metadata.get("split") == "dev" and one.audio])
    per_task = max(config.report.dev_examples // max(len(found), 1), 1)
    drawn = limited(found, per_task, config.seed)
    return [Sound(example) for group in drawn.values() for example in group]

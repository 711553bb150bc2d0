"""Settings of a training run, read from one JSON file."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mowe.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run: an optional alignment stage, then the paper's loss (docs/TRAINING.md)."""

    manifest: Path
    output: Path  # one folder per run: config, metrics, checkpoints
    preset: str = "mini"  # or the path of a mixture in JSON
    features: Path | None = None  # where frozen features are cached; default: output/features
    start: Path | None = None  # checkpoint folder of an earlier run to begin with
    seed: int = 0
    versions: int = 1  # cached versions of a training clip: itself, the others augmented
    fixed_version_sources: tuple[str, ...] = ()  # their clips exist in one version each, by name
    align_steps: int = 0  # steps before the paper's loss; 0 skips the stage
    align_rate: float = 1e-3  # peak learning rate of the alignment stage
    name_tasks: tuple[str, ...] = ()  # tasks whose sounds and labels the adapter can name
    name_batch: int = 0  # recordings that are named in an alignment step; needs `name_tasks`
    steps: int = 1000  # steps with the paper's loss
    batch: int = 16  # recordings per step and process
    follow_ups: int = 0  # most further questions about the same clip in one conversation
    examples_per_task: int = 0  # of the mixture stage, drawn by seed; 0 takes all
    accumulate: int = 1  # batches per optimizer step
    bucket: int = 8  # batches drawn together and sorted by length; 1 does not sort
    rate: float = 3e-4  # peak learning rate of projections and adapter
    lora_rate: float = 2e-4  # peak learning rate of LoRA
    router_rate: float = 1e-3  # peak learning rate of the routers
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    warmup: float = 0.05  # share of the steps
    dense_steps: int = 200  # first steps with routing, in which every weak encoder runs
    mask_share: float = 0.2  # of a clip that SpecAugment masks at most in one piece; 0 masks none
    naming_weight: float = 0.2  # of the alignment's loss kept beside the paper's
    repeats: Mapping[str, float] = field(default_factory=dict)  # of a source's transcripts
    task_weights: Mapping[str, float] = field(default_factory=dict)  # default 1 for every task
    optional_tasks: tuple[str, ...] = ()  # left out, with a line, where the manifest lacks them
    mixed_precision: str = "bf16"  # or "no", which is also taken where bf16 would be imitated
    log_every: int = 10  # steps
    dev_every: int = 200  # steps; 0 never looks at the dev split
    dev_examples: int = 64
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        _at_least(1, self, "batch", "accumulate", "log_every", "bucket", "versions")
        _at_least(0, self, "align_steps", "steps", "examples_per_task", "dev_every")
        _at_least(0, self, "save_minutes", "name_batch", "follow_ups")
        if self.align_steps and not self.name_batch:
            raise ConfigError("an alignment step needs a name_batch of at least 1, found 0")
        if any(times <= 0 for times in self.repeats.values()):
            raise ConfigError(f"repeats must be above 0, found {dict(self.repeats)}")
        if not 0 <= self.mask_share <= 1:
            raise ConfigError(f"mask_share must be 0 to 1, found {self.mask_share}")
        if self.mixed_precision not in ("bf16", "no"):
            raise ConfigError(f"mixed_precision is 'bf16' or 'no', found {self.mixed_precision!r}")
        if self.name_batch and not self.name_tasks:
            raise ConfigError("name_batch needs name_tasks, found none")
        for name in ("fixed_version_sources", "name_tasks", "optional_tasks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "start", Path(self.start) if self.start else None)
        object.__setattr__(self, "manifest", Path(self.manifest))
        object.__setattr__(self, "output", Path(self.output))
        features = Path(self.features) if self.features else self.output / "features"
        object.__setattr__(self, "features", features)

    @property
    def feature_folder(self) -> Path:
        """Where frozen features are cached."""
        assert self.features is not None
        return self.features


def without_missing(config: TrainingConfig, tasks: Collection[str]) -> TrainingConfig:
    """The config without those of its optional tasks that are not among `tasks`."""
    missing = [task for task in config.optional_tasks if task not in tasks]
    weights = {task: one for task, one in config.task_weights.items() if task not in missing}
    names = tuple(task for task in config.name_tasks if task not in missing)
    return dataclasses.replace(config, task_weights=weights, name_tasks=names)


def _at_least(least: int, config: TrainingConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            wanted = f"{least} or more" if not least else f"at least {least}"
            raise ConfigError(f"{name} must be {wanted}, found {getattr(config, name)}")


def read_training_config(path: Path) -> TrainingConfig:
    """Read a JSON file of `TrainingConfig` fields; relative paths start at the working folder.

    Raises:
        ConfigError: If the file is not JSON, or a field is unknown, missing or out of range.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return TrainingConfig(**fields)
    except (OSError, json.JSONDecodeError, TypeError) as error:
        raise ConfigError(f"{path.name} is not a training config: {error}") from error


def config_to_json(config: TrainingConfig) -> str:
    """The config as JSON text that `read_training_config` reads back."""
    plain = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in dataclasses.asdict(config).items()
    }
    return json.dumps(plain, indent=2) + "\n"

"""Settings of a training run, read from one JSON file (docs/TRAINING.md)."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mowe.errors import ConfigError
from mowe.files import read_json
from mowe.training.settings import SettingsSection, choice, number, numbers, texts, whole

ROOMS = ("router", "fusion", "adapter", "heads", "lora", "encoders")  # what can be trained
# settings that stood beside one another before there were sections
_FLAT = {"manifest", "features", "steps", "batch", "accumulate", "align_steps", "rate", "log_every"}


@dataclass(frozen=True, kw_only=True)
class DataConfig(SettingsSection):
    """Which clips there are, how often each is drawn, and in which versions."""

    SECTION: ClassVar[str] = "data"
    manifest: Path
    features: Path | None = None  # where features are cached; default: features/ of the run
    task_weights: Mapping[str, float] = numbers()  # shares of the examples; 1 by default
    optional_tasks: tuple[str, ...] = texts()  # left out where the manifest lacks them
    upsampling: Mapping[str, float] = numbers(zero=False)  # how often a source's transcripts occur
    versions: int = whole(1, least=1)  # of a training clip: itself, the others augmented
    fixed_version_sources: tuple[str, ...] = texts()  # their clips exist in one version each
    mask_share: float = number(0.2, most=1)  # of a clip that SpecAugment masks at most in one piece


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(SettingsSection):
    """AdamW: peak rates of what is trained, linear warm-up, then a cosine."""

    SECTION: ClassVar[str] = "optimizer"
    rate: float = number(3e-4, zero=False)  # of projections and adapter
    router_rate: float = number(1e-3, zero=False)  # of the data-dependent router
    independent_rate: float = number(1e-3, zero=False)  # of the other one, a number an encoder
    lora_rate: float = number(2e-4, zero=False)
    encoder_rate: float = number(1e-5, zero=False)
    weight_decay: float = number(0.01)
    clip_norm: float = number(1.0, zero=False)  # of the gradient of a step
    warmup: float = number(0.05, most=1)  # share of a stage's steps


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig(SettingsSection):
    """The alignment without a language model, before the paper's loss; ours (decision 0013)."""

    SECTION: ClassVar[str] = "pretraining"
    steps: int = whole(0)  # 0 skips the stage
    batch: int = whole(8, least=1)  # recordings of a micro-batch
    accumulate: int = whole(1, least=1)  # micro-batches of a step, for each process
    rate: float = number(1e-3, zero=False)  # peak, of projections and adapter
    tasks: tuple[str, ...] = texts()  # whose sounds and labels the adapter can name
    least: int = whole(8, least=1)  # recordings of a name or a label that heads learn


@dataclass(frozen=True, kw_only=True)
class TuningConfig(SettingsSection):
    """The paper's loss: the next token of the answers, and the routing."""

    SECTION: ClassVar[str] = "tuning"
    steps: int = whole(1000)  # 0 skips the stage
    batch: int = whole(16, least=1)  # examples of a micro-batch
    accumulate: int = whole(1, least=1)  # micro-batches of a step, for each process
    examples_per_task: int = whole(0)  # drawn by seed; 0 takes all
    follow_ups: int = whole(0)  # most further questions about the same clip in one conversation
    naming_weight: float = number(0.2)  # of the pretraining's loss kept beside the paper's
    without_hints: float = number(0.0, most=1)  # share of the recordings that nothing is told of
    wrong_hints: float = number(0.0, most=1)  # share that is told of another recording
    hinted_tasks: tuple[str, ...] = texts()  # whose recordings are always told of, and rightly

    def __post_init__(self) -> None:
        """Refuse what is not allowed, by itself or together.

        Raises:
            ConfigError: If a setting is out of range, or shares add up to more than 1.
        """
        super().__post_init__()
        if (both := self.without_hints + self.wrong_hints) > 1:
            raise ConfigError(
                "tuning.without_hints and tuning.wrong_hints are shares of the same recordings: "
                f"together at most 1, found {both:g}"
            )


@dataclass(frozen=True, kw_only=True)
class ReportConfig(SettingsSection):
    """When a run says how it does, and when it is saved."""

    SECTION: ClassVar[str] = "report"
    log_every: int = whole(10, least=1)  # steps
    dev_every: int = whole(200)  # steps; 0 never looks at the development split
    dev_examples: int = whole(64, least=1)
    save_minutes: float = number(5.0)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(SettingsSection):
    """One run."""

    output: Path  # one folder per run: config, metrics, checkpoints
    preset: str = "mini"  # or the path of a mixture in JSON
    start: Path | None = None  # checkpoint folder of an earlier run to begin with
    seed: int = whole(0)
    train: tuple[str, ...] = texts(("router", "fusion", "adapter", "heads", "lora"), among=ROOMS)
    dense_steps: int = whole(200)  # first steps with routing, in which every weak encoder runs
    mixed_precision: str = choice("bf16", "bf16", "no")  # "no" also where bf16 would be emulated
    data: DataConfig
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def __post_init__(self) -> None:
        """Refuse what is not allowed, by itself or together.

        Raises:
            ConfigError: If a setting is out of range, or two do not fit.
        """
        super().__post_init__()
        if not isinstance(self.preset, str):
            raise ConfigError(f"preset must be a name or a path, found {self.preset!r}")
        if not self.train:
            raise ConfigError(f"train must name some of {list(ROOMS)}, found none")
        if self.pretraining.steps and not self.pretraining.tasks:
            raise ConfigError("pretraining.tasks must name a task for its steps, found none")
        if self.pretraining.steps and self.train == ("lora",):
            raise ConfigError(
                "pretraining.steps must be 0 where train names LoRA alone, which it does not use, "
                f"found {self.pretraining.steps}"
            )

    @property
    def features(self) -> Path:
        """Where features are cached."""
        return self.data.features or self.output / "features"


def without_missing(config: TrainingConfig, tasks: Collection[str]) -> TrainingConfig:
    """The config without those of its optional tasks that are not among `tasks`."""
    missing = [task for task in config.data.optional_tasks if task not in tasks]
    weights = {task: one for task, one in config.data.task_weights.items() if task not in missing}
    names = tuple(task for task in config.pretraining.tasks if task not in missing)
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, task_weights=weights),
        pretraining=dataclasses.replace(config.pretraining, tasks=names),
    )


def read_training_config(path: Path) -> TrainingConfig:
    """Read a recipe; relative paths in it start at the working folder.

    Raises:
        ConfigError: If the file is not JSON, or a setting is unknown, missing or not allowed.
    """
    plain = read_json(path, ConfigError, "a training recipe is needed")
    if flat := sorted(_FLAT & plain.keys()):
        raise ConfigError(
            f"{path.name} is a recipe of before version 0.2 ({', '.join(flat)}): settings stand in "
            'sections now, see "Recipes of before 0.2" in docs/TRAINING.md'
        )
    try:
        return TrainingConfig.read(plain)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def config_to_json(config: TrainingConfig) -> str:
    """The config as JSON text that `read_training_config` reads back."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"

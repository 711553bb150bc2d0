"""What a mixture is made of: frozen settings and the named presets.

Every choice that the paper (arXiv 2409.06635) leaves open is a field here, with its unit and range.
`docs/decisions/` holds the reasons for the defaults.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mowe.errors import ConfigError
from mowe.files import is_file_name

ROUTERS = ("both", "dependent", "independent", "none")
SMOOTHINGS = ("as-printed", "explore", "off")
TRAININGS = ("none", "lora", "full")
HINTS = ("transcript", "events", "voice")  # what a language model can be told in text


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """One pretrained audio encoder.

    `source` says where its weights come from: `package:NAME` (a pinned component of the weights
    room), `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`, `folder:PATH` (hub layout), or `random`.
    """

    name: str  # unique within a mixture; what people see in charts and tables
    family: str  # one of mowe.encoders.FAMILIES
    source: str
    architecture: Mapping[str, Any] = field(
        default_factory=dict
    )  # sizes, in the family's own terms
    window_seconds: float = 0.0  # pad every input to this length; 0 encodes only what is there
    train: str = "none"  # one of TRAININGS: frozen, LoRA on its linear layers, or every parameter
    lora_rank: int = 8  # of `lora`, 1 or more

    def __post_init__(self) -> None:
        _require(
            is_file_name(self.name),  # it names the folder of its cached features
            f"an encoder's name is one that a folder can have, found {self.name!r}",
        )
        check_source(self.source)
        _require(
            self.train in TRAININGS,
            f"{self.name}: train must be one of {TRAININGS}, found {self.train!r}",
        )
        _require(
            self.lora_rank >= 1, f"{self.name}: lora_rank must be 1 or more, found {self.lora_rank}"
        )
        _require(
            0 <= self.window_seconds <= 30,
            f"{self.name}: window_seconds must be 0 to 30, found {self.window_seconds}",
        )


@dataclass(frozen=True, kw_only=True)
class RoutingConfig:
    """Which routers exist, how many weak encoders they pick, and how training keeps them honest."""

    kind: str = "both"  # one of ROUTERS
    top_k: int = 1  # weak encoders each router picks; 0 means all of them (dense)
    hidden_dim: int = 0  # hidden units of the data-dependent router; 0 means one linear layer
    smoothing: str = "as-printed"  # one of SMOOTHINGS; decision 0003
    smoothing_amount: float = 0.1  # how much smoothing; of `explore` its probability, 0 to 1
    smooth_inference: bool = True  # `as-printed` holds at inference too, for the same scale
    full_weight: bool = False  # picks weigh 1 together, not their probabilities; decision 0029
    loss_weight: float = 0.1  # factor of L_MoWE beside the next-token loss

    def __post_init__(self) -> None:
        _require(self.kind in ROUTERS, f"router kind must be one of {ROUTERS}, found {self.kind!r}")
        _require(
            self.smoothing != "uniform",
            "smoothing 'uniform' is no longer offered: 'off' answers as what was trained with it, "
            "'as-printed' and 'explore' are there to train with",
        )
        _require(
            self.smoothing in SMOOTHINGS,
            f"smoothing must be one of {SMOOTHINGS}, found {self.smoothing!r}",
        )
        _require(
            self.smoothing != "explore" or self.top_k > 0,
            "smoothing 'explore' draws picks, and top_k 0 picks every encoder: take 'off'",
        )
        _require(self.top_k >= 0, f"top_k must be 0 (all) or more, found {self.top_k}")
        _require(
            0 <= self.smoothing_amount <= 1,
            f"smoothing_amount must be 0 to 1, found {self.smoothing_amount}",
        )


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """How fused frames become audio tokens; each kind of adapter has a class with its own fields.

    15 frames at 50 Hz are 100 tokens per 30 s.
    """

    kind: str = field(init=False)
    frames_per_token: int = 15  # base frames joined into one audio token, 1 to 100

    def __post_init__(self) -> None:
        _require(
            1 <= self.frames_per_token <= 100,
            f"frames_per_token must be 1 to 100, found {self.frames_per_token}",
        )


@dataclass(frozen=True, kw_only=True)
class StackConfig(AdapterConfig):
    """Neighbouring frames side by side, then one hidden layer."""

    kind: str = field(default="stack", init=False)
    hidden_dim: int = 2048  # units of the hidden layer


@dataclass(frozen=True, kw_only=True)
class ConvConfig(AdapterConfig):
    """Strided convolutions."""

    kind: str = field(default="conv", init=False)
    hidden_dim: int = 2048  # channels of the convolutions


@dataclass(frozen=True, kw_only=True)
class NamingConfig(AdapterConfig):
    """Strided convolutions, and names for what is heard; ours, not the paper's."""

    kind: str = field(default="naming", init=False)
    residual_dim: int = 256  # channels of the convolutions
    events: tuple[str, ...] = ()  # sounds it can name; none before training
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # other labels, by set
    statistics: tuple[str, ...] = ()  # sets, or `sound`, told from mean and deviation of frames
    decoded: bool = False  # the decoder of `hints.transcript` tells the set `language` (0023)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "events", tuple(self.events))
        sets = {name: tuple(labels) for name, labels in self.names.items()}
        object.__setattr__(self, "names", sets)
        object.__setattr__(self, "statistics", tuple(self.statistics))
        told = [*sets, *(["sound"] if self.events else [])]
        unknown = [name for name in self.statistics if name not in told]
        _require(not unknown, f"statistics names {unknown}, the sets are {told}")
        _require(
            not self.decoded or "language" in sets,
            f"a decoder tells the set `language`, found the sets {list(sets)}",
        )


@dataclass(frozen=True, kw_only=True)
class HintsConfig:
    """What is handed to the language model as text; ours, not the paper's. Empty: no such hint."""

    transcript: str = ""  # source of a Whisper whose decoder fits the base encoder
    activity: str = ""  # source of a voice activity detector; no speech, no transcript
    heads: bool = False  # on fused frames; training finds what they tell in its manifest
    sounds: Mapping[str, str] = field(default_factory=dict)  # names that are told, with their kind
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a whole, by set

    def __post_init__(self) -> None:
        for source in filter(None, (self.transcript, self.activity)):
            check_source(source)
        sets = {name: tuple(labels) for name, labels in self.labels.items()}
        object.__setattr__(self, "labels", sets)
        few = [name for name, labels in sets.items() if len({*labels}) < 2]
        _require(not few, f"hints.labels needs two labels or more of each set, not of {few}")

    @property
    def heard(self) -> bool:
        """Whether heads on the fused frames hear anything."""
        return bool(self.sounds or self.labels)

    @property
    def given(self) -> tuple[str, ...]:
        """Those of `HINTS` that there are."""
        there = (bool(self.transcript), bool(self.sounds), "gender" in self.labels)
        return tuple(name for name, given in zip(HINTS, there, strict=True) if given)


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """The causal language model and its LoRA."""

    source: str
    architecture: Mapping[str, Any] = field(default_factory=dict)  # used when weights are random
    lora_rank: int = 16  # 0 leaves the language model untouched
    lora_alpha: int = 32
    lora_dropout: float = 0.05  # 0 to 1
    lora_targets: tuple[str, ...] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip
    system_prompt: str = "You are a helpful AI assistant."

    def __post_init__(self) -> None:
        check_source(self.source)
        _require(self.lora_rank >= 0, f"lora_rank must be 0 or more, found {self.lora_rank}")
        object.__setattr__(self, "lora_targets", tuple(self.lora_targets))


@dataclass(frozen=True, kw_only=True)
class MoWEConfig:
    """A whole mixture: base encoder, pool of weak encoders, routers, adapter, language model."""

    preset: str
    base_encoder: EncoderConfig
    weak_encoders: tuple[EncoderConfig, ...] = ()
    weak_dim: int = 512  # width every weak encoder is projected to
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    adapter: AdapterConfig = field(default_factory=StackConfig)
    hints: HintsConfig = field(default_factory=HintsConfig)
    language_model: LanguageModelConfig
    window_seconds: float = 30.0  # longer recordings are cut into windows of this length

    def __post_init__(self) -> None:
        object.__setattr__(self, "weak_encoders", tuple(self.weak_encoders))
        names = [encoder.name for encoder in self.weak_encoders]
        repeated = sorted({name for name in names if names.count(name) > 1})
        _require(not repeated, f"weak encoders need different names, found twice: {repeated}")
        _require(
            bool(names) or self.routing.kind == "none",
            f"without weak encoders the router kind must be 'none', found {self.routing.kind!r}",
        )
        _require(
            not (isinstance(self.adapter, NamingConfig) and self.adapter.decoded)
            or bool(self.hints.transcript),
            "adapter.decoded needs a decoder in hints.transcript, found none",
        )
        _require(
            self.routing.top_k <= max(len(names), 1),
            f"top_k must be at most the pool size {len(names)}, found {self.routing.top_k}",
        )

    @property
    def pool_size(self) -> int:
        """M, the number of weak encoders that can be routed to."""
        return 0 if self.routing.kind == "none" else len(self.weak_encoders)

    @property
    def pool(self) -> tuple[EncoderConfig, ...]:
        """The routed weak encoders, in the order of every weight vector."""
        return self.weak_encoders[: self.pool_size]

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Names of the routed weak encoders, in the order of every weight vector."""
        return tuple(encoder.name for encoder in self.pool)

    @property
    def first_copies(self) -> tuple[int, ...]:
        """For each place in the pool the first one with the same frozen encoder, often itself."""
        same = [dataclasses.replace(encoder, name="any", lora_rank=1) for encoder in self.pool]
        return tuple(
            same.index(one) if one.train == "none" and one.source != "random" else place
            for place, one in enumerate(same)
        )

    @property
    def trains_encoders(self) -> bool:
        """Whether an encoder is trained, so that its features cannot be computed once."""
        return any(encoder.train != "none" for encoder in (self.base_encoder, *self.pool))


def check_source(source: str) -> None:
    """Refuse a weight source of an unknown kind.

    Raises:
        ConfigError: If `source` is not `random` and has no known prefix with something behind it.
    """
    kind, _, rest = source.partition(":")
    known = source == "random" or (kind in ("package", "hub", "folder") and bool(rest))
    _require(known, f"a source is package:NAME, hub:ID, folder:PATH or random, found {source!r}")


def to_dict(config: MoWEConfig) -> dict[str, Any]:
    """The config as plain JSON types; `from_dict` reads it back."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


ADAPTERS: Mapping[str, type[AdapterConfig]] = {
    "stack": StackConfig,
    "conv": ConvConfig,
    "naming": NamingConfig,
}
# what checkpoints meant that were written before a field existed
_BEFORE: Mapping[str, Any] = {"smooth_inference": False}
# what an adapter of any kind said in JSON before each kind had its own fields
_ONCE_SHARED: Mapping[str, Any] = {
    "hidden_dim": 2048,
    "residual_dim": 256,
    "events": [],
    "names": {},
    "statistics": [],
    "decoded": False,
}


def _adapter(plain: Mapping[str, Any]) -> AdapterConfig:
    given = {**plain}
    kind = given.pop("kind", "stack")
    _require(kind in ADAPTERS, f"adapter must be one of {tuple(ADAPTERS)}, found {kind!r}")
    own = {one.name for one in dataclasses.fields(ADAPTERS[kind])}
    for name in sorted(_ONCE_SHARED.keys() & given.keys() - own):
        found = given.pop(name)
        _require(
            found == _ONCE_SHARED[name],
            f"adapter.{name} is {found!r}, which an adapter of kind {kind!r} does not have: leave "
            "it out, or name a kind that has it",
        )
    return ADAPTERS[kind](**given)


def from_dict(plain: Mapping[str, Any]) -> MoWEConfig:
    """Rebuild a config from `to_dict`.

    Raises:
        ConfigError: If a field is unknown, missing or out of range.
    """
    try:
        return MoWEConfig(
            **{
                **plain,
                "base_encoder": EncoderConfig(**plain["base_encoder"]),
                "weak_encoders": tuple(EncoderConfig(**one) for one in plain["weak_encoders"]),
                "routing": RoutingConfig(**{**_BEFORE, **plain["routing"]}),
                "adapter": _adapter(plain["adapter"]),
                "hints": HintsConfig(**plain["hints"]),
                "language_model": LanguageModelConfig(**plain["language_model"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"not a mixture config: {error}") from error

"""Arms as data: each says how it differs from the paper's recipe, and nothing else.

`claims` says what they are compared for.
"""

from dataclasses import dataclass, replace

from mowe.presets import MINI

POOL = tuple(one.name for one in MINI.weak_encoders)
STEPS = 400


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of training: some tasks for some steps."""

    tasks: tuple[str, ...] = ()  # empty trains all
    steps: int = STEPS


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A mixture and how it is trained; by default the paper's recipe over the pool of `mini`."""

    name: str
    pool: tuple[str, ...] = POOL
    routers: str = "both"  # as `RoutingConfig.kind`
    always: tuple[tuple[str, ...], ...] = ()  # without routers: the encoders that each slot adds up
    top_k: int = 1
    hidden_dim: int = 0  # of the data-dependent router
    smoothing: str = "as-printed"
    loss_weight: float = 0.1  # of L_MoWE
    entropy: float = 1.0  # factor of Eqs. 7 and 8 in it
    diversity: float = 1.0  # factor of Eq. 9 in it
    micro_batches: int = 1  # over which diversity is averaged; 1 is exact
    join: str = "concat"  # of the slots: concat or sum
    shared: bool = False  # one projection for all encoders
    adapter: str = "stack"  # or "windows", attention with one query a window
    question: bool = False  # the data-dependent router sees the question too
    way: str = "paper"  # how routers learn: a name of `ways.WAYS`
    data: float = 1.0  # share of the training clips
    without: str = ""  # clips whose origin begins so are not trained on
    stretches: tuple[Stretch, ...] = (Stretch(),)
    from_nothing: bool = False  # with a language model: not warmed up at the fast scale
    transcripts: str = "none"  # with a language model: none, beside audio tokens, or alone

    @property
    def fast(self) -> bool:
        """Whether it differs from others without a language model."""
        return not self.from_nothing and self.transcripts == "none"

    @property
    def slots(self) -> int:
        """How many places for weak features stand beside the base's."""
        if self.routers == "none":
            return len(self.always)
        return 1 if self.join == "sum" or self.routers != "both" else 2


PAPER = Arm(name="paper")
BASE_ONLY = Arm(name="base only", pool=(), routers="none")
DENSE = replace(PAPER, name="dense", top_k=0, smoothing="off")
SIDE_BY_SIDE = Arm(name="all side by side", routers="none", always=tuple((name,) for name in POOL))
EXPECTED_EVENLY = replace(PAPER, name="expected loss, evenly", way="expected evenly", diversity=0.0)
TAUGHT = (
    replace(PAPER, name="expected loss", way="expected", diversity=0.0),
    EXPECTED_EVENLY,
    replace(PAPER, name="log-sum of losses", way="log-sum", diversity=0.0),
    replace(PAPER, name="worth as target", way="worth", diversity=0.0),
)
COLD_BASE = replace(BASE_ONLY, name="base only, from nothing", from_nothing=True)
COLD_PAPER = replace(PAPER, name="paper, from nothing", from_nothing=True)
UNIFORM = replace(PAPER, name="uniform picks", way="uniform", loss_weight=0.0)

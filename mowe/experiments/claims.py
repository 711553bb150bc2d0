"""What is claimed, and the arms that bear on it.

Arms that several experiments name are run once.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from mowe.errors import ExperimentError
from mowe.experiments.arms import (
    BASE_ONLY,
    COLD_BASE,
    COLD_PAPER,
    DENSE,
    EXPECTED_EVENLY,
    PAPER,
    POOL,
    SIDE_BY_SIDE,
    STEPS,
    TAUGHT,
    UNIFORM,
    Arm,
    Stretch,
)
from mowe.experiments.bank import COPY, MEL, TWIN
from mowe.experiments.judge import BETTER, EQUAL, WORSE
from mowe.experiments.labelled import FAST

SEEDS_WITH_LANGUAGE_MODEL = 3


class Pair(NamedTuple):
    """Two arms to compare, on some of the held-out clips."""

    first: str
    second: str
    task: str = ""  # empty: all tasks
    source: str = ""  # empty: all sources
    left_out: tuple[str, ...] = ()  # instead: clips of each, heard by arms that did without it

    @property
    def arms(self) -> set[str]:
        """Names of all the arms that it takes."""
        both = (self.first, self.second)
        return {without_name(one, some) for one in both for some in self.left_out} or set(both)

    @property
    def about(self) -> str:
        """Of which clips it is, beside the task."""
        return f"left out in turn: {', '.join(self.left_out)}" if self.left_out else self.source


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A claim, and the arms that it is tested by."""

    name: str
    claim: str  # one sentence that can be false
    against: str  # name of the arm that the others are compared with
    arms: tuple[Arm, ...]  # that one among them
    pairs: tuple[Pair, ...] = ()  # the comparisons it is judged by; empty: each arm's
    expects: str = BETTER  # what the claim says of them: a word of `judge`
    seeds: int = 5
    with_language_model: tuple[str, ...] = ()  # arms that are run at that scale too
    published: str = ""  # what its authors report, with the source

    def at(self, scale: str) -> "Experiment":
        """The experiment at a scale: with a language model fewer arms and seeds.

        Raises:
            ExperimentError: If it has no arms to compare at that scale.
        """
        if scale not in self.scales:
            raise ExperimentError(f"{self.name} has the scales {', '.join(self.scales)}")
        arms = self._of(scale)
        seeds = self.seeds if scale == "fast" else min(self.seeds, SEEDS_WITH_LANGUAGE_MODEL)
        return replace(self, arms=arms, pairs=_among(self.pairs, arms), seeds=seeds)

    @property
    def scales(self) -> tuple[str, ...]:
        """Where it has arms to compare."""
        return tuple(scale for scale in ("fast", "lm") if len(self._of(scale)) > 1)

    def _of(self, scale: str) -> tuple[Arm, ...]:
        named = self.with_language_model
        return tuple(
            arm for arm in self.arms if (arm.fast if scale == "fast" else arm.name in named)
        )

    @property
    def compared(self) -> tuple[Pair, ...]:
        """What the claim is judged by."""
        return self.pairs or self.all_against

    @property
    def all_against(self) -> tuple[Pair, ...]:
        """Every arm beside the one that they are compared with; none where there is none."""
        others = (one.name for one in self.arms if one.name != self.against)
        return tuple(Pair(name, self.against) for name in others if self.against)


def _among(pairs: tuple[Pair, ...], arms: tuple[Arm, ...]) -> tuple[Pair, ...]:
    names = {arm.name for arm in arms}
    return tuple(pair for pair in pairs if pair.arms <= names)


def without_name(name: str, source: str) -> str:
    """What an arm is called that does without some clips."""
    return f"{name}, without {source}"


def _without(arm: Arm, source: str) -> Arm:
    return replace(arm, name=without_name(arm.name, source), without=source)


def _one_of(pool: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if name == old else name for name in pool)


def _copies(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{COPY}{number}" for number in range(1, count + 1))


def _always_one(name: str) -> Arm:
    return Arm(name=f"{name} always on", pool=(name,), routers="none", always=((name,),))


def _pool(*names: str) -> Arm:
    return replace(PAPER, name=f"pool of {len(names)}", pool=names)


def _alone(task: str) -> Arm:
    return replace(PAPER, name=task, stretches=_stretches((task,)))


def _together(first: str, second: str) -> Arm:
    # as many clips of each as alone
    both = (Stretch(tasks=(first, second)),)
    return replace(PAPER, name=f"{first} and {second}", stretches=both)


def _stretches(*tasks: tuple[str, ...]) -> tuple[Stretch, ...]:
    return tuple(Stretch(tasks=some, steps=STEPS // 2) for some in tasks)


TASKS = tuple(task.name for task in FAST.tasks)
UNSEEN = ("ravdess", "amazon-queen")  # sources of voices
TINY = POOL[0]
SPEAKER, SOUND = "speaker", "sound"
FIVE_TWINS = replace(PAPER, name="five twins", pool=tuple(f"{name}{TWIN}" for name in POOL))
HEARD_SPEECH, HEARD_ELSE = ("word", "digit", "emotion"), ("sound", "effect", "gender", "instrument")

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        name="worth",
        claim="A mixture of weak encoders beats the base encoder alone, trained the same way",
        against=BASE_ONLY.name,
        with_language_model=(
            BASE_ONLY.name,
            PAPER.name,
            SIDE_BY_SIDE.name,
            DENSE.name,
            COLD_BASE.name,
            COLD_PAPER.name,
        ),
        arms=(
            BASE_ONLY,
            PAPER,
            UNIFORM,
            DENSE,
            SIDE_BY_SIDE,
            *map(_always_one, POOL),
            Arm(name="one Whisper tiny, data-independent", pool=(TINY,), routers="independent"),
            COLD_BASE,
            COLD_PAPER,
        ),
        pairs=(Pair(PAPER.name, BASE_ONLY.name),),
        published="AudioCaps METEOR 25.49 (MoWE), 22.79 (SALMONN), 6.70 (WavLLM): arXiv 2409.06635",
    ),
    Experiment(
        name="routers",
        claim="Both routers contribute: with one of them the mixture is worth less",
        expects=WORSE,
        against=PAPER.name,
        with_language_model=(PAPER.name, "dependent only", "independent only"),
        arms=(
            PAPER,
            replace(PAPER, name="dependent only", routers="dependent"),
            replace(PAPER, name="independent only", routers="independent"),
        ),
    ),
    Experiment(
        name="losses",
        claim="Entropy and diversity losses keep the routing from collapsing and cost no accuracy",
        expects=EQUAL,
        against=PAPER.name,
        with_language_model=(PAPER.name, "no routing loss", "entropy only", "exploration"),
        arms=(
            PAPER,
            replace(PAPER, name="no routing loss", loss_weight=0.0),
            replace(PAPER, name="entropy only", diversity=0.0),
            replace(PAPER, name="weight 0.3", loss_weight=0.3),
            replace(PAPER, name="entropy only, weight 0.3", loss_weight=0.3, diversity=0.0),
            replace(PAPER, name="diversity by micro-batch", micro_batches=4),
            replace(PAPER, name="smoothing off", smoothing="off"),
            replace(PAPER, name="exploration", smoothing="explore"),
        ),
    ),
    Experiment(
        name="pools",
        claim="A larger and more diverse pool is worth more than a uniform one",
        against="five copies",
        with_language_model=(BASE_ONLY.name, PAPER.name, "five copies", "five twins"),
        arms=(
            BASE_ONLY,
            _pool(TINY),
            _pool(TINY, SPEAKER),
            _pool(TINY, SPEAKER, SOUND),
            _pool(TINY, SPEAKER, SOUND, "music"),
            PAPER,
            replace(PAPER, name="five copies", pool=_copies(TINY, 5)),
            FIVE_TWINS,
        ),
        pairs=(Pair(PAPER.name, "five copies"),),
    ),
    Experiment(
        name="shapes",
        claim="Top-1, concatenation, a linear router and a projection for each encoder suffice",
        expects=EQUAL,
        against=PAPER.name,
        arms=(
            PAPER,
            replace(PAPER, name="top-2", top_k=2),
            DENSE,
            replace(PAPER, name="summed", join="sum"),
            replace(PAPER, name="two-layer router", hidden_dim=128),
            replace(PAPER, name="shared projection", shared=True),
        ),
    ),
    Experiment(
        name="data",
        claim="A mixture of weak encoders beats its base with half and a quarter of the data too",
        against=BASE_ONLY.name,
        pairs=(
            Pair(PAPER.name, BASE_ONLY.name),
            Pair("paper, half the data", "base only, half the data"),
            Pair("paper, a quarter", "base only, a quarter"),
        ),
        arms=(
            BASE_ONLY,
            PAPER,
            replace(BASE_ONLY, name="base only, half the data", data=0.5),
            replace(PAPER, name="paper, half the data", data=0.5),
            replace(BASE_ONLY, name="base only, a quarter", data=0.25),
            replace(PAPER, name="paper, a quarter", data=0.25),
        ),
    ),
    Experiment(
        name="knowledge",
        claim="The gain is the encoders' knowledge, not the size of the architecture",
        expects=WORSE,
        against=PAPER.name,
        arms=(PAPER, FIVE_TWINS, BASE_ONLY),
        pairs=(Pair(FIVE_TWINS.name, PAPER.name),),
        with_language_model=(PAPER.name, FIVE_TWINS.name, BASE_ONLY.name),
    ),
    Experiment(
        name="replacement",
        claim="No encoder can be left out, or replaced by its random twin or a log-mel spectrogram",
        expects=WORSE,
        against=PAPER.name,
        arms=(
            PAPER,
            *(
                replace(PAPER, name=f"{name} replaced by {what}", pool=_one_of(POOL, name, new))
                for name in POOL
                for what, new in (("its twin", f"{name}{TWIN}"), ("log-mel", MEL))
            ),
            *(
                replace(
                    PAPER, name=f"without {name}", pool=tuple(one for one in POOL if one != name)
                )
                for name in POOL
            ),
        ),
    ),
    Experiment(
        name="transfer",
        claim="What is learnt on some tasks helps the others",
        against=PAPER.name,
        arms=(
            PAPER,
            replace(
                PAPER,
                name="speech, then sounds",
                stretches=_stretches(HEARD_SPEECH, HEARD_ELSE),
            ),
            replace(
                PAPER,
                name="sounds, then speech",
                stretches=_stretches(HEARD_ELSE, HEARD_SPEECH),
            ),
            replace(PAPER, name="speech only", stretches=_stretches(HEARD_SPEECH)),
            replace(PAPER, name="sounds only", stretches=_stretches(HEARD_ELSE)),
        ),
    ),
    Experiment(
        name="pairs",
        claim="Two tasks learnt together help one another",
        against="",
        arms=(*map(_alone, TASKS), *(_together(*pair) for pair in combinations(TASKS, 2))),
        pairs=tuple(
            Pair(_together(*pair).name, _alone(task).name, task)
            for pair in combinations(TASKS, 2)
            for task in pair
        ),
    ),
    Experiment(
        name="unseen",
        claim="The mixture is worth something on data sets and packages that it never heard",
        against="",
        arms=(
            BASE_ONLY,
            PAPER,
            *(_without(arm, source) for arm in (BASE_ONLY, PAPER) for source in UNSEEN),
        ),
        pairs=(
            Pair(PAPER.name, BASE_ONLY.name, "effect"),
            *(
                Pair(
                    without_name(PAPER.name, source),
                    without_name(BASE_ONLY.name, source),
                    "gender",
                    source,
                )
                for source in UNSEEN
            ),
        ),
    ),
    Experiment(
        name="ways",
        claim="Routers that are taught what helps choose better than the paper's recipe",
        against=PAPER.name,
        with_language_model=(PAPER.name, "expected loss", "expected loss, evenly"),
        pairs=tuple(Pair(arm.name, PAPER.name) for arm in TAUGHT),
        arms=(
            PAPER,
            UNIFORM,
            replace(PAPER, name="dense warm-up", way="dense warm-up"),
            replace(PAPER, name="uniform warm-up", way="uniform warm-up"),
            replace(PAPER, name="exploration", smoothing="explore"),
            *TAUGHT,
        ),
    ),
    Experiment(
        name="recipe",
        claim="The recipe that development chose beats the base encoder alone",
        against=BASE_ONLY.name,
        pairs=(Pair(EXPECTED_EVENLY.name, BASE_ONLY.name),),
        with_language_model=(BASE_ONLY.name, PAPER.name, EXPECTED_EVENLY.name, SIDE_BY_SIDE.name),
        arms=(BASE_ONLY, EXPECTED_EVENLY, PAPER, SIDE_BY_SIDE),
    ),
    Experiment(
        name="peers",
        claim="Routing is worth more than the fixed encoders of other models of the same budget",
        expects=WORSE,
        against=PAPER.name,
        with_language_model=(
            PAPER.name,
            "in the manner of WavLLM",
            "in the manner of SALMONN",
            "in the manner of NeMo",
        ),
        arms=(
            PAPER,
            Arm(
                name="in the manner of WavLLM",
                pool=(SPEAKER,),
                routers="none",
                always=((SPEAKER,),),
            ),
            Arm(
                name="in the manner of SALMONN",
                pool=(SOUND,),
                routers="none",
                always=((SOUND,),),
                adapter="windows",
            ),
            Arm(name="in the manner of NeMo", routers="none", always=(POOL,)),
        ),
    ),
    Experiment(
        name="cascade",
        claim="Audio tokens tell more than a transcript alone",
        against="transcript alone",
        arms=(
            replace(BASE_ONLY, name="transcript alone", transcripts="alone"),
            PAPER,
            replace(BASE_ONLY, name="base only, with transcript", transcripts="beside"),
            replace(PAPER, name="paper, with transcript", transcripts="beside"),
        ),
        with_language_model=(
            "transcript alone",
            PAPER.name,
            "base only, with transcript",
            "paper, with transcript",
        ),
    ),
    Experiment(
        name="question",
        claim="Routing by the question beside the sound helps",
        against=PAPER.name,
        arms=(PAPER, replace(PAPER, name="routed by the question too", question=True)),
    ),
)

"""What an experiment is: a claim, its arms, and the pairs of them that it is judged by."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from mowe.errors import ExperimentError
from mowe.experiments.arms import Arm
from mowe.experiments.judge import BETTER

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

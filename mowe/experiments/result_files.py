"""Result files: read whole or refused by one sentence, and their verdicts in words."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mowe.errors import ExperimentError
from mowe.experiments.claims import EXPERIMENTS, Experiment, Pair
from mowe.experiments.judge import BETTER, EQUAL, MARGIN, UNDECIDED, WORSE
from mowe.experiments.runs import SCALES
from mowe.files import read_json

_SAID: Mapping[str, str] = {
    BETTER: "is better than",
    WORSE: "is worse than",
    EQUAL: f"is equal, within ±{MARGIN:g}, to",
    UNDECIDED: "is not told apart from",
}

# A type, (words that are allowed), [what a list holds], {name: what it has}; a name that ends in
# "?" may be missing, and {str: …} is a table of whatever names.
_INFORMATION = dict.fromkeys(("found", "by_chance", "by_chance_high"), float)  # nats
_ARM: dict[Any, Any] = {
    "name": str,
    "accuracy": float,
    "deviation": float,
    "by_task": {str: float},
    "cpu_seconds": float,
    "regret?": float,
    "without_weak?": float,
    "pair_cosine?": {str: float},
    "routing?": {
        str: {
            "effective_encoders": [float],
            "collapsed": float,
            "shares": {str: {str: float}},
            "information_within_sources?": [float],  # about tasks, of files before `information`
            "information?": dict.fromkeys(("tasks", "labels"), _INFORMATION),
        }
    },
}
_COMPARISON: dict[Any, Any] = {
    **dict.fromkeys(("arm", "against", "task", "source"), str),
    **dict.fromkeys(("difference", "low", "high", "p", "p_corrected", "detectable"), float),
    "says": tuple(_SAID),
    "judged?": bool,
}
_SHAPE: dict[Any, Any] = {
    **dict.fromkeys(("experiment", "claim", "published", "verdict"), str),
    "scale": SCALES,
    "split": ("dev", "test"),
    "expects?": tuple(_SAID),
    "arms": [_ARM],
    "comparisons": [_COMPARISON],
    "data": {"tasks": {str: {f"{split}?": {"clips": int} for split in ("train", "dev", "test")}}},
    "budget": {"seeds": int},
    "code": [{"commit": str, "dirty": bool}],
    "machine": {"processor": str},
}


class ResultFiles(NamedTuple):
    """What a folder holds."""

    found: dict[str, dict[str, Any]]  # by file name without its ending; a test behind the others
    faults: list[str]  # a sentence for each file that cannot be used


def read_folder(folder: Path) -> ResultFiles:
    """Every result file, in the order of the experiments; those of a test behind the others."""
    found, faults = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = read_result(path)
        except ExperimentError as error:
            faults.append(str(error))
    order = list(_known())

    def place(one: Mapping[str, Any]) -> tuple[bool, str, int]:
        known = order.index(one["experiment"]) if one["experiment"] in order else len(order)
        return one["split"] == "test", one["scale"], known

    return ResultFiles(dict(sorted(found.items(), key=lambda item: place(item[1]))), faults)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """What `read_folder` finds, where nothing is wrong with it.

    Raises:
        ExperimentError: If there is no result file, or one cannot be used.
    """
    files = read_folder(folder)
    if files.faults:
        raise ExperimentError(files.faults[0])
    if not files.found:
        raise ExperimentError(f"{folder} holds no result file; `mowe experiments run` writes them")
    return list(files.found.values())


def read_result(path: Path) -> dict[str, Any]:
    """One result file, every value that a page needs in its place.

    Raises:
        ExperimentError: If it cannot be read, or something in it is missing or of another kind.
    """
    found = read_json(path, ExperimentError)
    if fault := _misfit(found, _SHAPE, ""):
        raise ExperimentError(f"{path.name} is no result file: {fault}")
    if not found["arms"]:
        raise ExperimentError(f"{path.name} is no result file: it has no arms")
    return found


def _misfit(found: object, shape: Any, place: str) -> str:
    """What does not fit, in words; empty where all does."""
    if isinstance(shape, dict):
        return _misfit_of_object(found, shape, place)
    if isinstance(shape, list):
        if not isinstance(found, list):
            return f"{place} must be a list, found {type(found).__name__}"
        told = (_misfit(one, shape[0], f"{place}[{at}]") for at, one in enumerate(found))
        return next(filter(None, told), "")
    if isinstance(shape, tuple):
        return "" if found in shape else f"{place} must be {' or '.join(shape)}, found {found!r}"
    if shape is not float:
        fits = isinstance(found, shape)
        return "" if fits else f"{place} must be a {shape.__name__}, found {type(found).__name__}"
    # json lets NaN and Infinity pass
    fits = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return "" if fits else f"{place} must be a finite number, found {found!r}"


def _misfit_of_object(found: object, shape: dict[Any, Any], place: str) -> str:
    if not isinstance(found, dict):
        return f"{place} must be an object, found {type(found).__name__}"
    inner = dict.fromkeys(found, shape[str]) if str in shape else shape
    for key, kind in inner.items():
        name = key.removesuffix("?")
        if name in found:
            fault = _misfit(found[name], kind, f"{place}.{name}".lstrip("."))
        else:
            fault = "" if key != name else f"{place or 'it'} lacks {name}"
        if fault:
            return fault
    return ""


def judged(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The comparisons that the claim is judged by.

    A file that does not say is judged as its experiment is today; one of an experiment that is not
    known here, by all.
    """
    if any("judged" in one for one in found["comparisons"]):
        return [one for one in found["comparisons"] if one.get("judged")]
    known = _known().get(found["experiment"])
    if known is None:
        return list(found["comparisons"])
    pairs = known.at(found["scale"]).compared
    return [
        one
        for one in found["comparisons"]
        if Pair(one["arm"], one["against"], one["task"], one["source"]) in pairs
    ]


def verdict_sentence(found: Mapping[str, Any]) -> str:
    """The verdict with the numbers behind it, and the effect that could have been seen."""
    some = judged(found)
    title = f"**{found['verdict'].capitalize()}:**"
    if not some:
        return f"{title} nothing was compared."
    if len(some) == 1:
        return f"{title} {_one(some[0])}."
    counts = Counter(one["says"] for one in some)
    words = [f"{counts[word]} {word}" for word in _SAID if counts[word]]
    known = _known().get(found["experiment"])
    expects = found.get("expects") or (known.expects if known else "")
    needed = f"; the claim holds where each is {expects}" if expects else ""
    seen = sorted(one["detectable"] for one in some)
    return (
        f"{title} of {len(some)} comparisons {', '.join(words)}{needed}. "
        f"Differences from {seen[0]:.3f} to {seen[-1]:.3f} could have been seen."
    )


def routing_sentence(arm: Mapping[str, Any]) -> str:
    """What is known of an arm's data-dependent router beside its shares."""
    router = arm["routing"]["dependent"]
    told = [f"Collapsed: {router['collapsed']:.0%} of the seeds"]
    if "without_weak" in arm:
        told.append(
            f"accuracy {arm['accuracy']:.3f}, {arm['without_weak']:.3f} without weak encoders"
        )
    if "regret" in arm:
        told.append(f"regret {arm['regret']:+.3f}")
    for about, value in zip(("tasks", "labels"), information_of(router), strict=True):
        told += [f"information about {about} {value}"] if value else []
    return f"{'; '.join(told)}."


def information_of(router: Mapping[str, Any]) -> list[str]:
    """What its choices tell about tasks and about labels, each with what that is by chance."""
    if "information" not in router:  # a file of before
        by_seed = router.get("information_within_sources", [])
        return [f"{sum(by_seed) / len(by_seed):.3f}" if by_seed else "", ""]
    about = (router["information"][name] for name in ("tasks", "labels"))
    return [
        f"{one['found']:.3f} ({one['by_chance']:.3f}/{one['by_chance_high']:.3f})" for one in about
    ]


def _one(pair: Mapping[str, Any]) -> str:
    said = _SAID.get(pair["says"], "is compared with")
    return (
        f"{pair['arm']} {said} {pair['against']}, {pair['difference']:+.3f} in accuracy (95 %: "
        f"{pair['low']:+.3f} to {pair['high']:+.3f}, p = {pair['p_corrected']:.4f}); "
        f"a difference of {pair['detectable']:.3f} could have been seen"
    )


def _known() -> dict[str, Experiment]:
    return {one.name: one for one in EXPERIMENTS}

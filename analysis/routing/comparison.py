"""Several clips side by side: where each is routed, in numbers, sentences and files.

Works on the answers of `Assistant.route_all`, one per clip, under one mixture.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd

from mowe.assistant import Answer, WindowRouting

FORMAT = "mowe-routing-1"
EVERY_CLIP = "every clip"  # where a row is about the data-independent router
COLUMNS_BEFORE = ["Clip", "Router", "Window (s)"]
COLUMNS_AFTER = ["Chosen", "Entropy (nats)", "Margin"]


class Summary(NamedTuple):
    """One router's probabilities over one clip."""

    probabilities: dict[str, float]  # by encoder, mean over the windows by their length
    entropy: float  # nats, mean likewise
    margin: float  # mean likewise

    @property
    def likeliest(self) -> str:
        """The encoder with the largest probability."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def clip_labels(answers: Sequence[Answer]) -> list[str]:
    """What to call each clip: its place, from 1, and its file name."""
    return [f"{place}. {answer.audio[0]['name']}" for place, answer in enumerate(answers, 1)]


def shared_router(answers: Sequence[Answer]) -> Summary | None:
    """The data-independent router, the same for every clip; None where the mixture lacks it."""
    windows = [window for answer in answers for window in answer.windows if window.independent]
    if not windows:
        return None
    shares = windows[0].independent
    ranked = sorted(shares.values(), reverse=True)
    entropy = -sum(share * math.log(share) for share in ranked if share > 0)
    return Summary(dict(shares), entropy, ranked[0] - ranked[1] if len(ranked) > 1 else 0.0)


def dependent_router(answer: Answer) -> Summary | None:
    """The data-dependent router on one clip; None where the mixture lacks it."""
    windows = [window for window in answer.windows if window.dependent]
    if not windows:
        return None
    lengths = [window.end - window.start for window in windows]

    def mean(values: Sequence[float]) -> float:
        return sum(one * long for one, long in zip(values, lengths, strict=True)) / sum(lengths)

    names = windows[0].dependent
    return Summary(
        {name: mean([window.dependent[name] for window in windows]) for name in names},
        mean([window.entropy for window in windows]),
        mean([window.margin for window in windows]),
    )


def chosen_encoders(answer: Answer) -> list[str]:
    """Every encoder that would run in any window, in order of appearance."""
    return list(dict.fromkeys(name for window in answer.windows for name in window.chosen))


def finding(answers: Sequence[Answer]) -> str:
    """One sentence on whether the clips are routed alike."""
    found = [router for router in map(dependent_router, answers) if router]
    names = list(dict.fromkeys(router.likeliest for router in found))
    if not names:
        return "No router looks at the clips"
    if len(found) == 1:
        return f"The clip goes to {names[0]}"
    if len(names) == 1:
        return f"All {len(found)} clips go to {names[0]}"
    return f"{len(found)} clips go to {len(names)} encoders: {', '.join(names)}"


def sentences(answers: Sequence[Answer]) -> list[str]:
    """Entropy and margin in words, one line for the shared router and one per clip."""
    lines = []
    if shared := shared_router(answers):
        lines.append(f"Data-independent, {EVERY_CLIP}: {_in_words(shared)}.")
    for label, answer in zip(clip_labels(answers), answers, strict=True):
        router, count = dependent_router(answer), len(answer.windows)
        means = f" (means of {count} windows)" if count > 1 else ""
        about = f"{_in_words(router)}{means}; " if router else ""
        chosen = " + ".join(chosen_encoders(answer)) or "no weak encoder"
        lines.append(f"{label}: {about}chosen: {chosen}.")
    return lines


def comparison_columns(encoder_names: Sequence[str]) -> list[str]:
    """Headers of `comparison_rows`."""
    return [*COLUMNS_BEFORE, *encoder_names, *COLUMNS_AFTER]


def comparison_rows(answers: Sequence[Answer], encoder_names: Sequence[str]) -> list[list[Any]]:
    """One row for the data-independent router, then one per clip and window, for people.

    Args:
        answers: One per clip.
        encoder_names: The pool; its probabilities are columns.
    """
    rows: list[list[Any]] = []
    if shared := shared_router(answers):
        numbers = _rounded(shared.probabilities, encoder_names)
        figures = [round(shared.entropy, 3), round(shared.margin, 3)]
        rows.append([EVERY_CLIP, "data-independent", "any", *numbers, shared.likeliest, *figures])
    for label, answer in zip(clip_labels(answers), answers, strict=True):
        for window in answer.windows:
            numbers = _rounded(window.dependent, encoder_names)
            figures = [round(window.entropy, 3), round(window.margin, 3)]
            router = "data-dependent" if window.dependent else ""
            chosen = " + ".join(window.chosen)
            rows.append([label, router, _span(window), *numbers, chosen, *figures])
    return rows


def routing_frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """One row per clip and window, unrounded: seconds, nats, a column per router and encoder.

    Columns are named as in the table of `python -m mowe route`, after `clip`, counted from 1.
    """
    return pd.DataFrame(
        {"clip": place, "file": answer.audio[0]["name"], **row}
        for place, answer in enumerate(answers, 1)
        for row in answer.rows()
    )


def routing_csv(answers: Sequence[Answer]) -> str:
    """`routing_frame` as CSV."""
    text: str = routing_frame(answers).to_csv(index=False)
    return text


def routing_json(answers: Sequence[Answer]) -> str:
    """Everything known about the routing of every clip, as one JSON object.

    Its `clips` hold what a line of `python -m mowe route --json` holds, without the embedding.
    """
    clips = [answer.to_dict() for answer in answers]
    for clip in clips:
        del clip["embedding"]
    found = {"format": FORMAT, "clips": clips}
    return json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1)


def windows_of(answer: Answer) -> list[dict[str, Any]]:
    """The windows as the figures take them."""
    return [asdict(window) for window in answer.windows]


def _in_words(router: Summary) -> str:
    most = math.log(len(router.probabilities))
    share = router.probabilities[router.likeliest]
    return (
        f"{router.likeliest} {share:.0%}, entropy {router.entropy:.2f} of at most {most:.2f} nats,"
        f" margin {router.margin:.2f}"
    )


def _rounded(shares: Mapping[str, float], names: Sequence[str]) -> list[float | str]:
    return [round(shares[name], 3) if name in shares else "" for name in names]


def _span(window: WindowRouting) -> str:
    return f"{window.start:g}–{window.end:g}"  # noqa: RUF001

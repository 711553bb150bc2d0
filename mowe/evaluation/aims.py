"""What `mini` is meant to reach, as data, and whether a results file reaches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mowe.files import markdown_table

TINY_EN = "whisper-tiny.en"  # the baseline that transcripts are held against
MOST_P = 0.01  # of the permutation test


@dataclass(frozen=True)
class Aim:
    """One line of the table: a task's metric on one source, or on all sources together."""

    title: str
    task: str
    source: str
    metric: str
    least: float | None = None  # the value to reach; None: at most what TINY_EN has


AIMS: Sequence[Aim] = (
    Aim("transcripts, Drascula", "transcribe", "drascula", "WER"),
    Aim("transcripts, game partners", "transcribe", "amazon-queen", "WER"),
    Aim("transcripts, digits", "transcribe", "spoken-digits", "WER"),
    Aim("acted emotion, RAVDESS", "emotion", "ravdess", "accuracy", 0.65),
    Aim("sounds, ESC-10 fold 4", "sound", "esc10", "accuracy", 0.92),
    Aim("man or woman", "gender", "all sources", "accuracy", 0.95),
    Aim("spoken language", "language", "all sources", "accuracy", 0.90),
    Aim("spoken questions: digits", "digits", "all sources", "accuracy", 0.70),
    Aim("spoken questions: words", "mention", "all sources", "accuracy", 0.70),
    Aim("how many sounds", "count", "all sources", "accuracy", 0.75),
    Aim("order of sounds", "order", "all sources", "accuracy", 0.75),
    Aim("comparison of sounds", "compare", "all sources", "accuracy", 0.75),
    Aim("captions, ESC-10 fold 4", "caption", "esc10", "label recall", 0.70),
    Aim("captions, other packages", "caption", "named-sounds", "label recall", 0.70),
)
ENCODERS = 2.5  # least effective number of chosen encoders
_HEAD = ("held-out people and recordings", "measure", "aim", "measured (95 %)", "reached")


def aims_table(result: Mapping[str, Any]) -> str:
    """A Markdown table of every aim that the results speak of, baselines beside it.

    Args:
        result: Content of a results file.
    """
    names = [name for name, lines in result["baselines"].items() if lines]
    rows = []
    for aim in AIMS:
        line = _find(result["summary"], aim)
        if line is None:
            continue
        found = {name: _find(result["baselines"][name], aim) for name in names}
        values = {name: one["value"] for name, one in found.items() if one is not None}
        cells = _cells(aim, line, values)
        beside = (f"{values[name]:.2f}" if name in values else "" for name in names)
        rows.append([aim.title, aim.metric, *cells, *beside])
    rows += [[*cells, *[""] * len(names)] for cells in _routing(result.get("routing") or {})]
    return markdown_table([*_HEAD, *names], rows) + "\n"


def _cells(aim: Aim, line: Mapping[str, Any], values: Mapping[str, float]) -> list[str]:
    measured = f"**{line['value']:.2f}** ({line['low']:.2f} to {line['high']:.2f})"
    if aim.least is not None:
        return [f"≥ {aim.least:.2f}", measured, _yes(line["value"] >= aim.least)]
    if TINY_EN not in values:
        return [f"≤ {TINY_EN}", measured, "not compared"]
    return [f"≤ {TINY_EN}", measured, _yes(line["value"] <= values[TINY_EN])]


def _routing(routing: Mapping[str, Any]) -> list[list[str]]:
    if not routing:
        return []
    number = routing["chosen_effective_encoders"]
    rows = [
        ["routing: no collapse", "effective number of encoders", f"≥ {ENCODERS:.1f}",
         f"**{number:.2f}**", _yes(number >= ENCODERS)]
    ]  # fmt: skip
    follows = routing.get("task_and_choice")
    if follows:
        measured = f"**{follows['nats']:.3f}** (by chance {follows['by_chance']:.3f})"
        rows.append(
            ["routing: follows the task", "mutual information, nats", f"p < {MOST_P}",
             f"{measured}, p = {follows['p']:.3f}", _yes(follows["p"] < MOST_P)]
        )  # fmt: skip
    return rows


def _find(lines: Sequence[Mapping[str, Any]], aim: Aim) -> Mapping[str, Any] | None:
    wanted = {"task": aim.task, "source": aim.source, "metric": aim.metric}
    return next((one for one in lines if wanted.items() <= one.items()), None)


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"

"""Metrics as sums of counts, so that a value and its bootstrap come from the same numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mowe.data.ledger import Row
from mowe.evaluation.captions import label_recall, meteor
from mowe.evaluation.scores import answer_key, edits, predicted_label

RESAMPLES = 1000  # of the bootstrap
FEWEST_SPEAKERS = 5  # below, speakers are too few to be drawn
ANYONE = "unnamed"  # ends the name of a speaker that stands for several people


@dataclass(frozen=True)
class Tally:
    """Counts of rows that can be added, and what their sum is worth."""

    counts: np.ndarray  # (rows, ...)
    value: Callable[[np.ndarray], np.ndarray]  # summed counts, (..., *counts[0].shape) -> (...)

    def whole(self) -> float:
        """The metric over all rows."""
        return float(self.value(self.counts.sum(axis=0)))


def ratio(counts: np.ndarray) -> np.ndarray:
    """First count over second, `(..., 2)` -> `(...)`; a second of 0 is taken as 1."""
    return np.asarray(counts[..., 0] / np.maximum(counts[..., 1], 1))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 of the labels that occur, each 2 TP / (2 TP + FP + FN).

    Args:
        confusion: True label by predicted label, the last column for any other,
            `(..., labels, labels + 1)`.
    """
    labels = confusion.shape[-2]
    hits = np.diagonal(confusion[..., :labels], axis1=-2, axis2=-1)  # (..., labels)
    support, guessed = confusion.sum(axis=-1), confusion[..., :labels].sum(axis=-2)
    scores = 2 * hits / np.maximum(support + guessed, 1)
    occurs = support > 0
    return np.asarray((scores * occurs).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1))


# --- from judged rows to tallies ----------------------------------------------------------------


def _confusion(rows: Sequence[Row]) -> Tally:
    labels = sorted({row["label"] for row in rows})
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(rows), len(labels), len(labels) + 1))
    for number, row in enumerate(rows):
        counts[number, place[row["label"]], place.get(row["predicted"], len(labels))] = 1
    return Tally(counts, macro_f1)


def _column(name: str, *, out_of: str = "") -> Callable[[Sequence[Row]], Tally]:
    def tally(rows: Sequence[Row]) -> Tally:
        pairs = [(row[name], row[out_of] if out_of else 1) for row in rows]
        return Tally(np.array(pairs, dtype=float), ratio)

    return tally


METRICS: Mapping[str, Callable[[Sequence[Row]], Tally]] = {
    "WER": _column("word_edits", out_of="words"),
    "CER": _column("character_edits", out_of="characters"),
    "accuracy": _column("correct"),
    "macro F1": _confusion,
    "METEOR": _column("meteor"),
    "label recall": _column("label_recall"),
}


def judge(rows: Sequence[Row], metric: str, normalise: Callable[[str], str]) -> list[Row]:
    """The rows of one task with what the metric needs of each.

    Args:
        rows: With `answer`, or with the `predicted` label alone.
        metric: The task's main one.
        normalise: Of transcripts.
    """
    if metric == "WER":
        return [row | _transcript(row, normalise) for row in rows]
    if metric == "METEOR":
        return [row | _caption(row) for row in rows]
    known = {answer_key(text): row["label"] for row in rows for text in _right(row)}
    return [row | _label(row, known) for row in rows]


def _right(row: Row) -> list[str]:
    return [row["expected"], *row["accept"]]


def _transcript(row: Row, normalise: Callable[[str], str]) -> Row:
    pair = normalise(row["expected"]), normalise(row["answer"])
    word_edits, words = edits(*pair)
    character_edits, characters = edits(*pair, by_character=True)
    return {
        "word_edits": word_edits,
        "words": words,
        "character_edits": character_edits,
        "characters": characters,
    }


def _caption(row: Row) -> Row:
    references = row["references"] or _right(row)
    return {
        "meteor": round(meteor(row["answer"], references), 4),
        "label_recall": label_recall(row["answer"], row["label"], row["label_words"]),
    }


def _label(row: Row, known: Mapping[str, str]) -> Row:
    predicted = row.get("predicted")
    if predicted is None:
        predicted = predicted_label(row["answer"], row["label"], _right(row), row["options"], known)
    return {"predicted": predicted, "correct": bool(row["label"]) and predicted == row["label"]}


# --- intervals ----------------------------------------------------------------------------------


def drawn_units(rows: Sequence[Row]) -> tuple[list[str], str]:
    """What the bootstrap draws: each row's speaker where there are several, else its clip.

    Returns:
        The unit of each row, and `speakers` or `clips`.
    """
    speakers = [row["speaker"] for row in rows]
    known = {one for one in speakers if one and not one.endswith(ANYONE)}
    if len(known) < FEWEST_SPEAKERS:
        return [row["audio"] for row in rows], "clips"
    units = [row["speaker"] if row["speaker"] in known else row["audio"] for row in rows]
    return units, "speakers"


def interval(tally: Tally, units: Sequence[str], seed: int) -> tuple[float, float]:
    """95 % percentile bootstrap: whole units are drawn with replacement."""
    names, number = np.unique(np.asarray(units), return_inverse=True)
    sums = np.zeros((len(names), *tally.counts.shape[1:]))
    np.add.at(sums, number, tally.counts)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    values = tally.value(np.tensordot(times, sums, axes=1))  # (resamples,)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)

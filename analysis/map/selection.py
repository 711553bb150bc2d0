"""Some recordings of a map: found by text, told apart from the rest, and as a manifest."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mowe.analysis.records import CHOICE, Records
from mowe.data.manifest import AUDIO_TAG
from mowe.data.records import LABELS

SEARCHED = ("path", "label", "task", "dataset", "speaker", "language", "expected", "answer")
_QUESTION = "What do you hear?"  # where a record has none


def find_text(points: Records, text: str) -> np.ndarray:
    """Places of recordings that have every word of a text in a label, answer or file name."""
    words = text.casefold().split()
    if not words:
        return np.zeros(0, dtype=np.int64)
    columns = [points.table[name].fillna("").astype(str) for name in SEARCHED]
    joined = [" ".join(parts).casefold() for parts in zip(*columns, strict=True)]
    return np.flatnonzero([all(word in one for word in words) for one in joined])


def selection_shares(points: Records, places: Sequence[int]) -> pd.DataFrame:
    """How often each encoder is chosen inside a selection and in the rest.

    Returns:
        Columns `encoder`, `selected`, `rest` (shares, 0 where a side is empty), `count` of the
        selected.
    """
    inside = np.zeros(len(points), dtype=bool)
    inside[list(places)] = True
    choice = points.table[CHOICE].to_numpy()
    rows = []
    for encoder in points.encoders:
        chosen = choice == encoder
        rows.append(
            {
                "encoder": encoder,
                "selected": float(chosen[inside].mean()) if inside.any() else 0.0,
                "rest": float(chosen[~inside].mean()) if not inside.all() else 0.0,
                "count": int((chosen & inside).sum()),
            }
        )
    return pd.DataFrame(rows)


def manifest_lines(points: Records, places: Sequence[int]) -> list[str]:
    """A selection as manifest lines that training and evaluation read.

    A recording without a right answer gets the model's, or its label; one with neither is left out.
    """
    lines = []
    for place in places:
        row = points.table.iloc[place]
        known = {name: row[name] for name in LABELS if isinstance(row[name], str)}
        said = known.get("expected") or row["answer"] or known.get("label")
        if not said:
            continue
        question = known.get("question", _QUESTION)
        about = {name: one for name, one in known.items() if name not in ("question", "expected")}
        if "dataset" in about:
            about["source"] = about.pop("dataset")
        times = {"start": row["clip_start"]} if row["clip_start"] else {}
        if pd.notna(row["clip_end"]):
            times["end"] = row["clip_end"]
        line = {
            "audio": row["path"],
            **times,
            "task": about.pop("task", "other"),
            "messages": [
                {"role": "user", "content": f"{AUDIO_TAG} {question}"},
                {"role": "assistant", "content": str(said)},
            ],
            **about,
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    return lines

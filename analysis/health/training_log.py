"""The `metrics.jsonl` of a run, read as a table with a row per logged training step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mowe.errors import LogError
from mowe.files import read_jsonl

NUMBERS = ("loss", "effective_encoders", "memory_mb", "gpu_memory_mb")
MAX_LINES = 50_000
MAX_STAGES = 8
MAX_STAGE_CHARS = 40
FORMAT = "a run's metrics.jsonl has one JSON object a line, with stage, step and loss"


@dataclass(frozen=True)
class LoggedRun:
    """What a training reported."""

    name: str  # of the file
    steps: pd.DataFrame  # stage, step and `NUMBERS`, in order; NaN where a line lacks a number

    @property
    def stages(self) -> list[str]:
        """Stages in the order in which they began."""
        return list(self.steps["stage"].unique())

    def stage(self, name: str) -> pd.DataFrame:
        """The rows of one stage by ascending step, counted from 0."""
        return self.steps[self.steps["stage"] == name].reset_index(drop=True)


def read_log(path: str | Path) -> LoggedRun:
    """Read a run's `metrics.jsonl`.

    Lines without a loss (measures on held-out examples) are left out. A run that was taken up again
    repeats steps: of two lines for one step the later counts.

    Raises:
        LogError: If the file cannot be read, a line is of another format, or none has a loss.
    """
    path = Path(path)
    rows = []
    for number, (place, fields) in enumerate(read_jsonl(path, LogError, FORMAT), start=1):
        if number > MAX_LINES:
            raise LogError(
                f"{path.name} has more than {MAX_LINES} lines, which is all that is read"
            )
        if row := _row(fields, place):
            rows.append(row)
    if not rows:
        raise LogError(f"{path.name} has no line with a loss; {FORMAT}")
    return LoggedRun(path.name, _ordered(pd.DataFrame(rows), path.name))


def _row(fields: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    """One line's fields; None where it reports no loss."""
    stage, step = fields.get("stage"), fields.get("step")
    if not (isinstance(stage, str) and stage.isprintable() and 0 < len(stage) <= MAX_STAGE_CHARS):
        raise LogError(f"{place} has no stage, a short text; {FORMAT}")
    if type(step) is not int or not 0 <= step < 2**53:
        raise LogError(f"{place} has no step, a whole number; {FORMAT}")
    if "loss" not in fields:
        return None
    return {"stage": stage, "step": step} | {name: _number(fields, name, place) for name in NUMBERS}


def _number(fields: Mapping[str, Any], name: str, place: str) -> float:
    value = fields.get(name, float("nan"))
    try:
        if not isinstance(value, bool | str):
            return float(value)
    except (TypeError, OverflowError):
        pass
    raise LogError(f"{place}: {name} must be a number; {FORMAT}")


def _ordered(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Stage by stage in their order, every step once."""
    stages = list(rows["stage"].unique())
    if len(stages) > MAX_STAGES:
        raise LogError(f"{name} has {len(stages)} stages, at most {MAX_STAGES} are shown")
    rows = rows.drop_duplicates(["stage", "step"], keep="last")
    place = rows["stage"].map({stage: number for number, stage in enumerate(stages)})
    return rows.assign(place=place).sort_values(["place", "step"]).drop(columns="place")

"""What a run reports: one JSON line a report, and the same numbers as TensorBoard events."""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mowe.statistics import effective_number

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS = "metrics.jsonl"
EVENTS = "events"  # one folder of event files per stage, since every stage counts from 0


class TrainingLog:
    """Appends to `metrics.jsonl` and, where TensorBoard is installed, to event files.

    For the main process only. A run that is taken up again appends: TensorBoard then drops the
    events from its first step on, `metrics.jsonl` keeps both, and of two lines the later counts.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        """Create the folder; files appear with the first report.

        Args:
            folder: Of the run.
            names: Of the weak encoders, in pool order.
        """
        self.folder, self.names = folder, tuple(names)
        self._writers: dict[str, SummaryWriter] = {}
        self._events = importlib.util.find_spec("tensorboard") is not None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, stage: str, step: int, **scalars: Any) -> None:
        """Report one step and print it.

        Args:
            stage: Of the training; its own run in TensorBoard.
            step: Of that stage.
            scalars: Numbers by name. `usage` holds the share of each weak encoder, kept as
                `usage/ENCODER` beside `effective_encoders`, the exponential of its entropy.
                `tokens` with `seconds` gives `tokens_per_second`. Texts go to `metrics.jsonl` only.

        Raises:
            ValueError: If `usage` has not one number per weak encoder.
        """
        fields: dict[str, Any] = {}
        for name, value in scalars.items():
            fields |= self._shares(value) if name == "usage" else {name: value}
        if "usage" in scalars:
            fields["effective_encoders"] = effective_number(scalars["usage"])
        fields |= _memory()
        if scalars.get("tokens") and scalars.get("seconds"):
            fields["tokens_per_second"] = scalars["tokens"] / scalars["seconds"]
        line = {"stage": stage, "step": step, **fields}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(" ".join(f"{key}={_short(value)}" for key, value in line.items()), flush=True)
        if self._events:
            writer = self._writer(stage, step)
            for name, value in fields.items():
                if isinstance(value, int | float):
                    writer.add_scalar(name, value, step)
            writer.flush()  # a killed run keeps what it reported

    def _writer(self, stage: str, step: int) -> "SummaryWriter":
        if stage not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # takes a second

            self._writers[stage] = SummaryWriter(str(self.folder / EVENTS / stage), purge_step=step)
        return self._writers[stage]

    def _shares(self, usage: Sequence[float]) -> dict[str, float]:
        if len(usage) != len(self.names):
            raise ValueError(
                f"usage needs {len(self.names)} numbers, one per weak encoder "
                f"{list(self.names)}, found {len(usage)}"
            )
        return {f"usage/{name}": one for name, one in zip(self.names, usage, strict=True)}


def _memory() -> dict[str, float]:
    """Peak memory of this process so far, in megabytes."""
    found = {}
    if sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["memory_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    if torch.cuda.is_available():
        found["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""What a visitor's map shows, as a value; and what one of its recordings is, in words."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mowe.analysis import Records
from mowe.analysis.map.projection import METRIC, Projection
from mowe.analysis.map_folder import MapFolder
from mowe.analysis.records import CHOICE
from mowe.data.records import LABELS

AUDIO_FOLDER = "MOWE_RECORDINGS"  # where recordings of one's own records may be played from
LIST_COLUMNS = ["Recording", "Label", "Task", "Encoder", "Distance"]
LIST_WIDTHS = [150, 120, 100, 130, 90]  # px
MAX_POINTS = 50_000  # drawn; of more, a sample
_DETAILS = (*LABELS, "answer")


@dataclass(frozen=True)
class View:
    """Recordings, where they lie, and what is pointed out."""

    points: Records  # one row per recording
    projection: Projection
    of: str = "base"  # whose embeddings: base or fused
    metric: str = METRIC
    shipped: MapFolder | None = None  # where the clips lie, unless the records are one's own
    color_by: str = CHOICE
    marked: tuple[int, ...] = ()
    placed: np.ndarray | None = None
    note: str = ""

    def sound(self, place: int) -> Path | None:
        """The file of a recording, where it is here and may be played."""
        path = str(self.points.table["path"].iloc[place])
        if self.shipped is not None:
            return self.shipped.sound(path)
        allowed = os.environ.get(AUDIO_FOLDER)
        if not allowed:
            return None
        found = (Path(allowed) / path).resolve()  # an absolute path stays what it is
        inside = found.is_relative_to(Path(allowed).resolve())
        return found if inside and found.is_file() else None

    def window(self, place: int) -> dict[str, Any]:
        """A recording's routing as the charts of answers take it."""
        row = self.points.table.iloc[place]
        encoders = self.points.encoders
        routers = {
            # a router that the mixture lacks has no probabilities
            name: dict(zip(encoders if len(row[name]) else (), map(float, row[name]), strict=True))
            for name in ("independent", "dependent")
        }
        about = {name: float(row[name]) for name in ("start", "end", "entropy", "margin")}
        return {"recording": 0, **about, **routers, "chosen": tuple(row["chosen"])}

    def details(self, place: int) -> list[list[str]]:
        """What the records say about a recording."""
        row = self.points.table.iloc[place]
        known = [[name.capitalize(), str(row[name])] for name in _DETAILS if _is_known(row[name])]
        routing = f"{row[CHOICE]}; entropy {row['entropy']:.2f} nats, margin {row['margin']:.2f}"
        return [["File", str(row["path"])], *known, ["Encoder", routing]]

    def listed(self, places: Sequence[int], distances: Sequence[float] = ()) -> list[list[Any]]:
        """Recordings as rows under `LIST_COLUMNS`."""
        far: list[Any] = [round(one, 4) for one in distances] or [""] * len(places)
        columns = ("path", "label", "task", CHOICE)
        rows = self.points.table.iloc[list(places)][list(columns)].itertuples(index=False)
        return [
            [Path(path).name, *(str(one) if _is_known(one) else "" for one in rest), distance]
            for (path, *rest), distance in zip(rows, far, strict=True)
        ]


def shipped_view(folder: MapFolder, of: str = "base", dims: int = 2) -> View:
    """The map as it lies ready."""
    return View(folder.records, folder.projections[of, dims], of, shipped=folder)


def sampled(records: Records) -> tuple[Records, str]:
    """At most `MAX_POINTS` recordings, drawn with a fixed seed, and what to say about it."""
    points = records.recordings()
    if len(points) <= MAX_POINTS:
        return points, ""
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(len(points), MAX_POINTS, replace=False))
    table = points.table.iloc[kept].reset_index(drop=True)
    note = f"{MAX_POINTS:,} of {len(points):,} recordings, drawn at random."
    return replace(points, table=table), note


def _is_known(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

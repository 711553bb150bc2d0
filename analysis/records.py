"""A records file as a table to work with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mowe.data.records import LABELS, read_table
from mowe.errors import RecordsError

CHOICE = "choice"  # the encoder with the largest probability of the router that decides
NONE = "none"
CLIP = ["sha256", "clip_start", "clip_end"]  # what tells recordings apart


@dataclass(frozen=True)
class Records:
    """Routing of many recordings under one mixture."""

    table: pd.DataFrame  # one row per record and window; columns of docs/RECORDS.md and `choice`
    encoders: tuple[str, ...]  # in the order of every probability vector
    preset: str

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.table)

    def probabilities(self, router: str = "dependent") -> np.ndarray:
        """`(rows, encoders)` of the `dependent` or the `independent` router.

        Raises:
            RecordsError: If the mixture has no such router.
        """
        if router not in ("dependent", "independent"):
            raise ValueError(f"router is 'dependent' or 'independent', found {router!r}")
        rows = np.stack(self.table[router].to_list())
        if rows.shape[-1] != len(self.encoders) or not self.encoders:
            raise RecordsError(f"{self.preset} has no data-{router} router")
        return rows

    def embeddings(self, of: str = "base") -> np.ndarray:
        """Mean `base` or `fused` embeddings, `(rows, dim)` float32.

        Raises:
            RecordsError: If a row has no embedding of this kind.
        """
        column = {"base": "embedding", "fused": "fused"}.get(of)
        if column is None:
            raise ValueError(f"embeddings are of 'base' or 'fused', found {of!r}")
        widths = {len(row) for row in self.table[column]}
        if len(widths) > 1 or 0 in widths:
            raise RecordsError(
                f"these records have no {of} embedding of every recording"
                + ("; route them with --fused" if of == "fused" else "")
            )
        return np.stack(self.table[column].to_list()).astype(np.float32)

    def recordings(self) -> "Records":
        """One row per recording: its first window, under its first question, counted from 0."""
        table = self.table.drop_duplicates(CLIP).reset_index(drop=True)
        return Records(table, self.encoders, self.preset)

    def labelled(self, by: str) -> pd.DataFrame:
        """The rows that have a value in a label column.

        Raises:
            RecordsError: If the column is unknown or empty; it lists what there is.
        """
        if by not in LABELS:
            raise RecordsError(f"no label column {by!r}; there are {', '.join(LABELS)}")
        rows = self.table[self.table[by].notna()]
        if not len(rows):
            filled = [name for name in LABELS if self.table[name].notna().any()]
            raise RecordsError(
                f"no recording has a {by}; these records have {', '.join(filled) or 'no labels'}"
            )
        return rows


def read_records(path: str | Path) -> Records:
    """Read what `python -m mowe route --out records.parquet` wrote.

    Raises:
        RecordsError: If the file is missing, damaged, empty or of another version.
    """
    source = read_table(Path(path))
    about = json.loads(source.schema.metadata[b"about"])
    encoders = tuple(about["encoders"])
    table = source.to_pandas()
    if not len(table):
        raise RecordsError(f"{Path(path).name} holds no recording")
    return Records(table.assign(**{CHOICE: _choices(table, encoders)}), encoders, about["preset"])


def _choices(table: pd.DataFrame, encoders: Sequence[str]) -> list[str]:
    """The likeliest encoder of the data-dependent router, or of the only one there is."""
    pairs = zip(table["dependent"], table["independent"], strict=True)
    rows = (dependent if len(dependent) else independent for dependent, independent in pairs)
    return [encoders[int(np.argmax(row))] if len(row) else NONE for row in rows]

"""Which windows two routings of the same recordings send to other encoders."""

from dataclasses import dataclass

import pandas as pd

from mowe.analysis.records import NONE, Records
from mowe.errors import RecordsError

_WINDOW = ["sha256", "start", "end"]  # what tells windows apart, whatever is asked about them


@dataclass(frozen=True)
class Moves:
    """Two routings side by side."""

    windows: pd.DataFrame  # `path`, `start`, `end` (s), and who ran: `old`, `new`
    unmatched: int  # windows that only one of the two holds

    @property
    def moved(self) -> pd.DataFrame:
        """The windows for which other encoders run."""
        return self.windows[self.windows["old"] != self.windows["new"]]

    @property
    def share(self) -> float:
        """Of the compared windows that moved, 0 to 1."""
        return len(self.moved) / len(self.windows)

    def counts(self) -> pd.DataFrame:
        """How many windows moved from where (`old`) to where (`new`), most first."""
        counted = self.moved.groupby(["old", "new"], as_index=False).size()
        return counted.sort_values(["size", "old", "new"], ascending=[False, True, True])


def routing_moves(old: Records, new: Records) -> Moves:
    """Compare who ran for each window; a window is known by its file's content and its times.

    Raises:
        RecordsError: If the two hold no window in common.
    """
    both = _windows(old, "old").merge(
        _windows(new, "new").drop(columns="path"), on=_WINDOW, how="outer", indicator=True
    )
    shared = both[both["_merge"] == "both"]
    if not len(shared):
        raise RecordsError("the two have no window of a recording in common to compare")
    shown = shared[["path", "start", "end", "old", "new"]].sort_values(["path", "start"])
    return Moves(shown.reset_index(drop=True), len(both) - len(shared))


def _windows(records: Records, name: str) -> pd.DataFrame:
    table = records.table.drop_duplicates(_WINDOW)
    ran = [" + ".join(sorted(set(chosen))) or NONE for chosen in table["chosen"]]
    return table[[*_WINDOW, "path"]].assign(**{name: ran})

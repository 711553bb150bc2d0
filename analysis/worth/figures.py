"""What each encoder is worth for each task, beside how often it is chosen."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mowe.analysis.drawing import INK, dress
from mowe.analysis.worth.by_task import KINDS, NO_ENCODER

WORTH_COLUMNS = ["Task", "Encoder", "Lines", "Chosen", "Forced", "Low", "High", "Masked", "Twin"]
_SAID = dict(zip(KINDS, ("forced", "masked", "replaced by its random twin"), strict=True))
_LARGEST = 30  # px, of the square of an encoder that is always chosen


def worth_heatmap(table: pd.DataFrame, kind: str = "forced") -> go.Figure:
    """Share chosen × worth: colour is the change, a square's area the share chosen.

    Args:
        table: From `worth_by_task`.
        kind: Of change, one of `KINDS`; "forced" has a column for no weak encoder at all.

    Raises:
        ValueError: If there is no such kind, or the table has no number of it.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, found {kind!r}")
    table = table[table[kind].notna()]
    if table.empty:
        raise ValueError(f"nothing was measured of encoders {_SAID[kind]}; run `mowe worth` again")
    encoders, tasks = (list(dict.fromkeys(table[name])) for name in ("encoder", "task"))
    grid = table.pivot(index="task", columns="encoder", values=kind).loc[tasks, encoders]
    values = grid.to_numpy()
    limit = max(float(np.abs(values).max()), 1e-6)
    text = _hover(table, kind)
    hover = table.assign(text=text).pivot(index="task", columns="encoder", values="text")
    figure = go.Figure(
        go.Heatmap(
            x=encoders,
            y=tasks,
            z=values,
            zmin=-limit,
            zmax=limit,
            colorscale="PuOr",
            customdata=hover.loc[tasks, encoders].to_numpy(),
            hovertemplate="%{y}, %{x}: %{customdata}<extra></extra>",
            colorbar={"title": "nats", "thickness": 12},
        )
    )
    shares = table[table["encoder"] != NO_ENCODER]
    figure.add_scatter(
        x=shares["encoder"],
        y=shares["task"],
        mode="markers",
        marker={
            "symbol": "square",
            "size": _LARGEST * np.sqrt(shares["chosen"].astype(float)),
            "color": "rgba(255, 255, 255, 0.7)",  # seen on every colour of the scale
            "line": {"width": 2, "color": "#111111"},
        },
        hoverinfo="skip",
    )
    dress(figure, height=200 + 40 * len(tasks), legend=False)
    title = (
        f"Colour: change when {_SAID[kind]}<br>Square: share of the lines whose routing chose it"
    )
    figure.update_layout(title={"text": title, "font": {"size": 14, "color": INK}}, margin_t=64)
    figure.update_xaxes(showgrid=False, automargin=True)
    figure.update_yaxes(range=[len(tasks) - 0.5, -0.5], showgrid=False, automargin=True)
    return figure


def worth_rows(table: pd.DataFrame) -> list[list[Any]]:
    """The table of `worth_heatmap`, under `WORTH_COLUMNS`; empty where there is no number."""
    return [
        [row.task, row.encoder, row.lines, _rounded(row.chosen),
         *(_rounded(one) for one in
           (row.forced, row.forced_low, row.forced_high, row.masked, row.twin))]
        for row in table.itertuples()
    ]  # fmt: skip


def _rounded(value: float) -> float | str:
    return "" if np.isnan(value) else round(float(value), 3)


def _hover(table: pd.DataFrame, kind: str) -> list[str]:
    ends = table[[kind, f"{kind}_low", f"{kind}_high"]].itertuples(index=False, name=None)
    return [
        f"{value:+.2f} nats"
        + ("" if np.isnan(low) else _range(low, high))
        + ("" if np.isnan(row.chosen) else f", chosen in {row.chosen:.0%}")
        + f" of {row.lines} lines"
        for row, (value, low, high) in zip(table.itertuples(), ends, strict=True)
    ]


def _range(low: float, high: float) -> str:
    return f" (95 %: {low:+.2f} to {high:+.2f})"

"""What each encoder is worth for each task, beside how often it is chosen."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mowe.analysis.drawing import INK, dress
from mowe.analysis.worth.by_task import NO_ENCODER

WORTH_COLUMNS = ["Task", "Encoder", "Lines", "Chosen", "Forced", "Low", "High", "Masked"]
_LARGEST = 30  # px, of the square of an encoder that is always chosen


def worth_heatmap(table: pd.DataFrame) -> go.Figure:
    """Share chosen × worth: colour is the change when forced, a square's area the share chosen.

    Args:
        table: From `worth_by_task`.
    """
    encoders, tasks = (list(dict.fromkeys(table[name])) for name in ("encoder", "task"))
    grid = table.pivot(index="task", columns="encoder", values="forced").loc[tasks, encoders]
    values = grid.to_numpy()
    limit = max(float(np.abs(values).max()), 1e-6)
    hover = table.assign(text=_hover(table)).pivot(index="task", columns="encoder", values="text")
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
            "symbol": "square-open",
            "size": _LARGEST * np.sqrt(shares["chosen"].astype(float)),
            "color": "#111111",
            "line": {"width": 2},
        },
        hoverinfo="skip",
    )
    dress(figure, height=200 + 40 * len(tasks), legend=False)
    title = "Colour: change when forced<br>Square: share of the lines whose routing chose it"
    figure.update_layout(title={"text": title, "font": {"size": 14, "color": INK}}, margin_t=64)
    figure.update_xaxes(showgrid=False, automargin=True)
    figure.update_yaxes(range=[len(tasks) - 0.5, -0.5], showgrid=False, automargin=True)
    return figure


def worth_rows(table: pd.DataFrame) -> list[list[Any]]:
    """The table of `worth_heatmap`, under `WORTH_COLUMNS`; empty where there is no number."""
    return [
        [row.task, row.encoder, row.lines, _rounded(row.chosen),
         *(_rounded(one) for one in (row.forced, row.forced_low, row.forced_high, row.masked))]
        for row in table.itertuples()
    ]  # fmt: skip


def _rounded(value: float) -> float | str:
    return "" if np.isnan(value) else round(float(value), 3)


def _hover(table: pd.DataFrame) -> list[str]:
    return [
        f"{row.forced:+.2f} nats"
        + ("" if np.isnan(row.forced_low) else _range(row.forced_low, row.forced_high))
        + ("" if np.isnan(row.chosen) else f", chosen in {row.chosen:.0%}")
        + f" of {row.lines} lines"
        for row in table.itertuples()
    ]


def _range(low: float, high: float) -> str:
    return f" (95 %: {low:+.2f} to {high:+.2f})"

"""A chart for each question about what drives routing, from its part of the result file."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from mowe.analysis.drawing import dress
from mowe.analysis.experiments.figures import broken, heatmap
from mowe.analysis.palette import STYLES

_ROW = 18  # px of an arm in a row
_LABEL = 26  # characters in a line of a name


def driver_chart(question: Mapping[str, Any]) -> go.Figure:
    """The chart of a question: bands of the spectrogram where there are some, else its points."""
    if "bands" in question:
        return bands_chart(question["details"]["rows"], question["bands"])
    return points_chart(question["points"], question["unit"])


def points_chart(points: Sequence[Mapping[str, Any]], unit: str) -> go.Figure:
    """A row a name, a colour and a shape an arm; controls are hollow.

    Args:
        points: With `arm`, `name`, `value`, `low`, `high` and `control`.
        unit: Of the values.
    """
    names = list(dict.fromkeys(one["name"] for one in points))
    arms = list(dict.fromkeys(one["arm"] for one in points))
    controls = {one["name"] for one in points if one["control"]}
    figure = go.Figure()
    for place, arm in enumerate(arms):
        style = STYLES[place % len(STYLES)]
        some = [one for one in points if one["arm"] == arm]
        shift = (place - (len(arms) - 1) / 2) * 0.3
        figure.add_scatter(
            name=arm,
            x=[one["value"] for one in some],
            y=[names.index(one["name"]) + shift for one in some],
            mode="markers",
            marker={
                "color": style.color,
                "symbol": [style.symbol + ("-open" if one["control"] else "") for one in some],
                "size": 10,
            },
            error_x={
                "array": [one["high"] - one["value"] for one in some],
                "arrayminus": [one["value"] - one["low"] for one in some],
                "color": style.color,
                "width": 3,
            },
            customdata=[
                f"<b>{arm}</b>, {one['name']}<br>{one['value']:.3f} "
                f"(95 %: {one['low']:.3f} to {one['high']:.3f})"
                for one in some
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    labels = [broken(name, _LABEL) for name in names]
    labels = [
        f"<i>{label}</i>" if name in controls else label
        for name, label in zip(names, labels, strict=True)
    ]
    height = sum(max(_ROW * len(arms), 16 * (label.count("<br>") + 1)) + 6 for label in labels)
    dress(figure, height=150 + height, legend=True)
    figure.update_layout(legend={"yref": "container", "y": 0.0, "yanchor": "bottom"}, margin_b=100)
    figure.update_xaxes(
        title=broken(unit[:1].upper() + unit[1:], _LABEL), title_standoff=8, rangemode="tozero"
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=labels, range=[len(names) - 0.5, -0.5],
        automargin=True, showgrid=False,
    )  # fmt: skip
    return figure


def bands_chart(rows: Sequence[Sequence[Any]], bands: Sequence[str]) -> go.Figure:
    """Where in the spectrogram what speaks for an encoder lies: a row an arm and encoder, in %.

    Args:
        rows: Arm, encoder, clips, and the share of each band.
        bands: Their names.
    """
    labels = [f"{encoder}<br>({broken(arm, _LABEL)})" for arm, encoder, *_ in rows]
    hover = [[f"{arm}, {encoder}, {band}" for band in bands] for arm, encoder, *_ in rows]
    title, grid = "Share of what speaks<br>for the encoder, %", [row[3:] for row in rows]
    most = max((value for row in grid for value in row), default=1.0)
    return heatmap(labels, bands, grid, hover, title, most)

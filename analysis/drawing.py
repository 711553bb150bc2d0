"""The look that every figure shares, and Plotly's own script."""

from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go

from mowe.analysis.palette import EncoderStyle

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK = "#7a8190"  # readable on white and on near-black; a page may override it
GRID = "rgba(128, 128, 140, 0.25)"


def hatching(style: EncoderStyle) -> dict[str, Any]:
    """What tells an encoder's bars apart without colour."""
    return {
        "shape": style.pattern, "fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.75,
        "solidity": 0.2, "size": 7,
    }  # fmt: skip


def dress(figure: go.Figure, *, height: int, legend: bool) -> None:
    """The look every figure shares: no background of its own, nothing to drag by accident."""
    figure.update_layout(
        height=height,
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": INK},
        margin={"l": 48, "r": 12, "t": 44, "b": 44},  # a page puts its label over the top
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "top", "y": -0.16, "x": 0},
        dragmode=False,  # a finger scrolls the page instead of zooming
        modebar={"remove": ["zoom", "pan", "select", "lasso", "zoomin", "zoomout", "autoscale"]},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, fixedrange=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, fixedrange=True)


def plotly_script() -> Path:
    """Path of `plotly.min.js` inside the installed package."""
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

"""A map of recordings: one point each, coloured by what one asks about."""

import html
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mowe.analysis.drawing import INK, dress
from mowe.analysis.map.projection import Projection, agreement
from mowe.analysis.palette import STYLES, EncoderStyle, encoder_styles
from mowe.analysis.records import CHOICE, Records

NUMBERS = ("entropy", "margin", "score")
MISSING = "(none)"
REST = "(others)"
MAX_VALUES = 24  # of a label that get a colour and marker of their own; the rest share one
MAX_HOVERS = 20_000  # points beyond which their names are not sent
_NEUTRAL = EncoderStyle(INK, "", "circle-open")
_IN_SPACE = {  # WebGL knows fewer markers in three dimensions
    "triangle-up": "diamond-open", "star": "circle-open", "hexagon": "square-open",
}  # fmt: skip
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "hexagon")


def map_figure(
    points: Records,
    projection: Projection,
    color_by: str = CHOICE,
    *,
    marked: Sequence[int] = (),
    placed: np.ndarray | None = None,
) -> go.Figure:
    """Every recording as a point; its place in the table is the point's `customdata`.

    Args:
        points: One row per recording, from `Records.recordings`.
        projection: Of these recordings.
        color_by: `choice`, a label column, or one of `NUMBERS`.
        marked: Places of recordings that get a ring: what was searched or clicked.
        placed: `(dims,)`, where a recording of one's own would lie; it gets a star.
    """
    figure = go.Figure()
    hovers = hover_texts(points) if len(points) <= MAX_HOVERS else None
    numeric = color_by in NUMBERS
    for trace in (_shaded if numeric else _grouped)(points, projection, color_by, hovers):
        figure.add_trace(trace)
    if len(marked):
        figure.add_trace(_rings(projection, marked))
    if placed is not None:
        figure.add_trace(_star(placed, projection.dims))
    dress(figure, height=560, legend=not numeric)
    figure.update_layout(
        title={"text": _title(points, projection, color_by), "font": {"size": 14}},
        margin={"l": 8, "r": 8, "t": 64, "b": 8},
        dragmode="orbit" if projection.dims == 3 else "pan",
        hovermode="closest",
        legend={"itemsizing": "constant", "y": -0.02},
        uirevision=f"{projection.method}{projection.settings}{projection.dims}",
        modebar={"remove": ["sendChartToCloud", "autoscale"]},
    )
    bare = {"visible": False, "fixedrange": False}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare)
    axis = {"showticklabels": False, "title": "", "gridcolor": "rgba(128,128,140,.25)",
            "backgroundcolor": "rgba(0,0,0,0)"}  # fmt: skip
    figure.update_layout(scene={"xaxis": axis, "yaxis": axis, "zaxis": axis})
    return figure


def values_of(points: Records, color_by: str) -> list[str]:
    """The value of each recording under a label, as it is written in the legend."""
    column = points.table[color_by]
    return [MISSING if value is None or value != value else str(value) for value in column]


def hover_texts(points: Records) -> list[str]:
    """What a point says when it is pointed at; escaped, since Plotly reads some markup."""
    rows = zip(
        points.table["path"], points.table["label"], points.table["task"], points.table[CHOICE],
        strict=True,
    )  # fmt: skip
    return [
        "<br>".join(html.escape(str(part)) for part in (PurePath(path).name, label or task, choice)
                    if part)
        for path, label, task, choice in rows
    ]  # fmt: skip


def _title(points: Records, projection: Projection, color_by: str) -> str:
    method = {"pca": "PCA", "umap": "UMAP"}[projection.method]
    if color_by in NUMBERS:
        return f"{method} of {len(points):,} recordings by {color_by}"
    shared, by_chance = agreement(projection.coordinates, values_of(points, color_by))
    name = {CHOICE: "encoder"}.get(color_by, color_by)
    return (
        f"{method} of {len(points):,} recordings: {shared:.0%} of a point's<br>neighbours have its "
        f"{name}, {by_chance:.0%} by chance"
    )


def _grouped(
    points: Records, projection: Projection, color_by: str, hovers: list[str] | None
) -> list[Any]:
    """One trace per value, the most frequent first."""
    values = np.array(values_of(points, color_by), dtype=object)
    names, counts = np.unique(values.astype(str), return_counts=True)
    order = [str(names[place]) for place in np.argsort(-counts, kind="stable")]
    shown = [name for name in order if name != MISSING][:MAX_VALUES]
    styles = _styles(points, color_by, shown)
    traces = []
    for name in shown:
        traces.append(_points(projection, values == name, styles[name], name, hovers))
    rest = ~np.isin(values.astype(str), shown)
    if rest.any():
        only_missing = bool((values[rest] == MISSING).all())
        name = MISSING if only_missing else REST
        traces.append(_points(projection, rest, _NEUTRAL, name, hovers))
    return traces


def _styles(points: Records, color_by: str, shown: Sequence[str]) -> dict[str, EncoderStyle]:
    """Encoders look as everywhere; values of a label take colours in turn, then other markers."""
    if color_by == CHOICE:
        known = encoder_styles(points.encoders)
        return {name: known.get(name, _NEUTRAL) for name in shown}
    styles = {}
    for place, name in enumerate(shown):
        colour = place % len(STYLES)
        marker = (colour + place // len(STYLES)) % len(_SYMBOLS)
        styles[name] = EncoderStyle(STYLES[colour].color, "", _SYMBOLS[marker])
    return styles


def _points(
    projection: Projection,
    members: np.ndarray,
    style: EncoderStyle,
    name: str,
    hovers: list[str] | None,
) -> Any:
    places = np.flatnonzero(members)
    flat = projection.dims == 2
    symbol = style.symbol if flat else _IN_SPACE.get(style.symbol, style.symbol)
    marker = {"size": 6 if flat else 3, "color": style.color, "symbol": symbol, "opacity": 0.75}
    return _scatter(
        projection.coordinates[places],
        name=f"{html.escape(name)} ({len(places)})",
        mode="markers",
        marker=marker,
        customdata=places.astype(np.int32),
        **_hovering(places, hovers),
    )


def _shaded(
    points: Records, projection: Projection, color_by: str, hovers: list[str] | None
) -> list[Any]:
    values = points.table[color_by].to_numpy(dtype=np.float32)
    units = {"entropy": "Entropy (nats)", "margin": "Margin", "score": "Score"}
    bar = {"title": {"text": units[color_by]}, "thickness": 12}
    marker = {
        "size": 6 if projection.dims == 2 else 3, "color": values, "colorscale": "Cividis",
        "colorbar": bar, "opacity": 0.8,
    }  # fmt: skip
    places = np.arange(len(points))
    return [
        _scatter(
            projection.coordinates,
            name=color_by,
            mode="markers",
            marker=marker,
            customdata=places.astype(np.int32),
            **_hovering(places, hovers),
        )
    ]


def _hovering(places: np.ndarray, hovers: list[str] | None) -> dict[str, Any]:
    if hovers is None:
        return {"hoverinfo": "name"}
    return {"text": [hovers[place] for place in places], "hovertemplate": "%{text}<extra></extra>"}


def _rings(projection: Projection, marked: Sequence[int]) -> Any:
    flat = projection.dims == 2
    return _scatter(
        projection.coordinates[list(marked)],
        name=f"found ({len(marked)})",
        mode="markers",
        marker={"symbol": "circle-open", "size": 14 if flat else 8, "color": INK,
                "line": {"width": 2, "color": INK}},
        hoverinfo="skip",
    )  # fmt: skip


def _star(placed: np.ndarray, dims: int) -> Any:
    return _scatter(
        placed[None],
        name="your recording",
        mode="markers",
        marker={"symbol": "star" if dims == 2 else "cross", "size": 20 if dims == 2 else 8,
                "color": "#cc3311", "line": {"width": 2, "color": "#ffffff"}},
        hovertemplate="your recording<extra></extra>",
    )  # fmt: skip


def _scatter(coordinates: np.ndarray, **about: Any) -> Any:
    dims = coordinates.shape[1]
    axes = dict(zip("xyz"[:dims], coordinates.T.astype(np.float32), strict=True))
    return (go.Scattergl if dims == 2 else go.Scatter3d)(**axes, **about)

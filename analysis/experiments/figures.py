"""Charts of one experiment and their tables, from the arms and comparisons of a result file."""

from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import plotly.graph_objects as go

from mowe.analysis.drawing import dress
from mowe.analysis.palette import STYLES

COMPARISON_COLUMNS = [
    "Arm", "Against", "Difference", "Low", "High", "p (Holm)", "Could be seen", "Says",
]  # fmt: skip
MEAN = "mean"  # heads the column over all tasks
_LABEL = 22  # characters in a line of an arm's name; a phone has no more
_LINE = 16  # px
_BAND = "rgba(128, 128, 140, 0.22)"
# light throughout: black numbers are readable on every field, on a dark page too
_SCALE = ((0.0, "#f4f7fb"), (1.0, "#4ba3dc"))


class Saying(NamedTuple):
    """How a comparison is drawn, told apart with any colour vision and without colour."""

    color: str
    symbol: str


SAYINGS: Mapping[str, Saying] = {
    "better": Saying(STYLES[0].color, "triangle-right"),
    "worse": Saying(STYLES[3].color, "triangle-left"),
    "equal": Saying(STYLES[2].color, "diamond"),
    "undecided": Saying(STYLES[7].color, "circle-open"),
}

_Found = Mapping[str, Any]  # an arm or a comparison, as a result file has it


def forest_plot(
    comparisons: Sequence[_Found],
    arms: Sequence[_Found],
    *,
    margin: float,
    judged: Collection[int] = (),
) -> go.Figure:
    """A row a comparison: the difference in accuracy and its 95 % interval.

    Args:
        comparisons: With `arm`, `against`, `task`, `source`, `difference`, `low`, `high`,
            `p_corrected`, `detectable` and `says`.
        arms: With `name`, `accuracy` and `by_task`.
        margin: Half the width of the band in which differences are called equal.
        judged: Places of the comparisons that the claim is judged by; their names are bold.
    """
    against = list(dict.fromkeys(one["against"] for one in comparisons))
    labels = [
        _label(one, with_against=len(against) > 1, bold=place in judged)
        for place, one in enumerate(comparisons)
    ]
    figure = go.Figure()
    for says, style in SAYINGS.items():
        rows = [place for place, one in enumerate(comparisons) if one["says"] == says]
        if rows:
            figure.add_scatter(**_intervals([comparisons[row] for row in rows], rows, arms, style))
            figure.data[-1].name = says
    row_height = max((label.count("<br>") + 1 for label in labels), default=1) * _LINE + 12
    dress(figure, height=160 + row_height * len(labels), legend=True)
    figure.add_vrect(-margin, margin, fillcolor=_BAND, line_width=0, layer="below")
    figure.add_vline(0, line={"width": 1, "dash": "dot", "color": "#7a8190"}, layer="below")
    figure.update_layout(legend={"yref": "container", "y": 0.0, "yanchor": "bottom"}, margin_b=116)
    axis = "Difference in accuracy"
    if len(against) == 1:
        axis += f"<br>from {against[0]}"
    ends = [margin, -margin, *(one[name] for one in comparisons for name in ("low", "high"))]
    pad = 0.05 * (max(ends) - min(ends))
    figure.update_xaxes(
        title=axis, title_standoff=8, nticks=6,
        range=[min(ends) - pad, max(ends) + pad],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5],
        automargin=True, showgrid=False,
    )  # fmt: skip
    return figure


def _intervals(
    some: Sequence[_Found], rows: Sequence[int], arms: Sequence[_Found], style: Saying
) -> dict[str, Any]:
    differences = [one["difference"] for one in some]
    return {
        "x": differences,
        "y": rows,
        "mode": "markers",
        "marker": {
            "color": style.color,
            "symbol": style.symbol,
            "size": 12,
            "line": {"color": style.color, "width": 2},
        },
        "error_x": {
            "array": [one["high"] - one["difference"] for one in some],
            "arrayminus": [one["difference"] - one["low"] for one in some],
            "color": style.color,
            "thickness": 2,
            "width": 4,
        },
        "customdata": [_hover(one, arms) for one in some],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _label(one: _Found, *, with_against: bool, bold: bool) -> str:
    name = broken(one["arm"], _LABEL)
    about = [f"against {one['against']}"] if with_against else []
    about += [f"on {one[name]}" for name in ("task", "source") if one[name]]
    lines = [f"<b>{name}</b>" if bold else name, *(broken(line, _LABEL + 4) for line in about)]
    return "<br>".join(lines)


def _hover(one: _Found, arms: Sequence[_Found]) -> str:
    lines = [
        f"<b>{one['arm']}</b> against {one['against']}: {one['says']}",
        f"{one['difference']:+.3f} (95 %: {one['low']:+.3f} to {one['high']:+.3f})",
        f"p = {one['p_corrected']:.4f}, corrected",
        f"could have been seen: {one['detectable']:.3f}",
    ]
    if not one["source"]:  # of single sources no arm's accuracy is known
        first, second = (_accuracy(one[name], one["task"], arms) for name in ("arm", "against"))
        lines.insert(1, f"accuracy {first} against {second}")
    return "<br>".join(lines)


def _accuracy(name: str, task: str, arms: Sequence[_Found]) -> str:
    known = {one["name"]: one["by_task"].get(task) if task else one["accuracy"] for one in arms}
    value = known.get(name)
    return "unknown" if value is None else f"{value:.3f}"


def comparison_rows(comparisons: Sequence[_Found]) -> list[list[Any]]:
    """The table of `forest_plot`, under `COMPARISON_COLUMNS`."""
    return [
        [
            one["arm"],
            ", ".join(filter(None, (one["against"], one["task"], one["source"]))),
            *(
                round(one[name], 4)
                for name in ("difference", "low", "high", "p_corrected", "detectable")
            ),
            one["says"],
        ]
        for one in comparisons
    ]


def accuracy_heatmap(arms: Sequence[_Found]) -> go.Figure:
    """Accuracy of every arm (rows), over all tasks and by task (columns), in per cent."""
    columns = accuracy_columns(arms)[1:]
    grid = [[row.get(name) for name in columns] for row in map(_by_column, arms)]
    labels = [broken(arm["name"], _LABEL) for arm in arms]
    hover = [[f"{arm['name']}, {name}" for name in columns] for arm in arms]
    return heatmap(labels, columns, grid, hover, "Accuracy, %")


def accuracy_columns(arms: Sequence[_Found]) -> list[str]:
    """Heads of `accuracy_rows`."""
    return ["Arm", MEAN, *dict.fromkeys(task for arm in arms for task in arm["by_task"])]


def accuracy_rows(arms: Sequence[_Found]) -> list[list[Any]]:
    """The table of `accuracy_heatmap`; empty where an arm has no clip of a task."""
    columns = accuracy_columns(arms)[1:]
    return [[arm["name"], *(_by_column(arm).get(name, "") for name in columns)] for arm in arms]


def _by_column(arm: _Found) -> dict[str, Any]:
    return {MEAN: arm["accuracy"], **arm["by_task"]}


def hearing_heatmap(shares: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Who hears what: share of each encoder (columns) among the picks for a task (rows), in %.

    Args:
        shares: By task and encoder.
    """
    encoders = hearing_columns(shares)[1:]
    grid = [[of.get(name) for name in encoders] for of in shares.values()]
    hover = [[f"{task}, {name}" for name in encoders] for task in shares]
    return heatmap(list(shares), encoders, grid, hover, "Share of each encoder, %")


def hearing_columns(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Heads of `hearing_rows`."""
    return ["Task", *dict.fromkeys(name for of in shares.values() for name in of)]


def hearing_rows(shares: Mapping[str, Mapping[str, float]]) -> list[list[Any]]:
    """The table of `hearing_heatmap`."""
    encoders = hearing_columns(shares)[1:]
    return [[task, *(of.get(name, "") for name in encoders)] for task, of in shares.items()]


def heatmap(
    rows: Sequence[str],
    columns: Sequence[str],
    grid: Sequence[Sequence[float | None]],
    hover: Sequence[Sequence[str]],
    title: str,
    most: float = 1.0,
) -> go.Figure:
    """Numbers from 0 to `most` as fields with their per cent; names may repeat."""
    figure = go.Figure(
        go.Heatmap(
            z=grid,
            zmin=0,
            zmax=most,
            colorscale=_SCALE,
            showscale=False,  # the numbers are written out, and a phone is narrow
            xgap=1,
            ygap=1,
            text=[["" if one is None else f"{100 * one:.0f}" for one in row] for row in grid],
            texttemplate="%{text}",
            textfont={"color": "#111111"},
            customdata=hover,
            hovertemplate="%{customdata}: %{z:.1%}<extra></extra>",
        )
    )
    row_height = max((row.count("<br>") + 1 for row in rows), default=1) * _LINE + 12
    dress(figure, height=150 + row_height * len(rows), legend=False)
    figure.update_layout(margin_b=20)
    figure.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=list(columns), tickangle=-45, showgrid=False,
        automargin=True, title=title, title_standoff=8,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.5, -0.5],
        automargin=True, showgrid=False,
    )  # fmt: skip
    return figure


def broken(text: str, width: int) -> str:
    """A label in lines of at most so many characters."""
    return "<br>".join(wrap(text, width, break_on_hyphens=False))

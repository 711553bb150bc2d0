"""Charts of a whole set of recordings: who is used, and for what."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mowe.analysis.drawing import dress, hatching
from mowe.analysis.palette import encoder_styles
from mowe.analysis.routing.answer_figures import ROUTERS
from mowe.analysis.routing.specialization import Specialization

USAGE_COLUMNS = ["Encoder", "Chosen", "Data-independent", "Data-dependent"]
SHARE_COLUMNS = ["Value", "Encoder", "Share", "Low", "High", "Recordings"]
MAX_VALUES = 40  # rows of a heatmap; the values with most recordings are kept


def specialization_heatmap(found: Specialization) -> go.Figure:
    """Share of each encoder (columns) for each value of a label (rows).

    The title says the finding: how much the choice depends on the label, and whether that could be
    chance.
    """
    table = _largest(found.shares)
    grid = table.pivot(index="value", columns="encoder", values="share")
    grid = grid[list(dict.fromkeys(table["encoder"]))]
    bounds = table.assign(text=_bounds(table)).pivot(
        index="value", columns="encoder", values="text"
    )
    figure = go.Figure(
        go.Heatmap(
            x=list(grid.columns),
            y=[str(value) for value in grid.index],
            z=grid.to_numpy(),
            zmin=0,
            zmax=1,
            colorscale="Cividis",
            text=[[f"{share:.0%}" for share in row] for row in grid.to_numpy()],
            texttemplate="%{text}",
            customdata=bounds[list(grid.columns)].to_numpy(),
            hovertemplate="%{y}, %{x}: %{text} (%{customdata})<extra></extra>",
            colorbar={"title": "Share", "tickformat": ".0%", "thickness": 12},
        )
    )
    dress(figure, height=200 + 30 * len(grid), legend=False)
    lines = finding(found).replace(": ", ":<br>", 1)  # a phone is too narrow for one
    figure.update_layout(title={"text": lines, "font": {"size": 14}}, margin_t=64)
    figure.update_xaxes(showgrid=False, automargin=True)
    last = len(grid) - 0.5  # the first value on top
    figure.update_yaxes(
        title=found.by.capitalize(), range=[last, -0.5], showgrid=False, automargin=True
    )
    return figure


def finding(found: Specialization) -> str:
    """One sentence on how the choice and the label hang together."""
    about = found.information
    verdict = "depends on" if about["p"] < 0.01 else "does not visibly depend on"
    return (
        f"The choice {verdict} the {found.by}: {about['nats']:.2f} nats shared, "
        f"{about['by_chance']:.2f} by chance (p = {about['p']:.3g})"
    )


def share_rows(found: Specialization) -> list[list[Any]]:
    """The table of `specialization_heatmap`, under `SHARE_COLUMNS`."""
    return [
        [str(row.value), row.encoder, *(round(one, 3) for one in (row.share, row.low, row.high)),
         row.recordings]
        for row in found.shares.itertuples()
    ]  # fmt: skip


def usage_chart(usage: pd.DataFrame, effective: dict[str, float]) -> go.Figure:
    """Mean probability of each encoder by router, and how often each was chosen.

    Args:
        usage: From `analysis.usage`.
        effective: From `analysis.effective_encoders`.
    """
    figure = go.Figure()
    styles = encoder_styles(list(usage["encoder"]))
    groups = [name for name in usage.columns if name != "encoder"]
    titles = {
        "chosen": "Chosen",
        **{name: one.replace("-", "-<br>") for name, one in ROUTERS.items()},
    }
    for _, row in usage.iterrows():
        style = styles[row["encoder"]]
        figure.add_bar(
            name=row["encoder"],
            x=[titles[group] for group in groups],
            y=[row[group] for group in groups],
            text=[f"{row[group]:.0%}" for group in groups],
            textposition="outside",
            cliponaxis=False,
            marker={"color": style.color, "pattern": hatching(style)},
            hovertemplate=f"{row['encoder']}: %{{y:.3f}}<extra>%{{x}}</extra>",
        )
    dress(figure, height=350, legend=True)
    many = f"{effective['chosen']:.1f} of {len(usage)} encoders share the choices"
    figure.update_layout(title={"text": many, "font": {"size": 14}}, barmode="group")
    figure.update_yaxes(range=[0, 1.12], tickformat=".0%", title="Share")
    figure.update_xaxes(tickangle=0)
    return figure


def usage_rows(table: pd.DataFrame) -> list[list[Any]]:
    """`analysis.usage` as rows under `USAGE_COLUMNS`."""
    columns = ("chosen", "independent", "dependent")
    return [
        [row["encoder"], *(round(row[name], 3) if name in table else "" for name in columns)]
        for _, row in table.iterrows()
    ]


def _largest(shares: pd.DataFrame) -> pd.DataFrame:
    counts = shares.groupby("value")["recordings"].first().sort_values(ascending=False)
    return shares[shares["value"].isin(counts.index[:MAX_VALUES])]


def _bounds(table: pd.DataFrame) -> list[str]:
    rows = zip(table["low"], table["high"], table["recordings"], strict=True)
    return [f"95 %: {low:.0%} to {high:.0%}, {count} recordings" for low, high, count in rows]

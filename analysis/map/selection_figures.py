"""Part of a map against the rest of it."""

import pandas as pd
import plotly.graph_objects as go

from mowe.analysis.drawing import dress, hatching
from mowe.analysis.palette import encoder_styles

SELECTION_COLUMNS = ["Encoder", "Selected", "Rest", "Recordings selected"]


def selection_chart(shares: pd.DataFrame) -> go.Figure:
    """How often each encoder is chosen inside a selection and in the rest.

    Args:
        shares: From `selection.selection_shares`.
    """
    figure = go.Figure()
    styles = encoder_styles(list(shares["encoder"]))
    for row in shares.itertuples():
        style = styles[row.encoder]
        figure.add_bar(
            name=row.encoder,
            x=["Selected", "Rest"],
            y=[row.selected, row.rest],
            text=[f"{row.selected:.0%}", f"{row.rest:.0%}"],
            textposition="outside",
            cliponaxis=False,
            marker={"color": style.color, "pattern": hatching(style)},
            hovertemplate=f"{row.encoder}: %{{y:.3f}}<extra>%{{x}}</extra>",
        )
    dress(figure, height=350, legend=True)
    figure.update_layout(barmode="group", title={"text": _finding(shares), "font": {"size": 14}})
    figure.update_yaxes(range=[0, 1.12], tickformat=".0%", title="Share of the choices")
    return figure


def selection_rows(shares: pd.DataFrame) -> list[list[object]]:
    """The table of `selection_chart`, under `SELECTION_COLUMNS`."""
    return [
        [row.encoder, round(row.selected, 3), round(row.rest, 3), row.count]
        for row in shares.itertuples(index=False, name="Row")
    ]


def _finding(shares: pd.DataFrame) -> str:
    most = shares.loc[(shares["selected"] - shares["rest"]).idxmax()]
    return (
        f"{int(shares['count'].sum())} selected: {most['encoder']} in {most['selected']:.0%}, "
        f"<br>elsewhere in {most['rest']:.0%}"
    )

"""Charts of the health checks, each with the table that says the same."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mowe.analysis.drawing import dress, hatching
from mowe.analysis.health.checks import MEMORY, Pool
from mowe.analysis.palette import STYLES, encoder_styles
from mowe.analysis.routing.specialization_figures import usage_chart
from mowe.analysis.worth.perturbation import Compared

CHANGE_COLUMNS = ["Change", "Choice", "Divergence (nats)", "Same choice", "Scaled by (dB)",
                  "Answer", "Same answer"]  # fmt: skip
LOSS_COLUMNS = ["Stage", "Step", "Loss", "Spike above", "Spike"]
STEP_COLUMNS = ["Stage", "Step", "Effective encoders", "Memory (MB)", "GPU memory (MB)"]
POOL_COLUMNS = ["Encoder", "Parameters (millions)", "Runs in"]
MAX_POINTS = 800  # of a stage that are drawn and listed; spikes stay
ALARM = "#D55E00"
LIMIT: dict[str, Any] = {"dash": "dash", "color": ALARM, "width": 2}
DASHES = ("solid", "dash", "dot", "dashdot")


def collapse_chart(usage: pd.DataFrame, effective: dict[str, float], max_share: float) -> go.Figure:
    """`usage_chart` with a line at the largest share that one encoder may have."""
    figure = usage_chart(usage, effective)
    figure.add_hline(y=max_share, line=LIMIT)
    return figure


def consistency_chart(compared: Sequence[Compared], large: float) -> go.Figure:
    """Divergence of each change as a bar in the colour of the chosen encoder.

    Args:
        compared: The unchanged recording first.
        large: Where the line is drawn, nats.
    """
    changed = compared[1:]
    styles = encoder_styles(list(compared[0].probabilities))
    figure = go.Figure()
    for choice in dict.fromkeys(one.choice for one in changed):
        part = [one for one in changed if one.choice == choice]
        style = styles.get(choice.split(", ", 1)[0], STYLES[-1])
        figure.add_bar(
            name=html.escape(choice),
            orientation="h",
            y=[one.change for one in part],
            x=[one.divergence for one in part],
            marker={"color": style.color, "pattern": hatching(style)},
            hovertemplate=f"%{{y}}: %{{x:.3f}} nats<extra>{html.escape(choice)}</extra>",
        )
    flipped = [one for one in changed if not one.same_choice]
    figure.add_scatter(
        name="another encoder",
        y=[one.change for one in flipped],
        x=[one.divergence for one in flipped],
        mode="markers",
        marker={"symbol": "x", "size": 11, "color": ALARM, "line": {"color": "#fff", "width": 1}},
        hoverinfo="skip",
        showlegend=bool(flipped),
    )
    figure.add_vline(x=large, line=LIMIT)
    dress(figure, height=150 + 26 * len(changed), legend=True)
    kept = f"{len(changed) - len(flipped)} of {len(changed)} changes keep the choice"
    _title(figure, f"{kept}<br>({html.escape(compared[0].choice)})")
    farthest = max([large, *(one.divergence for one in changed)])
    figure.update_xaxes(title="Divergence (nats)", range=[0, max(0.02, farthest * 1.12)])
    names = [one.change for one in changed]
    figure.update_yaxes(
        automargin=True, showgrid=False, categoryorder="array", categoryarray=names[::-1]
    )
    figure.update_layout(barmode="overlay", legend_y=-0.2)
    return figure


def consistency_rows(compared: Sequence[Compared]) -> list[list[Any]]:
    """The table of `consistency_chart`, under `CHANGE_COLUMNS`."""
    return [
        [
            one.change,
            one.choice,
            round(one.divergence, 4),
            "yes" if one.same_choice else "no",
            round(-one.scaled, 1) if one.scaled else "",
            one.answer or "",
            {True: "yes", False: "no", None: ""}[one.same_answer],
        ]
        for one in compared
    ]


def loss_chart(steps: pd.DataFrame) -> go.Figure:
    """Loss over the steps of each stage, spikes marked, with the line that makes a spike.

    Args:
        steps: From `checks.find_spikes`.
    """
    drawn = thinned(steps)
    spikes = int(steps["spike"].sum())
    many = "no spike" if not spikes else "1 spike" if spikes == 1 else f"{spikes} spikes"
    stages = list(drawn["stage"].unique())
    figure = make_subplots(rows=len(stages), cols=1, vertical_spacing=0.3 / len(stages))
    for row, stage in enumerate(stages, 1):
        part = drawn[drawn["stage"] == stage]
        for trace in _loss_traces(part, first=row == 1):
            figure.add_trace(trace, row=row, col=1)
        figure.update_xaxes(title=f"Step ({html.escape(stage)})", row=row, col=1)
    dress(figure, height=120 + 220 * len(stages), legend=True)
    figure.update_yaxes(title="Loss")
    _title(figure, f"{many} in {len(steps)} logged steps")
    figure.update_layout(legend_y=-0.3 / len(stages))
    return figure


def _loss_traces(part: pd.DataFrame, *, first: bool) -> list[go.Scatter]:
    losses = part["loss"].where(np.isfinite(part["loss"]))
    spikes = part[part["spike"]]
    heights = losses[part["spike"]].fillna(0.0)  # what is not finite lies on the floor
    style = STYLES[0]
    return [
        go.Scatter(
            x=part["step"], y=losses, name="loss", mode="lines+markers", showlegend=first,
            line={"color": style.color, "width": 1.5}, marker={"size": 3},
            hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
        ),
        go.Scatter(
            x=part["step"], y=part["bound"], name="a spike is above", mode="lines",
            line={**LIMIT, "width": 1}, showlegend=first, hoverinfo="skip",
        ),
        go.Scatter(
            x=spikes["step"], y=heights, name="spike", mode="markers", showlegend=first,
            marker={"symbol": "x", "size": 10, "color": ALARM},
            text=[f"{loss:.4g}" for loss in spikes["loss"]],
            hovertemplate="step %{x}: %{text}<extra>spike</extra>",
        ),
    ]  # fmt: skip


def loss_rows(steps: pd.DataFrame) -> list[list[Any]]:
    """The table of `loss_chart`: the same points, under `LOSS_COLUMNS`."""
    return [
        [row.stage, row.step, f"{row.loss:.4g}", _short(row.bound), "yes" if row.spike else ""]
        for row in thinned(steps).itertuples()
    ]


def encoders_chart(steps: pd.DataFrame, least: float) -> go.Figure:
    """Effective number of encoders over the steps, and the line below which it is a collapse.

    Args:
        steps: From `checks.find_spikes`; only rows that have it.
        least: Where the line is.
    """
    known = steps["effective_encoders"].dropna()
    figure = _over_steps(thinned(steps), {"effective_encoders": ""}, "Effective encoders")
    figure.add_hline(y=least, line=LIMIT)
    below = int((known < least).sum())
    _title(figure, f"fewer than {least:g} in {below} of {len(known)} logged steps")
    figure.update_yaxes(rangemode="tozero")
    return figure


def memory_chart(steps: pd.DataFrame) -> go.Figure:
    """Peak memory so far over the steps of each stage; a drop is a new process.

    Args:
        steps: From `checks.find_spikes`.
    """
    figure = _over_steps(
        thinned(steps), {name: f", {words}" for name, words in MEMORY.items()}, "Peak memory (MB)"
    )
    highest = steps[list(MEMORY)].max().max()
    _title(figure, f"up to {highest:.0f} MB")
    figure.update_yaxes(rangemode="tozero")
    return figure


def step_rows(steps: pd.DataFrame) -> list[list[Any]]:
    """The table of `encoders_chart` and `memory_chart`, under `STEP_COLUMNS`."""
    return [
        [row.stage, row.step, _short(row.effective_encoders), _short(row.memory_mb),
         _short(row.gpu_memory_mb)]
        for row in thinned(steps).itertuples()
    ]  # fmt: skip


def pool_chart(pool: Pool) -> go.Figure:
    """Parameters of every weak encoder, in millions."""
    styles = encoder_styles(list(pool.encoders))
    figure = go.Figure()
    for name, size in pool.encoders.items():
        figure.add_bar(
            name=name,
            orientation="h",
            y=[name],
            x=[size / 1e6],
            text=[f"{size / 1e6:.3g}"],
            marker={"color": styles[name].color, "pattern": hatching(styles[name])},
            hovertemplate=f"{name}: %{{x:.3g}} million<extra></extra>",
            textposition="outside",
            cliponaxis=False,
        )
    dress(figure, height=130 + 32 * len(pool.encoders), legend=False)
    share = pool.active / max(1, sum(pool.encoders.values()))
    _title(figure, f"at most {pool.most} of {len(pool.encoders)} run,<br>{share:.0%} of the pool")
    largest = max(pool.encoders.values()) / 1e6
    figure.update_xaxes(title="Parameters (millions)", range=[0, largest * 1.2])
    figure.update_yaxes(automargin=True, showgrid=False, autorange="reversed")
    return figure


def pool_rows(pool: Pool, runs: dict[str, float]) -> list[list[Any]]:
    """The table of `pool_chart`, under `POOL_COLUMNS`.

    Args:
        pool: The mixture.
        runs: Share of the recorded windows in which an encoder runs; empty where none are known.
    """
    return [
        [name, float(f"{size / 1e6:.3g}"), f"{runs[name]:.0%}" if name in runs else ""]
        for name, size in pool.encoders.items()
    ]


def thinned(steps: pd.DataFrame) -> pd.DataFrame:
    """At most `MAX_POINTS` evenly spaced rows of each stage, and as many spikes."""
    kept = []
    for _, part in steps.groupby("stage", sort=False):
        every = -(-len(part) // MAX_POINTS)
        early = part["spike"] & (part["spike"].cumsum() <= MAX_POINTS)
        kept.append(part[(np.arange(len(part)) % every == 0) | early])
    return pd.concat(kept)


def _over_steps(drawn: pd.DataFrame, columns: dict[str, str], axis: str) -> go.Figure:
    """A line per stage and column; `columns` names what is added to the stage."""
    figure = go.Figure()
    for number, (stage, part) in enumerate(drawn.groupby("stage", sort=False)):
        for column, words in columns.items():
            if part[column].notna().any():
                style = STYLES[number % len(STYLES)]
                figure.add_scatter(
                    name=html.escape(str(stage)) + words,
                    x=part["step"],
                    y=part[column],
                    mode="lines+markers",
                    line={"color": style.color, "dash": DASHES[number % len(DASHES)]},
                    marker={"symbol": style.symbol, "size": 5},
                    hovertemplate="step %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
                )
    dress(figure, height=350, legend=True)
    figure.update_xaxes(title="Step")
    figure.update_yaxes(title=axis)
    figure.update_layout(legend_y=-0.34)
    return figure


def _title(figure: go.Figure, text: str) -> None:
    figure.update_layout(title={"text": text, "font": {"size": 14}}, margin_t=64)


def _short(value: float) -> float | str:
    return "" if np.isnan(value) else float(f"{value:.4g}")

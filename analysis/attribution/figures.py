"""Pictures of what drives a routing, each beside a table that says the same."""

import html
import textwrap
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mowe.analysis.attribution.activation import SECONDS, Activation, Sounding
from mowe.analysis.attribution.gradients import Attribution, Deletion, cells_of_half, regions
from mowe.analysis.drawing import INK, dress
from mowe.analysis.palette import encoder_styles
from mowe.analysis.routing.answer_figures import COLUMNS, TICK_HERTZ
from mowe.data.records import LABELS
from mowe.encoders.mel import MelSettings, band_hertz

LINE_CHARS = 50  # of a title on a phone
REGION_COLUMNS = ["Start (s)", "End (s)", "From (Hz)", "To (Hz)", "Share of the support"]
DELETION_COLUMNS = [
    "Cells (%)", "Only the strongest", "Only random", "Without the strongest", "Without random",
]  # fmt: skip
ACTIVATION_COLUMNS = ["Encoder", "Random start", "After", "Heard as a sound"]
CLIP_COLUMNS = ["Probability", "File", "Start (s)", "End (s)", "Labels"]

# blue speaks against, orange for; see-through at 0, so that the sound below stays visible
_SIGNED = [
    [0.0, "rgba(0, 114, 178, 1)"], [0.5, "rgba(128, 128, 128, 0)"], [1.0, "rgba(230, 119, 0, 1)"],
]  # fmt: skip
# ink on paper: louder is denser on a light page and on a dark one
_LOUDNESS = [[0.0, "rgba(128, 128, 140, 0)"], [1.0, "rgba(128, 128, 140, 0.75)"]]
_STRONGEST = 99.5  # percentile of the absolute attribution that gets the full colour


def attribution_figure(attribution: Attribution) -> go.Figure:
    """Attribution in colour over the log-mel in grey, with the silence that the model adds."""
    values, step = _thinned(attribution.values, np.add)
    loud, _ = _thinned(attribution.features, np.maximum)
    times = (
        attribution.start + (np.arange(len(values)) + 0.5) * step / attribution.frames_per_second
    )
    limit = max(float(np.percentile(np.abs(values), _STRONGEST)), 1e-6)
    figure = go.Figure(
        [
            go.Heatmap(
                x=times, z=np.round(loud.T, 2), colorscale=_LOUDNESS, showscale=False,
                hoverinfo="skip",
            ),
            go.Heatmap(
                x=times, z=values.T.astype(np.float32), zmin=-limit, zmid=0, zmax=limit,
                colorscale=_SIGNED,
                hovertemplate="%{x:.2f} s: %{z:.4f} logits<extra></extra>",
                colorbar={
                    "title": "Logits", "orientation": "h", "thickness": 10, "y": -0.3,
                    "yanchor": "top",
                },
            ),
        ]
    )  # fmt: skip
    dress(figure, height=400, legend=False)
    end = attribution.start + attribution.sound_seconds
    figure.add_vline(x=end, line={"color": INK, "dash": "dot", "width": 1.5})
    figure.update_layout(title=_title(*_found(attribution)), margin={"t": 80, "b": 100})
    figure.update_xaxes(title="Time (s); dotted: the sound ends", showgrid=False)
    _hertz_axis(figure, attribution.settings)
    return figure


def region_rows(attribution: Attribution) -> list[list[float]]:
    """The table of `attribution_figure`, under `REGION_COLUMNS`."""
    return [
        [round(one.start, 2), round(one.end, 2), round(one.low), round(one.high),
         round(one.share, 4)]
        for one in regions(attribution)
    ]  # fmt: skip


def deletion_chart(found: Sequence[Deletion], encoder: str) -> go.Figure:
    """Probability of the encoder with the strongest and with random cells kept or removed."""
    color = encoder_styles([encoder])[encoder].color
    x = [f"{100 * one.level:g}" for one in found]
    figure = go.Figure()
    for name, field, line, symbol in (
        ("only the strongest", "kept", "solid", "circle"),
        ("only random", "kept_random", "dot", "circle-open"),
        ("without the strongest", "removed", "solid", "square"),
        ("without random", "removed_random", "dot", "square-open"),
    ):
        drawn = INK if "random" in name else color
        figure.add_scatter(
            name=name,
            x=x,
            y=[getattr(one, field) for one in found],
            mode="lines+markers",
            line={"color": drawn, "dash": line},
            marker={"symbol": symbol, "size": 9, "color": drawn},
            hovertemplate=f"{name}, %{{x}} %: %{{y:.3f}}<extra></extra>",
        )
    dress(figure, height=410, legend=True)
    figure.update_layout(title=_title(*_verdict(found, encoder)), margin={"t": 80, "b": 130})
    figure.update_layout(legend_y=-0.34)
    figure.update_xaxes(title="Cells (% of the spectrogram)", type="category")
    figure.update_yaxes(title="Probability", range=[-0.04, 1.04], tickformat=".0%")
    return figure


def deletion_rows(found: Sequence[Deletion]) -> list[list[float]]:
    """The table of `deletion_chart`, under `DELETION_COLUMNS`."""
    return [
        [round(100 * one.level, 1),
         *(round(p, 3) for p in (one.kept, one.kept_random, one.removed, one.removed_random))]
        for one in found
    ]  # fmt: skip


def activation_figure(activation: Activation, settings: MelSettings) -> go.Figure:
    """The made-up log-mel; the silence behind it is not drawn."""
    count = round(SECONDS * settings.sample_rate) // settings.hop
    mel = activation.features[:count]
    figure = go.Figure(
        go.Heatmap(
            x=(np.arange(count) + 0.5) * settings.hop / settings.sample_rate,
            z=np.round(mel.T, 2).astype(np.float32),
            colorscale="Cividis",
            hovertemplate="%{x:.2f} s: %{z:.2f}<extra></extra>",
            colorbar={
                "title": "Log-mel", "orientation": "h", "thickness": 10, "y": -0.32,
                "yanchor": "top",
            },
        )
    )  # fmt: skip
    dress(figure, height=380, legend=False)
    before, after = (one[activation.encoder] for one in (activation.before, activation.after))
    name = html.escape(activation.encoder)
    figure.update_layout(
        title=_title(
            f"Made up for {name}, {activation.step} steps:",
            f"probability {before:.3f} at the random start, {after:.3f} after",
        ),
        margin={"t": 80, "b": 100},
    )
    figure.update_xaxes(title="Time (s)", showgrid=False)
    _hertz_axis(figure, settings)
    return figure


def activation_rows(activation: Activation, heard: Sounding | None) -> list[list[Any]]:
    """Probability of every encoder, under `ACTIVATION_COLUMNS`."""
    again = heard.probabilities if heard else {}
    return [
        [name, round(before, 3), round(activation.after[name], 3),
         round(again[name], 3) if again else ""]
        for name, before in activation.before.items()
    ]  # fmt: skip


def clip_rows(table: pd.DataFrame) -> list[list[Any]]:
    """`activation.top_clips` under `CLIP_COLUMNS`."""
    labels = [name for name in LABELS if name not in ("question", "expected")]
    rows = []
    for row in table.to_dict("records"):
        known = ", ".join(f"{name}: {row[name]}" for name in labels if pd.notna(row[name]))
        first = float(row["clip_start"])
        start, end = (round(first + float(row[edge]), 2) for edge in ("start", "end"))
        name = PurePath(str(row["path"])).name
        rows.append([round(float(row["probability"]), 3), name, start, end, known])
    return rows


def _found(attribution: Attribution) -> tuple[str, str]:
    cells, best = cells_of_half(attribution.values), regions(attribution, 1)[0]
    name = html.escape(attribution.encoder)
    return (
        f"Half of what speaks for {name} is in {cells:.1%} of the cells,",
        f"most at {best.start:.1f} to {best.end:.1f} s, {best.low:.0f} to {best.high:.0f} Hz",
    )


def _verdict(found: Sequence[Deletion], encoder: str) -> tuple[str, str]:
    """What the largest difference between the strongest and random cells is."""
    gains = [(one.kept - one.kept_random, one.level, "keeping") for one in found]
    gains += [(one.removed_random - one.removed, one.level, "removing") for one in found]
    gain, level, what = max(gains, key=lambda one: one[0])
    name = html.escape(encoder)
    if gain < 0.1:
        return (f"Not confirmed for {name}:", "random cells do as much as the strongest")
    return (
        f"The strongest cells matter to {name}: {what} {level:.0%} of",
        f"the cells moves its probability {gain:.2f} more than random ones",
    )


def _title(*lines: str) -> dict[str, Any]:
    short = textwrap.wrap(" ".join(lines), LINE_CHARS)
    return {"text": "<br>".join(short), "font": {"size": 13}}


def _hertz_axis(figure: go.Figure, settings: MelSettings) -> None:
    """Frequencies on a vertical axis of bands."""
    centres = band_hertz(settings).numpy()
    places = np.interp(TICK_HERTZ, centres, np.arange(len(centres)))
    labels = [f"{hertz / 1000:g}k" if hertz >= 1000 else str(hertz) for hertz in TICK_HERTZ]
    figure.update_yaxes(title="Hz", tickvals=places, ticktext=labels, showgrid=False)


def _thinned(grid: np.ndarray, combine: np.ufunc) -> tuple[np.ndarray, int]:
    """At most `COLUMNS` frames, `(columns, mels)`, and how many frames became one."""
    step = int(np.ceil(len(grid) / COLUMNS))
    return combine.reduceat(grid, np.arange(0, len(grid), step), axis=0), step

"""Charts of which encoders ran and what the model heard, each beside a table that says the same.

Routing comes as the `windows` of an answer's JSON: one mapping per window with `recording`,
`start`, `end` (seconds), `independent`, `dependent` (probability by encoder), `chosen`, `entropy`
(nats) and `margin`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mowe.analysis.drawing import INK, dress, hatching
from mowe.analysis.palette import encoder_styles
from mowe.audio import SAMPLE_RATE, log_mel

WindowFields = Mapping[str, Any]

ROUTERS = {"independent": "Data-independent", "dependent": "Data-dependent"}
ROUTING_COLUMNS = ["Window (s)", "Encoder", *ROUTERS.values(), "Ran"]
HEARD_COLUMNS = ["Start (s)", "End (s)", "Level (dBFS)", "Peak (dBFS)", "Strongest band (Hz)"]

COLUMNS = 800  # points across a picture, more than a narrow screen can show
MEL_FRAMES_PER_SECOND = 100
MEL_RANGE = 2.0  # units of log_mel kept below the loudest point
MEL_BLOCK_FRAMES = 6000  # one minute is turned into mel bands at a time, so hours fit in memory
TICK_HERTZ = (250, 500, 1000, 2000, 4000)
SILENCE_DBFS = -120.0
MAX_HEARD_ROWS = 20

WAVE = "#3f8f9f"


class AudioPicture(NamedTuple):
    """A recording as the model heard it, made once for its picture and its table."""

    samples: np.ndarray  # (samples,) float32 in [-1, 1] at 16 kHz
    mel: np.ndarray  # (mels, columns) log-mel, thinned
    times: np.ndarray  # (columns,) middle of each column, s

    @property
    def seconds(self) -> float:
        """Length, s."""
        return len(self.samples) / SAMPLE_RATE


def audio_picture(samples: np.ndarray) -> AudioPicture:
    """Prepare a recording for `heard_figure` and `heard_rows`.

    Args:
        samples: `(samples,)` float32 in [-1, 1] at 16 kHz, as the base encoder gets them.
    """
    return AudioPicture(samples, *_mel_picture(samples))


def encoder_names(windows: Sequence[WindowFields]) -> list[str]:
    """Every encoder that a router gave a probability, in pool order."""
    names = [name for window in windows for router in ROUTERS for name in window[router]]
    return list(dict.fromkeys(names))


def router_chart(windows: Sequence[WindowFields]) -> go.Figure:
    """Probability of each encoder by router: one trace per encoder, one group of bars per router.

    Several windows are averaged by their length.

    Args:
        windows: Routing of one or more windows; without any the chart is empty.
    """
    names = encoder_names(windows)
    styles = encoder_styles(names)
    routers = [router for router in ROUTERS if any(window[router] for window in windows)]
    ran = {name for window in windows for name in window["chosen"]}
    groups = [_group_label(router, len(windows)) for router in routers]
    figure = go.Figure()
    for name in names:
        means = [_mean(windows, router, name) for router in routers]
        figure.add_bar(
            name=f"{name} (ran)" if name in ran else name,
            x=groups,
            y=means,
            text=[f"{mean:.0%}" for mean in means],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": styles[name].color,
                "opacity": 1.0 if name in ran else 0.55,
                "line": {"color": INK, "width": 2 if name in ran else 0},
                "pattern": hatching(styles[name]),
            },
            hovertemplate=f"{name}: %{{y:.3f}}<extra>%{{x}}</extra>",
        )
    dress(figure, height=350, legend=True)
    figure.update_layout(barmode="group", bargap=0.18, bargroupgap=0.06)
    figure.update_yaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure


def routing_rows(windows: Sequence[WindowFields]) -> list[list[Any]]:
    """The table of `router_chart`: one row per window and encoder, under `ROUTING_COLUMNS`."""
    return [
        [
            _span(window),
            name,
            *(_rounded(window[router].get(name)) for router in ROUTERS),
            "yes" if name in window["chosen"] else "",
        ]
        for window in windows
        for name in encoder_names([window])
    ]


def heard_figure(
    heard: AudioPicture, windows: Sequence[WindowFields] = (), *, min_windows: int = 2
) -> go.Figure:
    """What the model heard: waveform and log-mel spectrogram over one time axis.

    Args:
        heard: The recording.
        windows: Routing of the same recording. A third row shows how the data-dependent router (or
            the only router) shared its probability in each.
        min_windows: Fewest windows that get the third row.
    """
    timeline = len(windows) >= min_windows and bool(encoder_names(windows))
    figure = make_subplots(
        rows=3 if timeline else 2,
        shared_xaxes=True,
        vertical_spacing=0.06,
        row_heights=[0.25, 0.5, 0.25] if timeline else [0.35, 0.65],
    )
    figure.add_trace(_waveform(heard.samples), row=1, col=1)
    figure.add_trace(_spectrogram(heard), row=2, col=1)
    if timeline:
        for trace in _timeline(windows):
            figure.add_trace(trace, row=3, col=1)
    dress(figure, height=480 if timeline else 350, legend=timeline)
    figure.update_xaxes(range=[0, heard.seconds], showgrid=False)
    figure.update_xaxes(title="Time (s)", row=3 if timeline else 2, col=1)
    figure.update_yaxes(title="Level", range=[-1.05, 1.05], tickvals=[-1, 0, 1], row=1, col=1)
    bands = [_mel_band(hertz) for hertz in TICK_HERTZ]
    labels = [f"{hertz / 1000:g}k" if hertz >= 1000 else str(hertz) for hertz in TICK_HERTZ]
    figure.update_yaxes(title="Hz", tickvals=bands, ticktext=labels, showgrid=False, row=2, col=1)
    if timeline:
        figure.update_yaxes(title="Routing", range=[0, 1], tickvals=[0, 1], row=3, col=1)
    return figure


def heard_rows(heard: AudioPicture) -> list[list[float]]:
    """The table of `heard_figure`: up to twenty equal stretches of time, under `HEARD_COLUMNS`."""
    count = int(min(MAX_HEARD_ROWS, max(1, np.ceil(heard.seconds))))
    rows = []
    for number, part in enumerate(np.array_split(heard.samples, count)):
        start, end = (heard.seconds * edge / count for edge in (number, number + 1))
        inside = heard.mel[:, (heard.times >= start) & (heard.times < end)]
        band = int(inside.mean(axis=1).argmax()) if inside.size else 0
        level = float(np.sqrt(np.mean(np.square(part, dtype=np.float64))))
        peak = float(np.abs(part).max())
        strongest = round(_band_hertz(band)) if peak > 0 else 0
        rows.append([round(start, 2), round(end, 2), _dbfs(level), _dbfs(peak), strongest])
    return rows


def _group_label(router: str, windows: int) -> str:
    if windows == 1:
        return ROUTERS[router]
    return f"{ROUTERS[router]}<br>(mean of {windows} windows)"


def _mean(windows: Sequence[WindowFields], router: str, name: str) -> float:
    lengths = [window["end"] - window["start"] for window in windows]
    values = [float(window[router].get(name, 0.0)) for window in windows]
    return float(np.average(values, weights=lengths))


def _waveform(samples: np.ndarray) -> go.Scatter:
    """The smallest and largest sample of each stretch as one filled outline."""
    parts = np.array_split(samples, min(COLUMNS, len(samples)))
    low, high = (np.array([pick(part) for part in parts]) for pick in (np.min, np.max))
    times = (np.arange(len(parts)) + 0.5) * (len(samples) / SAMPLE_RATE / len(parts))
    return go.Scatter(
        x=np.concatenate([times, times[::-1]]).astype(np.float32),
        y=np.concatenate([high, low[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=WAVE,
        line={"color": WAVE, "width": 0.8},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _spectrogram(heard: AudioPicture) -> go.Heatmap:
    mel = heard.mel
    return go.Heatmap(
        x=heard.times.astype(np.float32),
        z=np.round(mel, 2).astype(np.float32),
        colorscale="Cividis",
        zmin=float(mel.max()) - MEL_RANGE,
        zmax=float(mel.max()),
        showscale=False,
        hovertemplate="%{x:.2f} s<extra></extra>",
    )


def _mel_picture(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-mel thinned to at most `COLUMNS` columns, `(mels, columns)`, and their times in seconds.

    A column is the loudest of its frames, so that a click does not vanish from a long recording.
    """
    hop = SAMPLE_RATE // MEL_FRAMES_PER_SECOND
    frames = max(1, len(samples) // hop)
    thinning = int(np.ceil(frames / COLUMNS))
    block = max(thinning, MEL_BLOCK_FRAMES // thinning * thinning)  # frames
    columns = []
    for start in range(0, frames, block):
        piece = samples[start * hop : (start + block) * hop]
        short = max(0, 400 - len(piece))  # log_mel needs one window of 25 ms
        mel = log_mel(np.ascontiguousarray(np.pad(piece, (0, short)), dtype=np.float32))
        edges = np.arange(0, mel.shape[1], thinning)
        columns.append(np.maximum.reduceat(mel, edges, axis=1))
    picture = np.concatenate(columns, axis=1)
    picture = np.maximum(picture, picture.max() - MEL_RANGE)
    times = (np.arange(picture.shape[1]) + 0.5) * thinning / MEL_FRAMES_PER_SECOND
    return picture, times


def _timeline(windows: Sequence[WindowFields]) -> list[go.Scatter]:
    """Stacked steps, one trace per encoder; the last value is repeated to reach the end."""
    router = "dependent" if windows[0]["dependent"] else "independent"
    names = encoder_names(windows)
    styles = encoder_styles(names)
    edges = [*(window["start"] for window in windows), windows[-1]["end"]]
    traces = []
    for name in names:
        shares = [window[router].get(name, 0.0) for window in windows]
        traces.append(
            go.Scatter(
                name=name,
                x=edges,
                y=[*shares, shares[-1]],
                mode="lines",
                line={"shape": "hv", "width": 0.8, "color": INK},
                stackgroup="routing",
                fillcolor=styles[name].color,
                fillpattern=hatching(styles[name]),
                hovertemplate=f"{name}: %{{y:.3f}}<extra></extra>",
            )
        )
    return traces


def _span(window: WindowFields) -> str:
    return f"{window['start']:g}–{window['end']:g}"  # noqa: RUF001


def _rounded(probability: float | None) -> float | str:
    return "" if probability is None else round(probability, 3)


def _dbfs(amplitude: float) -> float:
    return round(max(SILENCE_DBFS, 20 * np.log10(max(amplitude, 1e-12))), 1)


def _hertz_to_mel(hertz: float) -> float:
    """Slaney's mel scale, the one of the spectrogram: linear to 1 kHz, logarithmic above."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _mel_to_hertz(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1000 * float(np.exp((mel - 15) * np.log(6.4) / 27))


def _mel_band(hertz: float, bands: int = 80) -> float:
    """Position of a frequency on the spectrogram's vertical axis; band 0 is the lowest."""
    return _hertz_to_mel(hertz) / _hertz_to_mel(SAMPLE_RATE / 2) * (bands + 1) - 1


def _band_hertz(band: float, bands: int = 80) -> float:
    """Centre frequency of a band, Hz."""
    return _mel_to_hertz(_hertz_to_mel(SAMPLE_RATE / 2) * (band + 1) / (bands + 1))

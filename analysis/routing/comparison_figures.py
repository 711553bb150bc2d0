"""Charts that lay the routing of several clips side by side, and of one clip over time."""

import html
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from mowe.analysis.drawing import INK, dress, hatching
from mowe.analysis.palette import encoder_styles
from mowe.analysis.routing.answer_figures import AudioPicture, heard_figure
from mowe.analysis.routing.comparison import (
    Summary,
    chosen_encoders,
    clip_labels,
    dependent_router,
    finding,
    shared_router,
    windows_of,
)
from mowe.assistant import Answer

LABELLED_GROUPS = 3  # with more, numbers over the bars would overlap
AXIS_CHARS = 42  # of all labels under the bars together, on a phone
SHARED = "all"  # the data-independent router, the same for every clip


class _Group(NamedTuple):
    label: str
    router: Summary
    chosen: list[str]


def comparison_chart(answers: Sequence[Answer]) -> go.Figure:
    """Both routers' probabilities: the data-independent one once, the data-dependent one per clip.

    One trace per encoder, one group of bars per router or clip; what a clip chose has an outline.
    Several windows of a clip are averaged by their length.

    Args:
        answers: Of `Assistant.route_all`, one per clip.
    """
    groups = _groups(answers)
    names = list(groups[0].router.probabilities) if groups else []
    styles, labels = encoder_styles(names), _labels([group.label for group in groups])
    figure = go.Figure()
    for name in names:
        shares = [group.router.probabilities[name] for group in groups]
        outlines = [2 if name in group.chosen else 0 for group in groups]
        figure.add_bar(
            name=name,
            x=labels,
            y=shares,
            text=[f"{share:.0%}" for share in shares] if len(groups) <= LABELLED_GROUPS else None,
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": styles[name].color,
                "line": {"color": INK, "width": outlines},
                "pattern": hatching(styles[name]),
            },
            customdata=[html.escape(group.label, quote=False) for group in groups],
            hovertemplate=f"{name}: %{{y:.3f}}<extra>%{{customdata}}</extra>",
        )
    dress(figure, height=380, legend=True)
    title = {"text": _broken(finding(answers)), "font": {"size": 14}}
    figure.update_layout(title=title, margin_t=64, barmode="group", bargap=0.18, bargroupgap=0.06)
    figure.update_yaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(title="Probability")
    figure.update_xaxes(tickangle=0)
    return figure


def routing_timeline(heard: AudioPicture, answer: Answer) -> go.Figure:
    """Waveform, log-mel spectrogram and routing of one clip over one time axis.

    Args:
        heard: The clip, from `answer_figures.audio_picture`.
        answer: Its routing, in windows of any length.
    """
    figure = heard_figure(heard, windows_of(answer), min_windows=1)
    title = {"text": changes(answer), "font": {"size": 14}}
    figure.update_layout(title=title, margin_t=64)
    return figure


def changes(answer: Answer) -> str:
    """One sentence on how often another encoder becomes the likeliest along a clip."""
    shares = [window.dependent or window.independent for window in answer.windows]
    leaders = [max(one, key=lambda name: one[name]) for one in shares if one]
    count = sum(one != after for one, after in itertools.pairwise(leaders))
    windows = f"{len(leaders)} window{'s' if len(leaders) != 1 else ''}"
    if count:
        return f"The lead changes {count} time{'s' if count > 1 else ''} in {windows}"
    return f"{leaders[0]} leads throughout ({windows})" if leaders else ""


def _groups(answers: Sequence[Answer]) -> list[_Group]:
    shared = shared_router(answers)
    groups = [_Group(SHARED, shared, [])] if shared else []
    for label, answer in zip(clip_labels(answers), answers, strict=True):
        if router := dependent_router(answer):
            groups.append(_Group(label, router, chosen_encoders(answer)))
    return groups


def _labels(labels: Sequence[str]) -> list[str]:
    """Names short enough to stand side by side, and without markup for Plotly to follow."""
    room = max(3, AXIS_CHARS // max(1, len(labels)))
    return [
        html.escape(label if len(label) <= room else f"{label[: room - 1]}…", quote=False)
        for label in labels
    ]


def _broken(sentence: str) -> str:
    """In two lines where there is a list, since a phone is too narrow for one."""
    return sentence.replace(": ", ":<br>", 1)

"""The right-hand side: which encoders ran, and what the model heard. Charts with their tables."""

from dataclasses import asdict
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.routing.answer_figures import (
    HEARD_COLUMNS,
    ROUTING_COLUMNS,
    audio_picture,
    heard_figure,
    heard_rows,
    router_chart,
    routing_rows,
)
from mowe.audio import SAMPLE_RATE, Recording
from mowe.ui.ask.conversation import Conversation
from mowe.ui.ask.facts import Facts
from mowe.ui.shared.tables import table_of


class RouterChart(NamedTuple):
    """Which encoders ran: components when building, their values in handlers."""

    chart: Any
    table: Any


class Picture(NamedTuple):
    """What the model heard: components when building, their values in handlers."""

    figure: Any
    table: Any


class Panel(NamedTuple):
    """The components of the whole side."""

    facts: Facts
    results: gr.Column  # holds all below
    recording: gr.Dropdown  # which one they are about
    routing: RouterChart
    picture: Picture


def build_panel(facts: dict[str, Any]) -> Panel:
    """Lay the side out.

    Args:
        facts: What it says before the first question.
    """
    shown = Facts(facts, elem_id="facts")
    with gr.Column(visible=False, elem_id="results") as results:
        recording = gr.Dropdown(
            [], label="Recording shown below", visible=False, interactive=True, elem_id="recording"
        )
        chart = gr.Plot(label="Router probabilities", visible=False, elem_id="router-chart")
        with gr.Accordion("Router probabilities as a table", open=False):
            routing_table = table_of(ROUTING_COLUMNS, "Router probabilities", "routing-table")
        figure = gr.Plot(label="What the model heard", elem_id="heard-picture")
        with gr.Accordion("What the model heard as a table", open=False):
            heard_table = table_of(HEARD_COLUMNS, "What the model heard", "heard-table")
    routing, picture = RouterChart(chart, routing_table), Picture(figure, heard_table)
    return Panel(shown, results, recording, routing, picture)


def recording_choice(conversation: Conversation) -> gr.Dropdown:
    """Every recording of the conversation to pick from, the newest one picked."""
    names = [
        (f"{number + 1}. {recording.name}, {recording.seconds:.1f} s", number)
        for number, recording in enumerate(conversation.recordings)
    ]
    newest = len(names) - 1 if names else None
    return gr.Dropdown(choices=names, value=newest, visible=len(names) > 1)


def routing_values(conversation: Conversation, recording: int) -> RouterChart:
    """Both routers' probabilities for one recording, counted from 0, in the last reply.

    Values come as updates: the page patches what a stream sent last, and would empty bare ones.
    """
    windows = _windows(conversation, recording)
    rows = routing_rows(windows)
    chart = gr.Plot(router_chart(windows) if rows else None, visible=bool(rows))
    return RouterChart(chart, gr.Dataframe(rows))


def picture_values(conversation: Conversation, recording: int, audio: Recording | None) -> Picture:
    """Waveform and spectrogram of one recording, and the routing over its windows if known.

    Args:
        conversation: What was said about it.
        recording: Its number.
        audio: Its samples; without them there is no picture.
    """
    if audio is None:
        return Picture(gr.Plot(None), gr.Dataframe([]))
    heard = audio_picture(audio.at(SAMPLE_RATE))
    figure = heard_figure(heard, _windows(conversation, recording))
    return Picture(gr.Plot(figure), gr.Dataframe(heard_rows(heard)))


def _windows(conversation: Conversation, recording: int) -> list[dict[str, Any]]:
    if not conversation.replies:
        return []
    windows = conversation.replies[-1].answer.windows
    return [asdict(window) for window in windows if window.recording == recording]

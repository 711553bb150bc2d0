"""The right-hand side: which encoders ran, and what the model heard. Charts with their tables."""

from dataclasses import asdict
from typing import Any, NamedTuple

import gradio as gr

from analysis.figures import (
    HEARD_COLUMNS,
    ROUTING_COLUMNS,
    heard_figure,
    heard_rows,
    router_chart,
    routing_rows,
)
from mowe.audio import SAMPLE_RATE
from ui.conversation import Conversation, Reply
from ui.facts import Facts, answer_facts


class Views(NamedTuple):
    """What one recording looks like: components when building, their values in handlers."""

    chart: Any
    routing_table: Any
    picture: Any
    heard_table: Any


class Panel(NamedTuple):
    """The whole side: components when building, their values in handlers."""

    facts: Any
    results: Any  # the column that holds all below
    recording: Any
    chart: Any
    routing_table: Any
    picture: Any
    heard_table: Any

    @property
    def views(self) -> Views:
        """The part that depends on which recording is looked at."""
        return Views(*self[3:])


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
        chart = gr.Plot(label="Router probabilities", elem_id="router-chart", visible=False)
        with gr.Accordion("Router probabilities as a table", open=False):
            routing_table = _table(ROUTING_COLUMNS, "Router probabilities", "routing-table")
        picture = gr.Plot(label="What the model heard", elem_id="heard-picture", visible=False)
        with gr.Accordion("What the model heard as a table", open=False):
            heard_table = _table(HEARD_COLUMNS, "What the model heard", "heard-table")
    return Panel(shown, results, recording, chart, routing_table, picture, heard_table)


def _table(columns: list[str], label: str, elem_id: str) -> gr.Dataframe:
    return gr.Dataframe(
        headers=columns, value=[], interactive=False, label=label, show_label=False,
        max_height=320, wrap=True, elem_id=elem_id, buttons=["copy"],
    )  # fmt: skip


def panel_values(conversation: Conversation, routing: str) -> Panel:
    """The side for the last reply, looking at the newest recording.

    Args:
        conversation: With at least one reply.
        routing: The routing that was asked for, in words.
    """
    recordings = conversation.recordings
    names = [
        (f"{number + 1}. {recording.name}, {recording.seconds:.1f} s", number)
        for number, recording in enumerate(recordings)
    ]
    newest = len(recordings) - 1 if recordings else None
    choice = gr.Dropdown(choices=names, value=newest, visible=len(recordings) > 1)
    facts = facts_value(conversation.replies[-1], routing)
    results = gr.Column(visible=bool(recordings))
    return Panel(facts, results, choice, *view_values(conversation, newest))


def facts_value(reply: Reply, routing: str) -> dict[str, Any]:
    """The facts of a reply so far."""
    return answer_facts(reply.answer, reply.sampling, routing)


def view_values(conversation: Conversation, recording: int | None) -> Views:
    """Charts and tables of one recording, counted from 0; of nothing when there is none."""
    if recording is None or not 0 <= recording < len(conversation.recordings):
        return empty_views()
    samples = conversation.recordings[recording].at(SAMPLE_RATE)
    reply = conversation.replies[-1].answer if conversation.replies else None
    windows = [asdict(one) for one in reply.windows if one.recording == recording] if reply else []
    rows = routing_rows(windows)
    return Views(
        gr.Plot(router_chart(windows) if rows else None, visible=bool(rows)),
        rows,
        gr.Plot(heard_figure(samples, windows), visible=True),
        heard_rows(samples),
    )


def empty_views() -> Views:
    """No recording to look at."""
    hidden = gr.Plot(None, visible=False)
    return Views(hidden, [], hidden, [])


def empty_panel(facts: dict[str, Any]) -> Panel:
    """The side as it is before the first question."""
    choice = gr.Dropdown(choices=[], value=None, visible=False)
    return Panel(facts, gr.Column(visible=False), choice, *empty_views())


def unchanged_panel(facts: dict[str, Any]) -> Panel:
    """Other facts, the rest as it is."""
    return Panel(facts, *(gr.skip() for _ in Panel._fields[1:]))

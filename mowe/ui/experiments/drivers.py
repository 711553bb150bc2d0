"""What drives routing, below the experiments: a chart a question, with its tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.experiments.driver_figures import driver_chart
from mowe.errors import ExperimentError
from mowe.experiments.driver_pages import (
    ABOUT,
    POINT_COLUMNS,
    answers,
    how_asked,
    point_rows,
    read_drivers,
)
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import QUIET


class DrivenView(NamedTuple):
    """What a question fills: components when building, their values in handlers."""

    answer: Any
    chart: Any
    points: Any
    details: Any
    made: Any


class DriversSection:
    """The handlers over one result file. They keep nothing between calls."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, chosen: str | None) -> tuple[Any, ...]:
        """Whether it is seen, the choice, and `DrivenView`; what was chosen stays so."""
        found = self._questions()
        value = chosen if chosen in found else next(iter(found), None)
        choice = gr.Dropdown(choices=list(found), value=value)
        return (gr.Column(visible=bool(found)), choice, *self.show(value))

    def show(self, chosen: str | None) -> tuple[Any, ...]:
        """Everything about one question."""
        if chosen is None:
            return tuple(gr.skip() for _ in DrivenView._fields)
        found = self._questions()
        with plain_errors():
            if chosen not in found:
                raise ExperimentError("the question is no longer there; open the tab anew")
        question, result = found[chosen]
        details = question["details"]
        return DrivenView(
            answers(question),
            gr.Plot(driver_chart(question)),
            gr.Dataframe(point_rows(question)),
            gr.Dataframe({"headers": details["columns"], "data": details["rows"]}),
            how_asked(result),
        )

    def _questions(self) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Each question with the file it is from, by its words."""
        with plain_errors():
            found = read_drivers(self.path)
        return {one["question"]: (one, found) for one in found["questions"]} if found else {}


def build_drivers_section(tab: gr.Tab, path: Path) -> None:
    """Build the section inside the current page; it is seen where there is a result file."""
    section = DriversSection(path)
    with gr.Column(visible=False, elem_id="driven") as everything:
        gr.Markdown(f"### What drives routing\n\n{ABOUT}")
        choice = gr.Dropdown([], label="Question", interactive=True, elem_id="driven-choice")
        answer = gr.Markdown(elem_id="driven-answer")
        chart = gr.Plot(label="What drives routing", elem_id="driven-chart")
        with gr.Accordion("What drives routing as a table", open=False):
            points = table_of(POINT_COLUMNS, "What drives routing", "driven-table")
            details = table_of(["Arm"], "Details", "driven-details")
        with gr.Accordion("How it was asked", open=False):
            made = gr.Markdown(elem_id="driven-made")
    shown = DrivenView(answer, chart, points, details, made)
    tab.select(section.open, choice, [everything, choice, *shown], **QUIET)
    choice.input(section.show, choice, [*shown], trigger_mode="always_last", **QUIET)

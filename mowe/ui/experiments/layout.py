"""The Experiments tab: claims, what was measured of each, and what that says."""

from pathlib import Path

import gradio as gr

from mowe.analysis.experiments import figures
from mowe.experiments.judge import MARGIN
from mowe.shipped import EXPERIMENT_RESULTS as FOLDER
from mowe.ui.experiments.handlers import (
    ExperimentEvents,
    Hearing,
    Overview,
    Shown,
)
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import QUIET

HOW_TO_READ = f"""**Arms.** The arms of an experiment differ in one thing and are trained alike: the
same clips in the same order, the same seeds. *fast* has no language model: the mean audio token is
compared with the language model's embeddings of the labels. *lm* answers through the language
model. *test* is one last look at clips that no choice was made on.

**Differences.** A row is an arm less the arm that it is compared with; accuracy is the mean over
tasks, and the line is the 95 % interval over people, recordings and seeds. The names in bold are
what the claim is judged by, where that is not every row. ▶ better, ◀ worse: p is below 0.05 after
Holm's correction and the interval lies on one side of zero. ◆ equal: the interval lies inside the
grey band of ±{MARGIN:g}, a margin fixed beforehand. ○ undecided: neither. *Could be seen* is the
difference that this comparison finds four times in five; a smaller one may be there all the same.

**Accuracy.** A row is an arm, a column a task. Tasks differ in how hard they are, so read down a
column.

**Who hears what.** A row is a task, a column an encoder; a field is the share of the encoder among
the picks of the data-dependent router, over all seeds. Rows that look alike mean that the router
does not mind the task. A seed with less than 1.5 effective encoders has *collapsed*; *regret* is
what the best forced encoders of each task would gain. *Information*, in nats, is what a choice
tells of the task within a source, and of the label within a task of a source; in brackets the mean
and the 95 % quantile of what it is by chance."""


def build_experiments_tab(tab: gr.Tab, folder: Path = FOLDER) -> None:
    """Build the tab inside the current page.

    Args:
        tab: Where it is; opening it reads the results.
        folder: Of result files.
    """
    events = ExperimentEvents(folder)
    notice = gr.Markdown(visible=False, elem_id="experiments-notice")
    with gr.Column(visible=False, elem_id="experiments") as everything:
        table = gr.Markdown(elem_id="experiments-overview")
        choice = gr.Dropdown([], label="Experiment", interactive=True, elem_id="experiment-choice")
        shown = _build_shown()
    overview = Overview(notice, everything, table, choice)
    outputs = [*shown[:-1], *shown.hearing]
    tab.select(events.open, choice, [*overview, *outputs], **QUIET)
    choice.input(events.show, choice, outputs, trigger_mode="always_last", **QUIET)
    arm = shown.hearing.arm
    arm.input(events.hear, [choice, arm], [*shown.hearing], trigger_mode="always_last", **QUIET)


def _build_shown() -> Shown:
    verdict = gr.Markdown(elem_id="experiment-verdict")
    forest = gr.Plot(label="Difference of each arm", elem_id="forest-chart")
    with gr.Accordion("Difference of each arm as a table", open=False):
        comparisons = table_of(figures.COMPARISON_COLUMNS, "Difference of each arm", "forest-table")
    chart = gr.Plot(label="Accuracy by task", elem_id="accuracy-chart")
    with gr.Accordion("Accuracy by task as a table", open=False):
        accuracy = table_of(["Arm"], "Accuracy by task", "accuracy-table")
    with gr.Column(visible=False, elem_id="hearing") as routed:
        arm = gr.Dropdown([], label="Arm", interactive=True, elem_id="hearing-arm")
        said = gr.Markdown(elem_id="hearing-said")
        shares = gr.Plot(label="Who hears what", elem_id="hearing-chart")
        with gr.Accordion("Who hears what as a table", open=False):
            heard = table_of(["Task"], "Who hears what", "hearing-table")
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)
    with gr.Accordion("How it was made", open=False):
        made = gr.Markdown(elem_id="experiment-made")
    hearing = Hearing(routed, arm, said, shares, heard)
    return Shown(verdict, forest, comparisons, chart, accuracy, made, hearing)

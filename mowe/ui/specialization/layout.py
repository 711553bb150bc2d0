"""The Specialisation tab: which encoder is chosen for what, in a records file of one's own."""

from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis import (
    Records,
    effective_encoders,
    router_agreement,
    specialization,
    usage,
)
from mowe.analysis.routing import specialization_figures as figures
from mowe.data.records import LABELS
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.records import load_routed
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import BUSY, KEPT_SECONDS

EMPTY = """Route recordings on your machine, then load the records here:

`python -m mowe route FOLDER_OR_MANIFEST --out records.parquet`

Labels of a manifest (task, dataset, speaker, language) become the rows below."""
HOW_TO_READ = """**Usage.** Bars alike in height mean that the pool shares the work; one tall
bar is a collapse. The number of encoders in the title is the exponential of the entropy of the
shares.

**Heatmap.** A row is a value of the label, a column an encoder. One bright field in a dark row is a
specialist; rows that look alike mean that the label does not matter. Hover for the 95 % interval:
it draws whole speakers where all are known, else whole recordings. The title compares what
information label and choice share with what shuffled choices share by chance."""
_OWN = ("question", "expected")  # columns in which nearly every record has its own


class SpecializationParts(NamedTuple):
    """What a loaded file fills: components when building, their values in handlers."""

    records: Any
    results: Any
    summary: Any
    usage_chart: Any
    usage_table: Any
    label: Any
    heatmap: Any
    share_table: Any


def build_specialization_tab() -> None:
    """Build the tab inside the current page."""
    with gr.Row():
        file = gr.File(
            label="Records file", file_types=[".parquet"], type="filepath", elem_id="records-file"
        )
        gr.Markdown(EMPTY, elem_id="records-hint")
    records = gr.State(None, time_to_live=KEPT_SECONDS)
    with gr.Column(visible=False, elem_id="specialization") as results:
        summary = gr.Textbox(label="Records", interactive=False, elem_id="records-summary")
        usage_chart = gr.Plot(label="Usage", elem_id="usage-chart")
        with gr.Accordion("Usage as a table", open=False):
            usage_table = table_of(figures.USAGE_COLUMNS, "Usage", "usage-table")
        label = gr.Dropdown([], label="By label", interactive=True, elem_id="label")
        heatmap = gr.Plot(label="Share of each encoder", elem_id="share-heatmap")
        with gr.Accordion("Share of each encoder as a table", open=False):
            share_table = table_of(figures.SHARE_COLUMNS, "Share of each encoder", "share-table")
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(HOW_TO_READ)
    parts = SpecializationParts(
        records, results, summary, usage_chart, usage_table, label, heatmap, share_table
    )
    file.upload(load, file, [*parts], **BUSY)
    file.clear(lambda: (None, gr.Column(visible=False)), outputs=[records, results], **BUSY)
    label.input(by_label, [records, label], [heatmap, share_table], **BUSY)


def load(path: str) -> SpecializationParts:
    """Everything that a records file fills.

    Raises:
        gr.Error: If the file cannot be used.
    """
    records = load_routed(path)
    with plain_errors():
        table, effective = usage(records), effective_encoders(records)
        labels = labels_of(records)
        heatmap, shares = by_label(records, labels[0] if labels else None)
        chart = figures.usage_chart(table, effective)
    return SpecializationParts(
        records,
        gr.Column(visible=True),
        summarize(records),
        gr.Plot(chart),
        gr.Dataframe(figures.usage_rows(table)),
        gr.Dropdown(choices=labels, value=labels[0] if labels else None, visible=bool(labels)),
        heatmap,
        shares,
    )


def by_label(records: Records | None, label: str | None) -> tuple[gr.Plot, gr.Dataframe]:
    """Heatmap and table for one label; empty where there is none."""
    if records is None or not label:
        return gr.Plot(None, visible=False), gr.Dataframe([])
    with plain_errors():
        found = specialization(records, label)
    chart = gr.Plot(figures.specialization_heatmap(found), visible=True)
    return chart, gr.Dataframe(figures.share_rows(found))


def labels_of(records: Records) -> list[str]:
    """Label columns with at least two values, in the order of the format."""
    return [name for name in LABELS if name not in _OWN and records.table[name].nunique() > 1]


def summarize(records: Records) -> str:
    """One line about a loaded file."""
    clips = records.table["sha256"].nunique()
    text = f"{len(records)} windows of {clips} recordings, mixture {records.preset}"
    if agreement := router_agreement(records):
        text += f"; both routers prefer the same encoder in {agreement['share']:.0%} of them"
    return text

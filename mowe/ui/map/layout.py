"""The Map tab: recordings as points, to click, to select, and to find one's own among."""

from pathlib import Path
from typing import Any

import gradio as gr

from mowe.analysis.map.projection import DISTANCE, METRIC, METRICS, NEIGHBOURS
from mowe.analysis.map.selection_figures import SELECTION_COLUMNS
from mowe.analysis.records import CHOICE
from mowe.assistant import Assistant
from mowe.shipped import MAP as FOLDER
from mowe.ui.map.handlers import Found, MapEvents, Picked, Selected
from mowe.ui.map.points import EmbeddingMap
from mowe.ui.map.view import LIST_COLUMNS, LIST_WIDTHS
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import BUSY, KEPT_SECONDS, MODEL_QUEUE, QUIET

EMPTY = """Load a records file to see its recordings here:
`python -m mowe route FOLDER_OR_MANIFEST --out records.parquet` (with `--fused` for both maps)."""
HOW_TO_READ = """Every point is a recording; recordings that sound alike to the base encoder lie
close together. **Click** a point to hear it. Take the **lasso** from the bar above the map to
compare a region with the rest, or type a word to find its recordings. In UMAP, what lies together
belongs together, but the distance between groups and their size mean little; PCA keeps distances
and shows less. The title says how often a point's neighbours share its colour, against chance.
Three dimensions can be turned and clicked, and have no lasso."""


def build_map_tab(assistant: Assistant, tab: gr.Tab, folder: Path = FOLDER) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Routes a visitor's own recording.
        tab: The tab itself; the map is drawn when it is first opened.
        folder: A ready map; the tab starts empty where there is none.
    """
    events = MapEvents(assistant, folder)
    view = gr.State(None, time_to_live=KEPT_SECONDS)
    with gr.Row(elem_id="map-columns"):
        with gr.Column(scale=3, min_width=320):
            with gr.Row():
                color = gr.Dropdown(
                    [("encoder", CHOICE)], value=CHOICE, label="Colour by", elem_id="map-color",
                    interactive=True,
                )  # fmt: skip
                search = gr.Textbox(
                    label="Find in labels, answers and names", placeholder="dog, French, angry …",
                    elem_id="map-search",
                )  # fmt: skip
            plane = EmbeddingMap(elem_id="map")
            about = gr.Textbox(EMPTY, label="Shown", interactive=False, elem_id="map-summary")
            layout = _build_layout()
            with gr.Accordion("How to read this", open=False):
                gr.Markdown(HOW_TO_READ)
            with gr.Accordion("Records of your own", open=False):
                gr.Markdown(EMPTY)
                own = gr.File(
                    label="Records file for the map", file_types=[".parquet"], type="filepath",
                    elem_id="map-records",
                )  # fmt: skip
        with gr.Column(scale=2, min_width=320):
            mine = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="A recording of your own",
                waveform_options=gr.WaveformOptions(sample_rate=16000), buttons=[],
                elem_id="map-own",
            )  # fmt: skip
            put = gr.Button("Put it on the map", elem_id="map-place", interactive=False)
            picked, found, selected = _build_picked(), _build_found(), _build_selected()
    shown = [view, plane, about, color]
    tab.select(events.open, view, shown, **BUSY)
    own.upload(events.load, own, shown, **BUSY)
    own.clear(lambda: events.load(None), outputs=shown, **BUSY)
    color.input(events.color, [view, color], shown, **BUSY)
    layout[-1].click(events.lay_out, [view, *layout[:-1]], shown, **BUSY)
    search.submit(events.search, [view, search], [view, plane, *found], **BUSY)
    plane.select(
        events.select, view, [*picked, *found, *selected], trigger_mode="always_last", **QUIET
    )
    found.table.select(events.row, [view, found.places], [*picked], **QUIET)
    mine.change(lambda path: gr.Button(interactive=bool(path)), mine, put, queue=False, **QUIET)
    put.click(events.place, [view, mine], [view, plane, *found], **BUSY, **MODEL_QUEUE)


def _build_layout() -> list[Any]:
    with gr.Accordion("Projection", open=False, elem_id="map-projection"):
        with gr.Row():
            method = gr.Dropdown([("UMAP", "umap"), ("PCA", "pca")], value="umap", label="Method")
            of = gr.Dropdown(
                [("base encoder", "base"), ("fused with weak encoders", "fused")], value="base",
                label="Embedding",
            )  # fmt: skip
            dims = gr.Dropdown([("2-D", 2), ("3-D", 3)], value=2, label="Dimensions")
        with gr.Row():
            neighbours = gr.Slider(2, 100, value=NEIGHBOURS, step=1, label="Neighbours")
            distance = gr.Slider(0, 0.99, value=DISTANCE, step=0.01, label="Smallest distance")
            metric = gr.Dropdown(list(METRICS), value=METRIC, label="Metric")
            seed = gr.Number(0, precision=0, minimum=0, maximum=2**32 - 1, label="Seed of the map")
        gr.Markdown("Neighbours, distance, metric and seed are UMAP's; it takes up to a minute.")
        compute = gr.Button("Lay out", elem_id="map-layout")
    return [method, of, dims, neighbours, distance, metric, seed, compute]


def _build_picked() -> Picked:
    with gr.Column(visible=False, elem_id="map-picked") as panel:
        sound = gr.Audio(
            label="The recording", interactive=False, autoplay=True, elem_id="map-sound",
            buttons=["download"],
        )  # fmt: skip
        message = gr.Textbox(label="Sound", interactive=False, visible=False, elem_id="map-silent")
        details = table_of(["", "What is known"], "About the recording", "map-details")
        routing = gr.Plot(label="Router probabilities of the recording", elem_id="map-routing")
        picture = gr.Plot(label="Spectrogram of the recording", elem_id="map-picture")
    return Picked(panel, sound, message, picture, routing, details)


def _build_found() -> Found:
    with gr.Column(visible=False, elem_id="map-found") as panel:
        heading = gr.Textbox(label="List", interactive=False, elem_id="map-heading")
        table = table_of(
            LIST_COLUMNS, "Recordings; choose a row to hear it", "map-list", widths=LIST_WIDTHS
        )
    return Found(panel, heading, table, gr.State((), time_to_live=KEPT_SECONDS))


def _build_selected() -> Selected:
    with gr.Column(visible=False, elem_id="map-selected") as panel:
        chart = gr.Plot(label="Choices in the selection", elem_id="map-shares")
        with gr.Accordion("Choices in the selection as a table", open=False):
            shares = table_of(SELECTION_COLUMNS, "Choices in the selection", "map-share-table")
        export = gr.DownloadButton("Download as a manifest (JSONL)", elem_id="map-export")
    return Selected(panel, chart, shares, export)

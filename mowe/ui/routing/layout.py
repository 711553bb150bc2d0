"""The Routing tab: which weak encoders several clips are sent to, without asking anything."""

from typing import NamedTuple

import gradio as gr

from mowe.analysis.routing import comparison
from mowe.analysis.routing.answer_figures import HEARD_COLUMNS
from mowe.assistant import Assistant
from mowe.audio import AUDIO_SUFFIXES
from mowe.ui.routing.counterfactual import build_counterfactual_panel
from mowe.ui.routing.handlers import MAX_CLIPS, WINDOWS, Results, RoutingEvents
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import BUSY, KEPT_SECONDS, MODEL_QUEUE, QUIET

INTRODUCTION = f"""Upload or record one to {MAX_CLIPS} clips and compare where they are routed. Only
the base encoder and the routers run: it takes a moment, and nothing is answered."""
NO_ROUTERS = "The mixture {} has no weak encoders, so there is no routing to show."
WINDOW_HELP = (
    "Answers use windows of up to 30 s; shorter ones show where the routing would change in a clip."
)
HOW_TO_READ = """**Bars.** “all” is the data-independent router, which knows no clip; numbered
groups are the data-dependent router on each clip. An outline marks what would run for the clip: the
likeliest encoders of both routers. Several windows of a clip are averaged.

**Entropy** is 0 nats when a router is certain, and the logarithm of the number of encoders when it
has no preference. **Margin** is the largest probability minus the second largest.

**Save.** The camera above a chart saves it as PNG; the buttons save all numbers unrounded."""


class ClipInputs(NamedTuple):
    """What a visitor fills in."""

    files: gr.File
    recorded: gr.Audio
    add: gr.Button
    window: gr.Radio
    show: gr.Button


def build_routing_tab(assistant: Assistant) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Routes; shared by all visitors, keeps nothing about them.
    """
    if not assistant.encoder_names:
        gr.Markdown(NO_ROUTERS.format(assistant.preset))
        return
    inputs = _build_inputs()
    results = _build_results(assistant)
    _wire(inputs, results, RoutingEvents(assistant))


def _build_inputs() -> ClipInputs:
    gr.Markdown(INTRODUCTION, elem_id="routing-hint")
    with gr.Row():
        files = gr.File(
            file_count="multiple", file_types=sorted(AUDIO_SUFFIXES), type="filepath",
            label=f"Clips, up to {MAX_CLIPS}", height=170, elem_id="clips",
        )  # fmt: skip
        with gr.Column(min_width=300):
            recorded = gr.Audio(
                sources=["microphone"], type="filepath", label="Record a clip", buttons=[],
                waveform_options=gr.WaveformOptions(sample_rate=16000), elem_id="clip-recorder",
            )  # fmt: skip
            add = gr.Button("Add to comparison", size="sm", interactive=False, elem_id="add-clip")
    window = gr.Radio(
        [(f"{seconds:g} s", seconds) for seconds in WINDOWS], value=WINDOWS[-1], label="Window",
        info=WINDOW_HELP, elem_id="window",
    )  # fmt: skip
    show = gr.Button("Show routing", variant="primary", interactive=False, elem_id="show-routing")
    return ClipInputs(files, recorded, add, window, show)


def _build_results(assistant: Assistant) -> Results:
    kept = gr.State(None, time_to_live=KEPT_SECONDS)
    left_out = gr.Textbox(label="Left out", interactive=False, visible=False, elem_id="left-out")
    columns = comparison.comparison_columns(assistant.encoder_names)
    with gr.Column(visible=False, elem_id="comparison") as column:
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                chart = gr.Plot(label="Probabilities of both routers", elem_id="comparison-chart")
            with gr.Column(scale=2, min_width=320):
                words = gr.Textbox(
                    label="In words", interactive=False, lines=4, max_lines=16,
                    elem_id="comparison-words",
                )  # fmt: skip
        widths = [150, 140, 90, *[96] * len(assistant.encoder_names), 170, 90, 90]
        table = table_of(columns, "Routing of every clip", "comparison-table", widths=widths)
        with gr.Row():
            csv, json = (
                gr.DownloadButton(f"Download {kind}", size="sm", elem_id=f"routing-{kind.lower()}")
                for kind in ("CSV", "JSON")
            )
        with gr.Accordion("How to read and save this", open=False):
            gr.Markdown(HOW_TO_READ)
        picked = gr.Dropdown([], label="Clip shown below", interactive=True, elem_id="clip")
        figure = gr.Plot(label="Routing over time", elem_id="timeline")
        with gr.Accordion("What the model heard of it, as a table", open=False):
            heard = table_of(HEARD_COLUMNS, "What the model heard", "timeline-table")
        build_counterfactual_panel(assistant, kept, picked)
    return Results(kept, left_out, column, chart, words, table, csv, json, picked, figure, heard)


def _wire(inputs: ClipInputs, results: Results, events: RoutingEvents) -> None:
    inputs.add.click(
        events.add, [inputs.files, inputs.recorded], [inputs.files, inputs.recorded], **QUIET
    )
    gr.on(
        [inputs.files.change, inputs.recorded.change],
        events.ready,
        [inputs.files, inputs.recorded],
        [inputs.show, inputs.add],
        queue=False,
        **QUIET,
    )
    inputs.files.clear(
        lambda: (None, gr.Textbox(visible=False), gr.Column(visible=False)),
        outputs=[*results[:3]],
        queue=False,
        **QUIET,
    )
    # a list that loses the focus tells once more what is picked: in a comparison that is being
    # replaced, so that the late answer would be of the old one
    pick = results.picked.input(
        events.pick, [results.comparison, results.picked], [results.figure, results.heard], **BUSY
    )
    gr.on(
        [inputs.show.click, inputs.window.input],
        events.show,
        [inputs.files, inputs.window, results.picked],
        [*results],
        cancels=[pick],
        **MODEL_QUEUE,
        **BUSY,
    )

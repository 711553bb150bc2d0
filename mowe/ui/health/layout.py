"""The Health tab: four signs of failure, each with its verdict, thresholds, figure and table."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.health import figures as charts
from mowe.analysis.health.checks import LOAD_CLIP, LOAD_LOG, LOAD_RECORDS, STANDARD
from mowe.analysis.routing.specialization_figures import USAGE_COLUMNS
from mowe.analysis.worth.perturbation import ANSWER_TOKENS, CLIP_SECONDS
from mowe.assistant import Assistant
from mowe.ui.health.handlers import (
    HealthEvents,
    judge_changes,
    judge_collapse,
    judge_loss,
    judge_pool,
    load_log,
)
from mowe.ui.shared.records import load_records
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import BUSY, KEPT_SECONDS, MODEL_QUEUE, QUIET

INTRODUCTION = """Does this mixture show signs of failure? Load what you have: a records file for
the choices, the `metrics.jsonl` of a training run for loss and memory, a clip for small changes.
Every threshold can be moved; the verdict follows at once.

`python -m mowe route FOLDER_OR_MANIFEST --out records.parquet` writes records;
`python -m mowe health --records records.parquet --log metrics.jsonl` judges without a page."""
READ_COLLAPSE = """**How to read it.** Bars alike in height share the work. A bar above the dashed
line, or fewer effective encoders than asked, is a collapse: the other encoders are carried for
nothing. Records of one kind of sound may rightly go to one encoder, so route a mixed set.

**If it fails.** Train with a larger weight of the routing loss, whose diversity term rewards a
shared pool; begin with some dense steps; look whether one task fills the training."""
READ_CHANGES = f"""**How to read it.** A bar says how far a change moves the data-dependent
probabilities: 0 is not at all, 0.69 nats is from one encoder to quite another. A cross marks a
change after which another encoder is chosen. Beyond the dashed line a move counts as large. Up to
{CLIP_SECONDS:g} s from the start are compared; noise and echoes come from a fixed seed. What would
clip is scaled down as a whole, and the table says by how much.

**If it fails.** A flip next to a bar near 0 is a close call, not a fault. Flips with long bars mean
that the router listens to level, noise or room: train on changed copies of the recordings."""
READ_LOSS = """**How to read it.** A spike is a loss above the running median of the losses before
it, plus so many median absolute deviations; the dashed line. Held-out measures are left out. Below,
the effective number of encoders in each logged batch: under its dashed line the batch went to one.

**If it fails.** Look at the step: a batch of unlike lengths or a broken recording, or routing that
has just changed. Lower the learning rate of routers or adapter, warm up longer, clip gradients
harder. A loss that is not finite ruins all later steps: go back to the checkpoint before it."""
READ_POOL = """**How to read it.** One bar per encoder: its parameters. Of each router's top choices
only the largest count here, so this is the most that one recording can cost.

**If it fails.** Choose fewer encoders per router, or smaller ones."""
READ_MEMORY = """**How to read it.** Peak memory so far: it climbs while the batches vary and should
be level from the middle of a stretch on. A drop is a run that was taken up again.

**If it fails.** Something is kept from step to step, or batches get longer: log less, bound the
length of a batch, or empty caches."""


class Section(NamedTuple):
    """What a judge fills, in its order, and the controls that it reads."""

    outputs: list[Any]
    controls: list[Any]


class HealthStates(NamedTuple):
    """What the server keeps for a visitor."""

    records: gr.State
    run: gr.State
    compared: gr.State
    pool: gr.State


def build_health_tab(assistant: Assistant, tab: gr.Tab) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Routes and answers for the comparison; its mixture is measured.
        tab: Where it is; opening it measures the mixture.
    """
    events = HealthEvents(assistant)
    states = HealthStates(
        *(gr.State(None, time_to_live=KEPT_SECONDS) for _ in HealthStates._fields)
    )
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        records = gr.File(
            label="Records to judge", file_types=[".parquet"], type="filepath",
            elem_id="health-records", height=120, min_width=300,
        )  # fmt: skip
        log = gr.File(
            label="Training log", file_types=[".jsonl"], type="filepath", elem_id="health-log",
            height=120, min_width=300,
        )  # fmt: skip
    collapse, changes = _build_collapse(), _build_changes(states, events)
    loss, pool = _build_loss(collapse.controls[0]), _build_pool()
    judge_all = {
        "collapse": _judge(judge_collapse, [states.records], collapse),
        "changes": _judge(judge_changes, [states.compared], changes),
        "loss": _judge(judge_loss, [states.run], loss),
        "pool": _judge(judge_pool, [states.pool, states.records, states.run], pool),
    }
    _wire_file(records, load_records, states.records, [judge_all["collapse"], judge_all["pool"]])
    _wire_file(log, load_log, states.run, [judge_all["loss"], judge_all["pool"]])
    measured = tab.select(events.measure, outputs=states.pool, **QUIET)
    measured.success(*judge_all["pool"], **QUIET)


def _judge(
    function: Callable[..., Any], states: Sequence[Any], section: Section
) -> tuple[Any, ...]:
    """Judge again when a control moves; returns what an event needs to judge."""
    wiring = (function, [*states, *section.controls], section.outputs)
    gr.on(
        [control.change for control in section.controls],
        *wiring,
        trigger_mode="always_last",
        **QUIET,
    )
    return wiring


def _wire_file(
    file: gr.File, load: Callable[..., Any], state: gr.State, judges: Sequence[tuple[Any, ...]]
) -> None:
    """Load a file, or forget it; a file that cannot be used leaves nothing."""
    loaded = file.upload(load, file, state, **BUSY)
    ends = [
        loaded.success,
        loaded.failure(lambda: None, outputs=state, **QUIET).then,
        file.clear(lambda: None, outputs=state, **QUIET).then,
    ]
    for end in ends:
        for judge in judges:
            end(*judge, **QUIET)


def _build_collapse() -> Section:
    gr.Markdown("### Do all recordings go to one encoder?")
    verdict = _verdict("Collapse", LOAD_RECORDS, "collapse-verdict")
    with gr.Row():
        least = gr.Slider(
            1, 8, STANDARD.min_effective, step=0.1, label="Effective encoders, min.",
            elem_id="min-effective",
        )  # fmt: skip
        most = gr.Slider(
            0.1, 1, STANDARD.max_share, step=0.01, label="Largest share of one encoder, max.",
            elem_id="max-share",
        )  # fmt: skip
    results, chart, table = _figure(
        "Share of each encoder in the records", USAGE_COLUMNS, "collapse", READ_COLLAPSE
    )
    return Section([verdict, results, chart, table], [least, most])


def _build_changes(states: HealthStates, events: HealthEvents) -> Section:
    gr.Markdown("### Do small changes of a clip change its routing or its answer?")
    with gr.Row():
        with gr.Column(min_width=300):
            audio = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="Clip to change",
                waveform_options=gr.WaveformOptions(
                    sample_rate=16000, waveform_color="#9aa5b8", waveform_progress_color="#5a6ff0"
                ),
                buttons=[], elem_id="health-clip",
            )  # fmt: skip
        with gr.Column(min_width=300):
            also = gr.Checkbox(
                label="Also compare answers",
                info=f"asks the language model about every change, up to {ANSWER_TOKENS} tokens "
                "each: a minute or so on a CPU",
                elem_id="also-answers",
            )
            question = gr.Textbox("What sound is this?", label="Question of the comparison")
            with gr.Row():
                start = gr.Button(
                    "Compare", variant="primary", interactive=False, elem_id="compare"
                )
                stop = gr.Button("Stop", variant="stop", elem_id="stop-compare")
    verdict = _verdict("Small changes", LOAD_CLIP, "changes-verdict")
    with gr.Row():
        choice = gr.Slider(
            0, 1, STANDARD.min_same_choice, step=0.01, label="Changes that keep the choice, min.",
            elem_id="min-same-choice",
        )  # fmt: skip
        answer = gr.Slider(
            0, 1, STANDARD.min_same_answer, step=0.01, label="Changes that keep the words, min.",
        )  # fmt: skip
        large = gr.Slider(
            0, 0.7, STANDARD.large_divergence, step=0.01, label="Large divergence (nats), above"
        )
    results, chart, table = _figure(
        "How far each change moves the routing", charts.CHANGE_COLUMNS, "changes", READ_CHANGES
    )
    section = Section([verdict, results, chart, table], [choice, answer, large])
    _wire_comparison(states, events, section, (audio, also, question), (start, stop))
    return section


def _wire_comparison(
    states: HealthStates,
    events: HealthEvents,
    section: Section,
    inputs: Sequence[Any],
    buttons: tuple[gr.Button, gr.Button],
) -> None:
    start, stop = buttons
    judge = (judge_changes, [states.compared, *section.controls], section.outputs)
    run = start.click(
        events.run,
        [*inputs, *section.controls],
        [states.compared, *section.outputs],
        **MODEL_QUEUE,
        **BUSY,
    )
    stopped = stop.click(None, cancels=run, queue=False, **QUIET)
    another_clip = inputs[0].change(
        lambda path: (None, gr.Button(interactive=bool(path))),
        inputs[0],
        [states.compared, start],
        cancels=run,
        queue=False,
        **QUIET,
    )
    for end in (run, stopped, another_clip):  # thresholds may have moved meanwhile
        end.then(*judge, **QUIET)


def _build_loss(least: gr.Slider) -> Section:
    gr.Markdown("### Does the training loss spike?")
    verdict = _verdict("Training loss", LOAD_LOG, "loss-verdict")
    with gr.Row():
        scatters = gr.Slider(
            1, 30, STANDARD.spike_scatters, step=0.5, label="Median absolute deviations of a spike",
            elem_id="spike-scatters",
        )  # fmt: skip
        window = gr.Slider(
            5, 200, STANDARD.spike_window, step=1, label="Logged steps of the running median"
        )
        allowed = gr.Number(
            STANDARD.spikes_allowed, precision=0, minimum=0, label="Spikes allowed",
            elem_id="spikes-allowed",
        )  # fmt: skip
    with gr.Column(visible=False) as results:
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                loss = gr.Plot(label="Loss over the steps", elem_id="loss-chart")
                encoders = gr.Plot(label="Effective encoders over the steps")
            with gr.Column(scale=2, min_width=280):
                gr.Markdown(READ_LOSS)
        with gr.Accordion("Loss as a table", open=False):
            losses = table_of(charts.LOSS_COLUMNS, "Loss", "loss-table")
        with gr.Accordion("Effective encoders as a table", open=False):
            steps = table_of(charts.STEP_COLUMNS, "Effective encoders", "encoders-table")
    outputs = [verdict, results, loss, losses, encoders, steps]
    return Section(outputs, [scatters, window, allowed, least])


def _build_pool() -> Section:
    gr.Markdown("### Does it take too much memory, or too many encoders?")
    verdict = _verdict("Memory and active encoders", "", "pool-verdict")
    with gr.Row():
        growth = gr.Slider(
            0, 1, STANDARD.max_growth, step=0.01, label="Memory growth, max.",
            elem_id="max-growth",
        )  # fmt: skip
        active = gr.Slider(
            0, 1, STANDARD.max_active_share, step=0.01, label="Active share of the pool, max.",
            elem_id="max-active",
        )  # fmt: skip
        most = gr.Number(
            STANDARD.most_encoders, precision=0, minimum=0, label="Encoders per window, max."
        )
    pool = _figure("Size of each encoder", charts.POOL_COLUMNS, "pool", READ_POOL)
    memory = _figure("Memory over the steps", charts.STEP_COLUMNS, "memory", READ_MEMORY)
    return Section([verdict, *pool, *memory], [growth, active, most])


def _verdict(label: str, start: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(
        f"○ not checked: {start}" if start else "",
        label=f"{label}: verdict",
        lines=1,
        max_lines=12,
        interactive=False,
        elem_id=elem_id,
    )


def _figure(
    label: str, columns: list[str], name: str, reading: str
) -> tuple[gr.Column, gr.Plot, gr.Dataframe]:
    """A chart beside how to read it, above its table; hidden until there is something to show."""
    with gr.Column(visible=False, elem_id=f"{name}-results") as results:
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                chart = gr.Plot(label=label, elem_id=f"{name}-chart")
            with gr.Column(scale=2, min_width=280):
                gr.Markdown(reading)
        with gr.Accordion(f"{label}, as a table", open=False):
            table = table_of(columns, label, f"{name}-table")
    return results, chart, table

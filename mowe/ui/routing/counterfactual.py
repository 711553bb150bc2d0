"""The panel that asks one question under every routing, and sets the answers side by side."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.worth.counterfactual import (
    ADDED,
    LEARNED,
    REMOVED,
    SAME,
    Counterfactual,
    counterfactuals,
    variants,
)
from mowe.assistant import Assistant, Sampling, Turn
from mowe.audio import Recording, load_audio
from mowe.ui.routing.handlers import Comparison
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.gpu import MAX_SECONDS, gpu_seconds, on_gpu
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import MODEL_QUEUE, QUIET

MIN_UPDATE_SECONDS = 0.1  # between two updates of the page while words stream in
COLUMNS = [
    "Routing",
    "Ran",
    "Answer",
    "Same answer",
    "Changed words",
    "Log-likelihood change (nats)",
]
COLOURS = {REMOVED: "#D55E00", ADDED: "#0072B2"}  # told apart with any colour vision
INTRODUCTION = """Ask about the clip shown above: once as the routers decide, then with each encoder
alone, without any, and with all of them. Same clip, question and seed; only the routing differs."""
HOW_TO_READ = """**Log-likelihood change** says how much less (−) or more likely the model finds the
answer of the learned routing when it is routed otherwise. At −0.7 nats it is half as likely; near 0
the routing hardly matters for this answer. It is empty for long recordings that are answered window
by window."""  # noqa: RUF001


class CounterfactualPanel(NamedTuple):
    """What a visitor fills in and what is shown."""

    question: gr.Textbox
    max_new_tokens: gr.Slider
    temperature: gr.Slider
    seed: gr.Number
    run: gr.Button
    stop: gr.Button
    shown: gr.Column
    summary: gr.Textbox
    table: gr.Dataframe
    differences: gr.HighlightedText


class CounterfactualEvents:
    """The handlers around one assistant. They keep nothing between calls."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.stream = on_gpu(self._stream, seconds=self._gpu_seconds)

    def _stream(
        self, recording: Recording, question: str, sampling: Sampling
    ) -> Iterator[Counterfactual]:
        with plain_errors():  # here, since a lent GPU's process passes on no other error
            yield from counterfactuals(self.assistant, recording, question, sampling=sampling)

    def _gpu_seconds(self, recording: Recording, question: str, sampling: Sampling) -> int:
        one = gpu_seconds([Turn("user", question, (recording,))], sampling)
        return round(min(MAX_SECONDS, one * len(variants(self.assistant.encoder_names))))

    def run(
        self,
        kept: Comparison | None,
        picked: int | None,
        question: str,
        max_new_tokens: float,
        temperature: float,
        seed: float,
    ) -> Iterator[tuple[Any, ...]]:
        """Answer under one routing after the other: column, summary, table, differences."""
        if kept is None or picked is None:
            raise gr.Error("Show the routing of a clip first.", print_exception=False)
        with plain_errors():
            sampling = Sampling(
                max_new_tokens=int(max_new_tokens),
                temperature=float(temperature),
                seed=int(seed or 0),
            )
            recording = load_audio(kept.paths[picked], limits=self.assistant.limits)
        about = f"{kept.labels[picked]}, «{question.strip()}»"
        found: dict[str, Counterfactual] = {}
        shown = 0.0
        answers = self.stream(recording, question or "", sampling)
        try:
            for answer in answers:
                now = time.monotonic()
                found[answer.variant] = answer
                if not answer.finished and now - shown < MIN_UPDATE_SECONDS:
                    continue
                shown = now
                yield shown_values(about, list(found.values()))
        finally:
            answers.close()  # a closed page or a Stop ends the decoding now, not at collection


def shown_values(about: str, found: Sequence[Counterfactual]) -> tuple[Any, ...]:
    """Column, summary, table and differences for what is known so far.

    Values come as updates: the page patches what a stream sent last, and would empty bare ones.
    """
    others = [one for one in found if one.finished and one.variant != LEARNED]
    same = sum(one.same for one in others)
    summary = f"{about}: {same} of {len(others)} other routings give the same answer."
    return (
        gr.Column(visible=True),
        gr.Textbox(summary),
        gr.Dataframe([row(one) for one in found]),
        gr.HighlightedText([part for one in others for part in highlighted(one)]),
    )


def row(one: Counterfactual) -> list[Any]:
    """One variant under `COLUMNS`; empty cells wait for the last word."""
    ran = " + ".join(one.ran) or "base encoder only"
    if not one.finished:
        return [one.variant, ran, f"{one.text} …", "", "", ""]
    counts = [(one.words(change), change) for change in (REMOVED, ADDED)]
    changed = ", ".join(f"{count} {change}" for count, change in counts if count)
    change = "" if one.change is None else round(one.change, 2)
    return [one.variant, ran, one.text, "yes" if one.same else "no", changed, change]


def highlighted(one: Counterfactual) -> list[tuple[str, str | None]]:
    """One variant's words against the learned routing's, as `gr.HighlightedText` takes them."""
    parts: list[tuple[str, str | None]] = [(f"{one.variant}: ", None)]
    for piece in one.pieces:
        parts.append((f"{piece.words} ", None if piece.change == SAME else piece.change))
    return [*parts, ("\n", None)]


def build_counterfactual_panel(assistant: Assistant, kept: gr.State, picked: gr.Dropdown) -> None:
    """Build the panel inside the current column.

    Args:
        assistant: Answers; shared by all visitors, keeps nothing about them.
        kept: The visitor's comparison.
        picked: The clip to ask about, from 0.
    """
    with gr.Accordion("What if other encoders had run?", open=False, elem_id="counterfactual"):
        panel = _build_panel()
    _wire(panel, CounterfactualEvents(assistant), kept, picked)


def _build_panel() -> CounterfactualPanel:
    gr.Markdown(INTRODUCTION)
    question = gr.Textbox(
        "Describe the audio.", label="Question about the clip", lines=1, max_lines=6,
        elem_id="counterfactual-question",
    )  # fmt: skip
    default = Sampling()
    with gr.Accordion("Sampling of these answers", open=False):
        tokens = gr.Slider(1, 200, value=60, step=1, label="Longest answer (tokens)")
        temperature = gr.Slider(
            0, 2, value=default.temperature, step=0.05, label="Temperature of these answers",
            info="0 always picks the likeliest word",
        )  # fmt: skip
        seed = gr.Number(
            value=default.seed, precision=0, minimum=0, maximum=2**32 - 1,
            label="Seed of these answers",
        )  # fmt: skip
    with gr.Row():
        run = gr.Button("Compare answers", variant="primary", elem_id="counterfactual-run")
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="counterfactual-stop")
    with gr.Column(visible=False) as shown:
        summary = gr.Textbox(
            label="What would have happened", interactive=False, elem_id="counterfactual-summary"
        )
        widths = [140, 150, 480, 90, 150, 140]
        table = table_of(
            COLUMNS, "What would have happened", "counterfactual-table", widths=widths,
            max_height=900,
        )  # fmt: skip
        differences = gr.HighlightedText(
            label="Words against those of the learned routing", color_map=COLOURS,
            show_legend=False, show_inline_category=True, combine_adjacent=False,
            elem_id="counterfactual-words",
        )  # fmt: skip
        gr.Markdown(HOW_TO_READ)
    return CounterfactualPanel(
        question, tokens, temperature, seed, run, stop, shown, summary, table, differences
    )


def _wire(
    panel: CounterfactualPanel, events: CounterfactualEvents, kept: gr.State, picked: gr.Dropdown
) -> None:
    buttons = [panel.run, panel.stop]
    start = gr.on(
        [panel.run.click, panel.question.submit],
        lambda: (gr.Button(interactive=False), gr.Button(interactive=True)),
        outputs=buttons,
        queue=False,
        **QUIET,
    )
    answers = start.then(
        events.run,
        [kept, picked, *panel[:4]],
        [panel.shown, panel.summary, panel.table, panel.differences],
        **MODEL_QUEUE,
        **QUIET,
    )
    for ended in (answers.success, answers.failure):
        ended(_settled, outputs=buttons, queue=False, **QUIET)
    panel.stop.click(_settled, outputs=buttons, cancels=[answers], queue=False, **QUIET)


def _settled() -> tuple[gr.Button, gr.Button]:
    return gr.Button(interactive=True), gr.Button(interactive=False)

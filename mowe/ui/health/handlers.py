"""What happens on the Health tab: load, compare, and judge again when a threshold changes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from mowe.analysis import effective_encoders, usage
from mowe.analysis.health import figures as charts
from mowe.analysis.health.checks import (
    MEMORY,
    Check,
    Pool,
    Thresholds,
    active_checks,
    collapse_checks,
    consistency_checks,
    find_spikes,
    loss_checks,
    measure_pool,
    memory_check,
)
from mowe.analysis.health.training_log import LoggedRun, read_log
from mowe.analysis.records import Records
from mowe.analysis.routing.specialization_figures import usage_rows
from mowe.analysis.worth.perturbation import ANSWER_TOKENS, CHANGES, CLIP_SECONDS, Compared, compare
from mowe.assistant import Assistant
from mowe.audio import Recording, load_audio
from mowe.errors import AudioError, QuestionError
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.gpu import (
    MAX_SECONDS,
    SECONDS_PER_AUDIO_SECOND,
    SECONDS_PER_TOKEN,
    START_SECONDS,
    on_gpu,
)

SYMBOLS = {True: "✓", False: "✗", None: "○"}


def compare_seconds(recording: Recording, question: str) -> int:
    """How long a comparison may need a GPU, s."""
    audio = SECONDS_PER_AUDIO_SECOND * min(recording.seconds, CLIP_SECONDS)
    answer = SECONDS_PER_TOKEN * ANSWER_TOKENS if question else 0.0
    return round(min(MAX_SECONDS, START_SECONDS + (1 + len(CHANGES)) * (audio + answer)))


def verdicts(checks: Sequence[Check]) -> str:
    """A line per check: symbol, word, finding."""
    return "\n".join(
        f"{SYMBOLS[check.passed]} {check.verdict} · {check.name}: {check.sentence}"
        for check in checks
    )


class HealthEvents:
    """The handlers of one page around one assistant. They keep nothing between calls."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.compare = on_gpu(self._compare, seconds=compare_seconds)

    def _compare(self, recording: Recording, question: str) -> Iterator[Compared]:
        with plain_errors():  # here, since a lent GPU's process passes on no other error
            yield from compare(self.assistant, recording, question=question)

    def measure(self) -> Pool:
        """The sizes of the loaded mixture."""
        return measure_pool(self.assistant.model)

    def run(
        self, path: str | None, also: bool, question: str, *limits: float
    ) -> Iterator[tuple[Any, ...]]:
        """Compare a clip with its changes: what came out so far, then `judge_changes` of it."""
        with plain_errors():
            if not path:
                raise AudioError("there is no recording; record or upload a clip first")
            if also and not (question or "").strip():
                raise QuestionError("the question is empty; type one, or compare the routing only")
            recording = load_audio(path, limits=self.assistant.limits)
        compared: list[Compared] = []
        for one in self.compare(recording, question if also else ""):
            compared = [*compared, one]
            yield compared, *judge_changes(compared, *limits)


def load_log(path: str) -> LoggedRun:
    """A training log.

    Raises:
        gr.Error: If it cannot be used.
    """
    with plain_errors():
        return read_log(path)


def judge_collapse(
    records: Records | None, min_effective: float, max_share: float
) -> tuple[Any, ...]:
    """Verdict, results, chart and table about the choices of a records file."""
    with plain_errors():
        limits = Thresholds(min_effective=min_effective, max_share=max_share)
        checks = collapse_checks(records, limits)
    if records is None or checks[0].passed is None:
        return verdicts(checks), gr.Column(visible=False), gr.Plot(None), gr.Dataframe([])
    table = usage(records)
    chart = charts.collapse_chart(table, effective_encoders(records), max_share)
    rows = gr.Dataframe(usage_rows(table))
    return verdicts(checks), gr.Column(visible=True), gr.Plot(chart), rows


def judge_changes(
    compared: Sequence[Compared] | None, min_choice: float, min_answer: float, large: float
) -> tuple[Any, ...]:
    """Verdict, results, chart and table about the changes of a clip."""
    with plain_errors():
        limits = Thresholds(
            min_same_choice=min_choice, min_same_answer=min_answer, large_divergence=large
        )
    compared = compared or []
    text = verdicts(consistency_checks(compared, limits))
    changed = len(compared) - 1
    if changed < 1:
        return text, gr.Column(visible=False), gr.Plot(None), gr.Dataframe([])
    if changed < len(CHANGES):
        text = f"{changed} of {len(CHANGES)} changes compared.\n{text}"
    chart = gr.Plot(charts.consistency_chart(compared, large))
    return text, gr.Column(visible=True), chart, gr.Dataframe(charts.consistency_rows(compared))


def judge_loss(
    run: LoggedRun | None, scatters: float, window: int, allowed: int, least: float
) -> tuple[Any, ...]:
    """Verdict and results, then chart and table of the loss, then of the effective encoders."""
    with plain_errors():
        limits = Thresholds(
            spike_scatters=scatters,
            spike_window=window,
            spikes_allowed=allowed,
            min_effective=least,
        )
    text = verdicts(loss_checks(run, limits))
    if run is None:
        return (text, gr.Column(visible=False), *_nothing(), *_nothing())
    steps = find_spikes(run, limits)
    known = bool(steps["effective_encoders"].notna().any())
    encoders = charts.encoders_chart(steps, least) if known else None
    return (
        text,
        gr.Column(visible=True),
        gr.Plot(charts.loss_chart(steps)),
        gr.Dataframe(charts.loss_rows(steps)),
        gr.Plot(encoders, visible=known),
        gr.Dataframe(charts.step_rows(steps)),
    )


def judge_pool(
    pool: Pool | None,
    records: Records | None,
    run: LoggedRun | None,
    max_growth: float,
    max_active: float,
    most: int,
) -> tuple[Any, ...]:
    """Verdict, then the pool's results, chart and table, then those of the memory."""
    with plain_errors():
        limits = Thresholds(
            max_growth=max_growth,
            max_active_share=max_active,
            most_encoders=most,
        )
    text = verdicts([*active_checks(pool, records, limits), memory_check(run, limits)])
    shown = pool is not None and bool(pool.encoders)
    memory = run is not None and bool(run.steps[list(MEMORY)].notna().any(axis=None))
    return (
        text,
        gr.Column(visible=shown),
        *(_pool(pool, records) if pool is not None and shown else _nothing()),
        gr.Column(visible=memory),
        *(_memory(run.steps) if run is not None and memory else _nothing()),
    )


def _pool(pool: Pool, records: Records | None) -> tuple[gr.Plot, gr.Dataframe]:
    runs = {}
    if records is not None and records.encoders == tuple(pool.encoders):
        ran = Counter(name for chosen in records.table["chosen"] for name in set(chosen))
        runs = {name: ran[name] / len(records) for name in pool.encoders}
    return gr.Plot(charts.pool_chart(pool)), gr.Dataframe(charts.pool_rows(pool, runs))


def _memory(steps: pd.DataFrame) -> tuple[gr.Plot, gr.Dataframe]:
    steps = steps.assign(spike=False)
    return gr.Plot(charts.memory_chart(steps)), gr.Dataframe(charts.step_rows(steps))


def _nothing() -> tuple[gr.Plot, gr.Dataframe]:
    return gr.Plot(None), gr.Dataframe([])

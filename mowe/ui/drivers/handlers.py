"""What happens on the Drivers tab: attribute a recording, make up an input, look up real clips."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from mowe.analysis.attribution import figures as drawn
from mowe.analysis.attribution.activation import (
    Activation,
    RealSounds,
    Sounding,
    maximise,
    sounding,
    top_clips,
)
from mowe.analysis.attribution.gradients import (
    LEVELS,
    Attribution,
    Deletion,
    attribute,
    deletion,
    mask_audio,
    strongest_cells,
    support_share,
)
from mowe.analysis.attribution.router_path import RouterPath
from mowe.analysis.records import Records
from mowe.assistant import Assistant
from mowe.audio import Recording, load_audio
from mowe.errors import AudioError
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.examples import read_examples
from mowe.ui.shared.gpu import MAX_SECONDS, START_SECONDS, on_gpu
from mowe.ui.shared.values import PlayedSound, played, unchanged

LONGEST_WINDOW = 30.0  # s
SECONDS_PER_STEP = 0.1


class Explained(NamedTuple):
    """What an attribution fills: components when building, their values in handlers."""

    kept: Any  # state: the attribution
    status: Any
    results: Any  # holds all below
    figure: Any
    table: Any
    sum: Any  # how well the attribution adds up
    cells: Any  # what the slider keeps
    strongest: Any
    rest: Any
    chart: Any
    check: Any


class Imagined(NamedTuple):
    """What activation maximisation fills."""

    status: Any
    results: Any  # holds all below
    figure: Any
    table: Any
    sound: Any


def attribution_seconds(recording: Recording, encoder: str, window: int) -> int:
    """How long an attribution may need a GPU, s: some hundred passes over one window."""
    return round(min(MAX_SECONDS, START_SECONDS + min(recording.seconds, LONGEST_WINDOW)))


def activation_seconds(encoder: str, steps: int, seed: int) -> int:
    """How long activation maximisation may need a GPU, s."""
    return round(min(MAX_SECONDS, START_SECONDS + SECONDS_PER_STEP * steps))


class DriversEvents:
    """The handlers of one page around one assistant. They keep nothing between calls."""

    def __init__(self, assistant: Assistant, examples: Path) -> None:
        """Wrap an assistant.

        Args:
            assistant: Its router is looked into.
            examples: Folder of clips that say what the log-mel of real sounds is like.
        """
        self.assistant, self.examples = assistant, examples
        self.attribute = on_gpu(self._attribute, seconds=attribution_seconds)
        self.maximise = on_gpu(self._maximise, seconds=activation_seconds)

    def _attribute(
        self, recording: Recording, encoder: str, window: int
    ) -> Iterator[tuple[Attribution, list[Deletion]]]:
        with plain_errors():  # here, since a lent GPU's process passes on no other error
            path = RouterPath.of(self.assistant.model)
            for found in attribute(path, recording, encoder, window=window):
                yield found, []
            checked: list[Deletion] = []
            for one in deletion(path, found):
                checked = [*checked, one]
                yield found, checked

    def _maximise(
        self, encoder: str, steps: int, seed: int
    ) -> Iterator[tuple[Activation, Sounding | None]]:
        with plain_errors():
            path = RouterPath.of(self.assistant.model)
            clips = [load_audio(self.examples / one.file) for one in read_examples(self.examples)]
            real = RealSounds.of(path, clips)
            for found in maximise(path, encoder, real, steps=steps, seed=seed):
                yield found, None
            yield found, sounding(path, found, seed=seed)

    def explain(
        self, path: str | None, encoder: str | None, window: float | None, percent: float
    ) -> Iterator[tuple[Any, ...]]:
        """Attribute one window of a recording: `Explained`, filled at the end."""
        with plain_errors():
            if not path:
                raise AudioError("there is no recording; record or upload one first")
            recording = load_audio(path, limits=self.assistant.limits)
        steps = self.attribute(recording, encoder or "", int(window or 1) - 1)
        try:
            for found, checked in steps:
                if len(checked) < len(LEVELS):
                    yield unchanged(Explained, status=_progress(found, checked))
                    continue
                yield tuple(self._explained(found, checked, percent))
        finally:
            steps.close()  # a closed page or a Stop ends the work now, not at collection

    def _explained(self, found: Attribution, checked: list[Deletion], percent: float) -> Explained:
        return Explained(
            found,
            f"Done: {found.encoder} over {found.rival}, {found.gradients} gradients.",
            gr.Column(visible=True),
            gr.Plot(drawn.attribution_figure(found)),
            gr.Dataframe(drawn.region_rows(found)),
            completeness(found),
            *listen(found, percent),
            gr.Plot(drawn.deletion_chart(checked, found.encoder)),
            gr.Dataframe(drawn.deletion_rows(checked)),
        )

    def imagine(
        self, encoder: str | None, steps: float, seed: float | None
    ) -> Iterator[tuple[Any, ...]]:
        """Make an input up that an encoder's share likes: `Imagined`, drawn as it grows."""
        name = encoder or self.assistant.encoder_names[0]
        updates = self.maximise(name, int(steps), int(seed or 0))
        try:
            for found, heard in updates:
                if heard is None:
                    status = f"Step {found.step} of {found.steps}: {name} {found.after[name]:.3f}"
                    yield unchanged(Imagined, status=status)
                    continue
                yield tuple(
                    Imagined(
                        f"Done after {found.steps} steps.",
                        gr.Column(visible=True),
                        gr.Plot(
                            drawn.activation_figure(
                                found, RouterPath.of(self.assistant.model).settings
                            )
                        ),
                        gr.Dataframe(drawn.activation_rows(found, heard)),
                        played(heard.samples, self.assistant.model.base_encoder.sample_rate),
                    )
                )
        finally:
            updates.close()


def listen(
    found: Attribution | None, percent: float
) -> tuple[str, PlayedSound | None, PlayedSound | None]:
    """What the strongest cells are, as a sentence and as a sound; and the sound of all others."""
    if found is None:
        return "", None, None
    cells = strongest_cells(found.values, percent / 100)
    share, rate = support_share(found.values, cells), found.settings.sample_rate
    words = (
        f"{cells.sum()} of {cells.size} cells carry {share:.0%} of what speaks for {found.encoder}."
    )
    masks = (cells.astype(np.float32), 1 - cells.astype(np.float32))
    kept, rest = (mask_audio(found.samples, mask, found.settings) for mask in masks)
    return words, played(kept, rate), played(rest, rate)


def completeness(found: Attribution) -> str:
    """How well the attribution adds up, as a sentence."""
    verdict = "within" if found.complete else "outside"
    behind = np.abs(found.values[int(found.sound_seconds * found.frames_per_second) :]).sum()
    share = float(behind / max(float(np.abs(found.values).sum()), 1e-12))
    p, quiet = found.probabilities[found.encoder], found.silence_probabilities[found.encoder]
    return (
        f"Probability of {found.encoder}: {p:.3f} here, {quiet:.3f} in silence. "
        f"The margin over {found.rival} moves by {found.difference:.2f} logits, the cells add up "
        f"to {found.difference + found.gap:.2f}: a gap of {found.gap:+.2f}, {verdict} the "
        f"tolerance of {found.tolerance:.2f}. {share:.1%} of the absolute attribution lies behind "
        "the sound."
    )


def best_clips(records: Records | None, encoder: str | None) -> gr.Dataframe:
    """The recordings that an encoder gets most of, where records are loaded."""
    if records is None or not encoder:
        return gr.Dataframe([], visible=False)
    with plain_errors():
        return gr.Dataframe(drawn.clip_rows(top_clips(records, encoder)), visible=True)


def stopped() -> str:
    """What the status says after a Stop."""
    return "Stopped."


def _progress(found: Attribution, checked: list[Deletion]) -> str:
    if not found.finished:
        return f"{found.encoder}: {found.gradients} gradients, gap {found.gap:+.2f}"
    return f"{found.encoder}: checking, {len(checked)} of {len(LEVELS)}"

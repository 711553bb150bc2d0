"""What happens on the Routing tab, as plain functions of values; `layout` wires them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.routing import comparison
from mowe.analysis.routing.answer_figures import audio_picture, heard_rows
from mowe.analysis.routing.comparison_figures import comparison_chart, routing_timeline
from mowe.assistant import Answer, Assistant
from mowe.audio import SAMPLE_RATE, AudioLimits, Recording, load_audio
from mowe.errors import AudioError
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.gpu import MAX_SECONDS, SECONDS_PER_AUDIO_SECOND, START_SECONDS, on_gpu
from mowe.ui.shared.values import downloadable

MAX_CLIPS = 6
MAX_AUDIO_SECONDS = 3600.0  # s of audio in one comparison
MAX_TABLE_ROWS = 200  # shown; the files hold all
WINDOWS = (1.0, 2.0, 5.0, 10.0, 30.0)  # s; the last is that of answers


class Comparison(NamedTuple):
    """The clips of a visitor and where they are routed."""

    paths: tuple[str, ...]
    answers: tuple[Answer, ...]

    @property
    def labels(self) -> list[str]:
        """What to call the clips."""
        return comparison.clip_labels(self.answers)


class Timeline(NamedTuple):
    """One clip over time: components when building, their values in handlers."""

    figure: Any
    table: Any


class Results(NamedTuple):
    """What a comparison fills: components when building, their values in handlers."""

    comparison: Any
    left_out: Any
    column: Any  # holds all below
    chart: Any
    words: Any
    table: Any
    csv: Any
    json: Any
    picked: Any
    figure: Any
    heard: Any


class RoutingEvents:
    """The handlers of one page around one assistant. They keep nothing between calls."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.route = on_gpu(self._route, seconds=_gpu_seconds)

    def _route(self, recordings: Sequence[Recording], window: float | None) -> list[Answer]:
        with plain_errors():  # here, since a lent GPU's process passes on no other error
            return self.assistant.route_all(recordings, window_seconds=window)

    def add(self, paths: list[str] | None, recorded: str | None) -> tuple[Any, Any]:
        """Put what was recorded with the files, and make room for another."""
        if not recorded:
            raise gr.Error("Record a sound first.", print_exception=False)
        return [*(paths or []), recorded], None

    def ready(self, paths: list[str] | None, recorded: str | None) -> tuple[gr.Button, gr.Button]:
        """Whether Show routing and Add to comparison can be pressed."""
        return gr.Button(interactive=bool(paths)), gr.Button(interactive=bool(recorded))

    def show(
        self, paths: list[str] | None, window: float, picked: int | None
    ) -> Iterator[tuple[Any, ...]]:
        """Route every clip and fill the page; nothing changes without clips.

        Args:
            paths: The clips.
            window: Length of a window, s.
            picked: The clip that is drawn over time, from 0.
        """
        if not paths:
            yield tuple(gr.skip() for _ in Results._fields)
            return
        recordings, left_out = read_clips(paths, self.assistant.limits)
        said = gr.Textbox("\n".join(left_out), visible=bool(left_out))
        if not recordings:
            hidden = gr.Column(visible=False)
            yield None, said, hidden, *(gr.skip() for _ in Results._fields[3:])
            return
        answers = self.route(recordings, None if window == WINDOWS[-1] else window)
        kept = Comparison(tuple(str(one.path) for one in recordings), tuple(answers))
        place = picked if picked is not None and picked < len(answers) else 0
        choices = [(label, number) for number, label in enumerate(kept.labels)]
        yield tuple(
            Results(
                kept,
                said,
                gr.Column(visible=True),
                gr.Plot(comparison_chart(answers)),
                "\n".join(self._words(answers)),
                gr.Dataframe(self._rows(answers)[:MAX_TABLE_ROWS]),
                _download(comparison.routing_csv(answers), "mowe-routing.csv"),
                _download(comparison.routing_json(answers), "mowe-routing.json"),
                gr.Dropdown(choices=choices, value=place),
                *timeline(recordings[place], answers[place]),
            )
        )

    def pick(self, kept: Comparison | None, picked: int | None) -> tuple[Any, ...]:
        """Another clip over time."""
        if kept is None or picked is None or not 0 <= picked < len(kept.answers):
            return gr.skip(), gr.skip()
        with plain_errors():
            recording = load_audio(kept.paths[picked], limits=self.assistant.limits)
        return tuple(timeline(recording, kept.answers[picked]))

    def _rows(self, answers: Sequence[Answer]) -> list[list[Any]]:
        return comparison.comparison_rows(answers, self.assistant.encoder_names)

    def _words(self, answers: Sequence[Answer]) -> list[str]:
        lines, rows = comparison.sentences(answers), len(self._rows(answers))
        if rows > MAX_TABLE_ROWS:
            lines.append(f"The table shows {MAX_TABLE_ROWS} of {rows} rows; the CSV has all.")
        return lines


def read_clips(paths: Sequence[str], limits: AudioLimits) -> tuple[list[Recording], list[str]]:
    """The clips that can be compared, and a sentence for each that was left out."""
    recordings: list[Recording] = []
    left_out: list[str] = []
    for path in paths:
        name = Path(path).name
        if len(recordings) == MAX_CLIPS:
            left_out.append(f"{name} is left out: at most {MAX_CLIPS} clips are compared.")
            continue
        try:
            recording = load_audio(path, limits=limits)
        except AudioError as error:
            left_out.append(f"Left out: {error}")
            continue
        seconds = sum(one.seconds for one in recordings) + recording.seconds
        if seconds > MAX_AUDIO_SECONDS:
            most = MAX_AUDIO_SECONDS / 60
            left_out.append(f"{name} is left out: at most {most:.0f} minutes are compared.")
            continue
        recordings.append(recording)
    return recordings, left_out


def timeline(recording: Recording, answer: Answer) -> Timeline:
    """Waveform, spectrogram and routing of one clip, and the table of what was heard."""
    heard = audio_picture(recording.at(SAMPLE_RATE))
    chart = gr.Plot(routing_timeline(heard, answer))
    return Timeline(chart, gr.Dataframe(heard_rows(heard)))


def _gpu_seconds(recordings: Sequence[Recording], window: float | None) -> int:
    audio = sum(recording.seconds for recording in recordings)
    return round(min(MAX_SECONDS, START_SECONDS + SECONDS_PER_AUDIO_SECOND * audio))


def _download(text: str, name: str) -> gr.DownloadButton:
    return gr.DownloadButton(value=downloadable(text.encode(), name))

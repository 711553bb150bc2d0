"""What happens on the Map tab, as plain functions of values; `layout` wires them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from mowe.analysis.map.figures import NUMBERS, map_figure
from mowe.analysis.map.projection import Projection, nearest, pca, place, umap
from mowe.analysis.map.selection import find_text, manifest_lines, selection_shares
from mowe.analysis.map.selection_figures import selection_chart, selection_rows
from mowe.analysis.map_folder import MapFolder, read_map
from mowe.analysis.records import CHOICE
from mowe.analysis.routing.answer_figures import audio_picture, heard_figure, router_chart
from mowe.assistant import Answer, Assistant
from mowe.audio import SAMPLE_RATE, Recording, load_audio
from mowe.data.records import LABELS
from mowe.errors import RecordsError
from mowe.ui.map.points import drawn
from mowe.ui.map.view import AUDIO_FOLDER, View, sampled, shipped_view
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.gpu import on_gpu
from mowe.ui.shared.records import load_routed
from mowe.ui.shared.values import downloadable, played

NEIGHBOURS_SHOWN = 8
MAX_LISTED = 500
ROUTE_SECONDS = 30  # of a lent GPU
NOT_SHIPPED = "The terms of this recording do not let us pass it on; its routing is real."
NOT_HERE = f"The sound is not here. Start the app with {AUDIO_FOLDER}=FOLDER to play what is in it."
_OWN = ("question", "expected", "speaker")


class Picked(NamedTuple):
    """What a click fills: components when building, their values in handlers."""

    panel: Any
    sound: Any
    message: Any
    picture: Any
    routing: Any
    details: Any


class Found(NamedTuple):
    """A list of recordings: components when building, their values in handlers."""

    panel: Any
    heading: Any
    table: Any
    places: Any  # state: which recording each row is


class Selected(NamedTuple):
    """What a lasso fills."""

    panel: Any
    chart: Any
    shares: Any
    export: Any


class MapEvents:
    """The handlers of one page around one assistant and one folder with a ready map."""

    def __init__(self, assistant: Assistant, folder: Path) -> None:
        self.assistant = assistant
        self.folder = folder
        self.route = on_gpu(self._route, ROUTE_SECONDS)

    @cached_property
    def ready(self) -> MapFolder | None:
        """The map that ships with the app; read when it is first looked at."""
        if not self.folder.is_dir():
            return None
        with plain_errors():
            return read_map(self.folder)

    def _route(self, recording: Recording, fused: bool) -> Answer:
        with plain_errors():
            return self.assistant.route_all([recording], fused=fused)[0]

    def open(self, view: View | None) -> tuple[Any, ...]:
        """Fill the tab when it is first looked at; later visits leave it as it is."""
        if view is not None or self.ready is None:
            return tuple(gr.skip() for _ in range(4))
        return self._shown(shipped_view(self.ready))

    def load(self, path: str | None) -> tuple[Any, ...]:
        """Records of one's own, laid out by PCA; without a file, the ready map again."""
        if path is None:
            if self.ready is None:
                raise gr.Error("There is no ready map.", print_exception=False)
            return self._shown(shipped_view(self.ready))
        with plain_errors():
            points, note = sampled(load_routed(path))
            return self._shown(View(points, pca(points.embeddings()), note=note))

    def lay_out(
        self,
        view: View | None,
        method: str,
        of: str,
        dims: float,
        neighbours: float,
        distance: float,
        metric: str,
        seed: float,
    ) -> Iterator[tuple[Any, ...]]:
        """Another projection: PCA at once, then UMAP where it was asked for."""
        view, dims = _filled(view), int(dims)
        asked = (int(neighbours), float(distance), metric, int(seed or 0))
        with plain_errors():
            vectors = view.points.embeddings(of)
            quick = replace(
                view, projection=pca(vectors, dims), of=of, metric=metric, marked=(), placed=None
            )
            if method == "pca":
                yield self._shown(quick)
                return
            if (ready := _ready(view, of, dims, asked)) is not None:
                yield self._shown(replace(quick, projection=ready))
                return
            yield self._shown(replace(quick, note="UMAP is being computed; this is PCA."))
            found = umap(
                vectors, dims, neighbours=asked[0], distance=asked[1], metric=metric, seed=asked[3]
            )
            yield self._shown(replace(quick, projection=found, note=view.note))

    def color(self, view: View | None, color_by: str) -> tuple[Any, ...]:
        """Another colouring of the same map."""
        return self._shown(replace(_filled(view), color_by=color_by))

    def search(self, view: View | None, text: str) -> tuple[Any, ...]:
        """Ring what has every word, and list it."""
        view = _filled(view)
        places = tuple(find_text(view.points, text).tolist())
        heading = f"{len(places)} with “{text.strip()}”" if text.strip() else ""
        view = replace(view, marked=places)
        listed = places[:MAX_LISTED]
        found = Found(
            gr.Column(visible=bool(text.strip())),
            heading,
            gr.Dataframe(view.listed(listed)),
            listed,
        )
        return *self._shown(view)[:2], *found

    def select(self, view: View | None, event: gr.EventData) -> tuple[Any, ...]:
        """A click or a lasso on the map: picked recording, list, selection."""
        view = _filled(view)
        kind, places = _asked(event, len(view.points))
        if not places:
            return tuple(gr.skip() for _ in (*Picked._fields, *Found._fields, *Selected._fields))
        if kind == "click":
            with plain_errors():
                picked, found = self._picked(view, places[0]), self._around(view, places[0])
            return *picked, *found, gr.Column(visible=False), gr.skip(), gr.skip(), gr.skip()
        kept = tuple(gr.skip() for _ in Picked._fields)
        return *kept, *self._listed(view, places), *self._selection(view, places)

    def row(self, view: View | None, places: tuple[int, ...], event: gr.SelectData) -> Picked:
        """A row of a list was chosen: its recording plays."""
        row = event.index[0]
        if not 0 <= row < len(places):
            return Picked(*(gr.skip() for _ in Picked._fields))
        with plain_errors():
            return self._picked(_filled(view), places[row])

    def place(self, view: View | None, path: str | None) -> Iterator[tuple[Any, ...]]:
        """Where a recording of one's own lies, and what is around it."""
        view = _filled(view)
        if not path:
            raise gr.Error("Record or upload a sound first.", print_exception=False)
        with plain_errors():
            if view.points.encoders != tuple(self.assistant.encoder_names):
                raise RecordsError(
                    f"this map is of a mixture with {', '.join(view.points.encoders)}; the loaded "
                    f"one has {', '.join(self.assistant.encoder_names) or 'no weak encoder'}"
                )
            recording = load_audio(path, limits=self.assistant.limits)
            answer = self.route(recording, view.of == "fused")
            vector = answer.embedding if view.of == "base" else answer.fused
            assert vector is not None
            vectors = view.points.embeddings(view.of)
            where = place(vectors, view.projection.coordinates, vector, view.metric)
            near, far = _nearest(view, vectors, vector, NEIGHBOURS_SHOWN)
        view = replace(view, placed=where, marked=())
        chosen = ", ".join(answer.windows[0].chosen) or "none"
        heading = f"Nearest to {recording.name} (encoders: {chosen})"
        found = Found(gr.Column(visible=True), heading, gr.Dataframe(view.listed(near, far)), near)
        yield *self._shown(view)[:2], *found

    def _shown(self, view: View) -> tuple[Any, ...]:
        """View, map, line below it, and what can be coloured."""
        with plain_errors():
            figure = map_figure(
                view.points, view.projection, view.color_by, marked=view.marked, placed=view.placed
            )
        colors = color_choices(view)
        return view, drawn(figure), summary(view), gr.Dropdown(colors, value=view.color_by)

    def _picked(self, view: View, place: int) -> Picked:
        path = view.sound(place)
        picture: Any = gr.Plot(None, visible=False)
        sound: Any = gr.Audio(None, visible=False)
        message = gr.Textbox(NOT_SHIPPED if view.shipped else NOT_HERE, visible=path is None)
        if path is not None:
            row = view.points.table.iloc[place]
            start = row["clip_start"]
            end = None if row["clip_end"] != row["clip_end"] else row["clip_end"]
            recording = load_audio(path, start=start, end=end, limits=self.assistant.limits)
            if start or end is not None:
                sound = gr.Audio(played(recording.at(SAMPLE_RATE), SAMPLE_RATE), visible=True)
            else:
                sound = gr.Audio(downloadable(path.read_bytes(), path.name), visible=True)
            picture = gr.Plot(heard_figure(audio_picture(recording.at(SAMPLE_RATE))), visible=True)
        routing = gr.Plot(router_chart([view.window(place)]))
        details = gr.Dataframe(view.details(place))
        return Picked(gr.Column(visible=True), sound, message, picture, routing, details)

    def _around(self, view: View, place: int) -> Found:
        vectors = view.points.embeddings(view.of)
        near, far = _nearest(view, vectors, vectors[place], NEIGHBOURS_SHOWN + 1)
        others = [(one, gap) for one, gap in zip(near, far, strict=True) if one != place]
        near, far = [one for one, _ in others], [gap for _, gap in others]
        heading = f"Nearest to {Path(view.points.table['path'].iloc[place]).name}"
        table = gr.Dataframe(view.listed(near, far))
        return Found(gr.Column(visible=True), heading, table, tuple(near))

    def _listed(self, view: View, places: list[int]) -> Found:
        listed = places[:MAX_LISTED]
        more = f"; the first {MAX_LISTED} are listed" if len(places) > MAX_LISTED else ""
        heading = f"{len(places)} selected{more}"
        return Found(
            gr.Column(visible=True), heading, gr.Dataframe(view.listed(listed)), tuple(listed)
        )

    def _selection(self, view: View, places: list[int]) -> Selected:
        shares = selection_shares(view.points, places)
        text = "".join(f"{line}\n" for line in manifest_lines(view.points, places))
        path = downloadable(text.encode(), "selection.jsonl")
        return Selected(
            gr.Column(visible=True),
            gr.Plot(selection_chart(shares)),
            gr.Dataframe(selection_rows(shares)),
            gr.DownloadButton(value=path),
        )


def color_choices(view: View) -> list[tuple[str, str]]:
    """What the points can be coloured by: label columns with several values, and numbers."""
    table = view.points.table
    labels = [name for name in LABELS if name not in _OWN and table[name].nunique() > 1]
    labels += ["speaker"] if table["speaker"].nunique() > 1 else []
    numbers = [name for name in NUMBERS if table[name].notna().any()]
    return [("encoder", CHOICE), *((name, name) for name in (*labels, *numbers))]


def summary(view: View) -> str:
    """One line about what is drawn."""
    settings = view.projection.settings
    if view.projection.method == "pca":
        how = f"the first directions hold {settings['explained']:.0%} of the variance"
    else:
        how = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    return (
        f"{len(view.points):,} recordings, mixture {view.points.preset}, {view.of} embedding; "
        f"{view.projection.method.upper()}: {how}. {view.note}"
    ).strip()


def _ready(view: View, of: str, dims: int, settings: tuple[Any, ...]) -> Projection | None:
    """UMAP that lies ready, if it is of these neighbours, distance, metric and seed."""
    if view.shipped is None:
        return None
    found = view.shipped.projections.get((of, dims))
    return found if found and tuple(found.settings.values()) == settings else None


def _nearest(
    view: View, vectors: np.ndarray, one: np.ndarray, count: int
) -> tuple[list[int], list[float]]:
    places, distances = nearest(vectors, one, count, view.metric)
    return places.tolist(), distances.tolist()


def _filled(view: View | None) -> View:
    if view is None:
        raise gr.Error("Load records first.", print_exception=False)
    return view


def _asked(event: gr.EventData, points: int) -> tuple[str, list[int]]:
    """What the page says was clicked; it comes from outside, so nothing is taken on trust."""
    data = event._data if isinstance(event._data, dict) else {}
    given = data.get("ids")
    ids = given if isinstance(given, list) else []
    places = [one for one in ids if type(one) is int and 0 <= one < points]
    return str(data.get("kind")), sorted(set(places))

"""Recordings as a map: what is drawn, found and handed on, and which sounds may be played."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mowe.analysis import Records
from mowe.analysis.map import figures
from mowe.analysis.map.build import Share, choose
from mowe.analysis.map.projection import Projection, pca
from mowe.analysis.map.selection import find_text, manifest_lines, selection_shares
from mowe.analysis.map_folder import COORDINATES, RECORDS, read_map, write_coordinates
from mowe.analysis.palette import encoder_styles
from mowe.data.manifest import Example, read_manifest
from mowe.data.records import LABELS
from mowe.errors import RecordsError
from mowe.ui.map.handlers import _asked
from mowe.ui.map.view import AUDIO_FOLDER, View, sampled

POOL = ("speaker", "sound")
ROOT = Path(__file__).parents[1]


def points(count=12, **columns) -> Records:
    """Recordings in two groups: even ones go to `speaker`, odd ones to `sound`."""
    draw = np.random.default_rng(0)
    groups = np.arange(count) % 2
    vectors = draw.normal(size=(count, 6)) + 8 * np.eye(6)[groups]
    table = pd.DataFrame(
        {
            "path": [f"clips/{number}.wav" for number in range(count)],
            "sha256": [str(number) for number in range(count)],
            "clip_start": 0.0, "clip_end": np.nan, "start": 0.0, "end": 2.0,
            **{name: [None] * count for name in LABELS},
            "label": ["dog" if one else "a <b>voice</b>" for one in groups],
            "independent": [[0.4, 0.6]] * count,
            "dependent": [[0.9, 0.1] if not one else [0.2, 0.8] for one in groups],
            "chosen": [[POOL[one]] for one in groups],
            "choice": [POOL[one] for one in groups],
            "entropy": np.linspace(0, 0.6, count), "margin": 0.7, "score": np.nan,
            "answer": [None] * count,
            "embedding": vectors.astype(np.float32).tolist(),
            "fused": [[]] * count,
        }
    )  # fmt: skip
    return Records(table.assign(**columns), POOL, "test")


def drawn(some, **settings):
    figure = figures.map_figure(some, pca(some.embeddings()), **settings)
    return figure, {trace.name: trace for trace in figure.data}


def test_every_recording_is_drawn_once_in_its_encoders_colour_and_marker():
    some = points()
    figure, traces = drawn(some)
    styles = encoder_styles(POOL)
    assert set(traces) == {"speaker (6)", "sound (6)"}
    for name in POOL:
        marker = traces[f"{name} (6)"].marker
        assert (marker.color, marker.symbol) == (styles[name].color, styles[name].symbol)
    ids = np.concatenate([trace.customdata for trace in figure.data])
    assert sorted(ids) == list(range(12))
    assert list(traces["sound (6)"].customdata) == [1, 3, 5, 7, 9, 11]
    # of its ten neighbours among the eleven others, five are of its group
    assert "50% of a point's<br>neighbours have its encoder, 45% by chance" in (
        figure.layout.title.text
    )


def test_points_can_be_coloured_by_a_label_or_a_number_and_words_are_no_markup():
    _, by_label = drawn(points(), color_by="label")
    assert set(by_label) == {"dog (6)", "a &lt;b&gt;voice&lt;/b&gt; (6)"}
    figure, _ = drawn(points(), color_by="entropy")
    assert figure.data[0].marker.colorbar.title.text == "Entropy (nats)"
    assert "<b>" not in "".join(figure.data[0].text)


def test_a_recording_without_the_label_is_drawn_as_none():
    _, traces = drawn(points(language=["Czech"] * 4 + [None] * 8), color_by="language")
    assert set(traces) == {"Czech (4)", "(none) (8)"}


def test_many_values_share_the_last_marker():
    some = points(60, speaker=[f"s{number}" for number in range(60)])
    _, traces = drawn(some, color_by="speaker")
    assert "(others) (36)" in traces
    assert len(traces) == 25
    looks = {(trace.marker.color, trace.marker.symbol) for trace in traces.values()}
    assert len(looks) == 25


def test_found_points_get_rings_and_ones_own_recording_a_star():
    some = points()
    where = np.array([1.0, 2.0], dtype=np.float32)
    _, traces = drawn(some, marked=(2, 5), placed=where)
    assert len(traces["found (2)"].x) == 2
    star = traces["your recording"]
    assert (star.x[0], star.y[0]) == (1.0, 2.0)
    assert star.customdata is None  # it is no row of the table


def test_three_dimensions_are_drawn_in_space():
    some = points()
    figure = figures.map_figure(some, pca(some.embeddings(), 3))
    assert {trace.type for trace in figure.data} == {"scatter3d"}


def test_all_words_of_a_search_must_be_there_in_any_column():
    some = points(answer=["It barks." if number == 3 else None for number in range(12)])
    assert find_text(some, "DOG bark").tolist() == [3]
    assert len(find_text(some, "dog")) == 6
    assert find_text(some, " ").tolist() == []
    assert find_text(some, "clips/7").tolist() == [7]


def test_shares_of_a_selection_and_of_the_rest_by_hand():
    shares = selection_shares(points(), [0, 1, 2]).set_index("encoder")
    assert shares.loc["speaker", ["selected", "rest"]].tolist() == pytest.approx([2 / 3, 4 / 9])
    assert shares["count"].tolist() == [2, 1]
    everything = selection_shares(points(), range(12))
    assert everything["rest"].tolist() == [0.0, 0.0]


def test_a_selection_is_a_manifest_that_training_reads(tmp_path):
    some = points(
        task=["sound"] * 12, dataset=["here"] * 12, question=["What is it?"] * 12,
        expected=["A dog."] * 11 + [None], clip_start=0.5, clip_end=1.5,
    )  # fmt: skip
    some.table.loc[11, "label"] = None  # nothing to answer with
    lines = manifest_lines(some, [1, 3, 11])
    (tmp_path / "clips").mkdir()
    for number in (1, 3):
        (tmp_path / "clips" / f"{number}.wav").touch()
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    examples = read_manifest(tmp_path / "m.jsonl")
    assert [one.audio.name for one in examples] == ["1.wav", "3.wav"]
    assert (examples[0].start, examples[0].end, examples[0].answer) == (0.5, 1.5, "A dog.")
    assert examples[0].metadata["source"] == "here"
    assert json.loads(lines[0])["messages"][0]["content"] == "<audio> What is it?"


def test_only_sounds_in_the_folder_that_was_opened_can_be_played(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    for name in ("open/a.wav", "secret.wav"):
        (tmp_path / name).touch()
    paths = ["a.wav", "../secret.wav", str(tmp_path / "secret.wav"), str(tmp_path / "open/a.wav")]
    view = View(points(4, path=paths), Projection("pca", np.zeros((4, 2), np.float32)))
    monkeypatch.delenv(AUDIO_FOLDER, raising=False)
    assert [view.sound(place) for place in range(4)] == [None] * 4
    monkeypatch.setenv(AUDIO_FOLDER, str(tmp_path / "open"))
    inside = (tmp_path / "open" / "a.wav").resolve()
    assert [view.sound(place) for place in range(4)] == [inside, None, None, inside]


class Said:
    def __init__(self, data):
        self._data = data


@pytest.mark.parametrize(
    ("data", "places"),
    [
        ({"kind": "click", "ids": [3]}, [3]),
        ({"kind": "lasso", "ids": [3, 3, 1, 12, -1, "2", 2.0, True, None]}, [1, 3]),
        ({"kind": "click", "ids": "0"}, []),
        ({"kind": "click"}, []),
        (None, []),
    ],
)  # fmt: skip
def test_what_the_page_says_was_clicked_is_not_taken_on_trust(data, places):
    assert _asked(Said(data), 12)[1] == places


def test_a_recording_with_several_questions_or_windows_is_one_point():
    some = points(4)
    double = Records(pd.concat([some.table, some.table]), POOL, "test")
    assert len(double.recordings()) == 4
    kept, note = sampled(double)
    assert (len(kept), note) == (4, "")


def test_too_many_points_are_sampled_and_said(monkeypatch):
    monkeypatch.setattr("mowe.ui.map.view.MAX_POINTS", 5)
    kept, note = sampled(points())
    assert note == "5 of 12 recordings, drawn at random."
    assert len(kept) == 5
    assert list(kept.table.index) == list(range(5))


def test_the_choice_for_a_map_takes_every_label_in_turn_and_no_more_than_its_share():
    def example(number, label, split="dev", seconds=2.0, task="sound"):
        about = {"source": "s", "split": split, "label": label, "duration": seconds}
        turns = (("user", "<audio> ?"), ("assistant", label))
        return Example(audio=Path(f"{number}.wav"), task=task, messages=turns, metadata=about)

    some = [example(number, "dog") for number in range(10)] + [example(20, "cat")]
    some += [example(30, "cat", split="train"), example(31, "cat", seconds=60.0)]
    some += [example(20, "cat", task="caption"), example(32, "cat", task="presence")]
    found = choose(some, [Share("s", "dev", 4, True)], seed=0)
    assert sorted(one.metadata["label"] for one, _ in found) == ["cat", "dog", "dog", "dog"]
    assert {one.task for one, _ in found} == {"sound"}
    assert found == choose(some, [Share("s", "dev", 4, True)], seed=0)


def test_the_map_that_ships_is_whole_and_its_clips_are_credited():
    folder = ROOT / "assets" / "map"
    made = read_map(folder)
    table = made.records.table
    assert len(table) >= 1000
    assert table[["sha256", "clip_start"]].duplicated().sum() == 0
    sounds = [made.sound(path) for path in table["path"]]
    shipped = [path for path in sounds if path is not None]
    assert len(shipped) >= 900
    assert set((folder / "clips").rglob("*.*")) == set(shipped)
    assert sum(path.stat().st_size for path in shipped) <= 12e6
    closed = set(table["dataset"][[path is None for path in sounds]])
    credits = (ROOT / "assets" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "ravdess" in closed
    assert "map/CREDITS.md" in credits
    named = (folder / "CREDITS.md").read_text(encoding="utf-8")
    missing = [path.stem for path in shipped if path.parent.name == "esc10"
               and f"`{path.stem}`" not in named]  # fmt: skip
    assert missing == []
    for source in {path.parent.name for path in shipped}:
        assert f"`clips/{source}/`" in named


def test_the_shipped_routing_is_what_the_shipped_model_says():
    from mowe.assistant import Assistant
    from mowe.audio import load_audio
    from mowe.checkpoint import MoWE
    from mowe.shipped import CHECKPOINTS

    # The map was made in bfloat16; in float32 probabilities differ by up to 0.02.
    model = MoWE.from_pretrained(CHECKPOINTS["mini"], device="cpu", dtype=torch.bfloat16)
    assistant = Assistant(model, card="")
    made = read_map(ROOT / "assets" / "map")
    table = made.records.table
    places = [int(np.flatnonzero(table["dataset"] == name)[0]) for name in ("drascula", "esc10")]
    for place in places:
        row = table.iloc[place]
        answer = assistant.route(load_audio(made.sound(row["path"])))
        assert list(answer.windows[0].dependent.values()) == pytest.approx(
            list(row["dependent"]), abs=0.01
        )
        assert np.allclose(answer.embedding, row["embedding"], rtol=0.02, atol=0.02)


def test_coordinates_of_other_records_are_refused(tmp_path):
    folder = ROOT / "assets" / "map"
    for name in (RECORDS, COORDINATES):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    read_map(tmp_path)
    records = (tmp_path / RECORDS).read_bytes()
    (tmp_path / COORDINATES).write_bytes(b"PAR1 not really")
    with pytest.raises(RecordsError, match="coordinates.parquet cannot be read"):
        read_map(tmp_path)
    (tmp_path / RECORDS).write_bytes(records[:-9])
    with pytest.raises(RecordsError, match="records.parquet cannot be read"):
        write_coordinates(tmp_path)

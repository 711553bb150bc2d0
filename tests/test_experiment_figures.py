"""Figures of experiments, read off: what is drawn where, and what the tables beside them say."""

import pytest
from experimenting import SHARES, arm, comparison, result, write_results
from snippets import run_example

from mowe import shipped
from mowe.analysis.experiments.figures import (
    SAYINGS,
    accuracy_columns,
    accuracy_heatmap,
    accuracy_rows,
    comparison_rows,
    forest_plot,
    hearing_columns,
    hearing_heatmap,
    hearing_rows,
)
from mowe.experiments import judge

ARMS = result()["arms"]
MIXED = [
    comparison("paper", "base only", 0.06, "better"),
    comparison("dense", "base only", 0.004, "equal"),
    comparison("paper", "base only", -0.05, "worse", task="word"),
    comparison("dense", "base only", 0.012, "undecided"),
]


def forest(comparisons=MIXED, **options):
    return forest_plot(comparisons, ARMS, margin=0.02, **options)


def test_a_row_is_a_difference_with_its_interval():
    traces = {trace.name: trace for trace in forest().data}
    assert list(traces) == ["better", "worse", "equal", "undecided"]
    better = traces["better"]
    assert (list(better.x), list(better.y)) == ([0.06], [0])
    assert better.error_x.array == pytest.approx([0.015])
    assert better.error_x.arrayminus == pytest.approx([0.015])
    assert {name: list(trace.y) for name, trace in traces.items()} == {
        "better": [0], "worse": [2], "equal": [1], "undecided": [3],
    }  # fmt: skip


def test_what_a_comparison_says_is_told_by_colour_and_by_shape():
    assert set(SAYINGS) == {judge.BETTER, judge.WORSE, judge.EQUAL, judge.UNDECIDED}
    assert len({one.color for one in SAYINGS.values()}) == len(SAYINGS)
    assert len({one.symbol for one in SAYINGS.values()}) == len(SAYINGS)
    for trace in forest().data:
        drawn = (trace.marker.color, trace.marker.symbol)
        assert drawn == SAYINGS[trace.name]
        assert trace.error_x.color == trace.marker.color


def test_the_band_of_equal_differences_is_as_wide_as_the_margin_and_in_sight():
    figure = forest([comparison("paper", "base only", 0.2, "better")])
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.x0, band.x1) == (-0.02, 0.02)
    low, high = figure.layout.xaxis.range
    assert low < -0.02
    assert high > 0.215


def test_a_row_is_explained_where_the_pointer_is():
    hover = {trace.name: trace.customdata[0] for trace in forest().data}
    assert hover["better"].split("<br>") == [
        "<b>paper</b> against base only: better",
        "accuracy 0.710 against 0.650",
        "+0.060 (95 %: +0.045 to +0.075)",
        "p = 0.0020, corrected",
        "could have been seen: 0.021",
    ]
    assert "accuracy 0.700 against 0.600" in hover["worse"]  # of the task alone
    of_a_source = forest([comparison("paper", "base only", 0.1, "better", source="a")])
    assert "accuracy" not in of_a_source.data[0].customdata[0]


def test_names_say_what_is_compared_and_what_the_claim_is_judged_by():
    figure = forest(judged=[0])
    names = list(figure.layout.yaxis.ticktext)
    assert names == ["<b>paper</b>", "dense", "paper<br>on word", "dense"]
    assert figure.layout.yaxis.range == (3.5, -0.5)  # the first on top
    assert figure.layout.xaxis.title.text.endswith("from base only")
    two = [*MIXED, comparison("dense", "paper", 0.0, "equal")]
    assert forest(two).layout.yaxis.ticktext[-1] == "dense<br>against paper"
    long = [comparison("in the manner of SALMONN, twice", "base only", 0.0, "equal")]
    assert forest(long).layout.yaxis.ticktext == ("in the manner of<br>SALMONN, twice",)


def test_an_experiment_without_comparisons_has_an_empty_plot():
    assert len(forest([]).data) == 0
    assert comparison_rows([]) == []


def test_the_table_of_differences_says_what_the_plot_shows():
    assert comparison_rows(MIXED)[2] == [
        "paper", "base only, word", -0.05, -0.065, -0.035, 0.002, 0.021, "worse",
    ]  # fmt: skip


def test_accuracies_stand_by_task_behind_their_mean():
    short = {**arm("speech only", 0.8, 0.0), "accuracy": 0.8, "by_task": {"word": 0.8}}
    arms = [*ARMS[:2], short]
    [heatmap] = accuracy_heatmap(arms).data
    assert [list(row) for row in heatmap.z] == [
        [0.65, 0.6, 0.7],
        [0.71, 0.7, 0.72],
        [0.8, 0.8, None],
    ]
    assert [list(row) for row in heatmap.text] == [
        ["65", "60", "70"], ["71", "70", "72"], ["80", "80", ""],
    ]  # fmt: skip
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert accuracy_columns(arms) == ["Arm", "mean", "word", "sound"]
    assert accuracy_rows(arms)[2] == ["speech only", 0.8, 0.8, ""]


def test_shares_stand_by_task_and_encoder():
    figure = hearing_heatmap(SHARES)
    [heatmap] = figure.data
    assert [list(row) for row in heatmap.z] == [[0.75, 0.25], [0.0, 1.0]]
    assert [list(row) for row in heatmap.text] == [["75", "25"], ["0", "100"]]
    assert figure.layout.xaxis.ticktext == ("speaker", "music")
    assert figure.layout.yaxis.ticktext == ("word", "sound")
    assert heatmap.customdata[1][0] == "sound, speaker"
    assert hearing_columns(SHARES) == ["Task", "speaker", "music"]
    assert hearing_rows(SHARES) == [["word", 0.75, 0.25], ["sound", 0.0, 1.0]]


def test_the_documented_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = write_results(tmp_path / "results", worth=result())
    monkeypatch.setattr(shipped, "EXPERIMENT_RESULTS", folder)
    run_example("Experiments")
    assert "paper is better than base only" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("*.html")} == {
        "differences.html", "accuracies.html", "shares.html",
    }  # fmt: skip

"""The Experiments tab without a browser: its handlers are plain functions of a folder."""

import json

import gradio as gr
import pytest
from experimenting import arm, result, write_results

from mowe.ui.experiments.handlers import NO_RESULTS, ExperimentEvents, Hearing, Overview

VERDICT, FOREST, DIFFERENCES, CHART, ACCURACIES, MADE, ROUTED, ARM, SAID, SHARES, HEARD = range(11)


@pytest.fixture
def events(tmp_path):
    lm = result(scale="lm", verdict="undecided", arms=[arm("base only", 0.5, 0.6)], comparisons=[])
    failed = result(
        experiment="ways", claim="Taught routers are better", published="",
        verdict="does not hold at this scale",
    )  # fmt: skip
    test = result(split="test")
    files = {"worth": result(), "worth-lm": lm, "ways": failed, "worth-test": test}
    return ExperimentEvents(write_results(tmp_path / "results", **files))


def opening(events, chosen=None):
    return Overview(*events.open(chosen)[: len(Overview._fields)])


def figure(plot):
    return json.loads(plot.value["plot"])


def test_the_tab_opens_with_a_row_a_claim_and_a_mark_for_each_scale(events):
    opened = opening(events)
    assert opened.table.split("\n")[:4] == [
        "| Claim | fast | lm | test |",
        "| --- | :---: | :---: | :---: |",
        "| A mixture beats its base | ✓ | ○ | ✓ |",
        "| Taught routers are better | ✗ |  |  |",
    ]
    assert opened.choice.choices == [
        ("fast: worth", "worth"),
        ("fast: ways", "ways"),
        ("lm: worth", "worth-lm"),
        ("test: worth", "worth-test"),
    ]
    assert opened.choice.value == "worth"
    assert (opened.everything.visible, opened.notice.visible) == (True, False)


def test_what_was_chosen_stays_chosen_while_it_is_there(events):
    assert opening(events, "worth-lm").choice.value == "worth-lm"
    assert "○ **Undecided:**" in events.open("worth-lm")[len(Overview._fields) + VERDICT]
    (events.folder / "worth-lm.json").unlink()
    assert opening(events, "worth-lm").choice.value == "worth"


def test_a_damaged_file_costs_a_sentence(events):
    write_results(events.folder, ways='{"claim": 3', worth=result(arms=3))
    opened = opening(events)
    assert opened.notice.value.split("\n\n") == [
        "**Left out:** results/ways.json is not JSON: Expecting ',' delimiter at character 12.",
        "**Left out:** worth.json is no result file: arms must be a list, found int.",
    ]
    assert opened.notice.visible
    assert opened.everything.visible
    assert [name for _, name in opened.choice.choices] == ["worth-lm", "worth-test"]


def test_without_results_the_tab_says_where_they_come_from(tmp_path):
    opened = opening(ExperimentEvents(tmp_path / "nowhere"))
    assert opened.notice.value == NO_RESULTS
    assert (opened.everything.visible, opened.notice.visible) == (False, True)
    assert all(one == gr.skip() for one in ExperimentEvents(tmp_path).show(None))


def test_an_experiment_fills_everything_below_the_choice(events):
    shown = events.show("worth")
    assert shown[VERDICT].startswith("### A mixture beats its base\n\n✓ **Holds at this scale:**")
    assert "Published: 25.49 by its authors. Not reproduced here." in shown[VERDICT]
    forest = figure(shown[FOREST])
    assert [trace["name"] for trace in forest["data"]] == ["better", "equal"]
    assert forest["layout"]["yaxis"]["ticktext"] == ["<b>paper</b>", "dense"]
    assert [row[0] for row in shown[DIFFERENCES].value["data"]] == ["paper", "dense"]
    assert figure(shown[CHART])["data"][0]["z"][1] == [0.71, 0.7, 0.72]
    assert shown[ACCURACIES].value["headers"] == ["Arm", "mean", "word", "sound"]
    assert "Again: `mowe experiments run worth" in shown[MADE]
    assert shown[ROUTED].visible
    assert (shown[ARM].choices, shown[ARM].value) == (
        [("paper", "paper"), ("dense", "dense")],
        "paper",
    )
    assert shown[SAID] == "Collapsed: 0% of the seeds; information about tasks 0.100."
    assert figure(shown[SHARES])["data"][0]["z"] == [[0.75, 0.25], [0.0, 1.0]]
    assert shown[HEARD].value["headers"] == ["Task", "speaker", "music"]


def test_names_are_bold_only_where_some_decide_and_others_do_not(events):
    both = [{**one, "against": "paper"} for one in result()["comparisons"]]
    write_results(events.folder, losses=result(experiment="another", comparisons=both))
    names = figure(events.show("losses")[FOREST])["layout"]["yaxis"]["ticktext"]
    assert names == ["paper", "dense"]


def test_where_no_arm_routes_nothing_is_said_of_who_hears_what(events):
    shown = events.show("worth-lm")
    assert not shown[ROUTED].visible
    assert "nothing was compared" in shown[VERDICT]


def test_another_arm_hears_otherwise(events):
    heard = Hearing(*events.hear("worth", "dense"))
    assert figure(heard.chart)["data"][0]["z"] == [[0.5, 0.5], [0.5, 0.5]]
    assert heard.arm.value == "dense"


def test_what_a_choice_tells_stands_beside_what_it_tells_by_chance(events):
    told = arm("dense", 0.7, 0.7, {"word": {"speaker": 1.0}})
    nats = {"found": 0.25, "by_chance": 0.01, "by_chance_high": 0.02}
    told["routing"]["dependent"]["information"] = {"tasks": nats, "labels": {**nats, "found": 0.5}}
    told |= {"without_weak": 0.6, "regret": -0.01}
    write_results(events.folder, worth=result(arms=[told]))
    assert Hearing(*events.hear("worth", "dense")).said == (
        "Collapsed: 0% of the seeds; accuracy 0.700, 0.600 without weak encoders; regret -0.010; "
        "information about tasks 0.250 (0.010/0.020); information about labels 0.500 (0.010/0.020)."
    )


@pytest.mark.parametrize("name", ["gone", "../results/worth"])
def test_a_name_that_is_not_among_the_results_is_refused(events, name):
    with pytest.raises(gr.Error, match="is no longer among the results"):
        events.show(name)

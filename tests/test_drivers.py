"""What drives routing, asked of made-up routers: what was planted is found, its absence too."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from experimenting import drivers, result, write_results
from test_experiments import labelled

from mowe.analysis.attribution.activation import shuffled_router
from mowe.analysis.experiments.driver_figures import driver_chart
from mowe.analysis.worth.perturbation import CHANGES, CHANNELS, UNCHANGED
from mowe.errors import ExperimentError
from mowe.experiments.arms import PAPER
from mowe.experiments.driver_pages import FILE, drivers_section, read_drivers
from mowe.experiments.drivers import channels, small_changes
from mowe.experiments.driving_inputs import LOUDNESS, _middle, _profiles, agreement, nearest
from mowe.experiments.pages import routing_page
from mowe.experiments.results import Held
from mowe.experiments.study import Answers, StudiedArm, Study, among
from mowe.ui.experiments.drivers import DriversSection

ENCODERS = len(PAPER.pool)


def answers(choice: np.ndarray) -> Answers:
    """Two seeds that choose alike, nearly surely, and are right about everything."""
    shares = np.full((2, len(choice), ENCODERS), 0.01)
    shares[:, np.arange(len(choice)), choice] = 1 - 0.01 * (ENCODERS - 1)
    return Answers(shares, np.ones((2, len(choice)), dtype=bool))


def study_of(choice: Any, changed: Any) -> Study:
    """Routers that choose by a label, or otherwise where a clip is changed."""
    clips = labelled(80, "dev", np.random.default_rng(0))
    clips = [one._replace(source=f"source of {one.task}") for one in clips]
    held, some = Held.of(clips, "dev"), np.arange(40)
    plain = np.array([choice(one) for one in clips])
    other = answers(np.array([changed(one) for one in clips])[some])
    by_change = {UNCHANGED: answers(plain[some]), **dict.fromkeys((*CHANGES, *CHANNELS), other)}
    data: Any = SimpleNamespace(clips=clips)
    return Study(data, held, some, [StudiedArm(PAPER, [], answers(plain), by_change)])


def by_label(clip: Any) -> int:
    return int(clip.label[-1])


def values(question: dict[str, Any]) -> dict[str, float]:
    return {one["name"]: one["value"] for one in question["points"]}


def test_a_router_of_content_keeps_its_choice_and_another_clip_has_another() -> None:
    study = study_of(by_label, by_label)
    found = small_changes(study)
    assert found["answers"][0]["sentence"].startswith("No: a changed clip keeps its encoder")
    assert values(found)["mean of the changes"] == 1.0
    assert 0.35 < values(found)["another clip of the task"] < 0.65
    through = channels(study)
    assert through["answers"][0]["sentence"].startswith("The content: other content")
    assert values(through)["mean of the channels"] == 0.0
    # shares of 0.96 and 0.01 change places, around their middle of 0.485
    apart = 0.96 * np.log(0.96 / 0.485) + 0.01 * np.log(0.01 / 0.485)
    assert values(through)["another label of its source"] == pytest.approx(apart, abs=1e-4)


def test_a_router_of_the_channel_moves_with_every_change() -> None:
    study = study_of(by_label, lambda clip: 4)
    assert small_changes(study)["answers"][0]["sentence"].startswith("Yes: another clip")
    one_choice = study_of(lambda clip: 0, lambda clip: 4)
    through = channels(one_choice)
    assert through["answers"][0]["sentence"].startswith("The channel: it moves")
    assert values(through)["another label of its source"] == 0.0


def test_a_stable_choice_that_all_clips_share_is_said_to_mean_little() -> None:
    sentence = small_changes(study_of(lambda clip: 0, lambda clip: 0))["answers"][0]["sentence"]
    assert sentence.startswith("Not told apart")
    assert sentence.endswith("clips of different sources share the choice in 100.0%.")


def test_clips_beside_one_are_others_with_the_fields_asked_for() -> None:
    study = study_of(by_label, by_label)
    beside = study.beside(same=("task", "source"), other=("label",))
    clips = study.held.clips
    assert beside.shape == (40, 80)
    assert not beside[:, :40].diagonal().any()
    for place, row in enumerate(beside):
        others = [clips[n] for n in np.flatnonzero(row)]
        assert {one.task for one in others} == {clips[place].task}
        assert clips[place].label not in {one.label for one in others}


def test_means_over_the_clips_beside_by_hand() -> None:
    beside = np.array([[True, False, True], [False, False, False]])
    found = among(np.array([[[1.0, 5.0, 2.0], [1.0, 1.0, 1.0]]]), beside)
    assert found[0, 0] == 1.5
    assert np.isnan(found[0, 1])


def test_agreement_of_seeds_by_hand() -> None:
    same, chance = agreement(np.array([[0, 0, 1, 1], [0, 1, 1, 1]]), 2)
    assert same == 0.75
    assert chance == pytest.approx(0.5 * 0.25 + 0.5 * 0.75)


def test_profiles_are_means_by_encoder_with_the_loudness_last() -> None:
    rows = [
        {"encoder": "music", "bands": [0.0, 1.0], "loudness": [0.5, 0.5]},
        {"encoder": "music", "bands": [0.5, 0.5], "loudness": [0.7, 0.3]},
    ]
    assert _profiles(rows) == [("music", 2, [0.25, 0.75]), (LOUDNESS, 2, [0.6, 0.4])]
    assert _middle(np.array([0.25, 0.75]), [0.0, 100.0, 400.0]) == pytest.approx(200.0)


def test_the_nearest_clips_point_the_same_way_from_the_mean() -> None:
    torch.manual_seed(0)
    read = torch.nn.functional.layer_norm(torch.randn(40, 16), (16,))
    found = nearest(3.0 * read[7] + 2.0, read)  # what layer norm takes away
    assert found[0] == 7
    assert len(set(found)) == 10


def test_a_shuffled_router_has_the_same_weights_in_other_places() -> None:
    torch.manual_seed(0)
    router = torch.nn.Sequential(torch.nn.LayerNorm(12), torch.nn.Linear(12, 3))
    before = router[1].weight.detach().clone()
    shuffled = shuffled_router(router, seed=1)
    weight = shuffled[1].weight
    assert torch.equal(router[1].weight, before)
    assert not torch.equal(weight, before)
    assert torch.equal(weight.sort(dim=1).values, before.sort(dim=1).values)
    assert torch.equal(weight @ weight.T, (weight @ weight.T).T)
    assert torch.allclose(weight @ weight.T, before @ before.T, atol=1e-6)  # rows moved together


# --- pages, charts and the tab ------------------------------------------------------------------


def test_the_page_answers_every_question_with_its_numbers_and_how_to_ask_again() -> None:
    section = drivers_section(drivers())
    assert "### Does a small change move the choice?\n\n- *paper*: No." in section
    assert "| paper | 6 dB softer | 0.625 | 0.500 | 0.750 |  |" in section
    assert "| paper | another clip | 0.600 | 0.500 | 0.750 | control |" in section
    assert "paper: 3.2, 1.0" in section
    assert "2 seeds; 80 clips of dev, 40 of them changed; commit `0123456789`" in section
    assert "10 minutes of CPU" in section
    assert routing_page([result()], drivers()).endswith(f"{section}\n")


def test_a_damaged_file_is_one_sentence_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert read_drivers(tmp_path / FILE) is None
    broken = drivers()
    broken["questions"][0]["points"][0]["value"] = float("nan")
    write_results(tmp_path, drivers=broken)
    with pytest.raises(ExperimentError, match=r"questions\[0\].points\[0\].value must be a finite"):
        read_drivers(tmp_path / FILE)


def test_a_chart_has_a_trace_an_arm_and_hollow_controls() -> None:
    [trace] = driver_chart(drivers()["questions"][0]).data
    assert list(trace.x) == [0.625, 0.6]
    assert list(trace.error_x.array) == pytest.approx([0.125, 0.15])
    assert [one.endswith("-open") for one in trace.marker.symbol] == [False, True]
    [field] = driver_chart(drivers()["questions"][1]).data
    assert [list(row) for row in field.z] == [[0.25, 0.75]]
    assert field.customdata[0][1] == "paper, music, 200-400 Hz"


def test_the_tab_shows_a_question_with_its_twin_or_nothing(tmp_path: Path) -> None:
    section = DriversSection(tmp_path / FILE)
    everything, choice, *_ = section.open(None)
    assert (everything.visible, choice.choices) == (False, [])
    write_results(tmp_path, drivers=drivers())
    everything, choice, answer, chart, points, details, made = section.open("gone")
    assert (everything.visible, choice.value) == (True, "Does a small change move the choice?")
    assert answer == "- *paper*: No."
    assert points.value["data"][0][:3] == ["paper", "6 dB softer", "0.625"]
    assert details.value["headers"] == ["Arm", "Change"]
    assert "Again: `mowe experiments drivers" in made
    assert section.open("Which part of the spectrogram decides?")[1].value.startswith("Which part")
    with pytest.raises(gr.Error, match="no longer there"):
        section.show("gone")


def test_every_arm_is_drawn_however_many_there_are():
    known = drivers()["questions"][0]
    points = [known["points"][0] | {"arm": f"arm {number}"} for number in range(9)]
    assert [one.name for one in driver_chart(known | {"points": points}).data] == [
        f"arm {number}" for number in range(9)
    ]

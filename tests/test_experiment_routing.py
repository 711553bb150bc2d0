"""What choices tell beyond chance, pairs of tasks, and what was left out of training, by hand."""

import dataclasses
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from experimenting import arm, comparison, result

from mowe.data.manifest import Example
from mowe.experiments.choices import information
from mowe.experiments.labelled import Labelled, left_out
from mowe.experiments.pages import routing_page
from mowe.experiments.pairs import Together, agreements, pairs_of
from mowe.experiments.result_files import information_of

TASKS = ("digit", "emotion", "sound", "word")


def test_information_within_strata_and_by_chance_by_hand():
    # four clips of two tasks in one source, four of one task in another
    tasks, sources = np.array([0, 0, 1, 1, 2, 2, 2, 2]), np.repeat([0, 1], 4)
    picks = np.array([[0, 0, 1, 1, 0, 1, 0, 1]])
    found = information(picks, tasks, sources)
    assert found["found"] == pytest.approx(math.log(2) / 2, abs=1e-4)
    # of the six ways to deal out two tasks, two tell all and four tell nothing
    assert found["by_chance"] == pytest.approx(math.log(2) / 6, abs=0.03)
    assert found["by_chance_high"] == pytest.approx(math.log(2) / 2, abs=1e-4)
    assert information(picks, tasks, sources) == found


def test_who_only_knows_the_source_tells_nothing():
    tasks, sources = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.repeat([0, 1], 4)
    found = information(np.stack([sources, 1 - sources]), tasks, sources)
    assert found == {"found": 0.0, "by_chance": 0.0, "by_chance_high": 0.0}


def test_a_file_of_before_tells_what_it_has():
    assert information_of({"information_within_sources": [0.1, 0.3]}) == ["0.200", ""]
    nats = {"found": 0.25, "by_chance": 0.01, "by_chance_high": 0.02}
    told = information_of({"information": {"tasks": nats, "labels": {**nats, "found": 1.0}}})
    assert told == ["0.250 (0.010/0.020)", "1.000 (0.010/0.020)"]


# --- pairs of tasks -----------------------------------------------------------------------------


def test_help_goes_with_the_cosine_by_hand():
    pairs = [
        Together(both, (place / 10, 0.0), {"router": place, "projections": 0.5, "adapter": -place})
        for place, both in enumerate(combinations(TASKS, 2))
    ]
    router, projections, adapter = agreements(pairs)
    assert router.rank_correlation == pytest.approx(1.0)
    assert adapter.rank_correlation == pytest.approx(-1.0)
    assert (projections.rank_correlation, projections.p) == (0.0, 1.0)
    # of 24 ways to name four tasks only their own puts six pairs in this order; three parts
    assert router.p == adapter.p == pytest.approx(3 / 24)


def test_the_page_shows_a_pair_beside_its_cosine():
    cosines = {"router": 0.125, "projections": -0.5, "adapter": 0.0}
    both = {**arm("word and sound", 0.7, 0.6), "pair_cosine": cosines}
    told = [
        comparison("word and sound", "word", 0.04, "better", task="word"),
        comparison("word and sound", "sound", -0.02, "undecided", task="sound"),
    ]
    found = result(experiment="pairs", arms=[arm("word", 0.6, 0.1), both], comparisons=told)
    (pair,) = pairs_of(found)
    assert pair == Together(("word", "sound"), (0.04, -0.02), cosines)
    assert pair.change == pytest.approx(0.01)
    page = routing_page([found])
    assert "| word and sound | +0.040 | -0.020 | +0.010 | +0.12 | -0.50 | +0.00 |" in page
    assert "Rank correlation" in page
    assert pairs_of(result()) == []


# --- left out -----------------------------------------------------------------------------------


def clip(origin, label, split="train", task="effect"):
    turns = (("user", "<audio> What?"), ("assistant", label))
    example = Example(
        audio=Path("x.wav"), task="sound", messages=turns, metadata={"id": f"{origin}-x/sound"}
    )
    return Labelled(example, task, label, split, origin.partition("/")[0], "")


def test_left_out_are_training_clips_whose_labels_others_teach():
    clips = [
        clip("games/a", "door"),
        clip("games/a", "sword"),  # three others are too few
        clip("games/a", "door", split="dev"),
        clip("games/a", "door", task="another"),
        *(clip("games/b", "door") for _ in range(4)),
        *(clip("games/b", "sword") for _ in range(3)),
        clip("else/a", "door"),
    ]
    assert left_out(clips, "games/a") == [0]
    assert left_out(clips, "games") == []
    assert left_out(clips, "else") == [11]
    plain = dataclasses.replace(clips[0].example, metadata={})
    assert clips[0]._replace(example=plain).origin == "games"

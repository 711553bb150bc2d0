"""The training benchmark's own arithmetic; its trainings are not run here."""

import pytest

from benchmarks import training
from benchmarks.training import DOORS, NAMES, Stopwatch, attach, markdown, summarise


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_time_of_inner_parts_is_taken_from_the_outer_ones():
    clock = Clock()
    watch = Stopwatch(clock)

    def read():
        clock.now += 2

    def step():
        clock.now += 1
        inner()
        clock.now += 4

    inner = watch.timed("data", read)
    watch.timed("rest", step)()
    assert watch.seconds["data"] == 2
    assert watch.seconds["rest"] == 5


def test_a_part_that_fails_is_still_counted_once():
    clock = Clock()
    watch = Stopwatch(clock)

    def fail():
        clock.now += 3
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        watch.timed("data", fail)()
    clock.now += 10
    watch.timed("rest", lambda: None)()
    assert watch.seconds["data"] == 3


def test_every_part_that_is_timed_still_exists(monkeypatch):
    monkeypatch.setattr(training, "setattr", lambda *_: None, raising=False)
    assert attach(Stopwatch()) == []
    assert attach(Stopwatch(), [("gone", "mowe.model", "MoWEModel.gone")]) == [
        "mowe.model.MoWEModel.gone"
    ]


def test_the_summary_by_hand():
    lines = [{"loss": 1.0, "seconds": seconds, "memory_mb": 5.0} for seconds in (9, 9, 2, 4, 3)]
    lines.append({"dev_sound": 1.0, "memory_mb": 7.0})
    parts = {"data": 1.0, "encoders": 3.0, "rest": 4.0}
    found = summarise(lines, {"parts": parts, "missing": []}, 2)
    assert found["steps"] == 3  # the first two are warm-up
    assert found["examples_per_second"] == pytest.approx(2 * training.BATCH / 3)
    assert found["shares"]["encoders"] == pytest.approx(3 / 8)
    assert found["memory_mb"] == 7.0


def test_the_page_names_the_ratio_and_busy_neighbours():
    def variant(speed, others):
        shares = dict.fromkeys((*NAMES, "rest"), 1 / (len(NAMES) + 1))
        return {
            "examples_per_second": speed, "shares": shares, "memory_mb": 1.0, "missing": [],
            "others": others,
        }  # fmt: skip

    result = {
        "date": "today", "machine": {"processor": "a", "python": "3", "load": 0.0}, "cores": 2,
        "clips": 1, "corpus_hours_per_minute": 1.0,
        "variants": {"first run": variant(1.0, 0.0), "cached": variant(4.0, 0.0),
                     "two processes": variant(6.0, 0.0)},
    }  # fmt: skip
    assert "1.50 times the examples of one" in markdown(result)
    assert "busy meanwhile" not in markdown(result)
    result["variants"]["cached"]["others"] = 1.0
    assert "busy meanwhile" in markdown(result)
    assert len(DOORS) == len({door[1:] for door in DOORS})

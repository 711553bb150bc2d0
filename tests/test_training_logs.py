"""The two records of a training run: JSON lines and TensorBoard events."""

import json
import math
from pathlib import Path

import pytest

from mowe.statistics import effective_number
from mowe.training import logs
from mowe.training.logs import TrainingLog

NAMES = ("whisper", "speaker")


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(folder: Path, stage: str) -> dict[str, list[tuple[int, float]]]:
    """Every scalar TensorBoard shows for a stage, by name: (step, value)."""
    package = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(package).EventAccumulator(str(folder / "events" / stage))
    reader.Reload()
    return {
        tag: [(one.step, one.value) for one in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def test_both_records_hold_the_same_numbers(tmp_path):
    log = TrainingLog(tmp_path, NAMES)
    log.write("align", 0, loss=2.0, heard="one two")
    log.write("mixture", 0, loss=1.5, usage=[0.25, 0.75], tokens=300, seconds=2.0)
    log.write("mixture", 10, loss=1.0, usage=[0.5, 0.5], tokens=300, seconds=3.0)
    first, second, third = lines(tmp_path)
    assert (first["stage"], first["step"], first["heard"]) == ("align", 0, "one two")
    assert second["usage/speaker"] == 0.75
    assert second["tokens_per_second"] == 150
    assert third["effective_encoders"] == pytest.approx(2.0)
    assert third["memory_mb"] > 10
    mixture = events(tmp_path, "mixture")
    assert mixture["loss"] == [(0, 1.5), (10, 1.0)]
    assert mixture["usage/whisper"] == [(0, 0.25), (10, 0.5)]
    assert mixture["tokens_per_second"] == [(0, 150), (10, 100)]
    assert events(tmp_path, "align")["loss"] == [(0, 2.0)]  # not mixed with step 0 of the other


def test_a_run_taken_up_again_appends_and_its_steps_replace_the_lost_ones(tmp_path):
    killed = TrainingLog(tmp_path)
    killed.write("align", 90, loss=9.0)
    for step in (0, 10, 20):
        killed.write("mixture", step, loss=float(step))
    resumed = TrainingLog(tmp_path)  # the last checkpoint was written at step 15
    for step in (20, 30):
        resumed.write("mixture", step, loss=step + 0.5)
    assert [line["step"] for line in lines(tmp_path)] == [90, 0, 10, 20, 20, 30]
    assert events(tmp_path, "mixture")["loss"] == [(0, 0), (10, 10), (20, 20.5), (30, 30.5)]
    assert events(tmp_path, "align")["loss"] == [(90, 9.0)]


def test_without_tensorboard_the_lines_are_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(logs.importlib.util, "find_spec", lambda name: None)
    log = TrainingLog(tmp_path / "new" / "run")
    log.write("align", 0, loss=2.0)
    assert lines(tmp_path / "new" / "run")[0]["loss"] == 2.0
    assert not (tmp_path / "new" / "run" / "events").exists()


def test_a_number_is_needed_for_every_encoder(tmp_path):
    with pytest.raises(ValueError, match="usage needs 2 numbers"):
        TrainingLog(tmp_path, NAMES).write("mixture", 0, usage=[1.0])


def test_the_effective_number_of_encoders_counts_equal_shares():
    assert effective_number([0.2] * 5) == pytest.approx(5)
    assert effective_number([0.0, 3.0, 0.0]) == pytest.approx(1)
    assert effective_number([0.0, 0.0]) == 0
    expected = math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
    assert effective_number([0.9, 0.1]) == pytest.approx(expected)

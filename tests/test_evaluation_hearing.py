"""What heads hear by themselves, counted by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from trainings import HEARING

from mowe.assistant import Assistant
from mowe.checkpoint import MoWE
from mowe.config import HintsConfig
from mowe.data.manifest import read_manifest
from mowe.evaluation.hearing import heard_rows, summarize_hearing

RATE = 16_000
KINDS = {"a bell": "alarm", "a cat": "animal", "a dog": "animal", "rain": "water"}


@pytest.fixture
def heard(tmp_path):
    """Deaf heads that hold every sound for a bell, then a dog, a cat; and lines about noise."""
    model = MoWE.from_config(replace(HEARING, hints=HintsConfig(heads=True, sounds=KINDS)))
    detector = model.heads.detector
    with torch.no_grad():
        for layer in (detector.name, detector.kind):
            layer.weight.zero_()
        detector.name.bias.copy_(torch.tensor([3.0, -2.0, -1.0, -9.0]))
        detector.kind.bias.copy_(torch.tensor([1.0, 5.0, 0.0]))  # alarm, animal, water
    rng, lines = np.random.default_rng(0), []

    def line(number, source, *rows, seconds=2.0):
        samples = 0.1 * rng.standard_normal(round(seconds * RATE))
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        messages = [{"role": "user", "content": "<audio> ?"}, {"role": "assistant", "content": "!"}]
        made = {"audio": f"{number}.wav", "task": "sound", "messages": messages, "source": source}
        lines.append(json.dumps(made | {"heard": [list(row) for row in rows]}))

    line(0, "known", ("a bell", "alarm", None, None))
    line(1, "known", ("a cat", "animal", None, None))
    line(2, "other", ("a fox", "animal", None, None))
    line(3, "scenes", ("a bell", "alarm", 0.0, 2.0))
    line(4, "scenes", ("rain", "water", 1.0, 2.0), ("a bell", "alarm", 0.1, 0.5))
    line(5, "long", ("a bell", "alarm", None, None), seconds=31.0)
    line(6, "mixed", ("a bell", "alarm", None, None), ("rain", "water", None, None))
    lines.append(lines[0])  # a second line about the same recording
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines))
    return heard_rows(Assistant(model), read_manifest(path))


def test_a_recording_counts_once_and_one_of_unknown_times_needs_one_sound(heard):
    assert [row["clip"].rsplit("/", 1)[1] for row in heard] == [f"{n}.wav" for n in range(5)]


def test_names_and_kinds_of_single_sounds_by_source(heard):
    known, other, scenes = summarize_hearing(heard)
    assert known == {
        "source": "known", "recordings": 2, "known": 1.0, "name": 0.5, "among_three": 1.0,
        "kind": 0.5,
    }  # fmt: skip
    assert other == {
        "source": "other", "recordings": 1, "known": 0.0, "name": 0.0, "among_three": 0.0,
        "kind": 1.0,
    }  # fmt: skip
    # one bell from the beginning to the end in both: found twice, of three
    assert scenes == {
        "source": "scenes", "recordings": 2, "event_f1": round(4 / 5, 4), "count": 0.5,
        "order": 0.5,
    }  # fmt: skip


def test_a_mixture_without_heads_hears_nothing_by_itself(tiny_model):
    assert heard_rows(Assistant(tiny_model), []) == summarize_hearing([]) == []

"""Settings of a training: read from sections, and refused by name, value and what is allowed."""

import json
from pathlib import Path

import pytest
from trainings import settings, write_corpus

from mowe.errors import ConfigError
from mowe.presets import TINY_RANDOM
from mowe.training.config import config_to_json, read_training_config
from mowe.training.run import build_run
from mowe.training.stages import build_stage

LEAST = {"output": "run", "data": {"manifest": "m.jsonl"}}


def test_two_settings_suffice_and_the_others_are_written_out(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(LEAST))
    config = read_training_config(path)
    assert config.features == Path("run/features")
    assert config.train == ("router", "fusion", "adapter", "heads", "lora")
    path.write_text(config_to_json(config))
    assert read_training_config(path) == config
    assert json.loads(path.read_text())["optimizer"]["clip_norm"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "stepz is no setting; there are output, preset, start, seed, train"),
        ({"tuning": {"stepz": 3}}, "tuning.stepz is no setting; there are steps, batch"),
        ({"tuning": 3}, "tuning must be an object, found 3"),
        ({"data": {}}, "data.manifest is missing"),
        ({"data": {"manifest": ""}}, "data.manifest must be a path, found ''"),
        ({"output": None}, "output must be a path, found None"),
        ({"start": 5}, "start must be a path, found 5"),
        ({"preset": 3}, "preset must be a name or a path, found 3"),
        ({"seed": 1.5}, "seed must be a whole number from 0 on, found 1.5"),
        ({"seed": True}, "seed must be a whole number from 0 on, found True"),
        ({"tuning": {"batch": 0}}, "tuning.batch must be a whole number from 1 on, found 0"),
        ({"optimizer": {"rate": 0.0}}, "optimizer.rate must be a number above 0, found 0.0"),
        ({"optimizer": {"warmup": 1.1}}, "optimizer.warmup must be a number from 0 to 1, found"),
        ({"optimizer": {"clip_norm": "1"}}, "clip_norm must be a number above 0, found '1'"),
        ({"data": {"manifest": "m", "versions": 0}}, "data.versions must be a whole number from 1"),
        (
            {"data": {"manifest": "m", "task_weights": {"sound": -1}}},
            "data.task_weights must be an object of numbers from 0 on, found {'sound': -1}",
        ),
        (
            {"data": {"manifest": "m", "upsampling": {"esc10": 0}}},
            "data.upsampling must be an object of numbers above 0, found {'esc10': 0}",
        ),
        ({"data": {"manifest": "m", "optional_tasks": "a"}}, "must be a list of texts, found 'a'"),
        ({"mixed_precision": "fp8"}, "mixed_precision must be one of ['bf16', 'no'], found 'fp8'"),
        ({"train": ["router", "decoder"]}, "train must be a list of ['router', 'fusion'"),
        ({"train": []}, "train must name some of"),
        ({"pretraining": {"steps": 9}}, "pretraining.tasks must name a task for its steps"),
        (
            {"train": ["lora"], "pretraining": {"steps": 9, "tasks": ["sound"]}},
            "pretraining.steps must be 0 where train names LoRA alone, which it does not use",
        ),
    ],
)  # fmt: skip
def test_a_faulty_setting_is_named_with_its_value_and_what_is_allowed(tmp_path, change, message):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(LEAST | change))
    with pytest.raises(ConfigError) as refused:
        read_training_config(path)
    assert str(refused.value).startswith("run.json: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["{oops", "[]", "3"])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="run.json"):
        read_training_config(path)
    with pytest.raises(
        ConfigError,
        match="none.json cannot be read.*; a training recipe is",
    ):
        read_training_config(tmp_path / "none.json")


def test_a_flat_recipe_of_before_is_refused_by_a_sentence_that_says_how_to_go_on(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"manifest": "m", "output": "o", "align_steps": 0, "steps": 3}))
    with pytest.raises(ConfigError) as refused:
        read_training_config(path)
    assert str(refused.value) == (
        "old.json is a recipe of before version 0.2 (align_steps, manifest, steps): settings stand "
        'in sections now, see "Recipes of before 0.2" in docs/TRAINING.md'
    )
    page = Path(__file__).parents[1] / "docs" / "TRAINING.md"
    assert "## Recipes of before 0.2" in page.read_text(encoding="utf-8")


def test_settings_that_do_not_fit_the_manifest_or_the_mixture_are_refused(tmp_path):
    corpus = write_corpus(tmp_path)
    with pytest.raises(ConfigError, match=r"data.task_weights names \['singing'\]"):
        build_run(settings(corpus, data={"task_weights": {"singing": 1.0}}))
    with pytest.raises(ConfigError, match=r"data.task_weights gives every task 0"):
        build_run(settings(corpus, data={"task_weights": {"sound": 0, "transcribe": 0}}))
    with pytest.raises(ConfigError, match="neither a naming adapter nor heads"):
        build_run(settings(corpus, preset="tiny-random"))
    run = build_run(settings(corpus, TINY_RANDOM, train=["encoders"]))
    with pytest.raises(
        ConfigError, match="train names 'encoders', but preset 'tiny-random' trains"
    ):
        build_stage(run, "tuning")

"""A training small enough for tests: six clips of noise in two tasks, `tiny-random`, four steps."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mowe.config import HintsConfig, MoWEConfig, NamingConfig, to_dict
from mowe.presets import TINY_RANDOM
from mowe.training.config import TrainingConfig

TASKS = {"transcribe": ["one two", "three", "four five"], "sound": ["A bell.", "Rain.", "A dog."]}
HEARING = replace(  # heads hear for the hints
    TINY_RANDOM,
    hints=HintsConfig(heads=True),
    routing=replace(TINY_RANDOM.routing, full_weight=True, smoothing="off"),
)
KINDS = {"A bell.": "alarm", "Rain.": "water", "A dog.": "animal"}
NAMING = replace(TINY_RANDOM, adapter=NamingConfig(frames_per_token=10, residual_dim=8))
PRETRAINING, TUNING = "pretraining", "tuning"


def write_corpus(folder: Path) -> Path:
    """Clips and a manifest; its path."""
    draw, lines = np.random.default_rng(0), []
    for task, answers in TASKS.items():
        for number, answer in enumerate(answers):
            name = f"{task}{number}.wav"
            samples = 0.1 * draw.standard_normal(16_000 + 1_600 * number)
            soundfile.write(folder / name, samples.astype(np.float32), 16_000)
            turns = [("user", "<audio> What do you hear?"), ("assistant", answer)]
            messages = [{"role": role, "content": content} for role, content in turns]
            line = {"audio": name, "task": task, "messages": messages, "split": "train"}
            facts = {"gender": ("man", "woman")[number % 2], "content": "speech"}
            if task == "sound":
                heard = [answer.lower().rstrip("."), KINDS[answer], None, None]
                facts = {"heard": [heard], "content": "sound"}
            lines.append(line | facts | {"label": answer, "duration": 1.0 + 0.1 * number})
    lines.append(lines[0] | {"split": "dev"})
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_mixture(folder: Path, mixture: MoWEConfig = NAMING) -> str:
    """A mixture as a file, for `preset`."""
    path = folder / "mixture.json"
    path.write_text(json.dumps(to_dict(mixture)))
    return str(path)


def settings(corpus: Path, mixture: MoWEConfig = NAMING, **changed: Any) -> TrainingConfig:
    """Four steps of either stage, saved after every step; sections are changed in part."""
    folder = corpus.parent
    plain: dict[str, Any] = {
        "output": str(folder / "run"),
        "preset": write_mixture(folder, mixture),
        "dense_steps": 2,
        "mixed_precision": "no",
        "data": {"manifest": str(corpus), "features": str(folder / "features"), "versions": 2},
        "pretraining": {"steps": 4, "batch": 2, "tasks": ["sound"], "least": 1},
        "tuning": {"steps": 4, "batch": 3},
        "report": {"log_every": 1, "dev_every": 2, "save_minutes": 0.0},
    }
    if mixture.adapter.kind != "naming" and not mixture.hints.heads:
        plain["pretraining"] = {}
    for name, one in changed.items():
        plain[name] = plain.get(name, {}) | one if isinstance(one, dict) else one
    return TrainingConfig.read(plain)

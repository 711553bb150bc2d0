"""The script from an empty disk to an exported checkpoint, in its small size on a few clips."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from mowe.checkpoint import read_config, read_trained
from mowe.data.manifest import AUDIO_TAG

ROOT = Path(__file__).parents[1]
SECONDS = 2.0  # s, of a clip
# clip of assets/examples -> what it is
SOUNDS = {"dog.ogg": "dog bark", "rain.ogg": "rain"}
SPEECH = {"speech-prompt.flac": ("English", "woman"), "speech-italian.flac": ("Italian", "man")}


def line(audio, task, question, answer, **fields):
    messages = [
        {"role": "user", "content": f"{AUDIO_TAG if audio else ''} {question}".strip()},
        {"role": "assistant", "content": answer},
    ]
    made = {"audio": audio, "task": task, "messages": messages, "source": "examples"}
    return made | {"speaker": "", "duration": SECONDS if audio else 0.0} | fields


def lines():
    """One question of every task that the recipe draws from and needs."""
    for audio, label in SOUNDS.items():
        yield line(audio, "sound", "What is it?", f"{label}.", label=label)
        yield line(audio, "caption", "Describe it.", f"A {label}.", label=label)
        yield line(audio, "count", "How often?", "One.", label="one", labels=label)
        yield line(audio, "order", "In which order?", f"{label}.", label=label, labels=label)
        yield line(audio, "compare", "Which is louder?", f"The {label}.", label=label)
        yield line(audio, "presence", "Is it rain?", "Yes.", label="yes", options=["yes", "no"])
        yield line(audio, "unanswerable", "Who speaks?", "Nobody speaks.", label="cannot tell")
    for audio, (language, gender) in SPEECH.items():
        about = {"language": language, "speaker": audio}
        yield line(audio, "language", "Which language?", f"{language}.", label=language, **about)
        yield line(audio, "gender", "Who speaks?", f"A {gender}.", label=gender, **about)
        yield line(audio, "transcribe", "Write it down.", "You are next.", label="", **about)
        yield line(audio, "prompts", "What was asked?", "To wait.", label="to wait", **about)
        yield line(audio, "mention", "First word?", "You.", label="you", **about)
    yield line(None, "chat", "Hello.", "Hello!", label="")


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in (*SOUNDS, *SPEECH):
        samples, rate = soundfile.read(ROOT / "assets/examples" / name)
        soundfile.write(folder / name, samples[: round(SECONDS * rate)], rate, format="WAV")
    made = [one | {"split": split} for split in ("train", "dev") for one in lines()]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in made))
    return folder


def run(tmp_path, corpus, **settings):
    given = {"SIZE": "small", "OUT": "out", "CORPUS": str(corpus), "PYTHON": sys.executable}
    return subprocess.run(
        [ROOT / "runs/mini.sh"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, **given, **settings}, timeout=1500,
    )  # fmt: skip


@pytest.mark.slow
def test_the_small_run_comes_to_an_exported_checkpoint_that_is_measured(
    tmp_path, corpus, components
):
    done = run(tmp_path, corpus)
    assert done.returncode == 0, done.stderr[-3000:]
    made = tmp_path / "out/mowe-mini"
    config, shipped = read_config(made), read_config(ROOT / "assets/mowe-mini")
    assert config.adapter.events == ("dog bark", "rain")
    assert config.adapter.decoded == shipped.adapter.decoded
    assert {*config.adapter.statistics} == {*shipped.adapter.statistics}
    state, known = read_trained(made), read_trained(ROOT / "assets/mowe-mini")
    assert state.keys() - known.keys() == set()
    result = json.loads((tmp_path / "out/results.json").read_text())
    assert {one["task"] for one in result["summary"]} >= {"sound", "transcribe", "caption"}
    again = run(tmp_path, corpus)
    assert again.returncode == 0
    assert [text for text in again.stdout.splitlines() if not text.endswith(" is there")] == []


def test_an_unknown_size_is_refused_before_anything_is_made(tmp_path, corpus):
    done = run(tmp_path, corpus, SIZE="medium")
    assert (done.returncode, done.stderr) == (2, "SIZE is full or small, found medium\n")
    assert not (tmp_path / "out").exists()

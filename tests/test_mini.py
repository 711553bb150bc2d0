"""The shipped checkpoint on the shipped clips: real parts, real sounds, the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mowe.assistant import Assistant, load
from mowe.audio import load_audio
from mowe.evaluation.scores import same_words, word_error_rate
from mowe.model import make_batch
from mowe.model.language_model import AUDIO_MARK, Message
from mowe.shipped import CHECKPOINTS

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "assets" / "examples"
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(scope="module")
def mini() -> Assistant:
    return load("mini", device="cpu")


def test_four_in_five_of_the_shipped_examples_are_answered_right(mini):
    examples = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    wrong = []
    for example in examples:
        expected = example["expected"]
        answer = mini.ask([load_audio(EXAMPLES / example["file"])], example["question"]).text
        if "Transcribe" in example["question"]:
            good = word_error_rate([expected], [answer]) <= 0.2
        elif "Describe" in example["question"]:  # "A dog barks at something." will do
            good = answer.startswith(expected.rstrip("."))
        else:
            good = same_words(expected, answer)
        if not good:
            wrong.append((example["file"], example["question"], answer))
    assert len(wrong) <= len(examples) / 5, wrong


@pytest.mark.parametrize("name", ["speech_rms_one", "sound_dog_one", "music_guitar_one"])
def test_a_reply_is_the_one_that_transformers_decodes(mini, name):
    language_model, recording = mini.model.language_model, load_audio(FIXTURES / f"{name}.ogg")
    rates = mini.model.sample_rates
    batch = make_batch([{rate: torch.from_numpy(recording.at(rate)) for rate in rates}])
    question = Message("user", f"{AUDIO_MARK}Describe all that is heard, in a long sentence.")
    with torch.inference_mode():
        audio = mini.model.listen(batch).audio_tokens()[0]
        prompt = language_model.prompt([question], [len(audio)], reply=True)
        embedded = language_model.embed(prompt.ids[None], audio)
        (ids,) = language_model.model.generate(
            inputs_embeds=embedded,
            attention_mask=torch.ones(embedded.shape[:2]),
            max_new_tokens=24,
            do_sample=False,
        )
    expected = language_model.tokenizer.decode(ids, skip_special_tokens=True)
    pieces = list(language_model.stream(prompt, audio, max_new_tokens=24))
    assert "".join(pieces) == expected
    assert len(pieces) > 3


def test_every_shipped_file_stays_below_16_mb_and_all_below_30():
    sizes = [path.stat().st_size for path in CHECKPOINTS["mini"].iterdir()]
    assert max(sizes) < 16e6
    assert sum(sizes) < 30e6


def test_the_command_line_prints_the_spoken_words_and_the_routing():
    clip = EXAMPLES / "speech-prompt.flac"
    command = [sys.executable, "-m", "mowe", "ask", str(clip), "-q", "Transcribe the speech."]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    said = (
        "Your call is now first in line and will be answered by the next available representative."
    )
    assert word_error_rate([said], [answer["text"]]) <= 0.2
    (window,) = answer["windows"]
    assert (window["start"], round(window["end"], 1)) == (0.0, 5.4)
    assert len(window["chosen"]) in (1, 2)
    for router in ("independent", "dependent"):
        assert sum(window[router].values()) == pytest.approx(1.0, abs=1e-3)

"""The optional part that guesses feelings: learnt apart, told only where somebody asks for it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from trainings import HEARING

from mowe.__main__ import main
from mowe.assistant import Assistant, Turn, load, loading
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.config import HINTS, HintsConfig
from mowe.errors import CheckpointError, ConfigError, QuestionError
from mowe.hints import Segment, Transcript
from mowe.hints.emotion import EMOTION, fused_sum, read_emotion
from mowe.training.emotion import main as train_main
from mowe.training.emotion import train_emotion

RATE = 16_000
FEELINGS = ("calm", "happy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint with heads, lines about tones and noises that "feel", and the part for them."""
    folder = tmp_path_factory.mktemp("emotion")
    told = {"sounds": {"a bell": "alarm", "rain": "water"}, "labels": {"gender": ("man", "woman")}}
    hints = HintsConfig(heads=True, **told)
    model = MoWE.from_config(replace(HEARING, hints=hints))
    model.heads.labels.temperatures.fill_(1.0)
    model.save_pretrained(folder / "checkpoint")
    draw, lines = np.random.default_rng(0), []
    for number in range(24):
        noise = draw.standard_normal(RATE)
        sound = noise if number % 2 else np.sin(np.arange(RATE) * draw.uniform(0.1, 0.3))
        soundfile.write(folder / f"{number}.wav", 0.1 * sound, RATE)
        turns = [("user", "<audio> How?"), ("assistant", "Calm.")]
        messages = [{"role": role, "content": text} for role, text in turns]
        line = {"audio": f"{number}.wav", "task": "emotion", "messages": messages}
        line |= {"label": FEELINGS[number % 2], "split": "dev" if number > 15 else "train"}
        lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    part = folder / "part"
    right = train_emotion(
        folder / "checkpoint", folder / "manifest.jsonl", folder / "features", part
    )
    return folder, right


def ask(assistant, folder, **settings):
    turn = Turn("user", "How do they feel?", (load_audio(folder / "23.wav"),))
    *_, answer = assistant.stream([turn], **settings)
    return answer


def test_it_learns_from_frozen_frames_and_is_told_where_it_was_asked_for(made):
    folder, right = made
    assert right == {"train": 1.0, "dev": 1.0}
    plain = load(str(folder / "checkpoint"))
    feeling = load(str(folder / "checkpoint"), emotion=folder / "part")
    assert plain.hints == ("events", "voice")  # it has no decoder
    assert feeling.hints == ("events", "voice", EMOTION)
    assert "happy" not in " ".join(ask(plain, folder).hints)
    # without a word said there is no voice to tell of
    assert "happy" not in " ".join(ask(feeling, folder).hints)
    state = plain.model.trained_state()
    assert not any("emotion" in name for name in state)


def test_lines_tell_of_it_only_with_the_hint(made, monkeypatch):
    folder, _ = made
    said = Transcript((Segment(0.1, 0.9, "Hello."),), "English")
    feeling = load(str(folder / "checkpoint"), emotion=folder / "part")
    monkeypatch.setattr(feeling.listener, "transcripts", lambda *_: [said])
    assert "; happy." in ask(feeling, folder, hints=(*HINTS, EMOTION)).hints[0]
    assert "happy" not in ask(feeling, folder, hints=HINTS).hints[0]
    with pytest.raises(QuestionError, match="no hint emotion; there are events, transcript, voice"):
        ask(Assistant(MoWE.from_pretrained(folder / "checkpoint")), folder, hints=(EMOTION,))


def test_it_fits_one_mixture_whatever_its_language_model_learns(made):
    folder, _ = made
    model = MoWE.from_pretrained(folder / "checkpoint")
    state = {name: one.clone() for name, one in model.trained_state().items()}
    lora = next(name for name in state if "lora" in name)
    assert fused_sum(state | {lora: state[lora] + 1}) == fused_sum(state)
    for encoder in ("base_encoder.x", "weak_encoders.0.x"):  # that a mixture trains
        assert fused_sum(state | {encoder: state[lora]}) != fused_sum(state)
    head = read_emotion(folder / "part", model.fused_dim, state)
    assert head.sets == {EMOTION: FEELINGS}
    other = next(name for name in state if name.startswith("fusion."))
    with pytest.raises(CheckpointError, match="trained on the frames of another mixture"):
        read_emotion(folder / "part", model.fused_dim, state | {other: state[other] + 1})


def test_a_changed_part_is_refused(made, tmp_path):
    folder, _ = made
    for path in (folder / "part").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = bytearray((tmp_path / "model.safetensors").read_bytes())
    broken[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(broken)
    with pytest.raises(CheckpointError, match=r"model.safetensors of .* changed"):
        load(str(folder / "checkpoint"), emotion=tmp_path)


def test_refusals_name_what_there_is(made, tiny_model, tmp_path, monkeypatch):
    folder, _ = made
    checkpoint = str(folder / "checkpoint")
    with pytest.raises(CheckpointError, match="there is one for mini, or name the folder"):
        load(checkpoint, emotion=True)
    with pytest.raises(CheckpointError, match="there is no part that guesses feelings at"):
        load(checkpoint, emotion=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="random weights guesses no feelings"):
        load("tiny-random", untrained=True, emotion=True)
    tiny_model.save_pretrained(tmp_path / "bare")
    with pytest.raises(CheckpointError, match="tells nothing of voices"):
        load(str(tmp_path / "bare"), emotion=folder / "part")
    monkeypatch.setitem(loading.EMOTION_PARTS, checkpoint, folder / "part")
    assert load(checkpoint, emotion=True).hints[-1] == EMOTION


def test_a_manifest_without_feelings_is_refused_in_a_sentence(made, tmp_path, capsys):
    folder, _ = made
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    plain = [json.loads(line) | {"task": "sound"} for line in lines]
    for line in plain:
        line["audio"] = str(folder / line["audio"])
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, plain)))
    given = ["--manifest", str(tmp_path / "manifest.jsonl"), "--features", str(tmp_path / "f")]
    assert train_main([str(folder / "checkpoint"), *given, "--out", str(tmp_path / "part")]) == 1
    assert "no line of the task emotion in the split train" in capsys.readouterr().err
    assert not (tmp_path / "part").exists()


def test_the_command_line_asks_for_it(made, monkeypatch, capsys):
    folder, _ = made
    monkeypatch.setitem(loading.EMOTION_PARTS, str(folder / "checkpoint"), folder / "part")
    command = ["ask", str(folder / "23.wav"), "-q", "How?", "--json", "--model"]
    assert main([*command, str(folder / "checkpoint"), "--emotion", "--hints", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["hints"]
    assert main([*command, str(folder / "checkpoint"), "--hints", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["hints"] == [""]

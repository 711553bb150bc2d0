"""Labels fitted anew in a finished checkpoint, on made recordings of a random mixture."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mowe.audio import load_audio
from mowe.checkpoint import MoWE, read_config, read_trained
from mowe.config import HintsConfig, NamingConfig
from mowe.data.manifest import Example
from mowe.errors import ConfigError
from mowe.hints.naming import NONE, Named
from mowe.model import make_batch
from mowe.presets import TINY_RANDOM
from mowe.training import labels
from mowe.training.run import _started

VOICES = {"Dutch": 300.0, "Greek": 900.0}  # Hz
CLIPS = 10


def tone(hertz: float, draw: np.random.Generator) -> np.ndarray:
    time = np.arange(8_000) / 16_000
    return (0.3 * np.sin(2 * np.pi * hertz * time) + 0.02 * draw.standard_normal(8_000)).astype(
        np.float32
    )


@pytest.fixture
def manifest(tmp_path) -> Path:
    draw, lines = np.random.default_rng(0), []
    for number in range(CLIPS):
        for language, hertz in VOICES.items():
            name = f"{language}{number}.wav"
            soundfile.write(tmp_path / name, tone(hertz + 5 * number, draw), 16_000)
            lines.append((name, "language", language))
        soundfile.write(tmp_path / f"rain{number}.wav", 0.1 * draw.standard_normal(8_000), 16_000)
        lines.append((f"rain{number}.wav", "sound", "rain"))
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(line_of(*one)) + "\n" for one in lines))
    return path


def line_of(name: str, task: str, label: str) -> dict[str, object]:
    messages = [("user", "<audio> What is it?"), ("assistant", f"{label}.")]
    spoken = {"language": label, "speaker": f"{label} {name[-5]}"} if task == "language" else {}
    return {
        "audio": name,
        "task": task,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "split": "train",
        "label": label,
        "duration": 0.5,
        **spoken,
    }


UNTRAINED = replace(
    TINY_RANDOM,
    adapter=NamingConfig(frames_per_token=10, residual_dim=8),
    hints=HintsConfig(transcript="random"),
)
SOUND_NAMES = ("rain", "speech", "wind")


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    torch.manual_seed(0)
    names = {"gender": ("man", "woman"), "language": ("Dutch", "Greek")}
    adapter = replace(UNTRAINED.adapter, names=names, events=SOUND_NAMES)
    model = MoWE.from_config(replace(UNTRAINED, adapter=adapter), device="cpu")
    namer = model.adapter.namer
    namer.pause.bias.data.fill_(-99.0)  # it hears a sound in every token, and knows none
    namer.event.weight.data.zero_(), namer.event.bias.data.zero_()
    model.save_pretrained(tmp_path / "start")
    return tmp_path / "start"


def named(model: MoWE, path: Path, samples: np.ndarray) -> Named:
    """What a model hears in a file made of these samples."""
    soundfile.write(path, samples, 16_000)
    sound = load_audio(path)
    recording = {rate: torch.from_numpy(sound.at(rate)) for rate in model.sample_rates}
    with torch.no_grad():
        heard = model.listen(make_batch([recording]))
    assert heard.notes is not None
    return heard.notes


def told(model: MoWE, path: Path, samples: np.ndarray) -> str:
    best = int(named(model, path, samples).labels["language"].argmax())
    return (NONE, *model.config.adapter.names["language"])[best]


def add_wind(manifest: Path) -> None:
    """Recordings that are neither a voice nor rain."""
    lines, draw = [], np.random.default_rng(5)
    for number in range(CLIPS):
        soundfile.write(manifest.parent / f"wind{number}.wav", tone(100.0, draw), 16_000)
        lines.append(json.dumps(line_of(f"wind{number}.wav", "sound", "wind")) + "\n")
    manifest.write_text(manifest.read_text() + "".join(lines))


def test_only_the_labels_change_and_they_are_told(tmp_path, manifest, checkpoint):
    out = tmp_path / "out"
    arguments = [str(checkpoint), "--sets", "language", "--manifest", str(manifest)]
    arguments += ["--features", str(tmp_path / "features"), "--out", str(out)]
    assert labels.main(arguments) == 0
    assert read_config(out).adapter.statistics == ("language",)
    before, after = read_trained(checkpoint), read_trained(out)
    assert before.keys() == after.keys()
    assert after["adapter.namer.label.language.weight"].shape == (3, 2 * 64)
    old = {f"adapter.namer.label.language.{part}" for part in ("weight", "bias")}
    same = before.keys() - old
    assert all(torch.equal(before[name], after[name]) for name in same)


def test_unheard_voices_are_told(tmp_path, manifest, checkpoint):
    model, fitted = labels.refit(checkpoint, manifest, tmp_path / "features", ["language"])
    assert fitted["language"].clips == 3 * CLIPS
    model.eval()
    draw, path = np.random.default_rng(9), tmp_path / "unheard.wav"
    assert told(model, path, tone(312.0, draw)) == "Dutch"
    assert told(model, path, tone(917.0, draw)) == "Greek"
    assert told(model, path, 0.1 * draw.standard_normal(8_000)) == NONE


def test_a_decoder_tells_languages_that_no_clip_speaks(tmp_path, manifest, checkpoint):
    out = tmp_path / "out"
    arguments = [str(checkpoint), "--sets", "language", "--decoded"]
    arguments += ["--manifest", str(manifest), "--features", str(tmp_path / "features")]
    assert labels.main([*arguments, "--out", str(out)]) == 0
    config, before, after = read_config(out).adapter, read_trained(checkpoint), read_trained(out)
    assert config.decoded
    assert {"Dutch", "Greek", "Japanese"} <= {*config.names["language"]}
    assert len(config.names["language"]) == labels.COMMON  # Dutch and Greek are among them
    old = {f"adapter.namer.label.language.{part}" for part in ("weight", "bias")}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before.keys() - old)
    assert _started(out, UNTRAINED) == read_config(out)  # training goes on from it
    model = MoWE.from_pretrained(str(out)).eval()
    draw, path = np.random.default_rng(9), tmp_path / "unheard.wav"
    likely = named(model, path, tone(312.0, draw)).probabilities()["language"][0]
    assert likely.sum().item() == pytest.approx(1.0)
    assert likely[0] < 0.5  # somebody speaks
    assert (
        named(model, path, 0.1 * draw.standard_normal(8_000)).probabilities()["language"][0, 0]
        > 0.5
    )


def test_a_decoder_without_the_languages_is_refused(tmp_path, manifest, checkpoint, capsys):
    arguments = [str(checkpoint), "--sets", "sound", "--decoded", "--out", "x"]
    assert labels.main([*arguments, "--manifest", str(manifest), "--features", "y"]) == 1
    assert "a decoder tells the set 'language', the sets are sound" in capsys.readouterr().err


def test_unheard_sounds_are_named_again(tmp_path, manifest, checkpoint):
    add_wind(manifest)
    model, fitted = labels.refit(checkpoint, manifest, tmp_path / "features", ["sound"])
    assert fitted["sound"].clips == 4 * CLIPS  # two of them are voices
    assert model.config.adapter.statistics == ("sound",)
    old, new = read_trained(checkpoint), model.trained_state()
    assert new.keys() - old.keys() == {f"adapter.namer.around_{one}" for one in ("weight", "bias")}
    assert all(torch.equal(old[name], new[name]) for name in old)
    model.eval()
    draw, path = np.random.default_rng(9), tmp_path / "unheard.wav"
    for wanted, samples in (("rain", 0.1 * draw.standard_normal(8_000)), ("wind", tone(98, draw))):
        heard = named(model, path, samples).events.sounds[0].argmax(dim=-1)
        assert {SOUND_NAMES[one] for one in heard.tolist()} == {wanted}


def test_sounds_fitted_twice_are_fitted_alike(tmp_path, manifest, checkpoint):
    add_wind(manifest)
    model, _ = labels.refit(checkpoint, manifest, tmp_path / "features", ["sound"])
    model.save_pretrained(tmp_path / "once")
    again, _ = labels.refit(tmp_path / "once", manifest, tmp_path / "features", ["sound"])
    once, twice = model.trained_state(), again.trained_state()
    name = "adapter.namer.around_weight"
    assert torch.allclose(once[name], twice[name], atol=0.02 * once[name].abs().max())


def test_sets_and_labels_that_are_not_there_are_refused(tmp_path, manifest, checkpoint, capsys):
    out = tmp_path / "out"
    rest = ["--manifest", str(manifest), "--features", str(tmp_path / "f"), "--out", str(out)]
    assert labels.main([str(checkpoint), "--sets", "age", *rest]) == 1
    assert "does not name age; its sets are gender, language, sound" in capsys.readouterr().err
    assert labels.main([str(checkpoint), "--sets", "gender", *rest]) == 1
    assert "no clip of the manifest has the gender man, woman" in capsys.readouterr().err
    assert labels.main([str(checkpoint), "--sets", "sound", *rest]) == 1
    assert "no clip of the manifest is only wind" in capsys.readouterr().err
    assert not out.exists()


def spoken(number: int, speaker: str, language: str = "Dutch", task: str = "language") -> Example:
    about = {"speaker": speaker, "language": language, "label": language}
    return Example(audio=Path(f"{number}.wav"), task=task, messages=(), metadata=about)


def test_clips_come_evenly_from_the_speakers_of_a_label():
    many = [spoken(number, "a") for number in range(50)]
    few = [spoken(number, "b") for number in range(50, 53)]
    greek = [spoken(number, "c", "Greek") for number in range(60, 64)]
    twice, others = [spoken(0, "a")], [spoken(70, "d", task="transcribe")]
    lines = [*many, *few, *greek, *twice, *others]
    drawn = labels.draw(lines, "language", ("Dutch", "Greek"), 10, seed=0)
    speakers = [(place, one.metadata["speaker"]) for one, place in drawn]
    assert sorted(speakers) == [(0, "a")] * 7 + [(0, "b")] * 3 + [(1, "c")] * 4
    assert drawn == labels.draw(lines, "language", ("Dutch", "Greek"), 10, seed=0)
    with pytest.raises(ConfigError, match="no clip of the manifest has the language Danish"):
        labels.draw(lines, "language", ("Dutch", "Danish"), 10, seed=0)


def sounding(number: int, *events: str, source: str = "a", task: str = "sound") -> Example:
    about = {"source": source, "label": events[0]}
    about |= {"labels": " | ".join(events)} if len(events) > 1 else {}
    return Example(audio=Path(f"{number}.wav"), task=task, messages=(), metadata=about)


def test_sounds_come_evenly_from_their_sources_and_rows_beside_them():
    many = [sounding(number, "rain") for number in range(50)]
    few = [sounding(number, "rain", source="b") for number in range(50, 53)]
    rows = [sounding(number, "wind", "rain", task="caption") for number in range(60, 65)]
    rest = [
        sounding(70, "wind"),
        sounding(70, "wind", task="caption"),
        sounding(71, "gong", "rain"),
    ]
    lines = [*many, *few, *rows, *rest]
    drawn = labels.draw_sounds(lines, ("rain", "wind"), 10, 3, seed=0)
    alone = [(one.metadata["source"], heard) for one, heard in drawn if len(heard) == 1]
    assert sorted(alone) == [("a", [0])] * 7 + [("a", [1])] + [("b", [0])] * 3
    assert [heard for _, heard in drawn if len(heard) > 1] == [[1, 0]] * 3
    assert drawn == labels.draw_sounds(lines, ("rain", "wind"), 10, 3, seed=0)


@pytest.mark.parametrize("count", [2, 3])
def test_a_fit_is_as_sure_of_itself_as_asked(count):
    draw = np.random.default_rng(0)
    places = np.arange(300) % count
    points = np.eye(4)[places] * 3 + draw.standard_normal((300, 4)) + [5.0, -2.0, 0.0, 100.0]
    fitted = labels.fit(points, places.tolist())
    logits = torch.from_numpy(points @ fitted.weight.T + fitted.bias)
    assert fitted.weight.shape == (count, 4)
    assert logits.softmax(dim=1).amax(dim=1).mean() == pytest.approx(0.95, abs=1e-3)
    right = (logits.argmax(dim=1).numpy() == places).mean()
    assert fitted.trained == pytest.approx(right)
    assert right > 0.8

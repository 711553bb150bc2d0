"""A training carried to a machine without any registry: packed, checked, unpacked, run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import transformers
from accelerate.commands.config.config_args import ClusterConfig

from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.data.augment import band_limit
from mowe.data.manifest import read_manifest
from mowe.errors import ConfigError
from mowe.training import bundle
from mowe.training.bundle import ROOT, ChunkWriter, main, make_bundle
from mowe.training.config import read_training_config
from mowe.training.run import read_mixture

in_a_checkout = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs a git checkout"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three clips of noise, one of them no speech, and a line without sound."""
    folder, draw, lines = tmp_path / "corpus", np.random.default_rng(0), []
    (folder / "clips").mkdir(parents=True)
    for number, rate in enumerate((16_000, 16_000, 44_100)):
        samples = band_limit(draw.standard_normal(2 * rate).astype(np.float32) * 0.1, rate, 0, 3e3)
        soundfile.write(folder / "clips" / f"{number}.flac", samples, rate)
        turns = [("user", "<audio> What do you hear?"), ("assistant", f"Number {number}.")]
        messages = [{"role": role, "content": content} for role, content in turns]
        lines.append(
            {"audio": f"clips/{number}.flac", "task": "sound", "messages": messages}
            | {"split": "dev" if number == 1 else "train", "label": str(number), "duration": 2.0}
        )
    lines.append(lines[0] | {"start": 0.5, "end": 1.5})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)
    (folder / "CORPUS.md").write_text("# Where the sounds come from\n")
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.json"
    fields = {"output": "elsewhere", "preset": "tiny-random", "dense_steps": 1}
    fields |= {"data": {"manifest": "elsewhere/manifest.jsonl", "features": "other"}}
    fields |= {"tuning": {"steps": 2, "batch": 2}, "report": {"log_every": 1, "dev_every": 2}}
    path.write_text(json.dumps(fields))
    return path


def unpacked(folder: Path, target: Path) -> Path:
    whole = target.with_suffix(".tar")
    whole.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.glob("bundle.tar.*"))))
    with tarfile.open(whole) as tar:
        tar.extractall(target, filter="data")
    return target


def test_a_stream_is_cut_into_files_that_join_to_the_same_bytes(tmp_path):
    data = np.random.default_rng(0).bytes(2_500)
    with ChunkWriter(tmp_path, 1_000) as writer:
        for start, end in ((0, 10), (10, 1_990), (1_990, 2_000), (2_000, 2_500)):
            assert writer.write(data[start:end]) == end - start
    assert [path.name for path in writer.paths] == [f"bundle.tar.00{i}" for i in range(3)]
    assert [path.stat().st_size for path in writer.paths] == [1_000, 1_000, 500]
    assert b"".join(path.read_bytes() for path in writer.paths) == data


@in_a_checkout
def test_every_file_is_small_and_listed_with_its_hash(tmp_path, corpus, recipe):
    out = tmp_path / "bundle"
    paths = make_bundle(corpus, recipe, out, chunk_bytes=200_000)
    assert sorted(paths) == sorted(out.iterdir())
    assert len(list(out.glob("bundle.tar.*"))) > 2
    sums = dict(
        reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines()
    )
    assert sums.keys() == {path.name for path in paths} - {"SHA256SUMS"}
    for name, expected in sums.items():
        content = (out / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
        assert len(content) <= 200_000


@in_a_checkout
def test_speech_becomes_opus_and_other_sounds_stay(tmp_path, corpus, recipe):
    make_bundle(corpus, recipe, tmp_path / "bundle")
    work = unpacked(tmp_path / "bundle", tmp_path / "work")
    before = read_manifest(corpus / "manifest.jsonl")
    after = read_manifest(work / "corpus" / "manifest.jsonl")
    expected = ["0.flac.opus", "1.flac.opus", "2.flac", "0.flac.opus"]
    assert [one.audio.name for one in after] == expected
    for one, other in zip(before, after, strict=True):
        assert (one.task, one.messages, one.start, one.end, one.metadata) == (
            other.task, other.messages, other.start, other.end, other.metadata,
        )  # fmt: skip
        old, new = (load_audio(example.audio).at(16_000) for example in (one, other))
        assert len(new) == len(old)
        assert np.corrcoef(old, new)[0, 1] > 0.9  # also in place
    assert (work / "corpus" / "CORPUS.md").is_file()
    assert (work / "project" / "mowe" / "training" / "loop.py").is_file()
    assert not list((work / "project").glob("assets*"))
    settings = json.loads((work / "run.json").read_text())
    data, tuning = settings["data"], settings["tuning"]
    assert (settings["output"], tuning["steps"]) == ("run", 2)
    assert (data["manifest"], data["features"]) == ("corpus/manifest.jsonl", "features")


def test_hub_models_lie_where_the_hub_client_looks(tmp_path, recipe, monkeypatch):
    snapshot = tmp_path / "models--openai--whisper-tiny" / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(bundle, "sources", lambda config: ("hub:openai/whisper-tiny", "random"))
    monkeypatch.setattr(
        bundle.weights, "resolve", lambda source: None if source == "random" else snapshot
    )
    files = {one.name: one.path for one in bundle._weights(recipe, tmp_path / "scratch")}
    model = "hub/models--openai--whisper-tiny"
    assert files.keys() == {f"{model}/snapshots/abc123/config.json", f"{model}/refs/main"}
    assert files[f"{model}/refs/main"].read_text() == "abc123"


def test_what_cannot_be_bundled_is_refused(tmp_path, corpus, recipe, monkeypatch, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    arguments = ["--corpus", str(corpus), "--recipe", str(recipe)]
    assert main([*arguments, "--out", str(tmp_path / "full")]) == 1
    assert "is not empty" in capsys.readouterr().err
    monkeypatch.setattr(bundle, "sources", lambda config: ("folder:/models/mine",))
    monkeypatch.setattr(bundle.weights, "resolve", lambda source: Path("/models/mine"))
    with pytest.raises(ConfigError, match="folder:/models/mine cannot be bundled"):
        make_bundle(corpus, recipe, tmp_path / "out")


@in_a_checkout
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the scripts are for Linux")
def test_the_scripts_train_continue_and_make_a_checkpoint_that_loads(tmp_path, corpus, recipe):
    out = tmp_path / "bundle"
    make_bundle(corpus, recipe, out, chunk_bytes=1_000_000)
    moved = shutil.copytree(out, tmp_path / "other machine" / "bundle")
    shutil.rmtree(corpus)
    environment = {**os.environ, "PYTHON": sys.executable, "MOWE_CACHE": "/nonexistent"}

    def run(script: str) -> subprocess.CompletedProcess:
        command = ["bash", str(moved / script)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    assert "has not finished" in run("package.sh").stderr
    trained = run("train.sh")
    assert trained.returncode == 0, trained.stderr
    assert "checkpoint: run/final" in trained.stdout
    reported = [json.loads(line) for line in (moved / "work/run/metrics.jsonl").open()]
    assert {line["step"] for line in reported if "loss" in line} == {0, 1}
    again = run("train.sh")
    assert again.returncode == 0, again.stderr
    assert len((moved / "work/run/metrics.jsonl").read_text().splitlines()) == len(reported)

    packaged = run("package.sh")
    assert packaged.returncode == 0, packaged.stderr
    files = list((moved / "checkpoint").iterdir())
    assert all(path.stat().st_size < 16_000_000 for path in files)
    assert MoWE.from_pretrained(moved / "checkpoint").config.preset == "tiny-random"

    with (moved / "bundle.tar.000").open("r+b") as file:
        file.write(b"damaged")
    shutil.rmtree(moved / "work")
    damaged = run("train.sh")
    assert damaged.returncode != 0
    assert "bundle.tar.000" in damaged.stdout + damaged.stderr
    assert not (moved / "work").exists()


def test_the_bundled_settings_are_read_by_the_same_reader(tmp_path, recipe):
    files = {one.name: one.path for one in bundle._recipe(recipe, tmp_path)}
    config = read_training_config(files["run.json"])
    assert str(config.data.manifest) == "corpus/manifest.jsonl"
    assert str(config.features) == "features"


@pytest.mark.parametrize("path", sorted((ROOT / "mowe/training/recipes").glob("*.json")), ids=str)
def test_every_recipe_is_read_and_fits_its_mixture(path):
    config = read_training_config(path)
    mixture = read_mixture(config.preset)
    assert mixture.adapter.kind == "naming" or not config.pretraining.steps
    assert ("encoders" in config.train) == mixture.trains_encoders


def test_every_setting_for_several_cards_is_known_to_accelerate():
    path = ROOT / "mowe" / "training" / "recipes" / "fsdp.yaml"
    settings = ClusterConfig.from_yaml_file(str(path))
    layer = settings.fsdp_config["fsdp_transformer_layer_cls_to_wrap"]
    assert hasattr(transformers.models.llama.modeling_llama, layer)


def test_the_page_names_every_variable_of_the_script():
    page = (ROOT / "docs" / "TRAINING.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{([A-Z]+(?:_CONFIG)?):?-", bundle.TRAIN))
    assert variables == {"WORK", "PYTHON", "PROCESSES", "ACCELERATE_CONFIG"}
    assert [name for name in variables if name not in page] == []

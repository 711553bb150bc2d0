"""A run on a random mixture: what it is made of, what it logs, what it computes ahead."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from trainings import settings, write_corpus, write_mixture

from mowe.checkpoint import read_trained
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import Sound
from mowe.errors import AudioError, ConfigError
from mowe.hints.naming import Named, SoundEvents
from mowe.model.control import RoutingControl
from mowe.presets import TINY_RANDOM
from mowe.training import loop
from mowe.training import run as running
from mowe.training.align import Label, events_of, labels_of, naming_counts, naming_loss
from mowe.training.loop import train
from mowe.training.run import build_run
from mowe.training.steps import masking


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


@pytest.mark.parametrize(
    ("asked", "native", "taken"),
    [("bf16", True, "bf16"), ("bf16", False, "no"), ("no", True, "no"), ("no", False, "no")],
)
def test_bfloat16_is_not_imitated(monkeypatch, capsys, asked, native, taken):
    fast = torch.bfloat16 if native else torch.float32
    monkeypatch.setattr(running, "fast_dtype", lambda device: fast)
    assert running._precision(asked, "cpu") == taken
    assert ("training in float32" in capsys.readouterr().err) == (asked != taken)


def test_every_part_of_the_loss_is_logged(corpus):
    train(settings(corpus))
    lines = (corpus.parent / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    tuned = [line for line in logged if line["stage"] == "tuning" and "loss" in line]
    parts = {
        "next_token",
        "routing",
        "independent_entropy",
        "dependent_entropy",
        "diversity",
        "naming",
    }
    assert parts <= tuned[0].keys()
    first = tuned[0]
    expected = first["next_token"] + 0.1 * first["routing"] + 0.2 * first["naming"]
    assert first["loss"] == pytest.approx(expected, rel=1e-4)
    assert any("dev_sound" in line or "dev_transcribe" in line for line in logged)


def test_masks_follow_the_seed_and_zero_share_masks_nothing():
    frames, mask = torch.ones(2, 100, 40), torch.ones(2, 100, dtype=torch.bool)
    assert masking(0.0, 1)(frames, mask) is frames
    masked = masking(0.2, 1)(frames, mask)
    assert torch.equal(masked, masking(0.2, 1)(frames, mask))
    assert not torch.equal(masked, masking(0.2, 2)(frames, mask))
    assert 0 < (masked == 0).sum() < frames.numel() / 2


def test_stored_features_equal_computed_ones(corpus):
    run = build_run(settings(corpus))
    sounds = [Sound(example) for example in read_manifest(corpus)[:4]]
    dense = RoutingControl(dense=True)
    with torch.no_grad():
        first, second = (run.store.features(sounds, dense) for _ in range(2))
        alone = run.store.features(sounds[1:2], dense)
    assert torch.equal(first.base.frames, second.base.frames)
    count = int(alone.base.mask.sum())
    assert torch.equal(first.base.frames[1, :count], alone.base.frames[0, :count])
    run.store.fill(sounds, weak=True)
    with torch.no_grad():
        filled = run.model.adapt(run.store.features(sounds, dense))
        before = run.model.adapt(first)
    assert torch.allclose(filled.tokens, before.tokens, atol=1e-3)


def test_a_recording_without_sounds_is_a_lesson_and_an_unknown_one_is_none():
    pause = torch.tensor([[0.0, 2.0], [5.0, 5.0]])
    heard = SoundEvents(torch.zeros(2, 2, 3), pause, torch.ones(2, 2).bool())
    known = [Label([], {}), Label(None, {})]
    loss = naming_loss(Named(heard, {}), known, naming_counts(known))
    nothing_heard = -torch.nn.functional.logsigmoid(pause[0]).sum()
    assert loss.item() == pytest.approx(nothing_heard.item() / 10, rel=1e-5)
    nothing = [Label(None, {})] * 2
    assert naming_loss(Named(heard, {}), nothing, naming_counts(nothing)).item() == 0


def about(task: str, **metadata) -> Example:
    turns = (("user", "?"), ("assistant", "!"))
    return Example(audio=None, messages=turns, task=task, metadata=metadata)


@pytest.mark.parametrize(
    ("example", "events"),
    [
        (about("sound", label="rain"), ["rain"]),
        (about("caption", label="rain, dog bark"), ["rain", "dog bark"]),
        (about("order", label="bell", labels="bell | rain"), ["bell", "rain"]),
        (about("count", label="three", labels="drum", counts="times"), ["drum"] * 3),
        (about("count", label="two", labels="drum | bell"), None),  # two of which?
        (about("count", label="one", labels="drum", counts="kinds"), None),
        (about("count", label="one", labels="drum"), None),  # an older manifest does not say
        (about("presence", label="no", labels="drum"), None),  # a drum, who knows how often
        (about("order", label="rain", labels="bell | rain", speaker="ann"), None),
        (about("transcribe", language="English"), ["speech"]),
        (about("transcribe"), None),
    ],
)
def test_the_sounds_of_a_recording_follow_from_its_line(example, events):
    assert events_of(example) == events


@pytest.mark.parametrize(
    ("example", "labels"),
    [
        (
            about("gender", label="woman", language="Greek"),
            {"gender": "woman", "language": "Greek"},
        ),
        (about("emotion", label="calm", speaker="ann"), {"emotion": "calm"}),
        (about("sound", label="rain"), dict.fromkeys(("emotion", "gender", "language"), "none")),
        (about("sound", label="rain", speaker="ann"), {}),
        (about("chat", label="x"), {}),
    ],
)
def test_labels_of_a_recording_are_known_or_left_open(example, labels):
    assert labels_of(example) == labels


def test_naming_loss_is_cross_entropy_of_what_is_known_plus_ctc_per_sound():
    mask = torch.ones(2, 1, dtype=torch.bool)
    events = SoundEvents(
        torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]]]), torch.tensor([[0.0], [1.0]]), mask
    )
    named = Named(events, {"gender": torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])})
    known = [Label([1], {"gender": 1}), Label(None, {})]
    gender = -torch.log_softmax(torch.tensor([0.0, 2.0, 0.0]), 0)[1]
    sound = math.log(2) + math.log(2)  # not a pause, and one of two
    loss = naming_loss(named, known, naming_counts(known))
    assert loss.item() == pytest.approx(gender.item() + sound, rel=1e-5)


def test_optional_tasks_that_the_manifest_lacks_are_left_out_with_a_line(corpus, capsys):
    names = {"steps": 1, "batch": 2, "tasks": ["sound", "emotion"]}
    data = {"task_weights": {"emotion": 2.0, "sound": 1.0}}
    with pytest.raises(ConfigError, match="emotion"):
        build_run(settings(corpus, data=data, pretraining=names))
    data["optional_tasks"] = ["emotion"]
    run = build_run(settings(corpus, data=data, pretraining=names))
    assert run.config.pretraining.tasks == ("sound",)
    assert run.config.data.task_weights == {"sound": 1.0}
    assert "no example of emotion: left out of this run" in capsys.readouterr().err


def test_a_fresh_adapter_knows_how_long_text_embeddings_are(corpus):
    model = build_run(settings(corpus)).model
    rows = model.language_model.embedding.weight
    assert model.adapter.text_length.item() == pytest.approx(rows.norm(dim=1).mean().item())
    assert model.adapter.text_length != 1  # what it is before anybody says


def test_a_run_starts_from_another_ones_checkpoint(corpus):
    start = train(settings(corpus, tuning={"steps": 0}))
    asked = {"output": str(corpus.parent / "second"), "start": str(start)}
    second = settings(corpus, pretraining={"steps": 0}, **asked)
    run = build_run(second)
    for name, tensor in read_trained(start).items():
        assert torch.equal(run.model.trained_state()[name].cpu(), tensor), name
    other = replace(TINY_RANDOM, weak_dim=8, adapter=run.model.config.adapter)
    other = replace(other, adapter=replace(other.adapter, events=(), names={}))
    write_mixture(corpus.parent, other)
    with pytest.raises(ConfigError, match="holds another mixture"):
        build_run(second)


def test_nothing_but_what_train_names_changes(corpus):
    before = {
        name: one.clone() for name, one in build_run(settings(corpus)).model.state_dict().items()
    }
    train(settings(corpus, train=["router"], pretraining={"steps": 0}))
    after = read_trained(corpus.parent / "run" / "final")
    changed = {name for name, one in after.items() if not torch.equal(one, before[name])}
    assert changed
    assert {name.partition(".")[0] for name in changed} == {"router"}


def test_training_hears_augmented_versions_and_the_development_split_never_does(corpus):
    run = build_run(settings(corpus, data={"versions": 3}))
    assert {sound.version for sound in run.dev} == {0}
    (dev,) = run.dev
    changed = dev._replace(version=1)
    assert not torch.equal(run.store.base([dev]).frames, run.store.base([changed]).frames)
    assert torch.equal(run.store.base([changed]).frames, run.store.base([changed]).frames)


def test_only_clips_that_will_be_drawn_are_computed_ahead(corpus, monkeypatch):
    few = {"steps": 2, "batch": 2}
    config = settings(
        corpus, pretraining={"steps": 0}, tuning=few, dense_steps=0, report={"dev_every": 0}
    )
    really_compute, really_go, ahead, computed = FeatureStore._compute, loop.backward, [], []

    def note(store, kind, sound):
        computed.append((kind, sound.example.clip, sound.version))
        really_compute(store, kind, sound)

    def begin(*arguments):
        ahead.append(len(computed))
        return really_go(*arguments)

    monkeypatch.setattr(FeatureStore, "_compute", note)
    monkeypatch.setattr(loop, "backward", begin)
    train(config)
    clips = sum(len(group) for group in build_run(config).groups.values())
    assert 0 < ahead[0] <= 4 < clips * config.data.versions
    assert {kind for kind, *_ in computed[: ahead[0]]} == {"base"}
    assert "base" not in {kind for kind, *_ in computed[ahead[0] :]}  # nothing was missing


def test_a_damaged_file_of_features_is_computed_anew(corpus):
    run = build_run(settings(corpus))
    sounds = [Sound(example) for example in read_manifest(corpus)[:1]]
    whole = run.store.base(sounds).frames
    (path,) = (corpus.parent / "features" / "whisper-random").rglob("*.npy")
    content = bytearray(path.read_bytes())
    content[-40] ^= 1  # in the last frame
    for damaged in (bytes(content), content[:-9], b""):
        path.write_bytes(damaged)
        assert torch.equal(run.store.base(sounds).frames, whole)


def test_a_clip_that_is_longer_than_its_line_says_is_refused_when_it_is_heard(corpus):
    (short,) = (json.loads(corpus.read_text().splitlines()[0]),)
    soundfile.write(corpus.parent / short["audio"], np.zeros(40 * 16_000), 16_000)
    run = build_run(settings(corpus))  # `duration` says a second
    sound = Sound(read_manifest(corpus)[0])
    with pytest.raises(
        AudioError, match=r"transcribe0.wav lasts 40.0 s, training hears at most 30 s"
    ):
        run.store.base([sound])


def test_features_asked_for_under_autocast_are_stored_in_full_precision(corpus):
    run = build_run(settings(corpus))
    sounds = [Sound(example) for example in read_manifest(corpus)[:1]]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        under = run.store.base(sounds).frames
    shutil.rmtree(corpus.parent / "features")
    assert torch.equal(under, run.store.base(sounds).frames)

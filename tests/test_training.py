"""Both stages on a random mixture: exact resume, one path with and without stored features."""

import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mowe.checkpoint import read_trained
from mowe.config import AdapterConfig, to_dict
from mowe.data.features import FeatureStore, Sound
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import (
    by_clip,
    mixed_batch,
    repeated,
    seconds,
    with_follow_ups,
)
from mowe.errors import ConfigError, ManifestError
from mowe.hints.naming import Named, SoundEvents
from mowe.model.control import RoutingControl
from mowe.presets import TINY_RANDOM
from mowe.training import loop
from mowe.training import run as running
from mowe.training.align import (
    Label,
    events_of,
    labels_of,
    naming_loss,
    order_loss,
)
from mowe.training.config import TrainingConfig, config_to_json, read_training_config
from mowe.training.loop import train
from mowe.training.run import build_run
from mowe.training.steps import masking

TASKS = {"transcribe": ["one two", "three", "four five"], "sound": ["A bell.", "Rain.", "A dog."]}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six clips of noise in two tasks, and a manifest."""
    draw, lines = np.random.default_rng(0), []
    for task, answers in TASKS.items():
        for number, answer in enumerate(answers):
            name = f"{task}{number}.wav"
            samples = 0.1 * draw.standard_normal(16_000 + 1_600 * number)
            soundfile.write(tmp_path / name, samples.astype(np.float32), 16_000)
            turns = [("user", "<audio> What do you hear?"), ("assistant", answer)]
            messages = [{"role": role, "content": content} for role, content in turns]
            line = {"audio": name, "task": task, "messages": messages, "split": "train"}
            lines.append(line | {"label": answer, "duration": 1.0 + 0.1 * number})
    lines.append(lines[0] | {"split": "dev"})
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def settings(corpus: Path, **changed) -> TrainingConfig:
    adapter = AdapterConfig(kind="naming", frames_per_token=10, residual_dim=8)
    mixture = corpus.parent / "mixture.json"
    mixture.write_text(json.dumps(to_dict(replace(TINY_RANDOM, adapter=adapter))))
    defaults = {
        "manifest": corpus,
        "output": corpus.parent / "run",
        "features": corpus.parent / "features",
        "preset": str(mixture),
        "align_steps": 4,
        "name_batch": 2,
        "name_tasks": ["sound"],
        "versions": 2,
        "bucket": 2,
        "steps": 4,
        "batch": 3,
        "dense_steps": 2,
        "dev_every": 2,
        "log_every": 1,
        "save_minutes": 0.0,  # after every step
        "mixed_precision": "no",
    }
    return TrainingConfig(**{**defaults, **changed})


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("stage", ["align", "mixture"])
def test_a_killed_run_ends_with_the_same_weights_as_one_that_was_not(corpus, monkeypatch, stage):
    whole = read_trained(train(settings(corpus)))
    shutil.rmtree(corpus.parent / "run")

    really_save = loop.save_progress

    def save_then_die(run, optimizer, progress):
        really_save(run, optimizer, progress)
        if (progress.stage, progress.step) == (stage, 2):
            raise KilledError

    monkeypatch.setattr(loop, "save_progress", save_then_die)
    with pytest.raises(KilledError):
        train(settings(corpus))
    monkeypatch.setattr(loop, "save_progress", really_save)
    resumed = read_trained(train(settings(corpus)))
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


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
    mixture = [line for line in logged if line["stage"] == "mixture" and "loss" in line]
    parts = {
        "next_token",
        "routing",
        "independent_entropy",
        "dependent_entropy",
        "diversity",
        "naming",
    }
    assert parts <= mixture[0].keys()
    first = mixture[0]
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


def test_sources_are_repeated_as_often_as_asked():
    a, b = (
        Example(audio=None, task="transcribe", messages=(), metadata={"source": name})
        for name in "ab"
    )
    assert repeated([a, b], {"b": 3}) == [a, b, b, b]
    with pytest.raises(ConfigError, match=r"repeats names \['c'\]; the examples are of"):
        repeated([a, b], {"c": 2})


def test_a_share_of_a_source_is_always_the_same_examples():
    lines = [
        Example(audio=None, task="transcribe", messages=(), metadata={"source": "a", "id": str(n)})
        for n in range(400)
    ]
    some = repeated(lines, {"a": 0.3})
    assert 80 < len(some) < 160  # about 120
    assert repeated(lines[::-1], {"a": 0.3}) == some[::-1]
    more = repeated(lines, {"a": 1.3})
    assert [one for one in lines if more.count(one) == 2] == some
    assert all(more.count(one) in (1, 2) for one in lines)


def test_stored_features_equal_computed_ones(corpus):
    run = build_run(settings(corpus))
    examples = read_manifest(corpus)[:4]
    dense = RoutingControl(dense=True)
    with torch.no_grad():
        first, second = (run.store.features(examples, dense) for _ in range(2))
        alone = run.store.features(examples[1:2], dense)
    assert torch.equal(first.base.frames, second.base.frames)
    count = int(alone.base.mask.sum())
    assert torch.equal(first.base.frames[1, :count], alone.base.frames[0, :count])
    run.store.fill([Sound(example) for example in examples], weak=True)
    with torch.no_grad():
        filled = run.model.adapt(run.store.features(examples, dense))
        before = run.model.adapt(first)
    assert torch.allclose(filled.tokens, before.tokens, atol=1e-3)


def test_a_recording_without_sounds_is_a_lesson_and_an_unknown_one_is_none():
    pause = torch.tensor([[0.0, 2.0], [5.0, 5.0]])
    heard = SoundEvents(torch.zeros(2, 2, 3), pause, torch.ones(2, 2).bool())
    loss = order_loss(heard, [[], None])
    nothing_heard = -torch.nn.functional.logsigmoid(pause[0]).sum()
    assert loss.item() == pytest.approx(nothing_heard.item() / 10, rel=1e-5)
    assert order_loss(heard, [None, None]).item() == 0


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
    assert naming_loss(named, known).item() == pytest.approx(gender.item() + sound, rel=1e-5)
    nothing = [Label(None, {}), Label(None, {})]
    assert naming_loss(named, nothing).item() == 0


def test_optional_tasks_that_the_manifest_lacks_are_left_out_with_a_line(corpus, capsys):
    asked = {"name_tasks": ["sound", "emotion"], "task_weights": {"emotion": 2.0, "sound": 1.0}}
    with pytest.raises(ConfigError, match="emotion"):
        build_run(settings(corpus, **asked))
    run = build_run(settings(corpus, optional_tasks=["emotion"], **asked))
    assert run.config.name_tasks == ("sound",)
    assert run.config.task_weights == {"sound": 1.0}
    assert "no example of emotion: left out of this run" in capsys.readouterr().err


def test_a_fresh_adapter_knows_how_long_text_embeddings_are(corpus):
    model = build_run(settings(corpus)).model
    rows = model.language_model.embedding.weight
    assert model.adapter.text_length.item() == pytest.approx(rows.norm(dim=1).mean().item())
    assert model.adapter.text_length != 1  # what it is before anybody says


def test_a_run_starts_from_another_ones_checkpoint(corpus):
    first = settings(corpus, steps=0)
    start = train(first)
    second = settings(corpus, output=corpus.parent / "second", start=start, align_steps=0)
    run = build_run(second)
    for name, tensor in read_trained(start).items():
        assert torch.equal(run.model.trained_state()[name].cpu(), tensor), name
    other = replace(TINY_RANDOM, weak_dim=8, adapter=run.model.config.adapter)
    mixture = corpus.parent / "mixture.json"
    fields = to_dict(replace(other, adapter=replace(other.adapter, events=(), names={})))
    mixture.write_text(json.dumps(fields))
    with pytest.raises(ConfigError, match="holds another mixture"):
        build_run(second)


def test_training_hears_augmented_versions_and_dev_never_does(corpus):
    config = settings(corpus, versions=3, fixed_version_sources=["synthetic"])
    examples = read_manifest(corpus, split="train")[:1]
    assert {loop._versions(config, examples, index)[0] for index in range(30)} == {0, 1, 2}
    fixed = [replace(examples[0], metadata={"source": "synthetic"})]
    assert len({loop._versions(config, fixed, index)[0] for index in range(30)}) == 1
    dev = [replace(examples[0], metadata={"split": "dev"})]
    assert [sound.version for sound in loop._all_versions(config, dev)] == [0]
    store = build_run(config).store
    assert not torch.equal(store.base(examples).frames, store.base(examples, [1]).frames)
    assert torch.equal(store.base(examples, [1]).frames, store.base(examples, [1]).frames)


def test_only_clips_that_will_be_drawn_are_computed_ahead(corpus, monkeypatch):
    config = settings(corpus, align_steps=0, steps=2, batch=2, dense_steps=0, dev_every=0)
    really_compute, ahead, computed = FeatureStore._compute, [], []

    def note(store, kind, sounds):
        computed.extend((kind, sound.example.clip, sound.version) for sound in sounds)
        really_compute(store, kind, sounds)

    def begin(*arguments):
        ahead.append(len(computed))
        return mixture_step(*arguments)

    mixture_step = loop._mixture_step
    monkeypatch.setattr(FeatureStore, "_compute", note)
    monkeypatch.setattr(loop, "_mixture_step", begin)
    train(config)
    clips = sum(len(group) for group in build_run(config).groups.values())
    assert 0 < ahead[0] <= 4 < clips * config.versions
    assert {kind for kind, *_ in computed[: ahead[0]]} == {"base"}
    assert "base" not in {kind for kind, *_ in computed[ahead[0] :]}  # nothing was missing


def test_further_questions_about_a_clip_become_turns():
    turn = lambda text, reply: (("user", f"<audio> {text}"), ("assistant", reply))  # noqa: E731
    clip = Path("a.wav")
    first = Example(audio=clip, task="sound", messages=turn("What?", "Rain."))
    second = Example(audio=clip, task="caption", messages=turn("Describe.", "It rains."))
    other = Example(audio=clip, start=2.0, task="sound", messages=turn("What?", "A bell."))
    siblings = by_clip([first, second, other])
    joined = with_follow_ups(first, siblings, 3, random.Random(0))
    told = (("user", "<audio> Describe."), ("assistant", "It rains."))
    assert joined.messages == (*told, ("user", "What?"), ("assistant", "Rain."))
    assert joined.answer == first.answer  # what its task is scored and read by
    assert with_follow_ups(other, siblings, 3, random.Random(0)) == other
    assert with_follow_ups(first, siblings, 0, random.Random(0)) == first


def test_batches_are_a_function_of_seed_and_step(corpus):
    groups = {"a": list(range(50)), "b": list(range(50, 60))}
    assert mixed_batch(groups, {}, 8, 0, 3) == mixed_batch(groups, {}, 8, 0, 3)
    assert mixed_batch(groups, {}, 8, 0, 3) != mixed_batch(groups, {}, 8, 0, 4)
    assert all(one < 50 for one in mixed_batch(groups, {"b": 0.0}, 20, 0, 0))


def test_batches_drawn_together_are_cut_by_length():
    def line(number: int) -> Example:
        length = {"duration": float(number % 7 + 1)}
        return Example(audio=Path(f"{number}"), task="a", messages=(), metadata=length)

    examples = [line(number) for number in range(24)]
    batches = [mixed_batch({"a": examples}, {}, 4, 0, index, bucket=3) for index in range(6)]
    assert batches[0] == mixed_batch({"a": examples}, {}, 4, 0, 0, bucket=3)
    for three in (batches[:3], batches[3:]):
        assert [len(batch) for batch in three] == [4, 4, 4]
        spans = sorted([min(map(seconds, one)), max(map(seconds, one))] for one in three)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_text_without_a_recording_is_dealt_out_over_the_batches_of_a_bucket():
    def example(number, audio):
        turns = (("user", f"{number}"), ("assistant", "Yes."))
        about = {"duration": 1.0 + number}
        return Example(audio=audio, task="a", messages=turns, metadata=about)

    groups = {
        "chat": [example(number, None) for number in range(40)],
        "a": [example(number, Path(f"{number}.wav")) for number in range(40)],
    }
    bucket = [mixed_batch(groups, {}, 8, 0, index, bucket=4) for index in range(4)]
    silent = [sum(one.audio is None for one in batch) for batch in bucket]
    assert [len(batch) for batch in bucket] == [8] * 4
    assert max(silent) - min(silent) <= 1
    drawn = mixed_batch(groups, {}, 32, 0, 0)  # the same draw, not cut
    key = str
    assert sorted((one for batch in bucket for one in batch), key=key) == sorted(drawn, key=key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": ""}, "audio must be a text"),
        ({"audio": "gone.wav"}, "does not exist"),
        ({"audio": "../outside.wav"}, "lies outside"),
        ({"audio": None}, "messages hold <audio>, but audio is null"),
        ({"audio": None, "start": 1.0}, "a line without audio has no start"),
        ({"options": "yes or no"}, "options must list texts"),
        ({"accept": [1]}, "accept must list texts"),
        ({"options": ["yes", "no"], "label": "maybe"}, "label 'maybe' is not one of"),
        ({"task": 3}, "task must be a text"),
        ({"start": -1}, "start must be seconds"),
        ({"start": 2.0, "end": 1.0}, "end 1.0 must be after start 2.0"),
        ({"messages": []}, "messages must list"),
        ({"messages": [{"role": "assistant", "content": "x"}] * 2},
         r"messages\[0\] must have role"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]},
         r"messages\[1\].content must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_field(corpus, change, message):
    lines = corpus.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    corpus.write_text("\n".join(lines))
    with pytest.raises(ManifestError, match=rf"line 3.*{message}"):
        read_manifest(corpus)


def test_a_line_that_is_not_json_is_named(corpus):
    corpus.write_text(corpus.read_text() + "{oops\n")
    with pytest.raises(ManifestError, match="line 8 is not JSON"):
        read_manifest(corpus)


def test_missing_manifest_names_the_command_that_builds_it(tmp_path):
    path = tmp_path / "corpus" / "manifest.jsonl"
    with pytest.raises(ManifestError, match=rf"no manifest {path}.*--out {path.parent}"):
        read_manifest(path)


def test_settings_that_do_not_fit_are_refused(corpus, tmp_path):
    with pytest.raises(ConfigError, match="task_weights names"):
        build_run(settings(corpus, task_weights={"singing": 1.0}))
    with pytest.raises(ConfigError, match="no naming adapter"):
        build_run(settings(corpus, preset="tiny-random"))
    path = tmp_path / "config.json"
    path.write_text('{"manifest": "m", "output": "o", "stepz": 3}')
    with pytest.raises(ConfigError, match="stepz"):
        read_training_config(path)


def test_features_asked_for_under_autocast_are_stored_in_full_precision(corpus):
    run = build_run(settings(corpus))
    examples = read_manifest(corpus)[:1]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        under = run.store.base(examples).frames
    shutil.rmtree(corpus.parent / "features")
    assert torch.equal(under, run.store.base(examples).frames)


def test_two_processes_learn_what_one_learns_with_twice_the_batches(corpus, tmp_path):
    # AdamW divides a gradient that is almost nothing by itself: small steps keep its rounding small
    rates = dict.fromkeys(("align_rate", "rate", "lora_rate", "router_rate"), 1e-4)
    alone = settings(corpus, accumulate=2, **rates)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the two have: other sums turn weights whose gradient is almost 0
    try:
        whole = read_trained(train(alone))
    finally:
        torch.set_num_threads(threads)
    shared = replace(alone, accumulate=1, output=tmp_path / "shared")
    path = tmp_path / "shared.json"
    path.write_text(config_to_json(shared))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, "-m", "mowe", "train", "--config", str(path)]
    done = subprocess.run(
        command,
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    split = read_trained(tmp_path / "shared" / "final")
    for name, tensor in whole.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, split[name], atol=2e-4), name

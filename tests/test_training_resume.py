"""A run that was killed, wherever, ends with the very weights of one that was not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killing import Killed, Watch
from trainings import HEARING, NAMING, PRETRAINING, TUNING, settings, write_corpus

from mowe.checkpoint import read_trained
from mowe.config import MoWEConfig
from mowe.data.features import FeatureStore
from mowe.errors import CheckpointError
from mowe.model import MoWEModel
from mowe.presets import TINY_RANDOM
from mowe.training import loop
from mowe.training.config import TrainingConfig
from mowe.training.loop import train
from mowe.training.state import Progress, load_optimizer, load_progress, save_progress

# features on disk, and features in the step: of the base encoder and of one of the pool
IN_THE_STEP = replace(
    NAMING,
    base_encoder=replace(NAMING.base_encoder, train="lora"),
    weak_encoders=(replace(NAMING.weak_encoders[0], train="full"), *NAMING.weak_encoders[1:]),
)
KINDS = {"cached": NAMING, "in the step": IN_THE_STEP, "heads": HEARING}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_of(folder: Path, mixture: MoWEConfig) -> TrainingConfig:
    """Two steps of each stage, the first one dense; the second stage in two micro-batches."""
    trained = ["router", "fusion", "adapter", "heads", "lora"]
    manifest = folder / "manifest.jsonl"
    return settings(
        manifest if manifest.exists() else write_corpus(folder),
        mixture,
        train=[*trained, "encoders"] if mixture is IN_THE_STEP else trained,
        dense_steps=1,
        pretraining={"steps": 2},
        tuning={"steps": 2, "batch": 2, "accumulate": 2, "follow_ups": 1},
        report={"dev_every": 1},
    )


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory) -> tuple[TrainingConfig, dict[str, torch.Tensor]]:
    """A run that nobody killed, and its weights."""
    config = run_of(tmp_path_factory.mktemp("whole"), KINDS[request.param])
    return config, read_trained(train(config))


def dies(monkeypatch, owner: object, name: str, at: int, *, after: bool = False) -> None:
    """The process ends before, or after, the call number `at` of a function."""
    really, calls = getattr(owner, name), []

    def call(*arguments, **named):
        calls.append(name)
        if len(calls) == at and not after:
            raise Killed
        found = really(*arguments, **named)
        if len(calls) == at and after:
            raise Killed
        return found

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("place", ["fill", "pretraining", "between", "tuning", "end"])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(monkeypatch, whole, place):
    config, expected = whole
    shutil.rmtree(config.output)
    shutil.rmtree(config.features)
    with monkeypatch.context() as context:
        if place == "fill":
            dies(context, FeatureStore, "_compute", 3)  # before the first step
        elif place == "pretraining":
            dies(context, loop, "_descend", 2)  # its gradients are there, its weights not
        elif place == "between":
            dies(context, loop, "save_progress", 3, after=True)
        elif place == "tuning":
            dies(context, loop, "_descend", 4)
        else:
            dies(context, loop, "save_progress", 6, after=True)  # of two stages' three each
        with pytest.raises(Killed):
            train(config)
    resumed = read_trained(train(config))
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name


# --- the files ------------------------------------------------------------------------------------


def small() -> tuple[MoWEModel, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = MoWEModel(TINY_RANDOM)
    optimizer = torch.optim.AdamW(model.router.parameters(), lr=0.1)
    model.router.independent_logits.grad = torch.ones(3)
    optimizer.step()
    return model, optimizer


@pytest.fixture
def saved(tmp_path) -> Path:
    """A checkpoint at step 5 of tuning."""
    model, optimizer = small()
    save_progress(tmp_path / "checkpoint", model, optimizer, Progress(TUNING, 5))
    return tmp_path / "checkpoint"


def test_a_checkpoint_comes_back(saved):
    model, optimizer = small()
    before = {name: one.clone() for name, one in model.trained_state().items()}
    with torch.no_grad():
        model.router.independent_logits.zero_()
    fresh = torch.optim.AdamW(model.router.parameters(), lr=0.1)
    assert load_progress(saved, model) == Progress(TUNING, 5)
    load_optimizer(saved, fresh)
    assert all(torch.equal(one, before[name]) for name, one in model.trained_state().items())
    key = next(iter(optimizer.state))
    assert torch.equal(fresh.state[key]["exp_avg"], optimizer.state[key]["exp_avg"])
    assert load_progress(saved.parent / "none", model) is None


def test_saving_leaves_the_old_checkpoint_or_the_new_one_wherever_it_is_killed(saved):
    model, optimizer = small()
    watch = Watch()
    start = shutil.copytree(saved, saved.parent / "start")
    with watch.changes(saved.parent) as seen:
        save_progress(saved, model, optimizer, Progress(TUNING, 6))
    operations = len(seen)
    assert operations > 8
    steps = set()
    for place in range(operations):
        for one in saved.parent.glob("checkpoint*"):
            shutil.rmtree(one)
        shutil.copytree(start, saved)
        with watch.changes(saved.parent, die_at=place), pytest.raises(Killed):
            save_progress(saved, model, optimizer, Progress(TUNING, 6))
        found = load_progress(saved, model)
        assert found is not None
        steps.add(found.step)
        save_progress(saved, model, optimizer, Progress(TUNING, 7))  # and the run goes on
        assert load_progress(saved, model) == Progress(TUNING, 7)
        assert [one.name for one in saved.parent.glob("checkpoint*")] == ["checkpoint"]
    assert steps == {5, 6}


@pytest.mark.parametrize("name", ["trained.safetensors", "optimizer.pt", "progress.json"])
@pytest.mark.parametrize("damage", ["a byte", "its end", "all of it"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(saved, name, damage):
    path = saved / name
    content = bytearray(path.read_bytes())
    if damage == "a byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "its end":
        path.write_bytes(content[:-1])
    else:
        path.unlink()
    found = "changed since it was written" if path.exists() else "which its sums.json names"
    with pytest.raises(CheckpointError, match=rf"{name}.*{found}; delete {saved} to begin anew$"):
        load_progress(saved, small()[0])


def test_a_checkpoint_of_an_earlier_version_says_how_to_go_on(saved):
    (saved / "sums.json").unlink()
    with pytest.raises(
        CheckpointError, match="before 0.2 wrote it: finish the run with that version"
    ):
        load_progress(saved, small()[0])
    (saved / "sums.json").write_text("{")
    with pytest.raises(CheckpointError, match=rf"sums.json is not JSON.*; delete {saved}"):
        load_progress(saved, small()[0])


def test_an_optimizer_of_other_parameters_is_refused(saved):
    model, _ = small()
    with pytest.raises(CheckpointError, match="optimizer state does not fit this run"):
        load_optimizer(saved, torch.optim.AdamW(model.adapter.parameters()))


def test_a_checkpoint_says_the_stages_by_name(saved):
    assert json.loads((saved / "progress.json").read_text()) == {"stage": TUNING, "step": 5}
    assert Progress().stage == PRETRAINING

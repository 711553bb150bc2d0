"""A step is the same however it is split: over micro-batches, and over processes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from splitting import first_step, on_two_processes
from trainings import HEARING, NAMING, PRETRAINING, TUNING, settings, write_corpus

from mowe.checkpoint import read_trained
from mowe.config import MoWEConfig
from mowe.data.sampling import micro_batches
from mowe.model.routing import Routing, StepRouting, routing_diversity, routing_loss
from mowe.presets import TINY_RANDOM
from mowe.training.config import TrainingConfig, config_to_json
from mowe.training.loop import backward, train
from mowe.training.prompts import prompt_of, with_tokens
from mowe.training.run import build_run
from mowe.training.stages import build_stage


def still(mixture: MoWEConfig, base: str = "none") -> MoWEConfig:
    """Without dropout."""
    return replace(
        mixture,
        language_model=replace(mixture.language_model, lora_dropout=0.0),
        base_encoder=replace(mixture.base_encoder, train=base),
    )


def config_of(folder: Path, mixture: MoWEConfig, batch: int, accumulate: int) -> TrainingConfig:
    """The same corpus and features for all splits."""
    sizes = {"batch": batch, "accumulate": accumulate}
    names = NAMING.adapter.kind == mixture.adapter.kind or mixture.hints.heads
    trained = ["router", "fusion", "adapter", "heads", "lora"]
    trained += ["encoders"] if mixture.base_encoder.train != "none" else []
    corpus = folder / "manifest.jsonl"
    return settings(
        corpus if corpus.exists() else write_corpus(folder),
        mixture,
        output=str(folder / f"{batch}x{accumulate}"),
        data={"mask_share": 0.0},
        train=trained,
        pretraining={**sizes, "steps": 1, "tasks": ["sound", "transcribe"]} if names else {},
        tuning=sizes,
        dense_steps=0,
    )


def alone(folder: Path, mixture: MoWEConfig, stage: str, split: tuple[int, int]):
    path = folder / "config.json"
    path.write_text(config_to_json(config_of(folder, mixture, *split)))
    return first_step(path, stage)


def assert_same(whole: dict[str, torch.Tensor], parts: dict[str, torch.Tensor]) -> None:
    """To 1e-6, of values of about 1 and below."""
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        scale = max(1.0, float(tensor.abs().max()))
        assert float((tensor - parts[name]).abs().max()) < 1e-6 * scale, name


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as two processes have: other sums round differently
    yield
    torch.set_num_threads(before)


def test_shares_of_the_diversity_add_up_to_that_of_the_whole_step_by_hand():
    # two micro-batches, each of one mind: by themselves they have no diversity, together log 2
    logits = torch.tensor([[2.0, -2.0], [-2.0, 2.0]], requires_grad=True)
    probabilities = logits.softmax(dim=-1)
    step = StepRouting(probabilities.detach().mean(dim=0), 2)
    shares = [routing_diversity(one[None], step) for one in probabilities]
    assert sum(shares).item() == pytest.approx(math.log(2))
    assert max(routing_diversity(one[None]).item() for one in probabilities) < 0.1

    uneven = torch.tensor([[0.9, 0.1], [0.6, 0.4]], requires_grad=True)
    step = StepRouting(torch.tensor([0.75, 0.25]), 2)
    found = sum(routing_diversity(one[None], step) for one in uneven)
    assert found.item() == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    found.backward()  # (-log p - 1) / N of each
    by_hand = [(math.log(4 / 3) - 1) / 2, (math.log(4) - 1) / 2]
    assert uneven.grad.tolist() == [pytest.approx(by_hand)] * 2
    # the entropies are means over the step as well
    whole = routing_loss(Routing(None, uneven, None, uneven))
    parts = [routing_loss(Routing(None, one[None], None, one[None]), step) for one in uneven]
    assert sum(one.total for one in parts).item() == pytest.approx(whole.total.item())


def test_a_step_of_one_micro_batch_has_the_loss_of_the_model_itself(tmp_path):
    run = build_run(config_of(tmp_path, still(TINY_RANDOM), 8, 1))
    stage = build_stage(run, TUNING)
    found, _ = backward(run, stage, run.accelerator.prepare(stage.step), 0)
    sounds = micro_batches(stage.sampler.step(0), 1)[0]
    heard = run.model.adapt(run.store.features(sounds))
    counts = heard.mask.sum(dim=1).tolist()
    prompts = [prompt_of(run.model, sound.example) for sound in sounds]
    losses = run.model(heard, [with_tokens(*one) for one in zip(prompts, counts, strict=True)])
    assert found["loss"].item() == pytest.approx(losses.total.item(), rel=1e-6)
    assert found["diversity"].item() == pytest.approx(losses.routing.diversity.item(), rel=1e-6)


def test_a_micro_batch_of_text_alone_is_learned_too(tmp_path):
    corpus = write_corpus(tmp_path)
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"}]
    line = {"audio": None, "task": "chat", "messages": turns, "split": "train"}
    corpus.write_text(corpus.read_text() + f"{json.dumps(line)}\n" * 3)
    for weights in ({"sound": 0, "transcribe": 0}, {"sound": 0.1, "transcribe": 0}):
        sizes = {"batch": 1, "accumulate": 8}
        run = build_run(settings(corpus, TINY_RANDOM, data={"task_weights": weights}, tuning=sizes))
        stage = build_stage(run, TUNING)
        found, tokens = backward(run, stage, run.accelerator.prepare(stage.step), 0)
        assert tokens > 0
        assert 0 < found["next_token"].item() < 20


MIXTURES = {
    "paper": (TINY_RANDOM, TUNING),
    "ours": (NAMING, PRETRAINING),
    "both": (NAMING, TUNING),
    "heads": (HEARING, PRETRAINING),
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_accumulated_micro_batches_give_the_loss_and_gradients_of_one_batch(tmp_path, kind):
    mixture, stage = MIXTURES[kind]
    whole = alone(tmp_path, still(mixture), stage, (32, 1))
    assert whole["router.independent_logits"].abs().max() > 1e-6 or kind == "ours"
    # heads teach the routers in turns, the independent one first
    assert whole["router.dependent.1.weight"].abs().max() > 1e-5 or kind == "heads"
    assert whole["diversity"] > 0
    assert_same(whole, alone(tmp_path, still(mixture), stage, (8, 4)))


def test_an_encoder_that_is_trained_in_the_step_gets_the_same_gradient_too(tmp_path):
    mixture = still(TINY_RANDOM, "full")
    whole = alone(tmp_path, mixture, TUNING, (8, 1))
    assert whole["base_encoder.stack.layers.0.fc1.weight"].abs().max() > 1e-6
    assert_same(whole, alone(tmp_path, mixture, TUNING, (2, 4)))


def test_two_processes_give_the_loss_and_gradients_of_one(tmp_path):
    mixture = still(TINY_RANDOM)
    whole = alone(tmp_path, mixture, TUNING, (32, 1))
    path, out = tmp_path / "two.json", tmp_path / "two.pt"
    path.write_text(config_to_json(config_of(tmp_path, mixture, 16, 1)))
    done = on_two_processes("step", path, TUNING, out)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same(whole, torch.load(out))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_also_after_a_kill(tmp_path):
    # AdamW divides a gradient that is almost nothing by itself: small rates keep its rounding small
    rates = dict.fromkeys(("rate", "lora_rate", "router_rate"), 1e-4)

    def config(name: str, accumulate: int) -> TrainingConfig:
        return settings(
            corpus,
            output=str(tmp_path / name),
            optimizer=rates,
            pretraining={"accumulate": accumulate, "rate": 1e-4},
            tuning={"accumulate": accumulate},
        )

    corpus, path = write_corpus(tmp_path), tmp_path / "shared.json"
    whole = read_trained(train(config("whole", 4)))
    path.write_text(config_to_json(config("shared", 2)))
    done = on_two_processes("train", path)
    assert done.returncode == 0, done.stderr[-3000:]
    shared = read_trained(tmp_path / "shared" / "final")
    for name, tensor in whole.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, shared[name], atol=2e-4), name
    path.write_text(config_to_json(config("killed", 2)))
    assert on_two_processes("train", path, 6).returncode != 0  # in the second step of tuning
    assert not (tmp_path / "killed" / "final").exists()
    resumed = on_two_processes("train", path)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    found = read_trained(tmp_path / "killed" / "final")
    assert all(torch.equal(one, found[name]) for name, one in shared.items())

"""The stage in which heads learn to hear: losses by hand, what is learnt, what is kept."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from trainings import HEARING, settings, write_corpus, write_mixture

from mowe.assistant import Assistant, Sampling
from mowe.audio import load_audio
from mowe.checkpoint import MoWE, read_config
from mowe.config import HintsConfig
from mowe.data.manifest import Example
from mowe.errors import ConfigError, QuestionError
from mowe.hints.events import EventLogits
from mowe.hints.heads import HeadLogits
from mowe.training.dev import calibrate, dev_hearing
from mowe.training.hearing import event_losses, label_losses
from mowe.training.loop import train
from mowe.training.run import build_run
from mowe.training.stages import build_stage
from mowe.training.state import PRETRAINING
from mowe.training.targets import EventTargets, known_hints

RATE = 16_000


def logits(names, kinds, steps):
    mask = torch.arange(names.shape[1]) < torch.tensor(steps)[:, None]
    return HeadLogits(EventLogits(names, kinds, mask), {})


def test_losses_of_sounds_by_hand():
    names = torch.tensor([[[0.0], [2.0], [9.0]]])  # one name, three steps, the last one padding
    kinds = torch.zeros(1, 3, 1)
    known = torch.ones(2, 1, dtype=torch.bool)
    target = EventTargets(torch.tensor([[1.0], [0.0]]), known, torch.zeros(2, 1), known)
    found = event_losses(logits(names, kinds, [2]), [target])
    # 2 (-log s(0)) and -log(1 - s(2)); the kinds -log(1 - s(0)) twice
    by_hand = 2 * math.log(2) + math.log(1 + math.exp(2)) + 2 * math.log(2)
    assert found.tolist() == [pytest.approx(by_hand)]
    doubtful = target._replace(names_known=torch.tensor([[True], [False]]))
    by_hand -= math.log(1 + math.exp(2))
    assert event_losses(logits(names, kinds, [2]), [doubtful]).item() == pytest.approx(by_hand)
    assert event_losses(logits(names, kinds, [2]), [None]).item() == 0.0


def test_losses_of_labels_by_hand():
    scores = {"gender": torch.tensor([[0.0, 0.0], [0.0, math.log(3)]]), "other": torch.zeros(2, 4)}
    found = label_losses(scores, [{"gender": 0, "other": 1}, {"gender": 1}])
    assert found.tolist() == [
        pytest.approx(math.log(2) + math.log(4)),
        pytest.approx(math.log(4 / 3)),
    ]
    assert label_losses(scores, [{}, {}]).tolist() == [0.0, 0.0]


def write_tones(folder):
    """Tones and noises between silences, told apart by any encoder."""
    draw, lines = np.random.default_rng(0), []
    for number in range(24):
        noise = number % 2
        sound = draw.standard_normal(RATE) if noise else np.sin(np.arange(RATE) * 0.2)
        samples = np.concatenate([np.zeros(RATE // 2), 0.1 * sound, np.zeros(RATE // 2)])
        name = f"{number}.wav"
        soundfile.write(folder / name, samples.astype(np.float32), RATE)
        turns = [("user", "<audio> What?"), ("assistant", "It.")]
        row = ["noise", "nature", 0.5, 1.5] if noise else ["a beep", "alarm", 0.5, 1.5]
        line = {"audio": name, "task": "sound", "heard": [row], "duration": 2.0}
        line["messages"] = [{"role": role, "content": words} for role, words in turns]
        line |= {"gender": ("man", "woman")[noise], "split": "dev" if number > 19 else "train"}
        lines.append(json.dumps(line))
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_heads_and_tokens_learn_what_sounds_and_keep_it(tmp_path):
    steps = {"steps": 40, "batch": 8, "rate": 0.01}
    config = settings(
        write_tones(tmp_path),
        HEARING,
        data={"versions": 1, "mask_share": 0.0},
        pretraining=steps,
        tuning={"steps": 0},
        report={"dev_every": 0, "save_minutes": 9.0, "log_every": 39},
    )
    final = train(config)
    hints = read_config(final).hints
    assert hints.sounds == {"a beep": "alarm", "noise": "nature"}
    assert hints.labels == {"gender": ("man", "woman")}
    rows = [json.loads(line) for line in (config.output / "metrics.jsonl").open()]
    assert rows[-1]["events"] < 0.05 * rows[0]["events"]
    assert rows[-1]["words"] < rows[0]["words"]

    told = dev_hearing(build_run(replace(config, start=final, output=tmp_path / "again")))
    assert told["dev_head_gender"] == told["dev_event_f1"] == 1.0
    assert {"dev_word_gender", "dev_word_sound"} <= told.keys()

    model = MoWE.from_pretrained(final)
    assert model.heads is not None
    assert model.heads.detector.names == ("a beep", "noise")


def test_what_is_sure_and_wrong_in_half_of_the_dev_split_becomes_unsure(tmp_path):
    corpus = write_tones(tmp_path)
    lines = [json.loads(line) for line in corpus.read_text().splitlines()]
    for number, line in enumerate(lines):  # of noises and beeps every second one is misnamed
        line["split"] = "dev"
        line["gender"] = ("man", "woman")[(number // 2) % 2]
    train_lines = [line | {"split": "train", "id": number} for number, line in enumerate(lines)]
    corpus.write_text("\n".join(map(json.dumps, [*lines, *train_lines])))
    config = settings(corpus, HEARING, data={"versions": 1}, report={"dev_examples": 64})
    run = build_run(config)
    labels = run.model.heads.labels
    with torch.no_grad():
        labels.outputs["gender"].weight.zero_()
        labels.outputs["gender"].bias.copy_(torch.tensor([4.0, 0.0]))  # a man, 98 %, always
    calibrate(run)
    assert float(labels.temperatures[list(labels.sets).index("gender")]) == pytest.approx(8.0)


def test_routers_learn_which_encoder_helps(tmp_path):
    """One encoder is deaf in every slot: the routers turn away from it, in turns."""
    config = settings(
        write_tones(tmp_path),
        HEARING,
        data={"versions": 1},
        pretraining={"steps": 1, "batch": 8},
        tuning={"steps": 0},
    )
    run = build_run(config)
    router, step = run.model.router, build_stage(run, PRETRAINING).step
    aligned = run.model.fusion.aligned

    def deaf(place, features, frames):
        return aligned(place, features, frames) + (1e3 if place == 1 else 0.0)

    run.model.fusion.aligned = deaf
    sounds = build_stage(run, PRETRAINING).sampler.step(0)
    batch = step.prepare(sounds, alone=True)
    run.model.train()
    learning = (router.independent_logits, router.dependent[1].bias)
    for turn, (one, other) in enumerate((learning, learning[::-1])):
        run.model.zero_grad(set_to_none=False)
        step(batch, step.whole(batch.sums), None, turn).total.backward()
        assert int(one.grad.argmax()) == 1  # a step goes against it
        assert float(one.grad[1]) > 0
        # the other one has the routing loss alone, whose weight begins at 0
        assert other.grad is None or float(other.grad.abs().max()) < 0.1 * float(one.grad[1])


def test_the_manifest_says_what_heads_learn_and_rare_names_are_left_out():
    def example(name, number):
        row = [[name, "animal", None, None]]
        turns = (("user", "?"), ("assistant", "!"))
        about = {"heard": row, "gender": "", "content": "sound"}
        return Example(audio=f"{name}{number}", task="sound", messages=turns, metadata=about)

    group = [example("a cat", number) for number in range(3)] + [example("an owl", 0)]
    found = known_hints({"sound": group}, HintsConfig(heads=True), least=2)
    assert found.sounds == {"a cat": "animal"}
    assert found.labels == {}  # of one label nothing is told
    with pytest.raises(ConfigError, match="heads of the hints need training lines"):
        known_hints({"sound": group}, HintsConfig(heads=True), least=9)


def test_heads_without_facts_are_one_sentence(tmp_path):
    corpus = write_corpus(tmp_path)
    plain = [json.loads(line) for line in corpus.read_text().splitlines()]
    for line in plain:
        for name in ("heard", "gender", "content"):
            line.pop(name, None)
    corpus.write_text("\n".join(map(json.dumps, plain)))
    with pytest.raises(ConfigError, match="heads of the hints need training lines"):
        build_run(settings(corpus, HEARING))


def test_an_assistant_tells_what_heads_hear_and_each_hint_can_be_left_out(tmp_path):
    config = settings(
        write_corpus(tmp_path), HEARING, pretraining={"steps": 1}, tuning={"steps": 0}
    )
    assistant = Assistant(MoWE.from_pretrained(train(config)))
    recording = load_audio(tmp_path / "sound0.wav")
    short = Sampling(max_new_tokens=2)
    told = assistant.ask([recording], "What is it?", sampling=short).hints
    assert told[0].startswith("Length: 1.0 s.\n")
    assert assistant.ask([recording], "What is it?", sampling=short, hints=()).hints == ("",)
    likelihoods = [
        assistant.log_likelihood([recording], "What is it?", "A bell.", hints=hints)
        for hints in (None, ())
    ]
    assert likelihoods[0] != likelihoods[1]
    with pytest.raises(QuestionError, match="there is no hint smells"):
        assistant.ask([recording], "What is it?", hints=("smells",))


def test_the_independent_router_has_a_rate_of_its_own(tmp_path):
    rates = {"router_rate": 0.002, "independent_rate": 0.03}
    run = build_run(settings(write_corpus(tmp_path), HEARING, optimizer=rates))
    optimizer = build_stage(run, PRETRAINING).optimizer
    peak = {
        place: group["peak"]
        for group in optimizer.param_groups
        for place in map(id, group["params"])
    }
    router = dict(run.model.router.named_parameters())
    assert peak[id(router.pop("independent_logits"))] == 0.03
    assert {peak[id(one)] for one in router.values()} == {0.002}
    assert len(peak) == sum(len(group["params"]) for group in optimizer.param_groups)
    frozen = replace(run.config, train=("adapter",))
    left = build_stage(replace(run, config=frozen), PRETRAINING).optimizer
    assert [group["peak"] for group in left.param_groups] == [frozen.pretraining.rate]


def test_a_mixture_that_tells_nothing_may_start_from_what_heads_taught(tmp_path):
    corpus = write_corpus(tmp_path)
    few = {"steps": 1, "batch": 2}
    hearing = settings(corpus, HEARING, pretraining=few, tuning={"steps": 0})
    start = train(hearing)
    pure = replace(HEARING, preset="pure", hints=HintsConfig())
    config = settings(
        corpus, pure, tuning=few, start=str(start), output=str(tmp_path / "pure"), train=["lora"]
    )
    model = MoWE.from_pretrained(train(config))
    assert (model.heads, model.config.preset) == (None, "pure")
    before, after = MoWE.from_pretrained(start).trained_state(), model.trained_state()
    kept = [name for name in after if name.startswith(("router.", "fusion.", "adapter."))]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    other = replace(pure, weak_dim=2 * pure.weak_dim)
    with pytest.raises(ConfigError, match="holds another mixture"):
        train(replace(config, preset=write_mixture(tmp_path, other)))

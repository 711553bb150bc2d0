"""Experiments on data whose truth is known: what was planted is found, what was not is not."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from mowe.data.manifest import Example
from mowe.encoders import build_encoder, random_twin
from mowe.errors import ConfigError, ExperimentError
from mowe.experiments import fast, judge
from mowe.experiments.adding import encoder_of, experiment_of
from mowe.experiments.arms import (
    POOL,
    SIDE_BY_SIDE,
    UNIFORM,
    Arm,
    Stretch,
)
from mowe.experiments.bank import (
    BASE,
    FRAMES,
    TWIN,
    Bank,
    fill_bank,
    loudest_part,
)
from mowe.experiments.claims import EXPERIMENTS, Experiment, Pair, _without
from mowe.experiments.cost import read_cost
from mowe.experiments.judge import BETTER, EQUAL, UNDECIDED, Difference, Rows
from mowe.experiments.labelled import (
    SPLITS,
    Labelled,
    ProbeSuite,
    ProbeTask,
    labels_of_tasks,
    read_suite,
)
from mowe.experiments.pages import (
    MARKS,
    mixed_commits,
    paper_page,
    readme_part,
    routing_page,
    write_pages,
)
from mowe.experiments.probe import LabelWords, Probe, WindowAdapter
from mowe.experiments.result_files import read_result, read_results
from mowe.experiments.results import (
    HOLDS,
    Held,
    _half_regret,
    settings_of,
    summarize,
    write,
)
from mowe.experiments.runs import Place, Runs, fingerprint
from mowe.experiments.ways import WAYS, weighted
from mowe.files import between_marks
from mowe.presets import TINY_RANDOM
from mowe.shipped import COST_RESULT

HELPFUL, USELESS = "helpful", "useless"
SHORT = (Stretch(steps=60),)
TOGETHER = Arm(name="both", pool=(HELPFUL, USELESS), stretches=SHORT)
ALONE = Arm(name="base", pool=(), routers="none", stretches=SHORT)
WITH = Arm(name="helped", pool=(HELPFUL,), routers="none", always=((HELPFUL,),), stretches=SHORT)
WITHOUT = Arm(
    name="not helped", pool=(USELESS,), routers="none", always=((USELESS,),), stretches=SHORT
)


def labelled(count: int, split: str, draw: np.random.Generator) -> list[Labelled]:
    """Clips of two tasks with two labels each, of twelve people."""
    made = []
    for number in range(count):
        task = ("tone", "voice")[number % 2]
        label = f"{task} {draw.integers(2)}"
        who = f"{split}-{number % 12}"
        turns = (("user", f"<audio> Which {task}?"), ("assistant", label))
        example = Example(audio=Path(f"{split}-{number}.flac"), task=task, messages=turns)
        made.append(Labelled(example, task, label, split, "made", who))
    return made


@pytest.fixture(scope="module")
def data() -> fast.Data:
    """The base hears nothing of the labels, one weak encoder all of them, the other nothing."""
    draw = np.random.default_rng(0)
    clips = [one for split in ("train", "dev", "test") for one in labelled(120, split, draw)]
    torch.manual_seed(0)
    truth = torch.tensor([float(one.label[-1]) for one in clips])
    frames = {
        name: torch.randn(len(clips), FRAMES, 8, dtype=torch.float32)
        for name in (BASE, HELPFUL, USELESS)
    }
    frames[BASE] += 2.0 * torch.randn(8)  # as real features, alike in all clips
    frames[HELPFUL][:, :, 0] += 4.0 * (truth[:, None] - 0.5)
    bank = Bank(
        {name: one.half() for name, one in frames.items()}, torch.full((len(clips),), FRAMES)
    )
    labels = torch.nn.functional.normalize(torch.randn(4, 16), dim=1)
    words = LabelWords(labels, torch.tensor([0, 0, 1, 1]), torch.zeros(len(clips), 16))
    places = {"tone 0": 0, "tone 1": 1, "voice 0": 2, "voice 1": 3}
    return fast.Data(
        clips,
        bank,
        words,
        ["tone", "voice"],
        list(places),
        torch.tensor([places[one.label] for one in clips]),
        torch.tensor([("tone", "voice").index(one.task) for one in clips]),
    )


def right(arm: Arm, seeds: int, data: fast.Data, split: str = "dev") -> np.ndarray:
    held = Held.of(data.clips, split)
    return np.stack(
        [
            fast.text_to_bits(fast.run(arm, seed, data)["right"]["learned"][split], len(held.clips))
            for seed in range(seeds)
        ]
    )


# --- judging ------------------------------------------------------------------------------------


def rows(clips: int, groups: int, tasks: int = 2) -> Rows:
    every = np.arange(clips)
    return Rows(every % tasks, every % groups, np.zeros(clips, dtype=int))


def test_the_difference_counts_every_task_alike() -> None:
    about = Rows(np.array([0, 0, 0, 1]), np.arange(4), np.zeros(4, dtype=int))
    first = np.array([[True, True, True, False], [True, True, True, True]])
    second = np.array([[False, False, False, False], [False, False, False, True]])
    # task 0: 3 of 3 against 0 of 3; task 1: seeds 0 and 1 of 1 against the same
    assert judge.compare(first, second, about).difference == pytest.approx(0.5)
    assert judge.accuracy(first, about) == pytest.approx((1.0 + 0.5) / 2)


def test_a_planted_difference_is_found_and_chance_is_not() -> None:
    draw, about = np.random.default_rng(1), rows(600, 60)
    better, worse = draw.random((5, 600)) < 0.75, draw.random((5, 600)) < 0.65
    found = judge.compare(better, worse, about)
    assert judge.verdict(found, found.p) == BETTER
    assert found.low < 0.1 < found.high
    said = []
    for _ in range(40):
        again = draw.random((5, 600)) < 0.7, draw.random((5, 600)) < 0.7
        chance = judge.compare(*again, about)
        said.append(judge.verdict(chance, chance.p))
    assert sum(one not in (UNDECIDED, EQUAL) for one in said) <= 5  # one in twenty by chance


def test_clips_of_one_person_are_one_voice() -> None:
    """With three people, who differ, the interval is wide however many clips they have."""
    draw = np.random.default_rng(2)
    person = np.arange(300) % 3
    first = draw.random((5, 300)) < np.array([0.95, 0.6, 0.4])[person]
    second = draw.random((5, 300)) < 0.55
    many = Rows(np.zeros(300, int), np.arange(300), np.zeros(300, int))
    few = Rows(np.zeros(300, int), person, np.zeros(300, int))
    of_many, of_few = judge.compare(first, second, many), judge.compare(first, second, few)
    assert of_few.high - of_few.low > 2 * (of_many.high - of_many.low)
    assert of_few.p > 0.2 > of_many.p


def test_regret_is_chosen_on_one_half_and_scored_on_the_other() -> None:
    tasks = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    choosing = np.array([True, True, False, False] * 2)
    learned = np.array([False, False, True, False, True, True, True, True])
    forced = {
        "a | a": np.array([True, True, True, True, False, False, True, True]),
        "b | b": np.array([False, False, True, True, True, True, False, True]),
    }
    # task 0 chooses a: 2 of 2 against 1 of 2; task 1 chooses b: 1 of 2 against 2 of 2
    assert _half_regret(forced, learned, tasks, choosing) == pytest.approx((0.5 - 0.5) / 2)
    # task 1 by a: 2 of 2 against 2 of 2
    assert _half_regret({"a | a": forced["a | a"]}, learned, tasks, choosing) == pytest.approx(0.25)


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.03, 0.04 times 3, 2, 1 = 0.03, 0.06, 0.04, and never falling
    assert judge.corrected([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (0.01, 0.09, 0.001, "better"),
        (-0.09, -0.01, 0.001, "worse"),
        (-0.015, 0.018, 0.9, "equal"),
        (0.005, 0.015, 0.001, "equal"),
        (-0.03, 0.05, 0.6, "undecided"),
        (0.01, 0.09, 0.2, "undecided"),
    ],
)
def test_verdicts(low: float, high: float, p: float, said: str) -> None:
    assert judge.verdict(Difference((low + high) / 2, low, high, p, 0.05), p) == said


def test_arms_of_other_clips_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 5\)"):
        judge.compare(np.ones((2, 4), bool), np.ones((2, 5), bool), rows(4, 2))


# --- training -----------------------------------------------------------------------------------


def test_what_a_weak_encoder_knows_is_found(data: fast.Data) -> None:
    about = Held.of(data.clips, "dev").rows
    base = right(ALONE, 2, data)
    found = judge.compare(right(WITH, 2, data), base, about)
    assert judge.verdict(found, found.p) == BETTER
    assert found.difference > 0.3
    null = judge.compare(right(WITHOUT, 2, data), base, about)
    assert judge.verdict(null, null.p) in (UNDECIDED, EQUAL)


def test_expected_loss_finds_the_encoder_that_helps(data: fast.Data) -> None:
    for router in ("dependent", "independent"):
        arm = dataclasses.replace(TOGETHER, way="expected", routers=router, diversity=0.0)
        arm = dataclasses.replace(arm, stretches=(Stretch(steps=150),))
        chosen = fast.run(arm, 0, data)["chosen"]["dev"][router]
        assert chosen.count("0") > 0.9 * len(chosen), router


@pytest.mark.parametrize("way", WAYS)
def test_every_way_trains_and_reaches_the_router_or_not(way: str, data: fast.Data) -> None:
    torch.manual_seed(0)
    probe = Probe(dataclasses.replace(TOGETHER, way=way), data.bank, data.words).train()
    picked = data.rows("train")[:16]
    batch = probe.batch(picked, data.task_of[picked], data.targets[picked])
    loss = WAYS[way](probe, batch, 0.9)
    loss.backward()  # type: ignore[no-untyped-call]
    assert bool(loss.isfinite())
    assert probe.router is not None
    assert probe.router.independent_logits is not None
    assert (probe.router.independent_logits.grad is not None) == (way != "uniform")
    assert probe.fusion.projections[0][1].weight.grad is not None


def test_log_sum_by_hand(data: fast.Data) -> None:
    torch.manual_seed(0)
    arm = dataclasses.replace(
        TOGETHER, routers="dependent", way="log-sum", diversity=0.0, entropy=0.0
    )
    probe = Probe(arm, data.bank, data.words)
    picked = data.rows("train")[:6]
    batch = probe.batch(picked, data.task_of[picked], data.targets[picked])
    chances = probe.route(batch).dependent
    assert chances is not None
    alone = [probe.losses(batch, [torch.eye(2)[place].expand(6, 2)]) for place in range(2)]
    likelihood = sum(chances[:, place] * torch.exp(-alone[place]) for place in range(2))
    assert isinstance(likelihood, Tensor)
    by_hand = -likelihood.log().mean().detach()
    assert float(WAYS["log-sum"](probe, batch, 1.0).detach()) == pytest.approx(
        float(by_hand), rel=1e-5
    )


def test_diversity_by_micro_batch_is_less_than_over_the_step(data: fast.Data) -> None:
    """A step of two tasks that each use one encoder: diverse as a whole, not by task."""
    arm = dataclasses.replace(TOGETHER, loss_weight=1.0, entropy=0.0)
    losses = {}
    for pieces in (1, 2):
        torch.manual_seed(0)
        probe = Probe(dataclasses.replace(arm, micro_batches=pieces), data.bank, data.words)
        picked = torch.cat([data.rows("train")[0:16:2], data.rows("train")[1:16:2]])
        batch = probe.batch(picked, data.task_of[picked], data.targets[picked])
        routing = probe.route(batch)._replace(
            dependent=torch.eye(2).repeat_interleave(8, dim=0).clamp(1e-6, 1 - 1e-6)
        )
        plain = probe.losses(batch, probe.weights(batch, routing)).mean()
        losses[pieces] = float(weighted(probe, batch, routing))
        assert bool(plain.isfinite())
    assert losses[1] == pytest.approx(-float(np.log(2)), abs=1e-3)
    assert losses[2] == pytest.approx(0.0, abs=1e-3)


def test_one_seed_gives_the_same_numbers(data: fast.Data) -> None:
    first, again = (fast.run(TOGETHER, 3, data) for _ in range(2))
    other = fast.run(TOGETHER, 4, data)
    first.pop("cpu_seconds"), again.pop("cpu_seconds")
    assert first == again
    assert first["losses"] != other["losses"]


def test_arms_of_one_seed_train_on_the_same_clips(data: fast.Data) -> None:
    draws = [fast.draws(arm, 0, data) for arm in (ALONE, TOGETHER)]
    assert all(torch.equal(*pair) for pair in zip(*draws, strict=True))


def test_fixed_slots_and_sums(data: fast.Data) -> None:
    picked = data.rows("dev")[:4]
    both = (HELPFUL, USELESS)
    beside = Arm(name="beside", pool=both, routers="none", always=((HELPFUL,), (USELESS,)))
    summed = Arm(name="summed", pool=both, routers="none", always=(both,))
    for arm, width in ((beside, 8 + 2 * 128), (summed, 8 + 128)):
        probe = Probe(arm, data.bank, data.words)
        batch = probe.batch(picked, data.task_of[picked], data.targets[picked])
        assert probe.scores(batch, probe.always(batch)).shape == (4, 4)
        assert probe.adapter.norm.normalized_shape == (width,)


def test_only_labels_of_the_task_are_answers(data: fast.Data) -> None:
    probe = Probe(ALONE, data.bank, data.words)
    picked = data.rows("dev")
    batch = probe.batch(picked, data.task_of[picked], data.targets[picked])
    best = probe.scores(batch, ()).argmax(dim=1)
    assert torch.equal(data.words.task_of[best], data.task_of[picked])


def test_windows_do_not_see_padding() -> None:
    torch.manual_seed(0)
    adapter = WindowAdapter(8, 16, 3, 32).eval()
    frames, mask = torch.randn(2, 10, 8), torch.arange(10) < torch.tensor([[10], [4]])
    changed = frames.clone()
    changed[1, 4:] = 99.0
    assert torch.allclose(adapter(frames, mask).tokens, adapter(changed, mask).tokens, atol=1e-6)
    assert adapter(frames, mask).mask.sum(dim=1).tolist() == [4, 2]


def test_a_task_that_is_not_there_is_named(data: fast.Data) -> None:
    arm = dataclasses.replace(ALONE, name="lost", stretches=(Stretch(tasks=("music",)),))
    with pytest.raises(ExperimentError, match="lost trains on music; the data has tone, voice"):
        fast.run(arm, 0, data)


def test_an_arm_without_training_clips_is_refused(data: fast.Data) -> None:
    arm = dataclasses.replace(ALONE, name="empty", without="made")
    with pytest.raises(ExperimentError, match="empty has nothing to train on"):
        fast.run(arm, 0, data)


def test_gradients_of_a_task_point_its_own_way(data: fast.Data) -> None:
    probe, _ = fast.train(TOGETHER, 0, data)
    found = fast.gradient_cosines(probe, data)
    assert set(found) == {"router", "projections", "adapter"}
    assert np.diag(found["adapter"]) == pytest.approx([1.0, 1.0], abs=1e-3)


def test_bits_survive_their_text() -> None:
    bits = np.random.default_rng(0).random(21) < 0.5
    assert np.array_equal(fast.text_to_bits(fast.bits_to_text(bits), 21), bits)
    with pytest.raises(ExperimentError, match="results hold about 24 clips, the data has 40"):
        fast.text_to_bits(fast.bits_to_text(bits), 40)


# --- grids and files ----------------------------------------------------------------------------

CLAIM = Experiment(
    name="planted",
    claim="The encoder that knows helps",
    against=ALONE.name,
    arms=(ALONE, WITH, TOGETHER, dataclasses.replace(UNIFORM, pool=TOGETHER.pool, stretches=SHORT)),
    pairs=(Pair(WITH.name, ALONE.name),),
    seeds=2,
)


@pytest.fixture
def runs(tmp_path: Path, data: fast.Data, monkeypatch: pytest.MonkeyPatch) -> Runs:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("{}\n")
    monkeypatch.setattr(Place, "clips", lambda self: data.clips)
    monkeypatch.setattr(Place, "data", lambda self, names: data)
    return Runs(Place(manifest=manifest, folder=tmp_path / "experiments"))


def without_times(found: dict[str, object]) -> dict[str, object]:
    plain = json.loads(json.dumps(found))
    for arm in plain["arms"]:
        arm.pop("cpu_seconds")
    return plain  # type: ignore[no-any-return]


def test_a_killed_grid_continues_to_the_same_file(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: fast.Data
) -> None:
    real, count = fast.run, 0

    def stopped(arm: Arm, seed: int, shared: fast.Data) -> dict[str, object]:
        nonlocal count
        count += 1
        if count > 3:
            raise KeyboardInterrupt
        return real(arm, seed, shared)

    monkeypatch.setattr(fast, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        runs.make(CLAIM.arms, CLAIM.seeds)
    half = runs.place.folder / "fast.jsonl"
    half.write_text(half.read_text() + '{"by": "x", "ro')  # what a kill leaves of a line
    again, made = Runs(runs.place), []
    monkeypatch.setattr(fast, "run", lambda *given: made.append(given) or real(*given))
    again.make(CLAIM.arms, CLAIM.seeds)
    assert len(made) == len(CLAIM.arms) * CLAIM.seeds - 3
    continued = write(CLAIM, again, tmp_path / "results")
    other = Runs(dataclasses.replace(runs.place, folder=tmp_path / "other"))
    other.make(CLAIM.arms, CLAIM.seeds)
    assert without_times(summarize(CLAIM, other, data.clips)) == without_times(continued)
    assert read_result(tmp_path / "results/planted.json") == continued


def test_a_claim_is_judged_by_its_pairs(runs: Runs, data: fast.Data) -> None:
    runs.make(CLAIM.arms, CLAIM.seeds)
    found = summarize(CLAIM, runs, data.clips)
    assert found["verdict"] == HOLDS
    assert [one["name"] for one in found["arms"]] == [arm.name for arm in CLAIM.arms]
    told = next(one for one in found["arms"] if one["name"] == TOGETHER.name)
    assert set(told["routing"]["dependent"]["shares"]) == {"tone", "voice"}
    assert -0.5 < told["regret"] < 0.5
    assert "regret" not in found["arms"][0]
    page = paper_page([found])
    assert "**holds at this scale**" in page
    assert "mowe experiments run planted" in page
    assert TOGETHER.name in routing_page([found])


def test_each_origin_is_judged_by_arms_that_did_without_it(
    runs: Runs, data: fast.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    games = ("game/a", "game/b")
    clips = [one._replace(source=games[place % 8 > 4]) for place, one in enumerate(data.clips)]
    apart = dataclasses.replace(data, clips=clips)
    monkeypatch.setattr(Place, "data", lambda self, names: apart)
    arms = tuple(_without(one, game) for one in (ALONE, WITH) for game in games)
    pair = Pair(WITH.name, ALONE.name, "tone", left_out=games)
    claim = dataclasses.replace(CLAIM, against="", arms=arms, pairs=(pair,))
    runs.make(arms, claim.seeds)
    (found,) = summarize(claim, runs, clips)["comparisons"]
    assert found["source"] == "left out in turn: game/a, game/b"
    assert (found["arm"], found["against"]) == (WITH.name, ALONE.name)
    assert found["difference"] > 0.3
    run = runs.find(arms[0], 0)
    assert run is not None
    heard = sum(one.split == "train" and one.source == "game/a" for one in clips)
    assert len(fast.text_to_bits(run["right"]["learned"][fast.LEFT_OUT], heard)) == heard


def test_arms_under_two_names_are_run_once(runs: Runs) -> None:
    renamed = dataclasses.replace(WITH, name="another name")
    assert fingerprint(renamed) == fingerprint(WITH)
    assert fingerprint(dataclasses.replace(WITH, data=0.5)) != fingerprint(WITH)
    runs.make([WITH, renamed], 1)
    assert len(runs.ledger) == 1


def test_a_missing_run_is_named(runs: Runs, data: fast.Data) -> None:
    with pytest.raises(ExperimentError, match="base has no run of seed 0"):
        summarize(CLAIM, runs, data.clips)


def test_other_data_begins_anew(runs: Runs) -> None:
    runs.make([ALONE], 1)
    runs.place.manifest.write_text("{}\n{}\n")
    assert Runs(runs.place).find(ALONE, 0) is None


def test_pages_say_that_commits_are_mixed(tmp_path: Path, runs: Runs, data: fast.Data) -> None:
    runs.make(CLAIM.arms, CLAIM.seeds)
    found = summarize(CLAIM, runs, data.clips)
    one = {"commit": "a" * 40, "dirty": False}
    assert mixed_commits([{**found, "code": [one]}]) == []
    two = {"commit": "b" * 40, "dirty": False}
    assert "several states" in mixed_commits([{**found, "code": [one, two]}])[0]
    results = tmp_path / "results"
    with pytest.raises(ExperimentError, match="holds no result file"):
        write_pages(results, tmp_path)
    results.mkdir()
    (results / "planted.json").write_text(json.dumps({"claim": "half"}))
    with pytest.raises(ExperimentError, match=r"planted.json is no result file: it lacks"):
        write_pages(results, tmp_path)


# --- the table of experiments -------------------------------------------------------------------


def test_experiments_name_arms_that_they_have() -> None:
    assert len({one.name for one in EXPERIMENTS}) == len(EXPERIMENTS)
    for one in EXPERIMENTS:
        names = [arm.name for arm in one.arms]
        assert len(set(names)) == len(names), one.name
        for pair in (*one.compared, *one.all_against):
            assert pair.arms <= set(names), one.name
    by_name: dict[str, set[str]] = {}
    for arm in (arm for one in EXPERIMENTS for arm in one.arms):
        by_name.setdefault(arm.name, set()).add(fingerprint(arm))
    assert all(len(prints) == 1 for prints in by_name.values())  # one name, one arm
    assert SIDE_BY_SIDE.slots == len(POOL)


# --- an encoder of one's own ---------------------------------------------------------------------


def test_an_added_encoder_is_compared_with_its_twin(tmp_path: Path) -> None:
    encoder = encoder_of(f"folder:{tmp_path}/my-encoder", "whisper")
    assert encoder.name == "my-encoder"
    found = experiment_of(encoder)
    pools = {arm.name: arm.pool for arm in found.arms}
    assert pools["with my-encoder"] == (*POOL, "my-encoder")
    assert pools["with a random my-encoder"] == (*POOL, f"my-encoder{TWIN}")
    assert {(pair.first, pair.second) for pair in found.compared} == {
        ("with my-encoder", "with a random my-encoder")
    }


def test_names_of_added_encoders_are_their_own() -> None:
    assert encoder_of("hub:openai/whisper-small@abc", "whisper").name == "whisper-small"
    with pytest.raises(ConfigError, match=r"name of its own \(--name\), found 'speaker'"):
        encoder_of("hub:someone/speaker", "speaker")


def test_a_twin_has_the_sizes_of_its_original_and_none_of_its_weights() -> None:
    torch.manual_seed(1)
    real = build_encoder(TINY_RANDOM.weak_encoders[0])
    before = {name: one.clone() for name, one in real.state_dict().items()}
    after = random_twin(real).state_dict()
    assert all(torch.equal(one, before[name]) for name, one in real.state_dict().items())
    changed = [name for name, one in after.items() if not torch.equal(one, before[name])]
    assert {name: one.shape for name, one in after.items()} == {
        name: one.shape for name, one in before.items()
    }
    assert any("fc1.weight" in name for name in changed)
    assert all(name in changed for name in before if name.endswith("proj.weight"))


# --- features -----------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> list[Labelled]:
    """A quiet clip of three seconds with half a second of tone in it, and a short one."""
    made = []
    for name, seconds in (("long", 3.0), ("short", 1.5)):
        samples = np.zeros(round(seconds * 16_000), dtype=np.float32)
        samples[-8_000:] = np.sin(np.arange(8_000) / 5.0) * 0.5
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, 16_000)
        turns = (("user", "<audio> Which?"), ("assistant", "tone"))
        example = Example(audio=path, task="tone", messages=turns)
        made.append(Labelled(example, "tone", "tone", "train", "made", name))
    return made


def test_the_loudest_stretch_is_heard(recorded: list[Labelled]) -> None:
    long, short = (loudest_part(one) for one in recorded)
    assert long.seconds == pytest.approx(2.0, abs=0.01)
    assert float(np.square(long.samples).sum()) == pytest.approx(1000.0, rel=0.01)
    assert short.seconds == pytest.approx(1.5, abs=0.01)


def test_features_are_kept_and_damage_is_told(
    recorded: list[Labelled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY_RANDOM.weak_encoders[0], name="own")
    folder, added = tmp_path / "features", {"own": config}
    monkeypatch.setattr("mowe.experiments.bank.CONFIGS", {BASE: TINY_RANDOM.base_encoder})
    bank = fill_bank(recorded, ["own", f"own{TWIN}", "own#1", "log-mel"], folder, added)
    assert bank.counts.tolist() == [20, 15]
    assert bank.of("own", torch.tensor([0, 1])).shape == (2, FRAMES, config.architecture["d_model"])
    assert bool((bank.of("own", torch.tensor([1]))[0, 15:] == 0).all())
    assert torch.equal(bank.of("own#1", torch.tensor([0])), bank.of("own", torch.tensor([0])))
    monkeypatch.setattr("mowe.experiments.bank._build", lambda *_: pytest.fail("computed again"))
    again = fill_bank(recorded, ["own", "log-mel"], folder, added)
    assert torch.equal(again.frames["own"], bank.frames["own"])
    (kept,) = folder.rglob("own-*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(ExperimentError, match="own-random.safetensors"):
        fill_bank(recorded, ["own"], folder, added)


def test_an_unknown_encoder_is_named(recorded: list[Labelled], tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="no encoder is called lost; there are base, "):
        fill_bank(recorded, ["lost"], tmp_path)


def test_what_is_no_number_is_refused(
    recorded: list[Labelled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mowe.experiments.bank.CONFIGS", {BASE: TINY_RANDOM.base_encoder})
    real = build_encoder(TINY_RANDOM.base_encoder)
    with torch.no_grad():
        next(iter(real.parameters())).fill_(float("nan"))
    monkeypatch.setattr("mowe.experiments.bank._build", lambda *_: real)
    with pytest.raises(ExperimentError, match="encoder base gives what is not a number"):
        fill_bank(recorded, [], tmp_path)


# --- clips of a suite -----------------------------------------------------------------------------


def suite_of(**changes: Any) -> ProbeSuite:
    task = ProbeTask(name="who", task="gender", question="Who?", sources=("here",))
    usual: dict[str, Any] = {
        "name": "small", "tasks": (task,), "dev": "^nobody", "test": "^dirk ", "train_clips": 8,
        "held_out_clips": 4, "least_held_out": 2,
    }  # fmt: skip
    return ProbeSuite(**(usual | changes))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    lines = []
    for number in range(40):
        speaker = ("anna", "bert", "cora", "dirk")[number % 4]
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(1600, np.float32), 16_000)
        label = ("woman", "man")[number % 2]
        messages = [
            {"role": "user", "content": "<audio> Who?"},
            {"role": "assistant", "content": label},
        ]
        lines.append(
            {
                "id": f"here/{number}",
                "audio": f"{number}.wav",
                "task": "gender",
                "label": label,
                "messages": messages,
                "speaker": speaker,
                "source": "here" if number < 36 else "there",
                "split": "dev" if speaker in ("cora", "dirk") else "train",
            }  # fmt: skip
        )
    lines[1]["label"] = "child"  # too rare
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_splits_go_by_person_and_pattern(manifest: Path) -> None:
    clips = read_suite(manifest, suite_of())
    people = {split: {one.group for one in clips if one.split == split} for split in SPLITS}
    assert people == {"train": {"anna", "bert"}, "dev": {"cora"}, "test": {"dirk"}}
    assert {one.source for one in clips} == {"here"}
    assert "child" not in labels_of_tasks(clips)["who"]
    assert clips == read_suite(manifest, suite_of())


def test_too_few_clips_are_told(manifest: Path) -> None:
    with pytest.raises(ConfigError, match="the task who has 4 held-out clips, needs 5"):
        read_suite(manifest, suite_of(least_held_out=5))
    task = ProbeTask(name="who", task="gender", question="Who?", sources=("nowhere",))
    with pytest.raises(ConfigError, match=r"who \(gender of nowhere\) needs two labels"):
        read_suite(manifest, suite_of(tasks=(task,)))


# --- pages in the repository --------------------------------------------------------------------

ROOT = Path(__file__).parents[1]


def test_pages_are_what_the_result_files_say() -> None:
    found, cost = read_results(ROOT / "results/experiments"), read_cost(COST_RESULT)
    assert (ROOT / "docs/PAPER.md").read_text(encoding="utf-8") == paper_page(found, cost)
    assert (ROOT / "docs/ROUTING.md").read_text(encoding="utf-8") == routing_page(found)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert between_marks(readme, readme_part(found, cost), MARKS, ExperimentError) == readme


def test_results_are_of_arms_as_they_are_now() -> None:
    """An arm that changed since needs new runs, else the page tells of another one."""
    known = {one.name: one for one in EXPERIMENTS}
    for one in read_results(ROOT / "results/experiments"):
        now = known[one["experiment"]].at(one["scale"])
        assert [arm["name"] for arm in one["arms"]] == [arm.name for arm in now.arms]
        assert [arm["settings"] for arm in one["arms"]] == [settings_of(arm) for arm in now.arms]
        assert one["claim"] == now.claim

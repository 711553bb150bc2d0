"""The worth of encoders: rows of a real tiny model, tables and checks worked out by hand."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from snippets import run_example

from mowe.__main__ import main
from mowe.analysis.health.checks import LOAD_WORTH, Thresholds, worth_check
from mowe.analysis.worth.by_task import NO_ENCODER, of_heads, routing_agreement, worth_by_task
from mowe.analysis.worth.figures import WORTH_COLUMNS, worth_heatmap, worth_rows
from mowe.analysis.worth.heads import label_score
from mowe.analysis.worth.measure import (
    WorthTable,
    heard_under,
    lines_to_measure,
    measured,
    read_worth,
    routings,
    twins_of,
)
from mowe.assistant import Assistant
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.config import NamingConfig
from mowe.data.ledger import Ledger
from mowe.data.manifest import Example, read_manifest
from mowe.errors import AudioError, ConfigError, RecordsError
from mowe.hints.naming import Named, NamingAdapter, SoundEvents
from mowe.model import make_batch
from mowe.model.control import RoutingControl
from mowe.presets import TINY_RANDOM

POOL = ("a", "b")
QUESTION = "Which sound is this?"


def row(audio="1.wav", recording=None, task="sound", chosen="a", a=0.0, b=0.0, no_weak=0.0):
    """A line whose answer gains by forcing `a` or `b`, loses that by masking, twice by a twin."""
    return {
        "id": audio, "task": task, "audio": audio, "recording": recording or audio,
        "chosen": list(chosen), "learned": -2.0, "no_weak": no_weak,
        "forced": {"a": a, "b": b}, "masked": {"a": -a, "b": -b},
        "twin": {"a": -2 * a, "b": -2 * b}, "head": None,
    }  # fmt: skip


def kinds(chosen: str, best: str, audio: str = ""):
    """One line per letter: who was chosen, and who is worth most."""
    names = audio or "".join(chr(ord("A") + place) for place in range(len(best)))
    return [
        row(name, chosen=one, **{most: 1.0})
        for one, most, name in zip(chosen, best, names, strict=True)
    ]


# --- tables -------------------------------------------------------------------------------------


def test_worth_by_task_by_hand():
    rows = [
        row("1.wav", "tape", chosen="a", a=1.0, no_weak=-1.0),
        row("2.wav", "tape", chosen="ab", a=2.0, no_weak=-2.0),
        row("3.wav", "disc", chosen="b", a=-3.0, no_weak=-3.0),
        row("3.wav", "disc", task="voice", b=0.5),
    ]
    table = worth_by_task(rows, POOL)
    assert list(table["task"]) == ["sound"] * 3 + ["voice"] * 3
    assert list(table["encoder"]) == ["a", "b", NO_ENCODER] * 2
    first, _, none = (table.iloc[place] for place in range(3))
    assert (first["lines"], first["recordings"]) == (3, 2)
    assert first["chosen"] == pytest.approx(2 / 3)
    # of two recordings drawn, twice the tape means 1.5, twice the disc -3, each in a quarter
    assert (first["forced"], first["forced_low"], first["forced_high"]) == (0.0, -3.0, 1.5)
    assert (first["masked"], first["masked_low"], first["masked_high"]) == (0.0, -1.5, 3.0)
    assert (first["twin"], first["twin_low"], first["twin_high"]) == (0.0, -3.0, 6.0)
    assert none["forced"] == -2.0
    assert math.isnan(none["chosen"])
    assert math.isnan(none["masked"])


def test_one_recording_has_no_interval():
    table = worth_by_task([row("1.wav", a=1.0), row("1.wav", a=3.0)], POOL)
    assert table["forced"].tolist() == [2.0, 0.0, 0.0]
    assert table["forced_low"].isna().all()


def test_the_heat_map_shows_worth_as_colour_and_the_share_chosen_as_an_area():
    rows = [row("1.wav", chosen="a", a=1.0), row("2.wav", chosen="ab", a=2.0, no_weak=-4.0)]
    rows.append(row("1.wav", task="voice", chosen="b", b=0.5))
    table = worth_by_task(rows, POOL)
    colours, squares = worth_heatmap(table).data
    assert list(colours.x) == ["a", "b", NO_ENCODER]
    assert colours.z.tolist() == [[1.5, 0.0, -2.0], [0.0, 0.5, 0.0]]
    assert (colours.zmin, colours.zmax) == (-2.0, 2.0)
    assert list(squares.x) == ["a", "b"] * 2
    areas = np.array(squares.marker.size) ** 2
    assert areas / areas[0] == pytest.approx([1.0, 0.5, 0.0, 1.0])
    assert "chosen in 50% of 2 lines" in colours.customdata[0, 1]
    assert "nan" not in str(colours.customdata)
    shown = worth_rows(table)
    assert {len(one) for one in shown} == {len(WORTH_COLUMNS)}
    assert shown[2][:4] == ["sound", NO_ENCODER, 2, ""]


def test_the_heat_map_shows_the_kind_that_is_asked_for():
    table = worth_by_task([row("1.wav", a=1.0), row("2.wav", a=2.0, b=-1.0)], POOL)
    colours, squares = worth_heatmap(table, "twin").data
    assert (list(colours.x), colours.z.tolist()) == (["a", "b"], [[-3.0, 1.0]])
    assert list(squares.x) == ["a", "b"]
    assert "random twin" in worth_heatmap(table, "twin").layout.title.text
    assert worth_heatmap(table, "masked").data[0].z.tolist() == [[-1.5, 0.5]]
    with pytest.raises(ValueError, match="forced, masked or twin, found 'dropped'"):
        worth_heatmap(table, "dropped")
    before = [{key: one for key, one in row().items() if key not in ("twin", "head")}]
    table = worth_by_task(before, POOL)
    assert worth_rows(table)[0][-1] == ""
    with pytest.raises(ValueError, match=r"nothing was measured of .* twin; run `mowe worth`"):
        worth_heatmap(table, "twin")


def test_heads_stand_in_place_of_answers_where_there_are_any():
    head = {key: row(a=5.0)[key] for key in ("learned", "no_weak", "forced", "masked", "twin")}
    (one,) = of_heads([row("1.wav", a=1.0) | {"head": head}, row("2.wav", a=2.0)])
    assert (one["audio"], one["forced"]["a"]) == ("1.wav", 5.0)


def test_agreement_of_routing_and_worth_by_hand():
    found = routing_agreement(kinds("aaab", "aabb"), POOL)
    assert found.share == 0.75
    # a is chosen in three quarters, b in one quarter, each is worth most in half of the lines
    assert found.by_chance == pytest.approx(0.5)
    assert found.encoders == {"a": (2, 2, 0.75), "b": (1, 2, 0.25)}
    # b's only choice falls on one of its two lines in half of the ways to deal it out
    assert found.p == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("chosen", ["aaaaaaaaaaaa", "bbbbbbbbbbbb"])
def test_one_encoder_for_all_agrees_by_chance_however_good_it_is(chosen):
    found = routing_agreement(kinds(chosen, "aaaaaaaaaabb"), POOL)
    assert found.share == pytest.approx(found.by_chance)
    assert found.p == 1.0


def test_lines_about_one_clip_exchange_their_choice_together():
    many = routing_agreement(kinds("aaaabbbb", "aaaabbbb"), POOL)
    two = routing_agreement(kinds("aaaabbbb", "aaaabbbb", audio="11112222"), POOL)
    assert many.p < 0.05
    assert two.p == pytest.approx(0.5, abs=0.05)


# --- health -------------------------------------------------------------------------------------


def worth(rows, encoders=POOL):
    return WorthTable(rows, encoders, "test")


def test_each_encoder_with_its_own_kind_passes():
    check = worth_check(worth(kinds("aaaaabbbbb", "aaaaabbbbb")))
    assert check.passed is True
    assert "chosen in 100% of 10 lines, 50% by chance" in check.sentence
    assert "a in 5 of 5 (50% by chance), b in 5 of 5 (50% by chance)" in check.sentence


def test_choices_that_do_not_follow_worth_fail():
    swapped = worth(kinds("bbbbbaaaaa", "aaaaabbbbb"))
    assert worth_check(swapped).passed is False
    assert worth_check(swapped, Thresholds(max_luck=1.0)).passed is True


def test_what_cannot_be_judged_says_so():
    assert worth_check(None).sentence == LOAD_WORTH
    assert "one weak encoder" in worth_check(worth(kinds("ab", "ab"), ("a",))).sentence
    alone = worth_check(worth(kinds("aa", "ab", audio="11")))
    assert (alone.passed, alone.value) == (None, None)
    assert "One recording" in alone.sentence


# --- measuring ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def assistant(tiny_model):
    return Assistant(copy.deepcopy(tiny_model))


@pytest.fixture(scope="module")
def tiny_naming():
    adapter = NamingConfig(frames_per_token=25, residual_dim=16, events=("bell", "rain"))
    return MoWE.from_config(replace(TINY_RANDOM, adapter=adapter), dtype=torch.float32)


@pytest.fixture
def manifest(tmp_path):
    """Three recordings of noise with two tasks, and lines that must be left out."""
    for number in range(3):
        samples = 0.1 * np.random.default_rng(number).standard_normal(24_000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16_000)

    def line(number, task, answer, **more):
        said = [("user", f"<audio> {QUESTION}"), ("assistant", answer)]
        messages = [{"role": role, "content": text} for role, text in said]
        audio = None if number is None else f"{number}.wav"
        if audio is None:
            messages[0]["content"] = QUESTION
        return {"audio": audio, "task": task, "split": "dev", "messages": messages, **more}

    lines = [line(number, "sound", f"A hiss {number}.") for number in range(3)]
    lines += [line(0, "loud", "Quiet."), line(None, "sound", "None.")]
    lines += [line(1, "sound", "Not of this split.", split="train")]
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_a_row_holds_the_changes_of_the_right_answers_likelihood(assistant, manifest):
    example = lines_to_measure(manifest)[0]
    recording = load_audio(example.audio)
    twins = twins_of(assistant.model)
    (found,) = measured(assistant, recording, [example], manifest.parent, twins)

    def log_likelihood(control=None):
        return assistant.log_likelihood([recording], QUESTION, example.answer, control=control)

    learned = log_likelihood()
    assert found["learned"] == pytest.approx(learned, abs=1e-3)
    none = log_likelihood(RoutingControl(no_weak=True))
    assert found["no_weak"] == pytest.approx(none - learned, abs=2e-3)
    for name in assistant.encoder_names:
        forced = log_likelihood(RoutingControl(force=(name,)))
        masked = log_likelihood(RoutingControl(mask=(name,)))
        assert found["forced"][name] == pytest.approx(forced - learned, abs=2e-3)
        assert found["masked"][name] == pytest.approx(masked - learned, abs=2e-3)
        changed = Assistant(copy.deepcopy(assistant.model))
        changed.model.weak_encoders[assistant.encoder_names.index(name)] = twins[name]
        replaced = changed.log_likelihood([recording], QUESTION, example.answer)
        assert found["twin"][name] == pytest.approx(replaced - learned, abs=2e-3)
        assert (found["twin"][name] != 0) == (name in found["chosen"])
    assert len({*found["forced"].values()}) == len(assistant.encoder_names)
    assert found["head"] is None  # this adapter has none
    assert tuple(found["chosen"]) == assistant.route(recording).windows[0].chosen
    assert found["tokens"] == len(assistant.model.language_model.encode(example.answer))


def test_every_encoder_listens_once_under_all_routings(assistant):
    model = assistant.model
    audio = make_batch([{rate: torch.randn(rate) for rate in model.sample_rates}])
    controls, twins = routings(model.encoder_names), twins_of(model)
    calls = []
    listeners = [model.base_encoder, *model.pool]
    hooks = [one.register_forward_hook(lambda *_, one=one: calls.append(one)) for one in listeners]
    before = {name: one.clone() for name, one in model.state_dict().items()}
    heard = heard_under(model, audio, controls, twins)
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(listeners)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    with torch.inference_mode():
        for (kind, name), control in controls.items():
            if kind != "twin":
                assert torch.equal(heard[kind, name].tokens, model.listen(audio, control).tokens)


def test_a_twin_is_of_the_same_shape_and_always_the_same_and_knows_nothing(assistant):
    model = assistant.model
    audio = make_batch([{rate: torch.randn(rate) for rate in model.sample_rates}])
    state = torch.random.get_rng_state()
    first, second = twins_of(model), twins_of(model)
    assert torch.equal(torch.random.get_rng_state(), state)
    row = torch.zeros(1, dtype=torch.long)
    for place, name in enumerate(model.encoder_names):
        real = model.encode_weak(place, audio, row).frames
        said = [model.encode_weak(place, audio, row, one[name]).frames for one in (first, second)]
        assert said[0].shape == real.shape
        assert torch.equal(*said)
        assert not torch.allclose(said[0], real, atol=1e-3)


def test_the_head_of_a_label_is_scored_among_the_labels_of_its_task():
    sounds = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    events = SoundEvents(sounds, torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool))
    named = Named(events, {"gender": torch.tensor([[9.0, 0.0, math.log(3.0)]])})
    adapter = NamingAdapter(
        4, 8, NamingConfig(events=("bell", "rain", "wind"), names={"gender": ("man", "woman")}),
        lambda texts: torch.zeros(len(texts), 8),
    )  # fmt: skip
    model = SimpleNamespace(adapter=adapter)

    def score(task, label, heard=(named,)):
        turns = (("user", "?"), ("assistant", "."))
        line = Example(audio=Path("x.wav"), task=task, messages=turns, metadata={"label": label})
        return label_score(model, line, heard)

    # `none` is no label of the task
    assert score("gender", "woman") == pytest.approx(math.log(0.75))
    assert score("gender", "woman", (named, named)) == pytest.approx(math.log(0.75))
    # half is the pause; one token or both say the sound: (p + q + p q) / 4, its shares being p, q
    p = [math.exp(2) / (math.exp(2) + 2), 1 / (math.exp(2) + 2)]
    bell, other = ((one + 1 / 3 + one / 3) / 4 for one in p)
    assert score("sound", "bell") == pytest.approx(math.log(bell / (bell + 2 * other)), abs=1e-5)
    assert score("gender", "none") is score("count", "two") is score("sound", "dog") is None
    assert score("gender", "man", (None,)) is None


def test_a_naming_mixture_has_its_heads_measured(tmp_path, manifest, tiny_naming):
    lines = [json.loads(line) for line in manifest.read_text().splitlines()[:1]]
    manifest.write_text(json.dumps({**lines[0], "label": "rain"}) + "\n")
    (example,) = lines_to_measure(manifest)
    made = Assistant(tiny_naming)
    (found,) = measured(made, load_audio(example.audio), [example], tmp_path, twins_of(tiny_naming))
    assert found["head"]["learned"] < 0
    assert set(found["head"]) == {"learned", "no_weak", "forced", "masked", "twin"}
    (idle, *_) = [one for one in made.encoder_names if one not in found["chosen"]]
    assert found["head"]["twin"][idle] == 0
    assert any(found["head"]["twin"][one] for one in found["chosen"])
    assert len({*found["head"]["forced"].values()}) > 1


def test_the_transcript_is_not_told(assistant, manifest, monkeypatch):
    monkeypatch.setattr(assistant.listener, "transcripts", lambda *_: pytest.fail("written down"))
    example = lines_to_measure(manifest)[0]
    twins = twins_of(assistant.model)
    assert measured(assistant, load_audio(example.audio), [example], manifest.parent, twins)


def test_masking_the_only_encoder_runs_none_and_an_empty_pool_is_refused():
    found = routings(("a",))
    assert found["masked", "a"] == found["no weak", ""] == RoutingControl(no_weak=True)
    assert routings(POOL)["masked", "a"] == RoutingControl(mask=("a",))
    with pytest.raises(ConfigError, match="no weak encoder"):
        routings(())


def test_a_recording_answered_window_by_window_is_refused(assistant, manifest):
    small, twins = Assistant(assistant.model, max_audio_tokens=3), twins_of(assistant.model)
    example = lines_to_measure(manifest)[0]
    with pytest.raises(AudioError, match=r"0\.wav lasts 1\.5 s.*give its lines `start` and `end`"):
        measured(small, load_audio(example.audio), [example], manifest.parent, twins)


def test_an_encoder_that_gives_nan_is_named(assistant, manifest):
    broken = Assistant(copy.deepcopy(assistant.model))
    with torch.no_grad():
        broken.model.fusion.projections[0][1].weight.fill_(math.nan)
    name = broken.encoder_names[0]
    example = lines_to_measure(manifest)[0]
    twins = twins_of(broken.model)
    with pytest.raises(ConfigError, match=rf"no number under the routing '\w.*({name}|learned)'"):
        measured(broken, load_audio(example.audio), [example], manifest.parent, twins)


def test_a_larger_limit_holds_the_lines_of_a_smaller_one(manifest):
    one, two = (lines_to_measure(manifest, limit=limit) for limit in (1, 2))
    assert [example.task for example in one] == ["loud", "sound"]
    assert all(example in two for example in one)
    assert len(lines_to_measure(manifest)) == 4
    with pytest.raises(ConfigError, match="at least 1, found 0"):
        lines_to_measure(manifest, limit=0)


def test_turns_say_where_the_recording_is_played(manifest):
    heard, *_, silent, _ = read_manifest(manifest)
    assert heard.turns == [("user", QUESTION, True), ("assistant", "A hiss 0.", False)]
    assert silent.turns[0] == ("user", QUESTION, False)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def run(assistant, capsys):
    def command(*arguments):
        code = main([str(one) for one in arguments], assistant_factory=lambda _: assistant)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_the_command_prints_a_table_and_health_reads_its_file(run, manifest, assistant):
    out = manifest.with_name("worth.jsonl")
    code, printed, _ = run("worth", manifest, "--out", out)
    assert code == 0
    title, heads, *_ = printed.splitlines()
    assert (title, heads.split()) == ("Answers, nats", WORTH_COLUMNS)
    assert len(printed.splitlines()) == 3 + 2 * (len(assistant.encoder_names) + 1)
    assert len(read_worth(out).rows) == 4
    code, printed, _ = run("health", "--worth", out)
    assert code in (0, 1)
    assert "Each encoder gets its own kind: The encoder that is worth most" in printed


def test_a_killed_run_continues_to_the_same_file(run, manifest, monkeypatch):
    whole, out = manifest.with_name("whole.jsonl"), manifest.with_name("worth.jsonl")
    run("worth", manifest, "--out", whole)

    def killed(*arguments):
        if calls.append(1) or len(calls) > 1:
            raise KeyboardInterrupt
        return measured(*arguments)

    calls = []
    with monkeypatch.context() as patched:
        patched.setattr("mowe.cli.worth.measured", killed)
        assert run("worth", manifest, "--out", out)[0] == 130
    with out.open("a") as stream:
        stream.write('{"by": "worth", "row": {"id": "half')  # as a kill leaves it
    code, _, err = run("worth", manifest, "--out", out)
    assert code == 0
    assert "2 of 4 are in worth.jsonl already" in err
    assert out.read_text() == whole.read_text()


def test_a_file_of_something_else_is_refused_and_stays(run, manifest, assistant):
    other = copy.deepcopy(assistant.model)
    with torch.no_grad():
        other.adapter.state_dict()[next(iter(other.adapter.state_dict()))].add_(1.0)
    out = manifest.with_name("worth.jsonl")
    run("worth", manifest, "--out", out, "--limit", 1)
    before = out.read_text()
    code = main(
        ["worth", str(manifest), "--out", str(out)], assistant_factory=lambda _: Assistant(other)
    )
    assert code == 2
    assert run("worth", manifest, "--out", manifest)[0] == 2
    assert run("worth", manifest, "--out", out, "--split", "train")[0] == 2
    assert out.read_text() == before
    assert QUESTION in manifest.read_text()


def test_a_file_of_the_first_version_is_read_and_not_continued(run, manifest):
    out = manifest.with_name("worth.jsonl")
    run("worth", manifest, "--out", out, "--limit", 1)
    first, *_ = out.read_text().splitlines()
    old = Ledger(out, {**json.loads(first), "version": 1})
    old.add("worth", {key: one for key, one in row().items() if key not in ("twin", "head")})
    assert len(read_worth(out).rows) == 1
    code, _, err = run("worth", manifest, "--out", out)
    assert code == 2
    assert "was begun before twins and heads were measured; name another file" in err


def test_a_recording_that_cannot_be_used_costs_its_lines(run, manifest):
    manifest.with_name("1.wav").write_text("not a sound")
    out = manifest.with_name("worth.jsonl")
    code, _, err = run("worth", manifest, "--out", out)
    assert code == 3
    assert "1 recording could not be used" in err
    assert len(read_worth(out).rows) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "does not begin with the settings"),
        ("[]\n", "no file of worth"),
        ('{"format": "mowe-worth", "version": 1}\n', "holds no row"),
        ('{"format": "mowe-worth", "version": 1}\n{"by": 1}\n', "line 2 is damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(run, tmp_path, content, said):
    path = tmp_path / "worth.jsonl"
    path.write_text(content)
    with pytest.raises(RecordsError, match=said):
        read_worth(path)
    code, _, err = run("health", "--worth", path)
    assert code == 2
    assert said in err


def test_options_of_no_use_are_refused(run, manifest):
    assert "of split 'test'" in run("worth", manifest, "--out", "w.jsonl", "--split", "test")[2]
    assert "found w.csv" in run("worth", manifest, "--out", "w.csv")[2]
    assert (
        "--limit must be at least 1"
        in run("worth", manifest, "--out", "w.jsonl", "--limit", "0")[2]
    )


def test_the_documented_example_runs(run, manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("worth", manifest, "--out", "worth.jsonl")
    run_example("Worth")
    assert (tmp_path / "worth.html").stat().st_size > 10_000

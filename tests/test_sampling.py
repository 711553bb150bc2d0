"""Which examples a step holds, and how they are dealt to micro-batches."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mowe.data.manifest import Example
from mowe.data.sampling import (
    Sound,
    StepSampler,
    Telling,
    by_clip,
    micro_batches,
    seconds,
    upsampled,
    with_follow_ups,
)
from mowe.errors import ConfigError


def example(task: str, number: int, *, silent: bool = False) -> Example:
    turns = (("user", f"{task} {number}"), ("assistant", "Yes."))
    audio = None if silent else Path(f"{task}{number}.wav")
    return Example(audio=audio, task=task, messages=turns, metadata={"duration": 1.0 + number % 7})


GROUPS = {"a": [example("a", n) for n in range(50)], "b": [example("b", n) for n in range(10)]}


def test_sources_are_upsampled_as_often_as_asked():
    a, b = (
        Example(audio=None, task="transcribe", messages=(), metadata={"source": name})
        for name in "ab"
    )
    assert upsampled([a, b], {"b": 3}) == [a, b, b, b]
    with pytest.raises(ConfigError, match=r"data.upsampling names \['c'\]; the examples are of"):
        upsampled([a, b], {"c": 2})


def test_a_share_of_a_source_is_always_the_same_examples():
    lines = [
        Example(audio=None, task="transcribe", messages=(), metadata={"source": "a", "id": str(n)})
        for n in range(400)
    ]
    some = upsampled(lines, {"a": 0.3})
    assert 80 < len(some) < 160  # about 120
    assert upsampled(lines[::-1], {"a": 0.3}) == some[::-1]
    more = upsampled(lines, {"a": 1.3})
    assert [one for one in lines if more.count(one) == 2] == some
    assert all(more.count(one) in (1, 2) for one in lines)


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


def test_a_step_is_a_function_of_seed_and_number():
    sampler = StepSampler(groups=GROUPS, size=8, versions=3)
    assert sampler.step(3) == replace(sampler).step(3)
    assert sampler.step(3) != sampler.step(4)
    assert sampler.step(3) != replace(sampler, seed=1).step(3)


def test_tasks_are_drawn_by_weight_and_mixed_in_every_step():
    sampler = StepSampler(groups=GROUPS, weights={"b": 3.0}, size=4000)
    counts = Counter(sound.example.task for sound in sampler.step(0))
    assert counts["b"] == pytest.approx(3000, abs=150)
    none = StepSampler(groups=GROUPS, weights={"b": 0.0}, size=20)
    assert {sound.example.task for sound in none.step(0)} == {"a"}
    parts = [micro_batches(StepSampler(groups=GROUPS, size=32).step(n), 4) for n in range(5)]
    for step in parts:
        assert {one.example.task for part in step for one in part} == {"a", "b"}


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_step_holds_the_same_examples_however_it_is_split(count):
    drawn = StepSampler(groups=GROUPS, size=32, versions=2).step(0)
    parts = micro_batches(drawn, count)
    assert [len(part) for part in parts] == [32 // count] * count
    assert Counter(map(str, itertools.chain(*parts))) == Counter(map(str, drawn))


def test_versions_are_drawn_and_a_fixed_source_has_one_each():
    sampler = StepSampler(groups={"a": GROUPS["a"][:1]}, size=60, versions=3)
    assert {sound.version for sound in sampler.step(0)} == {0, 1, 2}
    fixed = replace(GROUPS["a"][0], metadata={"source": "synthetic"})
    only = replace(sampler, groups={"a": [fixed]}, fixed_version_sources=["synthetic"])
    assert len({sound.version for number in range(3) for sound in only.step(number)}) == 1


def test_a_conversation_holds_further_questions_about_its_clip():
    clip = GROUPS["a"][0]
    other = replace(clip, messages=(("user", "And?"), ("assistant", "Rain.")))
    sampler = StepSampler(
        groups={"a": [clip]}, size=1, siblings=by_clip([clip, other]), follow_ups=2
    )
    (sound,) = sampler.step(0)
    assert len(sound.example.messages) == 4
    assert sound.example.answer == "Yes."


def test_micro_batches_are_cut_by_length():
    parts = micro_batches([Sound(example("a", number)) for number in range(24)], 3)
    assert [len(part) for part in parts] == [8, 8, 8]
    lengths = [[seconds(sound.example) for sound in part] for part in parts]
    assert all(max(one) <= min(two) for one, two in itertools.pairwise(lengths))


def test_text_without_a_recording_is_dealt_out_evenly():
    sounds = [Sound(example("a", number)) for number in range(22)]
    sounds += [Sound(example("chat", number, silent=True)) for number in range(10)]
    parts = micro_batches(sounds, 4)
    silent = [sum(one.example.audio is None for one in part) for part in parts]
    assert [len(part) for part in parts] == [8] * 4
    assert sorted(silent) == [2, 2, 3, 3]


def test_text_about_a_recording_is_left_out_or_anothers_as_often_as_asked():
    telling = Telling(without=0.5, wrong=0.15, always=("b",))
    sampler = StepSampler(groups=GROUPS, size=4000, telling=telling)
    heard = [one for one in sampler.step(0) if one.example.task == "a"]
    untold = sum(not one.told for one in heard) / len(heard)
    wrong = [one for one in heard if one.told_of is not None]
    assert untold == pytest.approx(0.5, abs=0.04)
    assert len(wrong) / len(heard) == pytest.approx(0.15, abs=0.03)
    assert all(one.told and one.told_of.clip != one.example.clip for one in wrong)
    assert {one.told_of.task for one in wrong} == {"a"}
    always = [one for one in sampler.step(0) if one.example.task == "b"]
    assert all(one.told and one.told_of is None for one in always)


def test_text_without_a_recording_is_no_wrong_line():
    groups = {"a": [example("a", 0), *(example("a", n, silent=True) for n in range(1, 9))]}
    sampler = StepSampler(groups=groups, size=50, telling=Telling(wrong=1.0))
    assert all(one.told_of is None for one in sampler.step(0))


def test_text_alone_is_always_told_of():
    groups = {"lesson": [example("lesson", 1, silent=True)]}
    sampler = StepSampler(groups=groups, size=50, telling=Telling(without=1.0))
    assert all(one.told for one in sampler.step(0))

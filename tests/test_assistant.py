"""Conversations, windows and streams, on the random mixture."""

import itertools
import json
import threading

import numpy as np
import pytest
import torch

from corpus.wording import TRANSCRIBE
from mowe.assistant import (
    APART,
    SILENT,
    TOGETHER,
    Assistant,
    Sampling,
    Turn,
    WindowRouting,
    load,
)
from mowe.assistant.prompts import Told, Window, asked_prompts
from mowe.audio import Recording, load_audio
from mowe.config import HINTS
from mowe.errors import QuestionError
from mowe.hints import Transcript
from mowe.model.control import RoutingControl

SHORT = Sampling(max_new_tokens=4)
LONG = Sampling(max_new_tokens=900, temperature=1.5)  # a random model loops where it is greedy


@pytest.fixture(scope="module")
def assistant() -> Assistant:
    return load("tiny-random", device="cpu", untrained=True)


def sound(seconds: float, seed: int = 0) -> Recording:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))
    return load_audio((samples.astype(np.float32), 16_000), name=f"noise{seed}")


def test_the_first_answer_brings_the_routing_and_the_last_one_is_finished(assistant):
    answers = list(assistant.stream([Turn("user", "What is it?", (sound(2),))], sampling=SHORT))
    assert answers[0].text == ""
    assert answers[0].windows
    assert [one.finished for one in answers] == [False] * (len(answers) - 1) + [True]
    assert all(later.text.startswith(one.text) for one, later in itertools.pairwise(answers))


def test_probabilities_sum_to_one_and_the_chosen_lead(assistant):
    (window,) = assistant.route(sound(2)).windows
    for row in (window.independent, window.dependent):
        assert tuple(row) == assistant.encoder_names
        assert sum(row.values()) == pytest.approx(1.0, abs=1e-5)
    leaders = {max(row, key=row.get) for row in (window.independent, window.dependent)}
    assert set(window.chosen) == leaders
    ranked = sorted(window.dependent.values(), reverse=True)
    assert window.margin == pytest.approx(ranked[0] - ranked[1])
    assert window.entropy == pytest.approx(-sum(one * np.log(one) for one in ranked))


def test_ask_and_route_agree(assistant):
    asked = assistant.ask([sound(2)], "What is it?", sampling=SHORT)
    routed = assistant.route(sound(2))
    assert asked.windows == routed.windows
    assert np.array_equal(asked.embedding, routed.embedding)
    assert asked.embedding.shape == (32,)


def test_long_audio_becomes_windows_and_none_is_dropped(assistant):
    answer = assistant.route(sound(75))
    assert [(one.start, one.end) for one in answer.windows] == [(0, 30), (30, 60), (60, 75)]
    assert answer.audio[0]["windowed"]
    assert "3 windows" in answer.audio[0]["sentence"]


def test_a_few_windows_are_heard_together_many_apart(assistant):
    two = assistant.ask([sound(40)], "What is it?", sampling=SHORT)
    assert two.mode == TOGETHER
    small = Assistant(assistant.model, max_audio_tokens=120)
    apart = small.ask([sound(40)], "What is it?", sampling=SHORT)
    assert apart.mode == APART
    assert "[0:00–0:30]" in apart.text
    assert "[0:30–0:40]" in apart.text


def test_a_question_without_a_recording_is_answered(assistant):
    answer = assistant.ask([], "Hello?", sampling=SHORT)
    assert (answer.mode, answer.windows, answer.finished) == (SILENT, (), True)


def test_a_second_recording_joins_the_conversation(assistant):
    first = Turn("user", "What is it?", (sound(2, 0),))
    second = Turn("user", "And this?", (sound(3, 1),))
    *_, answer = assistant.stream([first, Turn("assistant", "Noise."), second], sampling=SHORT)
    assert [one.recording for one in answer.windows] == [0, 1]
    assert [one["name"] for one in answer.audio] == ["noise0", "noise1"]
    assert np.array_equal(answer.embedding, assistant.route(sound(3, 1)).embedding)


def test_controls_reach_the_routers(assistant):
    forced = assistant.route(sound(2), control=RoutingControl(force=("speaker",)))
    assert forced.windows[0].chosen == ("speaker",)
    assert assistant.route(sound(2), control=RoutingControl(no_weak=True)).windows[0].chosen == ()
    dense = assistant.route(sound(2), control=RoutingControl(dense=True))
    assert dense.windows[0].chosen == assistant.encoder_names


def test_stop_ends_the_stream_and_it_still_finishes(assistant):
    stop = threading.Event()
    turns = [Turn("user", "What is it?", (sound(2),))]
    answers = assistant.stream(turns, sampling=LONG, stop=stop)
    next(answers), next(answers)
    stop.set()
    rest = list(answers)
    assert rest[-1].finished
    assert len(rest) < 800


def test_closing_the_stream_ends_it(assistant):
    turns = [Turn("user", "What is it?", (sound(2),))]
    answers = assistant.stream(turns, sampling=LONG)
    next(answers), next(answers)
    answers.close()
    assert list(answers) == []


def test_equal_seeds_give_equal_texts(assistant):
    def sample(seed: int) -> str:
        sampling = Sampling(max_new_tokens=12, temperature=1.5, seed=seed)
        return assistant.ask([sound(2)], "What is it?", sampling=sampling).text

    assert sample(5) == sample(5)
    assert sample(5) != sample(6)


def test_empty_and_overlong_questions_are_refused(assistant):
    with pytest.raises(QuestionError, match="question is empty"):
        assistant.ask([sound(1)], "  ")
    with pytest.raises(QuestionError, match="2001 characters, at most 2000"):
        assistant.ask([sound(1)], "x" * 2001)
    with pytest.raises(QuestionError, match="must end with a user turn"):
        list(assistant.stream([Turn("assistant", "Hi")]))


def test_a_conversation_beyond_the_context_is_refused_with_numbers(assistant):
    turns = [Turn("user", "y" * 1900), Turn("assistant", "z" * 1900), Turn("user", "y" * 1900)]
    with pytest.raises(QuestionError, match=r"the conversation has \d+ tokens, \d+ fit"):
        list(assistant.stream(turns, sampling=SHORT))


def test_sampling_out_of_range_is_refused():
    for wrong in ({"max_new_tokens": 0}, {"temperature": -1}, {"top_p": 0}):
        with pytest.raises(QuestionError, match=next(iter(wrong))):
            Sampling(**wrong)


def test_the_answer_is_plain_json_with_its_timings(assistant):
    answer = assistant.ask([sound(1.5)], "What is it?", sampling=SHORT)
    plain = json.loads(json.dumps(answer.to_dict()))
    keys = {"text", "question", "preset", "seed", "windows", "audio", "timings", "versions", "mode"}
    assert keys <= plain.keys()
    assert {"encoders", "prefill", "first_token", "total"} <= plain["timings"].keys()
    assert plain["windows"][0]["chosen"] == list(answer.windows[0].chosen)


@pytest.mark.parametrize("question", [TRANSCRIBE[0], "What is it?"])
@pytest.mark.parametrize(("room", "expected"), [(8, TOGETHER), (7, APART)])
def test_how_windows_are_used_depends_on_their_size_alone(question, room, expected):
    routing = WindowRouting(0, 0.0, 30.0, {}, {}, (), entropy=0.0, margin=0.0)
    window = Window(0, 0.0, 30.0, False, torch.zeros(4, 8), routing, np.zeros(2))
    asked, said = [Turn("user", question, (sound(2),))], [Transcript()]
    told = Told(HINTS, {})
    prompts, mode = asked_prompts(asked, [window, window], said, room, told)
    assert mode == expected
    assert [one.heading for one in prompts] == ([""] if mode == TOGETHER else ["[0:00–0:30] "] * 2)


def test_a_stop_ends_the_listening_at_the_end_of_a_window(assistant, monkeypatch):
    stop, listen = threading.Event(), assistant.model.listen

    def listen_once(*given):
        stop.set()
        return listen(*given)

    monkeypatch.setattr(assistant.model, "listen", listen_once)
    *_, answer = assistant.stream([Turn("user", "What is it?", (sound(95),))], stop=stop)
    assert len(answer.windows) == 1

"""What the model's answers are set beside: audio tokens alone, hints alone, a cascade, swaps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from trainings import HEARING

from mowe.__main__ import main
from mowe.assistant import Assistant, Turn
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.config import HINTS, HintsConfig
from mowe.data.ledger import Ledger
from mowe.data.manifest import read_manifest
from mowe.evaluation import run
from mowe.evaluation.asking import choose
from mowe.evaluation.baselines import BASELINES, Bench
from mowe.evaluation.baselines.cascade import cascade_question
from mowe.evaluation.suites import find_suite
from mowe.evaluation.swaps import TOLD, UNTOLD, summarize_swaps, swap_all

RATE = 16_000
TOLD_OF = HintsConfig(
    heads=True,
    transcript="random",
    sounds={"a bell": "alarm", "rain": "water"},
    labels={"gender": ("man", "woman")},
)


@pytest.fixture(scope="module")
def assistant():
    return Assistant(MoWE.from_config(replace(HEARING, hints=TOLD_OF)))


@pytest.fixture
def bench(assistant, tmp_path):
    """Four recordings, each with a question for its sound, and one for its words."""
    rng, lines = np.random.default_rng(0), []
    for number, answer in enumerate(("A bell.", "Rain.", "A bell.", "Rain.")):
        name = f"{number}.wav"
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(RATE * (1 + number)), RATE)
        turns = [("user", "<audio> What is it?"), ("assistant", answer)]
        messages = [{"role": role, "content": text} for role, text in turns]
        line = {"id": name, "audio": name, "task": "sound", "messages": messages, "split": "dev"}
        lines.append(line | {"label": answer})
    lines.append(lines[0] | {"id": "words", "task": "transcribe"})
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    examples = read_manifest(path)
    questions = choose(examples, find_suite("manifest", examples), tmp_path)
    return Bench(assistant, questions, [], Ledger(tmp_path / "rows.jsonl", {}), None)


def test_columns_leave_out_hints_or_tokens_and_nothing_else(bench, monkeypatch):
    given = []

    def stream(conversation, **settings):
        given.append({name: settings[name] for name in ("hints", "tokens")})
        return Assistant.stream(bench.assistant, conversation, **settings)

    monkeypatch.setattr(bench.assistant, "stream", stream)
    for name, wanted in (
        ("paper-path", {"hints": (), "tokens": True}),
        ("hints-alone", {"hints": None, "tokens": False}),
    ):
        assert len(BASELINES[name](bench)) == len(given) == 5
        assert all(one == wanted for one in given)
        given.clear()


def test_without_tokens_recordings_differ_by_their_hints_alone(assistant):
    rng = np.random.default_rng(0)
    one, two = (load_audio((rng.standard_normal(RATE).astype("f"), RATE)) for _ in range(2))

    def answer(recording, **settings):
        *_, last = assistant.stream([Turn("user", "What is it?", (recording,))], **settings)
        return last.text

    assert answer(one, hints=(), tokens=False) == answer(two, hints=(), tokens=False)
    own = assistant.log_likelihood([one], "What is it?", "Rain.", hints=())
    same = assistant.log_likelihood([one], "What is it?", "Rain.", hints=(), tokens_of=one)
    other = assistant.log_likelihood([one], "What is it?", "Rain.", hints=(), tokens_of=two)
    assert own == same
    assert own != other


def test_swapped_tokens_are_those_of_the_next_with_another_answer(bench):
    rows = swap_all(bench)
    assert [row["id"] for row in rows] == [
        one.identity for one in bench.questions if one.example.task == "sound"
    ]
    for row in rows:
        question = next(one for one in bench.questions if one.identity == row["id"])
        own = load_audio(question.example.audio)
        likely = bench.assistant.log_likelihood([own], "What is it?", row["expected"])
        assert row[TOLD][0] == pytest.approx(likely, abs=1e-3)
        assert row[TOLD][0] != row[TOLD][1]
        assert row[UNTOLD][0] != row[UNTOLD][1]


def test_what_tokens_are_worth_by_hand():
    rows = [
        {"task": "sound", "speaker": "", "audio": f"{number}", TOLD: [-1.0, -1.5], UNTOLD: pair}
        for number, pair in enumerate(([-1.0, -3.0], [-2.0, -3.0], [-1.0, -4.0]))
    ]
    of_task, of_all = summarize_swaps(rows)
    assert (of_task["task"], of_all["task"], of_all["examples"]) == ("sound", "all", 3)
    assert of_all[TOLD] == {"nats": 0.5, "low": 0.5, "high": 0.5}
    assert of_all[UNTOLD]["nats"] == 2.0
    assert 1.0 <= of_all[UNTOLD]["low"] < 2.0 < of_all[UNTOLD]["high"] <= 3.0
    assert summarize_swaps([]) == []


def test_a_cascade_reads_the_transcript_and_answers_once(bench):
    rows = BASELINES["cascade"](bench)
    assert {row["task"] for row in rows} == {"sound"}  # `transcribe` is a baseline of its own
    assert BASELINES["cascade"](bench) == rows
    assert cascade_question("Who?", "It was Tom.").endswith("few words: Who?")
    assert '"It was Tom."' in cascade_question("Who?", "It was Tom.")
    assert "Nobody says anything" in cascade_question("Who?", "")


def test_a_mixture_that_is_told_nothing_has_no_such_columns(tiny_model, bench):
    bare = replace(bench, assistant=Assistant(tiny_model))
    assert [BASELINES[name](bare) for name in ("paper-path", "hints-alone", "cascade")] == [[]] * 3


def test_results_name_the_hints_that_were_given(bench, assistant, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "load", lambda *_, **__: assistant)
    out = tmp_path / "out.json"
    manifest = str(tmp_path / "manifest.jsonl")
    command = ["eval", "--manifest", manifest, "--task", "sound", "--out", str(out)]
    assert main([*command, "--hints", "none", "--swap"]) == 0
    result = json.loads(out.read_text())
    assert result["hints"] == []
    assert [one["task"] for one in result["swaps"]] == ["sound", "all"]
    assert main(command) == 0
    result = json.loads(out.read_text())
    assert result["hints"] == list(HINTS)
    assert "swaps" not in result

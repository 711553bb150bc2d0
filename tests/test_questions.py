"""Lists of questions: what counts as right, what is refused, and a run from the command line."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mowe.__main__ import main
from mowe.errors import ManifestError
from mowe.evaluation.questions import AskedTurn, ListedQuestion, by_group, read_questions

LISTS = Path(__file__).parents[1] / "assets" / "questions"
RATE = 16_000


def question(**fields):
    return ListedQuestion(identity="q", group="g", turns=(AskedTurn("What?"),), **fields)


def line(**changes):
    made = {
        "id": "one",
        "group": "sounds",
        "half": "dev",
        "turns": [{"ask": "What is it?", "audio": ["a.wav"]}],
        "accept": [["dog"]],
    }
    return made | changes


@pytest.fixture
def write(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(RATE) / 9), RATE)

    def written(*lines):
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
        return path

    return written


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("It is a DOG.", True),
        ("Two dogs.", False),
        ("First a bell, then 2 birds!", True),
        ("Two birds.", False),
        ("A dog or a cat.", False),
        ("", False),
    ],
)
def test_an_answer_says_all_of_one_alternative_and_nothing_that_is_rejected(answer, right):
    asked = question(accept=(("dog",), ("bell", "two birds")), reject=("cat",))
    assert asked.is_right(answer) == right


def test_repeating_what_was_heard_is_no_answer():
    asked = question(accept=(("hairpin",),), most_words=3)
    assert asked.is_right("A small hairpin.")
    assert not asked.is_right("Do you have a hairpin?")


@pytest.mark.parametrize(("answer", "right"), [("да", True), ("Нет.", False), ("da", False)])
def test_words_of_other_scripts_are_words(answer, right):
    assert question(accept=(("Да",),)).is_right(answer) == right


def test_a_transcript_may_have_one_word_in_four_wrong():
    asked = question(transcript="We are up in the clouds, my Joey.")
    assert asked.is_right("we're all up in a clouds my joey") is False  # 3 of 8
    assert asked.is_right("We were up in a clouds my Joey")  # 2 of 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"half": "train"}, "as half dev or test"),
        ({"turns": []}, "needs turns"),
        ({"accept": []}, "either accept or transcript"),
        ({"transcript": "a dog"}, "either accept or transcript"),
        ({"accept": [["dog", "?!"]]}, "without a word"),
        ({"accept": [[]]}, "without a word"),
        ({"group": ""}, "is no question"),
        ({"turns": ["What?"]}, "is no question"),
        ({"turns": [{"ask": "What?", "audio": ["b.wav"]}]}, "there is no recording"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(write, tmp_path, changes, words):
    path = write(line(id="zero"), line(**changes))
    with pytest.raises(ManifestError, match=rf"line 2.*{words}"):
        read_questions(path, tmp_path, "dev")


def test_two_questions_of_one_name_are_refused(write, tmp_path):
    with pytest.raises(ManifestError, match="two questions 'one'"):
        read_questions(write(line(), line(half="test")), tmp_path, "dev")


def test_a_half_is_asked_by_itself_and_must_exist(write, tmp_path):
    path = write(line(), line(id="two"))
    assert [one.identity for one in read_questions(path, tmp_path, "dev")] == ["one", "two"]
    for half, words in (("test", "no question of the test half"), ("train", "found 'train'")):
        with pytest.raises(ManifestError, match=words):
            read_questions(path, tmp_path, half)


def test_groups_are_counted_by_themselves_and_together():
    rows = [
        {"id": str(number), "group": group, "correct": correct}
        for number, (group, correct) in enumerate([("b", True), ("a", False), ("b", False)])
    ]
    found = [(one["group"], one["questions"], one["right"]) for one in by_group(rows)]
    assert found == [("b", 2, 1), ("a", 1, 0), ("all", 3, 1)]


def test_a_list_is_asked_from_the_command_line_with_the_models_own_earlier_answers(
    write, tmp_path, capsys
):
    follow = {"turns": [{"ask": "What is it?", "audio": ["a.wav"]}, {"ask": "Sure?"}]}
    path = write(line(), line(id="two", **follow), line(id="three", turns=[{"ask": "Hello?"}]))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("{}\n")
    out = tmp_path / "out.json"
    words = ["eval", "--model", "tiny-random", "--untrained", "--manifest", str(manifest)]
    assert main([*words, "--questions", str(path), "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [len(row["answers"]) for row in rows] == [1, 2, 1]
    assert rows[0]["answers"][0] == rows[1]["answers"][0]
    assert rows[0]["chosen"]
    assert not rows[2]["chosen"]
    assert "| all | 3 | 0 | **0.00** |" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.rows.jsonl"))


def shipped(name, half, folder):
    """A list of the repository, over files that stand for its recordings."""
    lines = [json.loads(one) for one in (LISTS / name).read_text().splitlines()]
    for path in {
        folder / a for one in lines for turn in one["turns"] for a in turn.get("audio", [])
    }:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return read_questions(LISTS / name, folder, half)


def speaker(question):
    """Who speaks in a clip of a list: the part of a play, which its file name begins with."""
    (path,) = question.turns[0].audio
    if path.parent.name == "drascula":
        return path.stem.rstrip("0123456789") or "hero"
    return path.stem[:2]


def test_the_visitors_list_has_eighty_questions_of_every_kind(tmp_path):
    asked = shipped("visitor.jsonl", "dev", tmp_path)
    counts = Counter(one.group for one in asked)
    assert len(asked) == 80
    assert min(counts.values()) >= 4
    assert len(counts) == 11


def test_nobody_speaks_in_both_halves_of_the_open_questions(tmp_path):
    halves = [shipped("open.jsonl", half, tmp_path) for half in ("dev", "test")]
    dev, test = ({speaker(one) for one in half} for half in halves)
    assert [len(half) for half in halves] == [60, 60]
    assert dev
    assert test
    assert not dev & test


def test_a_list_takes_no_settings_of_a_suite(write, tmp_path, capsys):
    path, manifest = write(line()), tmp_path / "manifest.jsonl"
    manifest.write_text("{}\n")
    words = ["eval", "--model", "tiny-random", "--untrained", "--manifest", str(manifest)]
    words += ["--questions", str(path), "--out", str(tmp_path / "out.json")]
    assert main([*words, "--limit", "3", "--baselines", "all"]) == 2
    assert "leave out limit, baselines" in capsys.readouterr().err


def test_a_list_can_be_asked_without_weak_encoders(write, tmp_path):
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out.json"
    manifest.write_text("{}\n")
    words = ["eval", "--model", "tiny-random", "--untrained", "--manifest", str(manifest)]
    asked = [*words, "--questions", str(write(line())), "--out", str(out), "--no-weak"]
    assert main(asked) == 0
    result = json.loads(out.read_text())
    assert result["weak_encoders"] is False
    assert result["rows"][0]["chosen"] == []

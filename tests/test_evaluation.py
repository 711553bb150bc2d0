"""Scores by hand: labels, words, captions, intervals, routing."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mowe.evaluation.captions import NoSynonyms, WordNet, find_synonyms, label_recall, meteor
from mowe.evaluation.choices import summarize_routing
from mowe.evaluation.measures import METRICS, Tally, drawn_units, interval, judge, ratio
from mowe.evaluation.scores import (
    answer_key,
    edits,
    plain_words,
    predicted_label,
    same_words,
    word_error_rate,
)
from mowe.evaluation.summary import judged, summarize
from mowe.statistics import effective_number, mutual_information


def row(task="sound", expected="Rain.", answer="Rain.", **fields):
    made = {
        "id": "a",
        "task": task,
        "source": "s",
        "part": "s",
        "speaker": "",
        "audio": "a.wav",
        "expected": expected,
        "answer": answer,
        "label": plain_words(expected),
        "accept": [],
        "options": [],
        "references": [],
        "label_words": None,
    }
    return made | fields


# --- words --------------------------------------------------------------------------------------


def test_word_error_rate_by_hand():
    # one substitution and one deletion over five words
    assert word_error_rate(["The cat sat down.", "Hi!"], ["the bat sat", "hi"]) == pytest.approx(
        0.4
    )


def test_case_and_punctuation_do_not_count():
    assert plain_words("It\u2019s  FIVE o'clock!") == "it's five o'clock"
    assert same_words("A dog barking.", "a dog barking")
    assert not same_words("A dog barking.", "A cat.")


def test_an_expected_transcript_without_words_is_refused():
    with pytest.raises(ValueError, match="holds no word"):
        word_error_rate(["..."], ["hi"])


@pytest.mark.parametrize(
    ("expected", "answer", "words", "characters"),
    [
        ("the cat sat", "the bat sat down", (2, 3), (6, 11)),  # one letter, then " down"
        ("the cat sat", "", (3, 3), (11, 11)),
        ("", "one two", (2, 0), (7, 0)),  # nothing was said
    ],
)
def test_edits_by_hand(expected, answer, words, characters):
    assert edits(expected, answer) == words
    assert edits(expected, answer, by_character=True) == characters


def test_the_error_rate_of_several_rows_weighs_them_by_their_words():
    rows = [
        row("transcribe", "one two three four", "one two three"),
        row("transcribe", "hi", "ho"),
    ]
    found = judge(rows, "WER", plain_words)
    assert METRICS["WER"](found).whole() == pytest.approx(2 / 5)
    assert METRICS["CER"](found).whole() == pytest.approx((5 + 1) / (18 + 2))


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "accepted", "options", "label"),
    [
        ("a woman", ["A woman."], [], "woman"),
        ("The speaker is a woman.", ["A woman."], ["man", "woman"], "woman"),  # the one named
        ("A man or a woman.", ["A woman."], ["man", "woman"], ""),  # both are named
        ("A man.", ["A woman."], ["man", "woman"], "man"),
        ("Womanly.", ["A woman."], ["man", "woman"], ""),  # a part of a word is not the word
        ("The speaker is a woman.", ["A woman."], [], ""),  # open: only in full
        ("It is a woman.", ["A woman.", "It is a woman."], [], "woman"),
        ("A dog barking.", ["A woman."], [], "dog bark"),  # what other examples answer
    ],
)
def test_the_label_an_answer_stands_for(answer, accepted, options, label):
    known = {"a dog barking": "dog bark"}
    assert predicted_label(answer, "woman", accepted, options, known) == label


def test_a_number_word_equals_its_digit():
    assert answer_key("Three!") == answer_key("3")
    assert predicted_label("3", "three", ["Three."], [], {}) == "three"
    assert predicted_label("I hear 3.", "three", ["Three."], ["two", "three"], {}) == "three"


def test_an_answer_right_for_another_question_with_the_same_label_is_wrong():
    rows = [
        row("unanswerable", "Nobody speaks.", "I hear no animal.", label="cannot tell"),
        row("unanswerable", "I hear no animal.", "I hear no animal.", label="cannot tell"),
    ]
    assert [one["correct"] for one in judge(rows, "accuracy", str)] == [False, True]


def test_macro_f1_equals_scikit_learn_over_the_labels_that_occur():
    true = ["a", "a", "a", "b", "b", "c"]
    said = ["a", "a", "b", "b", "", "d"]  # d is never right, "" is no label
    rows = [row(label=one, predicted=two) for one, two in zip(true, said, strict=True)]
    expected = f1_score(true, said, labels=["a", "b", "c"], average="macro", zero_division=0)
    assert METRICS["macro F1"](rows).whole() == pytest.approx(expected)


# --- captions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # the examples of NLTK's own tests; one chunk of 6 words costs 0.5 * (1 / 6) ** 3
        ("The cat sat on the mat", "The cat sat on the mat", 1 - 0.5 * (1 / 6) ** 3),
        ("on the mat sat the cat", "The cat sat on the mat", 0.5),
        ("The cat was sat on the mat", "The cat sat on the mat", 0.9654),
        ("John loves Mary", "The candidate has no alignment", 0.0),
    ],
)
def test_meteor_gives_published_values(answer, reference, expected):
    assert meteor(answer, [reference], NoSynonyms()) == pytest.approx(expected, abs=1e-4)


def test_meteor_by_hand_with_a_stem_match_and_a_missing_word():
    # 3 of 3 and 3 of 4 words in one chunk: F = 10PR / (R + 9P), penalty 0.5 * (1 / 3) ** 3
    precision, recall = 1.0, 3 / 4
    f_mean = precision * recall / (0.9 * precision + 0.1 * recall)
    expected = f_mean * (1 - 0.5 * (1 / 3) ** 3)
    assert meteor("a dog barks", ["A dog barking loudly."], NoSynonyms()) == pytest.approx(expected)


def test_meteor_without_wordnet_knows_no_synonyms_and_takes_the_best_reference():
    assert meteor("car", ["automobile"], NoSynonyms()) == 0
    assert meteor("a dog barks", ["It rains.", "A dog barks."], NoSynonyms()) > 0.9
    # 3 of 4 words in two chunks, "the" and "fell asleep": F = 3 / 4, penalty 0.5 * (2 / 3) ** 3
    expected = 3 / 4 * (1 - 0.5 * (2 / 3) ** 3)
    found = meteor("the kid fell asleep", ["The child fell asleep."], NoSynonyms())
    assert found == pytest.approx(expected)


@pytest.fixture
def wordnet():
    found = find_synonyms()
    if not isinstance(found, WordNet):
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    return found


def test_meteor_with_wordnet_takes_a_synonym_for_the_word(wordnet):
    assert wordnet.variant == "METEOR (exact, stem, WordNet synonyms)"
    # one word of one in one chunk: F = 1, penalty 0.5
    assert meteor("kid", ["child"]) == pytest.approx(0.5)
    assert meteor("car", ["automobile"]) == 0  # NLTK looks for "automobil", which is no word
    # all four words in one chunk: F = 1, penalty 0.5 * (1 / 4) ** 3
    found = meteor("the kid fell asleep", ["The child fell asleep."])
    assert found == pytest.approx(1 - 0.5 * (1 / 4) ** 3)
    # "barks" and "barking" by stem; a hound and a dog can both be a cad: 3 of 3 in one chunk
    found = meteor("a hound barks", ["a dog barking"])
    assert found == pytest.approx(1 - 0.5 * (1 / 3) ** 3)
    # "puppy" is no synonym of "dog": 2 of 3, chunks "a" and "barks"
    found = meteor("a puppy barks", ["a dog barking"])
    assert found == pytest.approx(2 / 3 * (1 - 0.5 * (2 / 2) ** 3))


def test_a_folder_without_wordnet_leaves_synonyms_out_and_the_name_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    found = find_synonyms.__wrapped__()
    assert found.variant == "METEOR (exact, stem, without synonyms)"
    assert meteor("car", ["automobile"], found) == 0


def test_label_recall_counts_sounds_named_by_a_telling_word():
    assert label_recall("Dogs are barking.", "dog bark") == 1
    assert label_recall("A person speaks.", "person sneeze") == 0  # "person" tells nothing
    assert label_recall("A dog barks, then it rains.", "dog bark, rain, rooster") == pytest.approx(
        2 / 3
    )
    assert label_recall("A cock crows.", "rooster", {"rooster": ["cock", "rooster"]}) == 1


def test_a_caption_is_compared_with_every_right_one():
    rows = [row("caption", "A dog barks.", "Rain falls.", accept=["Rain falls."], label="rain")]
    assert judge(rows, "METEOR", str)[0]["meteor"] > 0.9
    only = [rows[0] | {"references": ["A dog barks."]}]
    assert judge(only, "METEOR", str)[0]["meteor"] == 0


# --- intervals ----------------------------------------------------------------------------------


def test_speakers_are_drawn_where_there_are_five_and_clips_otherwise():
    four = [row(speaker=f"p{number % 4}", audio=f"{number}.wav") for number in range(8)]
    assert drawn_units(four)[1] == "clips"
    units, kind = drawn_units([*four, row(speaker="p4"), row(speaker="unnamed", audio="u.wav")])
    assert kind == "speakers"
    assert set(units) == {"p0", "p1", "p2", "p3", "p4", "u.wav"}


def test_the_interval_widens_when_the_rows_of_a_speaker_go_together():
    right = np.repeat([1.0, 0.0], 100)
    tally = Tally(np.stack([right, np.ones(200)], axis=1), ratio)
    alone = interval(tally, [str(number) for number in range(200)], 0)
    together = interval(tally, [str(number // 20) for number in range(200)], 0)
    # standard errors sqrt(.25 / 200) and sqrt(.25 / 10)
    assert alone == pytest.approx((0.43, 0.57), abs=0.015)
    assert together == pytest.approx((0.2, 0.8), abs=0.11)
    assert interval(tally, ["one"] * 200, 0) == (0.5, 0.5)


def test_the_summary_groups_by_task_and_part_and_brackets_the_value():
    answers = ["Rain.", "rain", "A dog.", "Rain."]
    rows = [row(answer=one, audio=f"{number}.wav") for number, one in enumerate(answers)]
    accuracy, f1 = summarize(judged([*rows], plain_words))
    assert (accuracy["metric"], accuracy["examples"], accuracy["value"]) == ("accuracy", 4, 0.75)
    assert accuracy["low"] < 0.75 < accuracy["high"]
    assert (accuracy["drawn"], accuracy["units"], accuracy["group"]) == ("clips", 4, "AQA")
    assert f1["value"] == pytest.approx(2 * 3 / (2 * 3 + 1), abs=1e-4)


# --- routing ------------------------------------------------------------------------------------


def test_the_effective_number_of_encoders_by_hand():
    assert effective_number([0.25] * 4) == pytest.approx(4)
    assert effective_number([7, 0, 0]) == pytest.approx(1)
    assert effective_number([0.5, 0.25, 0.25]) == pytest.approx(2**1.5)


def test_a_choice_that_follows_the_task_is_found():
    clips = [str(number) for number in range(60)]
    labels = ["speech" if number % 2 else "sound" for number in range(60)]
    found = mutual_information(labels, clips, dict(zip(clips, labels, strict=True)), 0)
    assert found["nats"] == pytest.approx(np.log(2), abs=1e-4)
    assert found["p"] == pytest.approx(1 / 1001, abs=1e-5)


def test_a_choice_apart_from_the_task_is_not():
    clips = [str(number) for number in range(64)]
    labels = ["speech" if number % 2 else "sound" for number in range(64)]
    choice = {clip: "ab"[number // 2 % 2] for number, clip in enumerate(clips)}
    found = mutual_information(labels, clips, choice, 0)
    assert found["nats"] == pytest.approx(0, abs=1e-9)  # each pair occurs as often
    assert found["p"] == 1


def test_many_questions_about_few_clips_do_not_look_like_dependence():
    # two clips of each kind, asked fifty times: as rows, this would be 200 in agreement
    clips = [f"{kind}{number % 2}" for kind in "ab" for number in range(100)]
    choice = {"a0": "x", "a1": "x", "b0": "y", "b1": "y"}
    found = mutual_information([clip[0] for clip in clips], clips, choice, 0)
    assert found["p"] > 0.3  # by chance, one draw in three agrees as well


def test_the_routing_of_a_run_in_numbers():
    def routed(task, audio, dependent, chosen):
        independent = {"x": 0.5, "y": 0.5}
        extra = {"independent": independent, "dependent": dependent, "chosen": chosen}
        return row(task, audio=audio, **extra)

    rows = [
        routed("sound", "1", {"x": 1.0, "y": 0.0}, ["x"]),
        routed("sound", "2", {"x": 1.0, "y": 0.0}, ["x"]),
        routed("gender", "3", {"x": 0.0, "y": 1.0}, ["x", "y"]),
        routed("gender", "4", {"x": 0.0, "y": 1.0}, ["x", "y"]),
    ]
    found = summarize_routing(rows)
    assert found["usage"] == {"x": 1.0, "y": 0.5}
    assert found["routers"]["independent"]["effective_encoders"] == 2
    assert found["routers"]["dependent"]["mean"] == {"x": 0.5, "y": 0.5}
    assert found["dependent_choice_by_task"] == {"sound": {"x": 2}, "gender": {"y": 2}}
    assert found["task_and_choice"]["nats"] == pytest.approx(np.log(2), abs=1e-4)
    assert summarize_routing([row(dependent={}, independent={}, chosen=[])]) == {}

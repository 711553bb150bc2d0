"""Scores by hand."""

import pytest

from mowe.evaluation.run import summarize
from mowe.evaluation.scores import plain_words, same_words, word_error_rate


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


def test_the_summary_groups_by_task_and_source_and_brackets_the_value():
    rows = [
        {"task": "sound", "source": "a", "expected": "Rain.", "answer": answer}
        for answer in ["Rain.", "rain", "A dog.", "Rain."]
    ]
    (line,) = summarize(rows)
    assert (line["examples"], line["value"]) == (4, 0.75)
    assert line["low"] <= 0.75 <= line["high"]
    assert line["low"] < line["high"]

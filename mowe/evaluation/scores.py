"""How one answer is compared with what was expected."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import jiwer

_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
DIGITS = {word: str(number) for number, word in enumerate(_SMALL_NUMBERS.split())}


def plain_words(text: str) -> str:
    """Lower case, letters and digits of any script and apostrophes, single spaces."""
    plain = unicodedata.normalize("NFKC", text.replace("\u2019", "'")).lower()
    return " ".join(re.findall(r"(?:[^\W_]|')+", plain))


def word_error_rate(expected: Sequence[str], answers: Sequence[str]) -> float:
    """Substituted, deleted and inserted words over expected words, after `plain_words`.

    Raises:
        ValueError: If an expected text holds no word.
    """
    references = [plain_words(text) for text in expected]
    if not all(references):
        raise ValueError("an expected transcript holds no word")
    return float(jiwer.wer(references, [plain_words(text) for text in answers]))


def edits(expected: str, answer: str, *, by_character: bool = False) -> tuple[int, int]:
    """Substitutions, deletions and insertions that make the answer, and the expected length.

    Args:
        expected: Normalised text; without a word, every word of the answer is an insertion.
        answer: Normalised text.
        by_character: Count characters, with spaces, instead of words.
    """
    if not expected:
        return len(answer if by_character else answer.split()), 0
    compare = jiwer.process_characters if by_character else jiwer.process_words
    found = compare(expected, answer)
    wrong = found.substitutions + found.deletions
    return wrong + found.insertions, found.hits + wrong


def same_words(expected: str, answer: str) -> bool:
    """Whether both say the same words; case and punctuation aside."""
    return plain_words(expected) == plain_words(answer)


def answer_key(text: str) -> str:
    """What two equal answers share: plain words, with small numbers as digits."""
    return " ".join(DIGITS.get(word, word) for word in plain_words(text).split())


def named_options(answer: str, options: Sequence[str]) -> list[str]:
    """The options whose words occur in the answer, in one piece."""
    said = f" {answer_key(answer)} "
    return [option for option in options if f" {answer_key(option)} " in said]


def predicted_label(
    answer: str,
    right: str,
    accepted: Sequence[str],
    options: Sequence[str],
    known: Mapping[str, str],
) -> str:
    """The label an answer stands for; empty where it stands for none.

    Args:
        answer: What the model said.
        right: The label of the example.
        accepted: Every right answer in full.
        options: The labels a closed question allows; exactly one must be named.
        known: Label by the `answer_key` of answers to other examples of the task.
    """
    key = answer_key(answer)
    if key and key in {answer_key(one) for one in accepted}:
        return right
    named = named_options(answer, options)
    if len(named) == 1:
        return named[0]
    found = known.get(key, "")
    return "" if found == right else found  # right elsewhere only: a wrong answer here

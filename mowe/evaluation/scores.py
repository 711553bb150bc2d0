"""How an answer is compared with what was expected."""

import re
from collections.abc import Sequence

import jiwer


def plain_words(text: str) -> str:
    """Lower case, letters, digits and apostrophes only, single spaces."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'")))


def word_error_rate(expected: Sequence[str], answers: Sequence[str]) -> float:
    """Substituted, deleted and inserted words over expected words, after `plain_words`.

    Raises:
        ValueError: If an expected text holds no word.
    """
    references = [plain_words(text) for text in expected]
    if not all(references):
        raise ValueError("an expected transcript holds no word")
    return float(jiwer.wer(references, [plain_words(text) for text in answers]))


def same_words(expected: str, answer: str) -> bool:
    """Whether both say the same words; case and punctuation aside."""
    return plain_words(expected) == plain_words(answer)

"""Hints as lines of text for a language model."""

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_STRING = 5  # digits in a row from which figures are read out one by one, as in a phone number
_FIGURES = re.compile(r"\d(?:[\d,.\s-]*\d)?")  # with what may stand between them


def spelled(text: str) -> str:
    """Strings of digits as words, one by one; other numbers stay as they are.

    Whisper writes `573-602` where six digits are read out, and a small language model that is asked
    for the third of them counts words, not figures. What is nothing but figures is a string of
    digits too, however short: `7`, `1, 2.`.
    """
    only_figures = not re.search(r"[^\W\d_]", text)

    def words(found: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", found[0])
        if not digits.isascii() or not (only_figures or len(digits) >= _STRING):
            return found[0]
        return " ".join(DIGITS[int(digit)] for digit in digits)

    return _FIGURES.sub(words, text)

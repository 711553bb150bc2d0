"""Cleaning of transcripts, so that the text is what a listener would write down."""

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SHOUTED = re.compile(r"\b[A-Z]{2,}(?:'[A-Z]+)?\b")
_ALLOWED = re.compile(r"[A-Za-z0-9 ',.!?;:\"-]+")
ACRONYMS = frozenset({"OK", "TV", "USA", "PIN", "PBX", "ID", "IP", "IVR", "CPU", "DND", "IAX"})


def spell_digits(text: str) -> str:
    """Digits that stand alone, as words: `Press 7` is spoken `Press seven`."""
    return re.sub(r"\b\d\b", lambda match: DIGITS[int(match[0])], text)


def calm(text: str) -> str:
    """Words in capitals for emphasis, in small letters; known acronyms stay."""
    return _SHOUTED.sub(lambda match: match[0] if match[0] in ACRONYMS else match[0].lower(), text)


def from_capitals(text: str) -> str:
    """Text that was all in capitals, with capitals only where sentences begin and in `I`."""
    small = re.sub(r"\bi\b", "I", text.lower())
    return re.sub(r"(^|[.!?]\s+)([a-z])", lambda match: match[1] + match[2].upper(), small)


def sentence_case(text: str) -> str:
    """A first letter in capitals and a mark at the end."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text.rstrip(",;:- ") + "."


def spoken_sentence(text: str) -> str:
    """A script line as a sentence, or an empty string if it cannot be read unambiguously.

    Keys are named (`#` is `pound`, `*` is `star`), single digits spelt, stage marks removed.
    Lines with longer numbers or unknown signs are given up.
    """
    text = text.replace("*", " star ").replace("#", " pound ")
    text = text.replace("\u2019", "'").replace("_", " ").replace("...", ", ").strip(" ,")
    text = re.sub(r"\s+([,.!?;:])", r"\1", re.sub(r"\s+", " ", text))
    text = re.sub(r",(?=[.!?;:,])", "", text)
    text = spell_digits(calm(text.replace('"', "")))
    if not _ALLOWED.fullmatch(text) or re.search(r"\d", text) or not re.search("[A-Za-z]", text):
        return ""
    return sentence_case(text)

"""Which key does what: read from the text of telephone prompts."""

import random
import re

from corpus.clips import Ask, Clip
from corpus.wording import NUMBERS, PROMPT

WORDINGS = 3  # questions about one key
_KEY = rf"(?:{'|'.join(NUMBERS)}|star|pound)"
_KEY_FIRST = re.compile(
    rf"\b(?:press|or) ({_KEY}) ((?:to|for) .+?)"
    rf"(?=[,.;]| (?:or )?(?:press|otherwise)\b| or {_KEY} (?:to|for)\b|$)"
)
_PURPOSE_FIRST = re.compile(rf"\b(to [^,.;]+?),? press ({_KEY})\b")
_UNCLEAR = re.compile(rf"\b{_KEY} or {_KEY}\b|\botherwise\b")
_MINE = {"your": "my", "yourself": "myself", "yours": "mine", "you": "I"}


def keys(text: str) -> list[tuple[str, str]]:
    """Purpose and key of every choice that a prompt offers, such as `to exit` and `pound`."""
    small = text.lower()
    if _UNCLEAR.search(small):
        return []
    if small.startswith("to "):
        found = [(purpose, key) for purpose, key in _PURPOSE_FIRST.findall(small)]
    else:
        found = [(purpose, key) for key, purpose in _KEY_FIRST.findall(small)]
    return [(purpose, key) for purpose, key in found if re.search(r" \w+ \w|for \w|\w{4}$", purpose)
            and not re.search(r" (to|for)$", purpose)]  # fmt: skip


def prompt_questions(clip: Clip) -> list[Ask]:
    """Several wordings for every key of a prompt."""
    asks = []
    for purpose, key in keys(clip.text):
        mine = re.sub(r"\byou(r|rself|rs)?\b", lambda match: _MINE[match[0]], purpose)
        rng = random.Random(f"{clip.name} {key}")
        for text in rng.sample(PROMPT, WORDINGS):
            turns = ((text.format(purpose=mine), f"Press {key}."),)
            accept = (f"{key.capitalize()}.", f"The {key} key.")
            asks.append(Ask(task="prompts", turns=turns, label=key, accept=accept))
    return asks

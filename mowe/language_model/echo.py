"""A transcript keeps to what was read (decision 0017)."""

import re
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from torch import Tensor

BONUS = 6.0  # nats for a token that goes on with the reading
_AHEAD = 2  # words of the reading that a transcript may pass over and still be followed
_MISSED = 2  # words of its own after which at most so many of the reading count as replaced
_ENDS = (".", "?", "!")


class Echo(transformers.LogitsProcessor):
    """Prefers tokens that go on with a text that was read, in either case, and its end.

    A small language model that is asked for a transcript rewrites what sounds unusual. What it
    says is aligned with the reading word by word; the reading's next word, or a full stop and the
    end where all of it is said, get a bonus. Any other token that the model is sure of still wins.
    """

    def __init__(self, tokenizer: Any, text: str, bonus: float = BONUS) -> None:
        """Follow `text`, words in lower case without punctuation; an empty one prefers nothing."""
        self.tokenizer, self.bonus = tokenizer, bonus
        self.words = _words(text)
        self.spelt = [self._spellings(" ", word) for word in self.words]
        self.opening = self._spellings("", self.words[0]) if self.words else []
        ends = [tokenizer.encode(sign, add_special_tokens=False)[:1] for sign in _ENDS]
        self.ends = [[tokenizer.eos_token_id], *ends]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores `(batch, vocabulary)` with the bonus, after replies `(batch, tokens)` so far."""
        if not self.words:
            return scores
        raised = scores.clone()
        for row, ids in enumerate(input_ids.tolist()):
            raised[row, torch.tensor(self.next_tokens(ids), device=scores.device)] += self.bonus
        return raised

    def next_tokens(self, ids: Sequence[int]) -> list[int]:
        """The tokens that go on with the reading after a reply of `ids`, each once."""
        said = _words(self.tokenizer.decode(list(ids)))
        within = self._continued(list(ids), said)
        if within:
            return sorted(within)
        found = set() if ids else {spelling[0] for spelling in self.opening}
        for place in self._places(said):
            spellings = self.spelt[place] if place < len(self.words) else self.ends
            found |= {one[0] for one in spellings}
        return sorted(found)

    def _places(self, said: Sequence[str]) -> range:
        """Where in the reading the word after `said` may be."""
        place = missed = 0
        for word in said:
            ahead = self.words[place : place + 1 + missed + _AHEAD]
            if word in ahead:
                place, missed = place + ahead.index(word) + 1, 0
            else:
                missed = min(missed + 1, _MISSED)
        return range(place, min(place + missed, len(self.words)) + 1)

    def _continued(self, ids: list[int], said: list[str]) -> set[int]:
        """Tokens that go on with a word of the reading that is begun, be it only its space."""
        found = {
            spelling[len(ids)]
            for spelling in self.opening
            if 0 < len(ids) < len(spelling) and ids == spelling[: len(ids)]
        }
        for begun, places in ((said[-1:], self._places(said[:-1])), ([], self._places(said))):
            spellings = [one for place in places for one in self.spelt[place : place + 1]]
            for spelling in (one for several in spellings for one in several):
                for length in range(1, len(spelling)):
                    part = spelling[:length]
                    if ids[-length:] == part and _words(self.tokenizer.decode(part)) == begun:
                        found.add(spelling[length])
        return found

    def _spellings(self, before: str, word: str) -> list[list[int]]:
        forms = {word, word[:1].upper() + word[1:], word.upper()}
        return [
            self.tokenizer.encode(before + form, add_special_tokens=False) for form in sorted(forms)
        ]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())

"""Scores of descriptions: METEOR, and whether they name what is heard.

METEOR is NLTK's without the stage that needs WordNet: exact matches, then equal Porter stems, with
NLTK's weights (alpha 0.9, beta 3, gamma 0.5). METEOR 1.5, which published caption scores use, also
knows synonyms and paraphrases and weighs otherwise: its numbers are not comparable.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score

from mowe.evaluation.scores import plain_words

VARIANT = "NLTK's METEOR with exact and Porter stem matches, without synonyms"
# words of labels that do not tell one sound from another
VAGUE = frozenset(
    ("a", "an", "and", "from", "in", "of", "on", "or", "out", "person", "sound", "the")
)


class NoSynonyms:
    """Stands in for WordNet: no word has a synonym."""

    def synsets(self, word: str) -> list[object]:
        """Nothing, whatever the word."""
        return []


def meteor(answer: str, references: Sequence[str]) -> float:
    """The best score of the answer against one of several references, 0 to 1."""
    wordings = [plain_words(text).split() for text in references]
    return float(meteor_score(wordings, plain_words(answer).split(), wordnet=NoSynonyms()))


def label_recall(
    answer: str, label: str, words: Mapping[str, Sequence[str]] | None = None
) -> float:
    """Share of the sounds in a label that the answer names by at least one telling word.

    Args:
        answer: A description.
        label: One label or several, `dog bark, rain`.
        words: Synonyms by label; without, the label's own words count. Words match by stem.
    """
    said = {stem(word) for word in plain_words(answer).split()}
    labels = [one.strip() for one in label.split(",") if one.strip()]
    named = 0
    for one in labels:
        wanted = plain_words(" ".join((words or {}).get(one) or [one])).split()
        named += bool(said & {stem(word) for word in wanted if word not in VAGUE})
    return named / len(labels) if labels else 0.0


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """The word's Porter stem, in NLTK's version of the rules."""
    found: str = PorterStemmer().stem(word)
    return found

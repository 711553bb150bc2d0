"""Scores of descriptions: METEOR, and whether they name what is heard.

METEOR is NLTK's: exact matches, then equal Porter stems, then synonyms, with its weights (alpha
0.9, beta 3, gamma 0.5). Synonyms are WordNet's where Debian's package `wordnet-base` is installed;
without it scores are lower, and the measure's name says so. NLTK looks them up by stem, so a word
whose stem is no word has none ("automobile"), as in every score made with NLTK. METEOR 1.5 also
knows paraphrases and weighs otherwise: its numbers are not comparable.
"""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score

from mowe.evaluation.scores import plain_words

WORDNET = "/usr/share/wordnet"  # unless WNSEARCHDIR, WordNet's own variable, names another folder
# words of labels that do not tell one sound from another
VAGUE = frozenset(
    ("a", "an", "and", "from", "in", "of", "on", "or", "out", "person", "sound", "the")
)


class NoSynonyms:
    """Stands in for WordNet: no word has a synonym."""

    variant = "METEOR (exact, stem, without synonyms)"

    def synsets(self, word: str) -> list[object]:
        """Nothing, whatever the word."""
        return []


class WordNet(WordNetCorpusReader):
    """WordNet 3.0 as Debian lays it out: without the names of the lexicographers' files."""

    variant = "METEOR (exact, stem, WordNet synonyms)"

    def open(self, file: str) -> Any:
        """One of its files; numbers stand for the names that are missing, which no score needs."""
        if file == "lexnames":
            return io.StringIO("".join(f"{number:02}\t{number}\t0\n" for number in range(45)))
        return super().open(file)

    def map_wn(self, version: str = "wordnet") -> None:
        """Places of other versions' entries; only other languages need them."""


@cache
def find_synonyms() -> "WordNet | NoSynonyms":
    """WordNet where it is installed."""
    folder = Path(os.environ.get("WNSEARCHDIR", WORDNET))
    if not (folder / "data.noun").is_file():
        return NoSynonyms()
    if str(folder) not in nltk.data.path:  # NLTK opens no file below another folder
        nltk.data.path.append(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # other languages are not available
        return WordNet(str(folder), None)


def meteor(
    answer: str, references: Sequence[str], synonyms: WordNet | NoSynonyms | None = None
) -> float:
    """The best score of the answer against one of several references, 0 to 1.

    Args:
        answer: A description.
        references: Right ones.
        synonyms: Whose; those of `find_synonyms` by default.
    """
    wordnet = synonyms or find_synonyms()
    wordings = [plain_words(text).split() for text in references]
    return float(meteor_score(wordings, plain_words(answer).split(), wordnet=wordnet))


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

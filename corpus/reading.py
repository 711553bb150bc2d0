"""Questions that a sentence answers in its own words, for a language model that learns to read.

There is no parser among the packages: a sentence is cut by the words of closed classes and by what
WordNet's index says a word may be. Where that leaves a doubt, nothing is asked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from corpus.download import CorpusError
from corpus.wording import NUMBERS, capitalized


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETERMINERS = _words(
    """
    a an the my your his her its our their this that these those some any no another every each
    """
)
_OF_ONE = ("a", "an", "the", "my", "his", "her", "their", "your")  # before a thing and its kind
# as a speaker says them: as somebody else asks about them
_PERSONS = {"i": "the speaker", "we": "they", "he": "he", "she": "she", "they": "they"}
_POSSESSIVES = {"my": "the speaker's", "our": "their"}
_MODALS = _words("can could will would must should may might")
_AUXILIARY = ("be", "have", "do")  # before another verb they are no verbs of their own
_INTENT = _words("want need try plan decide promise hope love like refuse have")
_PLACES = _words("in on at under behind near inside beside between above below into onto")
# joint before what comes behind a verb and its object: how it is asked for
_JOINTS = dict.fromkeys(_PLACES, "Where {}?") | {
    "from": "Where {} from?",
    "with": "With whom or what {}?",
    "for": "For whom or what {}?",
}
_COUNTED = {*NUMBERS[2:], "ten", "eleven", "twelve", "twenty", "thirty", "hundred"}
_NO_KIND = _words("only first last same next own very")
_NO_NOUN = _words(
    """
    a about all am an and are as at be been but by can did do does down for from had has have he her
    him his i if in is it its may me might more most must my no not of off on one only or other our
    out over own she should so some such than that the their them then there these they this those
    to too two under up us very was we were what when where which who will with would you your
    """
)
_TOKEN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|\d+|[.,;:?!]")
_STOPS = ".,;:?!"
_LONGEST_PHRASE, _LONGEST_REASON = 5, 11  # words


class Reading(NamedTuple):
    """A question and what the sentence answers."""

    question: str
    answer: str


@dataclass(frozen=True)
class Lexicon:
    """What words may be, by WordNet."""

    nouns: frozenset[str]
    verbs: frozenset[str]
    adjectives: frozenset[str]
    irregular: dict[str, str]  # form of a verb: its base
    plurals: dict[str, str]  # irregular plural: its singular

    @classmethod
    def read(cls, folder: Path) -> "Lexicon":
        """Read the index and the lists of exceptions.

        Args:
            folder: Any folder above WordNet's `index.*` and `*.exc`.

        Raises:
            CorpusError: If they are not there.
        """

        def lines(name: str) -> list[str]:
            path = next(iter(sorted(folder.rglob(name))), None)
            if path is None:
                raise CorpusError(f"{folder} holds no {name} of WordNet")
            return path.read_text(encoding="utf-8").splitlines()

        def index(kind: str) -> frozenset[str]:
            found = (one.split(" ", 1)[0] for one in lines(f"index.{kind}"))
            return frozenset(one for one in found if one.isalpha() and len(one) > 1) - _NO_NOUN

        def exceptions(kind: str) -> dict[str, str]:
            rows = (one.split() for one in lines(f"{kind}.exc"))
            return {row[0]: row[1] for row in rows}

        return cls(
            index("noun"), index("verb"), index("adj"), exceptions("verb"), exceptions("noun")
        )

    def base_of_past(self, form: str) -> str:
        """The base of a verb's past form; empty where it is none."""
        if form in self.irregular and not form.endswith("ing"):
            return self._verb([self.irregular[form]])
        doubled = re.fullmatch(r"(\w*?(\w))\2ed", form)
        ends = (("ied", "y"), ("ed", ""), ("ed", "e"))
        found = [form.removesuffix(end) + instead for end, instead in ends if form.endswith(end)]
        return self._verb([*found, doubled[1] if doubled else ""])

    def base_of_third(self, form: str) -> str:
        """The base of a verb's form behind he, she or it; empty where it is none."""
        ends = (("ies", "y"), ("es", ""), ("s", ""))
        return self._verb(
            [form.removesuffix(end) + instead for end, instead in ends if form.endswith(end)]
        )

    def _verb(self, forms: Sequence[str]) -> str:
        return next((one for one in forms if one in self.verbs), "")

    def is_noun(self, word: str) -> bool:
        """Whether a word may be a noun, singular or plural."""
        return word in self.nouns or self.is_plural(word)

    def is_plural(self, word: str) -> bool:
        """Whether a word may be the plural of a noun."""
        ends = (("s", ""), ("es", ""), ("ies", "y"))
        singular = (word.removesuffix(end) + instead for end, instead in ends if word.endswith(end))
        return word in self.plurals or any(one in self.nouns for one in singular)


class _Phrase(NamedTuple):
    text: str
    end: int  # place behind it


class _Verb(NamedTuple):
    helper: str  # did, does, do or a modal: what a question begins with
    base: str
    form: str  # as it is said
    end: int  # place behind it


class QuestionFinder:
    """Finds questions that a sentence answers."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Read with a lexicon."""
        self.lexicon = lexicon

    def ask(self, text: str) -> list[Reading]:
        """Every question with one answer, the answer in words of the text."""
        found: list[Reading] = []
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            words = _TOKEN.findall(sentence)
            if words and words[-1] != "?":
                for ask in (self._clause, self._reason, self._numbers, self._kinds, self._names):
                    found += ask(words)
        questions = [one.question for one in found]
        return [one for one in found if questions.count(one.question) == 1]

    def _phrase(self, words: Sequence[str], start: int) -> _Phrase | None:
        """A noun with its determiner or number and its adjectives, or a name."""
        if start < len(words) and words[start].lower() in _DETERMINERS | _COUNTED:
            fits, place = self._may_belong, start + 1
        else:
            fits, place = _is_name, start
        while place < len(words) and fits(words[place]) and place:
            place += 1
        last = words[place - 1].lower() if place > start else ""
        a_noun = fits is _is_name or self.lexicon.is_noun(last)
        if not a_noun or not start < place <= start + _LONGEST_PHRASE:
            return None
        first, *rest = words[start:place]
        first = _POSSESSIVES.get(first.lower(), first if fits is _is_name else first.lower())
        return _Phrase(" ".join([first, *rest]), place)

    def _may_belong(self, word: str) -> bool:
        plain = word.lower()
        known = plain in self.lexicon.adjectives or self.lexicon.is_noun(plain)
        return plain.isalpha() and known and plain not in _NO_NOUN

    def _clause(self, words: Sequence[str]) -> Iterator[Reading]:
        """Who does what, to what, and where, with what or for whom."""
        person = words[0].lower() in _PERSONS
        subject = _Phrase(_PERSONS[words[0].lower()], 1) if person else self._phrase(words, 0)
        verb = self._verb(words, subject.end) if subject else None
        if subject is None or verb is None:
            return
        asked = f"{verb.helper} {subject.text} {verb.base}"
        intent = self._intent(words, verb)
        if intent:
            yield Reading(f"What {asked} to do?", capitalized(intent))
            return
        goal = self._phrase(words, verb.end)
        if goal is None:
            yield from self._beside(words, verb.end, asked)
            return
        yield Reading(f"What {asked}?", capitalized(goal.text))
        if not person:
            yield Reading(f"Who or what {verb.form} {goal.text}?", capitalized(subject.text))
        yield from self._beside(words, goal.end, f"{asked} {goal.text}")

    def _verb(self, words: Sequence[str], place: int) -> _Verb | None:
        """The verb of a clause, and how a question about it begins."""
        form, behind = ([one.lower() for one in words[place : place + 2]] + ["", ""])[:2]
        first_or_many = words[0].lower() in ("i", "we", "they")
        if form in _MODALS and behind in self.lexicon.verbs:
            return _Verb(form, behind, f"{form} {behind}", place + 2)
        if base := self.lexicon.base_of_past(form):
            helping = base in _AUXILIARY and self.lexicon.base_of_past(behind)
            return None if helping or behind == "not" else _Verb("did", base, form, place + 1)
        if first_or_many and form in self.lexicon.verbs:
            helper = "does" if words[0] == "I" else "do"
            return _Verb(helper, form, form, place + 1)
        if not first_or_many and (base := self.lexicon.base_of_third(form)):
            return _Verb("does", base, form, place + 1)
        return None

    def _intent(self, words: Sequence[str], verb: _Verb) -> str:
        """What somebody wants to do; empty where that is not said."""
        to, does = ([one.lower() for one in words[verb.end : verb.end + 2]] + ["", ""])[:2]
        if verb.base not in _INTENT or to != "to" or does not in self.lexicon.verbs:
            return ""
        return " ".join(words[verb.end + 1 : _end(words, verb.end)])

    def _beside(self, words: Sequence[str], place: int, asked: str) -> Iterator[Reading]:
        joint = words[place].lower() if place < len(words) else ""
        phrase = self._phrase(words, place + 1)
        if joint in _JOINTS and phrase is not None:
            yield Reading(_JOINTS[joint].format(asked), capitalized(f"{joint} {phrase.text}"))

    def _reason(self, words: Sequence[str]) -> Iterator[Reading]:
        plain = [one.lower() for one in words]
        if plain.count("because") == 1:
            place = plain.index("because")
            reason = words[place : _end(words, place)]
            if place > 2 and 3 <= len(reason) <= _LONGEST_REASON:
                yield Reading("Why?", capitalized(" ".join(reason)))

    def _numbers(self, words: Sequence[str]) -> Iterator[Reading]:
        for number, noun in pairwise(words):
            many = noun.lower()
            counted = number.lower() in _COUNTED or number.isdigit()
            if counted and many not in self.lexicon.nouns and self.lexicon.is_plural(many):
                yield Reading(f"How many {many} are mentioned?", capitalized(number.lower()))

    def _kinds(self, words: Sequence[str]) -> Iterator[Reading]:
        lexicon, plain = self.lexicon, [*(one.lower() for one in words), ""]
        for place in range(len(plain) - 3):
            before, kind, noun, behind = plain[place : place + 4]
            adjective = kind in lexicon.adjectives and kind not in _NO_KIND
            thing = noun in lexicon.nouns and noun not in lexicon.adjectives
            if before in _OF_ONE and adjective and thing and not lexicon.is_noun(behind):
                article = "an" if kind[0] in "aeiou" else "a"
                answer = capitalized(f"{article} {kind} {noun}")
                yield Reading(f"What kind of {noun} is it?", answer)

    def _names(self, words: Sequence[str]) -> Iterator[Reading]:
        names, place = [], 1
        while place < len(words):
            phrase = self._phrase(words, place) if _is_name(words[place]) else None
            names += [phrase.text] if phrase else []
            place = phrase.end if phrase else place + 1
        if len(names) == 1:
            yield Reading("Which name is mentioned?", capitalized(names[0]))


def _is_name(word: str) -> bool:
    plain = word.lower()
    return word[:1].isupper() and word.isalpha() and plain not in _NO_NOUN | _DETERMINERS


def _end(words: Sequence[str], start: int) -> int:
    """Where the part of a sentence ends that begins at a place."""
    return next((n for n in range(start, len(words)) if words[n] in _STOPS), len(words))

"""Questions that a sentence answers: worked out by hand, on words that need no file of WordNet."""

import pytest

from corpus.download import CorpusError
from corpus.reading import Lexicon, QuestionFinder

NOUNS = {"key", "door", "hammer", "cake", "man", "woman", "oven", "bottle", "crucifix"}
NOUNS |= {"bell", "train", "bread", "roof", "horse", "boy"}
READER = QuestionFinder(
    Lexicon(
        nouns=frozenset(NOUNS),
        verbs=frozenset(
            ["bake", "find", "need", "open", "want", "tie", "go", "leave", "ring", "drop"]
        ),
        adjectives=frozenset({"old", "wooden", "golden"}),
        irregular={
            "found": "find",
            "went": "go",
            "left": "leave",
            "rang": "ring",
            "finding": "find",
        },
        plurals={"men": "man", "women": "woman"},
    )
)


def asked(text):
    return {one.question: one.answer for one in READER.ask(text)}


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        ("She baked a cake in the oven.", "What did she bake?", "A cake."),
        ("She baked a cake in the oven.", "Where did she bake a cake?", "In the oven."),
        ("The old man found the golden key.", "Who or what found the golden key?", "The old man."),
        ("The old man found the golden key.", "What did the old man find?", "The golden key."),
        ("I need a hammer.", "What does the speaker need?", "A hammer."),
        ("He wants to open the door.", "What does he want to do?", "Open the door."),
        ("The boy dropped my key.", "What did the boy drop?", "The speaker's key."),
        (
            "We can open the door with a key.",
            "With whom or what can they open the door?",
            "With a key.",
        ),
        ("The train left because the bell rang.", "Why?", "Because the bell rang."),
        ("There are three bottles on the roof.", "How many bottles are mentioned?", "Three."),
        ("Seven men went.", "How many men are mentioned?", "Seven."),
        ("It is a wooden crucifix.", "What kind of crucifix is it?", "A wooden crucifix."),
        ("He left his horse in Paris.", "Which name is mentioned?", "Paris."),
    ],
)
def test_a_sentence_answers(text, question, answer):
    assert asked(text).get(question) == answer


@pytest.mark.parametrize(
    "text",
    [
        "Did she bake a cake?",  # what is asked is not said
        "Rain fell.",  # nothing that the lexicon knows
        "He had gone.",  # a helper is no verb of its own
        "The old.",  # an adjective without its noun
    ],
)
def test_where_there_is_a_doubt_nothing_is_asked(text):
    assert asked(text) == {}


def test_a_question_with_two_answers_is_not_asked():
    assert "What did she bake?" not in asked("She baked a cake. She baked some bread.")


def test_wordnet_is_read(tmp_path):
    for kind, words in (
        ("noun", "key n 1\nof n 1\n"),
        ("verb", "find v 1\n"),
        ("adj", "old a 1\n"),
    ):
        (tmp_path / f"index.{kind}").write_text(f"  1 licence\n{words}", encoding="utf-8")
    (tmp_path / "verb.exc").write_text("found find\n", encoding="utf-8")
    (tmp_path / "noun.exc").write_text("men man\n", encoding="utf-8")
    read = Lexicon.read(tmp_path)
    assert read.nouns == {"key"}  # `of` is a word of a closed class
    assert (read.base_of_past("found"), read.is_noun("men"), read.is_noun("keys")) == (
        "find", True, True,
    )  # fmt: skip
    (tmp_path / "noun.exc").unlink()
    with pytest.raises(CorpusError, match=r"noun\.exc"):
        Lexicon.read(tmp_path)


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("baked", "bake"),
        ("dropped", "drop"),
        ("found", "find"),
        ("finding", ""),
        ("tied", "tie"),
        ("keyed", ""),
    ],
)
def test_the_base_of_a_past_form(form, base):
    assert READER.lexicon.base_of_past(form) == base

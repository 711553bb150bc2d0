"""Lessons of text: what is asked follows from the lines, which an independent reader checks."""

import re

import pytest
from test_reading import READER

from corpus.lessons import Teacher
from corpus.lessons.phrases import NAMES
from corpus.lessons.teacher import SHARES
from corpus.sounds import SOUNDS
from corpus.wording import NUMBERS
from mowe.data.manifest import AUDIO_TAG

SENTENCES = [
    "She baked a cake in the oven.",
    "The old man found the golden key.",
    "I need a hammer.",
    "Did the bell ring?",
    "He left his horse in Paris.",
    "The train left because the bell rang.",
]
TEACHER = Teacher(SENTENCES, READER)
LESSONS = [TEACHER.lesson(f"test:{number}") for number in range(1500)]
EVENT = re.compile(r"([^;:]+?) (\d+\.\d)-(\d+\.\d) s(?:, (?:(\d+) dB softer|loudest))?[;.]")


def of(task):
    found = [one for one in LESSONS if one.task == task]
    assert found, task
    return found


def events(hint):
    """Name, start, length and dB below the loudest, as the line tells."""
    (line,) = [one for one in hint.splitlines() if one.startswith("Sounds: ")] or [""]
    return [
        (name.strip(), float(start), float(end) - float(start), int(softer or 0))
        for name, start, end, softer in EVENT.findall(line.removeprefix("Sounds:"))
    ]


def plain(answer):
    return answer[0].lower() + answer[1:].rstrip(".")


def test_every_kind_is_drawn_and_the_same_seed_draws_the_same():
    assert {one.task for one in LESSONS} == SHARES.keys()
    assert TEACHER.lesson("a") == TEACHER.lesson("a")
    assert len({*LESSONS}) > 0.95 * len(LESSONS)


def test_marks_and_hints_go_together_and_turns_alternate():
    for one in LESSONS:
        assert sum(words.count(AUDIO_TAG) for _, words in one.messages) == len(one.hints)
        roles = [role for role, _ in one.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(words.strip() for _, words in one.messages)
        assert all(hint.startswith("Length: ") for hint in one.hints)


def test_transcripts_are_repeated_to_the_letter():
    for one in of("copy"):
        (speech,) = re.findall(r"Speech \(\w+\) [\d.]+-[\d.]+ s: (.*)", one.hints[0])
        assert one.messages[1][1] == speech


@pytest.mark.parametrize("task", ["read", "story"])
def test_what_is_read_is_said(task):
    own = {
        "a",
        "an",
        "the",
        "speaker",
        "s",
        "their",
        "it",
        "belongs",
        "to",
    }  # a person named from outside
    for one in of(task):
        said = {*re.findall(r"[a-z]+", one.hints[0].lower())}
        answer = {*re.findall(r"[a-z]+", one.messages[-1][1].lower())}
        assert answer - own <= said, one


def test_what_comes_first_and_last_begins_first_and_last():
    for one in of("order"):
        question, answer = one.messages[0][1], plain(one.messages[1][1])
        heard = sorted(events(one.hints[0]), key=lambda event: event[1])
        if re.search(r"hear first\?|comes first\?|is the first\?$", question):
            assert answer.lower() == heard[0][0].lower()
        if re.search(r"hear last\?|comes last\?|is the last\?$", question):
            assert answer.lower() == heard[-1][0].lower()


def test_what_is_louder_and_longer_is_so_by_the_line():
    for one in of("compare"):
        question, answer = one.messages[0][1].lower(), plain(one.messages[1][1]).lower()
        place = 3 if "loud" in question else 2
        options = [event for event in events(one.hints[0]) if event[0].lower() in question]
        options = options if len(options) > 1 else events(one.hints[0])
        best = (min if place == 3 else max)(options, key=lambda event: event[place])
        assert answer == best[0].lower(), one


def test_sounds_are_counted():
    for one in of("count"):
        question, answer = one.messages[0][1], NUMBERS.index(plain(one.messages[1][1]))
        names = [name for name, *_ in events(one.hints[0])]
        asked = [name for name in {*names} if name in question] or names
        assert answer == (len({*names}) if "different" in question else names.count(asked[0]))


def test_yes_and_no_are_told_alike():
    for task in ("there", "said"):
        answers = [one.messages[1][1] for one in of(task)]
        assert 0.3 < sum(one == "Yes." for one in answers) / len(answers) < 0.7


def test_where_nobody_speaks_nothing_is_written_down():
    for one in of("unknowable"):
        if "Speech" not in one.hints[0]:
            assert not set(SENTENCES) & {one.messages[1][1]}
        if one.hints[0].endswith("Nothing is heard."):
            assert "othing" in one.messages[1][1]


def test_lessons_know_every_sound_of_the_corpus():
    assert {one.noun for one in SOUNDS.values()} <= {*NAMES}

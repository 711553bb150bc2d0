"""Lessons about what is said, and by whom."""

from corpus import wording
from corpus.lessons import phrases
from corpus.lessons.conversations import Dialogue, Exchange, about
from corpus.lessons.scenes import Draw, SimulatedRecording
from corpus.wording import NUMBERS, ORDINALS, capitalized

_MOST_WORDS = 25  # of what a description repeats


def copy(draw: Draw) -> Dialogue:
    """Repeat what is said, to the letter."""
    scene = draw.speech(language=draw.choice(("English", draw.choice(phrases.LANGUAGES))))
    return about(scene, _written_down(draw, scene))


def _written_down(draw: Draw, scene: SimulatedRecording) -> Exchange:
    return Exchange(draw.choice(phrases.WRITE_DOWN), scene.text)


def read(draw: Draw) -> Dialogue | None:
    """A question that a sentence answers, the sentence among others."""
    scene = draw.speech(draw.among_others(draw.sentence(readable=True)))
    found = draw.reader.ask(scene.text)
    rare = [one for one in found if not one.question.startswith("What kind")]
    if not found:
        return None  # two sentences answer the same question
    one = draw.choice(rare if rare and draw.random() < 0.85 else found)
    person = draw.choice(("the speaker", "the speaker", "he", "she", "this person"))
    question = draw.choice(phrases.LEADS) + one.question.replace("the speaker", person)
    turns = [Exchange(question, one.answer)]
    if draw.random() < 0.25:
        turns.insert(0, _written_down(draw, scene))
    return about(scene, *turns)


def story(draw: Draw) -> Dialogue:
    """A sentence of a story, and a question about a part of it."""
    text, asked = draw.choice(_STORIES)(draw)
    scene = draw.speech(draw.among_others(capitalized(text)))
    turns = [Exchange(question, capitalized(answer)) for question, answer in asked]
    return about(scene, *draw.rng.sample(turns, 2 if draw.random() < 0.2 else 1))


_Told = tuple[str, list[tuple[str, str]]]


def _outside(person: str) -> str:
    """A person, named by somebody else than the speaker."""
    return person.replace("my ", "the speaker's ").replace("our ", "their ")


def _deed(draw: Draw) -> _Told:
    (did, do), name, thing = draw.choice(phrases.DID), draw.choice(phrases.WHO), _thing(draw)
    place, time, who = draw.choice(phrases.WHERE), draw.choice(phrases.WHEN), _outside(name)
    return f"{name} {did} {thing} {place} {time}", [
        (f"Who {did} {thing}?", who),
        (f"What did {who} {do}?", thing),
        (f"Where did {who} {do} it?", place),
        ("Where did it happen?", place),
        (f"When did {who} {do} {thing}?", time),
        ("When did it happen?", time),
    ]


def _thing(draw: Draw) -> str:
    return draw.choice(phrases.THING)


def _cause(draw: Draw) -> _Told:
    name, why = draw.choice(phrases.WHO), f"because {draw.choice(phrases.WHY)}"
    who = _outside(name)
    return f"{name} went home {why}", [
        (f"Why did {who} go home?", why),
        ("Why?", why),
        ("Who went home?", who),
        (f"Where did {who} go?", "home"),
    ]


def _number(draw: Draw) -> _Told:
    count, many = draw.choice(phrases.COUNT), draw.choice(phrases.MANY)
    place = draw.choice(phrases.WHERE)
    return f"there are {count} {many} {place}", [
        (f"How many {many} are there?", count),
        (f"Where are the {many}?", place),
        (f"What is there {place}?", f"{count} {many}"),
    ]


def _look(draw: Draw) -> _Told:
    one, name = draw.choice(phrases.OBJECT), draw.choice(phrases.WHO)
    colour, material = draw.choice(phrases.COLOUR), draw.choice(phrases.MATERIAL)
    return f"the {one} of {name} is {colour} and made of {material}", [
        (f"What colour is the {one}?", colour),
        (f"What is the {one} made of?", material),
        (f"Whose {one} is it?", f"it belongs to {_outside(name)}"),
    ]


def _need(draw: Draw) -> _Told:
    thing, name, place = _thing(draw), draw.choice(phrases.WHO), draw.choice(phrases.WHERE)
    asked = (
        "What does the speaker need?",
        "What does he need?",
        "What is missing?",
        "What does she ask for?",
        "What does the speaker want?",
    )
    return f"I need {thing}, and {name} has it {place}", [
        (draw.choice(asked), thing),
        ("Who has it?", _outside(name)),
        ("Where is it?", place),
    ]


def _gift(draw: Draw) -> _Told:
    first, second = draw.rng.sample(phrases.WHO, 2)
    thing, time = _thing(draw), draw.choice(phrases.WHEN)
    who, whom = _outside(first), _outside(second)
    return f"{first} gave {thing} to {second} {time}", [
        (f"What did {who} give away?", thing),
        ("Who gave it away?", who),
        (f"Who got {thing}?", whom),
        (f"To whom did {who} give it?", f"to {whom}"),
        (f"When did {who} give it away?", time),
    ]


_STORIES = (_deed, _cause, _number, _look, _need, _gift)


def language(draw: Draw) -> Dialogue:
    """Which language it is."""
    spoken, other = draw.rng.sample(phrases.LANGUAGES, 2)
    asked = draw.choice((spoken, other))
    yes_no = draw.choice((f"Do they speak {asked}?", f"Is this {asked}?", f"Is it in {asked}?"))
    two = draw.rng.sample((spoken, other), 2)
    turn = draw.choice(
        (
            Exchange(draw.choice(wording.LANGUAGE), f"{spoken}."),
            Exchange(yes_no, "Yes." if asked == spoken else f"No, it is {spoken}."),
            Exchange(f"Is this {two[0]} or {two[1]}?", f"{spoken}."),
        )
    )
    return about(draw.speech(language=spoken), turn)


def voice(draw: Draw) -> Dialogue:
    """Who speaks, and how."""
    scene = draw.speech()
    guess = scene.voice
    assert guess is not None
    asked = draw.choice(("man", "woman"))
    yes = "Yes." if asked == guess.gender else f"No, a {guess.gender}."
    many = ("How many people are speaking?", "How many voices are there?", "How many speakers?")
    number = capitalized(NUMBERS[guess.speakers]) if guess.speakers else phrases.NOT_SURE
    mood = capitalized(guess.emotion) if guess.emotion else phrases.NOT_BY_VOICE
    is_it = draw.choice((f"Is it a {asked}?", f"Do you hear a {asked}?"))
    turns = (
        (draw.choice(wording.GENDER), f"A {guess.gender}." if guess.gender else phrases.NOT_SURE),
        (is_it, yes if guess.gender else phrases.NOT_SURE),
        (draw.choice(many), number),
        (draw.choice(phrases.FEELING), mood),
    )
    return about(scene, Exchange(*draw.choice(turns)))


def said(draw: Draw) -> Dialogue | None:
    """Whether a word is said, or something is asked."""
    scene = draw.speech()
    if draw.random() < 0.25:
        question = draw.choice(("Is it a question?", "Does the speaker ask something?"))
        return about(scene, Exchange(question, "Yes." if "?" in scene.text else "No."))
    words = _words(scene.text)
    word = draw.choice(draw.choice((words, _words(draw.sentence()))))
    if len(word) < 4:
        return None
    question = draw.choice(wording.MENTION).format(word=word)
    return about(scene, Exchange(question, "Yes." if word in words else "No."))


def _words(text: str) -> list[str]:
    return [one.strip('.,;:?!"').lower() for one in text.split()]


def digits(draw: Draw) -> Dialogue:
    """Digits, one by one."""
    row = [draw.rng.randrange(10) for _ in range(draw.rng.randint(3, 7))]
    scene = draw.speech(capitalized(" ".join(NUMBERS[one] for one in row)))
    place, digit = draw.rng.randrange(len(row)), draw.rng.randrange(10)
    nth = draw.choice(wording.NTH_DIGIT).format(place=ORDINALS[place])
    has = draw.choice(wording.HAS_DIGIT).format(digit=NUMBERS[digit])
    turns = (
        Exchange(draw.choice(wording.HOW_MANY_DIGITS), capitalized(NUMBERS[len(row)])),
        Exchange(nth, capitalized(NUMBERS[row[place]])),
        Exchange(draw.choice(wording.LAST_DIGIT), capitalized(NUMBERS[row[-1]])),
        Exchange(has, "Yes." if digit in row else "No."),
    )
    down, turn = _written_down(draw, scene), draw.choice(turns)
    return about(scene, *draw.choice(((down,), (turn,), (turn,), (down, turn))))


def describe(draw: Draw) -> Dialogue:
    """All that is known, in a sentence."""
    scene = draw.choice((draw.speech(), draw.sounds(1, 4)))
    question = draw.choice(phrases.DESCRIBE)
    if not scene.spoken:
        return about(scene, Exchange(question, capitalized(names_of(scene))))
    who = f"A {scene.voice.gender}" if scene.voice and scene.voice.gender else "Somebody"
    brief = len(scene.text.split()) <= _MOST_WORDS
    answer = f"{who} says: {scene.text}" if brief else f"{who} is speaking {scene.language}."
    if scene.events:
        answer += f" There is also {names_of(scene)}."
    return about(scene, Exchange(question, answer))


def names_of(scene: SimulatedRecording) -> str:
    """What sounds, each name once."""
    names = [one.name or "a sound that I do not know" for one in scene.events]
    *others, last = dict.fromkeys(names)
    return f"{', '.join(others)} and {last}" if others else last

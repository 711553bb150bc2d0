"""Lessons about what sounds, when, how long and how loud."""

from corpus import wording
from corpus.lessons import phrases
from corpus.lessons.conversations import Dialogue, Exchange, about
from corpus.lessons.scenes import Draw, SimulatedRecording
from corpus.sounds import ANIMALS, MUSIC, SOUNDS
from corpus.wording import NUMBERS, capitalized, one_of
from mowe.hints.events import SoundEvent

_ANIMALS = frozenset(SOUNDS[one].noun for one in ANIMALS)
_MUSIC = frozenset(SOUNDS[one].noun for one in MUSIC)
_MANY = {one.noun: one.many for one in SOUNDS.values() if one.many}


def what(draw: Draw) -> Dialogue:
    """What a lone sound is; of one without a name, what it may be."""
    scene = draw.sounds(1, 1)
    (event,) = scene.events
    asked = draw.choice(phrases.WHAT)
    if event.name in _ANIMALS | _MUSIC and draw.random() < 0.6:
        own = phrases.WHICH_ANIMAL if event.name in _ANIMALS else phrases.WHICH_INSTRUMENT
        asked = draw.choice(own)
    if not event.name:
        perhaps = phrases.KINDS[event.kinds[0][0]]
        return about(scene, Exchange(asked, f"A sound that I do not know, perhaps {perhaps}."))
    turns = [Exchange(asked, capitalized(event.name))]
    if draw.random() < 0.15:
        turns.append(Exchange("How long does it last?", _length(event)))
    return about(scene, *turns)


def _length(event: SoundEvent) -> str:
    return f"{event.end - event.start:.1f} seconds."


def order(draw: Draw) -> Dialogue | None:
    """What comes first, last, after another, and all in their order."""
    scene = draw.sounds(2, 4)
    row = scene.lone
    if len(row) < len(scene.events) or len({one.start for one in row}) < len(row):
        return None
    two = sorted(draw.rng.sample(range(len(row)), 2))
    options = one_of([row[place].name for place in draw.rng.sample(two, 2)])
    before = draw.rng.randrange(len(row) - 1)
    after = draw.choice(wording.AFTER).format(noun=row[before].name)
    question, answer = draw.choice(
        (
            (draw.choice(wording.FIRST).format(options=options), row[two[0]].name),
            (draw.choice(wording.LIST), ", then ".join(one.name for one in row)),
            (after, row[before + 1].name),
            (draw.choice(("What do you hear first?", "Which sound is the first?")), row[0].name),
            (draw.choice(("What do you hear last?", "Which sound is the last?")), row[-1].name),
        )
    )
    return about(scene, Exchange(question, capitalized(answer)))


def compare(draw: Draw) -> Dialogue | None:
    """What is louder or longer, of two or of all."""
    scene = draw.sounds(2, 4)
    loud, of_all = draw.random() < 0.5, draw.random() < 0.3
    if len(scene.lone) < 2 or len(scene.lone) < len(scene.events):
        return None
    row = list(scene.events) if of_all else draw.rng.sample(scene.lone, 2)
    sizes = [round(one.level) if loud else round(one.end - one.start, 1) for one in row]
    if sizes.count(max(sizes)) > 1:
        return None
    if of_all:
        asked = "Which sound is the loudest?" if loud else "Which sound is the longest?"
    else:
        texts = wording.LOUDER if loud else wording.LONGER
        asked = draw.choice(texts).format(options=one_of([one.name for one in row]))
    return about(scene, Exchange(asked, capitalized(row[sizes.index(max(sizes))].name)))


def count(draw: Draw) -> Dialogue | None:
    """How often a sound is heard, or how many different ones there are."""
    scene = draw.sounds(1, 5)
    names = scene.names
    if len(names) < len(scene.events):
        return None
    if draw.random() < 0.3:
        number = capitalized(NUMBERS[len({*names})])
        return about(scene, Exchange(draw.choice(wording.DIFFERENT), number))
    name = draw.choice(names)
    asked = draw.choice((f"How often do you hear {name}?", f"How many times is there {name}?"))
    if name in _MANY and len({*names}) == 1 and draw.random() < 0.6:
        asked = draw.choice(wording.TIMES).format(many=_MANY[name])
    return about(scene, Exchange(asked, capitalized(NUMBERS[names.count(name)])))


def there(draw: Draw) -> Dialogue | None:
    """Whether something sounds, or somebody speaks."""
    scene = draw.choice((draw.sounds(1, 4), draw.sounds(1, 4), draw.speech()))
    if draw.random() < 0.25:
        return about(
            scene, Exchange(draw.choice(wording.SPEAKING), "Yes." if scene.text else "No.")
        )
    name = draw.choice(scene.names if scene.names and draw.random() < 0.6 else draw.names)
    if name not in scene.names and len(scene.names) < len(scene.events):
        return None  # it may be what has no name
    asked = draw.choice(wording.PRESENCE).format(noun=name)
    return about(scene, Exchange(asked, "Yes." if name in scene.names else "No."))


def when(draw: Draw) -> Dialogue | None:
    """From when to when, and how long."""
    scene = draw.sounds(1, 4)
    if not scene.lone:
        return None
    one = draw.choice(scene.lone)
    turns = (
        Exchange(
            f"When do you hear {one.name}?", f"From {one.start:.1f} to {one.end:.1f} seconds."
        ),
        Exchange(f"How long do you hear {one.name}?", _length(one)),
        Exchange(draw.choice(("How long is the recording?", "How long is this?")), _seconds(scene)),
    )
    return about(scene, draw.choice(turns))


def _seconds(scene: SimulatedRecording) -> str:
    return f"{scene.seconds:.1f} seconds."

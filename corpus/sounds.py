"""What a sound is called in answers, questions, descriptions and counts; one entry a label."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from corpus import further_sounds
from corpus.further_sounds import COUNTED


@dataclass(frozen=True)
class SoundWords:
    """The words for a sound."""

    answer: str  # full reply to "What sound is this?"
    noun: str  # as in "Do you hear a dog barking?"
    captions: tuple[str, ...]  # sentences that describe a recording of it
    one: str = ""  # what can be counted, such as "bark"; empty where nothing can
    many: str = ""


def _sound(answer: str, *captions: str, noun: str = "") -> SoundWords:
    return SoundWords(answer, noun or answer[0].lower() + answer[1:-1], captions)


def _played(name: str) -> SoundWords:
    """The words for an instrument that plays some notes."""
    article = "an" if name[0] in "aeiou" else "a"
    return _sound(
        f"{article.capitalize()} {name}.",
        f"{article.capitalize()} {name} is playing.",
        f"Someone plays {article} {name}.",
        f"Music played on {article} {name}.",
        f"The sound of {article} {name}.",
    )


def _named(further: Mapping[str, tuple[str, str]]) -> dict[str, SoundWords]:
    """The words for sounds that have a noun and one sentence of their own."""
    return {
        label: _sound(
            f"{noun[0].upper()}{noun[1:]}.",
            sentence,
            f"{noun[0].upper()}{noun[1:]} can be heard.",
            f"The sound of {noun}.",
            noun=noun,
        )
        for label, (noun, sentence) in further.items()
    }


ANIMALS: Mapping[str, SoundWords] = {
    "dog bark": _sound(
        "A dog barking.",
        "A dog barks.",
        "A dog is barking nearby.",
        "The barking of a dog breaks the silence.",
        "A dog barks at something.",
    ),
    "rooster": _sound(
        "A rooster crowing.",
        "A rooster crows.",
        "A rooster crows in a farmyard.",
        "The loud crowing of a rooster.",
        "A rooster lets out its call.",
    ),
    "cow": _sound(
        "A cow mooing.",
        "A cow moos.",
        "A cow is mooing in a field.",
        "The deep moo of a cow.",
        "Cattle are lowing.",
    ),
    "pig": _sound(
        "A pig grunting.",
        "A pig grunts.",
        "A pig is grunting and snorting.",
        "The grunt of a pig.",
        "A pig snorts in its sty.",
    ),
    "sheep": _sound(
        "A sheep bleating.",
        "A sheep bleats.",
        "A sheep is bleating in a meadow.",
        "The bleat of a sheep.",
        "A sheep calls to its flock.",
    ),
    "horse": _sound(
        "A horse.",
        "A horse neighs or snorts.",
        "A horse can be heard.",
        "The sound of a horse close by.",
        "A horse makes itself heard.",
    ),
    "wolf": _sound(
        "A wolf.",
        "A wolf growls or howls.",
        "A wolf can be heard.",
        "The wild voice of a wolf.",
        "A wolf makes itself heard.",
    ),
    "bird": _sound(
        "A bird calling.",
        "A bird calls.",
        "A bird is singing or calling.",
        "The call of a bird.",
        "Birdsong fills the air.",
    ),
    "insects": _sound(
        "Insects.",
        "Insects buzz or chirp.",
        "Insects can be heard.",
        "The hum of insects.",
        "Insects fill the air with their noise.",
    ),
    "chicken": _sound(
        "A chicken clucking.",
        "A chicken clucks.",
        "A hen is clucking in the yard.",
        "The clucking of a chicken.",
        "A hen cackles to itself.",
    ),
    "elephant": _sound(
        "An elephant trumpeting.",
        "An elephant trumpets.",
        "An elephant raises its trunk and calls.",
        "The call of an elephant.",
        "An elephant can be heard.",
    ),
    "snake": _sound(
        "A snake hissing.",
        "A snake hisses.",
        "A snake is hissing close by.",
        "The hiss of a snake.",
        "A snake warns with a hiss.",
    ),
    **_named(further_sounds.ANIMALS),
}

PEOPLE: Mapping[str, SoundWords] = {
    "baby cry": _sound(
        "A baby crying.",
        "A baby is crying.",
        "A baby cries out loud.",
        "An upset baby cries and wails.",
        "A small baby cries without being comforted.",
    ),
    "person sneeze": _sound(
        "A person sneezing.",
        "A person sneezes.",
        "Someone sneezes loudly.",
        "A sudden sneeze from a person.",
        "A person lets out a sneeze.",
    ),
    "laughter": _sound(
        "A person laughing.",
        "A person laughs.",
        "Someone is laughing out loud.",
        "The laughter of a person.",
        "A person bursts into laughter.",
    ),
    "cry of pain": _sound(
        "A person crying out in pain.",
        "A person cries out in pain.",
        "Someone is hurt and screams.",
        "The pained cry of a person.",
        "A person groans, hit by something.",
    ),
    "footsteps": _sound(
        "Footsteps.",
        "Someone takes a step.",
        "A footstep is heard on the ground.",
        "The sound of a shoe on the ground.",
        "A person is walking.",
    ),
    **_named(further_sounds.PEOPLE),
}

NATURE: Mapping[str, SoundWords] = {
    "rain": _sound(
        "Rain falling.",
        "Rain is falling steadily.",
        "Steady rain patters on the ground.",
        "It is raining, and drops hit a surface.",
        "A shower of rain falls.",
    ),
    "sea waves": _sound(
        "Sea waves.",
        "Waves roll onto a beach.",
        "Sea waves break on the shore.",
        "The sea washes in and out.",
        "Waves of the sea crash and hiss on the shore.",
    ),
    "fire crackling": _sound(
        "A crackling fire.",
        "A fire crackles.",
        "Wood crackles and pops in a fire.",
        "A crackling fire burns.",
        "A fire burns with small pops and crackles.",
    ),
    "thunder": _sound(
        "Thunder.",
        "Thunder rolls.",
        "Thunder rumbles in the sky.",
        "A clap of thunder during a storm.",
        "Thunder booms in the distance.",
    ),
    "water": _sound(
        "Water flowing.",
        "Water is flowing.",
        "Water runs and gurgles.",
        "The sound of running water.",
        "A stream of water flows by.",
    ),
    "splash": _sound(
        "A splash of water.",
        "Water splashes.",
        "Something splashes into water.",
        "A splash of water is heard.",
        "Someone steps into water with a splash.",
    ),
    "wind": _sound(
        "Wind blowing.",
        "The wind blows.",
        "Wind is blowing hard.",
        "The whoosh of the wind.",
        "A gust of wind sweeps past.",
    ),
    **_named(further_sounds.NATURE),
}

THINGS: Mapping[str, SoundWords] = {
    "clock tick": _sound(
        "A clock ticking.",
        "A clock ticks steadily.",
        "The regular ticking of a clock.",
        "A clock is ticking in a quiet room.",
        "A clock ticks, second after second.",
    ),
    "helicopter": _sound(
        "A helicopter flying.",
        "A helicopter flies by.",
        "The rotor of a helicopter beats the air.",
        "A helicopter hovers overhead.",
        "A helicopter passes with its blades chopping.",
    ),
    "chainsaw": _sound(
        "A chainsaw running.",
        "A chainsaw is running.",
        "A chainsaw revs its engine and cuts.",
        "Someone works with a chainsaw.",
        "The engine of a chainsaw roars.",
    ),
    "engine": _sound(
        "An engine running.",
        "An engine is running.",
        "The engine of a vehicle rumbles.",
        "A motor runs with a steady drone.",
        "A vehicle's engine can be heard.",
    ),
    "machine": _sound(
        "A machine working.",
        "A machine is working.",
        "Machinery hums and clanks.",
        "The mechanical noise of a machine.",
        "A machine whirs as it moves.",
    ),
    "gunshot": _sound(
        "A gunshot.",
        "A gun is fired.",
        "A gunshot rings out.",
        "Someone fires a gun.",
        "The sharp crack of a gun.",
    ),
    "explosion": _sound(
        "An explosion.",
        "Something explodes.",
        "An explosion goes off.",
        "A loud blast is heard.",
        "The boom of an explosion.",
    ),
    "sword": _sound(
        "A sword.",
        "A sword strikes.",
        "The metal of a blade rings in a fight.",
        "A sword is swung or hits its target.",
        "Blades clash.",
    ),
    "bow": _sound(
        "A bow shooting an arrow.",
        "A bow shoots an arrow.",
        "An arrow is shot and flies off.",
        "The string of a bow snaps forward.",
        "An archer lets an arrow go.",
    ),
    "door": _sound(
        "A door.",
        "A door opens or closes.",
        "A door is moved.",
        "Someone uses a door.",
        "The sound of a door.",
    ),
    "breaking glass": _sound(
        "Glass breaking.",
        "Glass breaks.",
        "A pane of glass shatters.",
        "Glass falls to pieces.",
        "Something made of glass is smashed.",
    ),
    "bell": _sound(
        "A bell ringing.",
        "A bell rings.",
        "A bell is struck and rings out.",
        "The ringing of a bell.",
        "A bell sounds clearly.",
    ),
    "keyboard click": _sound(
        "A key of a keyboard being pressed.",
        "A key of a keyboard is pressed.",
        "A mechanical keyboard clicks.",
        "The click of a computer key.",
        "Someone types on a keyboard.",
    ),
    "hammer": _sound(
        "A hammer.",
        "A hammer strikes.",
        "Someone is hammering.",
        "The blow of a hammer.",
        "A hammer hits something hard.",
    ),
    "camera": _sound(
        "A camera taking a picture.",
        "A camera takes a picture.",
        "The shutter of a camera clicks.",
        "Someone takes a photograph.",
        "A camera shutter opens and closes.",
    ),
    **_named(further_sounds.THINGS),
}

PLAYED = (
    "piano", "harpsichord", "glockenspiel", "xylophone", "pipe organ", "accordion", "harmonica",
    "acoustic guitar", "electric guitar", "bass guitar", "violin", "cello", "harp", "trumpet",
    "trombone", "tuba", "French horn", "saxophone", "oboe", "bassoon", "clarinet", "flute", "sitar",
    "banjo", "bagpipe", "steel drum",
)  # fmt: skip

_NOTES = frozenset({*PLAYED, *further_sounds.PLAYED})

MUSIC: Mapping[str, SoundWords] = {
    "drum": _sound(
        "A drum hit.",
        "A drum is struck.",
        "Someone hits a drum.",
        "The beat of a drum.",
        "A drum sounds.",
        noun="a drum",
    ),
    "cymbal": _sound(
        "A cymbal.",
        "A cymbal is struck.",
        "Someone hits a cymbal.",
        "The metallic ring of a cymbal.",
        "A cymbal sounds and fades.",
    ),
    "guitar": _sound(
        "A guitar chord.",
        "A guitar chord is played.",
        "Someone strums a guitar.",
        "The strings of a guitar sound.",
        "A chord rings on a guitar.",
        noun="a guitar",
    ),
    "choir": _sound(
        "A choir.",
        "A choir is singing.",
        "A choir sings without words.",
        "Many voices sing together.",
        "The sound of a choir.",
    ),
    **{name: _played(name) for name in (*PLAYED, *further_sounds.PLAYED)},
    **_named(further_sounds.STRUCK),
}

SOUNDS: Mapping[str, SoundWords] = {
    label: replace(sound, one=one, many=many)
    for label, sound in {**ANIMALS, **PEOPLE, **NATURE, **THINGS, **MUSIC}.items()
    for one, many in [COUNTED.get(label, ("note", "notes") if label in _NOTES else ("", ""))]
}
